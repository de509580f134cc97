"""Scores repairs of marked photographs whose originals are known."""
