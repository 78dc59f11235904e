"""Orders and weights of the augmentation policies."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import chisquare

from augury.errors import ParameterError
from augury.subsampling.policies import POLICIES, augmentation_order, policy, sample_weights


def test_the_tables_have_eleven_policies():
    assert len(POLICIES) == len({p.name for p in POLICIES}) == 11
    assert policy("random", True, True).name == "Random Proportional Update Downweight"
    assert [p.name for p in POLICIES if not p.stochastic] == [p.name for p in POLICIES if "Deterministic" in p.name]


@given(st.lists(st.floats(0, 1e6), min_size=1, max_size=50), st.sampled_from([p.selection for p in POLICIES]))
def test_every_order_is_a_permutation(scores, selection):
    order = augmentation_order(np.array(scores), selection, np.random.default_rng(0))
    assert sorted(order) == list(range(len(scores)))


def test_deterministic_orders_rank_by_score():
    scores = np.array([0.2, 3.0, 0.0, 1.0])
    assert augmentation_order(scores, "deterministic", np.random.default_rng(0)).tolist() == [1, 3, 0, 2]
    assert augmentation_order(scores, "deterministic-inverse", np.random.default_rng(0)).tolist() == [2, 0, 3, 1]


@pytest.mark.parametrize("selection", ["baseline", "random", "random-inverse"])
def test_pairs_are_drawn_without_replacement_with_the_right_probabilities(selection):
    scores = np.array([1.0, 2.0, 4.0, 8.0])
    weight = {"baseline": np.ones(4), "random": scores, "random-inverse": 1 / scores}[selection]
    p = weight / weight.sum()
    expected = p[:, None] * p[None] / (1 - p[:, None])  # P(first i, then j): the rest is renormalised
    np.fill_diagonal(expected, 0)
    rng, counts, draws = np.random.default_rng(5), np.zeros((4, 4)), 20_000
    for _ in range(draws):
        first, second, *_ = augmentation_order(scores, selection, rng)
        counts[first, second] += 1
    off = ~np.eye(4, dtype=bool)
    assert counts[~off].sum() == 0
    assert chisquare(counts[off], expected[off] * draws).pvalue > 1e-3


def test_points_of_score_zero_come_last_but_come():
    scores = np.array([0.0, 1e-9, 0.0, 1.0])
    order = augmentation_order(scores, "random", np.random.default_rng(0))
    assert set(order[:2]) == {1, 3}
    assert sorted(augmentation_order(np.zeros(4), "random", np.random.default_rng(0))) == [0, 1, 2, 3]


@given(st.integers(1, 20), st.lists(st.integers(0, 19), max_size=60))
def test_downweighting_conserves_every_point_s_weight(n, copies):
    index = np.array([i % n for i in copies], dtype=np.int64)
    weights = sample_weights(n, index)
    assert len(weights) == n + len(index)
    per_point = weights[:n] + np.bincount(index, weights[n:], minlength=n)
    np.testing.assert_allclose(per_point, 1)


@pytest.mark.parametrize("scores", [np.array([-1.0, 1.0]), np.array([np.nan, 1.0])])
def test_scores_that_are_no_magnitudes_are_refused(scores):
    with pytest.raises(ParameterError, match="not negative"):
        augmentation_order(scores, "random", np.random.default_rng(0))


def test_unknown_selections_are_named():
    with pytest.raises(ParameterError, match="choose from"):
        augmentation_order(np.ones(2), "greedy", np.random.default_rng(0))
    with pytest.raises(ParameterError, match="no policy"):
        policy("baseline", update=True)
