"""Reading compressed files and archives member by member; nothing is ever extracted to disk."""

from __future__ import annotations

import gzip
import io
import tarfile
import zipfile
import zlib
from collections.abc import Iterable, Sequence
from pathlib import Path

from augury.errors import DataError

_REMEDY = "remove it and fetch it again, from another source if this one persists"


def _refuse_escapes(path: Path, names: Iterable[str]) -> None:
    """Raise if a member's name would leave the folder it were extracted to: no honest archive has one."""
    for name in names:
        parts = name.replace("\\", "/").split("/")
        if name.startswith(("/", "\\")) or ".." in parts or ":" in parts[0]:
            raise DataError(f"{path}: the member {name!r} points outside the archive, so none of it is read; {_REMEDY}")


def _damaged(path: Path, error: Exception) -> DataError:
    return DataError(f"{path}: damaged archive ({error}); {_REMEDY}")


def gunzip(path: Path) -> bytes:
    """Return the content of `path`, decompressed where its name ends in .gz.

    Raises
    ------
    DataError
        If the file is damaged.
    """
    try:
        content = path.read_bytes()
        return gzip.decompress(content) if path.suffix == ".gz" else content
    except (OSError, EOFError, zlib.error) as error:
        raise _damaged(path, error) from error


def tar_members(path: Path, wanted: Sequence[str]) -> list[bytes]:
    """Return the contents of the regular files `wanted` of the tar archive `path`, in that order.

    Raises
    ------
    DataError
        If the archive is damaged, lacks a member, or holds one that points outside it.
    """
    try:
        with tarfile.open(path) as archive:
            members = archive.getmembers()
            _refuse_escapes(path, (member.name for member in members))
            files = {member.name: member for member in members if member.isreg()}
            missing = [name for name in wanted if name not in files]
            if missing:
                raise DataError(f"{path}: has no file {', '.join(missing)}; {_REMEDY}")
            contents = []
            for name in wanted:
                stream = archive.extractfile(files[name])
                assert stream is not None  # a regular file always has a stream
                contents.append(stream.read())
            return contents
    except (tarfile.TarError, OSError, EOFError, zlib.error) as error:
        raise _damaged(path, error) from error


def zip_members(path: Path, wanted: Sequence[str]) -> list[bytes]:
    """Return the contents of the members `wanted` of the zip archive `path`, gunzipped where their names end in .gz.

    A name "inner.zip!member" means a member of an archive in the archive.

    Raises
    ------
    DataError
        If an archive is damaged, lacks a member, or holds one that points outside it.
    """
    try:
        return [_zip_member(path, path, name) for name in wanted]
    except (zipfile.BadZipFile, OSError, EOFError, NotImplementedError, RuntimeError, zlib.error) as error:
        raise _damaged(path, error) from error


def _zip_member(label: Path, archive: Path | bytes, name: str) -> bytes:
    outer, _, inner = name.partition("!")
    with zipfile.ZipFile(archive if isinstance(archive, Path) else io.BytesIO(archive)) as opened:
        present = opened.namelist()
        _refuse_escapes(label, present)
        if outer not in present:
            raise DataError(f"{label}: has no file {outer}; {_REMEDY}")
        content = opened.read(outer)
    if inner:
        return _zip_member(label, content, inner)
    return gzip.decompress(content) if outer.endswith(".gz") else content
