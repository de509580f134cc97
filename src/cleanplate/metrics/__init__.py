"""Pure functions that score pictures and masks."""
