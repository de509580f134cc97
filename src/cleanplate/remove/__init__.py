"""Takes marks off."""
