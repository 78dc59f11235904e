"""The committed notebooks were run from top to bottom: nbval passes a cell that was never executed."""

import re
from pathlib import Path

import nbformat
import pytest

NOTEBOOKS = Path(__file__).resolve().parents[2] / "notebooks"
STORED = sorted(path for path in NOTEBOOKS.rglob("*.ipynb") if ".ipynb_checkpoints" not in path.parts)
MARKER = re.compile(r"^# ?NBVAL_\w+$", re.M)


def test_there_are_notebooks() -> None:
    assert STORED


@pytest.mark.parametrize("path", STORED, ids=lambda path: path.relative_to(NOTEBOOKS).as_posix())
def test_every_cell_was_executed_in_order_without_error(path: Path) -> None:
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    cells = [cell for cell in notebook.cells if cell.cell_type == "code" and cell.source.strip()]
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1)), "run it again from the top"
    assert not [output.evalue for cell in cells for output in cell.outputs if output.output_type == "error"]
    # nbval overlooks a marker that shares its line with code.
    assert any(MARKER.search(cell.source) and cell.outputs for cell in cells), "nothing for nbval to compare"
    assert not any("NBVAL" in MARKER.sub("", cell.source) for cell in cells), "a marker needs a line of its own"
    assert notebook.metadata.get("kernelspec", {}).get("name") == "python3"
