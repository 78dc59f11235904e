"""Records: the rows of one cell in one JSON file that is whole or not there, with its own checksum."""

from __future__ import annotations

import hashlib
import json
import os
import platform
import tempfile
import warnings
from collections.abc import Mapping, Sequence
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from augury.errors import GridError

LIBRARIES = ("numpy", "scipy", "pandas", "scikit-learn", "torch")


@cache
def versions() -> dict[str, str]:
    """Return the versions of Python and of the libraries that compute."""
    return {"python": platform.python_version()} | {name: metadata.version(name) for name in LIBRARIES}


def path(folder: Path, experiment: str, key: str) -> Path:
    """Return where the record of a cell lies below the cache `folder`; `experiment` is `module:qualname`."""
    return folder / "cells" / experiment.replace(":", ".") / f"{key}.json"


def _plain(value: Any) -> Any:
    if isinstance(value, np.generic):
        return value.item()
    if value is pd.NA or value is pd.NaT:
        return None
    raise TypeError(f"{type(value).__name__} {value!r}")


def tidy(rows: Any, settings: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return what an experiment returned as a list of rows that JSON can hold.

    Raises
    ------
    GridError
        If it is neither a DataFrame nor a sequence of mappings, a value is no scalar JSON knows, or a field has the
        name of a setting but another value.
    """
    if isinstance(rows, pd.DataFrame):
        rows = rows.to_dict("records")
    if not isinstance(rows, Sequence) or not all(isinstance(row, Mapping) for row in rows):
        raise GridError(f"an experiment returns a list of rows (dicts) or a DataFrame, not {type(rows).__name__}")
    try:
        plain: list[dict[str, Any]] = json.loads(json.dumps([dict(row) for row in rows], default=_plain))
    except (TypeError, ValueError) as error:
        raise GridError(f"a row holds what JSON cannot: {error}") from error
    for row in plain:
        for field in row.keys() & settings.keys():
            if row[field] != settings[field]:
                raise GridError(f"the field {field!r} of a row is also a setting, with another value")
    return plain


def encode(record: Mapping[str, Any]) -> bytes:
    """Return the file of a record: a JSON object of its checksum and itself; floats keep every bit."""
    body = json.dumps(record, separators=(",", ":"))
    return f'{{"sha256":"{hashlib.sha256(body.encode()).hexdigest()}","record":{body}}}\n'.encode()


def decode(content: bytes) -> dict[str, Any]:
    """Return the record of a file.

    Raises
    ------
    ValueError
        If the file is not what `encode` wrote.
    """
    found: dict[str, Any] = json.loads(content)["record"]
    if encode(found) != content:
        raise ValueError("its checksum does not fit its content")
    return found


def store(place: Path, content: bytes) -> None:
    """Write `content` to `place` so that it is there whole or not at all, whatever dies when.

    Raises
    ------
    GridError
        If it cannot be written; an older file is left as it was.
    """
    name = ""
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=place.parent, prefix=f".{place.stem[:16]}-", suffix=".tmp")
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(name, place)
    except BaseException as error:
        if name:
            Path(name).unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise GridError(
                f"the record {place} cannot be written: {error.strerror}; make room and run again"
            ) from error
        raise


def read(place: Path) -> dict[str, Any] | None:
    """Return the record at `place`; None if there is none.

    A damaged record is set aside as `<name>.damaged` with a warning, as if it had not been there.
    """
    try:
        content = place.read_bytes()
    except FileNotFoundError:
        return None
    try:
        return decode(content)
    except (ValueError, KeyError, TypeError) as error:
        aside = place.with_suffix(".damaged")
        os.replace(place, aside)
        warnings.warn(f"the record {place} is damaged ({error}); set aside as {aside.name}", stacklevel=2)
        return None
