"""Runs: cached, in order, on one thread a worker, going on after a failure."""

import importlib
import io
import json
import math
import os
import shutil
from pathlib import Path
from types import ModuleType

import numpy as np
import pandas as pd
import pytest
import torch
from threadpoolctl import threadpool_info, threadpool_limits

from augury.errors import GridError, MissingDataError, ParameterError
from augury.grid import Plan, missing, run
from augury.grid import running as running_module
from augury.grid.progress import Progress
from augury.seeding import rng


def stored(cache: Path) -> list[Path]:
    return sorted(cache.rglob("*.json"))


def test_rows_follow_the_cells_and_a_second_run_computes_nothing(
    experiments: ModuleType, cache: Path, tmp_path: Path
) -> None:
    log = tmp_path / "log"
    # The first cell is the slowest, so that the cells finish in another order than the plan's.
    plan = Plan(experiments.draw, [{"x": x, "delay": 0.3 * (x == 5), "log": str(log)} for x in (5, 1, 3, 2, 4)])
    rows = run(plan, jobs=2, cache=cache)
    assert rows["x"].tolist() == [x for x in (5, 1, 3, 2, 4) for _ in range(3)]
    assert rows["value"].tolist() == [v for x in (5, 1, 3, 2, 4) for v in rng(0, "draw", x).normal(size=3)]
    assert log.read_text().split()[0] in "51"  # two at once: the first started is one of the first two
    pd.testing.assert_frame_equal(run(plan, jobs=2, cache=cache), rows, check_exact=True)
    assert sorted(log.read_text().split()) == ["1", "2", "3", "4", "5"]
    assert len(stored(cache)) == 5


def test_cells_are_started_in_the_given_order(experiments: ModuleType, cache: Path, tmp_path: Path) -> None:
    log = tmp_path / "log"
    plan = Plan(experiments.draw, [{"x": x, "log": str(log)} for x in (3, 1, 2)])
    run(plan, jobs=1, cache=cache, progress=False)
    assert log.read_text().split() == ["3", "1", "2"]


def test_only_missing_cells_run(experiments: ModuleType, cache: Path, tmp_path: Path) -> None:
    log = tmp_path / "log"
    cells = [{"x": x, "log": str(log)} for x in range(4)]
    run(Plan(experiments.draw, cells[1:3]), jobs=1, cache=cache)
    plan = Plan(experiments.draw, cells)
    assert missing(plan, cache) == [cells[0], cells[3]]
    run(plan, jobs=1, cache=cache)
    assert log.read_text().split() == ["1", "2", "0", "3"]
    assert missing(plan, cache) == []


def test_values_survive_as_they_are(experiments: ModuleType, cache: Path) -> None:
    plan = Plan(experiments.odd_values, [{"x": 0}])
    for _ in range(2):
        rows = run(plan, jobs=1, cache=cache)
        assert rows["y"].tolist()[:2] == [float(np.float32(0.1)), 1 / 3]
        assert math.isnan(rows["y"][2]) and rows["y"][3] == -math.inf and rows["y"][4] == 5e-324
        assert rows["k"].tolist() == [0, 1, 2, 3, 4] and set(rows["s"]) == {"text"}


@pytest.mark.parametrize("jobs", [1, 2])
def test_each_cell_runs_on_one_thread_and_gives_the_caller_its_own_back(
    experiments: ModuleType, cache: Path, jobs: int
) -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        with threadpool_limits(2):
            pools = threadpool_info()
            rows = run(Plan(experiments.threads, [{"x": x} for x in range(4)]), jobs=jobs, cache=cache)
            assert threadpool_info() == pools
        assert set(rows["torch"]) == {1}
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


@pytest.mark.parametrize("jobs", [1, 2])
def test_a_failing_cell_is_reported_after_the_others_finished(experiments: ModuleType, cache: Path, jobs: int) -> None:
    plan = Plan(experiments.failing, [{"x": x} for x in range(6)])
    with pytest.raises(GridError) as caught:
        run(plan, jobs=jobs, cache=cache)
    text = str(caught.value)
    assert "2 of 6 cells failed" in text and '{"x": 1}' in text
    assert "Traceback" in text and "ValueError: no good: 1" in text and "MissingDataError: the set is not" in text
    assert [cell["x"] for cell in missing(plan, cache)] == [1, 2]


def test_cells_that_lack_only_their_data_end_as_missing_data(experiments: ModuleType, cache: Path) -> None:
    with pytest.raises(MissingDataError, match="^the set is not at hand; make data DATASETS=it$"):
        run(Plan(experiments.failing, [{"x": x} for x in (0, 2)]), jobs=1, cache=cache)
    assert len(stored(cache)) == 1


def test_a_data_set_that_is_not_there_is_asked_for_once_and_the_other_cells_run(
    experiments: ModuleType, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def load(name: str) -> None:
        asked.append(name)
        if name == "mnist":
            raise MissingDataError("mnist is not at hand")

    monkeypatch.setattr(running_module.data, "load", load)
    (Path(experiments.__file__ or "")).write_text("def count(dataset, x):\n    return [{'y': x}]\n")
    module = importlib.reload(experiments)
    named = ("digits+mnist", "mnist", "digits", "digits+breast-cancer")
    plan = Plan(module.count, [{"dataset": d, "x": x} for x in range(2) for d in named])
    with pytest.raises(MissingDataError, match="^mnist is not at hand$"):
        run(plan, jobs=1, cache=cache)
    assert asked == ["digits", "mnist", "breast-cancer"] and len(stored(cache)) == 4


def test_a_worker_killed_once_costs_nothing(experiments: ModuleType, cache: Path, tmp_path: Path) -> None:
    plan = Plan(experiments.deadly, [{"x": x, "once": str(tmp_path / "once")} for x in range(6)])
    with pytest.warns(UserWarning, match="started again"):
        rows = run(plan, jobs=2, cache=cache)
    assert rows["y"].tolist() == list(range(6))


def test_a_cell_that_always_kills_its_worker_is_given_up_and_the_others_finish(
    experiments: ModuleType, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("augury.grid.processes.ATTEMPTS", 1)
    plan = Plan(experiments.deadly, [{"x": x} for x in range(6)])
    with (
        pytest.warns(UserWarning, match="started again"),
        pytest.raises(GridError, match="(?s)1 of 6 cells.*too little memory"),
    ):
        run(plan, jobs=2, cache=cache)
    assert [cell["x"] for cell in missing(plan, cache)] == [2]


@pytest.mark.parametrize("kind", ["cut", "flipped", "empty", "other"])
def test_a_damaged_record_is_set_aside_and_computed_again(experiments: ModuleType, cache: Path, kind: str) -> None:
    plan = Plan(experiments.draw, [{"x": x} for x in range(3)])
    rows = run(plan, jobs=1, cache=cache)
    victim = stored(cache)[1]
    whole = victim.read_bytes()
    place = whole.index(b'"value":') + len(b'"value":') + 3
    flipped = whole[:place] + (b"1" if whole[place : place + 1] != b"1" else b"2") + whole[place + 1 :]
    damage = {"cut": whole[:-20], "flipped": flipped, "empty": b"", "other": b'["something else"]'}[kind]
    victim.write_bytes(damage)
    with pytest.warns(UserWarning, match=f"{victim.name} is damaged"):
        again = run(plan, jobs=1, cache=cache)
    pd.testing.assert_frame_equal(again, rows, check_exact=True)
    assert victim.with_suffix(".damaged").read_bytes() == damage
    record, before = json.loads(victim.read_bytes())["record"], json.loads(whole)["record"]
    assert record["rows"] == before["rows"]


def test_caches_of_several_machines_are_merged_by_copying_files(experiments: ModuleType, tmp_path: Path) -> None:
    here, there, cells = tmp_path / "here", tmp_path / "there", [{"x": x} for x in range(6)]
    run(Plan(experiments.draw, cells[:4]), jobs=1, cache=here)
    run(Plan(experiments.draw, cells[3:]), jobs=1, cache=there)
    shutil.copytree(there, here, dirs_exist_ok=True)
    plan = Plan(experiments.draw, cells)
    assert missing(plan, here) == []
    pd.testing.assert_frame_equal(run(plan, cache=here), run(plan, jobs=1, cache=tmp_path / "third"), check_exact=True)


def test_changed_code_is_not_mistaken_for_what_is_loaded(experiments: ModuleType, cache: Path) -> None:
    plan = Plan(experiments.draw, [{"x": 0}])
    run(plan, jobs=1, cache=cache)
    source = Path(experiments.__file__ or "")
    source.write_text(source.read_text().replace("size=3", "size=4"))
    later = source.stat().st_mtime + 2
    os.utime(source, (later, later))  # Python tells sources apart by whole seconds
    assert missing(plan, cache) == [{"x": 0}]
    with pytest.raises(GridError, match="changed while it was in use"):
        run(plan, jobs=1, cache=cache)  # this process still holds the old code
    cells = [{"x": x} for x in range(2)]
    assert len(run(Plan(experiments.draw, cells), jobs=2, cache=cache)) == 8  # new processes load the new code


@pytest.mark.parametrize(
    ("name", "message"),
    [("contradicting", "'x' of a row is also a setting"), ("untidy", "not dict"), ("unwritable", "what JSON cannot")],
)
def test_experiments_that_return_no_tidy_rows_are_told(
    experiments: ModuleType, cache: Path, name: str, message: str
) -> None:
    with pytest.raises(GridError, match=message):
        run(Plan(getattr(experiments, name), [{"x": 0}]), jobs=1, cache=cache)
    assert stored(cache) == []


def test_a_cell_given_twice_is_refused(experiments: ModuleType, cache: Path) -> None:
    with pytest.raises(ParameterError, match="twice"):
        run(Plan(experiments.draw, [{"x": 1}, {"x": 2}, {"x": 1}]), cache=cache)


@pytest.mark.parametrize("jobs", [0, -1, "many"])
def test_jobs_are_a_positive_number(experiments: ModuleType, cache: Path, jobs: int) -> None:
    with pytest.raises(ParameterError, match="positive integer"):
        run(Plan(experiments.draw, [{"x": 1}]), jobs=jobs, cache=cache)


def test_progress_says_done_total_elapsed_expected_and_which_cell(
    experiments: ModuleType, cache: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run(Plan(experiments.draw, [{"x": 0, "seed": 7}]), jobs=1, cache=cache, progress=False)
    assert capsys.readouterr().err == ""
    run(Plan(experiments.draw, [{"x": x, "seed": 7} for x in range(3)]), jobs=1, cache=cache)
    lines = capsys.readouterr().err.splitlines()
    assert [line.split(",")[0] for line in lines] == ["draw: 2/3", "draw: 3/3"]
    assert "of about 0:00:0" in lines[0] and "; x 1 in 0:00:0" in lines[0] and "seed" not in lines[0]


def test_progress_is_left_in_a_file_for_the_runner(
    experiments: ModuleType,
    cache: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("AUGURY_PROGRESS", str(tmp_path / "progress.json"))
    run(Plan(experiments.draw, [{"x": x} for x in range(3)]), jobs=1, cache=cache)
    state = json.loads((tmp_path / "progress.json").read_text())
    assert (state["name"], state["done"], state["total"]) == ("draw", 3, 3)
    assert state["elapsed"] <= state["expected"] + 1
    assert capsys.readouterr().err == ""


def test_a_person_at_a_terminal_sees_a_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = io.StringIO()
    monkeypatch.setattr(screen, "isatty", lambda: True)
    bar = Progress("draw", 4, 1, stream=screen)
    bar.finished("x 1")
    bar.close()
    assert "draw" in screen.getvalue() and "1/4" in screen.getvalue()
