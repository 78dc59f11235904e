"""The readers, on small files written byte for byte as the true formats have it."""

import gzip
import io
import os
import pickle
import struct
import tarfile
import zipfile

import numpy as np
import pytest
from PIL import Image
from scipy.io import savemat

from augury.data import arrays, readers
from augury.data.registry import File, Source
from augury.errors import DataError

RNG = np.random.default_rng(0)


def read(reader, named, **options):
    """Run `reader` on files given as role -> path."""
    files = tuple(File(path.name, 0, "0" * 64, role=role) for role, path in named)
    return readers.read(Source("upstream", reader, files, options), [path for _, path in named])


# idx ------------------------------------------------------------------------------------------------------------------


def idx(array: np.ndarray, kind: int = 0x08) -> bytes:
    return bytes([0, 0, kind, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape) + array.tobytes()


@pytest.mark.parametrize("compressed", [True, False])
def test_idx(tmp_path, compressed):
    x, y = RNG.integers(0, 256, (5, 4, 3), np.uint8), np.array([3, 0, 9, 1, 1], np.uint8)
    named = []
    for role, content in (("train/x", idx(x)), ("train/y", idx(y))):
        path = tmp_path / (role[-1] + (".gz" if compressed else ""))
        path.write_bytes(gzip.compress(content) if compressed else content)
        named.append((role, path))
    fields = read("idx", named)
    assert fields["train/x"].shape == (5, 4, 3, 1) and fields["train/x"].dtype == np.uint8
    np.testing.assert_array_equal(fields["train/x"][..., 0], x)
    assert fields["train/y"].dtype == np.int64 and fields["train/y"].tolist() == [3, 0, 9, 1, 1]


@pytest.mark.parametrize(("kind", "dtype"), [(0x0B, ">i2"), (0x0C, ">i4"), (0x09, "i1")])
def test_idx_of_wider_numbers_is_big_endian(tmp_path, kind, dtype):
    (tmp_path / "y").write_bytes(idx(np.array([7, 100, 2], dtype), kind))
    assert read("idx", [("train/y", tmp_path / "y")])["train/y"].tolist() == [7, 100, 2]


@pytest.mark.parametrize(
    ("content", "cause"),
    [
        (b"<html>", "not an idx file"),
        (b"\0\0", "not an idx file"),
        (idx(np.zeros(5, np.uint8))[:6], "header is cut short"),
        (idx(np.zeros(5, np.uint8))[:-1], "holds 4 bytes of data, its idx header says 5"),
        (idx(np.zeros(5, np.uint8)) + b"x", "holds 6 bytes of data, its idx header says 5"),
    ],
)
def test_damaged_idx(tmp_path, content, cause):
    (tmp_path / "y").write_bytes(content)
    with pytest.raises(DataError, match=cause):
        read("idx", [("train/y", tmp_path / "y")])


def test_emnist_is_transposed_idx_in_a_zip_with_labels_from_one(tmp_path):
    upright, y = RNG.integers(0, 256, (6, 28, 28), np.uint8), np.array([1, 26, 2, 3, 1, 9], np.uint8)
    members = {
        "train/x": ("gzip/emnist-letters-train-images-idx3-ubyte.gz", idx(upright.transpose(0, 2, 1))),
        "train/y": ("gzip/emnist-letters-train-labels-idx1-ubyte.gz", idx(y)),
    }
    with zipfile.ZipFile(tmp_path / "gzip.zip", "w") as archive:
        archive.writestr("gzip/emnist-mnist-train-images-idx3-ubyte.gz", b"not to be read")
        for name, content in members.values():
            archive.writestr(name, gzip.compress(content))
    names = {role: name for role, (name, _) in members.items()}
    fields = read("idx", [("", tmp_path / "gzip.zip")], members=names, transpose=True, label_base=1)
    np.testing.assert_array_equal(fields["train/x"][..., 0], upright)
    assert fields["train/y"].tolist() == [0, 25, 1, 2, 0, 8]


# CIFAR ----------------------------------------------------------------------------------------------------------------


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


def test_cifar_batches_in_a_tar(tmp_path):
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


def test_cifar_subset_is_picked_by_label_and_file_name(tmp_path, registry):
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


class Harmful:
    def __init__(self, path) -> None:
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


def test_a_harmful_pickle_is_refused_and_not_run(tmp_path):
    trap = tmp_path / "trap"
    good = {b"labels": [0], b"data": np.zeros((1, 3072), np.uint8)}
    hidden_in_objects = np.empty(1, object)
    hidden_in_objects[0] = Harmful(trap)
    for number, harmful in enumerate((Harmful(trap), hidden_in_objects, np.ma.zeros(1), range(3))):
        path = tar(tmp_path / f"{number}.tar.gz", {"b": pickle.dumps(good | {b"extra": harmful}, protocol=2)})
        with pytest.raises(DataError, match="not a CIFAR python batch .*not allowed"):
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
def test_damaged_cifar_batch(tmp_path, content):
    path = tar(tmp_path / "c.tar.gz", {"b": content})
    with pytest.raises(DataError, match="c.tar.gz: b: not a CIFAR python batch"):
        read("cifar", [("", path)], key="labels", train=["b"], test=["b"])


# SVHN, small NORB, packed files ---------------------------------------------------------------------------------------


def test_svhn_mat(tmp_path):
    x, y = RNG.integers(0, 256, (5, 32, 32, 3), np.uint8), np.array([[1], [10], [9], [10], [2]], np.uint8)
    for compressed in (True, False):
        savemat(tmp_path / "test_32x32.mat", {"X": x.transpose(1, 2, 3, 0), "y": y}, do_compression=compressed)
        fields = read("svhn", [("train", tmp_path / "test_32x32.mat")])
        np.testing.assert_array_equal(fields["train/x"], x)
        assert fields["train/y"].tolist() == [1, 0, 9, 0, 2] and fields["train/x"].flags.c_contiguous
    fields = read("svhn", [("train", tmp_path / "test_32x32.mat")], rows=3)
    np.testing.assert_array_equal(fields["train/x"], x[:3])
    assert fields["train/y"].tolist() == [1, 0, 9]


@pytest.mark.parametrize(
    "content",
    [{"X": np.zeros((32, 32, 3, 2), np.uint8)}, {"X": np.zeros((32, 32, 3, 2)), "y": [[1], [2]]}, {"y": [[1]]}, None],
)
def test_damaged_svhn_mat(tmp_path, content):
    path = tmp_path / "x.mat"
    path.write_bytes(b"not a mat file at all, but long enough to have a header" * 9) if content is None else savemat(
        path, content
    )
    with pytest.raises(DataError, match=r"x\.mat: not a file of SVHN"):
        read("svhn", [("train", path)])


def binary_matrix(array: np.ndarray, magic: int) -> bytes:
    lengths = list(array.shape) + [1] * (3 - array.ndim)  # never fewer than three
    return struct.pack(f"<ii{len(lengths)}i", magic, array.ndim, *lengths) + array.tobytes()


def test_small_norb(tmp_path):
    pairs, y = RNG.integers(0, 256, (3, 2, 96, 96), np.uint8), np.array([0, 4, 1], "<i4")
    (tmp_path / "dat.mat.gz").write_bytes(gzip.compress(binary_matrix(pairs, 0x1E3D4C55)))
    (tmp_path / "cat.mat.gz").write_bytes(gzip.compress(binary_matrix(y, 0x1E3D4C54)))
    # The first bytes of every canonical label file.
    assert binary_matrix(y, 0x1E3D4C54)[:8] == b"\x54\x4c\x3d\x1e\x01\x00\x00\x00"
    fields = read("norb", [("train/x", tmp_path / "dat.mat.gz"), ("train/y", tmp_path / "cat.mat.gz")])
    assert fields["train/x"].shape == (3, 96, 96, 2) and fields["train/x"].flags.c_contiguous
    np.testing.assert_array_equal(fields["train/x"][..., 1], pairs[:, 1])
    assert fields["train/y"].tolist() == [0, 4, 1]


@pytest.mark.parametrize(
    ("content", "cause"),
    [
        (b"short", "not a binary matrix"),
        (b"\0" * 40, "not a binary matrix"),
        (binary_matrix(np.zeros(4, "<i4"), 0x1E3D4C54)[:16], "header of the binary matrix is cut short"),
        (binary_matrix(np.zeros(4, "<i4"), 0x1E3D4C54)[:-1], r"holds 15 bytes of data, its header \(4,\) says 16"),
    ],
)
def test_damaged_small_norb(tmp_path, content, cause):
    (tmp_path / "cat.mat").write_bytes(content)
    with pytest.raises(DataError, match=cause):
        read("norb", [("train/y", tmp_path / "cat.mat")])


def webp_strips(path, x: np.ndarray, y: np.ndarray, per_strip: int):
    strips = []
    for start in range(0, len(x), per_strip):
        buffer = io.BytesIO()
        Image.fromarray(x[start : start + per_strip].reshape(-1, 32, 3)).save(buffer, "WEBP", lossless=True)
        strips.append(buffer.getvalue())
    offsets = np.cumsum([0, *map(len, strips)])
    np.savez(path, webp=np.frombuffer(b"".join(strips), np.uint8), offsets=offsets, y=y)


def test_packed_webp_parts_are_joined_in_order(tmp_path):
    x, y = RNG.integers(0, 256, (11, 32, 32, 3), np.uint8), RNG.integers(0, 10, 11).astype(np.uint8)
    webp_strips(tmp_path / "1.npz", x[:7], y[:7], 3)
    webp_strips(tmp_path / "2.npz", x[7:9], y[7:9], 3)
    webp_strips(tmp_path / "t.npz", x[9:], y[9:], 3)
    named = [("train", tmp_path / "1.npz"), ("train", tmp_path / "2.npz"), ("test", tmp_path / "t.npz")]
    fields = read("webp", named)
    np.testing.assert_array_equal(fields["train/x"], x[:9])
    np.testing.assert_array_equal(fields["test/x"], x[9:])
    assert fields["train/y"].tolist() == y[:9].tolist() and fields["test/y"].tolist() == y[9:].tolist()


def test_damaged_packed_webp(tmp_path):
    path = tmp_path / "1.npz"
    webp_strips(path, np.zeros((4, 32, 32, 3), np.uint8), np.zeros(3, np.uint8), 2)
    with pytest.raises(DataError, match="4 images with 3 labels"):
        read("webp", [("train", path)])
    for content in ({"y": np.zeros(3)}, {"webp": np.array([Harmful(tmp_path / "trap")]), "offsets": [0, 1], "y": [0]}):
        np.savez(path, **content)
        with pytest.raises(DataError, match="not a packed image file"):
            read("webp", [("train", path)])
    path.write_bytes(b"PK not really")
    with pytest.raises(DataError, match="not a packed image file"):
        read("webp", [("train", path)])
    assert not (tmp_path / "trap").exists()


def test_npz_of_arrays(tmp_path):
    x = RNG.integers(0, 256, (2, 28, 28), np.uint8)
    np.savez(tmp_path / "a.npz", x=x, y=np.array([1, 26], np.uint8))
    fields = read("arrays", [("train", tmp_path / "a.npz")], label_base=1)
    np.testing.assert_array_equal(fields["train/x"][..., 0], x)
    assert fields["train/y"].tolist() == [0, 25]
    np.savez(tmp_path / "a.npz", x=x)
    with pytest.raises(DataError, match="not an npz of images and labels"):
        read("arrays", [("train", tmp_path / "a.npz")])


# Tables ---------------------------------------------------------------------------------------------------------------


def test_csv_as_uci_writes_adult(tmp_path):
    (tmp_path / "data").write_bytes(b"39, State-gov, 1.5, <=50K\n50, ?, 2, >50K\n\n")
    (tmp_path / "test").write_bytes(b"|1x3 Cross validator\n25, Private, , <=50K.\n")
    fields = read(
        "csv",
        [("train", tmp_path / "data"), ("test", tmp_path / "test")],
        columns=["age", "workclass", "ratio", "income"],
        comment="|",
        skip_blanks=True,
        target="income",
        labels=["<=50K", ">50K"],
        label_suffix=".",
        integers=["age"],
        reals=["ratio"],
    )
    assert list(arrays.ordered(fields)) == [
        *("train/x/age", "train/x/workclass", "train/x/ratio", "train/y"),
        *("test/x/age", "test/x/workclass", "test/x/ratio", "test/y"),
    ]
    assert fields["train/x/age"].dtype == np.int64 and fields["train/x/age"].tolist() == [39, 50]
    assert fields["train/x/workclass"] == ["State-gov", "?"]
    assert fields["train/x/ratio"].tolist() == [1.5, 2.0] and np.isnan(fields["test/x/ratio"]).all()
    assert fields["train/y"].tolist() == [0, 1] and fields["test/y"].tolist() == [0]


def test_csv_with_header_quotes_and_line_breaks_in_a_zip_within_a_zip(tmp_path):
    table = '"";"text";"y"\r\n0;" a ""b""; c\nd é";"no"\r\n7;"";"yes"\r\n'
    inner = io.BytesIO()
    with zipfile.ZipFile(inner, "w") as archive:
        archive.writestr("bank/full.csv", table.encode())
    with zipfile.ZipFile(tmp_path / "b.zip", "w") as archive:
        archive.writestr("bank.zip", inner.getvalue())
    fields = read(
        "csv",
        [("train", tmp_path / "b.zip")],
        member="bank.zip!bank/full.csv",
        separator=";",
        target="y",
        labels=["no", "yes"],
        drop=[""],
    )
    assert list(fields) == ["train/y", "train/x/text"]
    assert fields["train/x/text"] == [' a "b"; c\nd é', ""] and fields["train/y"].tolist() == [0, 1]


@pytest.mark.parametrize(
    ("content", "cause"),
    [
        (b"a,y\n1,no\n2\n", "data row 2 has 1 values, not 2"),
        (b"a,y\nx,no\n", "invalid literal for int"),
        (b"a,y\n1,maybe\n", "maybe"),
        (b"a,z\n1,no\n", "'y'"),
        (b"a,y\n1,\xff\n", "UnicodeDecodeError"),
        (b"", "IndexError"),
    ],
)
def test_damaged_csv(tmp_path, content, cause):
    (tmp_path / "t.csv").write_bytes(content)
    with pytest.raises(DataError, match=rf"t\.csv: not the table the registry describes.*{cause}"):
        read("csv", [("train", tmp_path / "t.csv")], target="y", labels=["no", "yes"], integers=["a"])


CELEBA = b"3\nBald Smiling Young\n000001.jpg -1  1  1\n000002.jpg  1 -1  1\n000003.jpg -1  1 -1\n"


def test_celeba_attributes(tmp_path):
    (tmp_path / "list.txt").write_bytes(CELEBA)
    fields = read("celeba", [("", tmp_path / "list.txt")], target="Smiling", n_train=2)
    assert fields["train/y"].tolist() == [1, 0] and fields["test/y"].tolist() == [1]
    assert fields["train/x/Bald"].tolist() == [-1, 1] and fields["test/x/Young"].tolist() == [-1]
    assert "train/x/Smiling" not in fields and fields["train/x/Bald"].dtype == np.int8


@pytest.mark.parametrize(
    "content",
    [CELEBA.replace(b"3\n", b"4\n", 1), CELEBA.replace(b"-1\n", b"0\n"), CELEBA.replace(b"Smiling", b"Crying"), b"x\n"],
)
def test_damaged_celeba(tmp_path, content):
    (tmp_path / "list.txt").write_bytes(content)
    with pytest.raises(DataError, match=r"list\.txt: not CelebA's attribute list"):
        read("celeba", [("", tmp_path / "list.txt")], target="Smiling", n_train=2)


def test_unknown_reader(tmp_path):
    with pytest.raises(DataError, match="the registry names the reader 'parquet'"):
        read("parquet", [("train", tmp_path / "x")])


# Archives -------------------------------------------------------------------------------------------------------------

ESCAPES = ["../evil", "/tmp/evil", "a/../../evil", "..\\evil", "C:/evil"]
CIFAR_OPTIONS = {"key": "labels", "train": ["b"], "test": ["b"]}


@pytest.mark.parametrize("escape", ESCAPES)
def test_an_archive_with_an_escaping_member_is_refused_whole(tmp_path, escape):
    folder = tmp_path / "folder"
    folder.mkdir()
    good = cifar_batch(np.zeros((1, 32, 32, 3), np.uint8), [0], [b"a"])
    path = tar(folder / "x.tar.gz", {"b": good, escape: b"evil"})
    with pytest.raises(DataError, match=r"x\.tar\.gz: the member .*evil' points outside the archive.*fetch it again"):
        read("cifar", [("", path)], **CIFAR_OPTIONS)
    with zipfile.ZipFile(folder / "x.zip", "w") as archive:
        archive.writestr("t.csv", "a,y\n1,no\n")
        archive.writestr(zipfile.ZipInfo(escape), "evil")
    with pytest.raises(DataError, match=r"x\.zip: the member .*evil' points outside the archive.*fetch it again"):
        read("csv", [("train", folder / "x.zip")], member="t.csv", target="y", labels=["no"])
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["folder", "x.tar.gz", "x.zip"]


def test_a_link_is_no_member(tmp_path):
    secret = tmp_path / "secret"
    secret.write_bytes(cifar_batch(np.zeros((1, 32, 32, 3), np.uint8), [0], [b"a"]))
    with tarfile.open(tmp_path / "x.tar.gz", "w:gz") as archive:
        link = tarfile.TarInfo("b")
        link.type, link.linkname = tarfile.SYMTYPE, str(secret)
        archive.addfile(link)
    with pytest.raises(DataError, match="has no file b"):
        read("cifar", [("", tmp_path / "x.tar.gz")], **CIFAR_OPTIONS)


def test_damaged_archives(tmp_path):
    cut = 300
    noise = cifar_batch(RNG.integers(0, 256, (1, 32, 32, 3), np.uint8), [0], [b"a"])
    path = tar(tmp_path / "x.tar.gz", {"b": noise})
    path.write_bytes(path.read_bytes()[:-cut])
    with pytest.raises(DataError, match=r"x\.tar\.gz: damaged archive"):
        read("cifar", [("", path)], **CIFAR_OPTIONS)
    path = tmp_path / "y.gz"
    path.write_bytes(gzip.compress(idx(RNG.integers(0, 256, 999, np.uint8)))[:-cut])
    with pytest.raises(DataError, match=r"y\.gz: damaged archive"):
        read("idx", [("train/y", path)])
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
        archive.writestr("t.csv", "a,y\n" + "1,no\n" * 100)
    options = {"target": "y", "labels": ["no"]}
    with pytest.raises(DataError, match="has no file other.csv"):
        read("csv", [("train", tmp_path / "x.zip")], member="other.csv", **options)
    (tmp_path / "x.zip").write_bytes((tmp_path / "x.zip").read_bytes()[:-cut])
    with pytest.raises(DataError, match=r"x\.zip: damaged archive"):
        read("csv", [("train", tmp_path / "x.zip")], member="t.csv", **options)
