"""Facts about the machine; no policy."""
