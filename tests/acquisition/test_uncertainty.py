"""Entropy and BALD by hand and by their inequalities; dropout masks against expectations in closed form."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import expit, log_softmax
from torch import nn

from augury.acquisition.uncertainty import bald, dropout_log_probabilities, entropy, masked_log_probabilities
from augury.errors import ModelError, ParameterError
from augury.models.logistic import Logistic
from augury.models.softmax import Softmax
from augury.seeding import rng, torch_generator


def logs(p):
    with np.errstate(divide="ignore"):
        return np.log(np.asarray(p, float))


def test_entropy_by_hand():
    found = entropy(logs([[1, 0, 0], [0.5, 0.5, 0], [1 / 3, 1 / 3, 1 / 3], [0.9, 0.1, 0]]))
    by_hand = [0, np.log(2), np.log(3), -(0.9 * np.log(0.9) + 0.1 * np.log(0.1))]
    np.testing.assert_allclose(found, by_hand, rtol=1e-14)


def test_bald_by_hand():
    """Points: masks that contradict each other; equal masks, sure and unsure; (3/4, 1/4) against (1/4, 3/4)."""
    first, second = [[1, 0], [1, 0], [0.5, 0.5], [0.75, 0.25]], [[0, 1], [1, 0], [0.5, 0.5], [0.25, 0.75]]
    between = np.log(2) + 0.75 * np.log(0.75) + 0.25 * np.log(0.25)
    np.testing.assert_allclose(bald(logs([first, second])), [np.log(2), 0, 0, between], rtol=1e-14, atol=1e-15)


@given(
    seed=st.integers(0, 10**6),
    draws=st.integers(1, 6),
    classes=st.integers(2, 6),
    scale=st.floats(1e-3, 1e3),
)
def test_bald_is_the_information_between_label_and_draw(seed, draws, classes, scale):
    log_p = log_softmax(rng(seed, "bald").normal(scale=scale, size=(draws, 8, classes)), axis=-1)
    found, mean = bald(log_p), np.exp(log_p).mean(0)
    total = entropy(logs(mean / mean.sum(-1, keepdims=True)))
    assert (found >= 0).all()
    assert (found <= np.minimum(total, np.log(draws)) + 1e-12).all()
    np.testing.assert_allclose(found, total - entropy(log_p).mean(0), rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("seed", range(5))
def test_bald_keeps_its_digits_where_the_draws_hardly_differ(seed):
    """For small differences it is sum_c Var(P_c) / (2 P_c), here about 1e-16: lost in a difference of entropies."""
    p = rng(seed, "base").dirichlet(np.ones(4))
    shift = 1e-8 * rng(seed, "shift").normal(size=(6, 4))
    shift -= shift.mean(0)
    shift -= (p * shift).sum(1, keepdims=True)  # relative changes that keep the sum over the classes
    expected = (p * (shift**2).mean(0) / 2).sum()
    assert bald((np.log(p) + np.log1p(shift))[:, None])[0] == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize(
    ("measure", "log_p", "message"),
    [
        (bald, logs([[0.5, 0.5]]), "3 axes"),
        (bald, np.zeros((0, 4, 2)), "3 axes"),
        (entropy, np.zeros(2), "2 axes"),
        (entropy, np.array([[0.5, 0.5]]), "sum to one"),
        (entropy, np.array([[np.nan, 0.0]]), "sum to one"),
    ],
)
def test_what_is_no_logarithm_of_probabilities_is_refused(measure, log_p, message):
    with pytest.raises(ModelError, match=message):
        measure(log_p)


class Toy(nn.Module):
    """Logits (0, w'x) behind dropout."""

    def __init__(self, rate: float) -> None:
        super().__init__()
        self.dropout = nn.Dropout(rate)
        self.head = nn.Linear(3, 1, bias=False).double()
        self.head.weight.data = torch.tensor([[1.0, -2.0, 0.5]], dtype=torch.float64)

    def forward(self, x):
        z = self.head(self.dropout(x))
        return torch.cat([torch.zeros_like(z), z], 1)


W = np.array([1.0, -2.0, 0.5])
MASKS = np.stack(np.meshgrid(*[[0.0, 1.0]] * 3, indexing="ij"), -1).reshape(-1, 3)  # all eight


def expected_probability(x, rate):
    """E sigma(w'(x * mask) / (1 - rate)) over all masks, their probabilities, and the standard deviation."""
    weight = (rate ** (1 - MASKS) * (1 - rate) ** MASKS).prod(1)
    p = expit(MASKS @ (W * x) / (1 - rate))
    mean = weight @ p
    return mean, np.sqrt(weight @ (p - mean) ** 2)


def test_network_masks_have_the_expected_mean_and_spread():
    x = torch.tensor([[1.0, 0.3, -2.0], [0.5, -1.0, 1.0]], dtype=torch.float64)
    found = np.exp(dropout_log_probabilities(Toy(0.3), x, 4000, torch_generator(0, "masks")))
    assert found.shape == (4000, 2, 2) and found.dtype == np.float64
    for i in range(2):
        mean, spread = expected_probability(x[i].numpy(), 0.3)
        assert abs(found[:, i, 1].mean() - mean) < 3.5 * spread / np.sqrt(4000)
        assert found[:, i, 1].std() == pytest.approx(spread, rel=0.05)
    centred = found[:, :, 1] - found[:, :, 1].mean(0)
    correlation = (centred[:, 0] * centred[:, 1]).mean() / centred.std(0).prod()
    assert abs(correlation) < 3.5 / np.sqrt(4000)  # each point has masks of its own


@pytest.mark.parametrize(
    "model", [Logistic(np.r_[W, 0.0], 1.0), Softmax(np.stack([-np.r_[W, 0.0], np.r_[W, 0.0]]) / 2, 1.0)]
)
def test_regression_masks_have_the_expected_mean_and_spread(model):
    X = np.array([[1.0, 0.3, -2.0], [0.5, -1.0, 1.0]])
    found = np.exp(masked_log_probabilities(model, X, 0.3, 4000, rng(0, "masks")))
    assert found.shape == (4000, 2, 2)
    for i in range(2):
        mean, spread = expected_probability(X[i], 0.3)
        assert abs(found[:, i, 1].mean() - mean) < 3.5 * spread / np.sqrt(4000)
        assert found[:, i, 1].std() == pytest.approx(spread, rel=0.05)


@given(seed=st.integers(0, 10**6), rate=st.sampled_from([0.0, 0.2, 0.5, 0.9]), classes=st.integers(1, 4))
def test_masked_regressions_against_brute_force(seed, rate, classes):
    """The model is asked for its own logits at X with the features dropped, mask by mask."""
    draw = rng(seed, "model")
    X = draw.normal(size=(5, 4))
    theta = draw.normal(size=(classes, 5))
    model = Logistic(theta[0], 1.0) if classes == 1 else Softmax(theta, 1.0)
    found = masked_log_probabilities(model, X, rate, 6, rng(seed, "masks"))
    masks = rng(seed, "masks").random((6, 1, 4)) >= rate
    for log_p, mask in zip(found, masks, strict=True):
        logits = model.decision(X * mask / (1 - rate))
        p = np.stack([1 - expit(logits), expit(logits)], 1) if classes == 1 else np.exp(log_softmax(logits, 1))
        np.testing.assert_allclose(np.exp(log_p), p, rtol=1e-9, atol=1e-13)


def network(rate):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return nn.Sequential(nn.Linear(3, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Dropout(rate), nn.Linear(8, 3)).double()


def points(n=10):
    return torch.randn(n, 3, dtype=torch.float64, generator=torch_generator(0, "points"))


def test_without_dropout_all_passes_are_the_evaluated_network():
    model, x = network(0.0).eval(), points()
    found = dropout_log_probabilities(model, x, 3, torch_generator(0), batch_size=4)
    expected = model(x).log_softmax(1).detach().numpy()
    np.testing.assert_allclose(found, np.broadcast_to(expected, found.shape), rtol=1e-12)


def test_only_dropout_is_as_in_training():
    model, x = network(0.5), points()
    model[3].eval()  # a mixture of modes to come back to
    modes = [module.training for module in model.modules()]
    before = {name: value.clone() for name, value in model.state_dict().items()}
    state = torch.get_rng_state()
    seen = []
    hook = model[1].register_forward_hook(lambda module, inputs, out: seen.append(out.clone()))
    found = dropout_log_probabilities(model, x, 4, torch_generator(0))
    hook.remove()
    assert torch.equal(torch.get_rng_state(), state)
    assert [module.training for module in model.modules()] == modes
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    with torch.no_grad():  # running mean 0 and variance 1, not the batch's
        plain = model[0](x) / np.sqrt(1 + model[1].eps)
    for out in seen:
        torch.testing.assert_close(out, plain)
    assert (np.ptp(found, axis=0) > 0).any()


def test_the_generator_alone_decides_the_masks():
    model, x = network(0.5), points()
    generator = torch_generator(1)
    first, second = (dropout_log_probabilities(model, x, 2, generator) for _ in range(2))
    torch.manual_seed(5)
    np.testing.assert_array_equal(dropout_log_probabilities(model, x, 2, torch_generator(1)), first)
    assert (first != second).any() and (first[0] != first[1]).any()


def test_a_model_on_the_cpu_leaves_other_devices_generators(monkeypatch):
    model = network(0.5)
    monkeypatch.setattr(torch.cuda, "manual_seed_all", lambda seed: pytest.fail("another device was seeded"))
    dropout_log_probabilities(model, points(), 1, torch_generator(0))


def test_modes_come_back_after_a_failure():
    model = network(0.5)
    with pytest.raises(RuntimeError):
        dropout_log_probabilities(model, torch.zeros(2, 7, dtype=torch.float64), 2, torch_generator(0))
    assert all(module.training for module in model.modules())


def test_bad_requests_are_refused():
    x, model = points(), Logistic(np.zeros(4), 1.0)
    with pytest.raises(ParameterError, match="passes 0"):
        dropout_log_probabilities(network(0.5), x, 0, torch_generator(0))
    with pytest.raises(ParameterError, match="batch_size 0"):
        dropout_log_probabilities(network(0.5), x, 1, torch_generator(0), batch_size=0)
    with pytest.raises(ModelError, match="no dropout layer"):
        dropout_log_probabilities(nn.Linear(3, 2), x, 2, torch_generator(0))
    with pytest.raises(ModelError, match="has no parameters"):
        dropout_log_probabilities(nn.Dropout(0.5), x, 2, torch_generator(0))
    with pytest.raises(ModelError, match="not finite; remove or impute"):
        masked_log_probabilities(model, np.full((2, 3), np.nan), 0.5, 2, rng(0))
    for rate, passes in ((1.0, 2), (-0.1, 2), (0.5, 0)):
        with pytest.raises(ParameterError, match=r"in \[0, 1\)"):
            masked_log_probabilities(model, np.zeros((2, 3)), rate, passes, rng(0))
    with pytest.raises(ModelError, match="3 features"):
        masked_log_probabilities(model, np.zeros((2, 4)), 0.5, 2, rng(0))
