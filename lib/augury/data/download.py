"""Getting the files of a data set: the mirror first, then upstream; nothing unverified is ever put in place."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from augury import paths
from augury.data import registry
from augury.data.registry import Entry, File, Source
from augury.errors import DataError, MissingDataError

if TYPE_CHECKING:
    import requests
    from tqdm import tqdm

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

    def __init__(self, stream: BinaryIO, file: File, target: Path, progress: bool) -> None:
        self.stream, self.file, self.target, self.progress = stream, file, target, progress
        self.bar: tqdm | None = None  # shown from the first byte on
        self.count = 0
        self.hash = hashlib.sha256()

    def write(self, chunk: bytes) -> int:
        """Take the next bytes; a sender of too many is cut off before it fills the disk."""
        self.count += len(chunk)
        if self.file.size and self.count > self.file.size:
            raise _Refused(f"sends more than the {self.file.size:,} bytes of the file", absent=False)
        self.hash.update(chunk)
        try:
            self.stream.write(chunk)
        except OSError as error:  # told apart here from the failures of the connection, which are OSErrors too
            raise _disk_error(error, self.file, self.target) from error
        if self.progress:
            self._show(len(chunk))
        return len(chunk)

    def _show(self, n_bytes: int) -> None:
        if self.bar is None:
            from tqdm import tqdm

            total = self.file.size or None
            self.bar = tqdm(desc=self.file.path, total=total, unit="B", unit_scale=True, file=sys.stderr, ncols=88)
        self.bar.update(n_bytes)

    def close(self) -> None:
        """End the progress bar."""
        if self.bar is not None:
            self.bar.close()

    def flush(self) -> None:
        """Do nothing: the file is flushed when it is closed."""

    def verify(self) -> None:
        """Raise unless all that was written is the wanted file."""
        if self.file.size and self.count < self.file.size:
            raise _Refused(f"the transfer broke off after {self.count:,} of {self.file.size:,} bytes", absent=False)
        found = self.hash.hexdigest()
        if found != self.file.sha256:
            raise _Refused(f"wrong checksum: sha256 is {found}, the registry says {self.file.sha256}", absent=False)


def matches(path: Path, file: File) -> bool:
    """Tell whether `path` is there and is, byte for byte, what the registry says of `file`."""
    try:
        if file.size and path.stat().st_size != file.size:
            return False
        with path.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest() == file.sha256
    except OSError:
        return False


def _copy(address: str, sink: _Sink) -> None:
    try:
        with open(address, "rb") as source:
            while chunk := source.read(_CHUNK):
                sink.write(chunk)
    except OSError as error:
        raise _Refused(f"cannot be read: {error.strerror or error}", absent=sink.count == 0) from error


def _download(address: str, sink: _Sink) -> None:
    import pooch
    import requests.exceptions

    # Packed as it is: a server that compresses on the fly would otherwise change the bytes that are hashed.
    fetcher = pooch.HTTPDownloader(chunk_size=_CHUNK, timeout=TIMEOUT, headers={"Accept-Encoding": "identity"})
    try:
        fetcher(address, sink, None)
    except requests.exceptions.RequestException as error:
        raise _Refused(_cause(error, sink), absent=sink.count == 0) from error


def _cause(error: requests.exceptions.RequestException, sink: _Sink) -> str:
    """Return in a few words why a download failed."""
    from requests import exceptions

    if error.response is not None:
        return f"the server answers HTTP {error.response.status_code} {error.response.reason}"
    if sink.count:
        return f"the transfer broke off after {sink.count:,} of {sink.file.size:,} bytes"
    if isinstance(error, exceptions.Timeout):
        return f"no answer within {TIMEOUT:g} s"
    reason = str(getattr(error.args[0], "reason", error) if error.args else error)
    return f"no connection ({reason.rpartition('): ')[2]})"


def _is_url(address: str) -> bool:
    return address.startswith(("http://", "https://"))


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
        with os.fdopen(handle, "wb") as stream, contextlib.closing(_Sink(stream, file, target, progress)) as sink:
            move(address, sink)
            sink.verify()
        os.replace(temporary, target)
        temporary = None
    except OSError as error:
        raise _disk_error(error, file, target) from error
    finally:
        if temporary is not None:
            Path(temporary).unlink(missing_ok=True)


def _disk_error(error: OSError, file: File, target: Path) -> DataError:
    """Return the error for a file that cannot be written, with the remedy."""
    if error.errno not in (errno.ENOSPC, errno.EDQUOT):
        return DataError(
            f"{file.path}: cannot write to {target.parent}: {error.strerror or error}; "
            "mend that, or set AUGURY_DATA to a folder that can be written"
        )
    return DataError(
        f"{file.path}: the disk is full: {target.parent} cannot take the {file.size:,} bytes of the file; "
        "make room, or set AUGURY_DATA to a folder on another disk"
    )


def _addresses(file: File) -> list[str]:
    base = registry.mirror()
    return ([f"{base}/{file.path}"] if base else []) + ([file.url] if file.url else [])


def _obtain_file(file: File, progress: bool, refusals: list[tuple[str, _Refused]]) -> Path | None:
    """Return the verified file, or None with the causes added to `refusals`."""
    target = paths.downloads() / file.path
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
    for source in entry.sources:
        places = [paths.downloads() / file.path for file in source.files]
        if all(matches(place, file) for place, file in zip(places, source.files, strict=True)):
            return source, places
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
    """Return what is missing, why, how big it is, under which licence, and how to get it."""
    lines = [f"data set {entry.name!r} ({entry.title}) is not at hand and could not be obtained"]
    lines += [f"  tried {address}: {refusal}" for address, refusal in refusals]
    if not registry.mirror():
        lines.append("  no mirror was tried: AUGURY_DATA_MIRROR is not set")
    sizes = " or ".join(f"{source.size / 1e6:,.1f} MB ({source.kind})" for source in entry.sources)
    lines.append(f"  size: {sizes}; licence: {entry.licence}")
    if not entry.by_hand:
        lines.append(f"  to get it: make data DATASETS={entry.name}, with a network connection;")
    lines.append("  or set AUGURY_DATA_MIRROR to a folder or address that has it, and make data again;")
    places = ", ".join(str(paths.downloads() / file.path) for file in entry.sources[-1].files)
    lines.append(f"  or fetch it by hand: see {entry.homepage}, and put it at {places}")
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
