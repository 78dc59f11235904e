"""A hash of the code an experiment depends on, so that a cached result never outlives what computed it."""

from __future__ import annotations

import ast
import hashlib
import importlib
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import augury
from augury.errors import GridError

PACKAGE = Path(augury.__file__).parent

# The arrays of a data set enter a cell's key by their digest; the others compute nothing that a row could hold.
LEFT_OUT = ("augury.data", "augury.errors", "augury.compat", "augury.paths", "augury.plan")


def _left_out(name: str) -> bool:
    return name == "augury" or any(name == other or name.startswith(other + ".") for other in LEFT_OUT)


def _source(name: str) -> Path | None:
    """Return the file of the augury module `name` without importing it; None if there is no such module."""
    head, *rest = name.split(".")
    if head != "augury":
        return None
    base = PACKAGE.joinpath(*rest)
    candidates = (base / "__init__.py", base.with_name(base.name + ".py"))
    return next((path for path in candidates if path.is_file()), None)


def _for_type_checkers(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and ast.unparse(node.test) in ("TYPE_CHECKING", "typing.TYPE_CHECKING")


def _walk(tree: ast.AST) -> Iterator[ast.AST]:
    """Yield every node that can run: what stands under `if TYPE_CHECKING` is passed over."""
    yield tree
    children = tree.orelse if isinstance(tree, ast.If) and _for_type_checkers(tree) else ast.iter_child_nodes(tree)
    for child in children:
        yield from _walk(child)


def _imports(tree: ast.AST, name: str, package: bool) -> set[str]:
    """Return the augury modules that the module `name` imports anywhere, inside functions too."""
    found: set[str] = set()
    for node in _walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            above = name.split(".")[: len(name.split(".")) - node.level + package] if node.level else []
            base = ".".join([*above, *([node.module] if node.module else [])])
            found |= {base} | {f"{base}.{alias.name}" for alias in node.names}
    return {module for module in found if _source(module) and not _left_out(module)}


def _dump(node: Any) -> Any:
    """Return a syntax tree as nested lists without docstrings, positions and empty fields (these vary by Python)."""
    if isinstance(node, list):
        return [_dump(item) for item in node if not _is_text(item)]
    if isinstance(node, ast.AST):
        fields = [(k, v) for k, v in ast.iter_fields(node) if v not in (None, []) or isinstance(node, ast.Constant)]
        return [type(node).__name__, *([k, _dump(v)] for k, v in fields if k not in ("kind", "type_comment"))]
    return repr(node)


def _is_text(node: Any) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)


def dependencies(experiment: Callable[..., Any]) -> dict[str, Path]:
    """Return the source files that `experiment` depends on: its module's and, transitively, its augury imports'.

    Returns
    -------
    dict
        Module name to source file, sorted by name.

    Raises
    ------
    GridError
        If the experiment is not a function of an importable module (one defined in a notebook, a lambda), or a
        source file cannot be read.
    """
    module = sys.modules.get(experiment.__module__)
    origin = getattr(module, "__file__", None)
    if module is None or origin is None or module.__name__ == "__main__" or "<" in experiment.__qualname__:
        raise GridError(
            f"{experiment.__module__}:{experiment.__qualname__} cannot be an experiment: workers must be able to "
            "import it, so define it at the top level of a module, not in a notebook"
        )
    files: dict[str, Path] = {}
    waiting = {module.__name__: Path(origin)}
    while waiting:
        name, path = waiting.popitem()
        files[name] = path
        for found in _imports(_parse(path), name, path.name == "__init__.py") - files.keys():
            source = _source(found)
            assert source is not None  # `_imports` returns modules that have one
            waiting[found] = source
    return dict(sorted(files.items()))


def _parse(path: Path) -> ast.Module:
    try:
        return ast.parse(path.read_bytes())
    except (OSError, SyntaxError) as error:
        raise GridError(f"the source {path} cannot be read: {error}") from error


def module_hashes(experiment: Callable[..., Any]) -> dict[str, str]:
    """Return a hash of each module `experiment` depends on, as it now stands on disk.

    Raises
    ------
    GridError
        As `dependencies`.
    """
    files = dependencies(experiment).items()
    return {name: hashlib.sha256(repr(_dump(_parse(path))).encode()).hexdigest() for name, path in files}


def combine(hashes: Mapping[str, str]) -> str:
    """Return one hash for the modules of `hashes`."""
    return hashlib.sha256(repr(sorted(hashes.items())).encode()).hexdigest()


def code_hash(experiment: Callable[..., Any]) -> str:
    """Return the hash of the code `experiment` depends on, as it now stands on disk.

    It is taken over syntax trees: comments, docstrings and layout do not count, everything else does.

    Raises
    ------
    GridError
        As `dependencies`.
    """
    return combine(module_hashes(experiment))


_LOADED: dict[str, str] = {}  # each module as it stood when this process first ran something of it
_RUNNING: dict[str, str] = {}  # each experiment's combined hash; asked of the disk once, whatever happens to it later


def loaded_hash(experiment: Callable[..., Any]) -> str:
    """Return the hash of the code that this process runs: each module as it stood when this was first asked.

    Everything the experiment may import later is imported now, so that an edit on disk cannot reach a process that
    has begun.
    """
    name = f"{experiment.__module__}:{experiment.__qualname__}"
    if name not in _RUNNING:
        hashes = module_hashes(experiment)
        for module, found in hashes.items():
            if module not in _LOADED:
                importlib.import_module(module)
                _LOADED[module] = found
        _RUNNING[name] = combine({module: _LOADED[module] for module in hashes})
    return _RUNNING[name]
