"""Augmentations: random functions of a sample, and exhaustive transforms."""
