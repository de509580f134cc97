"""Scores the program on photographs whose truth is known."""
