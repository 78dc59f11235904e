"""Readers of the image formats: idx, CIFAR's python batches, SVHN's .mat, small NORB, and packed WebP strips."""

from __future__ import annotations

import io
import pickle
import struct
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from augury.data.archives import gunzip, tar_members, zip_members
from augury.data.arrays import Fields
from augury.data.registry import File
from augury.errors import DataError

_IDX_TYPES = {0x08: "|u1", 0x09: "|i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
_NORB_TYPES = {0x1E3D4C55: "|u1", 0x1E3D4C54: "<i4", 0x1E3D4C56: "<i2", 0x1E3D4C51: "<f4", 0x1E3D4C53: "<f8"}


def parse_idx(content: bytes, label: str) -> np.ndarray:
    """Return the array in an idx file: two zero bytes, type, number of axes, big-endian axis lengths, then the data.

    Raises
    ------
    DataError
        If the content is not idx, or its length is not what the header says; `label` names it.
    """
    if len(content) < 4 or content[:2] != b"\0\0" or content[2] not in _IDX_TYPES:
        raise DataError(f"{label}: not an idx file (it starts with {content[:4]!r})")
    dtype, n_axes = np.dtype(_IDX_TYPES[content[2]]), content[3]
    start = 4 + 4 * n_axes
    if len(content) < start:
        raise DataError(f"{label}: the idx header is cut short")
    shape = struct.unpack(f">{n_axes}I", content[4:start])
    expected = int(np.prod(shape, dtype=np.int64)) * dtype.itemsize
    if len(content) - start != expected:
        raise DataError(f"{label}: holds {len(content) - start:,} bytes of data, its idx header says {expected:,}")
    return np.frombuffer(content, dtype, offset=start).reshape(shape)


def images(pixels: np.ndarray) -> np.ndarray:
    """Return uint8 `pixels` of shape (n, H, W) or (n, H, W, C) as a contiguous array of shape (n, H, W, C)."""
    return np.ascontiguousarray(pixels if pixels.ndim == 4 else pixels[..., None])


def labels(values: Any, base: int = 0) -> np.ndarray:
    """Return labels counted from `base` as int64 indices of shape (n,) into the classes."""
    return np.asarray(values).reshape(-1).astype(np.int64) - base


def read_idx(paths: Sequence[Path], files: Sequence[File], options: Mapping[str, Any]) -> Fields:
    """Read idx files, gzipped or not: one a field, or members of one zip archive (option `members`: field -> name).

    Options `transpose` (EMNIST stores its images by columns) and `label_base` (the lowest label).
    """
    if "members" in options:
        roles, wanted = list(options["members"]), list(options["members"].values())
        contents = dict(zip(roles, zip_members(paths[0], wanted), strict=True))
    else:
        contents = {file.role: gunzip(path) for path, file in zip(paths, files, strict=True)}
    fields: Fields = {}
    for role, content in contents.items():
        array = parse_idx(content, f"{paths[0]} ({role})")
        if role.endswith("/x"):
            fields[role] = images(array.transpose(0, 2, 1) if options.get("transpose") else array)
        else:
            fields[role] = labels(array, options.get("label_base", 0))
    return fields


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


def read_cifar(paths: Sequence[Path], files: Sequence[File], options: Mapping[str, Any]) -> Fields:
    """Read the batches of a CIFAR tar archive: options `train` and `test` list the members, `key` names the labels."""
    wanted = [*options["train"], *options["test"]]
    contents = dict(zip(wanted, tar_members(paths[0], wanted), strict=True))
    fields: Fields = {}
    for split in ("train", "test"):
        batches = [parse_cifar_batch(contents[name], f"{paths[0]}: {name}", options["key"]) for name in options[split]]
        fields[f"{split}/x"] = np.concatenate([x for x, _, _ in batches])
        fields[f"{split}/y"] = np.concatenate([y for _, y, _ in batches])
    return fields


def unpack_webp(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Return pixels uint8 (n, 32, 32, 3) and labels int64 (n,) of a packed npz.

    `webp` holds lossless WebP files end to end, bounded by `offsets`; each is a strip of images 32 pixels wide, one
    below the other.

    Raises
    ------
    DataError
        If the file is damaged or is none of these.
    """
    from PIL import Image

    try:
        with np.load(path, allow_pickle=False) as packed:
            content, offsets, y = packed["webp"].tobytes(), packed["offsets"], labels(packed["y"])
        strips = []
        for start, end in zip(offsets[:-1], offsets[1:], strict=True):
            with Image.open(io.BytesIO(content[start:end]), formats=["WEBP"]) as strip:
                strips.append(np.asarray(strip.convert("RGB")).reshape(-1, 32, 32, 3))
        x = np.concatenate(strips)
        if len(x) != len(y):
            raise ValueError(f"{len(x)} images with {len(y)} labels")
        return x, y
    except (OSError, KeyError, ValueError, zipfile.BadZipFile) as error:
        raise DataError(f"{path}: not a packed image file ({error})") from error


def read_packed(paths: Sequence[Path], files: Sequence[File], options: Mapping[str, Any]) -> Fields:
    """Read packed WebP files; the role of each file names its split, and parts of a split are joined in order."""
    parts: dict[str, list[tuple[np.ndarray, np.ndarray]]] = {}
    for path, file in zip(paths, files, strict=True):
        parts.setdefault(file.role, []).append(unpack_webp(path))
    fields: Fields = {}
    for split, pairs in parts.items():
        fields[f"{split}/x"] = np.concatenate([x for x, _ in pairs])
        fields[f"{split}/y"] = np.concatenate([y for _, y in pairs])
    return fields
