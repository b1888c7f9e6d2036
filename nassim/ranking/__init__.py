"""Rank correlations, intervals and tests: plain functions on arrays."""
