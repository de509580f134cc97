"""Files to pictures and back."""
