"""K-FAC against the exact Gauss-Newton matrix where it equals it, written-out Kronecker products and autograd loops."""

import numpy as np
import pytest
import torch
from scipy.stats import spearmanr
from torch import nn
from torch.autograd import grad

from augury.errors import ModelError, ParameterError
from augury.influence.functional import Functional, Objective
from augury.influence.hessians import Dense, gauss_newton_products
from augury.influence.kfac import Kfac, factors, likelihood_root
from augury.influence.network import NetworkInfluence

L2 = 0.01


def objective(net, x, l2=0.0, damping=0.0):
    functional = Functional(net.double().eval())
    return Objective(functional, x, torch.zeros(len(x), dtype=torch.int64), functional.ridge(l2, damping))


def normal(*shape, seed=0):
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def blocks(net):
    """The positions in theta of each layer's weight, and of its bias where it has one, as an (out, a) matrix."""
    at, found = 0, {}
    for name, layer in net.named_modules():
        if isinstance(layer, (nn.Linear, nn.Conv2d)):
            rows = torch.arange(at, at + layer.weight.numel()).reshape(len(layer.weight), -1)
            at += rows.numel()
            if layer.bias is not None:
                rows = torch.cat([rows, torch.arange(at, at + len(rows))[:, None]], 1)
                at += len(rows)
            found[name] = rows
    return found


def written_out(task):
    """The whole matrix B (x) A + ridge in theta's order, zero between layers."""
    matrix = torch.diag(task.ridge)
    rows = blocks(task.net.net)
    for name, (A, B) in factors(task).items():
        at = rows[name].flatten()
        matrix[at[:, None], at] += torch.kron(B, A)
    return matrix


def close(found, expected, rtol=1e-10):
    found, expected = (np.asarray(value.detach()) for value in (found, expected))
    np.testing.assert_allclose(found, expected, rtol=rtol, atol=rtol * np.abs(expected).max())


def within_layers(net, matrix):
    kept = torch.zeros_like(matrix)
    for rows in blocks(net).values():
        at = rows.flatten()
        kept[at[:, None], at] = matrix[at[:, None], at]
    return kept


def test_the_root_squares_to_the_logits_hessian_also_where_one_class_is_certain():
    logits = torch.cat([normal(5, 4), torch.tensor([[800.0, 0, 0, 0], [0, 0, 0, 800.0]]).double()])
    p, R = logits.softmax(1), likelihood_root(logits)
    assert R.shape == (7, 4, 3)
    close(R @ R.mT, torch.diag_embed(p) - p[:, :, None] * p[:, None, :], 1e-14)


@pytest.mark.parametrize("bias", [True, False])
def test_one_point_of_one_layer_is_exact(bias):
    task = objective(nn.Linear(4, 3, bias=bias), normal(1, 4), damping=0.1)
    close(written_out(task), Dense(task, gauss_newton_products).matrix)


@pytest.mark.parametrize("bias", [True, False])
def test_each_layer_is_exact_for_one_point(bias):
    torch.manual_seed(0)
    net = nn.Sequential(
        nn.Linear(4, 3, bias=bias), nn.Tanh(), nn.Linear(3, 5, bias=bias), nn.ReLU(True), nn.Linear(5, 3)
    )
    task = objective(net, normal(1, 4), damping=0.1)
    close(written_out(task), within_layers(net, Dense(task, gauss_newton_products).matrix))


def test_equal_probabilities_make_a_linear_layer_exact_in_expectation():
    net = nn.Linear(4, 3)
    with torch.no_grad():
        net.weight.zero_(), net.bias.fill_(2.0)  # every p is 1/3: the curvature of the output is the same everywhere
    task = objective(net, normal(30, 4), damping=0.1)
    close(written_out(task), Dense(task, gauss_newton_products).matrix)
    net.weight.data.normal_()
    assert (written_out(task) - Dense(task, gauss_newton_products).matrix).abs().max() > 1e-3


def test_inputs_independent_of_the_output_curvature_make_it_exact():
    # the layer sees two inputs that never matter to the logits, crossed with every value of the one that does
    net = nn.Linear(3, 2, bias=False)
    net.weight.data[:, :2] = 0
    matters, idle = normal(4, 1), normal(5, 2, seed=1)
    x = torch.cat([idle.repeat(4, 1), matters.repeat_interleave(5, 0)], 1)
    task = objective(net, x, damping=0.1)
    idle_rows = blocks(net)[""][:, :2].flatten()
    exact, found = (
        m[idle_rows[:, None], idle_rows] for m in (Dense(task, gauss_newton_products).matrix, written_out(task))
    )
    close(found, exact)


@pytest.mark.parametrize("bias", [True, False])
def test_a_convolution_with_one_position_is_a_linear_layer(bias):
    torch.manual_seed(0)
    conv = nn.Sequential(nn.Conv2d(2, 3, 3, bias=bias), nn.Flatten())
    dense = nn.Sequential(nn.Flatten(), nn.Linear(18, 3, bias=bias))
    dense[1].load_state_dict(
        {k: v.reshape(3, -1).squeeze(-1) if k == "bias" else v.flatten(1) for k, v in conv[0].state_dict().items()}
    )
    x = normal(6, 2, 3, 3)
    for one, other in zip(factors(objective(conv, x))["0"], factors(objective(dense, x))["1"], strict=True):
        close(one, other)


CONVOLUTIONS = [
    {},
    {"stride": 2, "padding": 1, "bias": False},
    {"padding": "same", "dilation": (2, 1)},
    {"padding": (2, 0), "stride": (1, 2), "padding_mode": "reflect"},
]


@pytest.mark.parametrize("options", CONVOLUTIONS)
def test_factors_of_convolutions_are_sums_over_positions_written_out(options):
    torch.manual_seed(0)
    conv = nn.Conv2d(2, 3, (2, 3), **options).double()
    net = nn.Sequential(conv, nn.Softplus(), nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(12, 3)).double()
    x = normal(4, 2, 6, 7)
    A, B = factors(objective(net, x))["0"]
    expected_A, expected_B = 0, 0
    for point in x:
        out = conv(point[None]).detach().requires_grad_()
        logits = net[1:](out)[0]
        for c, p in enumerate(logits.softmax(0)):
            g = grad(-logits.log_softmax(0)[c], out, retain_graph=True)[0][0].flatten(1)  # (out, T)
            expected_B = expected_B + p.detach() * g @ g.T / len(x)
        # what a weight is multiplied with at a position is the derivative of that output by the weight
        for place in range(out[0, 0].numel()):
            seen = conv(point[None])[0, 0].flatten()[place]
            parts = grad(seen, tuple(conv.parameters()))
            a = torch.cat([part[0].flatten() for part in parts])
            expected_A = expected_A + torch.outer(a, a) / (len(x) * out[0, 0].numel())
    close(A, expected_A), close(B, expected_B)


def test_a_linear_layer_applied_to_positions_is_a_convolution_of_width_one():
    torch.manual_seed(0)
    conv = nn.Sequential(nn.Conv2d(3, 4, 1), nn.Tanh(), nn.Flatten(), nn.Linear(20, 3))

    class Positions(nn.Module):
        def __init__(self):
            super().__init__()
            self.each, self.head = nn.Linear(3, 4), nn.Linear(20, 3)

        def forward(self, x):
            return self.head(self.each(x.flatten(2).mT).tanh().mT.flatten(1))

    other = Positions()
    other.load_state_dict(dict(zip(other.state_dict(), (v.squeeze() for v in conv.state_dict().values()), strict=True)))
    x = normal(6, 3, 1, 5)
    for ours, theirs in zip(factors(objective(conv, x)).values(), factors(objective(other, x)).values(), strict=True):
        close(ours[0], theirs[0]), close(ours[1], theirs[1])


@pytest.mark.parametrize("bias", [True, False])
def test_solves_are_those_of_the_written_out_inverse(bias, monkeypatch):
    torch.manual_seed(0)
    body = nn.Sequential(nn.Conv2d(1, 2, 2, bias=bias), nn.Softplus(), nn.Flatten())
    net = nn.Sequential(body, nn.Linear(8, 3, bias=bias))
    l2 = {name: 0.3 for name, _ in net.named_parameters() if name.startswith("0")}
    task = objective(net, normal(9, 1, 3, 3), l2, damping=0.1)
    matrix, V = written_out(task), normal(7, len(task.net.theta), seed=2)
    found = Kfac(task)
    close(found.matvec(V), V @ matrix)
    close(found.solve(V), torch.linalg.solve(matrix, V.T).T)
    monkeypatch.setattr("augury.influence.functional.BUDGET", 1)
    close(Kfac(task).solve(V), found.solve(V))


@pytest.fixture(scope="module")
def trained():
    draw = np.random.default_rng(0)
    X = draw.normal(size=(150, 3))
    y = (X @ draw.normal(size=(3, 3)) + draw.gumbel(size=(150, 3))).argmax(1)
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(3, 8), nn.Tanh(), nn.Linear(8, 3)).double()
    optimiser = torch.optim.LBFGS(net.parameters(), max_iter=300, line_search_fn="strong_wolfe")

    def closure():
        optimiser.zero_grad()
        loss = nn.functional.cross_entropy(net(torch.tensor(X[:100])), torch.tensor(y[:100]))
        loss = loss + L2 / 2 * sum(p.square().sum() for p in net.parameters())
        loss.backward()
        return loss

    optimiser.step(closure)
    return net, X[:100], y[:100], X[100:], y[100:]


# Measured over four seeds: 0.69 to 0.83 over all parameters, 0.80 to 0.97 over the last layer's.
@pytest.mark.parametrize(("parameters", "floor"), [("all", 0.65), ("last", 0.8)])
def test_fi_by_kfac_ranks_points_much_as_the_exact_one(trained, parameters, floor):
    net, X, y, X_val, y_val = trained

    def util(curvature, damping=0.01):
        options = {"l2": L2, "damping": damping, "parameters": parameters, "curvature": curvature}
        return NetworkInfluence(net, X, y, **options).util(X_val, y_val)

    exact = util("gauss-newton")
    found = spearmanr(util("kfac"), exact).statistic
    assert floor < found < 1 and found > spearmanr(util("kfac", 1e4), exact).statistic + 0.1  # H = 1e4 I


def test_solves_point_much_as_the_exact_ones(trained):
    net, X, y, *_ = trained
    task = objective(net, torch.tensor(X), L2, 0.01)
    each = zip(torch.tensor(X), torch.tensor(y), strict=True)
    V = torch.stack([task.net.gradient(task.net.theta, *point) for point in each])
    exact, found = Dense(task, gauss_newton_products).solve(V), Kfac(task).solve(V)
    cosine, plain = (torch.cosine_similarity(some, exact).mean() for some in (found, V))
    assert 0.65 < cosine < 1 and cosine > plain + 0.1  # measured: 0.72 against 0.53 of the gradients themselves


def test_what_it_does_not_know_is_refused():
    x = normal(5, 2, 4, 4)

    class Twice(nn.Module):
        def __init__(self, times):
            super().__init__()
            self.layer, self.head, self.times = nn.Linear(4, 4), nn.Linear(32, 3), times

        def forward(self, x):
            for _ in range(self.times):
                x = self.layer(x)
            return self.head(x.flatten(1))

    def with_head(*body):
        return nn.Sequential(*body, nn.Flatten(), nn.Linear(32, 3))

    with pytest.raises(ModelError, match=r"not layer 0 \(BatchNorm2d\); use curvature='cg'"):
        factors(objective(with_head(nn.BatchNorm2d(2)), x))
    with pytest.raises(ModelError, match=r"without groups, not layer 0 \(Conv2d\)"):
        factors(objective(with_head(nn.Conv2d(2, 2, 1, groups=2)), x))
    with pytest.raises(ModelError, match="layer layer is used again"):
        factors(objective(Twice(2), x))
    with pytest.raises(ModelError, match="not used: layer"):
        factors(objective(Twice(0), x))
    tied = with_head(nn.Linear(4, 4), nn.Linear(4, 4))
    tied[1].weight = tied[0].weight
    with pytest.raises(ModelError, match=r"layer 1 \(Linear\) are shared"):
        factors(objective(tied, x))
    with pytest.raises(ParameterError, match="one l2 for the weight and the bias of layer 1"):
        Kfac(objective(with_head(), x, {"1.weight": 1.0}))
    with pytest.raises(ModelError, match="K-FAC matrix of layer 1 is singular.*damping"):
        Kfac(objective(with_head(), x))
