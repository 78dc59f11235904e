"""Closed-form self-influence against autograd, leave-one-out refits and the Sherman-Morrison identity, in float64."""

import numpy as np
import pytest
import torch
from scipy.stats import spearmanr

from augury.data import load
from augury.errors import ModelError
from augury.influence.logistic import self_influence
from augury.models.logistic import fit_logistic


@pytest.fixture(scope="module")
def digits():
    """All digits 3 v 8, pixels in [0, 1]."""
    data = load("digits")
    x, y = np.concatenate([data.train.x, data.test.x]), np.concatenate([data.train.y, data.test.y])
    keep = np.isin(y, (3, 8))
    return x[keep].reshape(keep.sum(), -1) / 255, (y[keep] == 8).astype(np.int64)


def left_out_losses(X, y, C, model):
    change = []
    for i in range(len(X)):
        rest = np.arange(len(X)) != i
        refit = fit_logistic(X[rest], y[rest], C, start=model.theta)
        change.append(refit.losses(X[i : i + 1], y[i : i + 1])[0])
    return np.array(change) - model.losses(X, y)


@pytest.mark.parametrize("C", [0.1, 1.0, 10.0])
def test_ranks_points_as_leaving_them_out_does(digits, C):
    X, y = digits
    model = fit_logistic(X, y, C)
    scores = self_influence(model, X, y, regularised=True)
    actual = left_out_losses(X, y, C, model)
    assert spearmanr(scores.influence, actual).statistic >= 0.99

    def slope(predicted):
        return predicted @ actual / (predicted @ predicted)

    # the first order falls short where leverage is high, the more the weaker the penalty; one Newton step less so
    first_order, corrected = slope(scores.influence / len(X)), slope(scores.corrected / len(X))
    low, high = {0.1: (0.9, 1.1), 1.0: (1.3, 2.0), 10.0: (2.0, 4.2)}[C]
    assert low <= first_order <= high
    assert abs(corrected - 1) < 0.55 * abs(first_order - 1)


@pytest.mark.parametrize("regularised", [False, True])
@pytest.mark.parametrize("weighted", [False, True])
def test_equals_gradient_and_hessian_by_autograd(regularised, weighted):
    draw = np.random.default_rng(1)
    X = draw.normal(size=(60, 4))
    y = (X @ [1, -1, 0.5, 0] + draw.normal(size=60) > 0).astype(np.int64)
    weight = draw.uniform(0.2, 1.5, 60) if weighted else np.ones(60)
    model = fit_logistic(X, y, 2.0, sample_weight=weight)
    scores = self_influence(model, X, y, regularised=regularised, sample_weight=weight)
    Z, t = torch.tensor(np.c_[X, np.ones(60)]), torch.tensor(y, dtype=torch.float64)
    theta = torch.tensor(model.theta)

    def losses(theta):
        return torch.nn.functional.binary_cross_entropy_with_logits(Z @ theta, t, reduction="none")

    def mean_objective(theta):
        penalty = theta[:-1].square().sum() / (2 * model.C * 60) if regularised else 0.0
        return (torch.tensor(weight) * losses(theta)).mean() + penalty

    gradients = torch.func.jacrev(losses)(theta)
    hessian = torch.func.hessian(mean_objective)(theta)
    expected = (gradients * torch.linalg.solve(hessian, gradients.T).T).sum(1).numpy()
    np.testing.assert_allclose(scores.influence, expected, rtol=1e-6)


def test_the_corrected_value_is_the_newton_step_without_the_point():
    draw = np.random.default_rng(2)
    X = draw.normal(size=(40, 3))
    y = (X[:, 0] + draw.normal(size=40) > 0).astype(np.int64)
    model = fit_logistic(X, y, 5.0)
    scores = self_influence(model, X, y, regularised=True)
    Z = np.c_[X, np.ones(40)]
    p = 1 / (1 + np.exp(-Z @ model.theta))
    penalty = np.diag([1 / 5.0] * 3 + [0.0])
    for i in range(0, 40, 7):
        rest = np.arange(40) != i
        hessian = (Z[rest] * (p * (1 - p))[rest, None]).T @ Z[rest] + penalty
        gradient = (p[i] - y[i]) * Z[i]
        assert scores.corrected[i] / 40 == pytest.approx(gradient @ np.linalg.solve(hessian, gradient), rel=1e-8)


def test_dead_features_leave_the_scores_unchanged():
    draw = np.random.default_rng(3)
    X = draw.normal(size=(50, 3))
    y = (X[:, 0] + draw.normal(size=50) > 0).astype(np.int64)
    dead = np.c_[X, np.zeros((50, 2))]
    plain = self_influence(fit_logistic(X, y, 1.0), X, y).influence
    padded = self_influence(fit_logistic(dead, y, 1.0), dead, y).influence
    np.testing.assert_allclose(plain, padded, rtol=1e-6)


def test_a_model_of_other_features_is_refused():
    X = np.random.default_rng(4).normal(size=(20, 3))
    y = (X[:, 0] > 0).astype(np.int64)
    with pytest.raises(ModelError, match="3 features, not 2"):
        self_influence(fit_logistic(X, y), X[:, :2], y)
