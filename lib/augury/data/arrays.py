"""Decoded data as named arrays: their canonical digest, and their cache on disk.

A data set is decoded into *fields*: "train/x", "train/y", "test/x", "test/y", where the x of a table is one field a
column ("train/x/age"). A field is a numeric array, or a list of strings.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
import zipfile
from pathlib import Path
from typing import TypeAlias

import numpy as np

Value: TypeAlias = np.ndarray | list[str]
Fields: TypeAlias = dict[str, Value]

# Raised when the layout of the cache or what a reader makes of the same files changes: older caches are then redone.
LAYOUT = 1


def _utf8(strings: list[str]) -> tuple[np.ndarray, np.ndarray]:
    """Return where each string ends, int64 of shape (n,), and all their UTF-8 bytes, uint8."""
    encoded = [text.encode("utf-8") for text in strings]
    ends = np.cumsum([len(text) for text in encoded], dtype=np.int64)
    return ends, np.frombuffer(b"".join(encoded), np.uint8)


def _canonical(array: np.ndarray) -> np.ndarray:
    """Return `array` C-ordered and little-endian, with one bit pattern for NaN."""
    array = np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("<"))
    if array.dtype.kind == "f" and np.isnan(array).any():
        array = np.where(np.isnan(array), np.array(np.nan, array.dtype), array)
    return array


def ordered(fields: Fields) -> Fields:
    """Return `fields` with train before test and x before y; the columns of a table keep their order."""
    rank = {"train": 0, "test": 1, "x": 0, "y": 1}
    return dict(sorted(fields.items(), key=lambda item: [rank[part] for part in item[0].split("/")[:2]]))


def digest(fields: Fields) -> str:
    """Return the sha256 over the arrays, independent of the machine and of the file format they came from.

    For each field in the order of `ordered`: one line "<name> <dtype> <shape>", dtype as NumPy writes it in
    little-endian form ("|u1", "<i8", "<f8"), then the C-ordered little-endian bytes. For a list of strings the dtype is
    "text", and the int64 ends of the strings in their joined UTF-8 bytes come before these.
    """
    total = hashlib.sha256()
    for name, value in ordered(fields).items():
        if isinstance(value, list):
            ends, joined = _utf8(value)
            total.update(f"{name} text ({len(value)},)\n".encode())
            total.update(_canonical(ends).tobytes())
            total.update(joined.tobytes())
        else:
            array = _canonical(value)
            total.update(f"{name} {array.dtype.str} {array.shape}\n".encode())
            total.update(array.reshape(-1).view(np.uint8).data)
    return total.hexdigest()


def save(path: Path, fields: Fields, verified: str) -> None:
    """Write `fields` to `path` as an uncompressed npz, whole or not at all, with the digest they had."""
    stored: dict[str, np.ndarray] = {"verified": np.array(f"{LAYOUT} {verified}")}
    for name, value in fields.items():
        if isinstance(value, list):
            stored[f"{name}|ends"], stored[f"{name}|utf8"] = _utf8(value)
        else:
            stored[name] = value
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".part", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            np.savez(file, allow_pickle=False, **stored)
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def restore(path: Path, verified: str) -> Fields | None:
    """Read what `save` wrote; None where there is nothing, it is damaged, or it was checked against another digest.

    The zip format's own checksums catch damage, so the digest need not be computed again.
    """
    try:
        with np.load(path, allow_pickle=False) as stored:
            if str(stored["verified"]) != f"{LAYOUT} {verified}":
                return None
            fields: Fields = {}
            for name in stored.files:
                if name.endswith("|ends"):
                    joined = stored[name.removesuffix("ends") + "utf8"].tobytes()
                    ends = stored[name].tolist()
                    bounds = zip([0, *ends], ends, strict=False)  # the last end starts nothing
                    texts = [joined[start:end].decode("utf-8") for start, end in bounds]
                    fields[name.removesuffix("|ends")] = texts
                elif name != "verified" and not name.endswith("|utf8"):
                    fields[name] = stored[name]
            return fields
    except (OSError, KeyError, ValueError, zipfile.BadZipFile):
        return None
