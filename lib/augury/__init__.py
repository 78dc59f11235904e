"""Augury: five works on data augmentation, influence and data selection, replicated."""

from augury import compat

__version__ = "0.1.0"

compat.apply()
