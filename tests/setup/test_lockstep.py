"""pyproject.toml, environment.yml, the Makefile and the lock describe one environment, and it is the one that runs."""

import ast
import re
import sys
import tomllib
from collections import defaultdict
from importlib import metadata
from pathlib import Path

import pytest
import yaml
from packaging.markers import Marker
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import Version

import augury

ROOT = Path(__file__).resolve().parents[2]
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
CONDA = yaml.safe_load((ROOT / "environment.yml").read_text())
MAKEFILE = (ROOT / "Makefile").read_text()
LOCK = ROOT / "requirements" / "requirements.lock"
STAND_IN = tomllib.loads((ROOT / "requirements" / "opencv-python" / "pyproject.toml").read_text())["project"]
ENVIRONMENTS = [
    {
        "python_version": python,
        "python_full_version": f"{python}.5",
        "sys_platform": system,
        "platform_machine": machine,
    }
    for python in ("3.11", "3.12", "3.13", "3.14")
    for system, machine in (("linux", "x86_64"), ("linux", "aarch64"), ("darwin", "arm64"), ("win32", "AMD64"))
]


def requirements(files: list[str]) -> list[Requirement]:
    lines = [line.split("#")[0].strip() for file in files for line in (ROOT / file).read_text().splitlines()]
    return [Requirement(line) for line in lines if line]


DYNAMIC = PYPROJECT["tool"]["setuptools"]["dynamic"]
MAIN = requirements(DYNAMIC["dependencies"]["file"])
EXTRAS = {extra: requirements(entry["file"]) for extra, entry in DYNAMIC["optional-dependencies"].items()}
DIRECT = MAIN + [requirement for extra in EXTRAS.values() for requirement in extra]


def locked() -> dict[str, list[tuple[Version, Marker | None]]]:
    pins = defaultdict(list)
    for line in LOCK.read_text().splitlines():
        if line[:1].isalnum():
            requirement = Requirement(line.rstrip("\\ "))
            (pin,) = requirement.specifier
            assert pin.operator == "==", line
            pins[canonicalize_name(requirement.name)].append((Version(pin.version), requirement.marker))
    return pins


@pytest.mark.parametrize("requirement", DIRECT, ids=str)
def test_each_direct_dependency_has_one_fitting_pin_everywhere(requirement: Requirement) -> None:
    pins = locked()[canonicalize_name(requirement.name)]
    for environment in ENVIRONMENTS:
        versions = [version for version, marker in pins if marker is None or marker.evaluate(environment)]
        assert len(versions) == 1, f"{requirement.name} in {environment}: {versions or 'no pin'}; run make lock"
        assert versions[0] in requirement.specifier, f"{requirement} is locked at {versions[0]}; run make lock"


def test_lock_holds_nothing_but_hashed_pins() -> None:
    lines = LOCK.read_text().splitlines()
    other = [
        line
        for line in lines
        if not re.match(r"#|[A-Za-z0-9._-]+==\S+( ; .+)? \\$| +--hash=sha256:[0-9a-f]{64}( \\)?$", line)
    ]
    assert other == []
    assert not any("://" in line for line in lines)
    assert len(re.findall(r"== ?\S+.* \\\n +--hash", "\n".join(lines))) == sum(map(len, locked().values()))


def test_conda_takes_python_and_pip_and_leaves_the_rest_to_pip() -> None:
    *conda, by_pip = CONDA["dependencies"]
    bounds = {requirement.name: requirement.specifier for requirement in map(Requirement, conda)}
    assert set(bounds) == {"python", "pip"}
    assert bounds["python"] == SpecifierSet(PYPROJECT["project"]["requires-python"])
    assert f'"pip{bounds["pip"]}"' in MAKEFILE
    assert list(by_pip) == ["pip"]


def test_conda_and_make_install_the_same() -> None:
    def value(name: str) -> str:
        return re.search(rf"^{name} :?= (.*)$", MAKEFILE, re.M).group(1)

    arguments = value("PACKAGES").replace("$(LOCK)", value("LOCK")).replace("$(STAND_IN)", value("STAND_IN"))
    by_pip = re.search(r"^\t\t\|\| \$\(BIN\)/python -m pip install --quiet (.*)$", MAKEFILE, re.M).group(1)
    expected = by_pip.replace("$(PACKAGES)", arguments).replace('"', "").split()
    assert " ".join(CONDA["dependencies"][-1]["pip"]).split() == expected
    assert (ROOT / value("LOCK")) == LOCK
    listed = [
        file
        for entry in (DYNAMIC["dependencies"], *DYNAMIC["optional-dependencies"].values())
        for file in entry["file"]
    ]
    assert value("SOURCES").split() == listed


def test_stand_in_answers_imgaug_and_hands_on_to_the_headless_build() -> None:
    (asked,) = (r for r in map(Requirement, metadata.requires("imgaug") or ()) if r.name == STAND_IN["name"])
    assert Version(STAND_IN["version"]) in asked.specifier
    (headless,) = (r for r in MAIN if r.name == "opencv-python-headless")
    assert STAND_IN["dependencies"] == [headless.name]
    assert "opencv-python" not in locked()
    assert not [file for file in metadata.files("opencv-python") or () if file.parts[0] == "cv2"]


@pytest.mark.parametrize("requirement", MAIN + EXTRAS["dev"], ids=str)
def test_running_environment_is_the_locked_one(requirement: Requirement) -> None:
    pins = [
        version for version, marker in locked()[canonicalize_name(requirement.name)] if not marker or marker.evaluate()
    ]
    assert [Version(metadata.version(requirement.name)).public] == [pin.public for pin in pins]


PEERS = {"curvlinops": "curvlinops-for-pytorch"}  # not installed where the gate runs, so not to be looked up there


def imported(folder: Path) -> set[str]:
    """Return the top-level names that the Python files under `folder` import from outside."""
    trees = [ast.parse(file.read_text()) for file in folder.rglob("*.py")]
    nodes = [node for tree in trees for node in ast.walk(tree)]
    names = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    names |= {node.module for node in nodes if isinstance(node, ast.ImportFrom) and node.module and not node.level}
    return {name.split(".")[0] for name in names} - sys.stdlib_module_names - {"augury"}


@pytest.mark.parametrize("folder", ["lib", "tests"])
def test_everything_imported_is_declared(folder: str) -> None:
    declared = {canonicalize_name(requirement.name) for requirement in (MAIN if folder == "lib" else DIRECT)}
    providers = metadata.packages_distributions()
    undeclared = {
        name
        for name in imported(ROOT / folder)
        if not declared
        & {canonicalize_name(provider) for provider in (*providers.get(name, ()), PEERS.get(name, name))}
    }
    assert undeclared == set()


def test_versions_agree() -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert citation["version"] == augury.__version__ == metadata.version("augury")
    assert len(citation["references"]) == 5
    assert all({"title", "authors", "year", "type"} <= set(work) for work in citation["references"])
