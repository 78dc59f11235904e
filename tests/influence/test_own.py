"""Closed-form self-influence against autograd, leave-one-out refits and the Sherman-Morrison identity, in float64."""

import numpy as np
import pytest
import torch
from scipy.stats import spearmanr

from augury.data import load
from augury.errors import ModelError
from augury.influence import closed_forms
from augury.influence.classifier import ClassifierInfluence
from augury.models.logistic import fit_logistic
from augury.models.softmax import fit_softmax


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
    scores = ClassifierInfluence(model, X, y).own()
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
    scores = ClassifierInfluence(model, X, y, regularised=regularised, sample_weight=weight).own()
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
    scores = ClassifierInfluence(model, X, y).own()
    Z = np.c_[X, np.ones(40)]
    p = 1 / (1 + np.exp(-Z @ model.theta))
    penalty = np.diag([1 / 5.0] * 3 + [0.0])
    for i in range(0, 40, 7):
        rest = np.arange(40) != i
        hessian = (Z[rest] * (p * (1 - p))[rest, None]).T @ Z[rest] + penalty
        gradient = (p[i] - y[i]) * Z[i]
        assert scores.corrected[i] / 40 == pytest.approx(gradient @ np.linalg.solve(hessian, gradient), rel=1e-8)


@pytest.mark.parametrize("classes", [2, 3])
def test_times_the_weight_it_is_the_change_when_the_point_is_left_out(classes):
    draw = np.random.default_rng(8)
    X = draw.normal(size=(200, 3))
    y = (X @ draw.normal(size=(3, classes)) + draw.gumbel(size=(200, classes))).argmax(1)
    weight = np.where(np.arange(200) % 5 == 0, 4.0, 1.0)
    fit = fit_logistic if classes == 2 else fit_softmax
    model = fit(X, y, 1.0, sample_weight=weight)
    scores = ClassifierInfluence(model, X, y, sample_weight=weight).own()
    for i in range(0, 40, 3):
        rest = np.arange(200) != i
        refit = fit(X[rest], y[rest], 1.0, sample_weight=weight[rest], start=model.theta)
        change = (refit.losses(X[i : i + 1], y[i : i + 1]) - model.losses(X[i : i + 1], y[i : i + 1]))[0]
        assert weight[i] * scores.corrected[i] / 200 == pytest.approx(change, rel=0.15)
        assert weight[i] * scores.influence[i] / 200 == pytest.approx(change, rel=0.3)


def test_dead_features_leave_the_scores_unchanged():
    draw = np.random.default_rng(3)
    X = draw.normal(size=(50, 3))
    y = (X[:, 0] + draw.normal(size=50) > 0).astype(np.int64)
    dead = np.c_[X, np.zeros((50, 2))]
    options = {"regularised": False, "damping": 1e-10}
    plain = ClassifierInfluence(fit_logistic(X, y, 1.0), X, y, **options).own().influence
    padded = ClassifierInfluence(fit_logistic(dead, y, 1.0), dead, y, **options).own().influence
    np.testing.assert_allclose(plain, padded, rtol=1e-6)


@pytest.mark.parametrize("regularised", [False, True])
def test_of_several_classes_equals_gradient_and_hessian_by_autograd(regularised, monkeypatch):
    draw = np.random.default_rng(5)
    X = draw.normal(size=(60, 4))
    y = (X @ draw.normal(size=(4, 3)) + draw.gumbel(size=(60, 3))).argmax(1)
    weight = draw.uniform(0.2, 1.5, 60)
    model = fit_softmax(X, y, 2.0, sample_weight=weight)
    scores = ClassifierInfluence(model, X, y, sample_weight=weight, regularised=regularised).own()
    Z, t, v = torch.tensor(np.c_[X, np.ones(60)]), torch.tensor(y), torch.tensor(weight)
    theta = torch.tensor(model.theta.ravel())

    def losses(theta):
        return torch.nn.functional.cross_entropy(Z @ theta.reshape(3, 5).T, t, reduction="none")

    def without(theta, i):
        penalty = theta.reshape(3, 5)[:, :-1].square().sum() / (2 * model.C * 60) if regularised else 0.0
        return (v * losses(theta) * (torch.arange(60) != i)).sum() / 60 + penalty

    gradients = torch.func.jacrev(losses)(theta)
    for point, values in ((None, scores.influence), *((i, scores.corrected) for i in range(0, 60, 11))):
        hessian = torch.func.hessian(lambda th, point=point: without(th, -1 if point is None else point))(theta)
        inverse = torch.linalg.pinv(hessian, hermitian=True, rtol=1e-12)  # shifts of all classes change nothing
        expected = ((gradients @ inverse) * gradients).sum(1).numpy()
        chosen = slice(None) if point is None else slice(point, point + 1)
        np.testing.assert_allclose(values[chosen], expected[chosen], rtol=1e-8)
    monkeypatch.setattr(closed_forms, "BUDGET", 5_000)
    some = ClassifierInfluence(model, X, y, sample_weight=weight, regularised=regularised).own(7)
    np.testing.assert_allclose(some.corrected, scores.corrected[:7], rtol=1e-10)


def test_two_classes_are_the_same_in_both_forms():
    draw = np.random.default_rng(6)
    X = draw.normal(size=(50, 3))
    y = (X[:, 0] + draw.normal(size=50) > 0).astype(np.int64)
    one = ClassifierInfluence(fit_logistic(X, y, 4.0, tol=1e-18), X, y).own()
    two = ClassifierInfluence(fit_softmax(X, y, 2.0), X, y).own()
    np.testing.assert_allclose(one.influence, two.influence, rtol=1e-8)
    np.testing.assert_allclose(one.corrected, two.corrected, rtol=1e-8)


def test_scores_are_those_of_the_formula_with_the_sigmoid_itself():
    """The subsampling study's formula, r^2 x'(H + 1e-10 I)^-1 x with r = sigma - y and s = sigma (1 - sigma)."""
    draw = np.random.default_rng(7)
    X = np.maximum(draw.normal(size=(300, 40)) + np.linspace(-6, 1, 40), 0)  # ReLU features, some of them dead
    y = (X[:, -1] + draw.normal(size=300) > 1).astype(np.int64)
    model = fit_logistic(X, y, 10.0)
    Z = np.c_[X, np.ones(300)]
    sigma = 1 / (1 + np.exp(-Z @ model.theta))
    values, vectors = np.linalg.eigh((Z * (sigma * (1 - sigma))[:, None]).T @ Z / 300 + 1e-10 * np.eye(41))
    expected = (sigma - y) ** 2 * ((Z @ vectors) ** 2 @ (1 / np.maximum(values, 1e-10)))
    found = ClassifierInfluence(model, X, y, regularised=False, damping=1e-10).own().influence
    np.testing.assert_allclose(found, expected, rtol=1e-9)
    assert (np.argsort(found) == np.argsort(expected)).all()


def test_a_model_of_other_features_and_bad_weights_are_refused():
    X = np.random.default_rng(4).normal(size=(20, 3))
    y = (X[:, 0] > 0).astype(np.int64)
    model = fit_logistic(X, y)
    with pytest.raises(ModelError, match="3 features; the training points have shape"):
        ClassifierInfluence(model, X[:, :2], y)
    for weight in (np.ones(19), np.zeros(20), np.full(20, np.nan), -np.ones(20)):
        with pytest.raises(ModelError, match="sample_weight must be 20 finite numbers"):
            ClassifierInfluence(model, X, y, sample_weight=weight)
    with pytest.raises(ModelError, match="damping is -1"):
        ClassifierInfluence(model, X, y, damping=-1.0)
