"""What a notebook's file says of itself: its metadata and the cell tagged `parameters`."""

from __future__ import annotations

import ast
import json
from pathlib import Path
from typing import Any

from augury.errors import NotebookError


def read_notebook(path: Path) -> tuple[dict[str, Any], dict[str, Any] | None]:
    """Return a notebook's metadata under `augury`, and its parameters' names and values, or None without their cell.

    Raises
    ------
    NotebookError
        If the file is no notebook, has several cells tagged `parameters`, or one that is not plain assignments.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        cells, about = content["cells"], content["metadata"].get("augury", {})
        tagged = [cell for cell in cells if "parameters" in cell["metadata"].get("tags", [])]
        sources = ["".join(cell["source"]) for cell in tagged]
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise NotebookError(f"{path.name} is not a notebook: {type(error).__name__}: {error}") from error
    if len(sources) > 1:
        raise NotebookError(f"{path.name} has {len(sources)} cells tagged parameters; it needs one")
    return about, _literals(sources[0], path.name) if sources else None


def _literals(source: str, name: str) -> dict[str, Any]:
    found: dict[str, Any] = {}
    try:
        for node in ast.parse(source).body:
            if isinstance(node, ast.AnnAssign) and node.value is not None:
                targets: list[ast.expr] = [node.target]
            elif isinstance(node, ast.Assign):
                targets = node.targets
            elif isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
                continue  # a text
            else:
                raise ValueError(f"line {node.lineno} is no assignment")
            for target in targets:
                if not isinstance(target, ast.Name):
                    raise ValueError(f"line {node.lineno} does not assign to a name")
                assert node.value is not None  # as asked above
                found[target.id] = ast.literal_eval(node.value)
    except (SyntaxError, ValueError) as error:
        raise NotebookError(f"{name}: the parameters cell may only give names literal values: {error}") from error
    return found
