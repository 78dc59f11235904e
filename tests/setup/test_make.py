"""The Makefile's targets are thin: what they call, and what they hand down in the environment."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]


def make(folder: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run make on a copy of the Makefile, which has one more target that prints the environment it hands down."""
    (folder / "outer.mk").write_text("include Makefile\nshow:\n\t@env\n")
    # A surrounding make hands its own options and variables down; they would change what is under test.
    inherited = {k: v for k, v in os.environ.items() if not k.startswith(("AUGURY_", "MAKE", "MFLAGS"))}
    command = ["make", "--no-print-directory", "-f", "outer.mk", *arguments]
    return subprocess.run(command, cwd=folder, env=inherited | environment, capture_output=True, text=True, timeout=60)


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    folder = tmp_path / "augury"
    shutil.copytree(ROOT / "requirements", folder / "requirements")
    for name in ("Makefile", "pyproject.toml"):
        shutil.copy(ROOT / name, folder)
    return folder


def last_line(checkout: Path, *arguments: str) -> str:
    return make(checkout, "-n", *arguments).stdout.strip().splitlines()[-1].strip()


def test_variables_become_options_of_the_runner(checkout: Path) -> None:
    assert last_line(checkout, "figures") == ".venv/bin/augury run"
    options = ["PROFILE=laptop", "ONLY=1-*", "JOBS=2", "SCHEDULER=tcp://127.0.0.1:8786"]
    expected = '.venv/bin/augury run --profile "laptop" --only "1-*" --jobs "2" --scheduler "tcp://127.0.0.1:8786"'
    assert last_line(checkout, "figures", *options) == expected
    assert last_line(checkout, "data", "DATASETS=mnist cifar-10") == ".venv/bin/augury data mnist cifar-10"


@pytest.mark.parametrize("target", ["figures", "test", "data", "lab", "report", "bench", "lock"])
def test_every_target_makes_the_environment_first(checkout: Path, target: str) -> None:
    commands = make(checkout, "-n", target).stdout
    assert 0 <= commands.index("-m venv .venv") < commands.index(".venv/bin/uv pip install")
    (checkout / ".venv").mkdir()
    for stamp in (".made", ".peers"):
        (checkout / ".venv" / stamp).touch()
    assert "-m venv" not in make(checkout, "-n", target).stdout
    os.utime(checkout / "requirements" / "requirements.lock")
    os.utime(checkout / ".venv" / ".made", (0, 0))
    assert "-m venv .venv" in make(checkout, "-n", target).stdout


def test_torch_may_come_from_elsewhere(checkout: Path) -> None:
    assert "--index-url" not in make(checkout, "-n", "env").stdout
    assert "--no-deps --index-url http://here " in make(checkout, "-n", "env", "TORCH_INDEX=http://here").stdout


def test_old_python_is_refused_before_anything_is_made(checkout: Path) -> None:
    done = make(checkout, "env", "PYTHON=false")
    assert done.returncode != 0 and "Python >= 3.11" in done.stdout
    assert not (checkout / ".venv").exists()


def test_mirror_beside_the_checkout_is_found_and_a_given_one_kept(checkout: Path) -> None:
    assert "AUGURY_DATA_MIRROR" not in make(checkout, "show").stdout
    mirror = checkout.parent / "shared" / "data"
    mirror.mkdir(parents=True)
    assert f"AUGURY_DATA_MIRROR={mirror}\n" in make(checkout, "show").stdout
    assert "AUGURY_DATA_MIRROR=/given\n" in make(checkout, "show", AUGURY_DATA_MIRROR="/given").stdout


def test_variables_that_slow_or_mislead_python_are_not_handed_down(checkout: Path) -> None:
    handed = make(checkout, "show", PYTHONDONTWRITEBYTECODE="1", PYTHONPATH="/elsewhere", KEPT="1").stdout
    assert "KEPT=1\n" in handed
    assert "PYTHONDONTWRITEBYTECODE" not in handed and "PYTHONPATH" not in handed


def test_help_names_every_target(checkout: Path) -> None:
    phony = next(line for line in (ROOT / "Makefile").read_text().splitlines() if line.startswith(".PHONY:"))
    shown = {line.split()[0] for line in make(checkout, "help").stdout.splitlines()}
    assert set(phony.split()[1:]) <= shown


def test_clean_keeps_data_and_computed_cells(checkout: Path) -> None:
    kept = [
        checkout / "data" / "downloads" / "a",
        checkout / "data" / "cache" / "b",
        checkout / "figures" / "laptop" / "c",
    ]
    gone = [checkout / ".venv" / "d", checkout / "figures" / "quick" / "e", checkout / "build" / "f"]
    for file in kept + gone:
        file.parent.mkdir(parents=True)
        file.touch()
    assert make(checkout, "clean").returncode == 0
    assert all(file.exists() for file in kept) and not any(file.parent.exists() for file in gone)


def test_machines_run_the_same_gate_as_people() -> None:
    assert (ROOT / ".ci" / "run").read_text().strip().endswith("make test")
    assert os.access(ROOT / ".ci" / "run", os.X_OK)
    (job,) = yaml.safe_load((ROOT / ".github" / "workflows" / "ci.yml").read_text())["jobs"].values()
    assert [step["run"] for step in job["steps"] if "run" in step] == [".ci/run"]
