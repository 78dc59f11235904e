"""Acquisition: which points of an unlabelled pool to label next, as pure functions of (model, data)."""
