"""The cells of the notebook on simulated data, as functions of the notebook's parameters."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from augury.plan import Plan, require
from augury.trimming import simulated

NETWORK = ("width", "steps", "lr", "l2", "damping")


def check_simulated(params: Mapping[str, Any]) -> None:
    """Check the parameters of the notebook on simulated data before anything is computed.

    Raises
    ------
    ParameterError
        If one is out of range; the message names it, its value and its range.
    """
    budgets = params["budgets"]
    smallest = min(params["linear_sizes"][0], params["network_sizes"][0])
    rules = {
        "budgets": (
            bool(budgets) and list(budgets) == sorted(set(budgets)) and budgets[0] > 0 and budgets[-1] < smallest,
            f"ascending whole numbers from 1 to {smallest - 1}, less than the training points",
        ),
        "C": (params["C"] > 0, "positive"),
        "lr": (params["lr"] > 0, "positive"),
        "shown_seed": (params["shown_seed"] >= 0, "at least 0"),
    }
    rules |= {
        name: (len(params[name]) == 3 and min(params[name]) >= 1, "three positive numbers")
        for name in ("linear_sizes", "network_sizes")
    }
    rules |= {name: (params[name] >= 2, "at least 2") for name in ("linear_seeds", "network_seeds", "resolution")}
    rules |= {name: (params[name] >= 1, "at least 1") for name in ("draws", "width", "steps")}
    rules |= {name: (params[name] >= 0, "at least 0") for name in ("l2", "damping")}
    require(params, rules)


def simulated_deviations(params: Mapping[str, Any]) -> list[str]:
    """Return what the notebook does differently from the paper, or where the paper leaves a choice, for the report."""
    found = []
    for name, number in (("linear", 30), ("network", 20)):
        if params[f"{name}_seeds"] < number:
            found.append(f"{params[f'{name}_seeds']} seeds of the {name} model instead of {number}")
    return [
        *found,
        "the two Gaussians are like those of the released code of IV: means (3, -3) and (1, 2), standard deviation 1.5",
        "logistic regression takes the features as drawn and has an intercept; the released code of IV standardises "
        "them and fits none",
        "not in the text and chosen here: the noise of the moons (standard deviation 0.3), the network's width "
        f"({params['width']}), weight decay ({params['l2']:g}), optimiser (Adam on all points at once) and the damping "
        f"of its Hessian ({params['damping']:g})",
        f"random trimming ({params['draws']} draws a seed) and the claims on it are our addition; the paper has it on "
        "real data only",
        "the paper's tables have no base model: that FI improves on it is said in Section 3 (Algorithm 3)",
        "that IV tends to trim one class is said of the linear model, 'under certain conditions' (Figure 1.C); to ask "
        "it of most seeds, and of the moons, is our addition",
        "IV trims its b most negative points",
    ]


def _trimming(params: Mapping[str, Any], kind: str) -> dict[str, Any]:
    return {"sizes": list(params[f"{kind}_sizes"]), "budgets": list(params["budgets"]), "draws": params["draws"]}


def linear(params: Mapping[str, Any]) -> Plan:
    """Return the trimming of the linear model, one cell a seed."""
    check_simulated(params)
    common = {"dataset": "two-gaussians"} | _trimming(params, "linear") | {"C": params["C"]}
    return Plan(simulated.linear, [common | {"seed": seed} for seed in range(params["linear_seeds"])])


def network(params: Mapping[str, Any]) -> Plan:
    """Return the trimming of the non-linear model, one cell a seed."""
    check_simulated(params)
    common = {"dataset": "two-moons"} | _trimming(params, "network") | {name: params[name] for name in NETWORK}
    return Plan(simulated.network, [common | {"seed": seed} for seed in range(params["network_seeds"])])


def _picture(params: Mapping[str, Any], kind: str) -> dict[str, Any]:
    check_simulated(params)
    about = {"sizes": list(params[f"{kind}_sizes"]), "b": params["budgets"][-1], "seed": params["shown_seed"]}
    return about | {"resolution": params["resolution"]}


def linear_picture(params: Mapping[str, Any]) -> Plan:
    """Return the points and boundaries of the linear model under one seed, at the largest budget."""
    cell = {"dataset": "two-gaussians"} | _picture(params, "linear") | {"C": params["C"]}
    return Plan(simulated.linear_picture, [cell])


def network_picture(params: Mapping[str, Any]) -> Plan:
    """Return the points and boundaries of the non-linear model under one seed, at the largest budget."""
    cell = {"dataset": "two-moons"} | _picture(params, "network") | {name: params[name] for name in NETWORK}
    return Plan(simulated.network_picture, [cell])
