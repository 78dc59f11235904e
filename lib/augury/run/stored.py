"""Writes the outputs of a run back into the committed notebooks, so that what they show is from a true run."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path
from typing import Any

import nbformat

from augury import paths
from augury.errors import NotebookError
from augury.run.profiles import Job

KERNEL = {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"}


def _places() -> list[tuple[str, str]]:
    """Return the folders that would tell whose machine it was, longest first, with what stands for them."""
    named = [
        (str(Path(sys.prefix).resolve()), "<environment>"),
        (sys.prefix, "<environment>"),
        (str(paths.cache().resolve()), "<cache>"),
        (str(paths.root().resolve()), "."),
        (str(paths.root()), "."),
        (str(Path.home()), "~"),
    ]
    return sorted({(place, mark) for place, mark in named if place != "/"}, key=lambda pair: -len(pair[0]))


def scrub(value: Any) -> Any:
    """Return outputs without the paths of this machine: of the checkout, the environment, the home, the kernel."""
    if isinstance(value, dict):
        return {name: inner if name == "image/png" else scrub(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [scrub(inner) for inner in value]
    if isinstance(value, str):
        for place, mark in _places():
            value = re.sub(rf"(?<![\w/.-]){re.escape(place)}(?![\w.-])", mark, value)
        return re.sub(r"[^\s\"'<>]*ipykernel_\d+/\d+\.py", "<cell>", value)
    return value


def store(job: Job, executed: Path) -> None:
    """Write the outputs of an executed copy into the notebook it is a copy of; nothing else of it changes.

    Raises
    ------
    NotebookError
        If the job is not a plain run of the notebook as it stands, or the notebook has changed since.
    """
    if job.changes:
        raise NotebookError(f"{job.name}: stored outputs are of the notebook's own parameters, not of {job.changes}")
    original = nbformat.read(job.notebook.path, as_version=4)
    copy = nbformat.read(executed, as_version=4)
    if [(cell.cell_type, cell.source) for cell in original.cells] != [(c.cell_type, c.source) for c in copy.cells]:
        raise NotebookError(f"{job.name} changed while it ran; run it again")
    for cell, run in zip(original.cells, copy.cells, strict=True):
        for passing in ("papermill", "execution", "collapsed", "scrolled"):
            cell.metadata.pop(passing, None)
        if cell.cell_type == "code":
            cell.execution_count = run.execution_count
            cell.outputs = nbformat.from_dict(scrub(run.outputs))
    for passing in ("papermill", "widgets"):
        original.metadata.pop(passing, None)
    original.metadata.kernelspec = nbformat.from_dict(KERNEL)
    original.metadata.language_info = nbformat.from_dict({"name": "python"})
    fresh = job.notebook.path.with_suffix(".tmp")
    fresh.write_text(nbformat.writes(original) + "\n", encoding="utf-8")
    os.replace(fresh, job.notebook.path)
