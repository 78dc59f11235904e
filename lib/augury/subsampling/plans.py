"""The cells of each notebook of this work, as functions of the notebook's parameters."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from augury.errors import ParameterError
from augury.plan import Plan
from augury.subsampling.cnn import NETWORK, stored_features
from augury.subsampling.features import Setting
from augury.subsampling.policies import POLICIES
from augury.subsampling.sweep import fixed_set, score_points, trajectory


def settings(params: Mapping[str, Any], augmentation: str) -> dict[str, Any]:
    """Return the flat settings of a cell's task, features and classifier from a notebook's parameters.

    Where the features are a network's, they are made (or found in the cache) here, and named by their digest.
    """
    own = {field.name: params[field.name] for field in fields(Setting) if field.name in params}
    own |= {"augmentation": augmentation, "classes": list(params["classes"])}
    if own.get("features") == "cnn":
        own["stored"] = stored_features(Setting.of(own), {key: params[key] for key in NETWORK})["stored"]
    return own


def augmentations(params: Mapping[str, Any]) -> list[str]:
    """Return the augmentations a notebook runs.

    Raises
    ------
    ParameterError
        If none is named, or one is unknown.
    """
    named = list(params["augmentations"])
    if not named or set(named) - {"translate", "rotate", "crop"}:
        raise ParameterError(f"augmentations are some of translate, rotate and crop, not {named}")
    return named


def references(params: Mapping[str, Any]) -> Plan:
    """Return the training sets that no policy orders: none augmented, all, and the virtual support vectors."""
    return Plan(
        fixed_set,
        [settings(params, a) | {"selection": s} for a in augmentations(params) for s in ("none", "all", "vsv")],
    )


def policies(params: Mapping[str, Any]) -> Plan:
    """Return every policy's trajectories, whole rounds one after the other; the baseline is shared by the scores."""
    cells = []
    tasks = {a: settings(params, a) for a in augmentations(params)}
    for round in range(params["rounds"]):
        for own in tasks.values():
            for p in POLICIES:
                if round and not p.stochastic or p.downweight and not p.update:
                    continue  # one trajectory serves both weightings where the scores are not updated
                for score in ["none"] if p.selection == "baseline" else params["scores"]:
                    choice = {"score": score, "selection": p.selection, "update": p.update, "downweight": p.downweight}
                    cells.append(own | choice | {"round": round, "points": list(params["points"])})
    return Plan(trajectory, cells)


def metrics(params: Mapping[str, Any]) -> Plan:
    """Return the scores of all training points without and with full augmentation, one cell an augmentation."""
    return Plan(score_points, [settings(params, a) for a in augmentations(params)])
