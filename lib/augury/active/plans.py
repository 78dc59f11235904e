"""The cells of both notebooks on active learning, as functions of their parameters, and the paper's settings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from augury.active import images, tables
from augury.active.pictures import VARIANTS
from augury.active.rounds import CANDIDATES
from augury.active.scores import METHODS, SHAPLEY
from augury.data import registry
from augury.plan import Plan, require

SIZES = ("rounds", "initial", "pool", "acquisition")  # a number a task
PAPER = {
    "adult": (12, 300, 5000, 500),
    "celeba-attributes": (11, 300, 3000, 150),
    "toxicity-jigsaw-wiki": (8, 180, 5000, 500),
    "mnist": (14, 60, 420, 30),
    "emnist-letters-10k": (10, 600, 2000, 100),
    "cifar-10": (9, 6000, 10000, 2000),
}
"""Tables 4 and 5; the variants of MNIST are taken to share its sizes."""

TABULAR = ("adult", "celeba-attributes", "toxicity", "breast-cancer", "digits-3-8")
SOURCES = {"toxicity": "toxicity-jigsaw-wiki", "digits-3-8": "digits"}
"""The registered data set behind a table, where it has another name."""

RUNS = 3  # of the paper


def _methods(shapley: bool) -> list[str]:
    return [method for method in METHODS if shapley or method != SHAPLEY]


def _source(task: str) -> tuple[str, str]:
    """Return the data set and the variant of an image task: "mnist-redundant" gives mnist and redundant."""
    name, _, variant = task.rpartition("-")
    return (name, variant) if variant and variant in VARIANTS else (task, "")


def _common_rules(params: Mapping[str, Any], names: Sequence[str]) -> dict[str, tuple[bool, str]]:
    tasks = params["datasets"]
    rules = {"datasets": (bool(tasks) and len(set(tasks)) == len(tasks), "different data sets, at least one")}
    for name in names:
        values = params[name]
        rules[name] = (len(values) == len(tasks) and min(values) > 0, "a positive number for each of the data sets")
    pairs = zip(params["pool"], params["acquisition"], strict=True)
    rules["acquisition"] = (
        rules["acquisition"][0] and all(pool >= count for pool, count in pairs),
        "a number for each of the data sets, from 1 to its pool",
    )
    rules["candidates"] = (params["candidates"] in CANDIDATES, f"one of {', '.join(CANDIDATES)}")
    rules["share"] = (0 < params["share"] <= 1, "in (0, 1]")
    rules["seeds"] = (params["seeds"] >= 2, "at least 2")
    rules |= {name: (params[name] >= 1, "at least 1") for name in ("validation", "passes")}
    return rules


def check_tables(params: Mapping[str, Any]) -> None:
    """Check the parameters of the notebook on tables before anything is computed.

    Raises
    ------
    ParameterError
        If one is out of range; the message names it, its value and its range.
    """
    known = set(params["datasets"]) <= set(TABULAR)
    rules = {"datasets": (known, f"different ones of {', '.join(TABULAR)}"), "rate": (0 <= params["rate"] < 1, "in [0, 1)")}
    require(params, {"datasets": rules["datasets"]})
    require(params, rules | _common_rules(params, (*SIZES, "weight_decay")))


def check_images(params: Mapping[str, Any]) -> None:
    """Check the parameters of the notebook on images before anything is computed.

    Raises
    ------
    ParameterError
        If one is out of range; the message names it, its value and its range.
    """
    datasets = params["datasets"]
    known = [name for name in registry.names() if registry.entry(name).kind == "images"]
    rules = {
        "datasets": (
            all(_source(task)[0] in known for task in datasets),
            f"different ones of {', '.join(known)}, digits and mnist also with -unbalanced or -redundant",
        ),
        "shapley": (set(params["shapley"]) <= set(datasets), "among the data sets"),
        "dropout": (0 < params["dropout"] < 1, "in (0, 1), for BALD draws its masks from it"),
        "lr": (params["lr"] > 0, "positive"),
        "weight_decay": (params["weight_decay"] > 0, "positive"),
        "mixer": (len(params["mixer"]) == 4 and min(params["mixer"]) >= 1, "width, depth, kernel and patch, from 1"),
        "pictured": (params["pictured"] in datasets, "one of the data sets"),
    }
    rules |= {name: (params[name] >= 1, "at least 1") for name in ("epochs", "batch_size", "shown")}
    require(params, rules | _common_rules(params, (*SIZES, "test_points")))


def table_deviations(params: Mapping[str, Any]) -> list[str]:
    """Return what the notebook on tables does differently from the paper, or where that leaves a choice."""
    found = []
    if embedded := sorted({"breast-cancer", "digits-3-8"} & set(params["datasets"])):
        found.append(f"scikit-learn's {' and '.join(embedded)} stand in for the paper's data")
    decays = ", ".join(f"{d} {decay:g}" for d, decay in zip(params["datasets"], params["weight_decay"], strict=True))
    return [
        *found,
        *_cuts(params),
        *_choices(params),
        "logistic regression is fitted to its exact optimum; the weight decay is not given here, so it is that of "
        f"Table 3 where the data set is in it ({decays})",
        f"BALD: dropout on the inputs of the regression, rate {params['rate']:g}, {params['passes']} masks",
    ]


def image_deviations(params: Mapping[str, Any]) -> list[str]:
    """Return what the notebook on images does differently from the paper, or where that leaves a choice."""
    names = [_source(task)[0] for task in params["datasets"]]
    found = ["scikit-learn's digits (8 x 8) stand in for MNIST"] if "digits" in names else []
    if "emnist-letters-10k" in names:
        found.append("EMNIST letters: 10,000 images of the 26 letters, a fifth of them the test set; the paper has 37 classes")
    if "cifar-10" in names:
        dim, depth, kernel, patch = params["mixer"]
        found.append(
            f"CIFAR-10: a ConvMixer of width {dim}, depth {depth}, kernel {kernel} and patch {patch} (the paper does not "
            "say which; its source has 256, 8, 5 and 2), with dropout before the last layer for BALD"
        )
    if any(_source(task)[1] for task in params["datasets"]):
        found += [
            "unbalanced and redundant tasks have the sizes of MNIST; the test set of the former is as balanced as the data "
            "set's own, that of the latter has 1 and 7 only, where a prediction of neither is wrong"
        ]
    if params["shapley"]:
        found.append(
            "Shapley (not specified): KNN-Shapley of the candidates with predicted labels, on the last layer's features, "
            "in the game of the validation points"
        )
    return [
        *found,
        *_cuts(params),
        *_choices(params),
        f"not in the text and chosen here: {params['epochs']} epochs of Adam, batch {params['batch_size']}, lr "
        f"{params['lr']:g}, weight decay {params['weight_decay']:g}, dropout {params['dropout']:g}; every round starts anew",
        "FI and IV see the last layer alone, with the exact Hessian and the weight decay as its penalty; training stops "
        "before its optimum, which the derivation assumes",
        f"BALD: {params['passes']} dropout masks",
        "times: scoring of one round on one core, training left out; the paper does not say what its times cover",
    ]


def _cuts(params: Mapping[str, Any]) -> list[str]:
    found = []
    if params["seeds"] < RUNS:
        found.append(f"{params['seeds']} runs instead of {RUNS}")
    for i, task in enumerate(params["datasets"]):
        ours = tuple(params[name][i] for name in SIZES)
        paper = PAPER.get(_registered(task))
        if paper and ours != paper:
            text = "rounds, initial pool, candidates and acquisitions are"
            found.append(f"{task}: {text} {', '.join(map(str, ours))} instead of {', '.join(map(str, paper))}")
    return found


def _choices(params: Mapping[str, Any]) -> list[str]:
    pool = (
        "candidates are drawn anew from all unlabelled points in each round: the paper's rounds times acquisitions "
        "exceed its pools"
        if params["candidates"] == "redrawn"
        else "candidates are what is left of one pool; a run ends when it is used up"
    )
    return [
        pool,
        f"IV uses {params['validation']} labelled points beside the training set, which no other method has but Shapley; "
        "candidates have predicted labels, as in FI",
        f"the forest of the subsampled FI ({params['share']:.0%}) sees what the last layer sees, and has scikit-learn's "
        "settings",
        "entropy of the prediction is added",
    ]


def _registered(task: str) -> str:
    return _source(SOURCES.get(task, task))[0]


def settings(params: Mapping[str, Any]) -> pd.DataFrame:
    """Return Table 4 or 5 beside the settings of this run.

    Returns
    -------
    DataFrame
        dataset, task, attribute, published (missing where the paper has no such data set), ours.
    """
    names = ("rounds", "initial pool", "unlabelled pool", "acquisition")
    published_classes = {"emnist-letters-10k": 37}
    rows = []
    for i, task in enumerate(params["datasets"]):
        dataset = _registered(task)
        paper = PAPER.get(dataset)
        classes = 2 if task in TABULAR else 3 if _source(task)[1] == "redundant" else len(registry.entry(dataset).classes)
        ours = [classes, *(params[name][i] for name in SIZES)]
        printed = [published_classes.get(dataset, classes), *paper] if paper else [None] * len(ours)
        for name, theirs, mine in zip(("classes", *names), printed, ours, strict=True):
            rows.append({"dataset": dataset, "task": task, "attribute": name, "published": theirs, "ours": mine})
    return pd.DataFrame(rows).astype({"published": "Int64"})


def _sizes(params: Mapping[str, Any], i: int) -> dict[str, Any]:
    own = {name: params[name][i] for name in SIZES}
    return own | {name: params[name] for name in ("candidates", "validation", "share")}


def tabular(params: Mapping[str, Any]) -> Plan:
    """Return the runs on tables, one cell a data set, method and seed; whole seeds one after the other."""
    check_tables(params)
    common = {name: params[name] for name in ("rate", "passes")}
    return Plan(
        tables.experiment,
        [
            {"dataset": SOURCES.get(task, task), "task": task, "method": method, "seed": seed}
            | _sizes(params, i)
            | {"weight_decay": params["weight_decay"][i]}
            | common
            for seed in range(params["seeds"])
            for i, task in enumerate(params["datasets"])
            for method in _methods(False)
        ],
    )


def _image(params: Mapping[str, Any], i: int) -> dict[str, Any]:
    """Return the settings of an image task that do not depend on method and seed."""
    task = params["datasets"][i]
    dataset, variant = _source(task)
    own = {"dataset": dataset, "variant": variant, "task": task}
    own |= {name: params[name] for name in ("epochs", "batch_size", "lr", "weight_decay", "dropout")}
    return own | ({"mixer": list(params["mixer"])} if dataset == "cifar-10" else {})


def pictorial(params: Mapping[str, Any]) -> Plan:
    """Return the runs on images, one cell a task, method and seed; whole seeds one after the other."""
    check_images(params)
    return Plan(
        images.experiment,
        [
            _image(params, i)
            | {"method": method, "seed": seed, "test_points": params["test_points"][i], "passes": params["passes"]}
            | _sizes(params, i)
            for seed in range(params["seeds"])
            for i, task in enumerate(params["datasets"])
            for method in _methods(task in params["shapley"])
        ],
    )


def first_round(params: Mapping[str, Any]) -> Plan:
    """Return the images of highest FI in the first round of one run, in one cell (Figure 5)."""
    check_images(params)
    i = list(params["datasets"]).index(params["pictured"])
    sizes = {name: params[name][i] for name in ("initial", "pool")} | {"validation": params["validation"]}
    return Plan(images.first_round, [_image(params, i) | sizes | {"seed": 0, "shown": params["shown"]}])
