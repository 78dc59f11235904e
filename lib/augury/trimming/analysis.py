"""From the rows of the simulations to the paper's tables: pure functions of tidy rows."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy.stats import hypergeom

from augury.trimming.selection import BASE, METHODS
from augury.trimming.simulated import PICTURED, sample

TABLES = {"two-gaussians": "Table 1", "two-moons": "Table 2"}
FIGURES = {"two-gaussians": "Figure 1", "two-moons": "Figure 9"}


def values(rows: pd.DataFrame, method: str, b: int, metric: str) -> np.ndarray:
    """Return a metric of a method at b trimmed points, the mean over draws, one value a seed in their order: (seeds,).

    The base model has b = 0 whatever is asked for.
    """
    own = (rows["method"] == method) & (rows["b"] == (0 if method == BASE else b)) & (rows["metric"] == metric)
    return rows[own].groupby("seed")["value"].mean().sort_index().to_numpy()


def percent(rows: pd.DataFrame, metric: str = "test accuracy") -> pd.DataFrame:
    """Return an accuracy in per cent, the mean over draws: one row a method, b and seed, in the order of `METHODS`."""
    own = rows[rows["metric"] == metric]
    means = own.groupby(["method", "b", "seed"], as_index=False)["value"].mean()
    place = {method: i for i, method in enumerate((BASE, *METHODS))}
    means = means.sort_values(["b", "method", "seed"], key=lambda c: c.map(place) if c.name == "method" else c)
    return means.assign(value=100 * means["value"]).reset_index(drop=True)


def better(rows: pd.DataFrame, metric: str = "test accuracy") -> pd.DataFrame:
    """Count the seeds in which FI ends better than IV, equal to it and worse ("# of better case" of Tables 1 and 2).

    Returns
    -------
    DataFrame
        method ("FI"), b, FI better, equal, IV better.
    """
    found = []
    for b in np.sort(rows.loc[rows["method"] == "FI", "b"].unique()):
        gain = values(rows, "FI", b, metric) - values(rows, "IV", b, metric)
        counts = {"FI better": int((gain > 0).sum()), "equal": int((gain == 0).sum())}
        found.append({"method": "FI", "b": int(b)} | counts | {"IV better": int((gain < 0).sum())})
    return pd.DataFrame(found)


def beside(accuracies: pd.DataFrame, paper: pd.DataFrame, rows: pd.DataFrame) -> pd.DataFrame:
    """Complete Table 1 or 2: published accuracies beside ours, and in how many seeds FI is better, published and ours.

    Parameters
    ----------
    accuracies : DataFrame
        Of both, with the columns b and method.
    paper : DataFrame
        The published numbers of the table.
    rows : DataFrame
        What `simulated.linear` or `simulated.network` returns, with the settings.

    Returns
    -------
    DataFrame
        In the order of b, the base model first, with the data set.
    """
    cases = paper[paper["metric"] == "cases FI better"][["b", "method", "value"]].astype({"value": "Int64"})
    table = accuracies.merge(cases.rename(columns={"value": "FI better, published"}), on=["b", "method"], how="left")
    table = table.merge(better(rows), on=["b", "method"], how="left").sort_values("b", kind="stable")
    table = table.astype(dict.fromkeys(["FI better", "equal", "IV better"], "Int64") | {"b": "int64"})
    first, last = ["b", "method"], [name for name in ("note",) if name in table]
    between = [name for name in table if name not in (*first, *last)]
    return table.assign(dataset=rows["dataset"].iloc[0])[["dataset", *first, *between, *last]].reset_index(drop=True)


def one_class(rows: pd.DataFrame, method: str, b: int) -> np.ndarray:
    """Return whether all b points a method trims are of one class, one value a seed; random draws are averaged."""
    own = rows[(rows["method"] == method) & (rows["b"] == b) & (rows["metric"] == "class 1")]
    return own["value"].isin([0, b]).groupby(own["seed"]).mean().sort_index().to_numpy()


def class_counts(rows: pd.DataFrame) -> np.ndarray:
    """Return how many training points of each class the seeds have, in the order of the seeds: int (seeds, 2).

    Parameters
    ----------
    rows : DataFrame
        What `simulated.linear` or `simulated.network` returns, with the settings; the samples are drawn again.

    Raises
    ------
    ParameterError
        As `simulated.sample`.
    """
    cells = rows.drop_duplicates("seed").sort_values("seed")
    drawn = (sample(*cell) for cell in zip(cells["dataset"], cells["seed"], cells["sizes"], strict=True))
    return np.stack([np.bincount(own.train[1], minlength=2) for own in drawn])


def one_class_chance(counts: ArrayLike, b: int) -> np.ndarray:
    """Return the chance that b >= 1 points drawn at random are all of one class, sum_k C(n_k, b) / C(n, b): (seeds,).

    Parameters
    ----------
    counts : array_like of int, shape (seeds, classes)
        The numbers n_k of points of each class, which add up to n.
    b : int
        Points drawn without replacement.
    """
    classes = np.asarray(counts)
    return np.asarray(hypergeom.pmf(b, classes.sum(1, keepdims=True), classes, b).sum(1))


def trimmed_points(rows: pd.DataFrame) -> pd.DataFrame:
    """Describe the trimmed points and their effect: means over seeds and draws, a row a data set, b and method.

    Returns
    -------
    DataFrame
        dataset, b, method, one class (share of seeds in which all b are of one class), confidence (mean probability
        the base model gives to their labels), and the changes that trimming makes to the validation loss (nats) and to
        the accuracy on the test pool (points).
    """
    found = []
    for dataset, own in rows.groupby("dataset", sort=False):
        for b in np.sort(own.loc[own["b"] > 0, "b"].unique()):
            for method in METHODS:
                change = {
                    metric: float((values(own, method, b, metric) - values(own, BASE, b, metric)).mean())
                    for metric in ("validation loss", "pool accuracy")
                }
                found.append(
                    {
                        "dataset": dataset,
                        "b": int(b),
                        "method": method,
                        "one class": float(one_class(own, method, b).mean()),
                        "confidence": float(values(own, method, b, "confidence").mean()),
                        "change of validation loss": change["validation loss"],
                        "change of accuracy": 100 * change["pool accuracy"],
                    }
                )
    return pd.DataFrame(found)


def places(picture: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of a picture without the settings that none of its drawing needs."""
    return picture[["dataset", "seed", "b", "panel", "series", "x1", "x2", "label", *PICTURED]]


def boundaries(picture: pd.DataFrame) -> dict[str, tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Return the grids of a picture's decision functions, ready for contours.

    Returns
    -------
    dict
        Model to x1 of shape (r,), x2 of shape (r,) and logits of shape (r, r), x2 down and x1 across.
    """
    grid = picture[picture["panel"] == "grid"]
    tables = {model: grid.pivot(index="x2", columns="x1", values=model) for model in PICTURED}
    return {model: (t.columns.to_numpy(), t.index.to_numpy(), t.to_numpy()) for model, t in tables.items()}


def accuracies(picture: pd.DataFrame) -> dict[str, float]:
    """Return the test accuracy of each model of a picture, in per cent."""
    tested = picture[picture["panel"] == "test set"]
    return {model: 100 * float(((tested[model] > 0) == (tested["label"] == 1)).mean()) for model in PICTURED}
