"""Whole comparisons: methods x targets x seeds, one table of results."""
