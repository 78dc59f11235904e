"""From the rows of active learning to curves, tables and samples: pure functions of tidy rows."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch
from scipy import stats
from torch import nn

from augury.active.scores import BALD, FI, IV, METHODS, RANDOM, SHAPLEY, SUBSAMPLED
from augury.active.settings import whole
from augury.models.cnn import DigitCNN

ROUNDING = 1e-12  # of accuracies

OTHERS = (IV, BALD, RANDOM)
"""The methods that the paper compares FI with; entropy and the subsampled FI are shown beside them."""


class Case(NamedTuple):
    """Two methods on a task: the accuracies of one and of the other at a stage, of shape (seeds,) each."""

    name: str
    task: str
    other: str
    ours: np.ndarray
    theirs: np.ndarray


def tasks(rows: pd.DataFrame) -> list[str]:
    """Return the tasks of the rows, in their order."""
    return list(dict.fromkeys(rows["task"]))


def curves(rows: pd.DataFrame, methods: Sequence[str] | None = None) -> pd.DataFrame:
    """Return what the figures draw: a row a task, method, seed and number of labelled points, accuracy in per cent.

    Parameters
    ----------
    rows : DataFrame
        What an experiment returns, with the settings; the column `task` names what is learnt.
    methods : sequence of str, optional
        By default all but Shapley.
    """
    kept = rows["method"].isin([m for m in METHODS if m != SHAPLEY] if methods is None else list(methods))
    shown = rows.loc[kept, ["dataset", "task", "method", "seed", "labelled", "accuracy"]].reset_index(drop=True)
    return shown.assign(accuracy=100 * shown["accuracy"])


def stage(rows: pd.DataFrame, task: str, method: str, which: str) -> np.ndarray:
    """Return the mean accuracy over a stage of the rounds, the area under that part of the curve over its width.

    Parameters
    ----------
    rows : DataFrame
    task, method : str
    which : {"start", "early", "late"}
        Before the first round; the first or the last third of the rounds (at least one).

    Returns
    -------
    ndarray of shape (seeds,)
        In [0, 1], in the order of the seeds.
    """
    own = rows[(rows["task"] == task) & (rows["method"] == method)]
    last = own["round"].max()
    third = max(1, round(last / 3))
    first, until = {"start": (0, 0), "early": (1, third), "late": (last - third + 1, last)}[which]
    kept = own[own["round"].between(first, until)]
    return kept.groupby("seed")["accuracy"].mean().sort_index().to_numpy()


def stages(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the accuracy in per cent at each stage, a row a task and method: mean over seeds and, late, deviation."""
    found = []
    for (dataset, task, method), own in rows.groupby(["dataset", "task", "method"], sort=False):
        means = {f"{name} (%)": 100 * stage(own, task, method, name).mean() for name in ("start", "early", "late")}
        late = 100 * stage(own, task, method, "late")
        std = float(late.std(ddof=1)) if len(late) > 1 else np.nan
        found.append({"dataset": dataset, "task": task, "method": method} | means | {"std of late": std})
    return pd.DataFrame(found)


def cases(rows: pd.DataFrame, which: str, method: str, others: Sequence[str]) -> Iterator[Case]:
    """Yield a method beside each other one on each task, at a stage."""
    for task in tasks(rows):
        for other in others:
            name = f"{task}, {other}" if len(others) > 1 else task
            yield Case(name, task, other, stage(rows, task, method, which), stage(rows, task, other, which))


def margin(fi: np.ndarray, chance: np.ndarray, most: float = 0.01) -> float:
    """Return up to which difference in accuracy two methods count as alike: half of FI's mean gain over random choice.

    A rule for all data sets, since a fixed number of points can exceed all that choosing the points gains. Where FI
    gains nothing the margin is not positive, and nothing can be said.

    Parameters
    ----------
    fi, chance : ndarray of shape (seeds,)
    most : float
        That the margin never exceeds.
    """
    half = float(np.mean(fi - chance)) / 2
    return min(most, half) if abs(half) > ROUNDING else 0.0


def reach(runs: int, parts: int, alpha: float = 0.05) -> str:
    """Return in words how large a mean must be, in its standard deviations, for a part of a claim to hold.

    By a one-sided paired t-test: t_(1 - a) (runs - 1) / sqrt(runs), with a = alpha if all other parts hold, and
    a = alpha / parts if no other does (Holm).
    """
    last, alone = (stats.t.isf(alpha / count, runs - 1) / np.sqrt(runs) for count in (1, parts))
    text = f"with {runs} runs a part holds from a mean of {last:.1f} standard deviations on"
    return text + (f", alone of {parts} from {alone:.1f}" if parts > 1 else "")


def gains(rows: pd.DataFrame, task: str, which: str) -> np.ndarray:
    """Return by how much FI is above the mean of the paper's other methods at a stage: shape (seeds,)."""
    return stage(rows, task, FI, which) - np.mean([stage(rows, task, other, which) for other in OTHERS], axis=0)


def seconds(rows: pd.DataFrame, task: str, method: str) -> np.ndarray:
    """Return the seconds of scoring over all rounds: shape (seeds,)."""
    own = rows[(rows["task"] == task) & (rows["method"] == method)]
    return own.groupby("seed")["seconds"].sum().sort_index().to_numpy()


def times(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the mean seconds of scoring a round, one row a data set, method and seed; variants are left out.

    A part of a data set has the name of all of it, as the published times have it.
    """
    scored = rows[rows["seconds"].notna() & (rows["task"] == rows["dataset"])]
    means = scored.groupby(["dataset", "method", "seed"], sort=False)["seconds"].mean().reset_index(name="value")
    return means.assign(dataset=means["dataset"].map(whole))


def in_short(times: pd.DataFrame, column: str) -> str:
    """Return "FI 19 s, IV 13 s" of the first data set that has published times and ours; empty where none has.

    Parameters
    ----------
    times : DataFrame
        dataset, method, published and ours.
    column : {"published", "ours"}
    """
    both = times.dropna(subset=["published", "ours"])
    own = both[both["dataset"] == both["dataset"].iloc[0]] if len(both) else both
    return ", ".join(f"{method} {value:.3g} s" for method, value in zip(own["method"], own[column], strict=True))


def largest_ratio(printed: pd.DataFrame) -> float:
    """Return the largest published time of FI over that of another method on the same data set."""
    table = printed.pivot(index="dataset", columns="method", values="value")
    return float(table.drop(columns=FI).rdiv(table[FI], axis=0).max().max())


def approximation(rows: pd.DataFrame) -> pd.DataFrame:
    """Compare the subsampled FI with the exact one: a row a task, means over seeds.

    Returns
    -------
    DataFrame
        dataset, task, share of time (subsampled over exact), rank correlation (mean over rounds), accuracy lost late
        (points).
    """
    found = []
    for (dataset, task), own in rows.groupby(["dataset", "task"], sort=False):
        ratio = seconds(own, task, SUBSAMPLED) / seconds(own, task, FI)
        lost = 100 * (stage(own, task, FI, "late") - stage(own, task, SUBSAMPLED, "late"))
        agreed = float(agreement(own, task).mean())
        about = {"share of time": float(ratio.mean()), "rank correlation": agreed}
        found.append({"dataset": dataset, "task": task} | about | {"accuracy lost late": float(lost.mean())})
    return pd.DataFrame(found)


def variants(rows: pd.DataFrame) -> pd.DataFrame:
    """Return what the approximations cost and keep: a row a variant, means over seeds, the exact one first.

    Parameters
    ----------
    rows : DataFrame
        What `approximations.approximations` returns, with the settings.

    Returns
    -------
    DataFrame
        dataset, variant, rank correlation, overlap, accuracy (%) after the round, seconds, numbers (to store), share of
        seconds and share of numbers (of the exact one's).
    """
    columns = ["rank correlation", "overlap", "accuracy (%)", "seconds", "numbers"]
    rows = rows.assign(**{"accuracy (%)": 100 * rows["accuracy"]})
    found = rows.groupby(["dataset", "variant"], sort=False)[columns].mean().reset_index()
    exact = found.iloc[0]
    return found.assign(**{f"share of {name}": found[name] / exact[name] for name in ("seconds", "numbers")})


def of_variant(rows: pd.DataFrame, variant: str, column: str) -> np.ndarray:
    """Return a column of a variant in the order of the seeds: shape (seeds,)."""
    own = rows[rows["variant"] == variant]
    return own.sort_values("seed")[column].to_numpy()


def agreement(rows: pd.DataFrame, task: str) -> np.ndarray:
    """Return the mean rank correlation of exact and subsampled FI over the rounds: shape (seeds,)."""
    own = rows[(rows["task"] == task) & (rows["method"] == FI)]
    return own.groupby("seed")["agreement"].mean().sort_index().to_numpy()


def confidence(rows: pd.DataFrame, task: str, method: str) -> np.ndarray:
    """Return the mean largest probability of the points labelled in the first round: shape (seeds,)."""
    own = rows[(rows["task"] == task) & (rows["method"] == method) & (rows["round"] == 1)]
    return own.sort_values("seed")["confidence"].to_numpy()


def pictures(rows: pd.DataFrame) -> list[tuple[np.ndarray, str, pd.Series]]:
    """Return what Figure 5 draws, of `images.first_round`.

    Returns
    -------
    list of tuple
        The highest FI first: the image, uint8 of shape (H, W, C); its label; its probabilities by class.
    """
    found = []
    for _, own in rows.groupby("place"):
        first = own.iloc[0]
        shape = tuple(int(first[side]) for side in ("height", "width", "channels"))
        image = np.frombuffer(bytes.fromhex(first["pixels"]), np.uint8).reshape(shape)
        found.append((image, str(first["label"]), own.set_index("class")["probability"]))
    return found


def architecture(first: pd.DataFrame, printed: pd.DataFrame) -> pd.DataFrame:
    """Return the layers of `DigitCNN` with the outputs that a grey image really gives, beside Table 6.

    Parameters
    ----------
    first : DataFrame
        What `images.first_round` returns, with the settings: the sides of an image and the classes are read there.
    printed : DataFrame
        The published numbers: method (the layer), value (the sides of its output, one a row) and note (what it is).

    Returns
    -------
    DataFrame
        dataset, layer, published, published output, our output, parameters.
    """
    shape = (int(first["height"].iloc[0]), int(first["width"].iloc[0]), 1)
    model = DigitCNN(first["class"].nunique(), shape=shape).eval()
    shapes: dict[str, tuple[tuple[int, ...], int]] = {}

    def keep(name: str, layer: nn.Module, out: torch.Tensor) -> None:
        shapes[name] = (tuple(out.shape[1:]), sum(parameter.numel() for parameter in layer.parameters()))

    for name, layer in model.named_children():
        layer.register_forward_hook(lambda layer, _, out, name=name: keep(name, layer, out))
    with torch.no_grad():
        model(torch.zeros((1, *shape), dtype=torch.uint8))
    layers = printed.groupby("method", sort=False)
    notes, sizes = layers["note"].first(), layers["value"].agg(lambda sides: _sides(sides.dropna()))
    rows = [
        {"dataset": first["dataset"].iloc[0], "layer": name, "published": notes[name], "published output": sizes[name]}
        | {"our output": _sides(out), "parameters": size}
        for name, (out, size) in shapes.items()
    ]
    return pd.DataFrame(rows)


def _sides(sides: Iterable[float]) -> str:
    return " x ".join(f"{side:.0f}" for side in sides)
