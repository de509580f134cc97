"""Finds marks."""
