"""From names to arrays: the digest, the cache of decoded arrays, the embedded sets, holding out."""

import hashlib
import struct
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from augury import data
from augury.data import arrays
from augury.errors import DataError, ParameterError

X = np.arange(4 * 2 * 3, dtype=np.uint8).reshape(4, 2, 3)
Y = np.array([0, 1, 1, 0], np.uint8)


def idx(array):
    header = bytes([0, 0, 8, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape)
    return header + array.tobytes()


@pytest.fixture
def small(registry, line, tmp_path, monkeypatch):
    """Registers "small", four training images, with any digest; returns the function and the mirror's folder."""
    mirror = tmp_path / "mirror"
    (mirror / "small").mkdir(parents=True)
    monkeypatch.setenv("AUGURY_DATA_MIRROR", str(mirror))
    bodies = {"train/x": idx(X), "train/y": idx(Y)}

    def register(digest="", splits="{ train = 4 }"):
        files = []
        for role, body in bodies.items():
            (mirror / "small" / role[-1]).write_bytes(body)
            files.append(line(f"small/{role[-1]}", body, role=role))
        source = f'[small.upstream]\nreader = "idx"\nfiles = [{", ".join(files)}]'
        registry.write("small", splits, source, f'digest = "{digest}"')

    return register, mirror


# The digest -----------------------------------------------------------------------------------------------------------


def test_digest_is_the_documented_one():
    """By hand: a line of name, type and shape for each field, then its bytes; for strings, their ends first."""
    fields = {"test/y": np.array([1]), "train/y": np.array([2.5]), "train/x/a": ["é", "", "b"]}
    by_hand = hashlib.sha256(
        b"train/x/a text (3,)\n" + struct.pack("<3q", 2, 2, 3) + "éb".encode()
        + b"train/y <f8 (1,)\n" + struct.pack("<d", 2.5)
        + b"test/y <i8 (1,)\n" + struct.pack("<q", 1)
    )  # fmt: skip
    assert arrays.digest(fields) == by_hand.hexdigest()


def test_digest_sees_content_and_not_representation():
    x = np.arange(24, dtype=np.int64).reshape(2, 3, 4)
    nan = np.array([1.0, np.nan])
    other_nan = np.array([1.0, np.nan])
    other_nan.view(np.uint64)[1] |= 5  # another payload
    same = [x, np.asfortranarray(x), x.astype(">i8"), x[::-1][::-1]]
    assert len({arrays.digest({"train/x": value}) for value in same}) == 1
    assert arrays.digest({"train/x": nan}) == arrays.digest({"train/x": other_nan})
    different = [x, x.reshape(2, 4, 3), x.astype(np.int32), x + 1, x.swapaxes(0, 1)]
    assert len({arrays.digest({"train/x": value}) for value in different}) == len(different)
    texts = [["ab", "c"], ["a", "bc"], ["abc"], ["ab", "c", ""]]
    assert len({arrays.digest({"train/x/t": value}) for value in texts}) == len(texts)
    a, b = np.array([1]), np.array([2])
    assert arrays.digest({"train/x/a": a, "train/x/b": b}) != arrays.digest({"train/x/b": b, "train/x/a": a})
    assert arrays.digest({"train/x/a": a, "train/y": b}) == arrays.digest({"train/y": b, "train/x/a": a})


characters = st.characters(exclude_categories=["Cs"])


@settings(max_examples=30, deadline=None)
@given(st.lists(st.text(characters)), st.lists(st.floats(allow_nan=True)))
def test_what_is_saved_is_restored(tmp_path_factory, texts, numbers):
    path = tmp_path_factory.mktemp("kept") / "a.npz"
    fields = {"train/x/text": texts, "train/x/number": np.array(numbers, np.float64), "train/y": np.arange(3)}
    arrays.save(path, fields, "some digest")
    restored = arrays.restore(path, "some digest")
    assert restored is not None
    assert restored["train/x/text"] == texts
    np.testing.assert_array_equal(restored["train/x/number"], fields["train/x/number"])
    assert arrays.digest(restored) == arrays.digest(fields)
    assert arrays.restore(path, "another digest") is None
    assert [path.name for path in path.parent.iterdir()] == ["a.npz"]


# Loading --------------------------------------------------------------------------------------------------------------


def test_load_checks_the_digest_and_keeps_the_arrays(small, registry):
    register, mirror = small
    wanted = arrays.digest({"train/x": X[..., None], "train/y": Y.astype(np.int64)})
    register(wanted)
    first = data.load("small")
    np.testing.assert_array_equal(first.train.x[..., 0], X)
    assert first.train.y.dtype == np.int64 and first.train.y.tolist() == Y.tolist() and len(first.train) == 4
    assert (first.name, first.test, first.classes, first.digest) == ("small", None, ("0", "1"), wanted)
    assert data.digest("small") == wanted
    # From now on neither mirror nor downloads are needed; and what a caller does to the arrays stays with the caller.
    first.train.x[:] = 0
    for folder in (mirror / "small", registry.downloads / "small"):
        for path in folder.iterdir():
            path.unlink()
    second = data.load("small")
    np.testing.assert_array_equal(second.train.x[..., 0], X)


def test_load_refuses_arrays_of_another_digest_and_keeps_nothing(small, registry):
    register, _ = small
    register("0" * 64)
    with pytest.raises(DataError, match=f"small: the upstream source decodes to arrays with the digest .*{'0' * 64}"):
        data.load("small")
    assert registry.files() == ["small/x", "small/y"]


def test_load_refuses_another_number_of_samples(small):
    register, _ = small
    register(splits="{ train = 4, test = 2 }")
    with pytest.raises(DataError, match=r"holds \{'train': 4\} samples, the registry says \{'train': 4, 'test': 2\}"):
        data.load("small")


def test_without_a_recorded_digest_the_files_stand_in(small):
    register, _ = small
    register()
    before = data.digest("small")
    assert before.startswith("files-") and data.load("small").digest == before
    register(splits="{ train = 5 }")
    assert data.digest("small") == before


@pytest.mark.parametrize("damage", ["cut", "flipped", "foreign"])
def test_a_damaged_cache_is_decoded_again(small, registry, damage):
    register, _ = small
    register()
    data.load("small")
    kept = registry.downloads / "decoded" / "small.npz"
    content = bytearray(kept.read_bytes())
    good = bytes(content)
    if damage == "cut":
        content = content[:-100]
    elif damage == "flipped":
        content[content.index(X.tobytes()) + 5] ^= 1
    else:
        content = bytearray(b"not an npz")
    kept.write_bytes(content)
    np.testing.assert_array_equal(data.load("small").train.x[..., 0], X)
    assert len(kept.read_bytes()) == len(good)
    assert arrays.restore(kept, data.digest("small")) is not None


def test_tables_come_as_typed_frames(registry, line, tmp_path, monkeypatch):
    body = b"age,job,ratio,y\n3,a,0.5,no\n4,?,,yes\n"
    (tmp_path / "t.csv").write_bytes(body)
    monkeypatch.setenv("AUGURY_DATA_MIRROR", str(tmp_path))
    source = f"[small.upstream]\nfiles = [{line('t.csv', body, role='train')}]\n"
    shared = (
        '[small.format]\nreader = "csv"\ntarget = "y"\nlabels = ["no", "yes"]\nintegers = ["age"]\nreals = ["ratio"]\n'
    )
    registry.write("small", "{ train = 2 }", shared + source)
    for _ in range(2):  # decoded, then from the cache
        dataset = data.load("small")
        expected = pd.DataFrame({"age": [3, 4], "job": ["a", "?"], "ratio": [0.5, np.nan]})
        pd.testing.assert_frame_equal(dataset.train.x, expected)
        assert dataset.train.y.tolist() == [0, 1]


def test_unknown_names_are_refused_with_a_hint():
    with pytest.raises(ParameterError, match="no data set is called 'cifar10'; did you mean cifar-10"):
        data.load("cifar10")
    with pytest.raises(ParameterError, match="known: mnist, "):
        data.digest("xyzzy")


def test_importing_is_cheap():
    heavy = "torch", "pandas", "sklearn", "scipy", "requests", "pooch", "PIL"
    script = f"import augury.data, sys; print([name for name in {heavy} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


# Embedded sets --------------------------------------------------------------------------------------------------------


def test_digits():
    from sklearn.datasets import load_digits

    dataset, theirs = data.load("digits"), load_digits()
    x = np.concatenate([dataset.train.x, dataset.test.x])
    assert x.dtype == np.uint8 and x.shape == (1797, 8, 8, 1) and len(dataset.test) == 500
    np.testing.assert_allclose(x[..., 0] / 255 * 16, theirs.images, atol=16 / 255)
    assert x.max() == 255 and len(np.unique(x)) == 17
    np.testing.assert_array_equal(np.concatenate([dataset.train.y, dataset.test.y]), theirs.target)


def test_breast_cancer_and_diabetes():
    from sklearn.datasets import load_breast_cancer, load_diabetes

    cancer, theirs = data.load("breast-cancer"), load_breast_cancer(as_frame=True)
    pd.testing.assert_frame_equal(cancer.train.x, theirs.data)
    assert cancer.classes == tuple(theirs.target_names) and cancer.train.y.tolist() == theirs.target.tolist()
    diabetes, theirs = data.load("diabetes"), load_diabetes(as_frame=True, scaled=False)
    pd.testing.assert_frame_equal(diabetes.train.x, theirs.data)
    assert diabetes.classes == () and diabetes.train.y.dtype == np.float64
    np.testing.assert_array_equal(diabetes.train.y, theirs.target)


def test_two_gaussians_have_the_stated_moments():
    dataset = data.load("two-gaussians")
    for split in (dataset.train, dataset.test):
        x = split.x.to_numpy()
        for label, mean in enumerate([(3, -3), (1, 2)]):
            points = x[split.y == label]
            assert abs(len(points) - 10_000) < 5 * 71
            np.testing.assert_allclose(points.mean(0), mean, atol=5 * 1.5 / 100)
            np.testing.assert_allclose(np.cov(points.T), 2.25 * np.eye(2), atol=5 * 2.25 * np.sqrt(2 / 9_000))
    assert not np.isin(dataset.test.x["x1"], dataset.train.x["x1"]).all()


def test_two_moons_lie_on_their_half_circles():
    dataset = data.load("two-moons")
    x, y = dataset.train.x.to_numpy(), dataset.train.y
    upper, lower = x[y == 0], x[y == 1]
    # The mean of a half circle of radius 1 is 2/pi above its centre.
    np.testing.assert_allclose(upper.mean(0), (0, 2 / np.pi), atol=0.04)
    np.testing.assert_allclose(lower.mean(0), (1, 0.5 - 2 / np.pi), atol=0.04)
    # E|p|^2 = 1 + 2 * 0.3^2 about the centre of either circle.
    for points, centre in ((upper, (0, 0)), (lower, (1, 0.5))):
        np.testing.assert_allclose(((points - centre) ** 2).sum(1).mean(), 1.18, atol=0.05)


# Holding out ----------------------------------------------------------------------------------------------------------


def test_holdout_is_stratified_and_loses_nothing():
    dataset = data.load("breast-cancer")
    split = data.holdout(dataset, 0.3, np.random.default_rng(0))
    assert split.test is not None
    for label in (0, 1):
        count = (dataset.train.y == label).sum()
        assert (split.test.y == label).sum() == round(0.3 * count)
    whole = pd.concat([split.train.x, split.test.x])
    pd.testing.assert_frame_equal(
        whole.sort_values(list(whole.columns), ignore_index=True),
        dataset.train.x.sort_values(list(whole.columns), ignore_index=True),
    )
    assert list(split.train.x.index) == list(range(len(split.train)))
    again = data.holdout(dataset, 0.3, np.random.default_rng(0))
    other = data.holdout(dataset, 0.3, np.random.default_rng(1))
    assert again.test.x.equals(split.test.x) and not other.test.x.equals(split.test.x)


def test_holdout_of_images_keeps_rows_with_their_labels(small):
    register, _ = small
    register()
    dataset = data.load("small")
    split = data.holdout(dataset, 0.5, np.random.default_rng(0))
    assert sorted(split.test.y) == sorted(split.train.y) == [0, 1]
    for part in (split.train, split.test):
        rows = [int(image[0, 0, 0]) // 6 for image in part.x]
        assert dataset.train.y[rows].tolist() == part.y.tolist() and rows == sorted(rows)


def test_holdout_of_a_regression():
    split = data.holdout(data.load("diabetes"), 0.25, np.random.default_rng(0))
    assert (len(split.train), len(split.test)) == (442 - 110, 110)


@pytest.mark.parametrize(
    ("name", "fraction", "cause"),
    [
        ("digits", 0.2, "has a test set of its own"),
        ("diabetes", 0.0, "must lie between 0 and 1"),
        ("diabetes", 1.0, "must lie between 0 and 1"),
        ("diabetes", 0.0001, "leaves a part empty"),
    ],
)
def test_holdout_refuses(name, fraction, cause):
    with pytest.raises(ParameterError, match=cause):
        data.holdout(data.load(name), fraction, np.random.default_rng(0))
