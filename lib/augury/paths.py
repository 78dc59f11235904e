"""Where the repository keeps things; every place can be moved by an environment variable."""

from __future__ import annotations

import os
from pathlib import Path


def root() -> Path:
    """Return the repository's root: AUGURY_ROOT, else the checkout this package is installed from."""
    return Path(os.environ.get("AUGURY_ROOT") or Path(__file__).resolve().parents[2])


def cache() -> Path:
    """Return the folder of computed cells and trained networks: AUGURY_CACHE, else data/cache."""
    return Path(os.environ.get("AUGURY_CACHE") or root() / "data" / "cache")


def downloads() -> Path:
    """Return the folder of fetched data: AUGURY_DATA, else data/downloads."""
    return Path(os.environ.get("AUGURY_DATA") or root() / "data" / "downloads")


def figures() -> Path:
    """Return the folder of results: AUGURY_FIGURES, else figures."""
    return Path(os.environ.get("AUGURY_FIGURES") or root() / "figures")
