"""Stands in for the driver of this name."""
