"""Multinomial regression against scikit-learn, autograd's gradient, and the binary regression of two classes."""

import numpy as np
import pytest
import torch
from scipy.special import softmax
from sklearn.linear_model import LogisticRegression

from augury.errors import ModelError
from augury.models.logistic import fit_logistic
from augury.models.softmax import Softmax, data_hessian, fit_softmax, residuals, shift_projector


def problem(n=80, p=4, classes=3, seed=0):
    draw = np.random.default_rng(seed)
    X, T = draw.normal(size=(n, p)), draw.normal(size=(classes, p))
    return X, (X @ T.T + draw.gumbel(size=(n, classes))).argmax(1)


def objective(theta, X, y, C, weight):
    logits = torch.tensor(X) @ theta[:, :-1].T + theta[:, -1]
    losses = torch.nn.functional.cross_entropy(logits, torch.tensor(y), reduction="none")
    return C * (torch.tensor(weight) * losses).sum() + theta[:, :-1].square().sum() / 2


@pytest.mark.parametrize("classes", [2, 3, 6])
@pytest.mark.parametrize("weighted", [False, True])
def test_the_gradient_of_the_objective_vanishes(classes, weighted):
    X, y = problem(classes=classes)
    weight = np.random.default_rng(1).uniform(0.2, 2, len(X)) if weighted else np.ones(len(X))
    model = fit_softmax(X, y, 3.0, sample_weight=weight if weighted else None)
    theta = torch.tensor(model.theta, requires_grad=True)
    (gradient,) = torch.autograd.grad(objective(theta, X, y, 3.0, weight), theta)
    assert gradient.abs().max() < 1e-10
    np.testing.assert_allclose(model.theta.sum(0), 0, atol=1e-10)  # weights by the penalty, intercepts by choice


def test_agrees_with_scikit_learn_and_scores_as_it_does():
    X, y = problem()
    model = fit_softmax(X, y, 0.7)
    peer = LogisticRegression(C=0.7, tol=1e-12, max_iter=10_000).fit(X, y)
    np.testing.assert_allclose(model.probabilities(X), peer.predict_proba(X), atol=1e-6)
    assert model.accuracy(X, y) == peer.score(X, y)
    np.testing.assert_allclose(model.losses(X, y), -np.log(softmax(model.decision(X), axis=1)[np.arange(len(y)), y]))


def test_two_classes_are_the_binary_regression_with_twice_c():
    X, y = problem(classes=2)
    pair, single = fit_softmax(X, y, 2.0), fit_logistic(X, y, 4.0)
    np.testing.assert_allclose(pair.theta[1] - pair.theta[0], single.theta, rtol=1e-12)
    np.testing.assert_allclose(pair.losses(X, y), single.losses(X, y), rtol=1e-12)


def test_a_warm_start_ends_where_a_cold_one_does():
    X, y = problem(classes=4)
    cold = fit_softmax(X, y, 2.0)
    start = cold.theta + np.random.default_rng(0).normal(size=cold.theta.shape)
    np.testing.assert_allclose(fit_softmax(X, y, 2.0, start=start).theta, cold.theta, atol=1e-9)


def test_the_hessian_is_autograds_and_the_shifts_are_its_null_space():
    X, y = problem(n=30, p=2)
    model = fit_softmax(X, y)
    Z = np.c_[X, np.ones(30)]
    found = data_hessian(model.probabilities(X), Z)

    def total(flat):
        logits = torch.tensor(Z) @ flat.reshape(3, 3).T
        return torch.nn.functional.cross_entropy(logits, torch.tensor(y), reduction="sum")

    expected = torch.func.hessian(total)(torch.tensor(model.theta.ravel())).numpy()
    np.testing.assert_allclose(found, expected, atol=1e-12)
    np.testing.assert_allclose(found @ shift_projector(3, 3), 0, atol=1e-12)
    assert np.linalg.matrix_rank(found) == 6


def test_residuals_keep_their_digits_where_the_probability_rounds_to_one():
    log_p = np.array([[0.0, -50.0, -60.0], [-1.0, np.log1p(-np.exp(-1.0)) - 1e-12, -200.0]])
    found = residuals(log_p, np.array([0, 1]))
    np.testing.assert_allclose(found[0], [-np.exp(-50) - np.exp(-60), np.exp(-50), np.exp(-60)], rtol=1e-12)
    np.testing.assert_allclose(found.sum(1), 0, atol=1e-16)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"y": np.array([0, 1, 3] * 10)}, "0 to 3, all present"),
        ({"y": np.zeros(30, int)}, "all present"),
        ({"y": np.array([0, 1, 2])}, "one label a row"),
        ({"y": np.array([0, 1, -1] * 10)}, "all present"),
        ({"classes": 4}, "0 to 3, all present"),
        ({"C": 0.0}, "must be positive"),
        ({"X": np.full((30, 2), np.nan)}, "not finite"),
    ],
)
def test_bad_input_is_refused(change, message):
    given = {"X": problem(30, 2)[0], "y": np.array([0, 1, 2] * 10)} | change
    with pytest.raises(ModelError, match=message):
        fit_softmax(**given)


def test_a_separable_problem_without_enough_penalty_is_still_solved_exactly():
    X = np.array([[0.0, 1.0], [1.0, 0.0], [-1.0, -1.0]] * 4)
    y = np.array([0, 1, 2] * 4)
    model = fit_softmax(X, y, 1e3)
    theta = torch.tensor(model.theta, requires_grad=True)
    (gradient,) = torch.autograd.grad(objective(theta, X, y, 1e3, np.ones(12)), theta)
    assert gradient.abs().max() < 1e-8 and isinstance(model, Softmax)
