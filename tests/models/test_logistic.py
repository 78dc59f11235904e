"""Newton's logistic regression against scikit-learn and the optimality condition."""

import numpy as np
import pytest
from scipy.special import expit
from sklearn.datasets import load_breast_cancer
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from augury.errors import ModelError
from augury.models.logistic import fit_logistic, with_intercept


def data():
    X, y = load_breast_cancer(return_X_y=True)
    return StandardScaler().fit_transform(X), y


@pytest.mark.parametrize("C", [0.1, 1.0, 10.0])
@pytest.mark.parametrize("weighted", [False, True])
def test_agrees_with_scikit_learn(C, weighted):
    X, y = data()
    weight = np.random.default_rng(0).uniform(0.1, 2, len(y)) if weighted else None
    ours = fit_logistic(X, y, C, sample_weight=weight)
    theirs = LogisticRegression(C=C, tol=1e-10, solver="newton-cholesky", max_iter=1000).fit(X, y, weight)
    np.testing.assert_allclose(ours.theta, np.r_[theirs.coef_[0], theirs.intercept_], atol=1e-6)


def test_the_gradient_vanishes_at_the_optimum_and_warm_starts_end_there_too():
    X, y = data()
    cold = fit_logistic(X, y, 10.0)
    warm = fit_logistic(X, y, 10.0, start=fit_logistic(X[:300], y[:300], 10.0).theta)
    Z = with_intercept(X)
    gradient = 10.0 * Z.T @ (expit(Z @ cold.theta) - y) + np.r_[cold.theta[:-1], 0]
    assert np.abs(gradient).max() < 1e-6
    np.testing.assert_allclose(cold.theta, warm.theta, atol=1e-7)


def test_separable_points_far_apart_still_reach_the_optimum():
    X = np.r_[np.full((5, 1), -40.0), np.full((5, 1), 60.0)]
    y = np.r_[np.zeros(5), np.ones(5)]
    model = fit_logistic(X, y, 1e4)
    assert model.accuracy(X, y) == 1
    gradient = 1e4 * with_intercept(X).T @ (expit(model.decision(X)) - y) + np.r_[model.theta[:-1], 0]
    assert np.abs(gradient).max() < 1e-3


def test_losses_are_the_negative_log_likelihood():
    X, y = data()
    model = fit_logistic(X, y, 1.0)
    p = expit(model.decision(X))
    np.testing.assert_allclose(model.losses(X, y), -np.log(np.where(y == 1, p, 1 - p)), rtol=1e-8, atol=1e-14)


@pytest.mark.parametrize(
    ("X", "y", "C", "match"),
    [
        (np.array([[np.nan], [1.0]]), np.array([0, 1]), 1.0, "not finite"),
        (np.ones((2, 1)), np.array([0, 1]), 0.0, "positive"),
        (np.ones((2, 1)), np.array([1, 1]), 1.0, "both present"),
        (np.ones((2, 1)), np.array([1, 2]), 1.0, "labels 0 and 1"),
    ],
)
def test_bad_input_is_named(X, y, C, match):
    with pytest.raises(ModelError, match=match):
        fit_logistic(X, y, C)
