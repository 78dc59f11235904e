"""Shapley values against their definition, a sum over all subsets, on games small enough for it."""

from itertools import combinations
from math import comb

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from augury.errors import ModelError, ParameterError
from augury.influence import shapley
from augury.influence.shapley import knn_shapley, truncated_shapley
from augury.seeding import rng


def brute_force(utility, n):
    """phi_i = (1/n) sum over S without i of (U(S + i) - U(S)) / C(n - 1, |S|)."""
    U = {S: utility(np.array(S, dtype=int)) for size in range(n + 1) for S in combinations(range(n), size)}
    phi = np.zeros(n)
    for S, value in U.items():
        for i in set(range(n)) - set(S):
            phi[i] += (U[tuple(sorted((*S, i)))] - value) / (n * comb(n - 1, len(S)))
    return phi


def votes(X, y, X_val, y_val, k):
    """The utility of nearest neighbours, one validation point after the other; of equal distances the earlier."""

    def utility(S):
        total = 0.0
        for x, label in zip(X_val, y_val, strict=True):
            near = sorted(S, key=lambda i: (((X[i] - x) ** 2).sum(), i))[:k]
            total += sum(y[i] == label for i in near) / k
        return total / len(X_val)

    return utility


@settings(max_examples=12)
@given(
    seed=st.integers(0, 10**6),
    n=st.integers(1, 8),
    k=st.integers(1, 10),
    levels=st.sampled_from([2, 3, 1000]),
    classes=st.integers(1, 3),
)
def test_neighbours_against_all_subsets(seed, n, k, levels, classes):
    """Few levels of each feature make ties; k goes beyond n."""
    draw = rng(seed, "knn")
    X, X_val = draw.integers(levels, size=(n, 2)), draw.integers(levels, size=(3, 2))
    y, y_val = draw.integers(classes, size=n), draw.integers(classes, size=3)
    utility = votes(X, y, X_val, y_val, k)
    found = knn_shapley(X, y, X_val, y_val, k)
    np.testing.assert_allclose(found, brute_force(utility, n), atol=1e-14)
    assert found.sum() == pytest.approx(utility(range(n)), abs=1e-14)


@pytest.mark.parametrize("k", [1, 3, 5, 10, 12])
def test_neighbours_against_all_subsets_of_ten(k):
    draw = rng(k, "ten")
    X, X_val = draw.normal(size=(10, 3)), draw.normal(size=(2, 3))
    X[7], X[4] = X[2], X[9]  # ties, of one class and of two
    y, y_val = draw.integers(2, size=10), np.array([0, 1])
    y[7], y[4] = y[2], 1 - y[9]
    expected = brute_force(votes(X, y, X_val, y_val, k), 10)
    np.testing.assert_allclose(knn_shapley(X, y, X_val, y_val, k), expected, atol=1e-14)


def test_a_wrong_label_is_worth_least():
    draw = rng(0, "wrong")
    y, y_val = np.arange(60) % 2, np.arange(200) % 2
    X, X_val = (draw.normal(size=(len(labels), 2)) + 3 * labels[:, None] for labels in (y, y_val))
    X[5] = 3 - 3 * y[5]  # in the middle of the other class
    values = knn_shapley(X, y, X_val, y_val)
    assert values.argmin() == 5 and values[5] < 0


def test_chunks_change_nothing(monkeypatch):
    draw = rng(1, "chunks")
    X, y, X_val, y_val = draw.normal(size=(30, 4)), draw.integers(3, size=30), draw.normal(size=(17, 4)), np.zeros(17)
    whole = knn_shapley(X, y, X_val, y_val)
    monkeypatch.setattr(shapley, "BUDGET", 5 * 8 * 30 * 4)  # four validation points at a time
    np.testing.assert_allclose(knn_shapley(X, y, X_val, y_val), whole, rtol=1e-12, atol=1e-16)


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"k": 0}, ParameterError, "k = 0"),
        ({"X_val": np.zeros((2, 3))}, ModelError, "same features"),
        ({"X": np.zeros((0, 2)), "y": np.zeros(0)}, ModelError, "one point at least"),
        ({"y": np.zeros(3)}, ModelError, "one label each"),
        ({"X": np.full((4, 2), np.nan)}, ModelError, "not finite"),
    ],
)
def test_what_neighbours_cannot_take_is_refused(change, error, message):
    good = {"X": np.zeros((4, 2)), "y": np.zeros(4), "X_val": np.zeros((2, 2)), "y_val": np.zeros(2)}
    with pytest.raises(error, match=message):
        knn_shapley(**(good | change))


def game(S):
    """Points of unequal worth, two that need each other and a pair that repeats itself; worth 1 when empty."""
    S = set(map(int, S))
    return 1 + sum(0.1 * i for i in S) + 2 * ({0, 3} <= S) - 0.7 * ({1, 2} <= S)


def test_monte_carlo_against_all_subsets_within_its_standard_error():
    expected = brute_force(game, 5)
    values, errors = truncated_shapley(game, 5, 2000, 0.0, 0)
    assert (abs(values - expected) <= 3.5 * errors + 1e-12).all()
    assert values.sum() == pytest.approx(game(range(5)) - game([]), rel=1e-12)  # of every order, so of their mean
    assert 0.3 < errors[0] / (1 / np.sqrt(2000)) < 1.1  # 0 gains 2 in half the orders: standard deviation 1
    assert errors[4] < 1e-12  # always gains 0.4


def test_untruncated_is_unbiased_and_so_are_its_squared_errors():
    """Over many runs of the fewest orders: the values' mean, and their variance against what each run claims."""
    found = [truncated_shapley(game, 5, 2, 0.0, seed) for seed in range(1500)]
    values, errors = (np.array(part) for part in zip(*found, strict=True))  # (runs, n) each
    spread = values.std(0, ddof=1)
    assert (abs(values.mean(0) - brute_force(game, 5)) <= 3.5 * spread / np.sqrt(1500) + 1e-12).all()
    np.testing.assert_allclose(np.sqrt((errors**2).mean(0)), spread, rtol=0.1, atol=1e-12)


def test_truncation_saves_calls_and_credits_the_rest_with_nothing():
    """Any point at all is worth everything: after the first of an order nothing is left to gain."""
    asked = []

    def utility(S):
        assert (np.diff(S) > 0).all()
        asked.append(len(S))
        return float(len(S) > 0)

    values, _ = truncated_shapley(utility, 6, 300, 1e-6, 0)
    assert asked[:2] == [0, 6] and asked[2:] == [1] * 300
    assert values.sum() == pytest.approx(1) and (abs(values - 1 / 6) < 3.5 * np.sqrt(5 / 36 / 300)).all()
    asked.clear()
    truncated_shapley(utility, 6, 3, 0.0, 0)
    assert asked == [0, 6, *[1, 2, 3, 4, 5] * 3]


def test_the_seed_decides_the_orders():
    first, again, other = (truncated_shapley(game, 5, 3, 0.0, seed)[0] for seed in (0, 0, 1))
    assert (first == again).all() and (first != other).any()


@pytest.mark.parametrize(("n", "permutations", "tolerance"), [(0, 2, 0.0), (3, 1, 0.0), (3, 2, -1.0), (3, 2, np.nan)])
def test_bad_requests_are_refused(n, permutations, tolerance):
    with pytest.raises(ParameterError, match="at least"):
        truncated_shapley(lambda S: 0.0, n, permutations, tolerance, 0)


def test_a_utility_must_be_finite():
    with pytest.raises(ModelError, match="set of 0 points is nan"):
        truncated_shapley(lambda S: float("nan"), 3, 2, 0.0, 0)
