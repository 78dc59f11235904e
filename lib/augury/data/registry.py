"""The registry of data sets: what each one is, where its files come from and what they must hash to."""

from __future__ import annotations

import difflib
import functools
import hashlib
import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from augury import paths
from augury.errors import DataError, ParameterError


@dataclass(frozen=True)
class File:
    """One file of a source: its place below a mirror or the download folder, and what it must be.

    Attributes
    ----------
    path : relative POSIX path, the same below a mirror and below the download folder.
    size : bytes; 0 where it is not known.
    sha256 : in lower-case hexadecimal digits.
    url : canonical address; empty where the file has none that needs no account.
    role : field of the data set that the file holds ("train/x"), for readers that need to know.
    """

    path: str
    size: int
    sha256: str
    url: str = ""
    role: str = ""

    def __post_init__(self) -> None:
        parts = PurePosixPath(self.path).parts
        if not parts or self.path.startswith("/") or ".." in parts or "\\" in self.path:
            raise DataError(f"registry: {self.path!r} is not a plain relative path")
        if len(self.sha256) != 64 or set(self.sha256) - set("0123456789abcdef"):
            raise DataError(f"registry: {self.path} has the malformed sha256 {self.sha256!r}")


@dataclass(frozen=True)
class Source:
    """Files that decode, with `reader` and its `options`, to a data set's arrays; `kind` is "packed" or "upstream"."""

    kind: str
    reader: str
    files: tuple[File, ...]
    options: Mapping[str, Any] = field(default_factory=dict)

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(file.size for file in self.files)

    @property
    def addressed(self) -> bool:
        """Whether all files have an address of their own."""
        return all(file.url for file in self.files)


@dataclass(frozen=True)
class Entry:
    """What the registry says of one data set.

    Attributes
    ----------
    kind : "images", "table" or "text".
    splits : number of samples of "train" and, where the data set has one, "test".
    classes : names that the labels index; empty for a regression.
    sources : tried in this order; empty for an embedded data set.
    embedded : name of the function in `augury.data.embedded` that makes the data set; empty for one with sources.
    recorded : digest over the decoded arrays; empty where none could be computed yet.
    part_of : name of the data set that this one is a part of; empty where it is a whole.
    laptop : whether `make data` fetches it when no names are given.
    note : what a user must know about the arrays.
    """

    name: str
    title: str
    kind: str
    licence: str
    citation: str
    homepage: str
    splits: Mapping[str, int]
    classes: tuple[str, ...]
    sources: tuple[Source, ...]
    embedded: str = ""
    recorded: str = ""
    part_of: str = ""
    laptop: bool = False
    note: str = ""

    @property
    def digest(self) -> str:
        """Digest of the decoded arrays, or of the upstream checksums where the arrays' own is not recorded.

        The second form starts with "files-": it names the same content, since the files are checked, but cannot be
        compared with the arrays of another source.
        """
        if self.recorded:
            return self.recorded
        listing = "\n".join(file.sha256 for source in self.sources for file in source.files)
        return "files-" + hashlib.sha256(listing.encode()).hexdigest()

    @property
    def by_hand(self) -> bool:
        """Whether no source of it can be had without a mirror or a visit to its homepage."""
        return bool(self.sources) and not any(source.addressed for source in self.sources)


def folder() -> Path:
    """Return the folder of the registry and of the lists it names."""
    return paths.root() / "data"


def mirror() -> str:
    """Return `AUGURY_DATA_MIRROR`, a directory or base URL that is tried first; empty where none is set."""
    return os.environ.get("AUGURY_DATA_MIRROR", "").rstrip("/")


def _source(kind: str, table: dict[str, Any]) -> Source:
    known = {"reader", "files"}
    files = tuple(
        File(
            path=raw["path"],
            size=raw.get("size", 0),
            sha256=raw["sha256"],
            url=raw.get("url", ""),
            role=raw.get("role", ""),
        )
        for raw in table["files"]
    )
    return Source(kind, table["reader"], files, {key: value for key, value in table.items() if key not in known})


def _entry(name: str, table: dict[str, Any]) -> Entry:
    common = table.get("format", {})  # the reader and options that all sources share
    return Entry(
        name=name,
        title=table["title"],
        kind=table["kind"],
        licence=table["licence"],
        citation=table["citation"],
        homepage=table["homepage"],
        splits=table["splits"],
        classes=tuple(table.get("classes", ())),
        sources=tuple(_source(kind, common | table[kind]) for kind in ("packed", "upstream") if kind in table),
        embedded=table.get("embedded", ""),
        recorded=table.get("digest", ""),
        part_of=table.get("part_of", ""),
        laptop=table.get("laptop", False),
        note=table.get("note", ""),
    )


@functools.cache
def read(path: Path) -> dict[str, Entry]:
    """Read a registry file.

    Raises
    ------
    DataError
        If the file is not there, is not TOML, or an entry lacks a key.
    """
    try:
        tables = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise DataError(f"the registry {path} is not there; augury must run from its repository") from None
    except tomllib.TOMLDecodeError as error:
        raise DataError(f"the registry {path} is not valid TOML: {error}") from error
    try:
        return {name: _entry(name, table) for name, table in tables.items()}
    except KeyError as error:
        raise DataError(f"the registry {path} lacks the key {error} in an entry") from error


def names() -> list[str]:
    """Return the names of all data sets, in the order of the registry."""
    return list(read(folder() / "datasets.toml"))


def entry(name: str) -> Entry:
    """Return the registry's entry for `name`.

    Raises
    ------
    ParameterError
        If there is no such data set.
    """
    known = read(folder() / "datasets.toml")
    if name not in known:
        near = difflib.get_close_matches(name, known, n=3)
        hint = f"did you mean {', '.join(near)}?" if near else f"known: {', '.join(known)}"
        raise ParameterError(f"no data set is called {name!r}; {hint}")
    return known[name]


def digest(name: str) -> str:
    """Return the digest of the arrays of data set `name`, without loading them."""
    return entry(name).digest
