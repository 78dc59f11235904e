"""Data trimming on points in the plane: FI, IV and chance, for a linear and a non-linear model (Section 5.1).

One cell draws a training, a validation and a test set and trims the first by every method.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from augury.data.loading import load
from augury.errors import ParameterError
from augury.seeding import rng
from augury.trimming.experiment import Row, Sample, experiment, refit
from augury.trimming.learners import Learner, Linear, Network
from augury.trimming.selection import weights

DATASETS = ("two-gaussians", "two-moons")
PICTURED = ("no trimming", "FI", "IV")


def sample(dataset: str, seed: int, sizes: Sequence[int]) -> Sample:
    """Draw training, validation and test points from the pools of a simulated data set, without replacement.

    Training and validation points come from the training pool and differ; test points come from the test pool, which
    as a whole is the test set "pool": the accuracy there has almost no sampling error.

    Parameters
    ----------
    dataset : {"two-gaussians", "two-moons"}
    seed : int
    sizes : sequence of three int
        Numbers of training, validation and test points.

    Raises
    ------
    ParameterError
        If the data set is unknown, or a pool is too small.
    """
    if dataset not in DATASETS:
        raise ParameterError(f"no simulated data set is called {dataset!r}; choose one of {', '.join(DATASETS)}")
    whole = load(dataset)
    assert whole.test is not None  # both have a test pool
    train, pool = ((np.asarray(part.x, np.float64), part.y) for part in (whole.train, whole.test))
    n_train, n_validation, n_test = sizes
    if min(sizes) < 1 or n_train + n_validation > len(train[1]) or n_test > len(pool[1]):
        raise ParameterError(
            f"sizes {list(sizes)} of {dataset} must be positive, and draw at most {len(train[1])} points for training "
            f"and validation together and {len(pool[1])} for testing"
        )
    draw = rng(seed, "trimming", dataset)
    chosen = draw.permutation(len(train[1]))[: n_train + n_validation]
    tested = draw.permutation(len(pool[1]))[:n_test]
    (x, y), (x_pool, y_pool) = train, pool
    first, then = chosen[:n_train], chosen[n_train:]
    return Sample((x[first], y[first]), (x[then], y[then]), {"test": (x_pool[tested], y_pool[tested]), "pool": pool})


def linear(dataset: str, seed: int, sizes: Sequence[int], budgets: Sequence[int], draws: int, C: float) -> list[Row]:
    """Trim the training set of a logistic regression (Table 1); see `experiment` for the rows.

    Parameters
    ----------
    dataset, seed, sizes
        See `sample`.
    budgets : sequence of int
        Numbers b of points to trim.
    draws : int
        Random trimmings at each b.
    C : float
        Inverse strength of the L2 penalty.
    """
    return experiment(sample(dataset, seed, sizes), Linear(C), budgets, draws, seed)


def network(
    dataset: str, seed: int, sizes: Sequence[int], budgets: Sequence[int], draws: int, width: int, steps: int,
    lr: float, l2: float, damping: float,
) -> list[Row]:  # fmt: skip
    """Trim the training set of a network with two hidden layers (Table 2); see `linear` and `Network`."""
    learner = Network(seed, width, steps, lr, l2, damping)
    return experiment(sample(dataset, seed, sizes), learner, budgets, draws, seed)


def linear_picture(dataset: str, seed: int, sizes: Sequence[int], b: int, resolution: int, C: float) -> list[Row]:
    """Return what Figure 1 draws: points, and decisions before and after trimming; see `picture`."""
    return picture(sample(dataset, seed, sizes), Linear(C), b, resolution, seed)


def network_picture(
    dataset: str, seed: int, sizes: Sequence[int], b: int, resolution: int, width: int, steps: int, lr: float,
    l2: float, damping: float,
) -> list[Row]:  # fmt: skip
    """Return what Figure 9 draws: points, and decisions before and after trimming; see `picture`."""
    learner = Network(seed, width, steps, lr, l2, damping)
    return picture(sample(dataset, seed, sizes), learner, b, resolution, seed)


def picture(drawn: Sample, learner: Learner, b: int, resolution: int, seed: int) -> list[Row]:
    """Return points and a grid, each with the decisions of one base model and its two trimmed versions (Figs 1 and 9).

    Returns
    -------
    list of dict
        panel, series, x1, x2, label, and the logits of class 1 there under each of `PICTURED`. The panels "training
        set" and "test set" hold one row a point, of the series "point"; "trimmed by FI" and "trimmed by IV" the
        training points again, "trimmed" or "kept"; "grid" a square grid around all points, with the label -1.

    Raises
    ------
    ParameterError
        If b is out of range, or the resolution is not at least 2.
    ModelError
        If a fit fails.
    """
    if resolution < 2:
        raise ParameterError(f"a grid needs a resolution of at least 2 points a side, not {resolution}")
    (X, y), (X_test, y_test) = drawn.train, drawn.tests["test"]
    chosen, base, refits = refit(drawn, learner, list(PICTURED[1:]), [b], 0, seed)
    both = np.concatenate([X, X_test])
    margin = 0.04 * np.ptp(both, axis=0)
    sides = np.linspace(both.min(0) - margin, both.max(0) + margin, resolution).T
    grid = np.stack(np.meshgrid(*sides), axis=-1).reshape(-1, 2)  # (resolution^2, 2)
    parts = [("training set", X, y, np.full(len(y), "point"))]
    for trimming, kept in zip(chosen, weights(chosen, len(y)), strict=True):
        parts.append((f"trimmed by {trimming.method}", X, y, np.where(kept == 0, "trimmed", "kept")))
    parts.append(("test set", X_test, y_test, np.full(len(y_test), "point")))
    parts.append(("grid", grid, np.full(len(grid), -1), np.full(len(grid), "grid")))
    rows: list[Row] = []
    for panel, places, labels, series in parts:
        columns = {"series": series, "x1": places[:, 0].round(5), "x2": places[:, 1].round(5), "label": labels}
        decisions = np.concatenate([base.decision(places), refits.decision(places)]).round(5)
        columns |= dict(zip(PICTURED, decisions, strict=True))
        values = zip(*(column.tolist() for column in columns.values()), strict=True)
        rows += [{"panel": panel, **dict(zip(columns, row, strict=True))} for row in values]
    return rows
