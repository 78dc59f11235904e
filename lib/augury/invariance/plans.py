"""The cells of the notebooks of Sections 1 and 2, as functions of the notebooks' parameters."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from augury.invariance import counterexample, scores, theorem
from augury.invariance.cost import cost
from augury.invariance.tables import DATASETS
from augury.plan import Plan, require


def check_counterexample(params: Mapping[str, Any]) -> None:
    """Check the parameters of the counter-example's notebook before anything is computed.

    Raises
    ------
    ParameterError
        If one is out of range; the message names it, its value and its range.
    """
    n, outliers = params["n"], params["outliers"]
    rules = {
        "n": (n >= 100, "at least 100"),  # so that no class is trimmed away but once in 10^9 draws
        "outliers": (0 < 4 * outliers <= n, "at least 1 and at most n / 4"),
        "budgets": (
            bool(params["budgets"])
            and list(params["budgets"]) == sorted(set(params["budgets"]))
            and params["budgets"][0] > 0
            and params["budgets"][-1] <= n / 5,
            "ascending whole numbers from 1 to n / 5",
        ),
        "replicates": (params["replicates"] >= 2, "at least 2"),
    }
    require(params, rules)


def counterexample_deviations(params: Mapping[str, Any]) -> list[str]:
    """Return what the counter-example's notebook does differently from the text, for the report."""
    return [
        "the text argues by signs and shows no data: two Gaussian classes with outliers in both are drawn here",
        "besides the text's model on positive x: x of both signs, and a model with an intercept, which the text lacks",
        "the text leaves (A.7)'s sign out of eq. (2.2); it is kept here",
    ]


def trimming(params: Mapping[str, Any]) -> Plan:
    """Return what trimming by IV and by FI does, one cell a case and budget."""
    check_counterexample(params)
    common = {name: params[name] for name in ("n", "outliers", "replicates", "seed")}
    return Plan(
        counterexample.trimming,
        [{"case": case, "budget": b} | common for case in counterexample.CASES for b in params["budgets"]],
    )


def points(params: Mapping[str, Any]) -> Plan:
    """Return the scores of one replicate's points at the largest budget, one cell a case."""
    check_counterexample(params)
    common = {name: params[name] for name in ("n", "outliers", "seed")} | {"budget": params["budgets"][-1]}
    return Plan(counterexample.points, [{"case": case} | common for case in counterexample.CASES])


def check_measure(params: Mapping[str, Any]) -> None:
    """Check the parameters of the measure's notebook before anything is computed.

    Raises
    ------
    ParameterError
        If one is out of range; the message names it, its value and its range.
    """
    datasets, shapes = params["datasets"], params["shapes"]
    least = 200 if "digits" in datasets else 100  # so that no class is absent but once in 10^8 draws
    rules = {
        "shapes": (
            bool(shapes)
            and all(len(shape) == 2 and shape[0] >= 2 and shape[1] >= 2 for shape in shapes)
            and any(k - 1 >= p for k, p in shapes)
            and any(k - 1 < p for k, p in shapes),
            "pairs (classes, features) of two or more each, some with classes - 1 >= features and some with less",
        ),
        "datasets": (
            bool(datasets) and len(set(datasets)) == len(datasets) and set(datasets) <= set(DATASETS),
            f"different ones of {', '.join(DATASETS)}",
        ),
        "C": (params["C"] > 0, "positive"),
        "top": (0 < params["top"] < 1, "in (0, 1)"),
        "step": (params["step"] > 0, "positive"),
    }
    sizes = params["sizes"]
    rules["sizes"] = (
        len(sizes) >= 2 and list(sizes) == sorted(set(sizes)) and sizes[0] >= 50,
        "two or more ascending whole numbers from 50",
    )
    for name in ("stretches", "factors"):
        values = params[name]
        rules[name] = (
            len(values) >= 2 and list(values) == sorted(set(values)) and values[0] >= 1,
            "two or more ascending numbers from 1",
        )
    for name, smallest in {"validation": 20, "replicates": 3, "refits": 2}.items():
        rules[name] = (params[name] >= smallest, f"at least {smallest}")
    for name in ("rows", "labelled"):
        rules[name] = (params[name] >= least, f"at least {least} (100, with digits 200: every class must be drawn)")
    most = max((shape[0] for shape in shapes), default=0)
    rules["n"] = (params["n"] >= max(20, 8 * most), f"at least 20 and 8 times the {most} classes of `shapes`")
    require(params, rules)


def measure_deviations(params: Mapping[str, Any]) -> list[str]:
    """Return what the measure's notebook does differently from the text, for the report."""
    found = [
        "the text states Theorem 1 without proof or experiment; here it is put to the test",
        "G is never formed: FI comes from its factor of K rows, whose pseudo-inverse loses fewer digits",
        "added: FI in whitened coordinates, which does not depend on the features' units",
    ]
    if embedded := sorted({"breast-cancer", "digits"} & set(params["datasets"])):
        found.append(f"{' and '.join(embedded)} stand in for the paper's data")
    if "adult" in params["datasets"]:
        found.append("Adult is standardised, keeps '?' as a level, and is split anew at random")
    return found


def theorem1(params: Mapping[str, Any]) -> Plan:
    """Return the changes under reparameterisation, one cell a shape and kind of map."""
    check_measure(params)
    common = {name: params[name] for name in ("n", "C", "replicates", "seed")} | {"stretches": params["stretches"]}
    return Plan(
        theorem.theorem1,
        [
            {"classes": classes, "features": features, "kind": kind} | common
            for classes, features in params["shapes"]
            for kind in theorem.MAPS
        ],
    )


def rescaling(params: Mapping[str, Any]) -> Plan:
    """Return the changes with the features' units, one cell a data set and kind of change."""
    check_measure(params)
    names = ("rows", "validation", "C", "top", "replicates", "seed")
    common = {name: params[name] for name in names} | {"factors": params["factors"]}
    return Plan(
        theorem.rescaling,
        [{"dataset": dataset, "kind": kind} | common for dataset in params["datasets"] for kind in theorem.CHANGES],
    )


def utility(params: Mapping[str, Any]) -> Plan:
    """Return FI^util of the training points beside what else is known of them, one cell a data set."""
    check_measure(params)
    common = {name: params[name] for name in ("rows", "validation", "C", "seed")}
    return Plan(scores.utility, [{"dataset": dataset} | common for dataset in params["datasets"]])


def refits(params: Mapping[str, Any]) -> Plan:
    """Return refits on moved points, one cell a data set."""
    check_measure(params)
    common = {name: params[name] for name in ("rows", "validation", "C", "step", "seed")} | {"points": params["refits"]}
    return Plan(scores.refits, [{"dataset": dataset} | common for dataset in params["datasets"]])


def _active(params: Mapping[str, Any]) -> dict[str, Any]:
    return {"labelled": params["labelled"], "pool": params["validation"], "C": params["C"]}


def activity(params: Mapping[str, Any]) -> Plan:
    """Return FI^active of a pool's points, one cell a data set."""
    check_measure(params)
    common = _active(params) | {"seed": params["seed"]}
    return Plan(scores.activity, [{"dataset": dataset} | common for dataset in params["datasets"]])


def agreement(params: Mapping[str, Any]) -> Plan:
    """Return how FI^active ranks a pool beside the entropy, one cell a data set and draw of the points."""
    check_measure(params)
    common = _active(params)
    return Plan(
        scores.agreement,
        [
            {"dataset": dataset, "seed": params["seed"] + replicate} | common
            for dataset in params["datasets"]
            for replicate in range(params["replicates"])
        ],
    )


def costs(params: Mapping[str, Any]) -> Plan:
    """Return what FI costs against n, one cell a number of classes."""
    check_measure(params)
    common = {"features": 20, "sizes": list(params["sizes"]), "C": params["C"], "repeats": 5, "seed": params["seed"]}
    return Plan(cost, [{"classes": classes} | common for classes in (2, 5)])
