"""Classification problems in standardised coordinates: synthetic ones of any size, and tables."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import log_softmax

from augury.data import load
from augury.design import design
from augury.errors import ParameterError
from augury.models.logistic import Logistic, fit_logistic
from augury.models.softmax import Softmax, fit_softmax
from augury.seeding import rng

DATASETS = ("breast-cancer", "digits", "two-gaussians", "adult", "telco")


@dataclass(frozen=True)
class Problem:
    """Training and validation points, float64 features of mean 0 and variance 1 over the training points."""

    X: np.ndarray
    y: np.ndarray
    X_val: np.ndarray
    y_val: np.ndarray
    classes: int

    def fit(self, C: float) -> Logistic | Softmax:
        """Return the logistic regression of the training points."""
        return fit_logistic(self.X, self.y, C) if self.classes == 2 else fit_softmax(self.X, self.y, C)


def log_probabilities(model: Logistic | Softmax, X: np.ndarray) -> np.ndarray:
    """Return the logarithms of the classes' probabilities: shape (n, K)."""
    logits = model.decision(X)
    return np.asarray(log_softmax(np.stack([np.zeros_like(logits), logits], 1) if logits.ndim == 1 else logits, axis=1))


def gaussian_problem(classes: int, features: int, n: int, seed: int, replicate: int) -> Problem:
    """Return n training and n validation points of independent normal features, with labels drawn from a softmax.

    They are drawn anew where the training points lack a class.

    Raises
    ------
    ParameterError
        If a hundred draws lack one.
    """
    generator = rng(seed, "invariance", classes, features, replicate)
    for _ in range(100):
        X = generator.standard_normal((2 * n, features))
        weights = generator.standard_normal((classes, features)) * 1.5 / np.sqrt(features)
        y = (X @ weights.T + generator.gumbel(size=(2 * n, classes))).argmax(1)
        if len(np.unique(y[:n])) == classes:
            return Problem(X[:n], y[:n], X[n:], y[n:], classes)
    raise ParameterError(f"{n} points of {classes} classes hardly ever have all of them; take more points")


def table_problem(dataset: str, rows: int, validation: int, seed: int) -> Problem:
    """Return at most so many training and validation rows of a data set, drawn at random, standardised.

    Tables are one-hot encoded; pixels and levels that do not vary over the training rows are left out.

    Parameters
    ----------
    dataset : str
        One of `DATASETS`.

    Raises
    ------
    ParameterError
        If there is no such data set here, or the training rows lack one of its classes.
    MissingDataError, DataError
        If it cannot be loaded.
    """
    if dataset not in DATASETS:
        raise ParameterError(f"data set {dataset!r} is not among {', '.join(DATASETS)}")
    if dataset in ("digits", "two-gaussians"):
        found = load(dataset)
        assert found.test is not None  # both have one
        parts = [(found.train.x, found.train.y), (found.test.x, found.test.y)]
    else:
        table = design(dataset, 0)
        parts = [(table.x_train, table.y_train), (table.x_test, table.y_test)]
    generator, drawn = rng(seed, "invariance", dataset), []
    for (x, y), size in zip(parts, (rows, validation), strict=True):
        chosen = generator.permutation(len(y))[:size]
        flat = np.asarray(x, np.float64).reshape(len(y), -1)
        drawn.append((flat[chosen], np.asarray(y, np.int64)[chosen]))
    (X, y), (X_val, y_val) = drawn
    classes = int(np.max(parts[0][1])) + 1
    if len(np.unique(y)) < classes:
        raise ParameterError(f"{len(y)} rows of {dataset} lack one of its {classes} classes; draw more")
    varies = X.std(0) > 1e-9
    centre, spread = X[:, varies].mean(0), X[:, varies].std(0)
    X, X_val = ((part[:, varies] - centre) / spread for part in (X, X_val))
    return Problem(X, y, X_val, y_val, classes)
