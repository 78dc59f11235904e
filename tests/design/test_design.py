"""Design matrices against encodings and statistics computed by hand, without leaks from the test rows."""

import os
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from augury import data
from augury.data import Dataset, Split
from augury.design import PREPARATIONS, design, matrices
from augury.errors import DataError, ParameterError

fresh = design.__wrapped__  # without the memory of earlier calls


@pytest.fixture
def tiny():
    """Eight rows, the last three held out: of these one level and one column's change are unknown to the others."""
    inputs = pd.DataFrame(
        {
            "colour": ["red", "blue", "red", "?", "blue", "green", "red", "blue"],
            "age": [20, 31, 42, 55, 60, 33, 21, 90],
            "flat": [1.1] * 7 + [2.0],
            "rate": [1e6 + 0.5, 1e6, 1e6 - 0.5, 1e6 + 0.25, 1e6, 1e6, 1e6, 0.0],
        }
    )
    return SimpleNamespace(inputs=inputs, held_out=np.arange(8) >= 5)


def by_hand(inputs, held_out):
    """The matrices, value by value."""
    columns = [(name, None) for name in inputs if inputs[name].dtype.kind in "if"]
    text = [name for name in inputs if inputs[name].dtype.kind not in "if"]
    columns += [(name, level) for name in text for level in sorted(set(inputs[name]))]
    names, kept = [], []
    for name, level in columns:
        values = [float(value) if level is None else float(value == level) for value in inputs[name]]
        train = [value for value, out in zip(values, held_out, strict=True) if not out]
        if len(set(train)) == 1:
            continue
        mean = sum(train) / len(train)
        scale = (sum((value - mean) ** 2 for value in train) / len(train)) ** 0.5
        names.append(name if level is None else f"{name}={level}")
        kept.append([(value - mean) / scale for value in values])
    both = np.array(kept).T
    return both[~held_out], both[held_out], tuple(names)


def test_encoding_and_statistics_are_those_done_by_hand(tiny):
    x_train, x_test, columns = matrices(tiny.inputs, tiny.held_out)
    train, test, names = by_hand(tiny.inputs, tiny.held_out)
    assert columns == names == ("age", "rate", "colour=?", "colour=blue", "colour=red")  # no green, nothing flat
    assert x_train.dtype == x_test.dtype == np.float32
    np.testing.assert_allclose(x_train, train, rtol=1e-6)
    np.testing.assert_allclose(x_test, test, rtol=1e-6)
    np.testing.assert_allclose(x_train.mean(0, dtype=float), 0, atol=1e-7)
    np.testing.assert_allclose(x_train.var(0, dtype=float), 1, rtol=1e-6)


def test_text_alone_and_numbers_alone(tiny):
    for inputs in (tiny.inputs[["colour"]], tiny.inputs[["age", "rate"]]):
        found, expected = matrices(inputs, tiny.held_out), by_hand(inputs, tiny.held_out)
        assert found[2] == expected[2]
        np.testing.assert_allclose(found[1], expected[1], rtol=1e-6)


def test_nothing_of_the_test_rows_reaches_the_training_matrix(tiny):
    x_train, _, columns = matrices(tiny.inputs, tiny.held_out)
    changed = tiny.inputs.copy()
    changed.loc[5:] = [["violet", -400, 7.0, 3.0], ["?", 8, 1.1, 2.0], ["red", 10**6, 1.0, 5e8]]
    again, _, same = matrices(changed, tiny.held_out)
    assert columns == same
    np.testing.assert_array_equal(x_train, again)


@pytest.mark.parametrize(("column", "value"), [("rate", np.nan), ("rate", np.inf), ("rate", -np.inf), ("colour", None)])
@pytest.mark.parametrize("row", [0, 7])
def test_values_that_are_not_finite_are_refused_by_name(tiny, column, value, row):
    tiny.inputs.loc[row, column] = value
    with pytest.raises(DataError, match=f"column '{column}' has values that are missing or infinite"):
        matrices(tiny.inputs, tiny.held_out)


def serve(monkeypatch, train, test=None, classes=()):
    dataset = Dataset("made", train, test, classes, "")
    monkeypatch.setattr("augury.design.load", lambda name: dataset)


def numbered(start, stop):
    """Rows that carry their number, and three times their number and seven as the response."""
    numbers = np.arange(start, stop)
    return Split(pd.DataFrame({"number": numbers, "other": numbers % 3}), 3.0 * numbers + 7)


def test_rows_keep_their_responses_and_are_split_once(monkeypatch):
    serve(monkeypatch, numbered(0, 60), numbered(60, 101))  # both parts of upstream are joined
    found = fresh("diabetes", 5)
    assert len(found.y_test) == round(0.2 * 101) and len(found.y_train) == 101 - len(found.y_test)
    for x, y in ((found.x_train, found.y_train), (found.x_test, found.y_test)):
        np.testing.assert_allclose(x[:, 0], y, rtol=1e-5, atol=1e-6)  # standardised alike, the one is the other
        assert (np.diff(y) > 0).all()  # in the order of the rows
    joined = np.sort(np.concatenate([found.y_train, found.y_test])) * found.y_scale
    np.testing.assert_allclose(joined - joined[0], 3.0 * np.arange(101), atol=1e-9)
    assert abs(found.y_train.mean()) < 1e-12 and found.y_train.var() == pytest.approx(1)


def test_classes_stay_as_they_are(monkeypatch):
    serve(monkeypatch, Split(numbered(0, 50).x, np.arange(50) % 2), classes=("even", "odd"))
    found = fresh("breast-cancer", 0)
    assert found.classes == ("even", "odd") and found.y_scale == 1.0 and found.y_train.dtype == np.int64
    assert np.concatenate([found.y_train, found.y_test]).sum() == 25


def test_the_seed_decides_the_split():
    first, again, other = fresh("diabetes", 0), fresh("diabetes", 0), fresh("diabetes", 1)
    for field in ("x_train", "y_train", "x_test", "y_test"):
        np.testing.assert_array_equal(getattr(first, field), getattr(again, field))
        assert not np.array_equal(getattr(first, field), getattr(other, field))


def test_arrays_are_shared_and_read_only():
    found = design("diabetes", 0)
    assert design("diabetes", 0) is found
    for field in ("x_train", "y_train", "x_test", "y_test"):
        with pytest.raises(ValueError, match="read-only"):
            getattr(found, field)[0] = 0


def test_a_made_column_that_is_not_finite_is_refused(monkeypatch):
    split = numbered(0, 20)
    serve(monkeypatch, Split(split.x.assign(other=np.where(split.y > 40, np.nan, 1.0)), split.y))
    with pytest.raises(DataError, match="'other'"):
        fresh("diabetes", 0)


def test_unknown_names_and_shares_are_refused():
    with pytest.raises(ParameterError, match="'digits'; choose one of heloc, adult, telco, breast-cancer, diabetes"):
        design("digits", 0)
    for share in (0.0, 1.0, -0.2, float("nan")):
        with pytest.raises(ParameterError, match="between 0 and 1"):
            design("diabetes", 0, share)
    with pytest.raises(ParameterError, match="leaves a part empty"):
        design("diabetes", 0, 0.001)


MIRROR = os.environ.get("AUGURY_DATA_MIRROR", "")
SHAPES = {  # rows of both parts, test rows, features, columns
    "breast-cancer": (569, 114, 30, 30),
    "diabetes": (442, 88, 10, 10),
    "heloc": (9861, 1972, 23, 23),
    "adult": (48842, 9768, 14, 108),
    "telco": (7043, 1409, 19, 45),
}
REAL = {"heloc", "adult", "telco"}


def at_hand(name):
    if name in REAL and not Path(MIRROR or "-").is_dir():
        pytest.skip("AUGURY_DATA_MIRROR names no folder with data")
    return design(name, 0)


def both(found, column):
    j = found.columns.index(column)
    return np.concatenate([found.x_train[:, j], found.x_test[:, j]]).astype(np.float64)


@pytest.mark.parametrize("name", PREPARATIONS)
def test_registered_tables(name):
    found = at_hand(name)
    rows, test, features, columns = SHAPES[name]
    assert (len(found.y_train), len(found.y_test), found.raw_features) == (rows - test, test, features)
    assert found.x_train.shape == (rows - test, columns) and found.x_test.shape == (test, columns)
    assert len(set(found.columns)) == columns
    np.testing.assert_allclose(found.x_train.mean(0, dtype=float), 0, atol=1e-6)
    np.testing.assert_allclose(found.x_train.var(0, dtype=float), 1, rtol=1e-6)
    assert np.isfinite(found.x_test).all()
    # the test rows come from the same distribution, but it is not theirs that standardised them
    means = found.x_test.mean(0, dtype=float)
    assert np.abs(means).max() > 1e-3 and np.median(np.abs(means)) < 0.3


def test_heloc_regresses_the_estimate_and_keeps_the_special_values():
    found = at_hand("heloc")
    assert "RiskPerformance=Bad" in found.columns and "ExternalRiskEstimate" not in found.columns
    table = data.load("heloc").train.x
    known = table[table["ExternalRiskEstimate"] != -9]
    response = np.sort(np.concatenate([found.y_train, found.y_test])) * found.y_scale
    expected = np.sort(known["ExternalRiskEstimate"].to_numpy())
    np.testing.assert_allclose(response - response[0], expected - expected[0], atol=1e-9)
    inquiries = both(found, "MSinceMostRecentInqexcl7days")
    levels, counts = np.unique(inquiries, return_counts=True)
    assert counts[:2].tolist() == [(known["MSinceMostRecentInqexcl7days"] == value).sum() for value in (-8, -7)]
    assert (levels[2] - levels[1]) / (levels[1] - levels[0]) == pytest.approx(7, rel=1e-5)  # -8, -7, 0
    bad = data.load("heloc").train.y[known.index] == data.load("heloc").classes.index("Bad")
    expected = np.corrcoef(bad, known["ExternalRiskEstimate"])[0, 1]  # negative, and the same in any unit and order
    together = np.corrcoef(both(found, "RiskPerformance=Bad"), np.r_[found.y_train, found.y_test])[0, 1]
    assert expected < 0 and together == pytest.approx(expected, rel=1e-5)


def test_adult_joins_both_parts_and_keeps_unknown_values_as_a_level():
    found = at_hand("adult")
    assert {"workclass=?", "occupation=?", "native-country=?"} < set(found.columns)
    assert np.bincount(np.concatenate([found.y_train, found.y_test])).tolist() == [24720 + 12435, 7841 + 3846]


def test_telco_owes_nothing_in_the_first_month():
    found = at_hand("telco")
    assert not any("customerID" in column for column in found.columns)
    totals, tenure = both(found, "TotalCharges"), both(found, "tenure")
    first = totals == totals.min()
    assert first.sum() == 11
    np.testing.assert_array_equal(first, tenure == tenure.min())
    assert len(np.unique(both(found, "SeniorCitizen"))) == 2
