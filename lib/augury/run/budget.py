"""How the cores of this machine are shared among notebooks and their cells."""

from __future__ import annotations

import os
from dataclasses import dataclass

from augury.errors import ParameterError


@dataclass(frozen=True)
class Budget:
    """Notebooks run at once, and worker processes of each; every process computes on one thread."""

    notebooks: int
    workers: int


def cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def share(jobs: int | None = None, at_once: int = 1) -> Budget:
    """Share out `jobs` worker processes (by default AUGURY_JOBS, else one a core) among `at_once` notebooks.

    Notebooks x workers x threads never exceeds the cores.

    Raises
    ------
    ParameterError
        If a number is not positive, there are fewer cores than jobs, or fewer jobs than notebooks at once.
    """
    try:
        total = jobs if jobs is not None else int(os.environ.get("AUGURY_JOBS") or cores())
    except ValueError:
        raise ParameterError(f"AUGURY_JOBS is a positive integer, not {os.environ['AUGURY_JOBS']!r}") from None
    if total < 1 or at_once < 1:
        raise ParameterError(f"jobs and notebooks at once are positive, not {total} and {at_once}")
    if total > cores():
        raise ParameterError(f"{total} jobs on {cores()} cores would only hinder each other; ask for at most {cores()}")
    if at_once > total:
        raise ParameterError(f"{at_once} notebooks at once need as many jobs; there are {total}")
    return Budget(at_once, total // at_once)
