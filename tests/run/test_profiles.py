"""From profiles and the command line to jobs: what is refused before anything starts."""

from typing import Any

import pytest

from augury.errors import NotebookError, ParameterError
from augury.run.budget import Budget, cores, share
from augury.run.notebooks import discover
from augury.run.profiles import Job, parse, plan_jobs


@pytest.fixture
def papers(house: Any) -> Any:
    """Two papers and an index."""
    house.notebook("0-index", "print(1)", parameters=None)
    for id in ("10-late/a", "2-early/second", "2-early/first", "2-early/appendix"):
        house.notebook(id, "print(n)", artefacts=["Figure 1"], plan="study:cells")
    listing = house.root / "data" / "published" / "artefacts.toml"
    listing.parent.mkdir(parents=True)
    entry = '{{ name = "Figure {}", notebook = "2-early/{}" }}'
    entries = ", ".join(entry.format(i, name) for i, name in enumerate(("first", "second", "first")))
    listing.write_text(f'[[works]]\nid = "2-early"\nartefacts = [{entries}]\n')
    return house


def jobs(profile: str = "quick", only: str | None = None, **given: Any) -> list[Job]:
    return plan_jobs(discover(), profile, only, given)


def test_notebooks_come_in_reading_order_and_the_index_last(papers: Any) -> None:
    (papers.notebooks / "2-early" / ".ipynb_checkpoints").mkdir()
    (papers.notebooks / "2-early" / ".ipynb_checkpoints" / "first-checkpoint.ipynb").write_text("{}")
    found = discover()
    assert [n.id for n in found] == ["2-early/first", "2-early/second", "2-early/appendix", "10-late/a", "0-index"]
    assert found[0].parameters == {"profile": "quick", "run": "", "n": 3, "C": 1.0, "sets": ["a", "b"]}
    assert found[0].artefacts == ("Figure 1",) and found[0].plans == ("study:cells",)
    assert found[-1].parameters is None and found[-1].artefacts == ()


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("2-early", ["2-early/first", "2-early/second", "2-early/appendix"]),
        ("2-early/", ["2-early/first", "2-early/second", "2-early/appendix"]),
        ("notebooks/2-early/second.ipynb", ["2-early/second"]),
        ("2-early/second", ["2-early/second"]),
        ("*a*", ["2-early/first", "2-early/second", "2-early/appendix", "10-late/a"]),
        ("?-index", ["0-index"]),
    ],
)
def test_patterns_choose_notebooks(papers: Any, pattern: str, expected: list[str]) -> None:
    assert [job.name for job in jobs(only=pattern)] == expected


def test_an_unknown_notebook_is_refused_with_the_known_ones(papers: Any) -> None:
    with pytest.raises(ParameterError, match="'2-earl'; there are: 2-early/first, 2-early/second"):
        jobs(only="2-earl")


def test_quick_changes_nothing(papers: Any) -> None:
    assert [job.changes for job in jobs()] == [{}] * 5
    assert {job.run for job in jobs()} == {""}


def test_a_profile_runs_what_it_lists_with_its_parameters(papers: Any) -> None:
    papers.profile("laptop", "2-early/first: {n: 5, C: 10}\n10-late/a:\n")
    first, late, index = jobs("laptop")
    assert (first.name, first.changes) == ("2-early/first", {"profile": "laptop", "n": 5, "C": 10.0})
    assert isinstance(first.changes["C"], float)
    assert first.parameters == {"profile": "laptop", "run": "", "n": 5, "C": 10.0, "sets": ["a", "b"]}
    assert (late.name, late.changes) == ("10-late/a", {"profile": "laptop"})
    assert (index.name, index.changes) == ("0-index", {})
    with pytest.raises(ParameterError, match="no notebook of the profile laptop is called '2-early/second'"):
        jobs("laptop", "2-early/second")


def test_several_runs_share_what_stands_beside_them(papers: Any) -> None:
    papers.profile("laptop", "2-early/first: {n: 5, runs: [{run: x, sets: [a]}, {run: y, n: 6}]}")
    one, two, _ = jobs("laptop")
    assert (one.name, one.run, one.changes["n"], one.changes["sets"]) == ("2-early/first/x", "x", 5, ["a"])
    assert (two.name, two.run, two.changes["n"]) == ("2-early/first/y", "y", 6)
    assert [job.name for job in jobs("laptop", "2-early/first/y")] == ["2-early/first/y"]


@pytest.mark.parametrize(
    ("profile", "message"),
    [
        ("2-early/frist: {n: 5}", "no notebook is called '2-early/frist'; there are: 2-early/first"),
        ("2-early/first: {m: 5}", "unknown parameter m; it knows profile, run, n, C, sets"),
        ("2-early/first: {n: many}", "n is a whole number such as 3, not 'many'"),
        ("2-early/first: {n: 2.5}", "n is a whole number such as 3, not 2.5"),
        ("2-early/first: {n: true}", "n is a whole number such as 3, not True"),
        ("2-early/first: {C: 1e-3}", "C is a real number such as 1.0, not '1e-3'"),
        ("2-early/first: {sets: a}", r"sets is a list such as \['a', 'b'\], not 'a'"),
        ("0-index: {n: 5}", "no cell tagged parameters, so n cannot be set"),
        ("2-early/first: {runs: [{n: 5}]}", "needs a label of its own"),
        ("2-early/first: {runs: [{run: x}, {run: x}]}", "needs a label of its own"),
        ("2-early/first: {runs: [{run: ../x}]}", "needs a label of its own"),
        ("2-early/first: {runs: {n: 5}}", "runs is a list"),
        ("2-early/first: 5", "must give parameters"),
        ("2-early/first: {n: 5", "not valid YAML"),
    ],
)
def test_mistakes_in_a_profile_are_refused(papers: Any, profile: str, message: str) -> None:
    papers.profile("laptop", profile)
    with pytest.raises(ParameterError, match=message):
        jobs("laptop")


def test_unknown_profiles_are_refused_with_the_known_ones(papers: Any) -> None:
    papers.profile("laptop", "")
    for wrong in ("labtop", "../laptop"):
        with pytest.raises(ParameterError, match="there are: laptop, quick"):
            jobs(wrong)


def test_given_parameters_go_before_the_profile_and_reach_every_notebook_that_has_any(papers: Any) -> None:
    papers.profile("laptop", "2-early/first: {n: 5}\n2-early/second: {n: 6}")
    first, second, index = jobs("laptop", n=7)
    assert (first.changes["n"], second.changes["n"], index.changes) == (7, 7, {})
    assert [job.changes for job in jobs(n=3)] == [{}] * 5  # the notebooks' own value is no change


def test_given_parameters_that_are_unknown_are_refused_with_the_known_ones(papers: Any) -> None:
    with pytest.raises(ParameterError, match="2-early/first: unknown parameter m; it knows profile, run, n, C, sets"):
        jobs(m=1)
    with pytest.raises(ParameterError, match="0-index: it has no cell tagged parameters, so n cannot be set"):
        jobs(only="0-index", n=1)
    with pytest.raises(ParameterError, match="--profile"):
        jobs(profile="quick") and plan_jobs(discover(), given={"profile": "laptop"})
    papers.profile("laptop", "2-early/first: {runs: [{run: x}, {run: y}]}")
    with pytest.raises(ParameterError, match="same label"):
        jobs("laptop", run="z")


def test_values_are_read_as_python_or_yaml() -> None:
    given = parse(["a=1", "b=1e-3", "c=[1, 2]", "d=true", "e=mnist", "f=x=y", "g='1'", "h=", "i=None", "j=[a, b]"])
    expected = {"a": 1, "b": 0.001, "c": [1, 2], "d": True, "e": "mnist", "f": "x=y", "g": "1", "i": None}
    assert given == expected | {"h": None, "j": ["a", "b"]}
    for wrong in ("a", "1=2", "=3", "a b=1"):
        with pytest.raises(ParameterError, match="name=value"):
            parse([wrong])
    with pytest.raises(ParameterError, match="twice"):
        parse(["a=1", "a=2"])


@pytest.mark.parametrize("cell", ["n = f(3)", "import os", "n, m = 1, 2", "n = 3 +", "n.m = 3"])
def test_a_parameters_cell_holds_plain_values(house: Any, cell: str) -> None:
    house.notebook("1-a/b", parameters=cell)
    with pytest.raises(NotebookError, match="b.ipynb: the parameters cell may only give names literal values"):
        discover()


def test_annotated_negative_and_commented_parameters_are_read(house: Any) -> None:
    house.notebook("1-a/b", parameters='"""What can be set."""\nn: int = -3  # below 0\nlimit = None')
    assert discover()[0].parameters == {"n": -3, "limit": None}


def test_files_that_are_no_notebooks_are_named(house: Any) -> None:
    with pytest.raises(NotebookError, match="no notebooks in"):
        discover()
    house.notebooks.mkdir()
    (house.notebooks / "a.ipynb").write_text("{}")
    with pytest.raises(NotebookError, match="a.ipynb is not a notebook"):
        discover()


def test_jobs_times_workers_never_exceed_the_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("augury.run.budget.cores", lambda: 8)
    monkeypatch.delenv("AUGURY_JOBS", raising=False)
    assert share() == Budget(1, 8)
    for jobs in range(1, 9):
        for at_once in range(1, jobs + 1):
            budget = share(jobs, at_once)
            assert budget.notebooks * budget.workers <= jobs and budget.workers >= 1
    monkeypatch.setenv("AUGURY_JOBS", "4")
    assert share(at_once=2) == Budget(2, 2)
    assert share(jobs=6) == Budget(1, 6)
    for wrong in ({"jobs": 9}, {"jobs": 0}, {"jobs": 2, "at_once": 3}, {"at_once": 0}):
        with pytest.raises(ParameterError):
            share(**wrong)
    monkeypatch.setenv("AUGURY_JOBS", "many")
    with pytest.raises(ParameterError, match="AUGURY_JOBS"):
        share()
    assert cores() >= 1
