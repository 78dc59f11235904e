"""What the notebooks run: cells, their sharing between notebooks, and the checks of parameters."""

import json

import pandas as pd
import pytest

from augury import paths
from augury.errors import ParameterError
from augury.report.parameters import read_notebook
from augury.subsampling import analysis, plans

NOTEBOOK = paths.root() / "notebooks" / "1-subsampling" / "policies.ipynb"
PARAMS = (read_notebook(NOTEBOOK)[1] or {}) | {
    "refit_features": True,
    "points": [1, 10, 100],
}


def test_every_policy_of_the_tables_is_planned_once():
    cells = plans.policies(PARAMS).cells
    assert len({json.dumps(cell, sort_keys=True) for cell in cells}) == len(cells)
    frame = pd.DataFrame(cells)
    per_task = frame[frame["augmentation"] == "rotate"]
    # 5 rounds: one baseline for both scores, and per score 4 drawn trajectories; 4 deterministic ones once
    assert len(per_task) == 5 + 2 * (5 * 4 + 4)
    assert frame["round"].is_monotonic_increasing, "whole rounds first: a stopped run holds complete ones"


def test_a_notebook_of_fewer_augmentations_shares_the_cells():
    whole = [json.dumps(c, sort_keys=True) for c in plans.policies(PARAMS).cells]
    part = [json.dumps(c, sort_keys=True) for c in plans.policies(PARAMS | {"augmentations": ["rotate"]}).cells]
    assert part and set(part) < set(whole)


def test_variants_change_one_choice_each():
    found = plans.variants(PARAMS)
    assert "refitted features" not in found and "frozen features" in found
    for name, params in found.items():
        changed = [key for key in params if params[key] != PARAMS[key]]
        assert len(changed) == (name != "as in the text")
    cells = plans.variant_policies(PARAMS).cells
    assert {c["selection"] for c in cells} == {"baseline", "random", "deterministic"}
    rows = analysis.name_variants(pd.DataFrame(cells), found)
    assert set(rows["variant"]) == set(found) and not (rows["variant"] == "").any()
    assert len({json.dumps(c, sort_keys=True) for c in cells}) == len(cells)


@pytest.mark.parametrize(
    ("wrong", "match"),
    [
        ({"dataset": "imagenet"}, "dataset = 'imagenet' must be one of"),
        ({"classes": [3, 3]}, "two different"),
        ({"n_train": 7}, "even"),
        ({"augmentations": []}, "translate, rotate, crop"),
        ({"scores": ["margin"]}, "some of loss, influence"),
        ({"rounds": 0}, "at least 1"),
        ({"points": [10, 1]}, "ascending"),
        ({"points": [200]}, "between 0 and n_train = 200"),
        ({"epochs": 0}, "at least 1"),
        ({"C": -1.0}, "positive"),
    ],
)
def test_parameters_out_of_range_are_refused_before_anything_runs(wrong, match):
    with pytest.raises(ParameterError, match=match):
        plans.check(PARAMS | wrong)
    with pytest.raises(ParameterError, match=match):
        plans.policies(PARAMS | wrong)


def test_deviations_follow_the_parameters(monkeypatch):
    monkeypatch.setattr(plans, "stored_features", lambda setting, network: {"network_accuracy": 0.8})
    network = {"network": "small", "network_epochs": 3, "network_batch": 64, "network_optimiser": "sgd"}
    network |= {"network_lr": 0.1, "network_weight_decay": 0.0}
    digits = plans.deviations(PARAMS | network | {"rounds": 2, "refit_features": False})
    assert any("digits" in text for text in digits) and any("2 rounds" in text for text in digits)
    mnist = PARAMS | network | {"dataset": "mnist"}
    assert not any("digits" in text or "rounds" in text or "once" in text for text in plans.deviations(mnist))
    cifar = plans.deviations(mnist | {"features": "cnn", "refit_features": False})
    assert any("'small', trained here for 3 epochs to 80.0%" in text for text in cifar)
