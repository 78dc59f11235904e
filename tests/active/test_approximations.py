"""The approximations of FI^active beside the exact one on a trained network's last layer."""

import numpy as np
import pandas as pd
import pytest

from augury.active.analysis import of_variant, variants
from augury.active.approximations import EXACT, FREE, KFAC, approximations
from augury.active.images import Learner, Training, experiment
from augury.active.pictures import load_task
from augury.active.rounds import Sizes, start
from augury.active.scores import RANDOM
from augury.errors import ParameterError
from augury.influence.classifier import ClassifierInfluence
from augury.influence.network import NetworkInfluence

CELL = {
    "dataset": "digits", "task": "digits", "seed": 0, "initial": 40, "pool": 60, "acquisition": 10, "validation": 20,
    "ranks": [1], "epochs": 8, "batch_size": 16, "lr": 2e-3, "weight_decay": 1e-2, "dropout": 0.5,
}  # fmt: skip


@pytest.fixture(scope="module")
def rows() -> pd.DataFrame:
    return pd.DataFrame(approximations(**CELL)).assign(dataset="digits", seed=0)


def test_the_exact_scores_are_the_reference_and_the_penalty_on_the_bias_matters(rows):
    found = rows.set_index("variant")
    assert found.loc[EXACT, "rank correlation"] == 1 and found.loc[EXACT, "overlap"] == 1
    assert 0.5 < found.loc[FREE, "rank correlation"] < 0.999


def test_without_a_penalty_on_the_bias_both_ways_agree():
    found, sizes = load_task("digits", "digits", 0), Sizes(1, 40, 60, 10, "redrawn", 20)
    begin = start(found.y, 10, sizes, 0)
    model = Learner(found, Training(8, 16, 2e-3, 1e-2, 0.5, 1), 0).train(begin.labelled, 0)
    labelled, pool = (model.features(begin.labelled), found.y[begin.labelled]), model.features(begin.unlabelled[:40])
    closed = ClassifierInfluence(model.last(), *labelled).active(pool)
    # all biases together have no curvature: a penalty far below the others' stands for none
    general = NetworkInfluence(model.model.head, *labelled, l2={"weight": 1e-2, "bias": 1e-8}).active(pool)
    np.testing.assert_allclose(closed, general, rtol=1e-2)


def test_k_fac_keeps_the_order_and_rank_one_stores_little(rows):
    found = variants(rows).set_index("variant")
    assert 0.7 < found.loc[KFAC, "rank correlation"] < 1
    assert found.loc["KFSVD, k = 1", "rank correlation"] < found.loc[KFAC, "rank correlation"]
    q, p = 10 * 257, 256
    assert found.loc[EXACT, "numbers"] == q * q + q * p
    assert found.loc["KFSVD, k = 1", "numbers"] == 10**2 + 257**2 + (q + p + 1)
    assert found.loc["KFSVD, k = 1", "share of numbers"] < 0.01
    assert of_variant(rows, KFAC, "seconds")[0] > 0


def test_accuracy_after_the_round_is_that_of_active_learning(rows):
    cell = {name: value for name, value in CELL.items() if name != "ranks"}
    cell |= {"rounds": 1, "candidates": "redrawn", "test_points": 0, "share": 1.0, "passes": 1}
    found = rows.set_index("variant")
    for variant, method in ((FREE, "FI"), (RANDOM, RANDOM)):
        assert found.loc[variant, "accuracy"] == experiment(method=method, **cell)[1]["accuracy"]
    assert variants(rows).set_index("variant").loc[EXACT, "accuracy (%)"] == 100 * found.loc[EXACT, "accuracy"]


def test_a_rank_beyond_the_features_is_refused():
    with pytest.raises(ParameterError, match="rank is 1 to 256"):
        approximations(**CELL | {"ranks": [257]})
