"""The reader of CIFAR's python archives: true ones, damaged ones, and pickles and archives that mean harm."""

import io
import os
import pickle
import struct
import tarfile

import numpy as np
import pytest

from augury.errors import DataError

RNG = np.random.default_rng(0)
ONE = {"key": "labels", "train": ["b"], "test": ["b"]}


class Python2Pickle:
    """Writes pickles of protocol 2 with the opcodes that Python 2 used for CIFAR: its strings are byte strings."""

    def __init__(self) -> None:
        self.out = bytearray(b"\x80\x02")

    def string(self, text: bytes) -> None:
        self.out += b"U" + bytes([len(text)]) + text if len(text) < 256 else b"T" + struct.pack("<i", len(text)) + text

    def integer(self, value: int) -> None:
        self.out += b"K" + bytes([value]) if value < 256 else b"M" + struct.pack("<H", value)

    def array(self, value: np.ndarray) -> None:
        self.out += b"cnumpy.core.multiarray\n_reconstruct\n" + b"cnumpy\nndarray\n" + b"K\0\x85" + b"U\x01b\x87R"
        self.out += b"(K\x01"  # state: version, shape, dtype, order, bytes
        for length in value.shape:
            self.integer(length)
        self.out += b"\x86cnumpy\ndtype\nU\x02u1K\0K\x01\x87R(K\x03U\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\0tb\x89"
        self.string(value.tobytes())
        self.out += b"tb"

    def batch(self, **items: object) -> bytes:
        self.out += b"}("
        for key, value in items.items():
            self.string(key.encode())
            if isinstance(value, np.ndarray):
                self.array(value)
            elif isinstance(value, bytes):
                self.string(value)
            else:
                self.out += b"](" + b""
                for item in value:
                    self.string(item) if isinstance(item, bytes) else self.integer(item)
                self.out += b"e"
        return bytes(self.out + b"u.")


def cifar_batch(x: np.ndarray, y: list[int], names: list[bytes], key: str = "labels") -> bytes:
    planes = np.ascontiguousarray(x.transpose(0, 3, 1, 2)).reshape(len(x), 3072)
    batch = {"batch_label": b"training batch 1 of 5", key: y, "data": planes, "filenames": names}
    return Python2Pickle().batch(**batch)


def tar(path, members: dict[str, bytes]):
    with tarfile.open(path, "w:gz") as archive:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return path


def test_the_test_writes_what_python_2_wrote():
    """The start of the canonical data_batch_1, memo marks aside; and Python's own unpickler agrees with it."""
    x = RNG.integers(0, 256, (3, 32, 32, 3), np.uint8)
    content = cifar_batch(x, [6, 9, 9], [b"a.png", b"b.png", b"c.png"])
    assert content.startswith(b"\x80\x02}(U\x0bbatch_labelU\x15training batch 1 of 5U\x06labels](K\x06K\x09K\x09e")
    trusted = pickle.loads(content, encoding="bytes")
    np.testing.assert_array_equal(trusted[b"data"].reshape(3, 3, 32, 32).transpose(0, 2, 3, 1), x)
    assert trusted[b"filenames"] == [b"a.png", b"b.png", b"c.png"]


def test_cifar_batches_in_a_tar(read, tmp_path):
    x = RNG.integers(0, 256, (7, 32, 32, 3), np.uint8)
    y = [3, 8, 8, 0, 6, 6, 1]
    names = [b"image_%d.png" % i for i in range(7)]
    parts = {"b/one": slice(0, 3), "b/two": slice(3, 5), "b/test": slice(5, 7)}
    members = {name: cifar_batch(x[part], y[part], names[part]) for name, part in parts.items()}
    path = tar(tmp_path / "c.tar.gz", members | {"b/readme.html": b"not to be read"})
    fields = read("cifar", [("", path)], key="labels", train=["b/one", "b/two"], test=["b/test"])
    np.testing.assert_array_equal(fields["train/x"], x[:5])
    np.testing.assert_array_equal(fields["test/x"], x[5:])
    assert fields["train/y"].tolist() == y[:5] and fields["test/y"].tolist() == y[5:]
    assert fields["train/x"].flags.c_contiguous and fields["train/x"].dtype == np.uint8


def test_cifar_subset_is_picked_by_label_and_file_name(read, tmp_path, registry):
    x = RNG.integers(0, 256, (4, 32, 32, 3), np.uint8)
    same = [b"a.png", b"b.png", b"a.png", b"c.png"]  # the label tells the first from the third
    batch = cifar_batch(x, [1, 1, 99, 2], same, key="fine_labels")
    path = tar(tmp_path / "c.tar.gz", {"train": batch, "test": batch})
    registry.write("small", "{ train = 2 }", "")
    listed = tmp_path / "root-1" / "data" / "some.txt"
    listed.write_text("train 2 c.png\ntrain 99 a.png\ntest 1 a.png\n")
    options = {"key": "fine_labels", "train": ["train"], "test": ["test"], "pick": "some.txt"}
    fields = read("cifar", [("", path)], **options)
    np.testing.assert_array_equal(fields["train/x"], x[[3, 2]])
    np.testing.assert_array_equal(fields["test/x"], x[[0]])
    assert fields["train/y"].tolist() == [2, 99] and fields["test/y"].tolist() == [1]
    listed.write_text("train 5 a.png\n")
    with pytest.raises(DataError, match="lacks 1 samples of some.txt"):
        read("cifar", [("", path)], **options)


class Reconstructed:
    """Pickled as an array that is large before any bytes for it have come."""

    def __reduce__(self):
        return np.zeros(0).__reduce__()[0], (np.ndarray, (10**6,), b"b")


class Harmful:
    def __init__(self, path) -> None:
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


def test_a_harmful_pickle_is_refused_and_not_run(read, tmp_path):
    trap = tmp_path / "trap"
    good = {b"labels": [0], b"data": np.zeros((1, 3072), np.uint8)}
    hidden = np.empty(1, object)
    hidden[0] = Harmful(trap)
    causes = [
        (Harmful(trap), "mkdir is not allowed"),
        (hidden, "dtype object is not allowed"),
        (np.array([1], object), "dtype object is not allowed"),
        (np.zeros(1, [("a", int)]), "is not allowed"),
        (np.ma.zeros(1), "_mareconstruct is not allowed"),
        (Reconstructed(), "only plain numpy arrays are allowed"),
        (range(3), "range is not allowed"),
    ]
    for number, (harmful, cause) in enumerate(causes):
        # Protocol 3 writes bytes as they are; in protocol 2 they would be refused before anything else is looked at.
        path = tar(tmp_path / f"{number}.tar.gz", {"b": pickle.dumps(good | {b"extra": harmful}, protocol=3)})
        with pytest.raises(DataError, match=f"not a CIFAR python batch .*{cause}"):
            read("cifar", [("", path)], key="labels", train=["b"], test=["b"])
    assert not trap.exists()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"not a pickle",
        Python2Pickle().batch(labels=[1], data=np.zeros((2, 3072), np.uint8)),  # fewer labels than images
        Python2Pickle().batch(labels=[1], data=np.zeros((1, 100), np.uint8)),
        Python2Pickle().batch(fine_labels=[1], data=np.zeros((1, 3072), np.uint8)),  # other key
        pickle.dumps([1, 2], protocol=2),
    ],
)
def test_damaged_cifar_batch(read, tmp_path, content):
    path = tar(tmp_path / "c.tar.gz", {"b": content})
    with pytest.raises(DataError, match="c.tar.gz: b: not a CIFAR python batch"):
        read("cifar", [("", path)], key="labels", train=["b"], test=["b"])


def one_batch() -> bytes:
    return cifar_batch(RNG.integers(0, 256, (1, 32, 32, 3), np.uint8), [0], [b"a"])


@pytest.mark.parametrize("escape", ["../evil", "/tmp/evil", "a/../../evil", "..\\evil", "C:/evil"])
def test_an_archive_with_an_escaping_member_is_refused_whole(read, tmp_path, escape):
    folder = tmp_path / "folder"
    folder.mkdir()
    path = tar(folder / "x.tar.gz", {"b": one_batch(), escape: b"evil"})
    with pytest.raises(DataError, match=r"x\.tar\.gz: the member .*evil' points outside the archive.*fetch it again"):
        read("cifar", [("", path)], **ONE)
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["folder", "x.tar.gz"]


def test_a_link_is_no_member(read, tmp_path):
    secret = tmp_path / "secret"
    secret.write_bytes(one_batch())
    with tarfile.open(tmp_path / "x.tar.gz", "w:gz") as archive:
        link = tarfile.TarInfo("b")
        link.type, link.linkname = tarfile.SYMTYPE, str(secret)
        archive.addfile(link)
    with pytest.raises(DataError, match="has no file b"):
        read("cifar", [("", tmp_path / "x.tar.gz")], **ONE)


def test_damaged_archive(read, tmp_path):
    path = tar(tmp_path / "x.tar.gz", {"b": one_batch()})
    path.write_bytes(path.read_bytes()[:-300])
    with pytest.raises(DataError, match=r"x\.tar\.gz: damaged archive"):
        read("cifar", [("", path)], **ONE)
