"""Data trimming on real tables: FI, IV, Shapley values and chance, on clean and on noisy data (Section 5.1, D.1).

One cell draws a training, a validation and a test set, adds noise, and trims the first by every method.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from augury.errors import ParameterError
from augury.seeding import rng
from augury.tabular import Parts, parts
from augury.trimming.descent import Descent, Exact
from augury.trimming.experiment import Row, Sample, experiment

FLIPPED = 6  # columns, of a table whose columns have two values each
VARIANCE = 0.1  # of the noise on other tables, whose columns have variance 1


def noisy(drawn: Parts, rows: int, seed: int) -> Sample:
    """Return a sample with noise in some of its training rows (Appendix D.1).

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
    Sample
        With the one test set "test".

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
    return Sample((X, drawn.y), (drawn.X_val, drawn.y_val), {"test": (drawn.X_test, drawn.y_test)}, noisy=chosen)


def descend(
    dataset: str, table: str, seed: int, noise: int, sizes: Sequence[int], budgets: Sequence[int], draws: int,
    neighbours: int, optimiser: str, lr: float, weight_decay: float, epochs: int, batch: int,
) -> list[Row]:  # fmt: skip
    """Trim the training set of a logistic regression that is fitted as in Table 3; see `experiment` for the rows.

    Parameters
    ----------
    dataset, table
        See `augury.tabular.settings`; the first is for the cell's key alone.
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
    return experiment(noisy(parts(table, seed, sizes), noise, seed), learner, budgets, draws, seed, neighbours)


def solve(
    dataset: str, table: str, seed: int, noise: int, sizes: Sequence[int], budgets: Sequence[int], draws: int,
    neighbours: int, weight_decay: float,
) -> list[Row]:  # fmt: skip
    """Trim the training set of a logistic regression that is fitted to the optimum; see `descend`."""
    learner = Exact(weight_decay)
    return experiment(noisy(parts(table, seed, sizes), noise, seed), learner, budgets, draws, seed, neighbours)
