"""The outcome of a statistical test, and the checks all tests share."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

from augury.errors import ParameterError

Alternative = Literal["greater", "less", "two-sided"]


@dataclass(frozen=True)
class Test:
    """The outcome of a statistical test.

    Attributes
    ----------
    name : str
        The test, e.g. "Welch t, greater".
    statistic : float
    p : float
    effect : float
        In the units of the samples unless `measure` says otherwise.
    low, high : float
        Two-sided interval of the effect at `level`, whatever the test's alternative.
    n : tuple of int
        Sizes of the samples; one number for paired samples.
    measure : str
        What the effect is, e.g. "difference of means".
    level : float
        Coverage of the interval.
    standardised : float
        Hedges' g, where the effect is a difference of means; not a number elsewhere.
    """

    name: str
    statistic: float
    p: float
    effect: float
    low: float
    high: float
    n: tuple[int, ...]
    measure: str
    level: float = 0.95
    standardised: float = math.nan

    __test__ = False  # a result, whatever pytest makes of the name

    def __post_init__(self) -> None:
        if not 0 <= self.p <= 1:
            raise ParameterError(f"the p-value of {self.name} is {self.p}: the samples leave the test undefined")

    def as_dict(self) -> dict[str, Any]:
        """Return the fields as JSON can hold them: infinities as text, what is not a number as None."""
        return {name: _plain(value) for name, value in vars(self).items()}


def _plain(value: Any) -> Any:
    if isinstance(value, tuple):
        return list(value)
    if isinstance(value, float) and not math.isfinite(value):
        return None if math.isnan(value) else str(value)
    return value


def sample(values: ArrayLike, name: str, least: int) -> np.ndarray:
    """Return `values` as a float64 array of shape (n,).

    Raises
    ------
    ParameterError
        If they are not one-dimensional and finite, or fewer than `least`.
    """
    array = np.asarray(values, np.float64)
    if array.ndim != 1 or len(array) < least:
        raise ParameterError(f"{name} must hold at least {least} values in one dimension, not shape {array.shape}")
    if not np.isfinite(array).all():
        raise ParameterError(f"{name} holds values that are not finite")
    return array


def pair(a: ArrayLike, b: ArrayLike, least: int) -> tuple[np.ndarray, np.ndarray]:
    """Return two samples of equal length.

    Raises
    ------
    ParameterError
        As `sample`, or if their lengths differ.
    """
    first, second = sample(a, "a", least), sample(b, "b", least)
    if len(first) != len(second):
        raise ParameterError(f"paired samples must be equally long, not {len(first)} and {len(second)}")
    return first, second


def tail(t: float, df: float, alternative: Alternative) -> float:
    """Return the p-value of a t statistic (which may be infinite) with `df` degrees of freedom.

    Raises
    ------
    ParameterError
        If the alternative is unknown.
    """
    if alternative == "greater":
        return float(stats.t.sf(t, df))
    if alternative == "less":
        return float(stats.t.cdf(t, df))
    if alternative == "two-sided":
        return float(2 * stats.t.sf(abs(t), df))
    raise ParameterError(f"the alternative is greater, less or two-sided, not {alternative!r}")
