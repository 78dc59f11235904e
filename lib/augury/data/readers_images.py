"""Readers of the image formats: idx, SVHN's .mat, small NORB's matrices, packed WebP strips and plain arrays."""

from __future__ import annotations

import io
import struct
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from augury.data.archives import gunzip, zip_members
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
    """Return uint8 `pixels` of shape (n, H, W) or (n, H, W, C) as a contiguous, writable (n, H, W, C)."""
    return np.require(pixels if pixels.ndim == 4 else pixels[..., None], requirements=["C", "W"])


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


def read_webp(paths: Sequence[Path], files: Sequence[File], options: Mapping[str, Any]) -> Fields:
    """Read packed WebP files; the role of each file names its split, and parts of a split are joined in order."""
    parts: dict[str, list[tuple[np.ndarray, np.ndarray]]] = {}
    for path, file in zip(paths, files, strict=True):
        parts.setdefault(file.role, []).append(unpack_webp(path))
    fields: Fields = {}
    for split, pairs in parts.items():
        fields[f"{split}/x"] = np.concatenate([x for x, _ in pairs])
        fields[f"{split}/y"] = np.concatenate([y for _, y in pairs])
    return fields


def read_arrays(paths: Sequence[Path], files: Sequence[File], options: Mapping[str, Any]) -> Fields:
    """Read npz files of plain arrays `x` (images) and `y`, one a split; option `label_base` is the lowest label."""
    fields: Fields = {}
    for path, file in zip(paths, files, strict=True):
        try:
            with np.load(path, allow_pickle=False) as packed:
                fields[f"{file.role}/x"] = images(packed["x"])
                fields[f"{file.role}/y"] = labels(packed["y"], options.get("label_base", 0))
        except (OSError, KeyError, ValueError, zipfile.BadZipFile) as error:
            raise DataError(f"{path}: not an npz of images and labels ({error})") from error
    return fields


def read_svhn(paths: Sequence[Path], files: Sequence[File], options: Mapping[str, Any]) -> Fields:
    """Read SVHN's cropped digits, one .mat file a split: `X` (32, 32, 3, n) and `y` (n, 1) with 10 for the digit 0.

    Option `rows` keeps that many samples from the start.
    """
    from scipy.io import loadmat

    fields: Fields = {}
    for path, file in zip(paths, files, strict=True):
        try:
            content = loadmat(path, variable_names=["X", "y"])
            pixels, y = content["X"], labels(content["y"])
            if pixels.dtype != np.uint8 or pixels.shape != (32, 32, 3, len(y)):
                raise ValueError(f"X is {pixels.dtype} {pixels.shape} with {len(y)} labels")
        except (OSError, KeyError, ValueError, TypeError, NotImplementedError) as error:
            raise DataError(f"{path}: not a file of SVHN's cropped digits ({error})") from error
        keep = slice(options.get("rows"))
        fields[f"{file.role}/x"] = images(pixels.transpose(3, 0, 1, 2)[keep])
        fields[f"{file.role}/y"] = y[keep] % 10
    return fields


def parse_norb(content: bytes, label: str) -> np.ndarray:
    """Return the array in a binary matrix of small NORB: little-endian type and number of axes, lengths, then the data.

    At least three lengths are stored, whatever the number of axes.

    Raises
    ------
    DataError
        If the content is not such a matrix, or its length is not what the header says; `label` names it.
    """
    magic, n_axes = struct.unpack("<ii", content[:8]) if len(content) >= 8 else (0, 0)
    if magic not in _NORB_TYPES or not 0 <= n_axes <= 8:
        raise DataError(f"{label}: not a binary matrix (it starts with {content[:8]!r})")
    start = 8 + 4 * max(3, n_axes)
    if len(content) < start:
        raise DataError(f"{label}: the header of the binary matrix is cut short")
    shape = struct.unpack(f"<{n_axes}i", content[8 : 8 + 4 * n_axes])
    dtype = np.dtype(_NORB_TYPES[magic])
    expected = int(np.prod(shape, dtype=np.int64)) * dtype.itemsize
    if min(shape, default=0) < 0 or len(content) - start != expected:
        raise DataError(f"{label}: holds {len(content) - start:,} bytes of data, its header {shape} says {expected:,}")
    return np.frombuffer(content, dtype, offset=start).reshape(shape)


def read_norb(paths: Sequence[Path], files: Sequence[File], options: Mapping[str, Any]) -> Fields:
    """Read small NORB: `dat` (n, 2, 96, 96), the two cameras of each pair, which become channels, and `cat` (n,)."""
    fields: Fields = {}
    for path, file in zip(paths, files, strict=True):
        array = parse_norb(gunzip(path), str(path))
        fields[file.role] = images(array.transpose(0, 2, 3, 1)) if file.role.endswith("/x") else labels(array)
    return fields
