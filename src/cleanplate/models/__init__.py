"""Networks, their capabilities and their weights."""
