"""Tables against encodings done by hand, and the papers' counts where the data is at hand."""

import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from augury.data import Dataset, Split
from augury.tabular import tables

MIRROR = os.environ.get("AUGURY_DATA_MIRROR", "")
mirrored = pytest.mark.skipif(not Path(MIRROR or "-").is_dir(), reason="AUGURY_DATA_MIRROR names no folder with data")


@pytest.fixture(autouse=True)
def forgetful():
    tables.table.cache_clear()
    yield
    tables.table.cache_clear()


def test_two_levels_make_one_column_and_several_one_each():
    inputs = pd.DataFrame(
        {
            "sex": ["Male", "Female", "Male", "Male"],
            "colour": ["red", "blue", "green", "red"],
            "age": [20, 31, 42, 55],
            "rate": [0.5, -1.0, 2.0, 0.0],
        },
        index=[3, 5, 8, 9],
    )
    X, columns = tables.encode(inputs)
    assert columns == ("age", "rate", "sex=Male", "colour=blue", "colour=green", "colour=red")
    expected = [[20, 0.5, 1, 0, 0, 1], [31, -1, 0, 1, 0, 0], [42, 2, 1, 0, 1, 0], [55, 0, 1, 0, 0, 1]]
    np.testing.assert_array_equal(X, np.array(expected, np.float64))
    assert X.dtype == np.float64


def test_numbers_alone_stay_as_they_are():
    X, columns = tables.encode(pd.DataFrame({"b": [1.5, 2.0], "a": [3, 4]}))
    assert columns == ("b", "a") and X.tolist() == [[1.5, 3], [2.0, 4]]


def census(rows):
    return pd.DataFrame(
        {
            "age": list(range(20, 20 + rows)),
            "fnlwgt": [7] * rows,
            "workclass": ["Private", "?", "State-gov", "Never"] * (rows // 4),
            "sex": ["Male", "Female"] * (rows // 2),
        }
    )


def test_adult_loses_rows_with_a_question_mark_and_fnlwgt_and_keeps_its_training_rows(monkeypatch):
    y_train, y_test = np.arange(8) % 2, np.array([1, 0, 0, 1] * 2)
    whole = Dataset("adult", Split(census(8), y_train), Split(census(8), y_test), ("no", "yes"), "")
    monkeypatch.setattr(tables.data, "load", lambda name: whole)
    table = tables.table("adult")
    assert table.columns == ("age", "sex=Male", "workclass=Never", "workclass=Private", "workclass=State-gov")
    kept = [0, 2, 3, 4, 6, 7]
    assert table.X[:, 0].tolist() == [20 + i for i in kept] * 2
    assert table.y.tolist() == [*y_train[kept], *y_test[kept]]
    assert table.training.tolist() == list(range(6))
    assert len(table.validation) == len(table.test) == 3
    assert sorted([*table.validation, *table.test]) == list(range(6, 12))


def test_embedded_tables_have_the_known_classes():
    cancer, digits, gaussians = (tables.table(name) for name in ("breast-cancer", "digits-3-8", "two-gaussians"))
    assert cancer.X.shape == (569, 30) and cancer.y.sum() == 357
    assert digits.X.shape == (357, 64) and np.bincount(digits.y).tolist() == [183, 174]
    assert gaussians.training.tolist() == list(range(20_000)) and len(gaussians.test) == 10_000
    assert digits.X.max() == 255 and digits.columns[9] == "pixel 1,1"
    # An eight has ink left of the middle in the lower half, where a three has little.
    assert digits.X[digits.y == 1][:, 8 * 5 + 2].mean() > 2 * digits.X[digits.y == 0][:, 8 * 5 + 2].mean()


@mirrored
@pytest.mark.parametrize(
    "name, p, pools, positive",
    [
        ("adult", 102, (30_162, 7_530, 7_530), 7_508 + 3_700),
        ("bank", 53, (18_292, 6_098, 6_098), 3_859),
        ("celeba-attributes", 39, (62_497, 20_833, 20_833), None),
    ],
)
def test_the_papers_counts(name, p, pools, positive):
    table = tables.table(name)
    assert table.X.shape == (sum(pools), p) == (len(table.y), len(table.columns))
    assert tuple(len(pool) for pool in (table.training, table.validation, table.test)) == pools
    if positive is None:
        assert set(np.unique(table.X)) == {-1, 1} and "Smiling" not in table.columns
        assert abs(table.y.mean() - 97_669 / 202_599) < 0.005
    else:
        assert table.y.sum() == positive
    if name == "adult":
        assert "sex=Male" in table.columns and not any("?" in column or "fnlwgt" in column for column in table.columns)
        assert table.y[table.training].sum() == 7_508


@mirrored
def test_no_two_comments_are_alike_and_none_is_empty():
    texts, y = tables.comments()
    assert len(texts) == len(set(texts)) == len(y) == 21_967
    assert all(texts) and 0.45 < y.mean() < 0.55


def split(texts, y):
    return Split(pd.DataFrame({"comment_text": texts}), np.array(y))


@pytest.fixture
def jigsaw(monkeypatch):
    """Two small sets of comments, and what the test changes: their digest, and how often they are embedded."""
    state = {"digest": "a", "embedded": 0}
    first = split([f"Word{i % 7} word{i % 5}, WORD{i % 3}! {i}" for i in range(30)] + ["", "it's so"], [0, 1] * 16)
    second = split(
        ["word0 word0 word0 0", "its  so!", "?!", *(f"more {i} word{i % 4}" for i in range(17))], [1, 0] * 10
    )
    sets = {"toxicity-jigsaw-wiki": first, "toxicity-jigsaw-mixed": second}
    monkeypatch.setattr(tables.data, "load", lambda name: Dataset(name, sets[name], None, ("no", "yes"), ""))
    monkeypatch.setattr(tables.data, "digest", lambda name: state["digest"])
    monkeypatch.setattr(tables, "WIDTH", 4)
    embed = tables.embed

    def counted(*arguments):
        state["embedded"] += 1
        return embed(*arguments)

    monkeypatch.setattr(tables, "embed", counted)
    return state


def test_comments_are_joined_without_empty_ones_and_without_repetition(jigsaw):
    texts, y = tables.comments()
    assert len(texts) == 30 + 1 + 17 and texts[30] == "its so" and texts[0] == "word0 word0 word0 0"
    assert y.tolist() == [0, 1] * 15 + [1] + ([1, 0] * 10)[3:]


def test_embedded_comments_are_kept_on_disk_until_the_data_changes(jigsaw):
    fresh = tables.table("toxicity")
    assert jigsaw["embedded"] == 1 and fresh.X.shape == (48, 4)
    tables.table.cache_clear()
    kept = tables.table("toxicity")
    assert jigsaw["embedded"] == 1
    np.testing.assert_array_equal(kept.X, fresh.X)
    np.testing.assert_array_equal(kept.y, fresh.y)
    jigsaw["digest"] = "b"
    tables.table.cache_clear()
    tables.table("toxicity")
    assert jigsaw["embedded"] == 2
