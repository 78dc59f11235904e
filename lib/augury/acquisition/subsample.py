"""Scores of a subsample, carried to the whole pool by a random forest on ranks (Section 4; Algorithm 4)."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from scipy.stats import rankdata

from augury.errors import ModelError, ParameterError
from augury.seeding import rng


def forest_ranks(
    score: Callable[[np.ndarray], np.ndarray],
    features: np.ndarray,
    share: float,
    seed: int,
    *path: str | int,
    trees: int = 100,
) -> np.ndarray:
    """Return the rank of every point's score, computed on a share of the points and predicted for all of them.

    Lines 3 to 11 of Algorithm 4: draw a subsample of the pool, score it, fit a random forest to (features, rank of the
    score in ascending order), predict every point, those of the subsample as well. The algorithm draws each point with
    probability `share`; here ceil(share m) points are drawn, so that every round costs the same. What it leaves open
    about the forest is as scikit-learn has it, but for the number of trees.

    Parameters
    ----------
    score : callable
        Takes int positions of shape (s,), distinct and ascending, and returns their scores of shape (s,). Called once.
        Infinite scores have ranks too.
    features : ndarray of shape (m, d)
        What the forest sees of the points.
    share : float
        Of the points to score, in (0, 1], one at least; 1 gives the exact ranks without a forest.
    seed : int
    *path : str or int
        Names the stream under `seed`, as for `augury.seeding.rng`.
    trees : int
        Of the forest, >= 1.

    Returns
    -------
    ndarray of float64, shape (m,)
        The larger, the larger the score. Ranks run from 1 to the number of points scored; equal scores share the mean.

    Raises
    ------
    ParameterError
        If the pool is empty, its features are no finite matrix, or `share` or `trees` is out of range.
    ModelError
        If `score` does not return one number for each position.
    """
    features = np.asarray(features)
    if features.ndim != 2 or not len(features):
        raise ParameterError(f"the pool's features must be of shape (points, features), not empty: {features.shape}")
    if not 0 < share <= 1:
        raise ParameterError(f"share {share} of the points to score must be in (0, 1]")
    if not isinstance(trees, (int, np.integer)) or trees < 1:
        raise ParameterError(f"trees {trees} must be a whole number of at least 1")
    m = len(features)
    if share == 1:
        return _ranks(score, np.arange(m))
    if not np.isfinite(features).all():
        raise ParameterError("the pool has features that are not finite; remove or impute them")
    from sklearn.ensemble import RandomForestRegressor

    size = max(1, math.ceil(share * m - 1e-9))  # so that rounding in the product adds no point
    drawn = np.sort(rng(seed, *path, "subsample").choice(m, size, replace=False))
    state = int(rng(seed, *path, "forest").integers(2**32))
    forest = RandomForestRegressor(trees, random_state=state).fit(features[drawn], _ranks(score, drawn))
    return np.asarray(forest.predict(features))


def _ranks(score: Callable[[np.ndarray], np.ndarray], positions: np.ndarray) -> np.ndarray:
    scores = np.asarray(score(positions), np.float64)
    if scores.shape != positions.shape or np.isnan(scores).any():
        raise ModelError(f"score must give one number for each of {len(positions)} points, not {scores.shape} or NaN")
    return np.asarray(rankdata(scores))
