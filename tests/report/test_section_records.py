"""A section reads its parameters, records rows, figures, tables and claims, and says where they come from."""

import json
import shutil
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import nbformat
import numpy as np
import pandas as pd
import pytest

from augury import data
from augury.claims import Claim, Part, difference, missing
from augury.errors import NotebookError, ParameterError
from augury.plan import Plan
from augury.report import Section


def accuracy(dataset: str, augmentation: str, round: int) -> list[dict[str, Any]]:
    """Stand in for an experiment: two rows a cell."""
    return [{"k": k, "accuracy": 0.9 + 0.01 * round + k / 1000} for k in (0, 10)]


def plan(params: dict[str, Any]) -> Plan:
    names, rounds = params["augmentations"], range(params["rounds"])
    cells = [{"dataset": params["dataset"], "augmentation": a, "round": r} for a in names for r in rounds]
    return Plan(accuracy, cells)


def namespace(**changed: Any) -> dict[str, Any]:
    given = {"profile": "quick", "run": "", "dataset": "digits", "rounds": 3, "augmentations": ["translate", "rotate"]}
    return {**given, "other": object(), **changed}


def record(drawn: bool = True, **changed: Any) -> Section:
    """Run a whole notebook's worth."""
    section = Section("1-subsampling/policies", namespace(**changed))
    rows = section.run(plan)
    if drawn:  # saving a picture takes longer than all else
        fig, ax = plt.subplots(figsize=(2, 1))
        ax.plot(rows["k"], rows["accuracy"])
        section.figure(fig, "Figure 3", rows, "Accuracy.")
    section.table(rows.groupby("k", as_index=False)["accuracy"].mean(), "Table 12", "Means.", published="1", ours="2")
    parts = (Part("a", difference(rows["accuracy"], 0.5)), missing("small-norb", "its files are not at hand"))
    section.claim(Claim("1-subsampling/fig3/high", "accuracy is high", "Figure 3", parts))
    section.deviation("digits in place of MNIST")
    return section


def test_parameters_are_those_of_the_tagged_cell(repository: Path) -> None:
    section = Section("1-subsampling/policies", namespace(rounds=5))
    assert section.params == {k: v for k, v in namespace(rounds=5).items() if k != "other"}
    assert section.folder == repository / "figures/quick/1-subsampling/policies"
    labelled = Section("1-subsampling/policies", namespace(profile="laptop", run="mnist"))
    assert labelled.folder == repository / "figures/laptop/1-subsampling/policies/mnist"


def test_rows_come_from_the_plan_of_the_parameters(repository: Path) -> None:
    rows = Section("1-subsampling/policies", namespace(rounds=2)).run(plan)
    assert len(rows) == 2 * 2 * 2
    assert list(rows["augmentation"].unique()) == ["translate", "rotate"]


def test_manifest_says_where_results_come_from(repository: Path) -> None:
    section = record()
    verdicts = section.finish()
    manifest = json.loads((section.folder / "manifest.json").read_text())
    assert manifest["parameters"] == section.params and manifest["profile"] == "quick"
    assert manifest["data"] == {"digits": data.digest("digits")}
    assert list(manifest["code"]) == [f"{accuracy.__module__}:accuracy"] and manifest["cells"] == 6
    assert manifest["packages"]["numpy"] == np.__version__ and manifest["machine"]["cores"] >= 1
    assert manifest["seconds"]["rest"] >= 0 and manifest["deviations"] == ["digits in place of MNIST"]
    assert manifest["commit"] is None  # the repository of this test is not under git
    files = [artefact["files"] for artefact in manifest["artefacts"]]
    assert files == [["figure-3.png", "figure-3.svg", "figure-3.csv"], ["table-12.csv"]]
    assert all((section.folder / file).exists() for listed in files for file in listed)
    assert verdicts.to_dict("records") == [
        {"claim": "1-subsampling/fig3/high", "verdict": "replicated", "holds": "1 of 1"}
    ]
    assert (
        json.loads((section.folder / "claims.json").read_text())[0]["parts"][1]["note"] == "its files are not at hand"
    )


def test_manifest_names_no_host_and_no_path(repository: Path) -> None:
    import getpass
    import socket

    section = record()
    section.finish()
    text = (section.folder / "manifest.json").read_text()
    assert socket.gethostname() not in text and str(repository) not in text and str(Path.home()) + "/" not in text
    assert f'"{getpass.getuser()}"' not in text


def test_cells_count_once_and_keep_the_seconds_they_took(repository: Path) -> None:
    first = record(drawn=False)
    first.run(plan)  # asked for twice, computed once
    first.finish()
    before = json.loads((first.folder / "manifest.json").read_text())
    again = record(drawn=False)
    again.finish()
    after = json.loads((again.folder / "manifest.json").read_text())
    assert (before["cells"], after["cells"]) == (6, 6)
    assert before["seconds"]["cells"] == after["seconds"]["cells"]


def test_saved_rows_are_read_back_beside_the_fresh_ones(repository: Path) -> None:
    for run in ("mnist", "mnist-frozen"):
        record(profile="laptop", run=run).finish()
    section = Section("1-subsampling/policies", namespace())
    [figure, _, *tables, absent] = section.shown("Figure 3", "Table 12", "Table 13")
    assert "**Figure 3, recorded.** Accuracy." in figure.caption and figure.body.data[:4] == b"\x89PNG"
    assert [table.caption.split("run ")[1].split(";")[0].rstrip(")*") for table in tables] == ["mnist", "mnist-frozen"]
    assert "0.91" in repr(tables[0].body) and tables[0].body.rows.equals(tables[1].body.rows)
    assert (
        section.shown("Table 12", profile="paper")[0].body is None
        and absent.body is None
        and "Table 13**: not recorded" in absent.caption
    )
    assert list(section.verdicts()["run"]) == ["mnist", "mnist-frozen"]
    assert section.verdicts(profile="paper").empty


def test_recorded_results_are_the_committed_ones(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    record(drawn=False, profile="laptop").finish()
    monkeypatch.setenv("AUGURY_FIGURES", str(repository / "elsewhere"))
    assert Section("1-subsampling/policies", namespace()).shown("Table 12")[0].body is not None


def test_captions_say_data_profile_and_seeds(repository: Path) -> None:
    section = Section("1-subsampling/policies", namespace())
    rows = section.run(plan)
    shown = section.table(rows, "Table 12", "Means.")
    assert shown.caption == "**Table 12.** Means. *(data: digits, not the paper's; profile: quick; 3 rounds)*"
    theirs = section.table(rows.assign(dataset="mnist"), "Table 12", "Means.")
    assert "(data: mnist; profile: quick" in theirs.caption
    for dataset, said in {
        "mnist+cifar-100-8k": "data: mnist, cifar-100-8k; not the paper's: cifar-100-8k; profile",
        "two-moons+digits": "data: two-moons, digits, not the paper's; profile",
    }.items():
        shown = section.table(rows.assign(dataset=dataset), "Table 12", "Means.")
        assert f"({said}" in shown.caption
    own = section.table(rows, "Rounds", "Of our own.")
    assert "(data: digits; profile: quick" in own.caption


def test_captions_name_what_a_data_set_is_a_part_of(repository: Path) -> None:
    place = repository / "notebooks" / "2-influence" / "active-images.ipynb"
    place.parent.mkdir()
    shutil.copy(repository / "notebooks" / "1-subsampling" / "policies.ipynb", place)
    rows = pd.DataFrame({"dataset": ["mnist", "emnist-letters-10k"]})
    shown = Section("2-influence/active-images", namespace()).table(rows, "Table 5", "Settings.")
    assert "(data: mnist, emnist-letters-10k (part of emnist-letters); profile" in shown.caption


def test_shown_displays_body_and_caption(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    section = Section("1-subsampling/policies", namespace())
    shown = section.table(
        pd.DataFrame({"policy": ["a", "b"], "auc": [995.4163, np.nan], "p": [0.25, 3.2e-7]}),
        "Table 12",
        "Means.",
        digits=1,
    )
    displayed: list[Any] = []
    monkeypatch.setattr("augury.report.shown.display", displayed.append)
    shown._ipython_display_()
    html = displayed[0]._repr_html_()
    assert ">995.4<" in html and ">3.2e-07<" in html and "—" in html and "nan" not in html.lower()
    assert displayed[1].data.startswith("**Table 12.**")


def test_files_no_longer_made_are_removed_and_others_kept(repository: Path) -> None:
    section = record()
    section.finish()
    (section.folder / "note.txt").write_text("mine")
    again = Section("1-subsampling/policies", namespace())
    again.table(pd.DataFrame({"a": [1]}), "Table 12", "Means.")
    again.finish()
    assert sorted(path.name for path in again.folder.iterdir()) == [
        "claims.json",
        "manifest.json",
        "note.txt",
        "table-12.csv",
    ]


def test_equal_results_are_equal_bytes(repository: Path) -> None:
    section = record()
    section.finish()
    names = ["figure-3.png", "figure-3.svg", "figure-3.csv", "table-12.csv", "claims.json"]
    before = {name: (section.folder / name).read_bytes() for name in names}
    record().finish()
    assert {name: (section.folder / name).read_bytes() for name in names} == before


@pytest.mark.parametrize(
    "call, error, said",
    [
        (
            lambda: Section("1-subsampling/nothing", namespace()),
            NotebookError,
            "nothing.ipynb is not a notebook: FileNotFoundError",
        ),
        (
            lambda: Section("1-subsampling/policies", {"profile": "quick", "run": ""}),
            ParameterError,
            "does not set dataset, rounds, augm",
        ),
        (lambda: Section("1-subsampling/policies", namespace(rounds=object())), ParameterError, "JSON"),
        (lambda: record(drawn=False).table(pd.DataFrame(), "Table  12", "x"), ParameterError, "same files"),
        (lambda: record(drawn=False).claim(Claim("1-subsampling/fig3/high", "x", "y")), ParameterError, "twice"),
        (
            lambda: record(drawn=False).claim(Claim("2-influence/fig3/high", "x", "y")),
            ParameterError,
            "does not belong",
        ),
    ],
)
def test_mistakes_are_named(repository: Path, call, error: type[Exception], said: str) -> None:
    with pytest.raises(error, match=said):
        call()


def test_a_notebook_without_a_parameters_cell_is_refused(repository: Path) -> None:
    path = repository / "notebooks" / "1-subsampling" / "policies.ipynb"
    nbformat.write(nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("profile = 1")]), path)
    with pytest.raises(NotebookError, match="needs a cell tagged parameters"):
        Section("1-subsampling/policies", namespace())
