"""Fills the cache with the cells of a section, without Jupyter."""

from __future__ import annotations

import importlib
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from typing import Any

from augury.errors import AuguryError, MissingDataError, NotebookError
from augury.run.outcome import DONE, FAILED, NOT_RUN, Outcome
from augury.run.profiles import Job


def plan_function(name: str, job: Job) -> Callable[[dict[str, Any]], Any]:
    """Return the function that a notebook names as "module:function".

    Raises
    ------
    NotebookError
        If there is none.
    """
    module, _, function = name.partition(":")
    try:
        found: Callable[[dict[str, Any]], Any] = getattr(importlib.import_module(module), function)
    except (ImportError, AttributeError, ValueError) as error:
        raise NotebookError(f"{job.notebook.id} names the plan {name!r}, which is not there: {error}") from error
    return found


def compute_jobs(jobs: Sequence[Job], workers: int | None = None, scheduler: str | None = None) -> list[Outcome]:
    """Run the cells that the sections of `jobs` will ask for; return how each ended.

    The cells are those the notebooks will read: asked of the same functions, with the same parameters.

    Raises
    ------
    NotebookError
        If no section names a plan, or one that is not there.
    """
    from augury import grid

    plans = [(job, [plan_function(name, job) for name in job.notebook.plans]) for job in jobs]
    if not any(functions for _, functions in plans):
        raise NotebookError(f"{', '.join(job.name for job in jobs)}: no section here has cells to compute")
    outcomes = []
    for job, functions in plans:
        began = time.monotonic()
        status, reason, details = DONE, "", ""
        for function in functions:
            try:
                plan = function(job.parameters)
                print(f"{job.name}: {function.__name__}, {len(plan.cells)} cells", file=sys.stderr, flush=True)
                grid.run(plan, jobs=workers, scheduler=scheduler)
            except MissingDataError as error:
                status, reason, details = max(status, NOT_RUN, key=_severity), str(error).splitlines()[0], str(error)
            except Exception as error:
                status, reason = FAILED, str(error).splitlines()[0] if str(error) else type(error).__name__
                details = str(error) if isinstance(error, AuguryError) else traceback.format_exc()
        if functions:
            outcomes.append(Outcome(job, status, time.monotonic() - began, reason, details))
    return outcomes


def _severity(status: str) -> int:
    return (DONE, NOT_RUN, FAILED).index(status)
