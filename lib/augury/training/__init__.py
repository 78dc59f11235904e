"""Fitting networks: one at a time, or many replicas at once."""
