"""What a worker does: one cell, on one thread, its record stored before anything else can go wrong."""

from __future__ import annotations

import json
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from threadpoolctl import threadpool_limits

from augury.errors import GridError, MissingDataError
from augury.grid import records
from augury.grid.code import loaded_hash
from augury.grid.keys import canonical, identity


@dataclass(frozen=True)
class Task:
    """A cell on its way to a worker; `code` is the hash the run began with, `place` where its record belongs."""

    experiment: Callable[..., Any]
    settings: dict[str, Any]
    code: str
    place: Path


@dataclass(frozen=True)
class Outcome:
    """What became of a cell: its record's file content, or an error with its traceback; `seconds` it took."""

    place: Path
    seconds: float
    content: bytes = b""
    error: str = ""
    details: str = ""
    missing_data: bool = False


@contextmanager
def one_thread() -> Iterator[None]:
    """Hold torch and the linear algebra libraries to one thread: other counts change results in their last bits."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with threadpool_limits(1):
            yield
    finally:
        torch.set_num_threads(before)


def compute(task: Task) -> Outcome:
    """Run one cell and store its record.

    The record is written here, so that it outlives the process that asked for it; it also travels back, for a cache
    that this machine does not share.
    """
    start = time.perf_counter()
    try:
        if loaded_hash(task.experiment) != task.code:
            raise GridError(
                f"the code of {identity(task.experiment)} changed while it was in use; run again (in a notebook, "
                "after restarting the kernel): finished cells are kept"
            )
        settings = json.loads(canonical(task.settings))
        with one_thread():
            rows = records.tidy(task.experiment(**settings), settings)
        seconds = time.perf_counter() - start
        record = {
            "experiment": identity(task.experiment),
            "settings": settings,
            "code": task.code,
            "rows": rows,
            "seconds": seconds,
            "versions": records.versions(),
        }
        content = records.encode(record)
        records.store(task.place, content)
        return Outcome(task.place, seconds, content)
    except Exception as error:
        missing = isinstance(error, MissingDataError)
        text = str(error) if missing else f"{type(error).__name__}: {error}"
        seconds = time.perf_counter() - start
        return Outcome(task.place, seconds, error=text, details=traceback.format_exc(), missing_data=missing)
