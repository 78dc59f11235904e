"""Bad input, each against a real HTTP server: the error says what, why and what to do; nothing half-written stays."""

import gzip
import io
import os
import shutil
import socket
import struct
import subprocess
import sys
import tempfile
import time
import zipfile
from pathlib import Path

import pytest

from augury import data
from augury.data import download
from augury.errors import DataError, MissingDataError

LABELS = gzip.compress(b"\0\0\x08\x01" + struct.pack(">I", 4) + bytes([0, 1, 1, 0]), mtime=0)
PATH = "small/labels.gz"
BIG = os.urandom(300_000)


def test_an_honest_download_is_put_in_place_and_not_fetched_twice(server, registry, answer):
    server.answers["/labels.gz"] = answer(LABELS)
    registry.write_labels(LABELS, server.url + "/labels.gz")
    assert data.fetch("small", progress=False) == [registry.downloads / PATH]
    assert data.fetch("small", progress=False) == [registry.downloads / PATH]
    assert (registry.downloads / PATH).read_bytes() == LABELS
    assert registry.files() == [PATH]
    assert len(server.requests) == 1
    # A server that compressed on the fly would change the bytes that are hashed.
    assert server.requests[0][1]["Accept-Encoding"] == "identity"


def test_a_progress_bar_names_the_file_and_only_where_it_is_wanted(server, registry, answer, capsys):
    server.answers["/labels.gz"] = answer(LABELS)
    registry.write_labels(LABELS, server.url + "/labels.gz")
    data.fetch("small", progress=True)
    shown = capsys.readouterr()
    assert PATH in shown.err and "100%" in shown.err and shown.out == ""
    (registry.downloads / PATH).unlink()
    data.fetch("small", progress=False)
    assert capsys.readouterr() == ("", "")


def test_wrong_checksum(server, registry, answer):
    other = bytes(len(LABELS))
    server.answers["/labels.gz"] = answer(other)
    registry.write_labels(LABELS, server.url + "/labels.gz")
    with pytest.raises(DataError, match="wrong checksum") as caught:
        data.fetch("small", progress=False)
    assert not isinstance(caught.value, MissingDataError)
    message = str(caught.value)
    assert server.url + "/labels.gz" in message  # which
    assert "make data DATASETS=small" in message and "by hand" in message  # what to do
    assert registry.files() == []


@pytest.mark.parametrize("announced", [len(BIG), -1], ids=["announced", "unannounced"])
def test_truncated_transfer(server, registry, answer, announced):
    server.answers["/big"] = answer(BIG, send=200_000, length=announced)
    registry.write_labels(BIG, server.url + "/big", "small/big")
    with pytest.raises(DataError, match=r"broke off after [\d,]+ of 300,000 bytes") as caught:
        data.fetch("small", progress=False)
    assert not isinstance(caught.value, MissingDataError)
    assert registry.files() == []


def test_a_sender_of_too_much_is_cut_off(server, registry, answer):
    server.answers["/labels.gz"] = answer(LABELS + BIG)
    registry.write_labels(LABELS, server.url + "/labels.gz")
    with pytest.raises(DataError, match=f"sends more than the {len(LABELS)} bytes"):
        data.fetch("small", progress=False)
    assert registry.files() == []


@pytest.mark.parametrize("status", [404, 403, 500])
def test_refusal_by_the_server_is_a_missing_data_set(server, registry, answer, status):
    server.answers["/labels.gz"] = answer(b"go away", status)
    registry.write_labels(LABELS, server.url + "/labels.gz")
    with pytest.raises(MissingDataError, match=f"the server answers HTTP {status}") as caught:
        data.load("small")
    message = str(caught.value)
    for part in ("'small'", server.url + "/labels.gz", "0.0 MB", "licence: CC0", "make data DATASETS=small"):
        assert part in message
    assert str(registry.downloads / PATH) in message and "https://example.org/small" in message
    assert registry.files() == []


def closed_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def test_no_network_is_a_missing_data_set(registry):
    registry.write_labels(LABELS, f"http://127.0.0.1:{closed_port()}/labels.gz")
    with pytest.raises(MissingDataError, match=r"no connection \(.*refused\)"):
        data.load("small")
    assert registry.files() == []


def test_a_silent_server_is_given_up(server, registry, answer, monkeypatch):
    monkeypatch.setattr(download, "TIMEOUT", 0.2)
    silent = socket.create_server(("127.0.0.1", 0))
    registry.write_labels(LABELS, f"http://127.0.0.1:{silent.getsockname()[1]}/labels.gz")
    with silent, pytest.raises(MissingDataError, match=r"no answer within 0\.2 s"):
        data.load("small")
    server.answers["/big"] = answer(BIG, send=200_000, pause=0.5)
    registry.write_labels(BIG, server.url + "/big", "small/big")
    with pytest.raises(DataError, match="broke off after"):
        data.load("small")
    assert registry.files() == []


class FullDisk:
    """Stands in for mkstemp: the name is real, but what is written goes to the kernel's own full device."""

    def __call__(self, *args, **kwargs):
        handle, name = tempfile.mkstemp(*args, **kwargs)
        os.close(handle)
        return os.open("/dev/full", os.O_WRONLY), name

    mkstemp = __call__


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
@pytest.mark.parametrize("body", [LABELS, BIG], ids=["at the end", "in the middle"])
def test_full_disk(server, registry, answer, monkeypatch, body):
    server.answers["/file"] = answer(body)
    registry.write_labels(body, server.url + "/file")
    monkeypatch.setattr(download, "tempfile", FullDisk())
    with pytest.raises(DataError, match="the disk is full") as caught:
        data.fetch("small", progress=False)
    assert PATH in str(caught.value) and "AUGURY_DATA" in str(caught.value) and f"{len(body):,}" in str(caught.value)
    assert registry.files() == []


def test_full_disk_for_the_decoded_arrays(server, registry, answer, monkeypatch):
    server.answers["/labels.gz"] = answer(LABELS)
    registry.write_labels(LABELS, server.url + "/labels.gz")
    data.fetch("small", progress=False)
    monkeypatch.setattr("augury.data.arrays.tempfile", FullDisk())
    with pytest.raises(DataError, match="decoded arrays cannot be written .*No space left"):
        data.load("small")
    assert registry.files() == [PATH]


def test_full_disk_of_a_real_small_file_system(server, registry, answer, tmp_path):
    """The whole command in its own mount namespace, where the download folder is a tmpfs of 64 KiB."""
    space = ["unshare", "--user", "--map-root-user", "--mount"]
    if shutil.which("unshare") is None or subprocess.run([*space, "mount", "-t", "tmpfs", "x", "/mnt"]).returncode:
        pytest.skip("mounting in a namespace is not allowed here")
    server.answers["/big"] = answer(BIG)
    registry.write_labels(BIG, server.url + "/big", "small/big")
    registry.downloads.mkdir()
    script = (
        f"mount -t tmpfs -o size=64k small {registry.downloads}; "
        f"{sys.executable} -m augury.data --quiet small; echo code $?; find {registry.downloads} -type f"
    )
    done = subprocess.run([*space, "sh", "-c", script], capture_output=True, text=True, timeout=60)
    assert "the disk is full" in done.stderr and str(registry.downloads) in done.stderr
    assert done.stdout.endswith("code 1\n"), done.stdout  # and `find` found no file


def test_a_folder_that_cannot_be_written(server, registry, answer):
    server.answers["/labels.gz"] = answer(LABELS)
    registry.write_labels(LABELS, server.url + "/labels.gz")
    registry.downloads.mkdir()
    (registry.downloads / "small").write_text("a file where the folder should be")
    with pytest.raises(DataError, match="cannot write to .*AUGURY_DATA"):
        data.fetch("small", progress=False)


def test_a_mirror_is_tried_first_as_a_folder_and_as_an_address(server, registry, answer, tmp_path, monkeypatch):
    registry.write_labels(LABELS, server.url + "/upstream")
    mirror = tmp_path / "mirror"
    (mirror / "small").mkdir(parents=True)
    (mirror / PATH).write_bytes(LABELS)
    monkeypatch.setenv("AUGURY_DATA_MIRROR", str(mirror))
    data.fetch("small", progress=False)
    assert registry.files() == [PATH] and server.requests == []
    (registry.downloads / PATH).unlink()
    server.answers[f"/base/{PATH}"] = answer(LABELS)
    monkeypatch.setenv("AUGURY_DATA_MIRROR", server.url + "/base/")
    data.fetch("small", progress=False)
    assert registry.files() == [PATH] and [path for path, _ in server.requests] == [f"/base/{PATH}"]


@pytest.mark.parametrize("as_folder", [True, False], ids=["folder", "address"])
def test_a_mirror_that_lies_is_named_and_passed_over(server, registry, answer, tmp_path, monkeypatch, as_folder):
    lie = bytes(len(LABELS))
    server.answers |= {"/upstream": answer(LABELS), f"/mirror/{PATH}": answer(lie)}
    (tmp_path / "mirror" / "small").mkdir(parents=True)
    (tmp_path / "mirror" / PATH).write_bytes(lie)
    base = str(tmp_path / "mirror") if as_folder else server.url + "/mirror"
    monkeypatch.setenv("AUGURY_DATA_MIRROR", base)
    registry.write_labels(LABELS, server.url + "/upstream")
    with pytest.warns(UserWarning, match=f"the mirror's {base}/{PATH} is not used: wrong checksum"):
        data.fetch("small", progress=False)
    assert (registry.downloads / PATH).read_bytes() == LABELS
    assert registry.files() == [PATH]


def test_a_mirror_that_lies_and_no_upstream(registry, tmp_path, monkeypatch):
    (tmp_path / "mirror" / "small").mkdir(parents=True)
    (tmp_path / "mirror" / PATH).write_bytes(bytes(len(LABELS)))
    monkeypatch.setenv("AUGURY_DATA_MIRROR", str(tmp_path / "mirror"))
    registry.write_labels(LABELS)
    with pytest.warns(UserWarning, match="is not used"), pytest.raises(DataError, match="wrong checksum") as caught:
        data.load("small")
    assert not isinstance(caught.value, MissingDataError)
    assert "DATASETS=" not in str(caught.value)  # `make data` could not help: it has no address of its own
    assert registry.files() == []


def test_packed_files_are_preferred_and_upstream_follows(server, registry, answer, line, tmp_path, monkeypatch):
    """The first source of which all files can be had wins; a mirror with only a part of one is no dead end."""
    other = gzip.compress(gzip.decompress(LABELS), 1, mtime=7)
    packed = [line("small/a.gz", other, role="train/y"), line("small/b.gz", other + b"x", role="test/y")]
    upstream = line(PATH, LABELS, server.url + "/upstream", role="train/y")
    sources = "\n".join(
        f'[small.{kind}]\nreader = "idx"\nfiles = [{files}]'
        for kind, files in (("packed", ", ".join(packed)), ("upstream", upstream))
    )
    registry.write("small", "{ train = 4 }", sources)
    (tmp_path / "mirror" / "small").mkdir(parents=True)
    (tmp_path / "mirror" / "small" / "a.gz").write_bytes(other)
    monkeypatch.setenv("AUGURY_DATA_MIRROR", str(tmp_path / "mirror"))
    server.answers["/upstream"] = answer(LABELS)
    assert data.fetch("small", progress=False) == [registry.downloads / PATH]
    (tmp_path / "mirror" / "small" / "b.gz").write_bytes(other + b"x")
    (registry.downloads / PATH).unlink()
    assert [path.name for path in data.fetch("small", progress=False)] == ["a.gz", "b.gz"]


def test_an_older_good_copy_is_kept_when_its_successor_cannot_be_had(server, registry, answer):
    server.answers["/labels.gz"] = answer(LABELS)
    registry.write_labels(LABELS, server.url + "/labels.gz")
    data.fetch("small", progress=False)
    newer = gzip.compress(gzip.decompress(LABELS)[:-1] + b"\1", mtime=0)
    for failing in (answer(b"", 404), answer(newer, send=10), answer(bytes(len(newer)))):
        server.answers["/newer.gz"] = failing
        registry.write_labels(newer, server.url + "/newer.gz")
        with pytest.warns(UserWarning, match="not the file the registry describes"), pytest.raises(DataError):
            data.fetch("small", progress=False)
        assert (registry.downloads / PATH).read_bytes() == LABELS
        assert registry.files() == [PATH]
    server.answers["/newer.gz"] = answer(newer)
    with pytest.warns(UserWarning, match="fetching it again"):
        data.fetch("small", progress=False)
    assert (registry.downloads / PATH).read_bytes() == newer


def test_an_archive_that_reaches_outside_is_refused_after_an_honest_download(server, registry, answer, line, tmp_path):
    """The checksum is right, the registry names it: still no byte of it is read or written."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr("y", gzip.decompress(LABELS))
        archive.writestr("../../evil", "evil")
    body = content.getvalue()
    server.answers["/a.zip"] = answer(body)
    source = f'[small.upstream]\nreader = "idx"\nfiles = [{line("small/a.zip", body, server.url + "/a.zip")}]\n'
    registry.write("small", "{ train = 4 }", source + 'members = { "train/y" = "y" }')
    with pytest.raises(DataError, match=r"small/a\.zip: the member '\.\./\.\./evil' points outside the archive"):
        data.load("small")
    assert registry.files() == ["small/a.zip"] and not list(tmp_path.rglob("evil"))


def test_an_interrupt_leaves_nothing(server, registry, answer, monkeypatch):
    server.answers["/big"] = answer(BIG)
    registry.write_labels(BIG, server.url + "/big", "small/big")

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("augury.data.download._Sink.verify", interrupted)
    with pytest.raises(KeyboardInterrupt):
        data.fetch("small", progress=False)
    assert registry.files() == []


def test_the_remains_of_a_killed_process_are_no_data_and_are_swept_up(server, registry, answer):
    server.answers["/labels.gz"] = answer(LABELS)
    registry.write_labels(LABELS, server.url + "/labels.gz")
    folder = (registry.downloads / PATH).parent
    folder.mkdir(parents=True)
    old, running = folder / ".labels.gz.old.part", folder / ".labels.gz.running.part"
    for part in (old, running):
        part.write_bytes(LABELS[:9])
    os.utime(old, (time.time() - 7200,) * 2)
    data.fetch("small", progress=False)
    assert registry.files() == ["small/.labels.gz.running.part", PATH]
