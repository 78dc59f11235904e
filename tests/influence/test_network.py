"""FI of networks by torch.func against closed forms, refits of a smooth network and naive autograd, in float64."""

import copy

import numpy as np
import pytest
import torch
from scipy.stats import trim_mean
from torch import nn
from torch.func import functional_call, grad, hessian, jacrev
from torch.nn.functional import cross_entropy

from augury.errors import ModelError, ParameterError
from augury.influence.classifier import ClassifierInfluence
from augury.influence.measure import influence_measure
from augury.influence.network import NetworkInfluence
from augury.models.logistic import fit_logistic
from augury.models.softmax import fit_softmax

L2 = 0.05


def problem(classes, n=40, p=3, seed=0):
    draw = np.random.default_rng(seed)
    X, T = draw.normal(size=(n + 12, p)), draw.normal(size=(classes, p))
    y = (X @ T.T + draw.gumbel(size=(n + 12, classes))).argmax(1)
    return X[:n], y[:n], X[n:], y[n:]


class Affine(nn.Module):
    """Logits W x + Q c with the columns of Q orthogonal to ones: intercepts without their shift."""

    def __init__(self, theta):
        super().__init__()
        classes = len(theta)
        basis = torch.cat([torch.ones(classes, 1), torch.eye(classes)[:, 1:]], 1).double()
        self.register_buffer("Q", torch.linalg.qr(basis)[0][:, 1:])
        self.weight = nn.Parameter(torch.tensor(theta[:, :-1]))
        self.c = nn.Parameter(self.Q.T @ torch.tensor(theta[:, -1]))

    def forward(self, x):
        return x @ self.weight.T + self.c @ self.Q.T


class OneLogit(nn.Module):
    """Logits (0, w'x + b)."""

    def __init__(self, theta):
        super().__init__()
        self.weight, self.bias = nn.Parameter(torch.tensor(theta[:-1])), nn.Parameter(torch.tensor(theta[-1:]))

    def forward(self, x):
        logit = x @ self.weight + self.bias
        return torch.stack([torch.zeros_like(logit), logit], 1)


@pytest.mark.parametrize("whiten", [False, True])
@pytest.mark.parametrize("classes", [2, 4])
def test_closed_forms_are_the_generic_version(classes, whiten):
    X, y, X_val, y_val = problem(classes)
    model = fit_logistic(X, y, 2.0) if classes == 2 else fit_softmax(X, y, 2.0)
    net = (OneLogit if classes == 2 else Affine)(model.theta)
    closed = ClassifierInfluence(model, X, y, whiten=whiten)
    generic = NetworkInfluence(net, X, y, l2={"weight": 1 / (2.0 * len(X))}, whiten=whiten)
    for name in ("util", "pairs", "removal"):
        ours, theirs = (getattr(scores, name)(X_val, y_val) for scores in (closed, generic))
        np.testing.assert_allclose(ours, theirs, rtol=1e-10, atol=1e-10 * np.abs(theirs).max())
    np.testing.assert_allclose(closed.active(X_val), generic.active(X_val), rtol=1e-10)


@pytest.mark.parametrize("name", ["util", "removal"])
def test_the_generic_version_takes_the_same_limits(name):
    X = np.array([[-3.0, 1], [-2, -1], [2, 1], [3, -1], [0.001, 0], [-0.001, 0.5], [4.0, 0], [4.0, 0]])
    y = np.array([0, 0, 1, 1, 1, 0, 1, 0])
    model = fit_logistic(X, y, 1.0)
    model = type(model)(np.array([100.0, 10.0, 0.0]), 1.0)
    closed = getattr(ClassifierInfluence(model, X, y), name)(X[4:6], 1 - y[4:6])
    generic = getattr(NetworkInfluence(OneLogit(model.theta), X, y, l2={"weight": 1 / 8}), name)(X[4:6], 1 - y[4:6])
    np.testing.assert_allclose(closed, generic, rtol=1e-9)
    assert np.abs(closed[6]) < 1e-150


def flat(net):
    return torch.cat([p.detach().reshape(-1) for p in net.parameters()])


def unflat(net, theta):
    parts = theta.split([p.numel() for p in net.parameters()])
    return {name: part.reshape(p.shape) for (name, p), part in zip(net.named_parameters(), parts, strict=True)}


def optimum(net, X, y, steps=60):
    """Return the parameters at the optimum near those of the network, by damped Newton steps: no gradient is left."""
    X, y, theta = torch.tensor(X), torch.tensor(y), flat(net)

    def objective(theta):
        return cross_entropy(functional_call(net, unflat(net, theta), (X,)), y) + L2 / 2 * theta.square().sum()

    for _ in range(steps):
        g, H = grad(objective)(theta), hessian(objective)(theta)
        values, vectors = torch.linalg.eigh(H)
        step, size = vectors @ ((vectors.T @ g) / values.abs().clamp_min(1e-3)), 1.0
        while objective(theta - size * step) > objective(theta) + 1e-14 and size > 1e-6:
            size /= 2
        theta = theta - size * step
    assert grad(objective)(theta).abs().max() < 1e-13 and values.min() > 0
    return theta


@pytest.fixture(scope="module")
def trained():
    X, y, X_val, y_val = problem(3, n=30, p=2)
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(2, 3), nn.Tanh(), nn.Linear(3, 3)).double()
    nn.utils.vector_to_parameters(optimum(net, X, y), net.parameters())
    return net, X, y, X_val, y_val


def test_fi_of_a_smooth_network_is_that_of_refits_on_moved_points(trained):
    net, X, y, X_val, y_val = trained
    found = NetworkInfluence(net, X, y, l2=L2).util(X_val, y_val)
    step = 1e-3
    for i in (0, 11, 20):
        loss, log_p = np.empty((2, 2)), np.empty((2, 2, 3))
        for j in range(2):
            for side, sign in enumerate((1, -1)):
                moved = X.copy()
                moved[i, j] += sign * step
                at = unflat(net, optimum(net, moved, y, steps=8))
                loss[side, j] = cross_entropy(functional_call(net, at, (torch.tensor(X_val),)), torch.tensor(y_val))
                log_p[side, j] = functional_call(net, at, (torch.tensor(moved[i : i + 1]),)).log_softmax(1)[0]
        P = net(torch.tensor(X[i : i + 1])).softmax(1)[0].detach().numpy()
        dL, S = (loss[0] - loss[1]) / (2 * step), ((log_p[0] - log_p[1]) / (2 * step)).T * np.sqrt(P)[:, None]
        assert found[i] == pytest.approx(influence_measure(dL, S, rtol=1e-4), rel=2e-4)


def naive(net, X, y, X_new, y_new, l2, keep):
    """Return FI(z', z) with q x p and p x p matrices; only the parameters after the first `keep` follow."""
    whole = flat(net)
    head, theta = whole[:keep], whole[keep:]

    def logits(th, x):
        return functional_call(net, unflat(net, torch.cat([head, th])), (x[None],))[0]

    def loss(th, x, t):
        return -logits(th, x).log_softmax(0)[t]

    X, X_new = torch.as_tensor(X), torch.as_tensor(X_new)
    H = hessian(lambda th: sum(loss(th, x, int(t)) for x, t in zip(X, y, strict=True)) / len(X))(theta)
    H = H + l2 * torch.eye(len(theta), dtype=torch.float64)
    found = np.empty((len(X_new), len(X)))
    for i, (x, t) in enumerate(zip(X, y, strict=True)):
        mixed = jacrev(lambda at, t=t: grad(loss)(theta, at, int(t)))(x).flatten(1)
        moved = -torch.linalg.solve(H, mixed) / len(X)
        rows = jacrev(lambda th, x=x: logits(th, x).log_softmax(0))(theta) @ moved
        rows = rows + jacrev(lambda at: logits(theta, at).log_softmax(0))(x).flatten(1)
        G = rows.T @ (logits(theta, x).softmax(0)[:, None] * rows)
        G = torch.linalg.pinv(G, hermitian=True, rtol=1e-9)
        for j, (a, b) in enumerate(zip(X_new, y_new, strict=True)):
            dL = grad(loss)(theta, a, int(b)) @ moved
            found[j, i] = dL @ G @ dL
    return found


@pytest.mark.parametrize("parameters", ["all", "last"])
def test_pairs_are_the_papers_formulas_written_out(trained, parameters):
    net, X, y, X_val, y_val = trained
    scores = NetworkInfluence(net, X, y, l2=L2, parameters=parameters)
    keep = 0 if parameters == "all" else 9
    expected = naive(net, X, y, X_val[:4], y_val[:4], L2, keep)
    np.testing.assert_allclose(scores.pairs(X_val[:4], y_val[:4]), expected, rtol=1e-6)
    for j in range(2):
        one = scores.util(X_val[j : j + 1], y_val[j : j + 1])
        np.testing.assert_allclose(one, expected[j], rtol=1e-6)


def test_the_last_layer_on_its_features_is_the_multinomial_closed_form(trained):
    net, X, y, X_val, y_val = trained
    features, new = (net[1](net[0](torch.tensor(part))).detach().numpy() for part in (X, X_val))
    model = fit_softmax(features, y, 1.0)
    head = Affine(model.theta)
    closed = ClassifierInfluence(model, features, y).pairs(new, y_val)
    generic = NetworkInfluence(head, features, y, l2={"weight": 1 / len(X)}).pairs(new, y_val)
    np.testing.assert_allclose(closed, generic, rtol=1e-10)


@pytest.mark.parametrize("classes", [2, 4])
def test_the_influence_of_points_on_themselves_is_that_of_the_closed_form(classes, monkeypatch):
    X, y, *_ = problem(classes)
    model = fit_softmax(X, y, 1.0)
    closed = ClassifierInfluence(model, X, y).own()
    scores = NetworkInfluence(Affine(model.theta), X, y, l2={"weight": 1 / len(X)})
    found = scores.own()
    np.testing.assert_allclose(found.influence, closed.influence, rtol=1e-9)
    np.testing.assert_allclose(found.corrected, closed.corrected, rtol=1e-9)
    monkeypatch.setattr("augury.influence.network.BUDGET", 1)
    np.testing.assert_allclose(scores.own(3).corrected, closed.corrected[:3], rtol=1e-9)


def test_the_influence_of_points_on_themselves_is_g_inverse_g(trained):
    net, X, y, *_ = trained
    found = NetworkInfluence(net, X, y, l2=L2, damping=0.1).own()
    at, points = flat(net), list(zip(torch.tensor(X), torch.tensor(y), strict=True))

    def loss(theta, x, t):
        return cross_entropy(functional_call(net, unflat(net, theta), (x[None],)), t[None])

    H = sum(hessian(loss)(at, *z) for z in points) / len(X) + (L2 + 0.1) * torch.eye(len(at)).double()
    expected = [float(grad(loss)(at, *z) @ torch.linalg.solve(H, grad(loss)(at, *z))) for z in points]
    np.testing.assert_allclose(found.influence, expected, rtol=1e-8)
    assert (found.corrected > found.influence).all()  # without the point there is less curvature


@pytest.mark.parametrize("parameters", ["all", "last"])
def test_images_dropout_and_small_parts(parameters, monkeypatch):
    torch.manual_seed(1)
    draw = np.random.default_rng(0)
    body = nn.Sequential(nn.Conv2d(1, 2, 3), nn.Softplus(), nn.AvgPool2d(2), nn.Flatten(), nn.Dropout(0.5))
    net = nn.Sequential(body, nn.Linear(8, 3)).train()
    before = copy.deepcopy(net.state_dict())
    X, y = draw.normal(size=(12, 1, 6, 6)), draw.integers(0, 3, 12)
    options = {"l2": 0.3, "damping": 0.5, "parameters": parameters}
    scores = NetworkInfluence(net, X, y, **options)
    found = scores.pairs(X[:3], y[:3])
    double = copy.deepcopy(net).double().eval()
    keep = 0 if parameters == "all" else 20
    np.testing.assert_allclose(found, naive(double, X, y, X[:3], y[:3], 0.8, keep), rtol=1e-6)
    monkeypatch.setattr("augury.influence.network.BUDGET", 1)
    np.testing.assert_allclose(NetworkInfluence(net, X, y, **options).pairs(X[:3], y[:3]), found, rtol=1e-9)
    assert net.training and all(torch.equal(before[k], v) for k, v in net.state_dict().items())


def test_conjugate_gradients_give_what_the_inverse_does(trained):
    net, X, y, X_val, y_val = trained
    exact, iterative = (NetworkInfluence(net, X, y, l2=L2, curvature=kind) for kind in ("hessian", "cg"))
    np.testing.assert_allclose(iterative.util(X_val, y_val), exact.util(X_val, y_val), rtol=1e-5)
    np.testing.assert_allclose(iterative.removal(X_val, y_val), exact.removal(X_val, y_val), rtol=1e-5, atol=1e-8)


@pytest.mark.parametrize("curvature", ["gauss-newton", "kfac"])
def test_one_linear_layer_has_one_curvature_by_every_way_on_one_point(curvature):
    X, y, *_ = problem(3, n=1, p=4)
    net = nn.Linear(4, 3)
    exact, found = (NetworkInfluence(net, X, y, l2=0.1, curvature=kind) for kind in ("hessian", curvature))
    np.testing.assert_allclose(found.pairs(X + 1, y), exact.pairs(X + 1, y), rtol=1e-8)
    np.testing.assert_allclose(found.removal(X + 1, y), exact.removal(X + 1, y), rtol=1e-8)


@pytest.mark.parametrize("rank", [None, 1])
def test_active_learning_in_blocks_is_the_middle_mean_of_the_pairs(trained, rank, monkeypatch):
    net, X, y, X_pool, _ = trained
    X_pool = X_pool[:5]
    scores = NetworkInfluence(net, X[:6], y[:6], l2=L2, damping=0.5, rank=rank)
    predicted = net(torch.tensor(X_pool)).argmax(1)
    expected = trim_mean(scores.pairs(X_pool, predicted), 0.1, axis=1)
    np.testing.assert_allclose(scores.active(X_pool), expected, rtol=1e-12)
    monkeypatch.setattr("augury.influence.network.BUDGET", 8 * len(scores.theta) * 2)  # two at a time
    np.testing.assert_allclose(scores.active(X_pool), expected, rtol=1e-7)


def test_addition_is_the_fall_of_the_loss_when_points_with_predicted_labels_join(trained):
    net, X, y, X_val, y_val = trained
    found = NetworkInfluence(net, X, y, l2=L2).addition(X_val[:3] + 1, X_val, y_val)
    n, step, at = len(X), 1e-4, flat(net)
    new = torch.tensor(X_val[:3] + 1)
    for j, label in enumerate(net(new).argmax(1)):

        def moved(weight, j=j, label=label):
            def objective(theta):
                loss = cross_entropy(functional_call(net, unflat(net, theta), (torch.tensor(X),)), torch.tensor(y))
                one = cross_entropy(functional_call(net, unflat(net, theta), (new[j : j + 1],)), label[None])
                return loss + weight / n * one + L2 / 2 * theta.square().sum()

            theta = at
            for _ in range(4):
                theta = theta - torch.linalg.solve(hessian(objective)(theta), grad(objective)(theta))
            return cross_entropy(functional_call(net, unflat(net, theta), (torch.tensor(X_val),)), torch.tensor(y_val))

        slope = (moved(step) - moved(-step)) / (2 * step)
        assert found[j] == pytest.approx(float(-n * slope), rel=1e-4)


def test_bad_input_is_refused(trained):
    net, X, y, X_val, y_val = trained
    scores = NetworkInfluence(net, X, y, l2=L2)
    with pytest.raises(ParameterError, match="parameters is all or last"):
        NetworkInfluence(net, X, y, parameters="first")
    with pytest.raises(ParameterError, match="curvature is one of hessian, gauss-newton, kfac, cg, not 'fisher'"):
        NetworkInfluence(net, X, y, l2=L2, curvature="fisher")
    with pytest.raises(ParameterError, match="at least 0"):
        NetworkInfluence(net, X, y, damping=-1.0)
    with pytest.raises(ParameterError, match="rank is 1 to 2"):
        NetworkInfluence(net, X, y, l2=L2, rank=3)
    for rank in (True, 1.0, 0):
        with pytest.raises(ParameterError, match="rank is 1 to 2.*a whole number, not"):
            NetworkInfluence(net, X, y, l2=L2, rank=rank)
    assert NetworkInfluence(net, X, y, l2=L2, rank=np.int64(2))._rank == 2
    for rtol in (-1e-9, 1.0, np.nan):
        with pytest.raises(ParameterError, match=r"rtol is in \[0, 1\)"):
            NetworkInfluence(net, X, y, l2=L2, rtol=rtol)
    for points in (0, -1, len(X) + 1):
        with pytest.raises(ParameterError, match=f"points is 1 to {len(X)}"):
            scores.own(points)
    for model in (None, nn.Linear):
        with pytest.raises(ModelError, match="needs an nn.Module, made and trained, not"):
            NetworkInfluence(model, X, y)
    with pytest.raises(ModelError, match="parameters are not finite"):
        NetworkInfluence(nn.Linear(2, 3).apply(lambda layer: layer.weight.data.fill_(np.nan)), X, y)
    with pytest.raises(ModelError, match="training points and labels must be arrays of numbers"):
        NetworkInfluence(net, X, y.astype(str))
    with pytest.raises(ModelError, match="training points and labels must be arrays of numbers"):
        NetworkInfluence(net, None, y)
    with pytest.raises(ModelError, match=r"must be of shape \(n, ...\)"):
        NetworkInfluence(net, X[:, 0], y)
    with pytest.raises(ParameterError, match="no parameter of the network: weight"):
        NetworkInfluence(net, X, y, l2={"weight": 1.0})
    with pytest.raises(ModelError, match="no parameters"):
        NetworkInfluence(nn.Flatten(), X, y)
    with pytest.raises(ModelError, match="training points need one whole label each, of 0 to 2"):
        NetworkInfluence(net, X, y + 1)
    with pytest.raises(ModelError, match="one whole label"):
        NetworkInfluence(net, X, y[:-1])
    with pytest.raises(ModelError, match="singular or not positive definite.*damping"):
        NetworkInfluence(net, X, y)  # the shift of the last layer's biases has no curvature
    with pytest.raises(ModelError, match="no pool points"):
        scores.active(X_val[:0])
    with pytest.raises(ModelError, match="does not take validation points"):
        scores.util(X_val[:, :1], y_val)
    with pytest.raises(ModelError, match="not finite"):
        scores.pairs(np.full((1, 2), np.inf), np.array([0]))
    with pytest.raises(ModelError, match="gives the logits"):
        NetworkInfluence(nn.Sequential(net, nn.Tanh()), X, y, l2=L2, parameters="last")
    with pytest.raises(ModelError, match="ends with an nn.Linear"):
        NetworkInfluence(Affine(np.ones((3, 3))), X, y, parameters="last")
    with pytest.raises(ModelError, match="logits of shape"):
        NetworkInfluence(nn.Linear(2, 1), X, y, l2=L2)
    with pytest.raises(ModelError, match="singular"):
        NetworkInfluence(net, X, y, curvature="kfac")
    with pytest.raises(ModelError, match=r"not layer itself \(Affine\)"):
        NetworkInfluence(Affine(np.ones((3, 3))), X, y, l2=L2, curvature="kfac")
    with pytest.raises(ModelError, match="too large"):
        NetworkInfluence(nn.Sequential(nn.Linear(2, 6000), nn.Linear(6000, 3)), X, y)
