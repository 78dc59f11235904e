"""Influence of training points: pure functions of (model, data)."""
