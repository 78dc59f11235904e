"""Samples are disjoint, seeded, of their pools, and standardised by their training rows alone."""

import numpy as np
import pytest

from augury.errors import ParameterError
from augury.tabular import parts, pools, samples, settings, tables

N = 100
SIZES = [30, 12, 9]


@pytest.fixture(autouse=True)
def numbered(monkeypatch):
    """A table whose first column is the row's number, whose third column is 1 in row 0 alone, and whose fourth is 7."""
    X = np.c_[np.arange(N), np.random.default_rng(0).gamma(2.0, size=N), np.arange(N) == 0, np.full(N, 7.0)]
    y = np.arange(N) % 3 % 2
    made = (X.astype(np.float64), y, ("number", "size", "rare", "flat"))
    monkeypatch.setitem(tables.PREPARATIONS, "numbered", lambda: (made, 0))
    monkeypatch.setitem(tables.SOURCES, "numbered", ("breast-cancer", "digits"))
    tables.table.cache_clear()
    yield X, y
    tables.table.cache_clear()


@pytest.fixture
def raw(monkeypatch):
    """Takes a function of this module's subject and calls it without the standardisation."""

    def call(function, *arguments):
        with monkeypatch.context() as patch:
            patch.setattr(samples, "standardised", lambda *given: list(given))
            return function(*arguments)

    return call


def test_pools_are_60_20_and_20_per_cent_and_share_no_row():
    whole = tables.table("numbered")
    assert [len(pool) for pool in (whole.training, whole.validation, whole.test)] == [60, 20, 20]
    together = np.concatenate([whole.training, whole.validation, whole.test])
    assert sorted(together) == list(range(N)) and set(whole.training) != set(range(60))


def test_samples_are_of_their_pools_without_repetition_and_seeded(raw, numbered):
    whole, (_, y) = tables.table("numbered"), numbered
    drawn, same, other = (raw(parts, "numbered", seed, SIZES) for seed in (3, 3, 4))
    for X, labels, pool, size in [
        (drawn.X, drawn.y, whole.training, 30),
        (drawn.X_val, drawn.y_val, whole.validation, 12),
        (drawn.X_test, drawn.y_test, whole.test, 9),
    ]:
        rows = X[:, 0].astype(int)
        assert len(set(rows)) == len(rows) == size and set(rows) <= set(pool)
        np.testing.assert_array_equal(labels, y[rows])
    assert drawn.name == "numbered" and drawn.columns == ("number", "size", "rare", "flat")
    np.testing.assert_array_equal(drawn.X_test, same.X_test)
    assert not np.array_equal(drawn.X, other.X) and not np.array_equal(drawn.X_val, other.X_val)
    assert not np.array_equal(drawn.X_test, other.X_test)


def test_all_parts_are_centred_and_scaled_by_the_training_rows_and_what_is_constant_there_is_0(raw):
    before, drawn = raw(parts, "numbered", 5, SIZES), parts("numbered", 5, SIZES)
    for plain, X in [(before.X, drawn.X), (before.X_val, drawn.X_val), (before.X_test, drawn.X_test)]:
        for j in range(4):
            values = before.X[:, j].tolist()
            mean = sum(values) / 30
            scale = (sum((value - mean) ** 2 for value in values) / 30) ** 0.5
            expected = (plain[:, j] - mean) / scale if len(set(values)) > 1 else np.zeros(len(plain))
            np.testing.assert_allclose(X[:, j], expected, rtol=1e-12, atol=1e-12)


def test_what_the_training_rows_never_saw_vary_is_0_for_others_too():
    X, other = samples.standardised(np.array([[0.1, 1.0], [0.1, 3.0]]), np.array([[5.0, 5.0]]))
    assert X.tolist() == [[0.0, -1.0], [0.0, 1.0]] and other.tolist() == [[0.0, 3.0]]


def test_a_sample_is_the_callers_own_to_change():
    first = parts("numbered", 1, SIZES)
    first.X[:], first.y[:] = 0, 0
    again = parts("numbered", 1, SIZES)
    assert again.X.any() and again.y.any()
    with pytest.raises(ValueError, match="read-only"):
        tables.table("numbered").X[:] = 0


def test_pools_hold_all_their_rows_in_a_random_order_and_are_scaled_by_the_training_pool(raw, numbered):
    whole, (_, y) = tables.table("numbered"), numbered
    (X, labels), (X_test, labels_test) = raw(pools, "numbered", 2)
    assert sorted(X[:, 0]) == sorted(whole.training) and sorted(X_test[:, 0]) == sorted(whole.test)
    np.testing.assert_array_equal(labels, y[X[:, 0].astype(int)])
    np.testing.assert_array_equal(labels_test, y[X_test[:, 0].astype(int)])
    assert X[:, 0].tolist() != sorted(X[:, 0])
    assert X[:, 0].tolist() != raw(pools, "numbered", 3)[0][0][:, 0].tolist()
    (Z, _), (Z_test, _) = pools("numbered", 2)
    np.testing.assert_allclose(Z[:, :2].mean(0), 0, atol=1e-12)
    np.testing.assert_allclose(Z[:, :2].std(0), 1, rtol=1e-12)
    np.testing.assert_allclose(Z_test[:, 1], (X_test[:, 1] - X[:, 1].mean()) / X[:, 1].std(), rtol=1e-12)


@pytest.mark.parametrize("sizes", [[61, 1, 1], [1, 21, 1], [1, 1, 21], [0, 1, 1], [1, 1], [1, 1, 1, 1]])
def test_sizes_that_the_pools_lack_are_refused(sizes):
    with pytest.raises(ParameterError, match="of at least 1 and at most 60, 20, 20"):
        parts("numbered", 0, sizes)


def test_a_cell_names_the_table_and_all_data_sets_it_is_made_of():
    assert settings("adult") == {"dataset": "adult", "table": "adult"}
    assert settings("numbered") == {"dataset": "breast-cancer+digits", "table": "numbered"}


@pytest.mark.parametrize("call", [tables.table, settings, lambda name: parts(name, 0, SIZES)])
def test_an_unknown_table_is_refused_by_name(call):
    with pytest.raises(ParameterError, match="no table is called 'three-moons'; choose one of adult, bank"):
        call("three-moons")
