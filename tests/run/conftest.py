"""A repository with small notebooks of its own."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

import augury

LIB = str(Path(augury.__file__).parents[1])
PARAMETERS = 'profile = "quick"\nrun = ""\nn = 3  # how many\nC = 1.0\nsets = ["a", "b"]'

# What augury.report.Section leaves behind, without what it takes to import it.
MAKES_FIGURE = """
import json, os
from pathlib import Path
folder = Path(os.environ["AUGURY_FIGURES"]) / profile / "{id}" / run
folder.mkdir(parents=True, exist_ok=True)
(folder / "figure-1.csv").write_text(f"n\\n{{n}}\\n")
manifest = {{"artefacts": [{{"name": "Figure 1", "files": ["figure-1.csv"]}}]}}
_ = (folder / "manifest.json").write_text(json.dumps(manifest))
"""


class House:
    """A repository with notebooks, profiles and results below `root`."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.notebooks = root / "notebooks"
        self.figures = root / "figures"
        self.build = root / "build" / "notebooks"

    @property
    def environment(self) -> dict[str, str]:
        """The variables under which a process takes this house for its own."""
        path = os.pathsep.join([LIB, *filter(None, [os.environ.get("PYTHONPATH")])])
        places = {"ROOT": self.root, "FIGURES": self.figures, "CACHE": self.root / "cache"}
        return {"PYTHONPATH": path} | {f"AUGURY_{name}": str(place) for name, place in places.items()}

    def notebook(
        self, id: str, *sources: str, parameters: str | None = PARAMETERS, figure: bool = False, **about: Any
    ) -> Path:
        """Write a notebook with a title, a parameters cell and code cells, of which the first may make Figure 1."""
        cells = [new_markdown_cell(f"# {id}")]
        if parameters is not None:
            cells.append(new_code_cell(parameters, metadata={"tags": ["parameters"]}))
        if figure:
            cells.append(new_code_cell(MAKES_FIGURE.format(id=id)))
            about = {"artefacts": ["Figure 1"]} | about
        cells += [new_code_cell(source) for source in sources]
        notebook = new_notebook(cells=cells, metadata={"augury": about} if about else {})
        path = self.notebooks / f"{id}.ipynb"
        path.parent.mkdir(parents=True, exist_ok=True)
        nbformat.write(notebook, path)
        return path

    def profile(self, name: str, content: str) -> None:
        """Write a profile."""
        folder = self.notebooks / "profiles"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{name}.yaml").write_text(content)

    @staticmethod
    def outputs(path: Path) -> str:
        """Return what the cells of an executed notebook printed or displayed."""
        cells: list[Mapping[str, Any]] = json.loads(path.read_text())["cells"]
        found = [output for cell in cells for output in cell.get("outputs", [])]
        return "".join("".join(output.get("text", output.get("data", {}).get("text/plain", ""))) for output in found)


@pytest.fixture(scope="session")
def new_house() -> type[House]:
    return House


@pytest.fixture
def house(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> House:
    """An empty house, which this process and those it starts take for theirs."""
    house = House(tmp_path)
    for name, value in house.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("AUGURY_JOBS", raising=False)
    return house


@pytest.fixture
def augury_command(house: House) -> Callable[..., subprocess.Popen[str]]:
    """Starts the command line in a process of its own."""

    def start(*arguments: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "augury.run.cli", *arguments]
        return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    return start
