"""The trimming of a training set by every method, and what becomes of the model (Algorithm 3).

The base model is fitted and scores the training points on the validation set; what each method leaves is fitted again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from scipy.special import expit

from augury.influence.shapley import knn_shapley
from augury.trimming.learners import Fits, Learner, Points
from augury.trimming.selection import BASE, ORDERS, Trimming, check_budget, trimmings, weights

SHAPLEY = "KNN-Shapley"

Row = dict[str, Any]


@dataclass(frozen=True)
class Sample:
    """What one seed draws.

    Attributes
    ----------
    train, validation : tuple of ndarray
        Features of shape (n, p) and labels 0 and 1 of shape (n,).
    tests : mapping of str to tuple of ndarray
        Points that accuracies are measured on, by the name of the set.
    noisy : ndarray of int64
        The training points that are noisy by design; may be empty.
    """

    train: Points
    validation: Points
    tests: Mapping[str, Points]
    noisy: np.ndarray = field(default_factory=lambda: np.empty(0, np.int64))


def refit(
    drawn: Sample,
    learner: Learner,
    methods: Sequence[str],
    budgets: Sequence[int],
    draws: int,
    seed: int,
    neighbours: int = 0,
) -> tuple[list[Trimming], Fits, Fits]:
    """Fit the base model, let every method trim by its scores, and fit what is left.

    Parameters
    ----------
    drawn : Sample
    learner : Learner
    methods : sequence of str
        Scored ones.
    budgets : sequence of int
        Numbers b of points to trim.
    draws : int
        Random trimmings at each b.
    seed : int
        Of the random trimmings.
    neighbours : int
        Of KNN-Shapley, which trims the points of lowest value; 0 leaves it out.

    Returns
    -------
    list of Trimming
    base, refits
        The fit to all training points, and one fit for each trimming.

    Raises
    ------
    ParameterError
        If a budget is out of range.
    ModelError
        If a fit fails.
    """
    n = len(drawn.train[1])
    for budget in budgets:
        check_budget(budget, n)
    base = learner.fit(drawn.train, np.ones((1, n)))
    chosen = trimmings(base.scores(drawn.train, drawn.validation), methods, budgets, draws, seed)
    if neighbours:
        worst = np.argsort(knn_shapley(*drawn.train, *drawn.validation, neighbours), kind="stable")
        chosen += [Trimming(SHAPLEY, b, 0, worst[:b]) for b in budgets]
    return chosen, base, learner.fit(drawn.train, weights(chosen, n))


def experiment(
    drawn: Sample, learner: Learner, budgets: Sequence[int], draws: int, seed: int, neighbours: int = 0
) -> list[Row]:
    """Trim by every method at every budget and measure what becomes of the model; see `refit`.

    Returns
    -------
    list of dict
        method ("Base" with b = 0, one of `METHODS`, or "KNN-Shapley"), b, draw (of the random trimmings), metric and
        value. Metrics: "<set> accuracy" and "<set> loss", the mean in nats, on the validation set and on each test
        set; and, of the trimmed points, "class 1", how many are of that class, "confidence", the mean probability that
        the base model gives to their labels, and, where there are any, "noisy", how many noisy ones are among them.

    Raises
    ------
    ParameterError, ModelError
        As `refit`.
    """
    X, y = drawn.train
    chosen, base, refits = refit(drawn, learner, list(ORDERS), budgets, draws, seed, neighbours)
    confidence = expit(np.where(y == 1, 1.0, -1.0) * base.decision(X)[0])
    rows: list[Row] = []
    for fits, own in ((base, [Trimming(BASE, 0, 0, np.empty(0, np.int64))]), (refits, chosen)):
        measured = _measures(fits, drawn)
        for r, trimming in enumerate(own):
            values = {metric: float(of_all[r]) for metric, of_all in measured.items()}
            if trimming.b:
                gone = trimming.removed
                values |= {"class 1": float(y[gone].sum()), "confidence": float(confidence[gone].mean())}
            if trimming.b and len(drawn.noisy):
                values["noisy"] = float(np.isin(trimming.removed, drawn.noisy).sum())
            about = {"method": trimming.method, "b": trimming.b, "draw": trimming.draw}
            rows += [about | {"metric": metric, "value": value} for metric, value in values.items()]
    return rows


def _measures(fits: Fits, drawn: Sample) -> dict[str, np.ndarray]:
    """Return the accuracy and the mean loss of each fit on each set, shape (R,) each."""
    found: dict[str, np.ndarray] = {}
    for part, (X, y) in {**drawn.tests, "validation": drawn.validation}.items():
        decision = fits.decision(X)  # (R, rows)
        found[f"{part} accuracy"] = ((decision > 0) == (y == 1)).mean(1)
        found[f"{part} loss"] = np.logaddexp(0, np.where(y == 1, -1.0, 1.0) * decision).mean(1)
    return found
