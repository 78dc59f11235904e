"""Tests on means: difference (Welch, paired, against a value) and equivalence (two one-sided tests)."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

from augury.claims.result import Alternative, Test, pair, sample, tail
from augury.errors import ParameterError

ROUNDING = 1e-12  # differences and spreads below this share of the values are rounding, and count as zero


@dataclass(frozen=True)
class _Moments:
    """An estimated difference of means with its standard error, degrees of freedom and standardising deviation."""

    name: str
    estimate: float
    error: float
    df: float
    deviation: float
    n: tuple[int, ...]
    scale: float

    def t(self, null: float) -> float:
        """Return the statistic of H0: difference = null; infinite where the samples have no spread."""
        distance = self.estimate - null
        if self.error > ROUNDING * self.scale:
            return distance / self.error
        return 0.0 if abs(distance) <= ROUNDING * self.scale else math.copysign(math.inf, distance)

    def interval(self, level: float) -> tuple[float, float]:
        half = float(stats.t.ppf((1 + level) / 2, self.df)) * self.error
        return self.estimate - half, self.estimate + half

    @property
    def g(self) -> float:
        """Hedges' g: the difference over the deviation, with the exact small-sample factor."""
        df = sum(self.n) - len(self.n)
        factor = math.exp(math.lgamma(df / 2) - math.lgamma((df - 1) / 2)) / math.sqrt(df / 2) if df > 1 else math.nan
        if self.deviation > ROUNDING * self.scale:
            return factor * self.estimate / self.deviation
        return math.copysign(math.inf, self.estimate) if abs(self.estimate) > ROUNDING * self.scale else 0.0


def _moments(a: ArrayLike, b: ArrayLike | float, paired: bool) -> _Moments:
    x = sample(a, "a", 2)
    scale = float(np.abs(x).max())
    if np.ndim(b) == 0:
        value = float(np.asarray(b, np.float64))
        if not math.isfinite(value):
            raise ParameterError(f"a mean cannot be compared with {value}")
        sd, n = float(x.std(ddof=1)), len(x)
        scale = max(scale, abs(value))
        return _Moments("one-sample t", float(x.mean()) - value, sd / math.sqrt(n), n - 1, sd, (n,), scale)
    if paired:
        x, y = pair(a, b, 2)
        d = x - y
        sd, n = float(d.std(ddof=1)), len(d)
        scale = max(scale, float(np.abs(y).max()))
        return _Moments("paired t", float(d.mean()), sd / math.sqrt(n), n - 1, sd, (n,), scale)
    y = sample(b, "b", 2)
    scale = max(scale, float(np.abs(y).max()))
    n, m = len(x), len(y)
    u, v = float(x.var(ddof=1)) / n, float(y.var(ddof=1)) / m
    spread = math.sqrt(u + v) > ROUNDING * scale
    df = (u + v) ** 2 / (u**2 / (n - 1) + v**2 / (m - 1)) if spread else n + m - 2
    pooled = math.sqrt((u * n * (n - 1) + v * m * (m - 1)) / (n + m - 2))
    return _Moments("Welch t", float(x.mean() - y.mean()), math.sqrt(u + v), df, pooled, (n, m), scale)


def difference(
    a: ArrayLike,
    b: ArrayLike | float,
    paired: bool = False,
    alternative: Alternative = "greater",
    null: float = 0.0,
    level: float = 0.95,
) -> Test:
    """Test whether the mean of `a` exceeds that of `b` (or is below it, or differs).

    Parameters
    ----------
    a : array_like of shape (n,)
        One value a seed.
    b : array_like of shape (m,) or float
        The other sample (Welch's t), or the value that the mean of `a` is compared with (one-sample t).
    paired : bool
        Whether `a[i]` and `b[i]` share their seed (paired t).
    alternative : {"greater", "less", "two-sided"}
        Of mean(a) - mean(b) against `null`.
    null : float
        The difference under the null hypothesis: with "greater" and -0.001 the test is one of non-inferiority.
    level : float
        Coverage of the interval of the difference, which is two-sided.

    Returns
    -------
    Test
        The effect is mean(a) - mean(b), in the samples' units; `standardised` is Hedges' g: over the pooled standard
        deviation for two samples, over that of the differences for paired ones.

    Raises
    ------
    ParameterError
        If a sample has fewer than two values or one that is not finite, or paired samples differ in length.
    """
    moments = _moments(a, b, paired)
    t = moments.t(null)
    name = f"{moments.name}, {alternative}" + (f" than {null:g}" if null else "")
    p = tail(t, moments.df, alternative)
    low, high = moments.interval(level)
    return Test(name, t, p, moments.estimate, low, high, moments.n, "difference of means", level, moments.g)


def one_sample(a: ArrayLike, value: float, alternative: Alternative = "greater", level: float = 0.95) -> Test:
    """Test whether the mean of `a` exceeds `value` (or is below it, or differs); see `difference`."""
    return difference(a, float(value), alternative=alternative, level=level)


def equivalence(a: ArrayLike, b: ArrayLike | float, margin: float, paired: bool = False, alpha: float = 0.05) -> Test:
    """Test whether the means of `a` and `b` differ by less than `margin` (two one-sided t-tests, TOST).

    Parameters
    ----------
    a, b, paired
        As for `difference`.
    margin : float
        Largest difference, in the samples' units, that counts as none; positive.
    alpha : float
        The interval returned has coverage 1 - 2 alpha: it lies within +-margin exactly when p < alpha.

    Returns
    -------
    Test
        p is the larger of the two one-sided p-values, the statistic is that test's; the effect is mean(a) - mean(b).

    Raises
    ------
    ParameterError
        As `difference`, or if the margin is not positive.
    """
    if not margin > 0:
        raise ParameterError(f"the margin of equivalence must be positive, not {margin}")
    moments = _moments(a, b, paired)
    below, above = moments.t(margin), moments.t(-margin)
    p_below, p_above = tail(below, moments.df, "less"), tail(above, moments.df, "greater")
    t, p = max((below, p_below), (above, p_above), key=lambda pair: pair[1])
    low, high = moments.interval(1 - 2 * alpha)
    name = f"equivalence within {margin:g}, two one-sided {moments.name}"
    return Test(name, t, p, moments.estimate, low, high, moments.n, "difference of means", 1 - 2 * alpha, moments.g)
