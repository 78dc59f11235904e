"""Tests that need no normal samples: signs, ranks, trends and proportions."""

from __future__ import annotations

import itertools
import math

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

from augury.claims.result import Alternative, Test, pair, tail
from augury.errors import ParameterError

EXACT = 8  # up to so many pairs Spearman's p-value counts all permutations (8! = 40,320)


def proportion(
    successes: int, n: int, value: float = 0.5, alternative: Alternative = "greater", level: float = 0.95
) -> Test:
    """Test whether a share exceeds `value` (or is below it, or differs): exact binomial test, Wilson interval.

    Raises
    ------
    ParameterError
        If the counts do not make a share, or `value` is outside [0, 1].
    """
    if not (0 <= successes <= n and n > 0 and 0 <= value <= 1):
        raise ParameterError(f"{successes} of {n} against {value} is no proportion")
    found = stats.binomtest(int(successes), int(n), value, alternative)
    interval = found.proportion_ci(level, "wilson")
    # The Wilson interval is two-sided whatever the alternative; scipy makes it one-sided with the test.
    if alternative != "two-sided":
        interval = stats.binomtest(int(successes), int(n), value).proportion_ci(level, "wilson")
    name, p = f"binomial, {alternative}", min(float(found.pvalue), 1.0)
    return Test(name, successes, p, successes / n, float(interval.low), float(interval.high), (n,), "share", level)


def sign_test(a: ArrayLike, b: ArrayLike, alternative: Alternative = "greater", level: float = 0.95) -> Test:
    """Test whether `a` is above `b` in more than half of the pairs (or fewer, or not in half); ties are left out.

    Parameters
    ----------
    a, b : array_like of shape (n,)
        `a[i]` and `b[i]` share their seed.

    Returns
    -------
    Test
        The effect is the share of untied pairs in which a > b, `n` their number. With nothing but ties there is no
        evidence: p = 1, and the share is 1/2 with the interval (0, 1).

    Raises
    ------
    ParameterError
        If the samples are not finite and equally long.
    """
    x, y = pair(a, b, 1)
    wins, losses = int((x > y).sum()), int((x < y).sum())
    measure = "share of pairs in which the first is greater"
    if wins + losses == 0:
        return Test(f"sign, {alternative}", 0, 1.0, 0.5, 0.0, 1.0, (0,), measure, level)
    found = proportion(wins, wins + losses, 0.5, alternative, level)
    return Test(f"sign, {alternative}", wins, found.p, found.effect, found.low, found.high, found.n, measure, level)


def spearman(x: ArrayLike, y: ArrayLike, alternative: Alternative = "greater", level: float = 0.95) -> Test:
    """Test whether Spearman's rank correlation of `x` and `y` is positive (or negative, or not zero).

    Up to 8 pairs the p-value is exact, over all permutations; above, it is that of the usual t approximation. The
    interval is Fisher's z with the variance (1 + rho^2 / 2) / (n - 3) of Bonett and Wright (2000).

    Parameters
    ----------
    x, y : array_like of shape (n,)
        n >= 4.

    Raises
    ------
    ParameterError
        If the samples are not finite and equally long, have fewer than four values or do not vary.
    """
    a, b = pair(x, y, 4)
    if np.ptp(a) == 0 or np.ptp(b) == 0:
        raise ParameterError("a rank correlation needs values that vary")
    n = len(a)
    u, v = (stats.rankdata(values) - (n + 1) / 2 for values in (a, b))
    norm = math.sqrt(float(u @ u) * float(v @ v))
    rho = min(1.0, max(-1.0, float(u @ v) / norm))
    t = rho * math.sqrt((n - 2) / (1 - rho**2)) if abs(rho) < 1 else math.copysign(math.inf, rho)
    p = _permutation_p(u, v, alternative) if n <= EXACT else tail(t, n - 2, alternative)
    half = float(stats.norm.ppf((1 + level) / 2)) * math.sqrt((1 + rho**2 / 2) / (n - 3))
    low, high = (math.tanh(math.atanh(rho) + s * half) if abs(rho) < 1 else rho for s in (-1, 1))
    name = f"Spearman{' (exact)' if n <= EXACT else ''}, {alternative}"
    return Test(name, rho, p, rho, low, high, (n,), "rank correlation", level)


def _permutation_p(u: np.ndarray, v: np.ndarray, alternative: Alternative) -> float:
    """Return the share of permutations of `v` at least as extreme as the one given; u and v are centred ranks."""
    values = np.array(list(itertools.permutations(v))) @ u
    found = float(u @ v)
    slack = 1e-9 * float(np.abs(values).max())
    if alternative == "greater":
        return float((values >= found - slack).mean())
    if alternative == "less":
        return float((values <= found + slack).mean())
    if alternative == "two-sided":
        return float((np.abs(values) >= abs(found) - slack).mean())
    raise ParameterError(f"the alternative is greater, less or two-sided, not {alternative!r}")


def trend(values: ArrayLike, alternative: str = "increasing", level: float = 0.95) -> Test:
    """Test whether values rise (or fall) along ordered conditions: Page's trend test over seeds.

    Parameters
    ----------
    values : array_like of shape (n_seeds, n_conditions)
        Conditions in their order, at least three; at least two seeds.
    alternative : {"increasing", "decreasing"}
    level : float
        Coverage of the t interval, over seeds, of the mean rank correlation.

    Returns
    -------
    Test
        The statistic is Page's L of the alternative; the effect is the mean over seeds of Spearman's correlation of
        value and order (a linear function of L where a seed has no ties), positive where values rise.

    Raises
    ------
    ParameterError
        If the array is not finite, two-dimensional and large enough, or the alternative is unknown.
    """
    data = np.asarray(values, np.float64)
    if data.ndim != 2 or data.shape[0] < 2 or data.shape[1] < 3 or not np.isfinite(data).all():
        raise ParameterError(f"a trend needs finite values of shape (seeds >= 2, conditions >= 3), not {data.shape}")
    if alternative not in ("increasing", "decreasing"):
        raise ParameterError(f"a trend is increasing or decreasing, not {alternative!r}")
    seeds, conditions = data.shape
    found = stats.page_trend_test(data if alternative == "increasing" else -data)
    ranks = stats.rankdata(data, axis=1) - (conditions + 1) / 2
    order = np.arange(conditions) - (conditions - 1) / 2
    norms = np.linalg.norm(ranks, axis=1) * np.linalg.norm(order)
    rho = np.divide(ranks @ order, norms, out=np.zeros(seeds), where=norms > 0)
    half = float(stats.t.ppf((1 + level) / 2, seeds - 1)) * float(rho.std(ddof=1)) / math.sqrt(seeds)
    mean = float(rho.mean())
    low, high = max(mean - half, -1.0), min(mean + half, 1.0)
    name, measure = f"Page's trend, {alternative}", "mean rank correlation with the order"
    return Test(name, float(found.statistic), float(found.pvalue), mean, low, high, (seeds,), measure, level)
