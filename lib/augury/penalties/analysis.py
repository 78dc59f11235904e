"""From the networks' rows to curves and samples: what the figures draw and the claims test."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd

FIGURES = {
    "heloc": ("Figure 1", "Figure 4"),
    "adult": ("Figure 2", "Figure 5"),
    "telco": ("Figure 3", "Figure 6"),
    "diabetes": ("Figure 1", "Figure 4"),
    "breast-cancer": ("Figure 2", "Figure 5"),
}
"""The figures of penalties and of performance for each data set; the embedded sets stand in for the first two."""

PERFORMANCE = ("MSE", "accuracy")


def depth(hidden_layers: int) -> str:
    """Return how figures and claims name a depth."""
    return f"{hidden_layers} hidden"


def penalties(rows: pd.DataFrame, dataset: str) -> pd.DataFrame:
    """Return a data set's rows of penalties; `panel` names the penalty with its class, `depth` the hidden layers."""
    shown = rows[(rows["dataset"] == dataset) & rows["measure"].isin(["ML2P", "CCP"])]
    label = shown["measure"] + (", " + shown["class"]).where(shown["class"] != "", "")
    order = {name: i for i, name in enumerate(["ML2P", "CCP"])}
    shown = shown.assign(panel=label, depth=shown["hidden_layers"].map(depth), place=shown["measure"].map(order))
    return shown.sort_values(["place", "class", "hidden_layers"], kind="stable").drop(columns="place")


def performance(rows: pd.DataFrame, dataset: str) -> pd.DataFrame:
    """Return the performance rows of a data set, `depth` naming the hidden layers."""
    shown = rows[(rows["dataset"] == dataset) & rows["measure"].isin(PERFORMANCE)]
    return shown.assign(depth=shown["hidden_layers"].map(depth))


def cases(rows: pd.DataFrame, measure: str, augmentation: str) -> Iterator[tuple[str, np.ndarray]]:
    """Yield the name of each data set, class and depth with its values, of shape (seeds, lambdas) in ascending order.

    `measure` "error" is the MSE or 1 - accuracy, whichever a data set has.
    """
    kinds = PERFORMANCE if measure == "error" else (measure,)
    chosen = rows[rows["measure"].isin(kinds) & (rows["augmentation"] == augmentation)]
    for (dataset, kind, label, layers), group in chosen.groupby(
        ["dataset", "measure", "class", "hidden_layers"], sort=False
    ):
        values = group.pivot(index="seed", columns="lam", values="value").to_numpy()
        values = 1 - values if (measure, kind) == ("error", "accuracy") else values
        yield ", ".join([str(dataset), *([str(label)] if label else []), depth(layers)]), values


def early_gains(rows: pd.DataFrame, augmentation: str, until: float = 0.3) -> Iterator[tuple[str, float]]:
    """Yield each case's name and by how much the best mean with 0 < lambda <= `until` beats that without ablation."""
    lambdas = np.sort(rows["lam"].unique())
    for name, errors in cases(rows, "error", augmentation):
        means = errors.mean(0)
        yield name, float(means[0] - means[(lambdas > 0) & (lambdas <= until)].min())


def summary(rows: pd.DataFrame) -> pd.DataFrame:
    """Return mean epochs, completeness gap and performance at the least and the largest lambda, a row a depth."""
    ends = rows[rows["lam"].isin([rows["lam"].min(), rows["lam"].max()])]
    ends = ends[ends["measure"].isin([*PERFORMANCE, "gap", "epochs"])]
    table = ends.pivot_table(
        index=["dataset", "hidden_layers", "augmentation", "lam"], columns="measure", values="value", sort=False
    )
    return table.reset_index().rename_axis(columns=None)
