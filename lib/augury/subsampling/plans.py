"""The cells of each notebook of this work, as functions of the notebook's parameters."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from augury.augment.exhaustive import PAPER
from augury.plan import Plan, require
from augury.subsampling.cnn import NETWORK, stored_features
from augury.subsampling.features import Setting
from augury.subsampling.policies import POLICIES
from augury.subsampling.sweep import SCORES, fixed_set, score_points, trajectory

VARIANTS: dict[str, dict[str, Any]] = {
    "as in the text": {},
    "diagonal translations": {"directions": "diagonal"},
    "torch's initialisation": {"initialisation": "torch"},
    "C = 1": {"C": 1.0},
    "penalty in the Hessian": {"regularised": True},
    "frozen features": {"refit_features": False},
    "refitted features": {"refit_features": True},
}
"""What may differ between the paper's text and its released code, one change at a time."""


def check(params: Mapping[str, Any]) -> None:
    """Check a notebook's parameters before anything is computed.

    Raises
    ------
    ParameterError
        If one is out of range; the message names it, its value and its range.
    """
    n = params["n_train"]
    rules = {
        "dataset": (params["dataset"] in PAPER, f"one of {', '.join(PAPER)}"),
        "classes": (len(set(params["classes"])) == 2, "two different classes"),
        "n_train": (n >= 10 and n % 2 == 0, "even and at least 10"),
        "augmentations": (
            bool(params["augmentations"]) and set(params["augmentations"]) <= {"translate", "rotate", "crop"},
            "some of translate, rotate, crop",
        ),
        "scores": (bool(params["scores"]) and set(params["scores"]) <= set(SCORES), f"some of {', '.join(SCORES)}"),
        "rounds": (params["rounds"] >= 1, "at least 1"),
        "points": (
            list(params["points"]) == sorted(set(params["points"])) and all(0 < k < n for k in params["points"]),
            f"ascending numbers between 0 and n_train = {n}",
        ),
        "epochs": (params["epochs"] >= 1, "at least 1"),
        "C": (params["C"] > 0, "positive"),
    }
    require(params, rules)


def deviations(params: Mapping[str, Any]) -> list[str]:
    """Return what a run under these parameters does differently from the paper, for the report.

    Where the features are a network's, it is trained now if it has not been: its accuracy belongs to the list.
    """
    found = []
    if params["dataset"] == "digits":
        found.append("scikit-learn's digits, enlarged to 28 x 28, stand in for the paper's data")
    if params["features"] == "cnn":
        setting = Setting.of(dict(params) | {"augmentation": params["augmentations"][0]})
        accuracy = stored_features(setting, {key: params[key] for key in NETWORK})["network_accuracy"]
        found.append(
            f"features of the network {params['network']!r}, trained here for {params['network_epochs']} epochs"
            f" to {accuracy:.1%} test accuracy on all classes (the paper: a ResNet50v2)"
        )
    if params["features"] == "lenet" and not params["refit_features"]:
        found.append("the LeNet's features are learnt once, on the plain set (on MNIST the paper learns them anew)")
    if params["rounds"] < 5:
        found.append(f"{params['rounds']} rounds of every stochastic policy instead of 5")
    return [
        *found,
        "one baseline serves both scores; a policy and its downweighted version share their draws",
        "the same training set gives the same model, in whatever order its points were chosen",
    ]


def settings(params: Mapping[str, Any], augmentation: str) -> dict[str, Any]:
    """Return the flat settings of a cell's task, features and classifier from a notebook's parameters.

    Where the features are a network's, they are made (or found in the cache) here, and named by their digest.
    """
    own = {field.name: params[field.name] for field in fields(Setting) if field.name in params}
    own |= {"augmentation": augmentation, "classes": list(params["classes"])}
    if own.get("features") == "cnn":
        own["stored"] = stored_features(Setting.of(own), {key: params[key] for key in NETWORK})["stored"]
    return own


def tasks(params: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the settings of each augmentation's task, after checking the parameters; see `check` and `settings`."""
    check(params)
    return [settings(params, augmentation) for augmentation in params["augmentations"]]


def references(params: Mapping[str, Any]) -> Plan:
    """Return the training sets that no policy orders: none augmented, all, and the virtual support vectors."""
    return Plan(fixed_set, [own | {"selection": s} for own in tasks(params) for s in ("none", "all", "vsv")])


def policies(params: Mapping[str, Any]) -> Plan:
    """Return every policy's trajectories, whole rounds one after the other; the baseline is shared by the scores."""
    cells, whole = [], tasks(params)
    for round in range(params["rounds"]):
        for own in whole:
            for p in POLICIES:
                if round and not p.stochastic or p.downweight and not p.update:
                    continue  # one trajectory serves both weightings where the scores are not updated
                for score in ["none"] if p.selection == "baseline" else params["scores"]:
                    choice = {"score": score, "selection": p.selection, "update": p.update, "downweight": p.downweight}
                    cells.append(own | choice | {"round": round, "points": list(params["points"])})
    return Plan(trajectory, cells)


def metrics(params: Mapping[str, Any]) -> Plan:
    """Return the scores of all training points without and with full augmentation, one cell an augmentation."""
    return Plan(score_points, tasks(params))


def variants(params: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Return the parameters under each variant that differs from the notebook's own, which come first."""
    own = {field.name: params[field.name] for field in fields(Setting) if field.name in params}
    changed = {name: dict(params) | change for name, change in VARIANTS.items() if not change.items() <= own.items()}
    return {"as in the text": dict(params)} | changed


def variant_references(params: Mapping[str, Any]) -> Plan:
    """Return the training sets without and with full augmentation under every variant."""
    found = {name: references(changed) for name, changed in variants(params).items()}
    return Plan(fixed_set, [c for plan in found.values() for c in plan.cells if c["selection"] != "vsv"])


def variant_policies(params: Mapping[str, Any]) -> Plan:
    """Return the baseline's and the proportional policies' trajectories, without updates, under every variant."""
    found = {name: policies(changed) for name, changed in variants(params).items()}
    kinds = ("baseline", "random", "deterministic")
    cells = [c for plan in found.values() for c in plan.cells if c["selection"] in kinds and not c["update"]]
    return Plan(trajectory, cells)
