"""Logistic regression on tables: the whole experiment by every method, and its model by hand."""

import numpy as np
import pandas as pd
import pytest
from scipy.special import log_softmax

from augury.active import tables
from augury.active.scores import FI, METHODS, RANDOM, Known, entropy_of_prediction
from augury.errors import ParameterError
from augury.tabular import pools, settings

CELL = {
    "seed": 1, "rounds": 2, "initial": 16, "pool": 40, "acquisition": 5, "candidates": "redrawn", "validation": 30,
    "weight_decay": 0.01, "rate": 0.5, "passes": 6, "share": 0.3,
}  # fmt: skip


@pytest.mark.parametrize("table", ["breast-cancer", "digits-3-8"])
@pytest.mark.parametrize("method", METHODS)
def test_every_method_runs_and_repeats(table, method):
    rows = pd.DataFrame(tables.experiment(**settings(table), **CELL, method=method))
    assert rows["labelled"].tolist() == [16, 21, 26] and rows["accuracy"].between(0.5, 1).all()
    again = pd.DataFrame(tables.experiment(**settings(table), **CELL, method=method))
    pd.testing.assert_frame_equal(rows.drop(columns="seconds"), again.drop(columns="seconds"))


def test_the_model_has_the_weight_decay_of_the_mean_loss(plane):
    labelled = np.arange(40)
    model = plane.train(labelled, 0).model
    Z, y = np.c_[plane.X[labelled], np.ones(40)], plane.y[labelled]
    residual = 1 / (1 + np.exp(-Z @ model.theta)) - y
    gradient = residual @ Z / 40 + plane.weight_decay * np.r_[model.theta[:-1], 0]
    np.testing.assert_allclose(gradient, 0, atol=1e-6)
    assert plane.train(labelled, 0).accuracy() == model.accuracy(plane.X_test, plane.y_test)


def test_entropy_is_that_of_the_logits(plane):
    model = plane.train(np.arange(40), 0)
    known = Known(model, plane.y, np.arange(40), np.arange(40, 50), 0, 1, 1.0)
    points = np.arange(50, 80)
    logits = model.model.decision(plane.X[points])
    log_p = log_softmax(np.stack([0 * logits, logits], axis=1), axis=1)
    np.testing.assert_allclose(entropy_of_prediction(known, points), -(np.exp(log_p) * log_p).sum(1))


def test_iv_adds_the_point_that_lowers_the_validation_loss_most(plane):
    """To first order: IV against fits in which each candidate, with its predicted label, has a small weight."""
    from augury.models.logistic import fit_logistic

    labelled, validation, points = np.arange(40), np.arange(40, 60), np.arange(60, 80)
    model = plane.train(labelled, 0)
    known = Known(model, plane.y, labelled, validation, 0, 1, 1.0)
    found = METHODS["IV"](known, points)
    weight, C = 1e-4, model.model.C
    X, y = plane.X, plane.y
    before = model.model.losses(X[validation], y[validation]).mean()
    predicted = (model.model.decision(X[points]) > 0).astype(int)
    fall = []
    for point, label in zip(points, predicted, strict=True):
        own = fit_logistic(
            np.r_[X[labelled], X[[point]]], np.r_[y[labelled], label], C, sample_weight=np.r_[np.ones(40), weight],
            tol=1e-16,
        )  # fmt: skip
        fall.append((before - own.losses(X[validation], y[validation]).mean()) * 40 / weight)
    np.testing.assert_allclose(found, fall, rtol=5e-3, atol=1e-4)


@pytest.mark.parametrize(
    "change, said",
    [
        ({"weight_decay": 0.0}, "weight_decay must be positive"),
        ({"method": "Margin"}, "called 'Margin'"),
        ({"pool": 500}, "too few for 500 candidates"),
        ({"table": "iris"}, "no table is called 'iris'"),
    ],
)
def test_what_is_out_of_range_is_refused(change, said):
    with pytest.raises(ParameterError, match=said):
        tables.experiment(**settings("digits-3-8") | CELL | {"method": RANDOM} | change)


def test_a_seed_decides_the_pools_and_the_test_set_is_the_whole_pool():
    (_, y), (_, y_test) = pools("digits-3-8", 1)
    rows = tables.experiment(**settings("digits-3-8"), **CELL, method=FI)
    right = rows[-1]["accuracy"] * len(y_test)
    assert right == pytest.approx(round(right), abs=1e-9) and len(y) > 100
