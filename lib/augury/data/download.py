"""Getting the files of a data set: the mirror first, then upstream; nothing unverified is ever put in place."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import shutil
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from augury.data import registry
from augury.data.registry import Entry, File, Source
from augury.errors import DataError, MissingDataError

TIMEOUT = 30.0
"""Seconds without a connection, or without a byte, after which an address is given up."""

_CHUNK = 1 << 16
_STALE = 3600.0
"""Age in seconds from which a partial file is taken for the remains of a killed process."""


class _Refused(Exception):
    """An address did not give the wanted file; `absent` where it gave nothing at all."""

    def __init__(self, cause: str, absent: bool) -> None:
        super().__init__(cause)
        self.absent = absent


class _Sink:
    """Writes a transfer to an open file, hashing and counting as it goes."""

    def __init__(self, target: Any, file: File, bar: Any) -> None:
        self.target, self.file, self.bar = target, file, bar
        self.count = 0
        self.hash = hashlib.new(file.checksum.partition(":")[0])

    def write(self, chunk: bytes) -> int:
        self.count += len(chunk)
        if self.file.size and self.count > self.file.size:
            raise _Refused(f"sends more than the {self.file.size:,} bytes of the file", absent=False)
        self.hash.update(chunk)
        self.target.write(chunk)
        if self.bar is not None:
            self.bar.update(len(chunk))
        return len(chunk)

    def flush(self) -> None:
        """Do nothing: the file is flushed when it is closed."""

    def verify(self) -> None:
        """Raise unless all that was written is the wanted file."""
        algorithm, _, wanted = self.file.checksum.partition(":")
        if self.file.size and self.count < self.file.size:
            raise _Refused(f"the transfer broke off after {self.count:,} of {self.file.size:,} bytes", absent=False)
        if self.hash.hexdigest() != wanted:
            cause = f"wrong checksum: {algorithm} is {self.hash.hexdigest()}, the registry says {wanted}"
            raise _Refused(cause, absent=False)


def matches(path: Path, file: File) -> bool:
    """Tell whether `path` is there and is, byte for byte, what the registry says of `file`."""
    try:
        if file.size and path.stat().st_size != file.size:
            return False
        algorithm, _, wanted = file.checksum.partition(":")
        with path.open("rb") as stream:
            return hashlib.file_digest(stream, algorithm).hexdigest() == wanted
    except OSError:
        return False


def _copy(address: str, sink: _Sink) -> None:
    try:
        source = Path(address).open("rb")
    except OSError as error:
        raise _Refused(f"cannot be read: {error.strerror or error}", absent=True) from error
    with source:
        while True:
            try:
                chunk = source.read(_CHUNK)
            except OSError as error:
                raise _Refused(f"cannot be read: {error.strerror or error}", absent=False) from error
            if not chunk:
                return
            sink.write(chunk)


def _download(address: str, sink: _Sink) -> None:
    import pooch
    import requests

    # Packed as it is: a server that compresses on the fly would otherwise change the bytes that are hashed.
    fetcher = pooch.HTTPDownloader(chunk_size=_CHUNK, timeout=TIMEOUT, headers={"Accept-Encoding": "identity"})
    try:
        fetcher(address, sink, None)
    except requests.exceptions.HTTPError as error:
        status = f"HTTP {error.response.status_code} {error.response.reason}"
        raise _Refused(f"the server answers {status}", absent=True) from error
    except requests.exceptions.Timeout as error:
        raise _Refused(f"no answer within {TIMEOUT:g} s", absent=True) from error
    except requests.exceptions.ChunkedEncodingError as error:
        cause = f"the transfer broke off after {sink.count:,} of {sink.file.size:,} bytes"
        raise _Refused(cause, absent=False) from error
    except requests.exceptions.RequestException as error:
        if sink.count:
            cause = f"the transfer broke off after {sink.count:,} of {sink.file.size:,} bytes ({error})"
            raise _Refused(cause, absent=False) from error
        raise _Refused(f"no connection ({error})", absent=True) from error


def _is_url(address: str) -> bool:
    return address.startswith(("http://", "https://"))


@contextlib.contextmanager
def _bar(label: str, total: int, progress: bool) -> Iterator[Any]:
    if not progress:
        yield None
        return
    from tqdm import tqdm

    with tqdm(desc=label, total=total or None, unit="B", unit_scale=True, file=sys.stderr, ncols=88) as bar:
        yield bar


def _clear_stale(target: Path) -> None:
    for left in target.parent.glob(f".{target.name}.*.part"):
        with contextlib.suppress(OSError):
            if time.time() - left.stat().st_mtime > _STALE:
                left.unlink()


def _transfer(address: str, file: File, target: Path, progress: bool) -> None:
    """Bring `file` from `address` to `target`: verified and whole, or not at all (then `target` is as it was)."""
    move: Callable[[str, _Sink], None] = _download if _is_url(address) else _copy
    temporary = None
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        _clear_stale(target)
        handle, temporary = tempfile.mkstemp(prefix=f".{target.name}.", suffix=".part", dir=target.parent)
        with os.fdopen(handle, "wb") as stream, _bar(file.path, file.size, progress) as bar:
            sink = _Sink(stream, file, bar)
            move(address, sink)
            sink.verify()
        os.replace(temporary, target)
        temporary = None
    except OSError as error:
        raise DataError(_disk_message(error, file, target)) from error
    finally:
        if temporary is not None:
            Path(temporary).unlink(missing_ok=True)


def _disk_message(error: OSError, file: File, target: Path) -> str:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        with contextlib.suppress(OSError):
            free = shutil.disk_usage(target.parent).free
            return (
                f"{file.path}: the disk is full: {target.parent} has {free:,} bytes free, the file needs "
                f"{file.size:,}; make room, or set AUGURY_DATA to a folder on another disk"
            )
    return (
        f"{file.path}: cannot write to {target.parent}: {error.strerror or error}; "
        "mend that, or set AUGURY_DATA to a folder that can be written"
    )


def _addresses(file: File) -> list[str]:
    base = registry.mirror()
    return ([f"{base}/{file.path}"] if base else []) + ([file.url] if file.url else [])


def _obtain_file(file: File, progress: bool, refusals: list[tuple[str, _Refused]]) -> Path | None:
    """Return the verified file, or None with the causes added to `refusals`."""
    target = registry.downloads() / file.path
    if matches(target, file):
        return target
    if target.exists():
        refusals.append((str(target), _Refused("is there, but is not the file the registry describes", absent=False)))
        warnings.warn(f"{target} is not the file the registry describes; fetching it again", stacklevel=2)
    for address in _addresses(file):
        try:
            _transfer(address, file, target, progress)
            return target
        except _Refused as refusal:
            refusals.append((address, refusal))
            if not refusal.absent and address != file.url:
                warnings.warn(f"the mirror's {address} is not used: {refusal}", stacklevel=2)
    return None


def obtain(entry: Entry, progress: bool = True) -> tuple[Source, list[Path]]:
    """Return the first source of `entry` whose files can all be had, and their verified paths.

    A source that is wholly at hand is preferred; then the sources are tried in their order, each file from the mirror
    before its own address.

    Raises
    ------
    MissingDataError
        If no source can be had.
    DataError
        If what an address gave is not what the registry describes, or it cannot be written.
    """
    folder = registry.downloads()
    for source in entry.sources:
        paths = [folder / file.path for file in source.files]
        if all(matches(path, file) for path, file in zip(paths, source.files, strict=True)):
            return source, paths
    refusals: list[tuple[str, _Refused]] = []
    for source in entry.sources:
        had: list[Path] = []
        for file in source.files:
            path = _obtain_file(file, progress, refusals)
            if path is None:
                break
            had.append(path)
        else:
            return source, had
    kind = MissingDataError if all(refusal.absent for _, refusal in refusals) else DataError
    raise kind(_missing_message(entry, refusals))


def _missing_message(entry: Entry, refusals: list[tuple[str, _Refused]]) -> str:
    lines = [f"data set {entry.name!r} ({entry.title}) is not at hand and could not be obtained"]
    lines += [f"  tried {address}: {refusal}" for address, refusal in refusals]
    if not refusals:
        lines.append("  its files have no address of their own, and AUGURY_DATA_MIRROR is not set")
    lines.append(f"  size: {entry.size / 1e6:,.1f} MB; licence: {entry.licence}")
    lines.append(f"  to get it: make data DATASETS={entry.name} with a network connection, or with")
    lines.append("  AUGURY_DATA_MIRROR naming a folder or address that has it, or by hand:")
    wanted = entry.sources[-1]
    places = ", ".join(str(registry.downloads() / file.path) for file in wanted.files)
    lines.append(f"  from {entry.homepage} to {places}")
    return "\n".join(lines)


def fetch(name: str, progress: bool = True) -> list[Path]:
    """Make the files of data set `name` present and return their paths; an embedded one has none.

    Raises
    ------
    ParameterError
        If there is no such data set.
    MissingDataError, DataError
        As `obtain`.
    """
    entry = registry.entry(name)
    return obtain(entry, progress)[1] if entry.sources else []
