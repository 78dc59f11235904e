"""What a person sees of a run: a live table on a terminal, lines in a log, a summary at the end."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Self

from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from augury.run.outcome import DONE, Outcome
from augury.run.profiles import Job

LOG_EVERY = 30.0  # seconds between two lines about the same notebook in a log
_STYLES = {DONE: "green", "FAILED": "bold red", "not run": "yellow"}


def clock(seconds: float) -> str:
    """Return a duration as m:ss or h:mm:ss."""
    whole = round(seconds)
    return (
        f"{whole // 3600}:{whole % 3600 // 60:02}:{whole % 60:02}"
        if whole >= 3600
        else f"{whole // 60}:{whole % 60:02}"
    )


@dataclass(frozen=True)
class Glimpse:
    """How far a running notebook is: its cell, the cells of its grid, and when it began."""

    job: Job
    began: float
    cell: Mapping[str, Any]
    grid: Mapping[str, Any]

    def __str__(self) -> str:
        parts = [f"cell {self.cell['cell']} of {self.cell['cells']}"] if self.cell else ["starting"]
        if self.grid and self.grid["done"] < self.grid["total"]:
            parts.append(f"{self.grid['name']} {self.grid['done']}/{self.grid['total']}")
            if self.grid["expected"]:
                parts.append(f"{clock(max(self.grid['expected'] - self.grid['elapsed'], 0))} to go")
        return ", ".join(parts)


class Screen:
    """Shows a run as it goes, on stderr; a context manager.

    Parameters
    ----------
    jobs : sequence of Job
    expected : mapping
        Seconds that jobs took the last time, by name, as far as that is known.
    console : rich.console.Console, optional
    """

    def __init__(self, jobs: Sequence[Job], expected: Mapping[str, float], console: Console | None = None) -> None:
        self.jobs, self.expected = list(jobs), expected
        self.console = console or Console(file=sys.stderr)
        self.began = time.monotonic()
        self.outcomes: dict[str, Outcome] = {}
        self.running: dict[str, Glimpse] = {}
        self.told: dict[str, tuple[float, str]] = {}
        self.live = Live(console=self.console, auto_refresh=False, transient=True)

    def __enter__(self) -> Self:
        if self.console.is_terminal:
            self.live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.live.stop()

    def _line(self, job: Job, text: str) -> None:
        place = [other.name for other in self.jobs].index(job.name) + 1
        line = f"[{place}/{len(self.jobs)}] {job.name}: {text}"
        self.console.print(line, markup=False, highlight=False, soft_wrap=True)

    def show(self, glimpses: Sequence[Glimpse]) -> None:
        """Show how far the running notebooks are."""
        self.running = {glimpse.job.name: glimpse for glimpse in glimpses}
        now = time.monotonic()
        if self.console.is_terminal:
            self.live.update(self._table(now), refresh=True)
            return
        for name, glimpse in self.running.items():
            if name not in self.told:
                about = f", about {clock(self.expected[name])}" if name in self.expected else ""
                self._line(glimpse.job, f"starts{about}")
                self.told[name] = now, str(glimpse)
            when, said = self.told[name]
            if now - when >= LOG_EVERY and said != str(glimpse):
                self._line(glimpse.job, f"{glimpse} after {clock(now - glimpse.began)}")
                self.told[name] = now, str(glimpse)

    def ended(self, outcome: Outcome) -> None:
        """Show that a notebook has ended."""
        self.outcomes[outcome.job.name] = outcome
        self.running.pop(outcome.job.name, None)
        if not self.console.is_terminal:
            reason = f": {outcome.reason}" if outcome.reason else ""
            self._line(outcome.job, f"{outcome.status} in {clock(outcome.seconds)}{reason}")

    def remaining(self, now: float) -> float | None:
        """Return about how many seconds are left, one notebook after the other; None if a notebook is new."""
        left = 0.0
        for job in self.jobs:
            if job.name in self.outcomes:
                continue
            if job.name not in self.expected:
                return None
            glimpse = self.running.get(job.name)
            left += max(self.expected[job.name] - (now - glimpse.began if glimpse else 0), 0)
        return left

    def _table(self, now: float) -> Table:
        left = self.remaining(now)
        title = f"{len(self.outcomes)} of {len(self.jobs)} notebooks, {clock(now - self.began)}"
        table = Table(title=title + (f", about {clock(left)} to go" if left is not None else ""), title_justify="left")
        for column in ("notebook", "", "time", "expected"):
            table.add_column(column, justify="right" if column in ("time", "expected") else "left")
        for job in self.jobs:
            before = clock(self.expected[job.name]) if job.name in self.expected else ""
            if outcome := self.outcomes.get(job.name):
                status = Text(outcome.status, style=_STYLES[outcome.status])
                table.add_row(job.name, status, clock(outcome.seconds), before)
            elif glimpse := self.running.get(job.name):
                table.add_row(job.name, Text(str(glimpse), style="cyan"), clock(now - glimpse.began), before)
            else:
                table.add_row(job.name, Text("waits", style="dim"), "", before)
        return table


def summary(outcomes: Sequence[Outcome], console: Console) -> None:
    """Print a table of how all notebooks ended, then the errors in full."""
    table = Table()
    for column in ("notebook", "outcome", "time", "reason"):
        justify: Literal["left", "right"] = "right" if column == "time" else "left"
        table.add_column(column, justify=justify, overflow="fold", no_wrap=column in ("notebook", "outcome"))
    for outcome in outcomes:
        status = Text(outcome.status, style=_STYLES[outcome.status])
        table.add_row(outcome.job.name, status, clock(outcome.seconds), Text(outcome.reason))
    console.print(table)
    for outcome in outcomes:
        if outcome.details:
            console.rule(f"{outcome.job.name}: {outcome.status}")
            console.print(outcome.details, markup=False, highlight=False, soft_wrap=True)
