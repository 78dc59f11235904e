"""The key of a cell: what its rows depend on, and nothing else."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from typing import Any

from augury import data
from augury.errors import ParameterError
from augury.grid.code import code_hash
from augury.plan import sources


def identity(experiment: Callable[..., Any]) -> str:
    """Return `module:qualname`."""
    return f"{experiment.__module__}:{experiment.__qualname__}"


def canonical(settings: Mapping[str, Any]) -> str:
    """Return settings as JSON with sorted names; equal text means equal settings.

    Raises
    ------
    ParameterError
        If a setting is not JSON-able.
    """
    try:
        return json.dumps(settings, sort_keys=True, separators=(",", ":"))
    except (TypeError, ValueError) as error:
        raise ParameterError(f"the settings {dict(settings)} cannot be written as JSON: {error}") from error


def cell_key(name: str, settings: Mapping[str, Any], code: str) -> str:
    """Return the key of the cell of experiment `name` (`module:qualname`) whose code hashes to `code`."""
    digest = "+".join(data.digest(dataset) for dataset in sources(settings))
    return hashlib.sha256(json.dumps([name, canonical(settings), digest, code]).encode()).hexdigest()


def key(experiment: Callable[..., Any], settings: Mapping[str, Any]) -> str:
    """Return the key under which the rows of `experiment` for `settings` are stored.

    It is made of the experiment's name, the settings, the digests of the data sets they name and a hash of the code.

    Raises
    ------
    ParameterError
        If the settings are not JSON-able or name an unknown data set.
    GridError
        If the experiment is not importable.
    """
    return cell_key(identity(experiment), settings, code_hash(experiment))
