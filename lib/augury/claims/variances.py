"""Tests on variances: Brown-Forsythe for independent samples, Pitman-Morgan for paired ones."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

from augury.claims.result import Alternative, Test, pair, sample, tail

ROUNDING = 1e-12  # of correlations and ratios near one


def variance_ratio(
    a: ArrayLike, b: ArrayLike, paired: bool = False, alternative: Alternative = "less", level: float = 0.95
) -> Test:
    """Test whether the variance of `a` is less than that of `b` (or greater, or differs).

    Independent samples: Brown-Forsythe, the t-test (pooled) on absolute deviations from the median, of which the usual
    F statistic is the square. Paired samples: Pitman-Morgan, the correlation of a + b with a - b.

    Parameters
    ----------
    a : array_like of shape (n,)
    b : array_like of shape (m,)
        Of shape (n,) if paired.
    paired : bool
        Whether `a[i]` and `b[i]` share their seed.
    alternative : {"less", "greater", "two-sided"}
        Of var(a) / var(b) against 1.
    level : float
        Coverage of the interval, which assumes normal samples.

    Returns
    -------
    Test
        The effect is the ratio of the sample variances, var(a) / var(b). Two samples without spread are no evidence:
        p = 1, and the ratio is 1 with the interval (0, inf).

    Raises
    ------
    ParameterError
        If a sample has fewer than three values or one that is not finite, or paired samples differ in length.
    """
    x, y = pair(a, b, 3) if paired else (sample(a, "a", 3), sample(b, "b", 3))
    name, n = ("Pitman-Morgan", (len(x),)) if paired else ("Brown-Forsythe", (len(x), len(y)))
    name, measure = f"{name}, {alternative}", "ratio of variances"
    # The spread of equal values is rounding in `var`, so it is asked of their range.
    u, v = (float(values.var(ddof=1)) if np.ptp(values) > 0 else 0.0 for values in (x, y))
    if u == v == 0:
        return Test(name, 0.0, 1.0, 1.0, 0.0, math.inf, n, measure, level)
    ratio = u / v if v else math.inf
    t, df, low, high = (_pitman_morgan if paired else _brown_forsythe)(x, y, ratio, level)
    return Test(name, t, tail(t, df, alternative), ratio, low, high, n, measure, level)


def _pitman_morgan(x: np.ndarray, y: np.ndarray, ratio: float, level: float) -> tuple[float, int, float, float]:
    """Return t, its degrees of freedom, and the interval that inverts the test.

    With r the correlation of x and y and w the ratio, t = (w - 1) sqrt(n - 2) / (2 sqrt(w (1 - r^2))); where that
    divides by zero, the sum and the difference of x and y are perfectly correlated and t is infinite.
    """
    df = len(x) - 2
    if not 0 < ratio < math.inf:
        return math.copysign(math.inf, ratio - 1), df, ratio, ratio
    free = 1 - float(np.corrcoef(x, y)[0, 1]) ** 2
    if free < ROUNDING:
        return (0.0 if abs(ratio - 1) < ROUNDING else math.copysign(math.inf, ratio - 1)), df, ratio, ratio
    t = (ratio - 1) * math.sqrt(df) / (2 * math.sqrt(ratio * free))
    k = 1 + 2 * free * float(stats.t.ppf((1 + level) / 2, df)) ** 2 / df
    root = math.sqrt(k**2 - 1)
    return t, df, ratio * (k - root), ratio * (k + root)


def _brown_forsythe(x: np.ndarray, y: np.ndarray, ratio: float, level: float) -> tuple[float, int, float, float]:
    """Return t, its degrees of freedom, and the F interval of the ratio."""
    found = stats.ttest_ind(np.abs(x - np.median(x)), np.abs(y - np.median(y)), equal_var=True)
    n, m = len(x), len(y)
    low = ratio / float(stats.f.ppf((1 + level) / 2, n - 1, m - 1))
    high = ratio / float(stats.f.ppf((1 - level) / 2, n - 1, m - 1))
    return float(found.statistic), n + m - 2, low, high
