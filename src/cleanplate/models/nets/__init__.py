"""The networks' architectures, one module each."""
