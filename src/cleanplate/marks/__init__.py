"""Marks as data: drawn, composited, read and written."""
