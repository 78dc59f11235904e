"""The readers by the names that the registry uses."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from augury.data import readers_images
from augury.data.arrays import Fields
from augury.data.registry import File, Source

Reader = Callable[[Sequence[Path], Sequence[File], Mapping[str, Any]], Fields]

READERS: dict[str, Reader] = {
    "idx": readers_images.read_idx,
    "cifar-python": readers_images.read_cifar,
    "packed-webp": readers_images.read_packed,
}


def read(source: Source, paths: Sequence[Path]) -> Fields:
    """Return the arrays of `source`, whose files lie, verified, at `paths`.

    Raises
    ------
    DataError
        If a file is damaged or is not of its format.
    """
    return READERS[source.reader](paths, source.files, source.options)
