"""Data sets: a registry, verified downloads, and loaders that end in the same arrays whatever the source."""

from augury.data.cli import main
from augury.data.download import fetch
from augury.data.loading import Dataset, Split, holdout, load
from augury.data.registry import Entry, digest, entry, names

__all__ = ["Dataset", "Entry", "Split", "digest", "entry", "fetch", "holdout", "load", "main", "names"]
