"""From the rows of the trimming on real data to curves, effects and paired samples: pure functions of tidy rows."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd

from augury.trimming.selection import BASE

KEYS = ["dataset", "table", "learner", "data"]


def joined(descent: pd.DataFrame, newton: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of both ways of fitting: a column learner (descent, optimum), a column data (clean, noisy)."""
    rows = pd.concat([descent.assign(learner="descent"), newton.assign(learner="optimum")])
    return rows.assign(data=np.where(rows["noise"] > 0, "noisy", "clean")).reset_index(drop=True)


def cases(rows: pd.DataFrame) -> Iterator[tuple[str, pd.DataFrame]]:
    """Yield the rows of each table and learner, with a name: "bank, optimum"."""
    for (table, learner), own in rows.groupby(["table", "learner"], sort=False):
        yield f"{table}, {learner}", own


def by_budget(rows: pd.DataFrame, method: str, metric: str = "test accuracy") -> np.ndarray:
    """Return a metric of a method, the mean over draws: shape (seeds, budgets), both ascending; one budget for Base.

    Parameters
    ----------
    rows : DataFrame
        Of one table, one learner, and clean or noisy data.
    method, metric : str
        See `real.experiment`.
    """
    own = rows[(rows["method"] == method) & (rows["metric"] == metric)]
    return own.groupby(["seed", "b"])["value"].mean().unstack("b").to_numpy()


def curves(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the test accuracy in per cent, the mean over draws, where each method starts from the base model (b = 0).

    Returns
    -------
    DataFrame
        dataset, table, learner, data, method, b, seed, accuracy, and level: the accuracy less what the base model of
        its seed has above all seeds' base models. Its mean over seeds is that of the accuracy, and its spread that of
        the change that trimming makes. In the order of the rows.
    """
    own = rows[rows["metric"] == "test accuracy"]
    means = own.groupby([*KEYS, "method", "b", "seed"], sort=False, as_index=False)["value"].mean()
    means = means.rename(columns={"value": "accuracy"}).assign(accuracy=100 * means["value"])
    base, rest = means[means["method"] == BASE].drop(columns="method"), means[means["method"] != BASE]
    starts = rest[[*KEYS, "method"]].drop_duplicates().merge(base, on=KEYS)
    found = pd.concat([starts, rest], ignore_index=True)
    offset = base.set_index([*KEYS, "seed"])["accuracy"]
    offset = (offset - offset.groupby(KEYS).transform("mean")).rename("offset").reset_index()
    found = found.merge(offset, on=[*KEYS, "seed"], how="left")
    return found.assign(level=found["accuracy"] - found["offset"]).drop(columns="offset")


def effects(rows: pd.DataFrame) -> pd.DataFrame:
    """Describe what each method does: means over seeds and draws.

    Returns
    -------
    DataFrame
        dataset, table, learner, data, method; the base model's accuracy (%) and test loss (nats); the change of
        accuracy in points at the smallest and the largest budget and on average over all of them, with the standard
        deviation over seeds of the latter; and of the points trimmed at the largest budget the shares of class 1 and of
        noisy ones, and their confidence (the mean probability that the base model gives to their labels).
    """
    found = []
    for key, own in rows.groupby(KEYS, sort=False):
        base, loss = by_budget(own, BASE), float(by_budget(own, BASE, "test loss").mean())
        for method in own.loc[own["method"] != BASE, "method"].unique():
            change = 100 * (by_budget(own, method) - base)
            row = {"method": method, "base": 100 * float(base.mean()), "base loss": loss}
            row |= {"least b": float(change[:, 0].mean()), "largest b": float(change[:, -1].mean())}
            row |= {"all b": float(change.mean()), "all b, std": float(change.mean(1).std(ddof=1))}
            largest = own[(own["method"] == method) & (own["b"] == own["b"].max())]
            shares = largest.groupby("metric")["value"].mean()
            row |= {name: float(shares[name]) / own["b"].max() for name in ("class 1", "noisy") if name in shares}
            found.append(dict(zip(KEYS, key, strict=True)) | row | {"confidence": float(shares["confidence"])})
    return pd.DataFrame(found).round(6)  # of equal accuracies no rounding error must be left


def compared(rows: pd.DataFrame, method: str, rival: str) -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
    """Yield, for each of the `cases`, its name and the test accuracies of both, means over budgets: (seeds,) each.

    Parameters
    ----------
    rows : DataFrame
        Of clean or of noisy data.
    method, rival : str
        The rival may be "Base", which has one budget, 0.
    """
    for name, own in cases(rows):
        yield name, by_budget(own, method).mean(1), by_budget(own, rival).mean(1)
