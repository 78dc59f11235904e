"""Data Shapley values, the baseline of Figures 11 and 12: exact for nearest neighbours, Monte Carlo for any utility."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy.spatial.distance import cdist

from augury.errors import ModelError, ParameterError
from augury.seeding import rng

BUDGET = 1 << 27  # bytes of temporaries at a time


def knn_shapley(X: np.ndarray, y: np.ndarray, X_val: np.ndarray, y_val: np.ndarray, k: int = 5) -> np.ndarray:
    r"""Return each training point's Shapley value for a classifier by its k nearest neighbours (Jia et al., 2019a).

    The utility of a set S is the mean over the validation points of the share of votes for their class,

    .. math:: \frac1k \sum_{j=1}^{\min(k, |S|)} 1[y_{\alpha_j(S)} = y'],

    with alpha_j(S) the j-th nearest point of S to x'. With the n training points in order of their distance, the value
    for one validation point follows from the farthest to the nearest (their Theorem 1, here for k > n as well):

    .. math:: s_i = s_{i+1} + \bigl(1[y_i = y'] - 1[y_{i+1} = y']\bigr) \frac{\min(k, i)}{i k}, \quad
        s_{n+1} = 1[y_{n+1} = y'] = 0.

    O(n (p + log n)) a validation point. Distances are Euclidean; of two equal ones the earlier point's is the smaller.

    Parameters
    ----------
    X : ndarray of shape (n, p)
    y : ndarray of shape (n,)
    X_val : ndarray of shape (m, p)
    y_val : ndarray of shape (m,)
    k : int
        Number of neighbours, >= 1.

    Returns
    -------
    ndarray of float64, shape (n,)
        The most valuable points have the largest. They sum to the utility of the whole training set.

    Raises
    ------
    ParameterError
        If k is below 1.
    ModelError
        If shapes do not fit, a set is empty or a feature is not finite.
    """
    X, y, X_val, y_val = np.asarray(X, np.float64), np.asarray(y), np.asarray(X_val, np.float64), np.asarray(y_val)
    if k < 1:
        raise ParameterError(f"the number of neighbours k = {k} must be at least 1")
    shapes = X.shape, y.shape, X_val.shape, y_val.shape
    if X.ndim != 2 or X_val.ndim != 2 or X.shape[1] != X_val.shape[1] or 0 in (len(X), len(X_val)):
        raise ModelError(f"training and validation points need the same features, one point at least: {shapes}")
    if y.shape != X.shape[:1] or y_val.shape != X_val.shape[:1]:
        raise ModelError(f"training and validation points need one label each: {shapes}")
    if not (np.isfinite(X).all() and np.isfinite(X_val).all()):
        raise ModelError("nearest neighbours were given features that are not finite; remove or impute them")
    n, m = len(X), len(X_val)
    place = np.arange(1, n + 1)
    share = np.minimum(k, place) / (place * k)
    values = np.zeros(n)
    chunk = max(1, BUDGET // (5 * 8 * n))  # distances, order, hits and what becomes of them
    for start in range(0, m, chunk):
        rows = slice(start, start + chunk)
        # differences are squared one by one, so that equal points are equally far; a matrix product would round them
        order = cdist(X_val[rows], X, "sqeuclidean").argsort(axis=1, kind="stable")  # (chunk, n)
        hit = (y[order] == y_val[rows, None]).astype(np.float64)
        steps = -np.diff(hit, axis=1, append=0) * share  # s_i - s_{i+1}
        values += np.bincount(order.ravel(), steps[:, ::-1].cumsum(1)[:, ::-1].ravel(), n)
    return np.asarray(values / m)


def truncated_shapley(
    utility: Callable[[np.ndarray], float], n: int, permutations: int, tolerance: float, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Estimate Shapley values by Truncated Monte Carlo (Ghorbani & Zou, 2019, Algorithm 1).

    Points enter in random order and are credited with the change of the utility. Once it is closer than `tolerance` to
    the whole set's, the rest of the order is credited with nothing. That is biased; tolerance 0 truncates nothing.

    Parameters
    ----------
    utility : callable
        Takes int positions, distinct and ascending, and returns the utility of that set, such as the validation
        accuracy of a model fitted on it. Also asked for the empty set, and once only for that and the whole.
    n : int
        Number of points.
    permutations : int
        Random orders, >= 2: at most n - 1 calls of `utility` each.
    tolerance : float
        >= 0, in units of the utility.
    seed : int

    Returns
    -------
    values : ndarray of float64, shape (n,)
        Without truncation they sum to the utility of the whole set less that of the empty set.
    errors : ndarray of float64, shape (n,)
        Standard errors over the orders; they do not know of the truncation's bias.

    Raises
    ------
    ParameterError
        If n, the number of permutations or the tolerance is out of range.
    ModelError
        If the utility of a set is not finite.
    """
    if n < 1 or permutations < 2 or not tolerance >= 0:
        raise ParameterError(
            f"n = {n} must be at least 1, permutations = {permutations} at least 2, tolerance = {tolerance} at least 0"
        )

    def measured(positions: np.ndarray) -> float:
        value = float(utility(positions))
        if not np.isfinite(value):
            raise ModelError(f"the utility of a set of {len(positions)} points is {value}; give it a finite value")
        return value

    empty, whole = measured(np.arange(0)), measured(np.arange(n))
    draw = rng(seed, "truncated-shapley")
    gains = np.zeros((permutations, n))
    for row in gains:
        order, before = draw.permutation(n), empty
        for size, point in enumerate(order, start=1):
            if abs(whole - before) < tolerance:
                break
            after = whole if size == n else measured(np.sort(order[:size]))
            row[point], before = after - before, after
    return gains.mean(0), gains.std(0, ddof=1) / np.sqrt(permutations)
