"""From rows to what the notebooks draw and judge."""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd

OUTCOMES = {
    "one_class": "share of larger class",
    "outliers_trimmed": "share of outliers",
    "loss": "test loss (nats)",
}


def outcomes(rows: pd.DataFrame) -> pd.DataFrame:
    """Return what trimming does, one value a row: case, budget, replicate, method, outcome, value.

    Parameters
    ----------
    rows : DataFrame
        What `counterexample.trimming` returns, with the settings.
    """
    share = rows["class_1"]
    wide = rows.assign(one_class=share.where(share >= 0.5, 1 - share))
    keys = ["case", "budget", "replicate", "method"]
    long = wide.melt(keys, list(OUTCOMES), var_name="outcome")
    return long.assign(outcome=long["outcome"].map(OUTCOMES))


def pairs(rows: pd.DataFrame) -> Iterator[tuple[str, pd.DataFrame, pd.DataFrame]]:
    """Yield the name of each case and budget with the rows of IV and of FI, replicate by replicate."""
    for (case, budget), group in rows.groupby(["case", "budget"], sort=False):
        iv, fi = (group[group["method"] == method].sort_values("replicate") for method in ("IV", "FI"))
        yield f"{case}, b = {budget}", iv, fi


def one_class(rows: pd.DataFrame) -> int:
    """Return in how many replicates all trimmed points are of one class."""
    return int(rows["class_1"].isin([0.0, 1.0]).sum())


def shape(row: pd.Series) -> str:
    """Return the name of a synthetic problem's size and of what that makes of the metric."""
    rank = "G positive definite" if row["full_rank"] else f"rank of G {row['classes'] - 1}"
    return f"{row['classes']} classes, {row['features']} features: {rank}"


def invariant(rows: pd.DataFrame, tolerance: float) -> pd.DataFrame:
    """Return whether FI changes by no more than `tolerance` (relative), one check a shape and kind of map.

    Returns
    -------
    DataFrame
        part, holds, note.
    """
    fi = rows[rows["measure"] == "FI"]
    largest = fi.groupby(["shape", "kind"], sort=False)["change"].max().reset_index()
    return pd.DataFrame(
        {
            "part": largest["shape"] + ", " + largest["kind"],
            "holds": largest["change"] <= tolerance,
            "note": [f"changes by at most {v:.3g}, tolerance {tolerance:g}" for v in largest["change"]],
        }
    )


def varying(rows: pd.DataFrame, least: float) -> pd.DataFrame:
    """Return whether the largest stretch changes each peer measure by more than `least`, as `invariant` does."""
    peers = rows[(rows["measure"] != "FI") & (rows["stretch"] == rows["stretch"].max()) & (rows["stretch"] > 1)]
    smallest = peers.groupby(["shape", "measure"], sort=False)["change"].min().reset_index()
    return pd.DataFrame(
        {
            "part": smallest["measure"] + ", " + smallest["shape"],
            "holds": smallest["change"] > least,
            "note": [f"changes by at least {v:.3g}, stated more than {least:g}" for v in smallest["change"]],
        }
    )
