"""From the rows of active learning to curves, tables and samples: pure functions of tidy rows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd
import torch
from torch import nn

from augury.active.scores import BALD, FI, IV, METHODS, RANDOM, SHAPLEY, SUBSAMPLED
from augury.active.settings import whole
from augury.models.cnn import DigitCNN

OTHERS = (IV, BALD, RANDOM)
"""The methods that the paper compares FI with; entropy and the subsampled FI are shown beside them."""

TABLE_6 = (
    ("Conv2d", "ReLU", "(32, 14, 14)"),
    ("Conv2d", "ReLU", "(64, 7, 7)"),
    ("Dropout", "-", "-"),
    ("Linear", "ReLU", "256"),
    ("Linear", "-", "num_classes"),
)
"""Layer, activation and output of the network for MNIST and EMNIST, as the paper prints them."""


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
    which : {"start", "early", "late", "end"}
        Before the first round; the first or last third of the rounds (at least one); after the last.

    Returns
    -------
    ndarray of shape (seeds,)
        In [0, 1], in the order of the seeds.
    """
    own = rows[(rows["task"] == task) & (rows["method"] == method)]
    last = own["round"].max()
    third = max(1, round(last / 3))
    first, until = {"start": (0, 0), "early": (1, third), "late": (last - third + 1, last), "end": (last, last)}[which]
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


def cases(
    rows: pd.DataFrame, which: str, method: str, others: Sequence[str]
) -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
    """Yield, for each task and other method, a name and the accuracies of both at a stage, shape (seeds,) each."""
    for task in tasks(rows):
        for other in others:
            name = f"{task}, {other}" if len(others) > 1 else task
            yield name, stage(rows, task, method, which), stage(rows, task, other, which)


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
        dataset, variant, rank correlation, overlap, seconds, numbers (to store), share of time and share of numbers
        (of the exact one's).
    """
    columns = ["rank correlation", "overlap", "seconds", "numbers"]
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


def architecture(classes: int = 10, side: int = 28) -> pd.DataFrame:
    """Return the layers of `DigitCNN` with the outputs that an image really gives, beside Table 6.

    Returns
    -------
    DataFrame
        layer, activation, published output, our output, parameters.
    """
    model = DigitCNN(classes, shape=(side, side, 1)).eval()
    shapes: list[tuple[str, tuple[int, ...], int]] = []

    def note(layer: nn.Module, _: object, out: torch.Tensor) -> None:
        size = sum(parameter.numel() for parameter in layer.parameters())
        shapes.append((type(layer).__name__, tuple(out.shape[1:]), size))

    for layer in model.children():
        layer.register_forward_hook(note)
    with torch.no_grad():
        model(torch.zeros((1, side, side, 1), dtype=torch.uint8))
    return pd.DataFrame(
        [
            {"layer": kind, "activation": activation, "published output": printed}
            | {"our output": str(out[0] if len(out) == 1 else out), "parameters": size}
            for (_, activation, printed), (kind, out, size) in zip(TABLE_6, shapes, strict=True)
        ]
    )
