"""From rows to the paper's curves and areas: pure functions of tidy rows."""

from __future__ import annotations

import numpy as np
import pandas as pd

from augury.subsampling.policies import POLICIES

KEYS = ["augmentation", "score", "policy", "round"]


def curves(trajectories: pd.DataFrame, references: pd.DataFrame) -> pd.DataFrame:
    """Complete every policy's curve by its two ends, which all policies share.

    Parameters
    ----------
    trajectories, references : DataFrame
        Rows of `sweep.trajectory` and `sweep.fixed_set` under the same parameters.

    Returns
    -------
    DataFrame
        augmentation, score, policy, round, k, images, accuracy; sorted, from k = 0 (nothing augmented) to k = n (all;
        weighted as the policy weights). The baseline, which has no score, is repeated under each.
    """
    scores = [s for s in trajectories["score"].unique() if s != "none"]
    baseline = trajectories[trajectories["score"] == "none"]
    runs = pd.concat([trajectories[trajectories["score"] != "none"], *(baseline.assign(score=s) for s in scores)])
    ends = references[references["selection"].isin(["none", "all"])]
    columns = ["augmentation", "downweighted", "k", "images", "accuracy"]
    ids = runs[[*KEYS, "downweighted"]].drop_duplicates()
    whole = pd.concat([runs[[*KEYS, "downweighted", *columns[2:]]], ids.merge(ends[columns], on=columns[:2])])
    return whole.sort_values([*KEYS, "k"], kind="stable").reset_index(drop=True)


def auc(curves: pd.DataFrame) -> pd.DataFrame:
    """Return the area under each curve: the trapezoid of accuracy over augmented points, 0 included.

    This is the paper's "AUC" (not that of a ROC): with 1,000 points it is about 1,000 times the mean accuracy.

    Returns
    -------
    DataFrame
        augmentation, score, policy, round and auc, in points x accuracy.
    """
    rows = [
        {**dict(zip(KEYS, key, strict=True)), "auc": float(np.trapezoid(group["accuracy"], group["k"]))}
        for key, group in curves.groupby(KEYS, sort=False)
    ]
    return pd.DataFrame(rows)


def auc_table(areas: pd.DataFrame, augmentation: str, score: str) -> pd.DataFrame:
    """Return one AUC table as the paper prints it: policy, mean, std (over rounds; none for one), best first."""
    part = areas[(areas["augmentation"] == augmentation) & (areas["score"] == score)]
    table = part.groupby("policy")["auc"].agg(["mean", "std", "size"]).rename(columns={"size": "rounds"})
    order = [p.name for p in POLICIES if p.name in table.index]
    return table.loc[order].sort_values("mean", ascending=False, kind="stable").reset_index()


def at_share(curves: pd.DataFrame, share: float) -> pd.DataFrame:
    """Return the rows of the curves at a share of augmented points (Table 1's 5, 10 and 25 %)."""
    n = curves["k"].max()
    return curves[curves["k"] == round(share * n)]
