"""Which points go: brute force on tiny sets, ties, nested random draws, and what is refused."""

import itertools

import numpy as np
import pytest

from augury.errors import ParameterError
from augury.trimming.selection import ORDERS, RANDOM, Trimming, trimmed, trimmings, weights

SCORES = np.array([0.5, -2.0, 3.0, 0.5, -2.0, 1.0, 3.0])


@pytest.mark.parametrize("method, sign", [("FI", 1), ("IV", -1), ("FI reversed", -1)])
@pytest.mark.parametrize("budget", range(7))
def test_the_trimmed_points_are_the_best_subset_and_earlier_points_win_ties(method, sign, budget):
    # Of all subsets of that size, the one of extreme total score; among equal totals the first in lexical order.
    subsets = list(itertools.combinations(range(7), budget))
    best = max(sum(sign * SCORES[list(s)]) for s in subsets)
    expected = next(s for s in subsets if sum(sign * SCORES[list(s)]) == pytest.approx(best, abs=1e-12))
    found = trimmed(method, SCORES, budget)
    assert tuple(sorted(found)) == expected
    assert (np.diff(sign * SCORES[found]) <= 0).all()


def test_infinite_scores_go_first():
    assert trimmed("FI", np.array([1.0, np.inf, 2.0, np.inf]), 3).tolist() == [1, 3, 2]


def test_every_method_trims_every_budget_and_random_draws_are_nested():
    scores = {"FI": SCORES, "IV": -SCORES}
    found = trimmings(scores, list(ORDERS), [2, 4], draws=3, seed=5)
    assert len({(t.method, t.b, t.draw) for t in found}) == len(found) == 3 * 2 + 3 * 2
    for t in found:
        assert len(set(t.removed)) == len(t.removed) == t.b
        if t.method != RANDOM:
            own = trimmed(t.method, scores[ORDERS[t.method][0]], t.b)
            assert t.draw == 0 and np.array_equal(t.removed, own)
    by = {(t.b, t.draw): t.removed for t in found if t.method == RANDOM}
    assert all(np.array_equal(by[4, d][:2], by[2, d]) for d in range(3))
    assert len({tuple(by[4, d]) for d in range(3)}) > 1
    again = trimmings(scores, list(ORDERS), [2, 4], draws=3, seed=5)
    assert all(np.array_equal(a.removed, b.removed) for a, b in zip(found, again, strict=True))
    other = trimmings(scores, [], [4], draws=3, seed=6)
    assert any(not np.array_equal(t.removed, by[4, t.draw]) for t in other)


def test_random_trimming_takes_every_point_equally_often():
    counts = sum(np.bincount(t.removed, minlength=7) for t in trimmings({"FI": SCORES}, [], [3], draws=2000, seed=0))
    expected = 2000 * 3 / 7
    assert np.abs(counts - expected).max() < 4 * np.sqrt(expected * 4 / 7)


def test_weights_are_zero_at_the_trimmed_points_alone():
    sets = [Trimming("FI", 2, 0, np.array([4, 1])), Trimming("IV", 0, 0, np.empty(0, np.int64))]
    assert weights(sets, 5).tolist() == [[1, 0, 1, 1, 0], [1, 1, 1, 1, 1]]


@pytest.mark.parametrize(
    "call, said",
    [
        (lambda: trimmed("FI", SCORES, 7), "7 of 7 points"),
        (lambda: trimmed("FI", SCORES, 8), "8 of 7 points"),
        (lambda: trimmed("IV", SCORES, -1), "-1 of 7 points"),
        (lambda: trimmed("Shapley", SCORES, 2), "'Shapley'; choose one of FI, IV"),
        (lambda: trimmed("FI", np.array([1.0, np.nan]), 1), "1 scores of FI are not numbers"),
    ],
)
def test_what_cannot_be_trimmed_is_refused(call, said):
    with pytest.raises(ParameterError, match=said):
        call()
