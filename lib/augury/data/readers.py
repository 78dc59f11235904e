"""The readers by the names that the registry uses."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from augury.data import readers_cifar, readers_images, readers_tables
from augury.data.arrays import Fields
from augury.data.registry import File, Source
from augury.errors import DataError

Reader = Callable[[Sequence[Path], Sequence[File], Mapping[str, Any]], Fields]

READERS: dict[str, Reader] = {
    "arrays": readers_images.read_arrays,
    "celeba": readers_tables.read_celeba,
    "cifar": readers_cifar.read_cifar,
    "csv": readers_tables.read_csv,
    "idx": readers_images.read_idx,
    "norb": readers_images.read_norb,
    "svhn": readers_images.read_svhn,
    "webp": readers_images.read_webp,
}


def read(source: Source, paths: Sequence[Path]) -> Fields:
    """Return the arrays of `source`, whose files lie, verified, at `paths`.

    Raises
    ------
    DataError
        If a file is damaged or is not of its format.
    """
    if source.reader not in READERS:
        raise DataError(f"the registry names the reader {source.reader!r}; there are {', '.join(READERS)}")
    return READERS[source.reader](paths, source.files, source.options)
