"""Samples the device over time."""
