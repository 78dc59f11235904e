"""What became of a notebook: judged by what it left behind, not by what it says."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nbformat

from augury import paths
from augury.run.profiles import Job

DONE, FAILED, NOT_RUN = "done", "FAILED", "not run"
_COLOURS = re.compile(r"\x1b\[[0-9;]*m")


@dataclass(frozen=True)
class Outcome:
    """How a job ended.

    Attributes
    ----------
    job : Job
    status : {"done", "FAILED", "not run"}
        "not run": its data set is not at hand.
    seconds : float
    reason : str
        In one line; empty if done.
    details : str
        The failing cell and its error, in full.
    """

    job: Job
    status: str
    seconds: float
    reason: str = ""
    details: str = ""


def results(job: Job) -> Path:
    """Return the folder that a job's results go to."""
    return paths.figures() / job.profile / job.notebook.id / job.run


def stamps(job: Job) -> dict[Path, int]:
    """Return the files in the folder of a job's results with the times of their last change."""
    return {path: path.stat().st_mtime_ns for path in results(job).glob("*") if path.is_file()}


def unmade(job: Job, before: Mapping[Path, int]) -> list[str]:
    """Return the artefacts a notebook promises but did not make, or only left as they were `before`.

    They are found through the manifest that it writes at its end, which lists the files of each.
    """
    now, manifest = stamps(job), results(job) / "manifest.json"
    fresh = {path.name for path in now if before.get(path) != now[path]}
    if manifest.name not in fresh:
        return list(job.notebook.artefacts)
    listed = json.loads(manifest.read_text(encoding="utf-8"))["artefacts"]
    made = {entry["name"] for entry in listed if entry["files"] and set(entry["files"]) <= fresh}
    return [name for name in job.notebook.artefacts if made.isdisjoint(name.split(" or "))]


def _failing_cell(notebook: Any) -> tuple[Any, Any] | None:
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            if output.output_type == "error":
                return cell, output
    return None


def judge(job: Job, seconds: float, executed: Path, complaint: str, before: Mapping[Path, int]) -> Outcome:
    """Return how a job ended.

    Parameters
    ----------
    job : Job
    seconds : float
    executed : Path
        The executed copy, if it came to that.
    complaint : str
        What the process that ran it said of its end; empty if it was content.
    before : mapping
        `stamps` before the start.
    """

    def failed(reason: str, details: str = "") -> Outcome:
        return Outcome(job, FAILED, seconds, reason, details)

    if not executed.exists():
        return failed(f"it never started: {(complaint or 'no word why').splitlines()[-1]}", complaint)
    notebook = nbformat.read(executed, as_version=4)
    found = _failing_cell(notebook)
    if found and not (complaint and found[1].ename == "KeyboardInterrupt"):  # that is how a slow cell is stopped
        cell, error = found
        trace = _COLOURS.sub("", "\n".join(error.traceback))
        reason = f"{error.ename}: {error.evalue}".splitlines()[0]
        if error.ename == "SystemExit":
            return failed(f"cell [{cell.execution_count}] left the notebook by sys.exit", cell.source)
        if error.ename == "MissingDataError":
            return Outcome(job, NOT_RUN, seconds, error.evalue.splitlines()[0], error.evalue)
        return failed(reason, f"cell [{cell.execution_count}]:\n{cell.source}\n\n{trace}")
    if complaint:
        return failed(complaint.splitlines()[-1], complaint)
    code = [cell for cell in notebook.cells if cell.cell_type == "code" and cell.source.strip()]
    if not code:
        return failed("it holds no code, so it showed nothing")
    if skipped := [cell for cell in code if cell.execution_count is None]:
        return failed(f"{len(skipped)} of its {len(code)} code cells were never run")
    if absent := unmade(job, before):
        return failed(f"it did not make {', '.join(absent)}", f"nothing new in {results(job)} for {', '.join(absent)}")
    return Outcome(job, DONE, seconds)
