"""The settings of Tables 4 and 5 beside those of a run, and what a run does differently from the paper."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from augury import tabular
from augury.active.pictures import VARIANTS
from augury.active.scores import IV, SHAPLEY
from augury.data import registry
from augury.tabular import SOURCES

SIZES = ("rounds", "initial", "pool", "acquisition")  # a number a task
ATTRIBUTES = ("classes", "rounds", "initial pool", "unlabelled pool", "acquisition")
COLOURED = ("cifar-10", "cifar-100", "svhn")  # images with three channels, whole or in part


def source(task: str) -> str:
    """Return the data sets behind a task as a cell names them: "mnist" for "mnist-redundant"; see `plan.sources`."""
    name, _, variant = task.rpartition("-")
    return name if variant in VARIANTS else tabular.settings(task)["dataset"] if task in SOURCES else task


def whole(task: str) -> str:
    """Return the name that a task has among published numbers, where a part of a data set stands for all of it."""
    return (registry.entry(task).part_of if task in registry.names() else "") or task


def coloured(task: str) -> bool:
    """Return whether the images of a task have colours, so that a ConvMixer takes them."""
    return whole(source(task)) in COLOURED


def remark(task: str, method: str) -> str:
    """Return what a comparison with a method on a task must mention; empty where there is nothing."""
    if source(task) == task or method not in (IV, SHAPLEY):
        return ""
    return f"{method} validates on points with the training pool's class shares, which are not the test set's"


def compared(params: Mapping[str, Any], printed: pd.DataFrame) -> pd.DataFrame:
    """Return Table 4 or 5 beside the settings of a run.

    Parameters
    ----------
    params : mapping
        Of the notebook.
    printed : DataFrame
        The published numbers: dataset (a task's name), metric (the attribute) and value.

    Returns
    -------
    DataFrame
        dataset, task, attribute, published (missing where the paper has no such task), ours.
    """
    rows = []
    published = printed.set_index(["dataset", "metric"])["value"].to_dict()
    for i, task in enumerate(params["datasets"]):
        dataset = source(task)
        classes = 2 if task in SOURCES else 3 if task.endswith("redundant") else len(registry.entry(dataset).classes)
        ours = (classes, *(params[name][i] for name in SIZES))
        about = {"dataset": dataset, "task": task}
        rows += [
            about | {"attribute": name, "published": published.get((whole(task), name)), "ours": value}
            for name, value in zip(ATTRIBUTES, ours, strict=True)
        ]
    return pd.DataFrame(rows).astype({"published": "Int64"})


def table_deviations(params: Mapping[str, Any], printed: pd.DataFrame, runs: int) -> list[str]:
    """Return what the notebook on tables does differently from the paper, or where that leaves a choice.

    Parameters
    ----------
    params, printed
        See `compared`.
    runs : int
        That the paper averages over.
    """
    found = []
    if embedded := [task for task in params["datasets"] if task not in set(printed["dataset"])]:
        found.append(f"{' and '.join(embedded)} stand in for the paper's data")
    if "toxicity" in params["datasets"]:
        found.append("toxicity: TF-IDF and a truncated SVD to 384 columns instead of MiniLM's; 21,967 comments")
    if "celeba-attributes" in params["datasets"]:
        found.append("CelebA: 104,163 random rows, for the paper's rows are not known")
    decays = ", ".join(f"{d} {decay:g}" for d, decay in zip(params["datasets"], params["weight_decay"], strict=True))
    return [
        *found,
        *_cuts(params, printed, runs),
        *_choices(params),
        "logistic regression is fitted to its exact optimum; its weight decay is not given here, so it is that of "
        f"Table 3 for the data sets in it ({decays})",
        f"BALD: dropout on the inputs of the regression, rate {params['rate']:g}, {params['passes']} masks",
    ]


def image_deviations(params: Mapping[str, Any], printed: pd.DataFrame, runs: int) -> list[str]:
    """Return what the notebook on images does differently from the paper, or where that leaves a choice.

    Parameters
    ----------
    params, printed, runs
        See `table_deviations`.
    """
    tasks = params["datasets"]
    names = [source(task) for task in tasks]
    found = ["scikit-learn's digits, 8 x 8 pixels, stand in for MNIST"] if "digits" in names else []
    if "emnist-letters" in map(whole, names):
        found.append("EMNIST letters: 26 classes, where the paper prints 37")
    if "emnist-letters-10k" in names:
        found.append("EMNIST letters: 10,000 of the images, a fifth of them held out as the test set")
    if mixed := [task for task in tasks if coloured(task)]:
        dim, depth, kernel, patch = params["mixer"]
        found.append(
            f"{' and '.join(mixed)}: a ConvMixer of width {dim}, depth {depth}, kernel {kernel} and patch {patch}, "
            "dropout before its last layer for BALD; the paper names the architecture without its sizes"
        )
    if names != list(tasks):
        found.append(
            "unbalanced and redundant digits have MNIST's rounds and pools; the first are tested on the data set's own "
            "test set, the second on 1 and 7 alone, where a prediction of neither is wrong"
        )
        found.append(
            "the validation points of IV and Shapley are drawn from the training pool: digits 0 to 4 are an eleventh "
            "of the unbalanced one and half of its test set, neither is about four fifths of the redundant one and "
            "absent from its test set"
        )
    if params["shapley"]:
        found.append(
            "Shapley (not specified in the paper): KNN-Shapley of the candidates with predicted labels, by the last "
            "layer's features, in the game of the validation points"
        )
    chosen = ("epochs", "batch_size", "lr", "weight_decay", "dropout")
    return [
        *found,
        *_cuts(params, printed, runs),
        *_choices(params),
        "not in the text and chosen here: Adam (epsilon 1e-7) with "
        + ", ".join(f"{name} {params[name]:g}" for name in chosen),
        "FI and IV see the last layer alone, with its exact Hessian and the weight decay as penalty; the network stops "
        "short of the optimum that the derivation assumes",
        f"BALD: {params['passes']} dropout masks",
        "times cover the scoring of one round on one core, without training; the paper does not say what its own do",
    ]


def _cuts(params: Mapping[str, Any], printed: pd.DataFrame, runs: int) -> list[str]:
    found = [f"{params['seeds']} runs instead of {runs}"] if params["seeds"] < runs else []
    table = compared(params, printed).dropna()
    for task, own in table[table["attribute"] != "classes"].groupby("task", sort=False):
        if (own["published"] != own["ours"]).any():
            ours, theirs = (", ".join(map(str, own[name])) for name in ("ours", "published"))
            found.append(f"{task}: rounds, initial pool, candidates and acquisitions {ours} instead of {theirs}")
    return found


def _choices(params: Mapping[str, Any]) -> list[str]:
    pool = (
        "candidates are drawn anew from all unlabelled points in every round: the paper's rounds times acquisitions "
        "exceed its pools"
    )
    if params["candidates"] == "fixed":
        pool = "candidates are what is left of one pool; a run ends when that is used up"
    return [
        pool,
        f"IV has {params['validation']} labelled validation points that the other methods lack; its candidates take "
        "predicted labels, as those of FI do",
        f"the forest of the subsampled FI ({params['share']:.0%} of the candidates) sees what the last layer sees, "
        "with scikit-learn's settings",
        "entropy of the prediction is added as a method",
    ]
