"""Samples of a table, drawn anew by each seed and standardised by their training rows; and the pools as a whole."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from augury.errors import ParameterError
from augury.seeding import rng
from augury.tabular.tables import table

Points = tuple[np.ndarray, np.ndarray]
"""Features of shape (n, p) in float64, and labels 0 and 1 of shape (n,) in int64."""


@dataclass(frozen=True)
class Parts:
    """What one seed draws of a table; standardised, and the caller's own to change.

    Attributes
    ----------
    name : str
    X : ndarray of float64, shape (n, p)
        Training rows: mean 0 and (population) variance 1, but 0 throughout where all n rows have the same value.
    y : ndarray of int64, shape (n,)
        0 and 1.
    X_val, y_val, X_test, y_test : ndarray
        Validation and test rows, centred and scaled as the training rows are.
    columns : tuple of p str
        The same for all seeds: "age", "workclass=Private", ...
    """

    name: str
    X: np.ndarray
    y: np.ndarray
    X_val: np.ndarray
    y_val: np.ndarray
    X_test: np.ndarray
    y_test: np.ndarray
    columns: tuple[str, ...]


def standardised(X: np.ndarray, *others: np.ndarray) -> list[np.ndarray]:
    """Return X of shape (n, p) with mean 0 and variance 1, and others centred and scaled like it.

    A column that is constant in X becomes 0 in all: a model that never saw it vary can say nothing about it.
    """
    mean, scale = X.mean(0), X.std(0)
    varies = np.ptp(X, axis=0) > 0
    factor = np.divide(1.0, scale, out=np.zeros_like(scale), where=varies)
    return [(part - mean) * factor for part in (X, *others)]


def parts(name: str, seed: int, sizes: Sequence[int]) -> Parts:
    """Draw training, validation and test rows of a table, each at random from its pool, without replacement.

    Parameters
    ----------
    name : str
        A key of `tables.PREPARATIONS`.
    seed : int
    sizes : sequence of three int
        Numbers of training, validation and test rows.

    Raises
    ------
    ParameterError
        If there is no such table, or a pool is too small.
    MissingDataError, DataError
        If its data cannot be loaded.
    """
    whole = table(name)
    pools = (whole.training, whole.validation, whole.test)
    if len(sizes) != 3 or any(not 1 <= size <= len(pool) for size, pool in zip(sizes, pools, strict=False)):
        raise ParameterError(
            f"sizes {list(sizes)} of {name} must be three numbers of training, validation and test rows, of at least 1 "
            f"and at most {', '.join(str(len(pool)) for pool in pools)}"
        )
    draw = rng(seed, "tabular", name, "parts")
    chosen = [draw.choice(pool, size, replace=False) for pool, size in zip(pools, sizes, strict=True)]
    X, X_val, X_test = standardised(*(whole.X[rows] for rows in chosen))
    y, y_val, y_test = (whole.y[rows] for rows in chosen)
    return Parts(name, X, y, X_val, y_val, X_test, y_test, whole.columns)


def pools(name: str, seed: int) -> tuple[Points, Points]:
    """Return the whole training pool and the whole test pool of a table, in a random order.

    Parameters
    ----------
    name : str
        A key of `tables.PREPARATIONS`.
    seed : int
        Decides the order, so that the first rows of a pool are a random sample of it; the pools are always the same.

    Returns
    -------
    training, test : tuple of ndarray
        Features of shape (n, p) and labels of shape (n,), standardised by the training pool.

    Raises
    ------
    ParameterError
        If there is no such table.
    MissingDataError, DataError
        If its data cannot be loaded.
    """
    whole = table(name)
    draw = rng(seed, "tabular", name, "order")
    training, test = (draw.permutation(rows) for rows in (whole.training, whole.test))
    X, X_test = standardised(whole.X[training], whole.X[test])
    return (X, whole.y[training]), (X_test, whole.y[test])
