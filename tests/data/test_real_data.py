"""The real data sets, where a mirror is at hand: the registry is true, and both sources end in the same arrays."""

import gzip
import hashlib
import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from augury import data, paths
from augury.data import arrays, download, loading, readers

MIRROR = os.environ.get("AUGURY_DATA_MIRROR", "")
pytestmark = pytest.mark.skipif(not Path(MIRROR or "-").is_dir(), reason="AUGURY_DATA_MIRROR names no folder with data")


def packed(name):
    """The source of `name` that the mirror has."""
    return next(
        source
        for source in data.entry(name).sources
        if all((Path(MIRROR) / file.path).exists() for file in source.files)
    )


def mirrored() -> list[str]:
    have = []
    for name in data.names() if Path(MIRROR or "-").is_dir() else []:
        try:
            packed(name)
        except StopIteration:
            continue
        have.append(name)
    return have


@pytest.fixture(scope="module")
def fields():
    """Decoded straight from the mirror, each data set once."""
    kept: dict[str, arrays.Fields] = {}

    def get(name: str) -> arrays.Fields:
        if name not in kept:
            source = packed(name)
            kept[name] = readers.read(source, [Path(MIRROR) / file.path for file in source.files])
        return kept[name]

    return get


@pytest.mark.parametrize("name", mirrored())
def test_files_and_arrays_are_the_registered_ones(name, fields):
    for file in packed(name).files:
        assert download.matches(Path(MIRROR) / file.path, file), file.path
    assert arrays.digest(fields(name)) == data.digest(name)


def test_load_from_the_mirror(fields):
    dataset = data.load("heloc")
    assert (paths.downloads() / "heloc" / "heloc_dataset_v1.csv.gz").exists()
    assert list(dataset.train.x.columns) == [name.split("/")[2] for name in fields("heloc") if "/x/" in name]
    assert data.load("heloc").train.x.equals(dataset.train.x)


# Equal to the canonical files: these checksums were published by others for the upstream files themselves.

CIFAR_10_BINARY = {
    "train": [
        "5dd7e06a14cb22eb9f671a540d1b7c25",
        "5ea93a67294ea407fff1d09f752e9692",
        "942cd6a4bcdd0dd3c604fbe906cb4421",
        "ae636b3ba5c66a11e91e8cb52e771fcb",
        "53f37980c15c3d472c316c40844f3f0d",
    ],
    "test": ["803d5f7f4d78ea53de84dbe85f74fb6d"],
}


def test_cifar_10_rebuilds_the_canonical_binary_batches(fields):
    """A label byte and 3,072 bytes plane by plane for each image, 10,000 images a file."""
    decoded = fields("cifar-10")
    for split, published in CIFAR_10_BINARY.items():
        planes = decoded[f"{split}/x"].transpose(0, 3, 1, 2).reshape(-1, 3072)
        records = np.concatenate([decoded[f"{split}/y"].astype(np.uint8)[:, None], planes], axis=1)
        found = [hashlib.md5(part.tobytes()).hexdigest() for part in np.split(records, len(published))]
        assert found == published


@pytest.mark.parametrize(
    ("name", "published"),
    [
        ("mnist", ["f68b3c2dcbeaaa9fbdd348bbdeb94873", "d53e105ee54ea40749a09fcbcd1e9432"]),
        ("fashion-mnist", ["8d4fb7e6c68d591d4c3dfef9ec88bf0d", "25c81989df183df01b3e8a0aad5dffbe"]),
    ],
)
def test_idx_files_have_the_published_md5(name, published):
    files = packed(name).files[:2]
    assert [hashlib.md5((Path(MIRROR) / file.path).read_bytes()).hexdigest() for file in files] == published


TEXTS = ["adult", "celeba-attributes", "heloc", "telco", "toxicity-davidson", "toxicity-jigsaw-wiki"]


@pytest.mark.parametrize("name", [*TEXTS, "toxicity-jigsaw-mixed"])
def test_upstream_files_end_in_the_same_arrays(name, monkeypatch):
    """The packed files are upstream's, gzipped: put the upstream ones where a download would, and use them alone."""
    entry = data.entry(name)
    one, other = entry.sources
    for packed_file, upstream_file in zip(one.files, other.files, strict=True):
        target = paths.downloads() / upstream_file.path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(gzip.decompress((Path(MIRROR) / packed_file.path).read_bytes()))
        assert download.matches(target, upstream_file), upstream_file.path
    monkeypatch.delenv("AUGURY_DATA_MIRROR")
    source, _ = download.obtain(entry, progress=False)
    assert source.kind == "upstream"
    assert arrays.digest(loading.decode(entry, progress=False)) == data.digest(name)


def test_cifar_100_subset_is_listed_by_the_original_file_names():
    listed = [line.split() for line in (paths.root() / "data" / "cifar-100-8k.txt").read_text().splitlines()]
    for split, file in zip(("train", "test"), packed("cifar-100-8k").files, strict=True):
        with np.load(Path(MIRROR) / file.path, allow_pickle=False) as stored:
            wanted = [(str(y), name.decode()) for y, name in zip(stored["y"], stored["filename"], strict=True)]
        assert [(label, name) for part, label, name in listed if part == split] == wanted
    assert len({tuple(row) for row in listed}) == len(listed) == 8000


# What others counted in these files.

COUNTS = {
    ("mnist", "train"): [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949],
    ("mnist", "test"): [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009],
    ("fashion-mnist", "train"): [6000] * 10,
    ("fashion-mnist", "test"): [1000] * 10,
    ("cifar-10", "train"): [5000] * 10,
    ("cifar-10", "test"): [1000] * 10,
    ("cifar-100-8k", "train"): [60] * 100,
    ("cifar-100-8k", "test"): [20] * 100,
    ("svhn-10k", "train"): [684, 1968, 1590, 1104, 964, 909, 773, 767, 621, 620],
    ("emnist-letters-10k", "train"): [
        *(390, 349, 402, 374, 369, 362, 385, 391, 395, 408, 383, 388, 399),
        *(371, 376, 401, 373, 357, 407, 372, 407, 406, 395, 374, 390, 376),
    ],
    ("adult", "train"): [24720, 7841],
    ("adult", "test"): [12435, 3846],
    ("bank", "train"): [36548, 4640],
    ("heloc", "train"): [5000, 5459],
    ("telco", "train"): [5174, 1869],
    ("toxicity-davidson", "train"): [1430, 19190, 4163],
    ("toxicity-jigsaw-wiki", "train"): [6090, 6090],
    ("toxicity-jigsaw-mixed", "train"): [5000, 5000],
}


@pytest.mark.parametrize(("name", "split"), COUNTS)
def test_class_counts(name, split, fields):
    assert np.bincount(fields(name)[f"{split}/y"]).tolist() == COUNTS[name, split]
    assert len(COUNTS[name, split]) == len(data.entry(name).classes)


def frame(decoded, split="train"):
    prefix = f"{split}/x/"
    return pd.DataFrame({name.removeprefix(prefix): value for name, value in decoded.items() if prefix in name})


def missing_rows(table, mark):
    return (table == mark).any(axis=1)


def test_known_peculiarities_of_the_tables(fields):
    adult, adult_test = frame(fields("adult")), frame(fields("adult"), "test")
    assert (~missing_rows(adult, "?")).sum() == 30162 and (~missing_rows(adult_test, "?")).sum() == 15060
    bank, y = frame(fields("bank")), fields("bank")["train/y"]
    known = ~missing_rows(bank, "unknown")
    assert known.sum() == 30488 and y[known].sum() == 3859
    heloc = frame(fields("heloc"))
    assert (heloc == -9).all(axis=1).sum() == 588 and (heloc == -8).any(axis=1).sum() == 4226
    telco = frame(fields("telco"))
    assert telco["TotalCharges"].isna().sum() == 11 and (telco["tenure"][telco["TotalCharges"].isna()] == 0).all()
    assert telco["customerID"].is_unique
    davidson = frame(fields("toxicity-davidson"))
    assert (davidson[["hate_speech", "offensive_language", "neither"]].sum(axis=1) == davidson["count"]).all()
    assert davidson["tweet"].is_unique
    assert frame(fields("toxicity-jigsaw-wiki"))["comment_text"].nunique() == 12177
    mixed = frame(fields("toxicity-jigsaw-mixed"))
    assert (mixed["comment_text"] == "").sum() == 10 and mixed["id"].str.fullmatch("[0-9a-f]{16}").sum() == 1210


@pytest.mark.parametrize(
    ("name", "split", "path", "arguments"),
    [
        ("adult", "test", "adult/adult.test.gz", {"header": None, "skiprows": 1, "skipinitialspace": True}),
        ("bank", "train", "bank-marketing/bank-additional-full.csv.gz", {"sep": ";"}),
        ("heloc", "train", "heloc/heloc_dataset_v1.csv.gz", {}),
        ("telco", "train", "telco-churn/Telco-Customer-Churn.csv.gz", {"na_values": [" "]}),
        ("toxicity-davidson", "train", "toxicity-davidson/labeled_data.csv.gz", {"index_col": 0}),
        ("toxicity-jigsaw-mixed", "train", "toxicity-jigsaw/balanced_dataset.csv.gz", {"dtype": {"id": str}}),
    ],
)
def test_tables_are_as_pandas_reads_them(name, split, path, arguments, fields):
    theirs = pd.read_csv(Path(MIRROR) / path, keep_default_na=False, **arguments)
    ours = frame(fields(name), split)
    if "header" in arguments:
        theirs.columns = [*ours.columns, "income"]
    target = set(theirs.columns) - set(ours.columns)
    assert len(target) == 1
    pd.testing.assert_frame_equal(ours, theirs.drop(columns=target).reset_index(drop=True), rtol=1e-14)


def test_celeba_table_is_the_packed_one(fields):
    with np.load(Path(MIRROR) / "celeba-attributes" / "celeba_attr_packed.npz", allow_pickle=False) as stored:
        bits = np.unpackbits(stored["attr_packed"], axis=1, count=40)  # (n, 40), 1 where the attribute is 1
        names = stored["names"].tolist()
    decoded = fields("celeba-attributes")
    for column, name in enumerate(names):
        parts = [decoded[f"{split}/y" if name == "Smiling" else f"{split}/x/{name}"] for split in ("train", "test")]
        np.testing.assert_array_equal(np.concatenate(parts) == 1, bits[:, column] == 1)
    assert bits[:, names.index("Smiling")].sum() == 97669
