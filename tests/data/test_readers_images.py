"""The readers of images, on small files written byte for byte as the true formats have it."""

import gzip
import io
import struct
import zipfile

import numpy as np
import pytest
from PIL import Image
from scipy.io import savemat

from augury.errors import DataError

RNG = np.random.default_rng(0)


def idx(array: np.ndarray, kind: int = 0x08) -> bytes:
    return bytes([0, 0, kind, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape) + array.tobytes()


@pytest.mark.parametrize("compressed", [True, False])
def test_idx(read, tmp_path, compressed):
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
def test_idx_of_wider_numbers_is_big_endian(read, tmp_path, kind, dtype):
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
def test_damaged_idx(read, tmp_path, content, cause):
    (tmp_path / "y").write_bytes(content)
    with pytest.raises(DataError, match=cause):
        read("idx", [("train/y", tmp_path / "y")])


def test_emnist_is_transposed_idx_in_a_zip_with_labels_from_one(read, tmp_path):
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


def test_svhn_mat(read, tmp_path):
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
def test_damaged_svhn_mat(read, tmp_path, content):
    path = tmp_path / "x.mat"
    path.write_bytes(b"not a mat file at all, but long enough to have a header" * 9) if content is None else savemat(
        path, content
    )
    with pytest.raises(DataError, match=r"x\.mat: not a file of SVHN"):
        read("svhn", [("train", path)])


def binary_matrix(array: np.ndarray, magic: int) -> bytes:
    lengths = list(array.shape) + [1] * (3 - array.ndim)  # never fewer than three
    return struct.pack(f"<ii{len(lengths)}i", magic, array.ndim, *lengths) + array.tobytes()


def test_small_norb(read, tmp_path):
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
def test_damaged_small_norb(read, tmp_path, content, cause):
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


def test_packed_webp_parts_are_joined_in_order(read, tmp_path):
    x, y = RNG.integers(0, 256, (11, 32, 32, 3), np.uint8), RNG.integers(0, 10, 11).astype(np.uint8)
    webp_strips(tmp_path / "1.npz", x[:7], y[:7], 3)
    webp_strips(tmp_path / "2.npz", x[7:9], y[7:9], 3)
    webp_strips(tmp_path / "t.npz", x[9:], y[9:], 3)
    named = [("train", tmp_path / "1.npz"), ("train", tmp_path / "2.npz"), ("test", tmp_path / "t.npz")]
    fields = read("webp", named)
    np.testing.assert_array_equal(fields["train/x"], x[:9])
    np.testing.assert_array_equal(fields["test/x"], x[9:])
    assert fields["train/y"].tolist() == y[:9].tolist() and fields["test/y"].tolist() == y[9:].tolist()


def test_damaged_packed_webp(read, tmp_path):
    path = tmp_path / "1.npz"
    webp_strips(path, np.zeros((4, 32, 32, 3), np.uint8), np.zeros(3, np.uint8), 2)
    with pytest.raises(DataError, match="4 images with 3 labels"):
        read("webp", [("train", path)])
    for content in ({"y": np.zeros(3)}, {"webp": np.array([object()]), "offsets": [0, 1], "y": [0]}):
        np.savez(path, **content)
        with pytest.raises(DataError, match="not a packed image file"):
            read("webp", [("train", path)])
    path.write_bytes(b"PK not really")
    with pytest.raises(DataError, match="not a packed image file"):
        read("webp", [("train", path)])


def test_npz_of_arrays(read, tmp_path):
    x = RNG.integers(0, 256, (2, 28, 28), np.uint8)
    np.savez(tmp_path / "a.npz", x=x, y=np.array([1, 26], np.uint8))
    fields = read("arrays", [("train", tmp_path / "a.npz")], label_base=1)
    np.testing.assert_array_equal(fields["train/x"][..., 0], x)
    assert fields["train/y"].tolist() == [0, 25]
    np.savez(tmp_path / "a.npz", x=x)
    with pytest.raises(DataError, match="not an npz of images and labels"):
        read("arrays", [("train", tmp_path / "a.npz")])
