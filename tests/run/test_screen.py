"""What a person sees."""

import io
import time
from pathlib import Path

import pytest
from rich.console import Console

from augury.run import screen as screens
from augury.run.notebooks import Notebook
from augury.run.outcome import Outcome
from augury.run.profiles import Job
from augury.run.screen import Glimpse, Screen, clock, summary

JOBS = [Job(Notebook(f"1-a/{name}", Path(), {}, (), ()), "quick", "", {}) for name in ("one", "two", "three")]
CELL = {"cell": 4, "cells": 18}
GRID = {"name": "trajectory", "done": 12, "total": 165, "elapsed": 60.0, "expected": 300.0}


def test_times_are_easily_read() -> None:
    assert [clock(s) for s in (0, 9.6, 61, 3599, 3600, 36061)] == [
        "0:00", "0:10", "1:01", "59:59", "1:00:00", "10:01:01"
    ]  # fmt: skip


def test_a_log_gets_a_line_at_the_start_now_and_then_and_at_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [1000.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    out = io.StringIO()
    with Screen(JOBS, {"1-a/one": 75.0}, Console(file=out, width=60)) as screen:
        for second in range(100):
            now[0] = 1000.0 + second
            screen.show([Glimpse(JOBS[0], 1000.0, CELL, GRID | {"done": second})])
        screen.ended(Outcome(JOBS[0], "FAILED", 100.0, "ValueError: [bold]no[/bold]"))
    lines = out.getvalue().splitlines()
    assert lines[0] == "[1/3] 1-a/one: starts, about 1:15"
    assert lines[1] == "[1/3] 1-a/one: cell 4 of 18, trajectory 30/165, 4:00 to go after 0:30"
    assert len(lines) == 2 + int(100 / screens.LOG_EVERY) - 1 + 1
    assert lines[-1] == "[1/3] 1-a/one: FAILED in 1:40: ValueError: [bold]no[/bold]"


def test_a_terminal_shows_what_runs_what_is_done_elapsed_and_expected() -> None:
    out = io.StringIO()
    console = Console(file=out, width=100, force_terminal=True, color_system=None)
    expected = {"1-a/one": 10.0, "1-a/two": 100.0, "1-a/three": 50.0}
    with Screen(JOBS, expected, console) as screen:
        screen.ended(Outcome(JOBS[0], "done", 11.0))
        screen.show([Glimpse(JOBS[1], time.monotonic() - 30, CELL, GRID)])
    said = out.getvalue()
    assert "1 of 3 notebooks, 0:00, about 2:00 to go" in said
    assert "done" in said and "cell 4 of 18, trajectory 12/165, 4:00 to go" in said and "waits" in said
    assert "0:30" in said and "1:40" in said


def test_what_is_left_is_unknown_as_long_as_a_notebook_is_new() -> None:
    screen = Screen(JOBS, {"1-a/one": 10.0}, Console(file=io.StringIO()))
    assert screen.remaining(time.monotonic()) is None


def test_the_summary_tells_every_outcome_and_errors_in_full() -> None:
    out = io.StringIO()
    outcomes = [
        Outcome(JOBS[0], "done", 11.0),
        Outcome(JOBS[1], "not run", 2.0, "no mnist", "no mnist\nmake data DATASETS=mnist"),
        Outcome(JOBS[2], "FAILED", 3.0, "ValueError: x[0]", "cell [3]:\n" + "x" * 200 + "\nValueError: x[0]"),
    ]
    summary(outcomes, Console(file=out, width=80))
    said = out.getvalue()
    for text in ("1-a/one", "0:11", "not run", "FAILED", "make data DATASETS=mnist", "x" * 200, "ValueError: x[0]"):
        assert text in said
    assert "1-a/one: done" not in said
