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

import torch
from threadpoolctl import threadpool_limits

from augury import device
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
def threads_kept() -> Iterator[None]:
    """Give torch and the linear algebra libraries their threads back: what runs here next may want them."""
    before = torch.get_num_threads()
    try:
        with threadpool_limits():
            yield
    finally:
        device.limit_threads(before)


def compute(task: Task) -> Outcome:
    """Run one cell and store its record.

    The record is written here, so that it outlives the process that asked for it; it also travels back, for a cache
    that this machine does not share. A cell that is handed out again, because a worker was lost just after finishing
    it, is found instead of done twice. The process is left with one thread.
    """
    start = time.perf_counter()
    try:
        if loaded_hash(task.experiment) != task.code:
            raise GridError(
                f"the code of {identity(task.experiment)} changed while it was in use; run again (in a notebook, "
                "after restarting the kernel): finished cells are kept"
            )
        record = records.read(task.place)
        if record is None:
            device.limit_threads(1)  # other counts change results in their last bits
            threadpool_limits(1)
            settings = json.loads(canonical(task.settings))
            rows = records.tidy(task.experiment(**settings), settings)
            record = {
                "experiment": identity(task.experiment),
                "settings": settings,
                "code": task.code,
                "rows": rows,
                "seconds": time.perf_counter() - start,
                "versions": records.versions(),
            }
            if task.place.parent.is_dir():
                records.store(task.place, records.encode(record))
        return Outcome(task.place, time.perf_counter() - start, records.encode(record))
    except Exception as error:
        missing = isinstance(error, MissingDataError)
        text = str(error) if missing else f"{type(error).__name__}: {error}"
        seconds = time.perf_counter() - start
        return Outcome(task.place, seconds, error=text, details=traceback.format_exc(), missing_data=missing)


def failed(task: Task, reason: str) -> Outcome:
    """Return the outcome of a cell whose worker could not even report an error."""
    return Outcome(task.place, 0.0, error=reason, details=reason)
