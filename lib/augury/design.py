"""From a registered table to standardised matrices: one-hot levels, a random split, statistics of the training rows.

Liu, Najmi and Sundararajan (2020), Sections 4.1 and 4.2.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd
from pandas.api.types import is_numeric_dtype
from sklearn.preprocessing import StandardScaler

from augury import seeding
from augury.data.loading import load
from augury.errors import DataError, ParameterError


@dataclass(frozen=True)
class Design:
    """A table as a network takes it; the arrays are shared between callers and read-only.

    Attributes
    ----------
    name : str
    x_train : ndarray of float32, shape (n, k)
        Mean 0 and (population) variance 1 over the training rows.
    y_train : ndarray of shape (n,)
        Classes as int64; or a response as float64, mean 0 and variance 1 over the training rows.
    x_test, y_test : ndarray of shape (m, k) and (m,)
        Centred and scaled as the training rows are.
    columns : tuple of k str
        "age", "workclass=Private", ...
    classes : tuple of str
        Empty for a regression.
    y_scale : float
        Standard deviation of the response over the training rows, in its own unit; 1 for classes.
    raw_features : int
        Number of columns before one-hot encoding.
    """

    name: str
    x_train: np.ndarray
    y_train: np.ndarray
    x_test: np.ndarray
    y_test: np.ndarray
    columns: tuple[str, ...]
    classes: tuple[str, ...]
    y_scale: float
    raw_features: int


Table = tuple[pd.DataFrame, np.ndarray, tuple[str, ...]]  # the inputs, the target, the classes


def _as_it_is(inputs: pd.DataFrame, y: np.ndarray, classes: tuple[str, ...]) -> Table:
    return inputs, y, classes


def _heloc(inputs: pd.DataFrame, y: np.ndarray, classes: tuple[str, ...]) -> Table:
    """Return the regression of `ExternalRiskEstimate` on the 23 other columns.

    Leaving out the rows that have no estimate (-9) gives the paper's 9,861 points. It counts 24 features, as many as
    the file has columns: so the response is taken to be among them, and `RiskPerformance` to be an input. The special
    values -7 and -8 of the inputs stay as they are, for the paper names no treatment.
    """
    response = inputs["ExternalRiskEstimate"]
    known = response != -9
    others = inputs.drop(columns="ExternalRiskEstimate").assign(**{"RiskPerformance=Bad": y})
    return others[known], response[known].to_numpy(np.float64), ()


def _telco(inputs: pd.DataFrame, y: np.ndarray, classes: tuple[str, ...]) -> Table:
    """Return the table without the customer's number; the blank totals are those of customers in month 0, who owe 0."""
    return inputs.drop(columns="customerID").fillna({"TotalCharges": 0.0}), y, classes


# Adult keeps "?" as a level of its own: the paper has all 48,842 rows.
PREPARATIONS: dict[str, Callable[[pd.DataFrame, np.ndarray, tuple[str, ...]], Table]] = {
    "heloc": _heloc,
    "adult": _as_it_is,
    "telco": _telco,
    "breast-cancer": _as_it_is,
    "diabetes": _as_it_is,
}


def matrices(inputs: pd.DataFrame, held_out: np.ndarray) -> tuple[np.ndarray, np.ndarray, tuple[str, ...]]:
    """Return the standardised matrices of the training rows and of the rows held out, and the names of their columns.

    Every level of a text column becomes a column of 0 and 1, after the numeric ones. Columns that are constant over the
    training rows, levels that they lack among them, have no unit variance and are dropped: a network that never saw
    them vary can say nothing about them.

    Parameters
    ----------
    inputs : DataFrame of shape (rows, features)
    held_out : ndarray of bool, shape (rows,)

    Returns
    -------
    x_train : ndarray of float32, shape (n, k)
    x_test : ndarray of float32, shape (m, k)
    columns : tuple of k str

    Raises
    ------
    DataError
        If a value is missing or infinite; the message names the column.
    """
    text = [name for name in inputs.columns if not is_numeric_dtype(inputs[name])]
    bad = inputs.isna().any() | np.isinf(inputs.drop(columns=text)).any().reindex(inputs.columns, fill_value=False)
    if bad.any():
        raise DataError(
            f"column {bad.idxmax()!r} has values that are missing or infinite; mend them in PREPARATIONS of {__name__}"
        )
    encoded = pd.get_dummies(inputs, columns=text, prefix_sep="=", dtype=np.float64)
    train, test = encoded[~held_out], encoded[held_out]
    varies = (train != train.iloc[0]).any()
    scaler = StandardScaler().fit(train.loc[:, varies].to_numpy(np.float64))
    x_train, x_test = (
        scaler.transform(part.loc[:, varies].to_numpy(np.float64)).astype(np.float32) for part in (train, test)
    )
    return x_train, x_test, tuple(encoded.columns[varies])


@functools.lru_cache(maxsize=4)
def design(name: str, seed: int, test_share: float = 0.2) -> Design:
    """Return the table called `name`, split at random and standardised (Section 4.1).

    A split that upstream gives is undone first (the paper counts the rows of both parts of Adult). The split is plain
    random, not balanced by class, and both parts keep the order of the rows.

    Parameters
    ----------
    name : str
        A key of `PREPARATIONS`.
    seed : int
        Decides the split.
    test_share : float
        Share of the rows that make the test set, in (0, 1).

    Raises
    ------
    ParameterError
        If there is no preparation for `name`, or `test_share` leaves a part empty.
    MissingDataError, DataError
        If the data set cannot be loaded, or a prepared column has values that are not finite.
    """
    if name not in PREPARATIONS:
        raise ParameterError(f"no design for the data set {name!r}; choose one of {', '.join(PREPARATIONS)}")
    if not 0 < test_share < 1:
        raise ParameterError(f"test_share is {test_share}; it must lie between 0 and 1")
    dataset = load(name)
    parts = [part for part in (dataset.train, dataset.test) if part is not None]
    joined = pd.concat([pd.DataFrame(part.x) for part in parts], ignore_index=True)
    inputs, y, classes = PREPARATIONS[name](joined, np.concatenate([part.y for part in parts]), dataset.classes)

    size = round(test_share * len(y))
    if not 0 < size < len(y):
        raise ParameterError(f"test_share {test_share} of {len(y)} rows of {name!r} leaves a part empty")
    held_out = np.zeros(len(y), dtype=bool)
    held_out[seeding.rng(seed, "design", name).choice(len(y), size=size, replace=False)] = True
    x_train, x_test, columns = matrices(inputs, held_out)
    y_train, y_test, y_scale = y[~held_out], y[held_out], 1.0
    if not classes:
        mean, y_scale = float(y_train.mean()), float(y_train.std())
        y_train, y_test = (y_train - mean) / y_scale, (y_test - mean) / y_scale
    for array in (x_train, y_train, x_test, y_test):
        array.setflags(write=False)
    return Design(name, x_train, y_train, x_test, y_test, columns, classes, y_scale, inputs.shape[1])
