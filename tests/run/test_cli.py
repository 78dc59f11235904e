"""The command line: exit codes and messages."""

import importlib
import re
import sys
from pathlib import Path
from typing import Any

import pytest

from augury import paths
from augury.run.cli import main

STUDY = '''
"""A study."""
from augury.errors import MissingDataError, ParameterError
from augury.plan import Plan


def experiment(x, C):
    if x == 99:
        raise MissingDataError("no mnist; make data DATASETS=mnist")
    return [{"y": x * C}]


def cells(params):
    if params["n"] < 0:
        raise ParameterError("n must not be negative")
    return Plan(experiment, [{"x": x, "C": params["C"]} for x in range(params["n"])])


def absent(params):
    return Plan(experiment, [{"x": 99, "C": params["C"]}])
'''


@pytest.fixture
def study(house: Any, monkeypatch: pytest.MonkeyPatch):
    (house.root / "toy_study.py").write_text(STUDY)
    monkeypatch.syspath_prepend(str(house.root))
    yield
    sys.modules.pop("toy_study", None)


def records(house: Any) -> int:
    return len(list((house.root / "cache").rglob("*.json")))


def test_a_run_with_a_failure_finishes_the_rest_and_says_so(house: Any, capsys: pytest.CaptureFixture[str]) -> None:
    house.notebook("1-a/bad", "raise ValueError('one\\ntwo')")
    house.notebook("1-a/good", figure=True)
    assert main(["run"]) == 1
    said = capsys.readouterr().err
    assert "[1/2] 1-a/bad: starts" in said and re.search(r"\[2/2\] 1-a/good: done in \d+:\d\d\n", said)
    assert re.search(r"1-a/bad: FAILED in \d+:\d\d: ValueError: one\n", said)
    assert "raise ValueError('one\\ntwo')" in said.split("1-a/bad: FAILED ")[-1]  # in full, after the summary
    assert main(["run", "--only", "1-a/good"]) == 0
    assert re.search(r"\[1/1\] 1-a/good: starts, about \d+:\d\d\n", capsys.readouterr().err)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["-p", "m=1"], "unknown parameter m; it knows profile, run, n, C, sets"),
        (["-p", "n=many"], "n is a whole number such as 3, not 'many'"),
        (["-p", "n"], "name=value"),
        (["--profile", "labtop"], "no profile is called 'labtop'; there are: laptop, quick"),
        (["--only", "1-a/c"], "there are: 1-a/b"),
        (["--jobs", "100000"], "would only hinder each other"),
        (["--jobs", "1", "--at-once", "2"], "2 notebooks at once need as many jobs"),
        (["--store", "-p", "n=2"], "--store keeps the outputs of the notebooks' own parameters"),
    ],
)
def test_what_is_wrong_is_refused_before_anything_starts(
    house: Any, capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    house.notebook("1-a/b", "print(n)")
    house.profile("laptop", "")
    assert main(["run", *arguments]) == 2
    assert message in capsys.readouterr().err
    assert not (house.root / "build").exists()


def test_compute_fills_the_cache_with_the_cells_the_notebook_will_read(
    house: Any, study: None, capsys: pytest.CaptureFixture[str]
) -> None:
    house.notebook("1-a/b", "print(n)", plan="toy_study:cells")
    house.profile("laptop", "1-a/b: {C: 2}")
    assert main(["compute", "1-a/b", "--jobs", "1"]) == 0
    assert records(house) == 3 and "cells, 3 cells" in capsys.readouterr().err
    assert main(["compute", "1-a/b", "--jobs", "1", "--profile", "laptop", "-p", "n=5"]) == 0
    assert records(house) == 8

    toy_study = importlib.import_module("toy_study")

    from augury.grid import missing

    assert missing(toy_study.cells({"n": 5, "C": 2.0})) == []


def test_compute_reports_missing_data_after_the_rest(
    house: Any, study: None, capsys: pytest.CaptureFixture[str]
) -> None:
    house.notebook("1-a/b", "print(n)", plan=["toy_study:absent", "toy_study:cells"])
    house.notebook("1-a/c", "print(n)")
    assert main(["compute", "1-a", "--jobs", "1"]) == 1
    said = capsys.readouterr().err
    assert "not run" in said and "no mnist; make data DATASETS=mnist" in said and records(house) == 3
    assert main(["compute", "1-a/b", "--jobs", "1", "-p", "n=-1"]) == 1
    assert "n must not be negative" in capsys.readouterr().err


@pytest.mark.parametrize("plan", ["toy_study:none", "nowhere:cells", "nonsense", ""])
def test_compute_refuses_a_section_without_a_plan_or_with_a_wrong_one(
    house: Any, study: None, capsys: pytest.CaptureFixture[str], plan: str
) -> None:
    house.notebook("1-a/b", "print(n)", **({"plan": plan} if plan else {}))
    assert main(["compute", "1-a/b"]) == 2
    assert ("is not there" if plan else "no section here has cells") in capsys.readouterr().err


def test_list_names_notebooks_and_what_they_make(house: Any, capsys: pytest.CaptureFixture[str]) -> None:
    house.notebook("1-a/b", "print(n)", artefacts=["Figure 1", "Table 2"])
    house.profile("laptop", "1-a/b: {runs: [{run: x}, {run: y}]}")
    assert main(["list"]) == 0
    said = capsys.readouterr().out
    assert "1-a/b" in said and "Figure 1, Table 2" in said
    assert main(["list", "--profile", "laptop"]) == 0
    said = capsys.readouterr().out
    assert "1-a/b/x" in said and "1-a/b/y" in said


def test_report_and_data_are_handed_on(
    house: Any, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("augury.report.write_report", lambda: Path("figures/REPORT.md"))
    monkeypatch.setattr("augury.report.readme_map", lambda: Path("README.md"))
    assert main(["report"]) == 0
    assert capsys.readouterr().out == "figures/REPORT.md\nREADME.md\n"
    monkeypatch.setattr("augury.data.cli.main", lambda arguments: 5 + len(arguments))
    assert main(["data", "mnist", "--list"]) == 7


def test_store_writes_outputs_of_a_true_run_without_this_machine_s_paths(
    house: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    cell = (
        "import os, sys, warnings\nprint(os.getcwd())\nprint(sys.prefix + '/bin')\nprint(os.path.expanduser('~/x'))\n"
        "warnings.warn('careful')\n{'here': os.getcwd()}"
    )
    path = house.notebook("1-a/b", cell, "n + 1")
    house.notebook("1-a/bad", "print(1)", "1 / 0")
    before, bad = path.read_text(), (house.notebooks / "1-a/bad.ipynb").read_text()
    assert main(["run", "--store"]) == 1
    capsys.readouterr()
    text = path.read_text()
    assert text != before and (house.notebooks / "1-a/bad.ipynb").read_text() == bad
    for own in (str(house.root), str(paths.root()), sys.prefix, str(Path.home()) + "/", "ipykernel_", "papermill"):
        assert own not in text
    said = house.outputs(path).split("\n")
    assert said[:3] == ["./notebooks/1-a", "<environment>/bin", "~/x"]
    assert "UserWarning: careful" in house.outputs(path) and said[-1].endswith("4")
    assert '"execution_count": 3' in text and '"parameters"' in text
    assert main(["run", "--store", "--only", "1-a/b"]) == 0
    assert path.read_text() == text, "stored outputs differ from run to run"
