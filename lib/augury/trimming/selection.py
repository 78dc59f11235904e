"""Which training points a method trims: the top of a ranking, or chance (Algorithm 3, Appendix D.1)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from augury.errors import ParameterError
from augury.seeding import rng

BASE, RANDOM = "Base", "Random"
ORDERS = {"FI": ("FI", True), "IV": ("IV", False), "FI reversed": ("FI", False)}
"""The scored methods: their score, and whether the points of largest score go first.

FI^util goes from above (Algorithm 3) and IV from below; FI from below is a control of ours: if a large FI marks a
harmful point, it must do worse.
"""

METHODS = (*ORDERS, RANDOM)


@dataclass(frozen=True)
class Trimming:
    """A training set that lacks some points.

    Attributes
    ----------
    method : str
        One of `METHODS`, or "Base" where nothing is trimmed.
    b : int
        Number of points trimmed.
    draw : int
        Of the random trimmings; 0 elsewhere.
    removed : ndarray of int64, shape (b,)
        The points, the first to go first.
    """

    method: str
    b: int
    draw: int
    removed: np.ndarray


def check_budget(budget: int, n: int) -> None:
    """Refuse a number of points to trim that is negative or leaves nothing.

    Raises
    ------
    ParameterError
        If it is.
    """
    if not 0 <= budget < n:
        raise ParameterError(f"{budget} of {n} points cannot be trimmed: choose a number from 0 to {n - 1}")


def trimmed(method: str, scores: np.ndarray, budget: int) -> np.ndarray:
    """Return which points a scored method trims, the first to go first (Algorithm 3).

    Parameters
    ----------
    method : {"FI", "IV", "FI reversed"}
    scores : ndarray of shape (n,)
        Of the method, see `ORDERS`. Of equal scores the earlier point goes first.
    budget : int
        b, from 0 to n - 1.

    Returns
    -------
    ndarray of int64, shape (b,)

    Raises
    ------
    ParameterError
        If the method is unknown, a score is not a number, or the budget is out of range.
    """
    if method not in ORDERS:
        raise ParameterError(f"no method trims by a score called {method!r}; choose one of {', '.join(ORDERS)}")
    scores = np.asarray(scores, np.float64)
    if np.isnan(scores).any():
        raise ParameterError(f"{int(np.isnan(scores).sum())} scores of {method} are not numbers: they rank no point")
    check_budget(budget, len(scores))
    return np.argsort(-scores if ORDERS[method][1] else scores, kind="stable")[:budget]


def trimmings(
    scores: Mapping[str, np.ndarray], methods: Sequence[str], budgets: Sequence[int], draws: int, seed: int
) -> list[Trimming]:
    """Return every trimmed training set of one model: each scored method, and chance, at each budget.

    A random draw is one order of the points, of which every budget takes the beginning.

    Parameters
    ----------
    scores : mapping
        "FI" and "IV", of shape (n,) each.
    methods : sequence of str
        Of `ORDERS`.
    budgets : sequence of int
    draws : int
        Number of random trimmings at each budget.
    seed : int

    Raises
    ------
    ParameterError
        As `trimmed`.
    """
    found = [Trimming(m, b, 0, trimmed(m, scores[ORDERS[m][0]], b)) for m in methods for b in budgets]
    n = len(scores["FI"])
    for draw in range(draws):
        order = rng(seed, "trimming", "random", draw).permutation(n)
        found += [Trimming(RANDOM, b, draw, order[:b]) for b in budgets]
    return found


def weights(trimmings: Sequence[Trimming], n: int) -> np.ndarray:
    """Return the sample weights of each trimmed set, 0 for a trimmed point and 1 for others: float64 (sets, n)."""
    kept = np.ones((len(trimmings), n))
    for row, trimming in zip(kept, trimmings, strict=True):
        row[trimming.removed] = 0.0
    return kept
