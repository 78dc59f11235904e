"""Replicas against PyTorch's own loop one at a time, optima against scikit-learn and the objective's gradient."""

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from torch import nn

from augury.errors import ModelError, ParameterError
from augury.seeding import torch_generator
from augury.trimming.descent import Descent, Exact


def blobs(n=60, seed=0):
    draw = np.random.default_rng(seed)
    y = draw.integers(0, 2, n)
    return draw.standard_normal((n, 3)) + 0.7 * np.where(y == 1, 1.0, -1.0)[:, None] * [1.0, 0.3, 0.0], y


def kept(n, *removed):
    rows = np.ones((len(removed), n))
    for row, points in zip(rows, removed, strict=True):
        row[points] = 0
    return rows


def descent(**changed):
    settings = {"seed": 4, "optimiser": "SGD", "lr": 0.1, "weight_decay": 0.01, "epochs": 5, "batch": 7}
    return Descent(**settings | changed)


def alone(learner, X, y, removed):
    """One regression trained by autograd on the batches that are left, as anyone would write it."""
    layer = nn.Linear(X.shape[1], 1, dtype=torch.float64)
    nn.init.zeros_(layer.weight)
    nn.init.zeros_(layer.bias)
    groups = [{"params": [layer.weight], "weight_decay": learner.weight_decay}, {"params": [layer.bias]}]
    steps = getattr(torch.optim, learner.optimiser)(groups, lr=learner.lr)
    generator = torch_generator(learner.seed, "trimming", "batches")
    x, target = torch.from_numpy(X), torch.from_numpy(y).double()
    for _ in range(learner.epochs):
        for rows in torch.randperm(len(X), generator=generator).split(learner.batch):
            rows = rows[~torch.isin(rows, torch.tensor(removed, dtype=torch.int64))]
            loss = nn.functional.binary_cross_entropy_with_logits(layer(x[rows])[:, 0], target[rows])
            steps.zero_grad()
            (loss if len(rows) else 0 * layer.weight.sum() + 0 * layer.bias.sum()).backward()
            steps.step()
    return torch.cat([layer.weight[0], layer.bias]).detach().numpy()


@pytest.mark.parametrize("optimiser, lr", [("SGD", 0.1), ("Adam", 0.03)])
def test_each_replica_is_the_training_without_its_points(optimiser, lr):
    X, y = blobs()
    learner = descent(optimiser=optimiser, lr=lr)
    # The last set lacks the whole first batch, of which only the decay is left.
    first = torch.randperm(60, generator=torch_generator(4, "trimming", "batches"))[:7].tolist()
    removed = ([], [0, 7, 12], first)
    fits = learner.fit((X, y), kept(60, *removed))
    for model, points in zip(fits.models, removed, strict=True):
        np.testing.assert_allclose(model.theta, alone(learner, X, y, points), rtol=1e-10, atol=1e-12)
        assert pytest.approx(1 / (0.01 * (60 - len(points)))) == model.C
    other = descent(optimiser=optimiser, lr=lr, seed=5).fit((X, y), kept(60, []))
    assert not np.allclose(other.models[0].theta, fits.models[0].theta, rtol=1e-3)


def test_a_long_descent_in_one_batch_ends_at_the_optimum():
    train, rows = blobs(), kept(60, [], [3, 4, 5, 6])
    long = descent(lr=1.0, epochs=2000, batch=60).fit(train, rows)
    for far, exact in zip(long.models, Exact(0.01).fit(train, rows).models, strict=True):
        np.testing.assert_allclose(far.theta, exact.theta, atol=1e-6)


def test_optima_are_those_of_mean_loss_and_penalty_over_the_points_kept():
    (X, y), removed = blobs(), ([], [0, 7, 12], list(range(20)))
    fits = Exact(0.05).fit((X, y), kept(60, *removed))
    for model, points in zip(fits.models, removed, strict=True):
        x, target = np.delete(X, points, 0), np.delete(y, points)
        residual = 1 / (1 + np.exp(-(x @ model.theta[:-1] + model.theta[-1]))) - target
        np.testing.assert_allclose(x.T @ residual / len(x) + 0.05 * model.theta[:-1], 0, atol=1e-6)
        assert abs(residual.mean()) < 1e-6
        peer = LogisticRegression(C=1 / (0.05 * len(x)), tol=1e-10, max_iter=1000).fit(x, target)
        np.testing.assert_allclose(model.theta, np.r_[peer.coef_[0], peer.intercept_], atol=1e-5)


@pytest.mark.parametrize("changed", [{"optimiser": "LBFGS"}, {"lr": 0.0}, {"epochs": 0}, {"batch": 0}])
def test_settings_out_of_range_are_refused(changed):
    with pytest.raises(ParameterError, match="needs one of SGD, Adam and a positive lr, epochs and batch"):
        descent(**changed).fit(blobs(10), np.ones((1, 10)))


@pytest.mark.parametrize("learner", [descent(weight_decay=0.0), Exact(-1.0)])
def test_no_penalty_is_refused(learner):
    with pytest.raises(ParameterError, match="weight decay must be positive"):
        learner.fit(blobs(10), np.ones((1, 10)))


def test_a_descent_that_diverges_is_refused():
    X, y = blobs(10)
    with pytest.raises(ModelError, match="lower lr"):
        descent(lr=1e200).fit((1e200 * X, y), np.ones((1, 10)))
