"""Integrated Gradients against linear models, captum, finite differences and the lemma, in float64."""

import pytest
import torch
from captum.attr import IntegratedGradients
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from augury.attribution import average_gradients, integrated_gradients
from augury.errors import ModelError, ParameterError

N, FEATURES = 12, 5


def net(outputs=2, activation=nn.ReLU, seed=0):
    """Two hidden layers; biases that are not zero, so that no path is a ray of constant gradient."""
    torch.manual_seed(seed)
    layers = [nn.Linear(FEATURES, 16), activation(), nn.Linear(16, 16), activation(), nn.Linear(16, outputs)]
    model = nn.Sequential(*layers).double()
    for layer in layers[::2]:
        nn.init.normal_(layer.bias)
    return model


def points(n=N, seed=1):
    return torch.randn(n, FEATURES, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def stacked(models):
    """The models as one function of (R, m, k), each on its own rows."""
    depth = range(0, len(models[0]), 2)
    weights = [torch.stack([model[i].weight.mT for model in models]) for i in depth]
    biases = [torch.stack([model[i].bias for model in models])[:, None] for i in depth]

    def f(z):
        for i, (weight, bias) in enumerate(zip(weights, biases, strict=True)):
            z = torch.baddbmm(bias, z if i == 0 else z.relu(), weight)
        return z

    return f


@pytest.mark.parametrize("steps", [1, 7, 100])
def test_a_linear_model_gives_coefficients_and_contributions(steps):
    model, x, baseline = nn.Linear(FEATURES, 3).double(), points(), points(1, seed=2)[0]
    found = integrated_gradients(model, x, baseline, steps)
    coefficients = model.weight.detach()[:, None]  # (K, 1, k)
    torch.testing.assert_close(found.gradients, coefficients.expand(3, N, FEATURES), rtol=1e-13, atol=0)
    torch.testing.assert_close(found.attributions, coefficients * (x - baseline), rtol=1e-13, atol=0)
    assert found.gap.shape == (3, N) and found.gap.abs().max() < 1e-13


@pytest.mark.parametrize("outputs", [1, 2])
@pytest.mark.parametrize(("steps", "rtol"), [(64, 1e-12), (100, 1e-7)])  # captum rounds 1 / steps to single precision
def test_agrees_with_captum(outputs, steps, rtol):
    model, x, baseline = net(outputs), points(), points(1, seed=2)
    found = integrated_gradients(model, x, baseline, steps)
    for c in range(outputs):
        theirs, gap = IntegratedGradients(model).attribute(
            x, baseline, target=c, n_steps=steps, method="riemann_middle", return_convergence_delta=True
        )
        torch.testing.assert_close(found.attributions[c], theirs, rtol=rtol, atol=rtol)
        torch.testing.assert_close(found.gap[c], -gap, rtol=1e-6, atol=rtol)
        averaged = IntegratedGradients(model, multiply_by_inputs=False).attribute(
            x, baseline, target=c, n_steps=steps, method="riemann_middle"
        )
        torch.testing.assert_close(found.gradients[c], averaged, rtol=rtol, atol=rtol)


@pytest.mark.parametrize("shared", [True, False], ids=["shared points", "points of their own"])
def test_replicas_together_are_as_one_at_a_time(shared):
    models = [net(seed=seed) for seed in range(3)]
    x = points().expand(3, -1, -1) if shared else points(3 * N).view(3, N, FEATURES)
    baselines = points(3, seed=2)[:, None]  # (R, 1, k)
    together = integrated_gradients(stacked(models), x, baselines, 20)
    for r, model in enumerate(models):
        alone = integrated_gradients(model, x[r], baselines[r], 20)
        for field in ("attributions", "gradients", "gap"):
            torch.testing.assert_close(getattr(together, field)[:, r], getattr(alone, field), rtol=1e-12, atol=1e-13)


def test_the_gap_closes_at_the_rate_of_the_midpoint_rule():
    model, x = net(activation=nn.Tanh), points()
    gaps = torch.stack(
        [integrated_gradients(model, x, torch.zeros(FEATURES), steps).gap.norm() for steps in (50, 100, 200)]
    )
    torch.testing.assert_close(gaps[:-1] / gaps[1:], torch.full((2,), 4.0, dtype=torch.float64), rtol=0.02, atol=0)
    assert gaps[-1] < 1e-3


@pytest.mark.parametrize("rows", [1, 10, 25, 64, 10**6])
def test_chunks_do_not_show_and_keep_to_the_rows(rows):
    models, seen = [net(seed=seed) for seed in range(2)], []
    f, x, baseline = stacked(models), points().expand(2, -1, -1), points(2 * N, seed=2).view(2, N, FEATURES)

    def watched(z):
        seen.append(z.shape[:-1].numel())
        return f(z)

    found = integrated_gradients(watched, x, baseline, 5, rows)
    assert max(seen) <= max(rows, 2 * 5)  # one path of each replica at the least
    whole = integrated_gradients(f, x, baseline, 5, 2 * N * 5)
    torch.testing.assert_close(found.gradients, whole.gradients, rtol=1e-12, atol=1e-14)
    torch.testing.assert_close(found.gap, whole.gap, rtol=0, atol=1e-13)


def test_one_step_is_the_gradient_at_the_midpoint_by_finite_differences():
    model, x, baseline, h = net(activation=nn.Softplus), points(), points(seed=2), 1e-5
    middle = (x + baseline) / 2
    shifts = h * torch.eye(FEATURES, dtype=torch.float64)[:, None]  # (k, 1, k)
    with torch.no_grad():
        differences = (model(middle + shifts) - model(middle - shifts)) / (2 * h)  # (k, n, K)
    found = average_gradients(model, x, baseline, steps=1)
    torch.testing.assert_close(found, differences.permute(2, 1, 0), rtol=1e-7, atol=1e-9)


def test_at_the_baseline_the_average_gradient_is_the_gradient_there():
    model, x = net(), points()
    there = torch.func.vmap(torch.func.jacrev(model))(x).movedim(1, 0)  # (K, n, k)
    found = integrated_gradients(model, x, x.clone(), steps=10)
    torch.testing.assert_close(found.gradients, there, rtol=1e-12, atol=0)
    assert not found.attributions.any() and not found.gap.any()
    one_feature = x.clone()
    one_feature[:, 0] += 1  # only feature 0 differs from the baseline: the others have gradients, no attributions
    found = integrated_gradients(model, one_feature, x)
    assert not found.attributions[..., 1:].any() and (found.gradients[..., 1:].abs().amax((0, 1)) > 1e-3).all()


def test_a_leading_affine_map_commutes_with_the_path():
    model, x, baseline = net(), points(), points(1, seed=2)
    first, rest = model[0], model[1:]
    pulled_back = average_gradients(rest, first(x), first(baseline)) @ first.weight.detach()
    torch.testing.assert_close(pulled_back, average_gradients(model, x, baseline), rtol=1e-12, atol=1e-12)


def test_no_gradient_of_a_parameter_is_computed():
    model, x, steps = net(outputs=3), points()[None], 10
    f = stacked([model])  # the counter's hooks on modules do not stand `torch.autograd.grad`
    with FlopCounterMode(display=False) as counted:
        found = average_gradients(f, x, torch.zeros(FEATURES), steps)
    forward = 2 * N * steps * sum(layer.weight.numel() for layer in model[::2])
    assert counted.get_total_flops() == forward * (1 + 3)  # one pass forward, one product a layer and output back
    assert all(parameter.grad is None for parameter in model.parameters())
    assert not found.requires_grad and not x.requires_grad


def test_works_where_gradients_are_switched_off():
    model, x = net(), points()
    with torch.no_grad():
        found = average_gradients(model, x, torch.zeros(FEATURES))
        assert not torch.is_grad_enabled()
    torch.testing.assert_close(found, average_gradients(model, x, torch.zeros(FEATURES)), rtol=0, atol=0)


def test_the_dtype_is_that_of_the_points():
    found = integrated_gradients(net().float(), points().float(), points(1, seed=2))
    assert found.attributions.dtype == found.gradients.dtype == found.gap.dtype == torch.float32


@pytest.mark.parametrize("call", [average_gradients, integrated_gradients])
@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"x": points()[0]}, "x must hold floats"),
        ({"x": points()[:0]}, "x must hold floats"),
        ({"x": torch.ones(N, FEATURES, dtype=torch.int64)}, "x must hold floats"),
        ({"x": points() / 0}, "x has values that are not finite"),
        ({"baseline": torch.full((FEATURES,), torch.nan)}, "the baseline has values that are not finite"),
        ({"baseline": torch.zeros(FEATURES - 1)}, r"shape \(4,\) does not fit x, \(12, 5\)"),
        ({"baseline": torch.zeros(N - 1, FEATURES)}, "does not fit"),
        ({"baseline": torch.zeros(2, N, FEATURES)}, "does not fit"),
        ({"steps": 0}, "at least 1, not 0 and 1024"),
        ({"rows": 0}, "at least 1, not 100 and 0"),
    ],
)
def test_bad_input_is_refused(call, change, match):
    with pytest.raises(ParameterError, match=match):
        call(**{"f": net(), "x": points(), "baseline": torch.zeros(FEATURES)} | change)


def test_models_of_another_shape_or_without_a_graph_are_refused():
    model, x, zero = net(1), points(), torch.zeros(FEATURES)
    with pytest.raises(ModelError, match="all axes but the last must agree"):
        average_gradients(lambda z: model(z).squeeze(-1), x, zero)
    with pytest.raises(ModelError, match="expand x over the replicas"):
        average_gradients(lambda z: stacked([model, model])(z.expand(2, -1, -1)), x, zero)
    with pytest.raises(ModelError, match="carry no gradient"):
        average_gradients(lambda z: model(z).detach(), x, zero)
