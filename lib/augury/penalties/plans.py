"""The cells of each notebook of this work, as functions of the notebook's parameters."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from augury.design import PREPARATIONS, design
from augury.penalties import simulation
from augury.penalties.networks import is_closed_form, penalties
from augury.plan import Plan, require


def check_linear(params: Mapping[str, Any]) -> None:
    """Check the parameters of the linear notebook before anything is computed.

    Raises
    ------
    ParameterError
        If one is out of range; the message names it, its value and its range.
    """
    designs, lambdas, sizes = params["designs"], params["lambdas"], params["sizes"]
    rules = {
        "designs": (
            bool(designs) and len(set(designs)) == len(designs) and set(designs) <= set(simulation.DESIGNS),
            f"different ones of {', '.join(simulation.DESIGNS)}",
        ),
        "n": (params["n"] >= 10, "at least 10"),
        "lambdas": (
            bool(lambdas) and list(lambdas) == sorted(set(lambdas)) and lambdas[0] > 0 and lambdas[-1] < 1,
            "ascending in (0, 1)",
        ),
        "sizes": (
            len(sizes) >= 3 and list(sizes) == sorted(set(sizes)) and sizes[0] >= 100,
            "three or more ascending whole numbers from 100",
        ),
        "replicates": (params["replicates"] >= 2, "at least 2"),
    }
    require(params, rules)


def linear_deviations(params: Mapping[str, Any]) -> list[str]:
    """Return what the linear notebook does differently from the paper's text, for the report."""
    found = [
        "the paper proves its theorems; here they are simulated, and the closed forms minimised numerically",
        "the factor n that eq. (2) and the last line of Theorem 2 lack is restored, and the 1/n of Remark 1's limit",
        "inverted dropout scales by 1 / (1 - lambda), as in the paper's formulas, not by 1 / lambda, as in its words",
    ]
    if "diabetes" in params["designs"]:
        found.append("scikit-learn's diabetes, features in units of their standard deviation and not centred, is added")
    return found


def convergence(params: Mapping[str, Any]) -> Plan:
    """Return the distance to the closed form on growing augmented data, one cell a design, augmentation and lambda."""
    check_linear(params)
    common = {"n": params["n"], "sizes": list(params["sizes"]), "replicates": params["replicates"]}
    cells = [
        {"design": design, "augmentation": augmentation, "lam": lam, "seed": params["seed"]} | common
        for augmentation in simulation.AUGMENTATIONS
        for design in params["designs"]
        for lam in params["lambdas"]
    ]
    return Plan(
        simulation.convergence,
        [cell | ({"dataset": "diabetes"} if cell["design"] == "diabetes" else {}) for cell in cells],
    )


def check_networks(params: Mapping[str, Any]) -> None:
    """Check the parameters of the networks' notebook before anything is computed.

    Raises
    ------
    ParameterError
        If one is out of range; the message names it, its value and its range.
    """
    datasets, layers, lambdas = params["datasets"], params["hidden_layers"], params["lambdas"]
    rules = {
        "datasets": (
            bool(datasets) and len(set(datasets)) == len(datasets) and set(datasets) <= set(PREPARATIONS),
            f"different ones of {', '.join(PREPARATIONS)}",
        ),
        "hidden_layers": (bool(layers) and list(layers) == sorted(set(layers)) and layers[0] >= 0, "ascending from 0"),
        "lambdas": (
            len(lambdas) >= 3 and list(lambdas) == sorted(set(lambdas)) and lambdas[0] == 0 and lambdas[-1] < 1,
            "three or more ascending numbers in [0, 1), the first of them 0",
        ),
        "lr": (params["lr"] > 0, "positive"),
    }
    rules |= {
        name: (params[name] >= 1, "at least 1") for name in ("width", "epochs", "batch_size", "patience", "steps")
    }
    rules["seeds"] = (params["seeds"] >= 2, "at least 2")
    require(params, rules)


def network_deviations(params: Mapping[str, Any]) -> list[str]:
    """Return what a run of the networks' notebook does differently from the paper, or where that leaves a choice."""
    found = []
    if embedded := sorted({"breast-cancer", "diabetes"} & set(params["datasets"])):
        found.append(f"scikit-learn's {' and '.join(embedded)} stand in for the paper's data")
    if params["seeds"] < 10:
        found.append(f"{params['seeds']} seeds instead of 10")
    if list(params["hidden_layers"]) != list(range(11)):
        found.append(f"{params['hidden_layers']} hidden layers instead of 0 to 10")
    if "heloc" in params["datasets"]:
        found.append("HELOC: RiskPerformance is an input; the special values -7 and -8 stay numbers")
    if params["ablate_validation"]:
        found.append("the validation rows are ablated as the training rows are; the paper does not say")
    return [
        *found,
        "penalties are per unit: the paper's formulas divided by the number of test rows",
        "not in the text and chosen here: lambda in steps of 0.1, Glorot's initialisation, midpoints as Riemann steps",
        "every one-hot column is a feature of its own; columns constant over the training rows are dropped",
        "one seed's networks share initialisation, batches and draws, so that they differ by lambda alone",
    ]


def networks(params: Mapping[str, Any]) -> Plan:
    """Return the networks' penalties, one cell a data set, depth and seed; whole seeds one after the other.

    A linear regression is solved in closed form and has nothing random: one seed stands for all.
    """
    check_networks(params)
    names = ("width", "epochs", "batch_size", "lr", "patience", "ablate_validation", "steps", "split_seed")
    common = {name: params[name] for name in names} | {"lambdas": list(params["lambdas"])}
    return Plan(
        penalties,
        [
            {"dataset": dataset, "hidden_layers": depth, "seed": seed} | common
            for dataset in params["datasets"]
            for seed in range(params["seeds"])
            for depth in params["hidden_layers"]
            if seed == 0 or not is_closed_form(design(dataset, params["split_seed"]).classes, depth)
        ],
    )
