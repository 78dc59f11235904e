"""Runs notebooks, each in a process of its own, and keeps their executed copies."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from augury import paths
from augury.run.budget import Budget
from augury.run.notebooks import is_index
from augury.run.outcome import DONE, Outcome, judge, stamps
from augury.run.profiles import QUICK, Job
from augury.run.screen import Glimpse, Screen

POLL = 0.2  # seconds
GRACE = 10  # seconds that a process has to shut its kernel down before it is killed
# One thread in each process: more make small networks slower, and change results in their last bits.
ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")


def build(profile: str) -> Path:
    """Return the folder of the executed copies of a profile."""
    return paths.root() / "build" / "notebooks" / profile


def executed(job: Job) -> Path:
    """Return where the executed copy of a job goes once it is whole."""
    label = f"@{job.run}" if job.run else ""
    return build(job.profile) / f"{job.notebook.id}{label}.ipynb"


@dataclass
class Running:
    """A notebook's process, its working folder, and what it is to be judged by."""

    job: Job
    process: subprocess.Popen[bytes]
    folder: Path
    before: dict[Path, int]
    began: float = field(default_factory=time.monotonic)

    def look(self) -> Glimpse:
        """Return how far it is."""
        return Glimpse(self.job, self.began, _state(self.folder / "cells.json"), _state(self.folder / "grid.json"))

    def stop(self) -> None:
        """End the process and its kernel."""
        with contextlib.suppress(ProcessLookupError):
            self.process.terminate()
            try:
                self.process.wait(GRACE)
            except subprocess.TimeoutExpired:
                self.process.kill()  # its kernel notices, and ends by itself
                self.process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)


def _state(place: Path) -> dict[str, Any]:
    try:
        found: dict[str, Any] = json.loads(place.read_text(encoding="utf-8"))
        return found
    except (OSError, ValueError):
        return {}  # not begun


def _start(job: Job, budget: Budget, timeout: int, scheduler: str | None) -> Running:
    target = executed(job)
    place = build(job.profile) / ".running"
    place.mkdir(parents=True, exist_ok=True)
    # A folder of its own each time: the same notebook may be running in another terminal.
    folder = Path(tempfile.mkdtemp(prefix=f"{target.stem}-", dir=place))
    description = {
        "notebook": str(job.notebook.path),
        "output": str(folder / target.name),
        "parameters": job.changes,
        "cwd": str(job.notebook.path.parent),
        "timeout": timeout,
        "cells": str(folder / "cells.json"),
    }
    (folder / "job.json").write_text(json.dumps(description), encoding="utf-8")
    environment = os.environ | ONE_THREAD
    environment |= {"AUGURY_JOBS": str(budget.workers), "AUGURY_PROGRESS": str(folder / "grid.json")}
    if scheduler:
        environment["AUGURY_SCHEDULER"] = scheduler
    before = stamps(job)
    with open(folder / "log.txt", "wb") as log:
        # A session of its own: an interrupt at the keyboard reaches this process, which then ends the others in order.
        process = subprocess.Popen(
            [sys.executable, "-m", "augury.run.worker", str(folder / "job.json")],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    return Running(job, process, folder, before)


def _end(running: Running) -> Outcome:
    """Judge a notebook whose process has ended, and keep its executed copy."""
    job, code = running.job, running.process.returncode
    log = (running.folder / "log.txt").read_text(encoding="utf-8", errors="replace").strip()
    complaint = ""
    if code < 0:
        complaint = f"its process was killed by signal {-code}"
    elif code > 0:
        complaint = log or f"its process ended with code {code}"
    target = executed(job)
    copy = running.folder / target.name
    outcome = judge(job, time.monotonic() - running.began, copy, complaint, running.before)
    failed = target.with_suffix(".failed.ipynb")
    target.parent.mkdir(parents=True, exist_ok=True)
    if copy.exists():
        os.replace(copy, target if outcome.status == DONE else failed)
    if outcome.status == DONE:
        failed.unlink(missing_ok=True)
    shutil.rmtree(running.folder, ignore_errors=True)
    return outcome


def times(profile: str) -> dict[str, float]:
    """Return the seconds that the jobs of a profile took when they were last done, by name."""
    return _state(build(profile) / "times.json")


def _remember(outcome: Outcome) -> None:
    place = build(outcome.job.profile) / "times.json"
    fresh = place.with_suffix(".tmp")
    fresh.write_text(json.dumps(times(outcome.job.profile) | {outcome.job.name: round(outcome.seconds, 1)}, indent=1))
    os.replace(fresh, place)


@contextlib.contextmanager
def _interruptible() -> Iterator[None]:
    """Let a polite request to end this process end its notebooks first, as an interrupt at the keyboard does."""

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def run_jobs(
    jobs: Sequence[Job], budget: Budget, timeout: int, scheduler: str | None = None, screen: Screen | None = None
) -> list[Outcome]:
    """Run notebooks; return how each ended, in their order.

    One that fails does not stop the others. The index starts when all others have ended, since it reads what they made.

    Parameters
    ----------
    jobs : sequence of Job
    budget : Budget
    timeout : int
        Seconds that one cell of a notebook may take.
    scheduler : str, optional
        Address of a Dask scheduler that the notebooks' grids run on.
    screen : Screen, optional
        Where to show the progress.
    """
    profile = jobs[0].profile if jobs else QUICK
    waiting, running, outcomes = list(jobs), list[Running](), dict[str, Outcome]()
    with screen or Screen(jobs, times(profile)) as shown, _interruptible():
        try:
            while waiting or running:
                while waiting and len(running) < budget.notebooks and not (running and is_index(waiting[0].notebook)):
                    running.append(_start(waiting.pop(0), budget, timeout, scheduler))
                for ended in [one for one in running if one.process.poll() is not None]:
                    running.remove(ended)
                    outcome = outcomes[ended.job.name] = _end(ended)
                    shown.ended(outcome)
                    if outcome.status == DONE:
                        _remember(outcome)
                shown.show([one.look() for one in running])
                time.sleep(POLL if running else 0)
        finally:
            for one in running:
                one.stop()
    return [outcomes[job.name] for job in jobs]
