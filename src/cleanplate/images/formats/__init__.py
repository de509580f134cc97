"""One module a file format: `decode` takes a file's bytes apart, `encode` puts a changed one together."""
