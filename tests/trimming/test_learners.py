"""Refits by weights of 0 against refits without the points, gradients against finite differences, and the scores."""

import numpy as np
import pytest
import torch

from augury.errors import ModelError, ParameterError
from augury.models.logistic import fit_logistic
from augury.models.mlp import MLP
from augury.trimming.learners import Linear, Network, NetworkFits


def blobs(n: int, seed: int = 0, apart: float = 1.5) -> tuple[np.ndarray, np.ndarray]:
    draw = np.random.default_rng(seed)
    y = np.arange(n) % 2
    return draw.standard_normal((n, 2)) + apart * np.where(y == 1, 1.0, -1.0)[:, None] * [1.0, 0.3], y


def net(steps: int = 60, **changed) -> Network:
    return Network(**{"seed": 3, "width": 5, "steps": steps, "lr": 0.02, "l2": 1e-2, "damping": 0.1} | changed)


def kept(n: int, *removed: list[int]) -> np.ndarray:
    rows = np.ones((len(removed), n))
    for row, points in zip(rows, removed, strict=True):
        row[points] = 0
    return rows


def test_logistic_refits_are_those_without_the_points():
    X, y = blobs(40)
    removed = ([], [0, 7, 12], [39])
    fits = Linear(10.0).fit((X, y), kept(40, *removed))
    for r, points in enumerate(removed):
        alone = fit_logistic(np.delete(X, points, 0), np.delete(y, points), 10.0)
        np.testing.assert_allclose(fits.models[r].theta, alone.theta, rtol=1e-9)
        np.testing.assert_allclose(fits.decision(X)[r], alone.decision(X), rtol=1e-9)


def test_network_refits_are_those_without_the_points():
    X, y = blobs(40)
    removed = ([], [0, 7, 12], [39])
    together = net().fit((X, y), kept(40, *removed)).decision(X)
    for r, points in enumerate(removed):
        rest = np.delete(X, points, 0), np.delete(y, points)
        alone = net().fit(rest, np.ones((1, len(rest[1]))))
        np.testing.assert_allclose(together[r], alone.decision(X)[0], rtol=1e-8, atol=1e-10)
    assert not np.allclose(together[0], together[1], rtol=1e-3)


def objective(fits: NetworkFits, r: int, X: np.ndarray, y: np.ndarray, l2: float) -> float:
    parameters = [p.detach()[r].numpy() for p in fits.model.parameters()]
    z = fits.decision(X)[r]
    losses = np.logaddexp(0, np.where(y == 1, -z, z))
    return losses.mean() + l2 / 2 * sum((p**2).sum() for p in parameters)


def test_training_goes_down_to_where_no_direction_leads_further_down():
    X, y = blobs(60, apart=1.0)
    fits = net(steps=2000).fit((X, y), np.ones((1, 60)))
    least = objective(fits, 0, X, y, 1e-2)
    assert least < objective(net(steps=20).fit((X, y), np.ones((1, 60))), 0, X, y, 1e-2) - 0.01
    draw = torch.Generator().manual_seed(0)
    for _ in range(20):
        moved = MLP(2, 1, 2, [3], 5).double().requires_grad_(False)
        moved.load_state_dict(fits.model.state_dict())
        for p in moved.parameters():
            p += 1e-2 * torch.randn(p.shape, generator=draw, dtype=p.dtype)
        assert objective(NetworkFits(moved, 0, 0), 0, X, y, 1e-2) > least - 1e-6


def test_the_penalty_is_half_l2_times_the_squared_norm():
    # At a minimum inside the linear pieces of the network, the gradient of mean loss + l2 / 2 |theta|^2 vanishes along
    # theta itself, where moving changes no unit's sign.
    X, y = blobs(60, apart=0.5)
    fits = net(steps=4000, l2=0.03).fit((X, y), np.ones((1, 60)))
    model, h = fits.model, 1e-5
    values = []
    for scale in (1 - h, 1 + h):
        moved = MLP(2, 1, 2, [3], 5).double().requires_grad_(False)
        moved.load_state_dict({name: scale * p for name, p in model.state_dict().items()})
        values.append(objective(NetworkFits(moved, 0, 0), 0, X, y, 0.03))
    norm = sum(p.square().sum().item() for p in model.parameters())
    assert norm > 0.1 and abs(values[1] - values[0]) / (2 * h) < 0.02 * 0.03 * norm


def test_a_network_alone_is_the_replica_with_logits_for_both_classes():
    X, y = blobs(20)
    fits = net().fit((X, y), kept(20, [], [1, 2]))
    for r in range(2):
        logits = fits.alone(r)(torch.from_numpy(X)).detach().numpy()
        assert logits.shape == (20, 2) and (logits[:, 0] == 0).all()
        np.testing.assert_allclose(logits[:, 1], fits.decision(X)[r], rtol=1e-12)


@pytest.mark.parametrize("learner", [Linear(100.0), net(steps=400)])
def test_scores_are_those_of_the_first_fit_and_tell_removal_by_refitting(learner):
    # IV / n is the first-order change of the mean validation loss when a point is removed.
    train, validation = blobs(60, apart=0.7), blobs(200, seed=1, apart=0.7)
    fits = learner.fit(train, kept(60, [], [0, 1, 2, 3, 4]))
    found = fits.scores(train, validation)
    assert set(found) == {"FI", "IV"} and all(s.shape == (60,) for s in found.values())
    assert (found["FI"] >= 0).all() and found["IV"].min() < 0 < found["IV"].max()
    alone = learner.fit(train, np.ones((1, 60))).scores(train, validation)
    np.testing.assert_allclose(found["IV"], alone["IV"], rtol=1e-5)
    X, y = validation
    refits = learner.fit(train, 1 - np.eye(60))
    signs = np.where(y == 1, -1.0, 1.0)
    base = np.logaddexp(0, signs * fits.decision(X)[0]).mean()
    change = np.logaddexp(0, signs * refits.decision(X)).mean(1) - base
    assert np.corrcoef(change, found["IV"])[0, 1] > (0.9 if isinstance(learner, Linear) else 0.6)


@pytest.mark.parametrize("changed", [{"width": 0}, {"steps": 0}, {"lr": 0.0}, {"l2": -1.0}, {"damping": -1.0}])
def test_settings_out_of_range_are_refused(changed):
    with pytest.raises(ParameterError, match="needs a positive width, steps and lr"):
        net(**changed).fit(blobs(10), np.ones((1, 10)))


def test_a_training_that_diverges_is_refused():
    X, y = blobs(10)
    with pytest.raises(ModelError, match="lower lr"):
        net(lr=1e308, steps=5).fit((X * 1e200, y), np.ones((1, 10)))
