"""Ranks carried from a subsample to the pool: what is scored, what comes back, what is recovered."""

import math

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy.stats import rankdata, spearmanr
from sklearn.ensemble import RandomForestRegressor

from augury.acquisition.subsample import forest_ranks
from augury.errors import ModelError, ParameterError
from augury.seeding import rng


def pool(m=300, d=3):
    X = rng(0, "pool").normal(size=(m, d))
    return X, np.exp(2 * X[:, 0]) + 0.01 * X[:, 1]


def test_the_whole_pool_has_exact_ranks():
    X, scores = pool()
    scores[:3] = np.inf, -np.inf, scores[4]
    np.testing.assert_array_equal(forest_ranks(lambda at: scores[at], X, 1, 0), rankdata(scores))


@settings(max_examples=25)
@given(m=st.integers(1, 60), percent=st.integers(1, 99), seed=st.integers(0, 99))
@example(m=50, percent=14, seed=0)  # 0.14 * 50 is just above 7 in floating point
def test_scores_are_asked_for_once_for_the_share_of_the_points(m, percent, seed):
    X, scores = pool(m)
    asked = []

    def score(positions):
        asked.append(positions)
        return scores[positions]

    found = forest_ranks(score, X, percent / 100, seed, "round", trees=2)
    (positions,) = asked
    size = -(-percent * m // 100)  # ceil, in whole numbers
    assert len(positions) == len(np.unique(positions)) == size
    assert positions.min() >= 0 and positions.max() < m
    assert found.shape == (m,) and found.min() >= 1 and found.max() <= size


def test_however_small_the_share_one_point_is_scored():
    assert (forest_ranks(lambda at: at, np.zeros((5, 2)), 1e-12, 0, trees=1) == 1).all()


def test_every_point_is_as_likely_to_be_scored():
    X, _ = pool(10)
    counts = np.zeros(10)
    for seed in range(400):

        def score(positions):
            counts[positions] += 1
            return positions

        forest_ranks(score, X, 0.3, seed, trees=1)
    spread = math.sqrt(400 * 0.3 * 0.7)
    assert (abs(counts - 120) < 3.5 * spread).all()


def test_an_easy_monotone_score_is_recovered_from_a_fifth():
    X, scores = pool(1000)
    found = forest_ranks(lambda at: scores[at], X, 0.2, 0, "round", 1)
    assert spearmanr(found, scores).statistic > 0.97
    shuffled = forest_ranks(lambda at: rng(1).permutation(scores[at]), X, 0.2, 0, "round", 1)
    assert abs(spearmanr(shuffled, scores).statistic) < 0.3  # nothing but the score carries the order


def test_only_the_order_of_the_scores_matters():
    X, scores = pool()
    found = forest_ranks(lambda at: scores[at], X, 0.3, 4, trees=10)
    np.testing.assert_array_equal(forest_ranks(lambda at: np.log(scores[at] + 1), X, 0.3, 4, trees=10), found)


def test_scored_points_are_predicted_like_the_others():
    """A forest's prediction, not the rank that is known: lines 9 to 11 of Algorithm 4 run over the whole pool."""
    X, _ = pool(200)
    noise = rng(2).normal(size=200)
    asked = []

    def score(positions):
        asked.append(positions)
        return noise[positions]

    found = forest_ranks(score, X, 0.5, 0, trees=20)
    known = rankdata(noise[asked[0]])
    assert abs(found[asked[0]] - known).mean() > 5
    apart = RandomForestRegressor(200, random_state=0).fit(X[asked[0]], known).predict(X)
    assert spearmanr(found, apart).statistic > 0.8


def test_the_seed_and_the_path_decide():
    X, scores = pool(60)

    def ranks(*stream):
        return forest_ranks(lambda at: scores[at], X, 0.3, *stream, trees=3)

    np.testing.assert_array_equal(ranks(1, "a", 2), ranks(1, "a", 2))
    assert (ranks(1, "a", 2) != ranks(1, "a", 3)).any() and (ranks(1, "a", 2) != ranks(2, "a", 2)).any()


@pytest.mark.parametrize(
    ("X", "settings", "message"),
    [
        (np.zeros((0, 3)), {}, "pool"),
        (np.zeros(4), {}, "pool"),
        (np.full((4, 2), np.nan), {}, "not finite"),
        (np.zeros((4, 2)), {"share": 0.0}, "share 0.0"),
        (np.zeros((4, 2)), {"share": 1.5}, "share 1.5"),
        (np.zeros((4, 2)), {"share": math.nan}, "share nan"),
        (np.zeros((4, 2)), {"trees": 0}, "trees 0"),
        (np.zeros((4, 2)), {"trees": 1.5}, "trees 1.5 must be a whole number"),
    ],
)
def test_bad_requests_are_refused(X, settings, message):
    with pytest.raises(ParameterError, match=message):
        forest_ranks(lambda at: at, X, **({"share": 0.5, "seed": 0} | settings))


@pytest.mark.parametrize("answer", [lambda at: at[:-1], lambda at: np.full(len(at), np.nan)])
def test_a_score_must_answer_for_every_position(answer):
    with pytest.raises(ModelError, match="score must give"):
        forest_ranks(answer, np.zeros((8, 2)), 0.5, 0)
