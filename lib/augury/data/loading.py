"""From a name to arrays: fetch, decode, check, keep."""

from __future__ import annotations

import sys
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from augury import paths
from augury.data import arrays, download, embedded, readers, registry
from augury.data.arrays import Fields
from augury.data.registry import Entry
from augury.errors import DataError, ParameterError

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Split:
    """Samples and their targets.

    Attributes
    ----------
    x : images, uint8 of shape (n, H, W, C); or a table, a DataFrame of n rows with the columns as they are in the file.
    y : int64 of shape (n,), indices into the classes; float64 of shape (n,) for a regression.
    """

    x: np.ndarray | pd.DataFrame
    y: np.ndarray

    def __len__(self) -> int:
        return len(self.y)


@dataclass(frozen=True)
class Dataset:
    """A data set; `test` is None where upstream gives no split (see `holdout`), `classes` is empty for a regression."""

    name: str
    train: Split
    test: Split | None
    classes: tuple[str, ...]
    digest: str


def _split(fields: Fields, split: str) -> Split | None:
    target = fields.get(f"{split}/y")
    if target is None:
        return None
    assert isinstance(target, np.ndarray)
    pixels = fields.get(f"{split}/x")
    if isinstance(pixels, np.ndarray):
        return Split(pixels, target)
    import pandas as pd

    prefix = f"{split}/x/"
    columns = {name.removeprefix(prefix): value for name, value in fields.items() if name.startswith(prefix)}
    return Split(pd.DataFrame(columns), target)


def _check(entry: Entry, fields: Fields, origin: str) -> None:
    """Raise unless the decoded arrays are the ones the registry describes."""
    lengths = {split: len(fields[f"{split}/y"]) for split in ("train", "test") if f"{split}/y" in fields}
    if lengths != dict(entry.splits):
        raise DataError(f"{entry.name}: {origin} holds {lengths} samples, the registry says {dict(entry.splits)}")
    if entry.recorded:
        found = arrays.digest(fields)
        if found != entry.recorded:
            raise DataError(
                f"{entry.name}: {origin} decodes to arrays with the digest {found}, the registry says "
                f"{entry.recorded}; the files are as registered, so the registry or the reader is wrong: report it"
            )


def embed(entry: Entry) -> Fields:
    """Return the arrays of an embedded data set."""
    return embedded.GENERATORS[entry.embedded]()


def decode(entry: Entry, progress: bool = True) -> Fields:
    """Return the checked arrays of `entry` from its files (fetched where they are missing), without the cache.

    Raises
    ------
    MissingDataError, DataError
        As `load`.
    """
    if entry.embedded:
        fields, origin = embed(entry), "the embedded generator"
    else:
        source, files = download.obtain(entry, progress)
        fields, origin = readers.read(source, files), f"the {source.kind} source"
    _check(entry, fields, origin)
    return fields


def prepare(entry: Entry, progress: bool = True) -> Fields:
    """Return the checked arrays of `entry`, from the cache or, decoded once, into it.

    Raises
    ------
    MissingDataError, DataError
        As `load`.
    """
    if entry.embedded:
        return decode(entry)
    kept = paths.downloads() / "decoded" / f"{entry.name}.npz"
    fields = arrays.restore(kept, entry.digest)
    if fields is None:
        fields = decode(entry, progress)
        try:
            arrays.save(kept, fields, entry.digest)
        except OSError as error:
            raise DataError(
                f"{entry.name}: the decoded arrays cannot be written to {kept.parent}: {error.strerror or error}; "
                "make room, or set AUGURY_DATA to a folder on another disk"
            ) from error
    return fields


def load(name: str) -> Dataset:
    """Return the data set called `name`, fetching it first where it is not at hand.

    The decoded arrays are checked against the registry once and kept in the download folder, so that later loads are
    fast; the arrays belong to the caller.

    Raises
    ------
    ParameterError
        If there is no such data set.
    MissingDataError
        If it is not at hand and cannot be obtained; the message says how to get it.
    DataError
        If its files are damaged or are not what the registry describes.
    """
    entry = registry.entry(name)
    fields = prepare(entry, progress=sys.stderr.isatty())
    train = _split(fields, "train")
    assert train is not None  # `_check` compared the splits with the registry
    return Dataset(name, train, _split(fields, "test"), entry.classes, entry.digest)


def holdout(dataset: Dataset, fraction: float, rng: np.random.Generator) -> Dataset:
    """Return `dataset` with a random, class-balanced `fraction` of its training samples as its test set.

    For data sets without a split of their own. Each class gives the same fraction, rounded; a regression gives a plain
    random one. Both parts keep the order of the samples.

    Raises
    ------
    ParameterError
        If `fraction` is not between 0 and 1, leaves a part empty, or the data set has a test set already.
    """
    if dataset.test is not None:
        raise ParameterError(f"data set {dataset.name!r} has a test set of its own")
    if not 0 < fraction < 1:
        raise ParameterError(f"the fraction held out is {fraction}; it must lie between 0 and 1")
    y = dataset.train.y
    groups = [np.flatnonzero(y == label) for label in np.unique(y)] if dataset.classes else [np.arange(len(y))]
    chosen = np.zeros(len(y), dtype=bool)
    for group in groups:
        chosen[rng.choice(group, size=round(fraction * len(group)), replace=False)] = True
    if chosen.all() or not chosen.any():
        raise ParameterError(f"holding out {fraction} of {len(y)} samples of {dataset.name!r} leaves a part empty")

    def take(mask: np.ndarray) -> Split:
        x = dataset.train.x
        return Split(x[mask] if isinstance(x, np.ndarray) else x[mask].reset_index(drop=True), y[mask])

    return replace(dataset, train=take(~chosen), test=take(chosen))
