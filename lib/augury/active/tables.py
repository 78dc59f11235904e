"""Active learning on tables: logistic regression, fitted to the exact optimum in every round (Figure 3, Table 4)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from augury.acquisition.uncertainty import masked_log_probabilities
from augury.active.rounds import Row, Sizes, active_learning, start
from augury.active.scores import check_method
from augury.errors import ParameterError
from augury.models.logistic import Logistic, fit_logistic
from augury.tabular import pools


@dataclass(frozen=True)
class Table:
    """The pools of a table and how its model is fitted.

    Attributes
    ----------
    X, y : ndarray of shape (n, p) in float64 and (n,)
        The training pool, labels 0 and 1.
    X_test, y_test : ndarray of shape (t, p) and (t,)
    weight_decay : float
        The objective is the mean loss + weight_decay / 2 |w|^2, whatever the number of labelled points.
    rate : float
        Probability with which BALD drops a feature, in [0, 1).
    passes : int
        BALD's masks.
    """

    X: np.ndarray
    y: np.ndarray
    X_test: np.ndarray
    y_test: np.ndarray
    weight_decay: float
    rate: float
    passes: int

    def train(self, labelled: np.ndarray, round: int) -> Fitted:
        """Fit the regression to the points at the positions `labelled`; nothing in it depends on the round.

        Raises
        ------
        ParameterError
            If they are all of one class, or the weight decay is not positive.
        ModelError
            As `fit_logistic`.
        """
        y = self.y[labelled]
        if len(set(y.tolist())) < 2:
            raise ParameterError(
                f"the {len(y)} labelled points are all of one class: a regression needs both; label more at the start"
            )
        if not self.weight_decay > 0:
            raise ParameterError(f"weight_decay must be positive, not {self.weight_decay}")
        return Fitted(self, fit_logistic(self.X[labelled], y, 1 / (self.weight_decay * len(y))))


@dataclass(frozen=True)
class Fitted:
    """A logistic regression on a table; see `scores.Model`."""

    table: Table
    model: Logistic

    def last(self) -> Logistic:
        """Return the regression, which is all there is."""
        return self.model

    def features(self, points: np.ndarray) -> np.ndarray:
        """Return the standardised columns: shape (m, p)."""
        return self.table.X[points]

    def dropped(self, points: np.ndarray, generator: np.random.Generator) -> np.ndarray:
        """Return log probabilities under masks on the columns: shape (passes, m, 2)."""
        table = self.table
        return masked_log_probabilities(self.model, table.X[points], table.rate, table.passes, generator)

    def accuracy(self) -> float:
        """Return the share of the test pool that is classified rightly."""
        return self.model.accuracy(self.table.X_test, self.table.y_test)


def experiment(
    dataset: str, table: str, method: str, seed: int, rounds: int, initial: int, pool: int, acquisition: int,
    candidates: str, validation: int, weight_decay: float, rate: float, passes: int, share: float,
) -> list[Row]:  # fmt: skip
    """Run active learning on a table by one method under one seed.

    Parameters
    ----------
    dataset, table
        What `augury.tabular.settings` says of a table; the first is for the cell's key alone.
    method : str
        One of `scores.METHODS`.
    seed : int
    rounds, initial, pool, acquisition, candidates, validation
        See `rounds.Sizes`.
    weight_decay, rate, passes
        See `Table`.
    share : float
        Of the candidates that "FI subsampled" scores.

    Returns
    -------
    list of dict
        As `rounds.active_learning`.

    Raises
    ------
    ParameterError
        If a setting is out of range or the pools are too small.
    ModelError
        If a fit or a score fails.
    """
    check_method(method)
    sizes = Sizes(rounds, initial, pool, acquisition, candidates, validation)
    (X, y), (X_test, y_test) = pools(table, seed)
    begin = start(y, 2, sizes, seed)
    learner = Table(X, y, X_test, y_test, weight_decay, rate, passes)
    return active_learning(method, learner.train, y, begin, sizes, seed, share)
