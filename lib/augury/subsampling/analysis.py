"""From rows to the paper's curves and areas: pure functions of tidy rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from augury.errors import ParameterError
from augury.subsampling.policies import POLICIES

CHOICES = ["directions", "initialisation", "C", "regularised", "refit_features"]  # what variants change
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
        augmentation (in the order of the rows), score, policy, round, k, images, accuracy; from k = 0 (nothing
        augmented) to k = n (all; weighted as the policy weights). The baseline has no score and is repeated under each.
    """
    scores = [s for s in trajectories["score"].unique() if s != "none"]
    baseline = trajectories[trajectories["score"] == "none"]
    runs = pd.concat([trajectories[trajectories["score"] != "none"], *(baseline.assign(score=s) for s in scores)])
    ends = references[references["selection"].isin(["none", "all"])]
    columns = ["augmentation", "downweighted", "k", "images", "accuracy"]
    ids = runs[[*KEYS, "downweighted"]].drop_duplicates()
    whole = pd.concat([runs[[*KEYS, "downweighted", *columns[2:]]], ids.merge(ends[columns], on=columns[:2])])
    place = {a: i for i, a in enumerate(trajectories["augmentation"].unique())}
    whole = whole.sort_values([*KEYS, "k"], kind="stable", key=lambda c: c.map(place) if c.name == KEYS[0] else c)
    return whole.reset_index(drop=True)


def auc(curves: pd.DataFrame) -> pd.DataFrame:
    """Return the area under each curve: the trapezoid of accuracy over augmented points, 0 included.

    This is the paper's "AUC" (not that of a ROC): with 1,000 points it is about 1,000 times the mean accuracy. Areas of
    smaller training sets are brought to 1,000 points, so that they compare.

    Returns
    -------
    DataFrame
        augmentation, score, policy, round and auc, in points x accuracy per 1,000 training points.
    """
    rows = []
    for key, group in curves.groupby(KEYS, sort=False):
        area = np.trapezoid(group["accuracy"], group["k"]) * 1000 / group["k"].max()
        rows.append({**dict(zip(KEYS, key, strict=True)), "auc": float(area)})
    return pd.DataFrame(rows)


def inverse_is_worst(areas: pd.DataFrame, augmentation: str, score: str) -> bool:
    """Return whether the two inverse policies have the smallest mean areas of all."""
    own = areas[(areas["augmentation"] == augmentation) & (areas["score"] == score)]
    means = own.groupby("policy")["auc"].mean().sort_values()
    return bool(means.index[:2].str.contains("Inverse").all())


def best_accuracy(curves: pd.DataFrame, augmentation: str) -> float:
    """Return the best observed accuracy: the largest mean over rounds of any policy, score and number of points."""
    own = curves[curves["augmentation"] == augmentation]
    return float(own.groupby(["score", "policy", "k"])["accuracy"].mean().max())


def budgets(curves: pd.DataFrame, shares: Sequence[float]) -> pd.DataFrame:
    """Return Table 1: accuracy in per cent of random sampling and of the best policy at shares of augmented points.

    The best policy is the best *observed* mean over rounds, over all policies but the baseline and over all scores.

    Returns
    -------
    DataFrame
        One row a column of the printed table, in its order: policy ("No augmentation", "Baseline", "Best policy", "Full
        augmentation"), share, mean, std (over rounds) and which policy was the best.
    """
    n = curves["k"].max()
    percent = curves.assign(accuracy=100 * curves["accuracy"])
    plain = percent[percent["policy"] == "Baseline"].query("score == score.iloc[0]")
    rows = [("No augmentation", 0.0, plain[plain["k"] == 0]["accuracy"], "")]
    best = []
    for share in shares:
        at = percent[percent["k"] == round(share * n)]
        if at.empty:
            raise ParameterError(f"no model was fitted at {share:.0%} of the points: add {round(share * n)} to points")
        rows.append(("Baseline", share, plain[plain["k"] == round(share * n)]["accuracy"], ""))
        groups = at[at["policy"] != "Baseline"].groupby(["policy", "score"])["accuracy"]
        policy, score = groups.mean().idxmax()
        best.append(("Best policy", share, groups.get_group((policy, score)), f"{policy} by {score}"))
    rows += [*best, ("Full augmentation", 1.0, plain[plain["k"] == n]["accuracy"], "")]
    return pd.DataFrame(
        [{"policy": p, "share": s, "mean": v.mean(), "std": v.std(), "which": which} for p, s, v, which in rows]
    )


def at(curves: pd.DataFrame, policy: str, score: str, augmentation: str, k: int) -> np.ndarray:
    """Return a policy's accuracies with k augmented points, one a round: shape (rounds,)."""
    own = (curves["policy"] == policy) & (curves["score"] == score) & (curves["augmentation"] == augmentation)
    return curves[own & (curves["k"] == k)].sort_values("round")["accuracy"].to_numpy()


def level(references: pd.DataFrame, augmentation: str, policy: str) -> float:
    """Return the accuracy of a training set that no policy orders, e.g. "Full augmentation"."""
    own = (references["augmentation"] == augmentation) & (references["policy"] == policy)
    return float(references[own]["accuracy"].item())


def policy_table() -> pd.DataFrame:
    """Return the policies as Table 2 lays them out, and those of the AUC tables that it leaves out."""
    formula = {
        "baseline": "P(z_i) = 1/n",
        "random": "P(z_i) = s_i / sum_j s_j",
        "deterministic": "largest s_i first",
        "random-inverse": "P(z_i) = (1/s_i) / sum_j (1/s_j)",
        "deterministic-inverse": "smallest s_i first",
    }
    return pd.DataFrame(
        [
            {
                "policy": p.name,
                "selection": formula[p.selection],
                "update scores": "yes" if p.update else "no",
                "downweight points": "yes" if p.downweight else "no",
            }
            for p in POLICIES
        ]
    )


def long_scores(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of `sweep.score_points` with one row a point and score: score, before and after are columns."""
    parts = [
        rows[["augmentation", "point", "label"]].assign(
            score=score, before=rows[f"{score}_before"], after=rows[f"{score}_after"]
        )
        for score in ("influence", "loss")
    ]
    return pd.concat(parts, ignore_index=True)


def by_score(curves: pd.DataFrame, policy: str) -> pd.DataFrame:
    """Return the curves of a policy under each score and of the baseline (once), told apart by a column `line`."""
    own = curves[curves["policy"] == policy]
    once = curves[curves["policy"] == "Baseline"].query("score == score.iloc[0]")
    return pd.concat([once.assign(line="Baseline"), own.assign(line=f"{policy} by " + own["score"])], ignore_index=True)


def levels(references: pd.DataFrame) -> pd.DataFrame:
    """Return the accuracies that no policy orders, unweighted: augmentation, name, k and accuracy."""
    plain = references[~references["downweighted"]].rename(columns={"policy": "name"})
    return plain[["augmentation", "name", "k", "accuracy"]].reset_index(drop=True)


def sample(areas: pd.DataFrame, augmentation: str, score: str, policy: str) -> np.ndarray:
    """Return the areas of a policy's rounds, in their order: shape (rounds,)."""
    own = (areas["augmentation"] == augmentation) & (areas["score"] == score) & (areas["policy"] == policy)
    return areas[own].sort_values("round")["auc"].to_numpy()


def name_variants(rows: pd.DataFrame, variants: Mapping[str, Mapping[str, Any]]) -> pd.DataFrame:
    """Return rows with a column `variant`: the name of the variant whose choices they were computed under.

    Parameters
    ----------
    rows : DataFrame
    variants : mapping
        Name to parameters, from `plans.variants`.
    """
    names = pd.Series("", index=rows.index)
    for name, params in variants.items():
        same = np.logical_and.reduce([rows[choice] == params[choice] for choice in CHOICES])
        names[same] = name
    return rows.assign(variant=names)


def extremes(rows: pd.DataFrame, scores: Sequence[str], count: int = 10) -> pd.DataFrame:
    """Return the training points of highest and lowest score on the plain training set (Figs 5, 11-13).

    Returns
    -------
    DataFrame
        end ("highest" or "lowest"), score, rank (1 is the most extreme), point, label, value: highest by
        influence and by loss, then lowest, as in the figures.
    """
    parts = []
    for end, ascending in (("highest", False), ("lowest", True)):
        for score in sorted(scores):
            chosen = rows.sort_values(f"{score}_before", ascending=ascending, kind="stable").head(count)
            part = chosen[["point", "label"]].assign(value=chosen[f"{score}_before"], end=end, score=score)
            parts.append(part.assign(rank=range(1, len(part) + 1)))
    return pd.concat(parts, ignore_index=True)[["end", "score", "rank", "point", "label", "value"]]


def distances(ends: pd.DataFrame, x: np.ndarray) -> pd.Series:
    """Return each point's mean distance to the others of its end and score, in grey levels from 0 to 1.

    Parameters
    ----------
    ends : DataFrame
        From `extremes`.
    x : ndarray of uint8, shape (n, H, W, C)
        The training images; a distance is the root mean square over pixels.
    """
    found = pd.Series(np.nan, index=ends.index)
    for _, own in ends.groupby(["end", "score"]):
        pixels = x[own["point"]].reshape(len(own), -1) / 255
        apart = np.sqrt(((pixels[:, None] - pixels[None]) ** 2).mean(-1))
        found[own.index] = apart.sum(1) / (len(own) - 1)
    return found


def summary(curves: pd.DataFrame, areas: pd.DataFrame) -> dict[str, float]:
    """Return the accuracies of both ends and every policy's mean area, unweighted policies only, of one task."""
    plain = curves[~curves["policy"].str.contains("Downweight")]
    ends = {
        name: plain[plain["k"] == k]["accuracy"].mean()
        for name, k in zip(("with none", "with all"), (0, plain["k"].max()), strict=True)
    }
    means = areas[~areas["policy"].str.contains("Downweight")].groupby("policy", sort=False)["auc"].mean()
    return ends | {f"AUC {policy}": float(value) for policy, value in means.items()}
