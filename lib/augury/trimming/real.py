"""Data trimming on real tables: FI, IV, Shapley values and chance, on clean and on noisy data (Section 5.1, D.1).

One cell draws a training, a validation and a test set, fits the base model, scores the training points on the
validation set, and refits without those that each method trims (Algorithm 3).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from scipy.special import expit

from augury.errors import ParameterError
from augury.influence.shapley import knn_shapley
from augury.seeding import rng
from augury.tabular import Parts, parts
from augury.trimming.descent import Descent, Exact
from augury.trimming.learners import Learner
from augury.trimming.selection import BASE, ORDERS, Trimming, check_budget, trimmings, weights

SHAPLEY = "KNN-Shapley"
FLIPPED = 6  # columns, of a table whose columns have two values each
VARIANCE = 0.1  # of the noise on other tables, whose columns have variance 1

Row = dict[str, Any]


def noisy(drawn: Parts, rows: int, seed: int) -> tuple[Parts, np.ndarray]:
    """Return a sample with noise in some of its training rows (Appendix D.1), and which they are.

    Where all columns have two values, as CelebA's attributes, six random columns of these rows are flipped to the other
    value; elsewhere all columns of these rows get white noise of variance 0.1. Labels, validation and test rows stay.

    Parameters
    ----------
    drawn : Parts
        Unchanged.
    rows : int
        Number of noisy rows; 0 for none.
    seed : int

    Returns
    -------
    Parts
    ndarray of int64, shape (rows,)

    Raises
    ------
    ParameterError
        If there are fewer training rows.
    """
    n, p = drawn.X.shape
    if not 0 <= rows <= n:
        raise ParameterError(f"{rows} of {n} training rows cannot be noisy: choose a number from 0 to {n}")
    draw = rng(seed, "trimming", "noise")
    chosen = np.sort(draw.choice(n, rows, replace=False))
    X = drawn.X.copy()
    least, most = X.min(0), X.max(0)
    if (np.minimum(X - least, most - X) == 0).all():
        place = np.ix_(chosen, draw.choice(p, min(FLIPPED, p), replace=False))
        X[place] = (least + most)[place[1]] - X[place]
    else:
        X[chosen] += np.sqrt(VARIANCE) * draw.standard_normal((rows, p))
    return replace(drawn, X=X), chosen


def descend(
    dataset: str, table: str, seed: int, noise: int, sizes: Sequence[int], budgets: Sequence[int], draws: int,
    neighbours: int, optimiser: str, lr: float, weight_decay: float, epochs: int, batch: int,
    digests: Sequence[str] = (),
) -> list[Row]:  # fmt: skip
    """Trim the training set of a logistic regression that is fitted as in Table 3; see `experiment` for the rows.

    Parameters
    ----------
    dataset, table, digests
        See `augury.tabular.settings`; the table says it all.
    seed : int
        Of the sample, the noise, the random trimmings and the batches.
    noise : int
        Number of noisy training rows, see `noisy`.
    sizes : sequence of int
        See `augury.tabular.parts`.
    budgets : sequence of int
        Numbers b of points to trim.
    draws : int
        Random trimmings at each b.
    neighbours : int
        Of KNN-Shapley; 0 leaves it out.
    optimiser, lr, weight_decay, epochs, batch
        See `Descent`.
    """
    learner = Descent(seed, optimiser, lr, weight_decay, epochs, batch)
    return experiment(*noisy(parts(table, seed, sizes), noise, seed), learner, budgets, draws, seed, neighbours)


def solve(
    dataset: str, table: str, seed: int, noise: int, sizes: Sequence[int], budgets: Sequence[int], draws: int,
    neighbours: int, weight_decay: float, digests: Sequence[str] = (),
) -> list[Row]:  # fmt: skip
    """Trim the training set of a logistic regression that is fitted to the optimum; see `descend`."""
    learner = Exact(weight_decay)
    return experiment(*noisy(parts(table, seed, sizes), noise, seed), learner, budgets, draws, seed, neighbours)


def experiment(
    drawn: Parts, marked: np.ndarray, learner: Learner, budgets: Sequence[int], draws: int, seed: int, neighbours: int
) -> list[Row]:
    """Trim by every method at every budget and measure what becomes of the model.

    Parameters
    ----------
    drawn : Parts
    marked : ndarray of int64
        The noisy training rows; may be empty.
    learner, budgets, draws, seed, neighbours
        See `descend`.

    Returns
    -------
    list of dict
        method ("Base" with b = 0, one of `METHODS`, or "KNN-Shapley"), b, draw (of the random trimmings), metric and
        value. Metrics: "test accuracy" and "validation accuracy"; "test loss" and "validation loss", means in nats;
        and, of the trimmed points, "class 1", how many are of that class, "confidence", the mean probability that the
        base model gives to their labels, and, where there are any, "noisy", how many noisy ones are among them.

    Raises
    ------
    ParameterError
        If a budget is out of range.
    ModelError
        If a fit fails.
    """
    train, validation, n = (drawn.X, drawn.y), (drawn.X_val, drawn.y_val), len(drawn.y)
    for budget in budgets:
        check_budget(budget, n)
    base = learner.fit(train, np.ones((1, n)))
    chosen = [Trimming(BASE, 0, 0, np.empty(0, np.int64))]
    chosen += trimmings(base.scores(train, validation), list(ORDERS), budgets, draws, seed)
    if neighbours:
        worst = np.argsort(knn_shapley(*train, *validation, neighbours), kind="stable")
        chosen += [Trimming(SHAPLEY, b, 0, worst[:b]) for b in budgets]
    refits = learner.fit(train, weights(chosen, n))
    found: dict[str, np.ndarray] = {}
    for part, (X, y) in {"test": (drawn.X_test, drawn.y_test), "validation": validation}.items():
        margin = np.where(y == 1, 1.0, -1.0) * refits.decision(X)  # (R, rows)
        found |= {f"{part} accuracy": ((margin > 0) | ((margin == 0) & (y == 0))).mean(1)}
        found |= {f"{part} loss": np.logaddexp(0, -margin).mean(1)}
    confidence = expit(np.where(drawn.y == 1, 1.0, -1.0) * base.decision(drawn.X)[0])
    rows: list[Row] = []
    for r, trimming in enumerate(chosen):
        values = {metric: float(of_all[r]) for metric, of_all in found.items()}
        if trimming.b:
            gone = trimming.removed
            values |= {"class 1": float(drawn.y[gone].sum()), "confidence": float(confidence[gone].mean())}
        if trimming.b and len(marked):
            values["noisy"] = float(np.isin(trimming.removed, marked).sum())
        about = {"method": trimming.method, "b": trimming.b, "draw": trimming.draw}
        rows += [about | {"metric": metric, "value": value} for metric, value in values.items()]
    return rows
