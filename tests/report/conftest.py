"""A repository of its own: one notebook, the real registry and published numbers, nothing recorded."""

from pathlib import Path

import nbformat
import pytest

REPOSITORY = Path(__file__).resolve().parents[2]

PARAMETERS = """profile = "quick"  # quick, laptop or paper
run = ""  # label of this run
dataset: str = "digits"
rounds = 3  # seeds
augmentations = ["translate", "rotate"]
"""


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "data").mkdir()
    for name in ("published", "datasets.toml"):
        (tmp_path / "data" / name).symlink_to(REPOSITORY / "data" / name)
    notebook = nbformat.v4.new_notebook(
        cells=[
            nbformat.v4.new_markdown_cell("# Policies"),
            nbformat.v4.new_code_cell(PARAMETERS, metadata={"tags": ["parameters"]}),
            nbformat.v4.new_code_cell("other = 1"),
        ]
    )
    place = tmp_path / "notebooks" / "1-subsampling" / "policies.ipynb"
    place.parent.mkdir(parents=True)
    nbformat.write(notebook, place)
    monkeypatch.setenv("AUGURY_ROOT", str(tmp_path))
    monkeypatch.setenv("AUGURY_FIGURES", str(tmp_path / "figures"))
    monkeypatch.setenv("AUGURY_JOBS", "1")
    return tmp_path
