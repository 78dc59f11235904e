"""What changes the key of a cell, and what does not."""

import shutil
from pathlib import Path
from types import ModuleType

import pytest

from augury import data
from augury.errors import GridError, ParameterError
from augury.grid import code, key
from augury.grid.code import code_hash, dependencies
from augury.subsampling.sweep import trajectory


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the package whose sources the hash is taken from."""
    copy = tmp_path / "augury"
    shutil.copytree(code.PACKAGE, copy, ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(code, "PACKAGE", copy)
    return copy


def edit(file: Path, old: str, new: str) -> None:
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new))


def test_dependencies_are_followed_through_the_package_but_not_into_data(experiments: ModuleType) -> None:
    found = dependencies(trajectory)
    assert {"augury.subsampling.sweep", "augury.subsampling.task", "augury.models.logistic"} <= set(found)
    assert "augury.models.lenet" in found  # only imported by augury.subsampling.features, two steps away
    assert not [name for name in found if name.startswith(("augury.data", "augury.errors", "augury.paths"))]
    assert not [name for name in found if name.startswith(("augury.report", "augury.grid", "augury.run"))]
    assert list(dependencies(experiments.draw)) == ["augury.seeding", "grid_experiments"]


def test_comments_docstrings_and_layout_do_not_count(package: Path, experiments: ModuleType) -> None:
    before = code_hash(experiments.draw)
    source = Path(experiments.__file__ or "")
    edit(package / "seeding.py", '"""Return the words', '"""Give back the words')
    edit(package / "seeding.py", "words = [int(seed)]", "# why\n    words = [\n        int(seed),\n    ]")
    edit(source, '"""Draw three', '"""Draw exactly three')
    edit(source, "time.sleep(delay)", "time.sleep( delay )  # wait")
    assert code_hash(experiments.draw) == before


@pytest.mark.parametrize(
    ("old", "new"),
    [("int(seed)]", "int(seed) + 0]"), (":8]", ":7]"), ('"little"', '"big"'), ("path: str | int", "path: int")],
)
def test_code_two_modules_away_counts(package: Path, old: str, new: str) -> None:
    before = code_hash(trajectory)
    edit(package / "seeding.py", old, new)
    assert code_hash(trajectory) != before


def test_modules_off_the_path_do_not_count(package: Path, experiments: ModuleType) -> None:
    before = code_hash(experiments.draw)
    (package / "models" / "lenet.py").write_text("raise SystemExit\n")
    (package / "data" / "loading.py").write_text("raise SystemExit\n")
    assert code_hash(experiments.draw) == before


@pytest.mark.parametrize(
    "line",
    [
        "import augury.models.lenet",
        "from augury import models",
        "from augury.models import lenet as le",
        "from augury.models.lenet import LeNet",
        "def late():\n    from augury.models.lenet import LeNet",
    ],
)
def test_every_form_of_import_is_seen(experiments: ModuleType, line: str) -> None:
    source = Path(experiments.__file__ or "")
    source.write_text(source.read_text() + f"\n{line}\n")
    assert any(name.startswith("augury.models") for name in dependencies(experiments.draw))


def test_relative_imports_are_seen_and_those_for_type_checkers_are_not(package: Path, experiments: ModuleType) -> None:
    (package / "seeding.py").write_text(
        "from typing import TYPE_CHECKING\nfrom .models import logistic\nif TYPE_CHECKING:\n    import augury.device"
    )
    found = dependencies(experiments.draw)
    assert "augury.models.logistic" in found and "augury.device" not in found


def test_functions_that_workers_cannot_import_are_refused() -> None:
    def local(x: int) -> list[dict[str, int]]:
        return [{"x": x}]

    with pytest.raises(GridError, match="top level of a module"):
        code_hash(local)


def test_key_depends_on_experiment_settings_data_and_code(
    experiments: ModuleType, package: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = {"x": 1, "dataset": "digits", "classes": [3, 8]}
    first = key(experiments.draw, settings)
    assert key(experiments.draw, dict(reversed(settings.items()))) == first
    assert key(experiments.draw, settings | {"classes": (3, 8)}) == first
    others = [
        key(experiments.threads, settings),
        key(experiments.draw, settings | {"x": 2}),
        key(experiments.draw, settings | {"x": True}),
        key(experiments.draw, settings | {"dataset": "diabetes"}),
    ]
    monkeypatch.setattr(data, "digest", lambda name: "another")
    others.append(key(experiments.draw, settings))
    monkeypatch.undo()
    edit(Path(experiments.__file__ or ""), "size=3", "size=4")
    others.append(key(experiments.draw, settings))
    assert len({first, *others}) == 7


@pytest.mark.parametrize("changed", ["digits", "two-moons"])
def test_key_depends_on_every_data_set_that_a_cell_names(
    experiments: ModuleType, monkeypatch: pytest.MonkeyPatch, changed: str
) -> None:
    settings = {"x": 1, "dataset": "digits+two-moons"}
    first, digest = key(experiments.draw, settings), data.digest
    monkeypatch.setattr(data, "digest", lambda name: "another" if name == changed else digest(name))
    assert key(experiments.draw, settings) != first


def test_settings_that_json_cannot_hold_and_unknown_data_are_refused(experiments: ModuleType) -> None:
    with pytest.raises(ParameterError, match="JSON"):
        key(experiments.draw, {"x": {1, 2}})
    with pytest.raises(ParameterError, match="mnist"):
        key(experiments.draw, {"dataset": "mnits"})
