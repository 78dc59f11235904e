"""Runs the cells of a plan that the cache lacks, and returns the rows of all."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from augury import data, paths
from augury.errors import DataError, GridError, MissingDataError, ParameterError
from augury.grid import records
from augury.grid.cells import Outcome, Task, compute, threads_kept
from augury.grid.cluster import distributed
from augury.grid.code import code_hash
from augury.grid.keys import cell_key, identity
from augury.grid.processes import processes
from augury.grid.progress import Progress, clock
from augury.plan import Plan, sources


def cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def workers(jobs: int | None) -> int:
    """Return the number of worker processes: `jobs`, else AUGURY_JOBS, else one a core.

    Raises
    ------
    ParameterError
        If the number is not a positive integer.
    """
    asked = jobs if jobs is not None else os.environ.get("AUGURY_JOBS") or cores()
    try:
        number = int(asked)
    except ValueError:
        number = 0
    if number < 1:
        raise ParameterError(f"the number of jobs is a positive integer, not {asked!r}")
    return number


def _tasks(plan: Plan, cache: Path | None) -> list[Task]:
    """Return one task for each cell, in order.

    Raises
    ------
    ParameterError
        If two cells are the same: their rows would count twice.
    """
    code, name = code_hash(plan.experiment), identity(plan.experiment)
    folder = Path(cache) if cache is not None else paths.cache()
    folder = folder.resolve()
    tasks: dict[Path, Task] = {}
    for settings in plan.cells:
        place = records.path(folder, name, cell_key(name, settings, code))
        if place in tasks:
            raise ParameterError(f"the plan holds the cell {settings} twice")
        tasks[place] = Task(plan.experiment, settings, code, place)
    return list(tasks.values())


def missing(plan: Plan, cache: Path | None = None) -> list[dict[str, Any]]:
    """Return the cells of `plan` that the cache does not hold, in order."""
    return [task.settings for task in _tasks(plan, cache) if records.read(task.place) is None]


def run(
    plan: Plan,
    *,
    jobs: int | None = None,
    scheduler: str | None = None,
    cache: Path | None = None,
    progress: bool = True,
) -> pd.DataFrame:
    """Run the cells that the cache lacks and return the rows of all cells.

    Cells are started in the plan's order; each is stored by its worker as soon as it is done, so a run can be stopped
    anywhere and taken up again. A failing cell does not stop the others.

    Parameters
    ----------
    plan : Plan
    jobs : int, optional
        Worker processes on this machine, each on one thread; by default AUGURY_JOBS, else one a core.
    scheduler : str, optional
        Address of a Dask scheduler whose workers compute instead; by default AUGURY_SCHEDULER, else none.
    cache : Path, optional
        By default AUGURY_CACHE, else data/cache.
    progress : bool
        Whether to report progress on stderr.

    Returns
    -------
    DataFrame
        The settings and the returned fields of every row, in the order of the cells.

    Raises
    ------
    MissingDataError
        If cells failed only because their data set is not at hand; the others are done and stored.
    GridError
        If cells failed otherwise, with their settings and tracebacks; the others are done and stored.
    ParameterError
        If a cell appears twice, names an unknown data set or cannot be written as JSON.
    """
    tasks = _tasks(plan, cache)
    found = {task.place: records.read(task.place) for task in tasks}
    waiting = [task for task in tasks if found[task.place] is None]
    failures: list[Failure] = []
    if waiting:
        bar = Progress(plan.experiment.__name__, len(tasks), len(tasks) - len(waiting), progress)
        try:
            labels = _labels(tasks)
            by_place = {task.place: task for task in waiting}
            waiting[0].place.parent.mkdir(parents=True, exist_ok=True)
            scheduler = scheduler or os.environ.get("AUGURY_SCHEDULER")
            if not scheduler:
                waiting, failures = _with_data(waiting)
            for outcome in _finished(waiting, workers(jobs), scheduler):
                task = by_place[outcome.place]
                label = labels[task.place]
                if outcome.error:
                    failures.append(Failure(task.settings, outcome.error, outcome.details, outcome.missing_data))
                    bar.finished(f"FAILED {label}: {outcome.error}")
                    continue
                if not task.place.exists():
                    records.store(task.place, outcome.content)
                found[task.place] = records.decode(outcome.content)
                bar.finished(f"{label} in {clock(outcome.seconds)}")
        finally:
            bar.close()
    if failures:
        _raise(failures, len(tasks))
    rows: list[dict[str, Any]] = []
    for task in tasks:
        record = found[task.place]
        assert record is not None  # computed or found, else it failed
        rows += [record["settings"] | row for row in record["rows"]]
    return pd.DataFrame(rows)


@dataclass(frozen=True)
class Failure:
    """A cell that could not be computed, and why."""

    settings: dict[str, Any]
    error: str
    details: str
    missing_data: bool


def _raise(failures: Sequence[Failure], total: int) -> None:
    if all(failure.missing_data for failure in failures):
        texts = dict.fromkeys(failure.error for failure in failures)
        raise MissingDataError("\n".join(texts))
    text = "\n\n".join(f"{json.dumps(failure.settings)}\n{failure.details}" for failure in failures)
    raise GridError(f"{len(failures)} of {total} cells failed (the others are done and stored):\n\n{text}")


def _with_data(tasks: list[Task]) -> tuple[list[Task], list[Failure]]:
    """Fetch each data set once, before many workers would; return the tasks that have theirs, and the others."""
    absent: dict[str, DataError] = {}
    for name in dict.fromkeys(name for task in tasks for name in sources(task.settings)):
        try:
            data.load(name)
        except DataError as refusal:
            absent[name] = refusal
    ready: list[Task] = []
    failures: list[Failure] = []
    for task in tasks:
        errors = [absent[name] for name in sources(task.settings) if name in absent]
        if not errors:
            ready.append(task)
            continue
        text = "\n".join(map(str, errors))
        missing = all(isinstance(error, MissingDataError) for error in errors)
        failures.append(Failure(task.settings, text, f"{type(errors[0]).__name__}: {text}", missing))
    return ready, failures


def _labels(tasks: Sequence[Task]) -> dict[Path, str]:
    """Name each task by the settings in which the tasks differ."""
    names = dict.fromkeys(name for task in tasks for name in task.settings)
    differ = [name for name in names if len({json.dumps(task.settings.get(name)) for task in tasks}) > 1]
    return {task.place: ", ".join(f"{n} {task.settings[n]}" for n in differ if n in task.settings) for task in tasks}


def _finished(tasks: list[Task], jobs: int, scheduler: str | None) -> Iterator[Outcome]:
    """Yield what became of each task, as it finishes."""
    if scheduler and tasks:
        yield from distributed(tasks, scheduler)
    elif (jobs := min(jobs, len(tasks))) == 1:
        for task in tasks:
            with threads_kept():
                outcome = compute(task)
            yield outcome
    else:
        yield from processes(tasks, jobs)
