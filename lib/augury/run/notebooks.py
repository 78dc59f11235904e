"""The notebooks of the repository: where they are, their order, and what they say of themselves."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from augury import paths
from augury.errors import NotebookError, ParameterError
from augury.report.parameters import read_notebook


@dataclass(frozen=True)
class Notebook:
    """What a notebook says of itself.

    Attributes
    ----------
    id : str
        Its path below notebooks/, without ending: "1-subsampling/policies".
    path : Path
    parameters : dict or None
        The names and values of its cell tagged `parameters`; None if it has no such cell.
    artefacts : tuple of str
        What it makes, as in the paper: "Figure 3", or "Figure 1 or Figure 2" where that depends on the run (metadata
        `augury.artefacts`).
    plans : tuple of str
        "module:function" for each plan of its cells, in order (metadata `augury.plan`).
    """

    id: str
    path: Path
    parameters: dict[str, Any] | None
    artefacts: tuple[str, ...]
    plans: tuple[str, ...]


def folder() -> Path:
    """Return the folder of the notebooks."""
    return paths.root() / "notebooks"


def read(path: Path) -> Notebook:
    """Read a notebook's parameters and metadata.

    Raises
    ------
    NotebookError
        If the file is no notebook, has several cells tagged `parameters`, or one that is not plain assignments.
    """
    id = path.relative_to(folder()).with_suffix("").as_posix()
    about, parameters = read_notebook(path)
    plans = about.get("plan", [])
    return Notebook(
        id,
        path,
        parameters,
        tuple(about.get("artefacts", [])),
        (plans,) if isinstance(plans, str) else tuple(plans),
    )


def _natural(text: str) -> list[tuple[int, str]]:
    return [(int(part or 0), "") if part.isdigit() else (0, part) for part in re.split(r"(\d+)", text)]


def _reading_order() -> dict[str, int]:
    """Return the notebooks in the order of their artefacts in the papers, where that is recorded."""
    listing = paths.root() / "data" / "published" / "artefacts.toml"
    works = tomllib.loads(listing.read_text(encoding="utf-8"))["works"] if listing.exists() else []
    named = dict.fromkeys(artefact["notebook"] for work in works for artefact in work["artefacts"])
    return {id: place for place, id in enumerate(named)}


def discover() -> list[Notebook]:
    """Return all notebooks in reading order: paper by paper, section by section; the index, which sums up, last.

    Raises
    ------
    NotebookError
        If one cannot be read, or there is none.
    """
    found = [path for path in folder().rglob("*.ipynb") if ".ipynb_checkpoints" not in path.parts]
    if not found:
        raise NotebookError(f"there are no notebooks in {folder()}")
    order = _reading_order()

    def place(notebook: Notebook) -> tuple[Any, ...]:
        paper, _, name = notebook.id.rpartition("/")
        return (is_index(notebook), _natural(paper), order.get(notebook.id, len(order)), _natural(name))

    return sorted(map(read, found), key=place)


def is_index(notebook: Notebook) -> bool:
    """Return whether a notebook stands above the papers and reads what the others made."""
    return "/" not in notebook.id


def matches(name: str, pattern: str) -> bool:
    """Return whether a notebook's (or run's) name is meant by a pattern: itself, a folder above it, or a wildcard."""
    plain = pattern.strip("/").removeprefix("notebooks/").removesuffix(".ipynb")
    return name == plain or name.startswith(plain + "/") or fnmatchcase(name, plain)


def known(names: Sequence[str], what: str, wrong: str) -> ParameterError:
    """Return the error for a name that is not among `names`."""
    return ParameterError(f"no {what} is called {wrong!r}; there are: {', '.join(names) or 'none'}")
