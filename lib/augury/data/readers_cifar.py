"""Reader of CIFAR's python archives: pickles, read without trusting them."""

from __future__ import annotations

import io
import pickle
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from augury.data import registry
from augury.data.archives import tar_members
from augury.data.arrays import Fields
from augury.data.readers_images import images, labels
from augury.data.registry import File
from augury.errors import DataError


def _numpy_dtype(name: str | bytes, align: bool = False, copy: bool = False) -> np.dtype:
    """Stand in for numpy.dtype while unpickling: plain numbers only, never objects."""
    dtype = np.dtype(name.decode("ascii") if isinstance(name, bytes) else name, align=bool(align), copy=True)
    if dtype.kind not in "uif" or dtype.fields is not None:
        raise pickle.UnpicklingError(f"dtype {dtype} is not allowed")
    return dtype


def _numpy_reconstruct(subtype: type, shape: tuple[int, ...], typecode: bytes | str) -> np.ndarray:
    """Stand in for numpy's own: an empty plain array, which the pickle then fills."""
    if subtype is not np.ndarray or shape != (0,):
        raise pickle.UnpicklingError("only plain numpy arrays are allowed")
    return np.empty(0, np.uint8)


class _ArraysOnly(pickle.Unpickler):
    """Unpickles containers, strings, numbers and numeric numpy arrays; the name of anything else is refused."""

    _ALLOWED = {
        ("numpy", "dtype"): _numpy_dtype,
        ("numpy", "ndarray"): np.ndarray,
        ("numpy.core.multiarray", "_reconstruct"): _numpy_reconstruct,
        ("numpy._core.multiarray", "_reconstruct"): _numpy_reconstruct,
    }

    def find_class(self, module: str, name: str) -> Any:
        """Return the allowed thing called `module`.`name`."""
        try:
            return self._ALLOWED[module, name]
        except KeyError:
            raise pickle.UnpicklingError(f"{module}.{name} is not allowed") from None


def parse_cifar_batch(content: bytes, label: str, key: str) -> tuple[np.ndarray, np.ndarray, list[bytes]]:
    """Return pixels uint8 (n, 32, 32, 3), labels int64 (n,) under `key`, and file names of one CIFAR python batch.

    The batch is a pickle, and is read without trusting it: nothing but containers, strings, numbers and numeric arrays
    can come out of it, and nothing is called.

    Raises
    ------
    DataError
        If the pickle holds anything else, or not the arrays of a batch; `label` names it.
    """
    try:
        batch = _ArraysOnly(io.BytesIO(content), encoding="bytes").load()
        data, targets = batch[b"data"], np.asarray(batch[key.encode()])
        if data.dtype != np.uint8 or data.ndim != 2 or data.shape[1] != 3072 or targets.shape != (len(data),):
            raise ValueError(f"data {data.dtype} {data.shape} with labels {targets.shape}")
        return images(data.reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)), labels(targets), batch.get(b"filenames", [])
    except (pickle.UnpicklingError, KeyError, ValueError, TypeError, AttributeError, EOFError, IndexError) as error:
        raise DataError(f"{label}: not a CIFAR python batch ({type(error).__name__}: {error})") from error


def _picks(name: str) -> dict[str, list[tuple[int, bytes]]]:
    """Read the list of a subset's samples, beside the registry: per split, their labels and original file names."""
    picks: dict[str, list[tuple[int, bytes]]] = {"train": [], "test": []}
    for line in (registry.folder() / name).read_text(encoding="ascii").splitlines():
        split, label, filename = line.split()
        picks[split].append((int(label), filename.encode("ascii")))
    return picks


def read_cifar(paths: Sequence[Path], files: Sequence[File], options: Mapping[str, Any]) -> Fields:
    """Read the batches of a CIFAR tar archive: options `train` and `test` list the members, `key` names the labels.

    Option `pick` names a list of the samples to keep, in its order; they are found by label and file name.
    """
    wanted = [*options["train"], *options["test"]]
    contents = dict(zip(wanted, tar_members(paths[0], wanted), strict=True))
    picks = _picks(options["pick"]) if "pick" in options else None
    fields: Fields = {}
    for split in ("train", "test"):
        batches = [parse_cifar_batch(contents[name], f"{paths[0]}: {name}", options["key"]) for name in options[split]]
        x = np.concatenate([pixels for pixels, _, _ in batches])
        y = np.concatenate([targets for _, targets, _ in batches])
        if picks is not None:
            filenames = [name for _, _, names in batches for name in names]
            rows = {pair: row for row, pair in enumerate(zip(y.tolist(), filenames, strict=True))}
            missing = [pair for pair in picks[split] if pair not in rows]
            if missing:
                raise DataError(f"{paths[0]}: lacks {len(missing)} samples of {options['pick']}, such as {missing[0]}")
            index = [rows[pair] for pair in picks[split]]
            x, y = x[index], y[index]
        fields[f"{split}/x"], fields[f"{split}/y"] = x, y
    return fields
