"""How far a run is: a bar for a person, lines for a log, a small file for the notebook runner."""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path
from typing import Any, TextIO

from tqdm import tqdm


def clock(seconds: float) -> str:
    """Return a duration as h:mm:ss."""
    whole = round(seconds)
    return f"{whole // 3600}:{whole % 3600 // 60:02}:{whole % 60:02}"


def in_notebook() -> bool:
    """Whether this process is a notebook's kernel."""
    ipython = sys.modules.get("IPython")
    return ipython is not None and hasattr(ipython.get_ipython(), "kernel")


class Progress:
    """Reports each finished cell with done, total, elapsed and expected time.

    A file named by AUGURY_PROGRESS is kept up to date, for whoever started this process; else a bar is drawn on a
    terminal or in a notebook, else a line is printed for each cell, all on stderr.

    Parameters
    ----------
    name : str
        What is being run.
    total, done : int
        Cells of the plan, and how many the cache already holds.
    show : bool
        False reports nothing.
    """

    def __init__(self, name: str, total: int, done: int, show: bool = True, stream: TextIO | None = None) -> None:
        self.name, self.total, self.first, self.done = name, total, done, done
        self.stream = stream or sys.stderr
        self.start = time.monotonic()
        self.file = os.environ.get("AUGURY_PROGRESS") if show else None
        self.bar: Any = None
        live = self.stream.isatty() or in_notebook()
        if show and not self.file and live:
            self.bar = tqdm(total=total, initial=done, desc=name, unit="cell", leave=False, file=self.stream)
        self.lines = show and not self.file and not live
        self._report("")

    @property
    def elapsed(self) -> float:
        """Seconds since the run began."""
        return time.monotonic() - self.start

    @property
    def expected(self) -> float | None:
        """Seconds the whole run will have taken at the pace so far; None before the first cell."""
        fresh = self.done - self.first
        return self.elapsed * (self.total - self.first) / fresh if fresh else None

    def finished(self, note: str) -> None:
        """Report one more finished cell; `note` says which, and how long it took."""
        self.done += 1
        self._report(note)

    def _report(self, note: str) -> None:
        if self.bar is not None and note:
            self.bar.update()
        if self.lines and note:
            expected = clock(self.expected or 0)
            text = f"{self.name}: {self.done}/{self.total}, {clock(self.elapsed)} of about {expected}; {note}"
            print(text, file=self.stream, flush=True)
        if self.file:
            state = {"name": self.name, "done": self.done, "total": self.total}
            place = Path(self.file)
            fresh = place.with_name(place.name + ".tmp")
            fresh.write_text(json.dumps(state | {"elapsed": self.elapsed, "expected": self.expected}))
            os.replace(fresh, place)

    def close(self) -> None:
        """Take the bar away."""
        if self.bar is not None:
            self.bar.close()
