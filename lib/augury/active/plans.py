"""The cells of both notebooks on active learning, as functions of the notebook's parameters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from augury.active import images, tables
from augury.active.approximations import approximations
from augury.active.rounds import CANDIDATES
from augury.active.scores import METHODS, SHAPLEY
from augury.active.settings import SIZES, coloured, source
from augury.data import registry
from augury.plan import Plan, require
from augury.tabular import PREPARATIONS
from augury.tabular import settings as table


def check_tables(params: Mapping[str, Any]) -> None:
    """Check the parameters of the notebook on tables before anything is computed.

    Raises
    ------
    ParameterError
        If one is out of range; the message names it, its value and its range.
    """
    _check(params, tuple(PREPARATIONS), (*SIZES, "weight_decay"))
    require(params, {"rate": (0 <= params["rate"] < 1, "in [0, 1)")})


def check_images(params: Mapping[str, Any]) -> None:
    """Check the parameters of the notebook on images before anything is computed.

    Raises
    ------
    ParameterError
        If one is out of range; the message names it, its value and its range.
    """
    tasks = params["datasets"]
    # no network here takes the two channels of small NORB
    known = [n for n in registry.names() if registry.entry(n).kind == "images" and n != "small-norb"]
    digits = [f"{name}-{variant}" for name in ("mnist", "digits") for variant in ("unbalanced", "redundant")]
    _check(params, (*known, *digits), (*SIZES, "test_points"))
    rules = {
        "shapley": (bool(params["shapley"]) and set(params["shapley"]) <= set(tasks), "some of the data sets"),
        "pictured": (params["pictured"] in tasks, "one of the data sets"),
        "lr": (params["lr"] > 0, "positive"),
        "weight_decay": (params["weight_decay"] > 0, "positive"),
        "dropout": (0 < params["dropout"] < 1, "in (0, 1): BALD draws its masks from it"),
        "mixer": (len(params["mixer"]) == 4 and min(params["mixer"]) >= 1, "width, depth, kernel and patch, from 1"),
    }
    ranks = params["ranks"]
    rules["ranks"] = (bool(ranks) and list(ranks) == sorted(set(ranks)) and ranks[0] >= 1, "ascending numbers from 1")
    rules |= {name: (params[name] >= 1, "at least 1") for name in ("epochs", "batch_size")}
    require(params, rules)
    candidates = params["pool"][list(tasks).index(params["pictured"])]
    rule = f"from 1 to the {candidates} candidates of {params['pictured']}"
    require(params, {"shown": (1 <= params["shown"] <= candidates, rule)})


def _check(params: Mapping[str, Any], known: Sequence[str], each: Sequence[str]) -> None:
    """Check what both notebooks share; `each` names parameters with one positive number a data set."""
    tasks = params["datasets"]
    rules = {
        "datasets": (
            bool(tasks) and len(set(tasks)) == len(tasks) and set(tasks) <= set(known),
            f"different ones of {', '.join(known)}",
        )
    }
    for name in each:
        values = params[name]
        rules[name] = (len(values) == len(tasks) and min(values) > 0, "one positive number for each data set")
    require(params, rules)
    fits = all(n <= pool for n, pool in zip(params["acquisition"], params["pool"], strict=True))
    rules = {
        "acquisition": (fits, "at most the pool of each data set"),
        "candidates": (params["candidates"] in CANDIDATES, f"one of {', '.join(CANDIDATES)}"),
        "share": (0 < params["share"] <= 1, "in (0, 1]"),
        "seeds": (params["seeds"] >= 2, "at least 2"),
    }
    require(params, rules | {name: (params[name] >= 1, "at least 1") for name in ("validation", "passes")})


def _runs(
    params: Mapping[str, Any], i: int, about: Mapping[str, Any], methods: Sequence[str], seed: int
) -> list[dict[str, Any]]:
    """Return a cell for each method of the i-th data set under one seed."""
    common = {"seed": seed, **about} | {name: params[name][i] for name in SIZES}
    common |= {name: params[name] for name in ("candidates", "validation", "passes", "share")}
    return [common | {"method": method} for method in methods]


def tabular(params: Mapping[str, Any]) -> Plan:
    """Return the runs on tables, one cell a data set, method and seed; whole seeds one after the other."""
    check_tables(params)
    methods = [method for method in METHODS if method != SHAPLEY]
    return Plan(
        tables.experiment,
        [
            cell | {"weight_decay": params["weight_decay"][i], "rate": params["rate"]}
            for seed in range(params["seeds"])
            for i, task in enumerate(params["datasets"])
            for cell in _runs(params, i, table(task), methods, seed)
        ],
    )


def _images(params: Mapping[str, Any], task: str) -> dict[str, Any]:
    """Return what the settings of a cell say of an image task and its network."""
    found = {"dataset": source(task), "task": task} | {
        name: params[name] for name in ("epochs", "batch_size", "lr", "weight_decay", "dropout")
    }
    return found | ({"mixer": list(params["mixer"])} if coloured(task) else {})


def pictorial(params: Mapping[str, Any]) -> Plan:
    """Return the runs on images, one cell a task, method and seed; whole seeds one after the other."""
    check_images(params)
    return Plan(
        images.experiment,
        [
            cell | {"test_points": params["test_points"][i]}
            for seed in range(params["seeds"])
            for i, task in enumerate(params["datasets"])
            for cell in _runs(
                params,
                i,
                _images(params, task),
                [m for m in METHODS if m != SHAPLEY or task in params["shapley"]],
                seed,
            )
        ],
    )


def first_round(params: Mapping[str, Any]) -> Plan:
    """Return the images of highest FI in the first round of one run, in one cell (Figure 5)."""
    check_images(params)
    task = params["pictured"]
    i = list(params["datasets"]).index(task)
    cell = _images(params, task) | {"seed": 0, "shown": params["shown"], "validation": params["validation"]}
    return Plan(images.first_round, [cell | {"initial": params["initial"][i], "pool": params["pool"][i]}])


def approximated(params: Mapping[str, Any]) -> Plan:
    """Return FI exactly and by K-FAC and KFSVD in the first round, on the data set of Figure 5, one cell a seed."""
    check_images(params)
    task = params["pictured"]
    i = list(params["datasets"]).index(task)
    cell = _images(params, task) | {name: params[name][i] for name in ("initial", "pool", "acquisition")}
    cell |= {"validation": params["validation"], "ranks": list(params["ranks"])}
    return Plan(approximations, [cell | {"seed": seed} for seed in range(params["seeds"])])
