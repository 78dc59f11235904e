"""Hessian, Gauss-Newton matrix and conjugate gradients against torch.autograd and brute force, in float64."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.autograd.functional import hessian, jacobian
from torch.func import functional_call
from torch.nn.functional import cross_entropy

from augury.errors import ModelError, ParameterError
from augury.influence.functional import Functional, Objective, features, last_linear
from augury.influence.hessians import Dense, gauss_newton_products, hessian_products
from augury.influence.iterative import ConjugateGradients

PRODUCTS = [hessian_products, gauss_newton_products]


def objective(net, x, y, l2=0.0, damping=0.0):
    functional = Functional(net.double().eval())
    return Objective(functional, x, y, functional.ridge(l2, damping))


def problem(net, *shape, n=9, classes=3, **ridge):
    draw = torch.Generator().manual_seed(1)
    x = torch.randn(n, *shape, dtype=torch.float64, generator=draw)
    return objective(net, x, torch.randint(0, classes, (n,), generator=draw), **ridge)


def perceptron():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(2, 4), nn.Tanh(), nn.Linear(4, 3))


def convolutional():
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(1, 2, 2), nn.Softplus(), nn.Flatten(), nn.Linear(8, 3, bias=False))


NETS = {"perceptron": (perceptron, (2,)), "convolutional": (convolutional, (1, 3, 3))}


def named(functional, theta):
    parts = theta.split([shape.numel() for shape in functional.shapes])
    return {n: p.reshape(s) for n, p, s in zip(functional.names, parts, functional.shapes, strict=True)}


def by_autograd(task):
    def loss(theta):
        return cross_entropy(functional_call(task.net.net, named(task.net, theta), (task.x,)), task.y)

    return hessian(loss, task.net.theta)


def by_hand(task):
    """Sum J' (diag p - p p') J over the points, one at a time."""
    found = 0
    for x in task.x:
        J = jacobian(lambda th, x=x: functional_call(task.net.net, named(task.net, th), (x[None],))[0], task.net.theta)
        p = task.net.net(x[None])[0].detach().softmax(0)
        found = found + J.T @ (torch.diag(p) - torch.outer(p, p)) @ J
    return found / len(task.x)


def close(found, expected, rtol=1e-10):
    found, expected = (np.asarray(value.detach()) for value in (found, expected))
    np.testing.assert_allclose(found, expected, rtol=rtol, atol=rtol * np.abs(expected).max())


@pytest.mark.parametrize("name", NETS)
def test_matrices_are_those_of_autograd_and_of_brute_force(name):
    build, shape = NETS[name]
    task = problem(build(), *shape, l2=0.0, damping=2.0)
    ridge = 2 * torch.eye(len(task.net.theta), dtype=torch.float64)
    exact, approximate = Dense(task), Dense(task, gauss_newton_products)
    close(exact.matrix, by_autograd(task) + ridge)
    close(approximate.matrix, by_hand(task) + ridge)
    assert (exact.matrix - approximate.matrix).abs().max() > 1e-3  # two matrices, not one twice


def test_gauss_newton_is_the_hessian_where_logits_are_linear():
    task = problem(nn.Linear(4, 3), 4, damping=0.1)
    close(Dense(task).matrix, Dense(task, gauss_newton_products).matrix)


@pytest.mark.parametrize("products", PRODUCTS)
def test_small_parts_change_nothing(products, monkeypatch):
    task = problem(convolutional(), 1, 3, 3)
    V = torch.randn(40, len(task.net.theta), dtype=torch.float64)
    whole = products(task, V)
    monkeypatch.setattr("augury.influence.functional.BUDGET", 1)
    assert len(list(task.parts(1))) == len(task.x)
    close(products(task, V), whole, 1e-12)


@pytest.mark.parametrize("solver", [Dense, lambda *task: ConjugateGradients(*task, rtol=1e-12)])
@pytest.mark.parametrize("products", PRODUCTS)
def test_solves_and_products_are_those_of_the_matrix(solver, products):
    # a ridge of its own for one parameter, and a Hessian that is positive definite with it
    task = problem(perceptron(), 2, l2={"0.weight": 0.3}, damping=0.5)
    matrix = (by_autograd if products is hessian_products else by_hand)(task) + torch.diag(task.ridge)
    assert task.ridge.unique().tolist() == [0.5, 0.8]
    found = solver(task, products)
    V = torch.randn(7, len(task.net.theta), dtype=torch.float64)
    V[3] = 0
    close(found.matvec(V), V @ matrix)
    close(found.solve(V), torch.linalg.solve(matrix, V.T).T)
    assert torch.equal(found.theta, task.net.theta)


def test_conjugate_gradients_stop_at_their_tolerance_and_their_cap():
    task = problem(perceptron(), 2, damping=0.5)
    V = torch.randn(5, len(task.net.theta), dtype=torch.float64)
    rough = ConjugateGradients(task, rtol=1e-2)
    residual = (rough.matvec(rough.solve(V)) - V).norm(dim=1) / V.norm(dim=1)
    assert 1e-6 < residual.max() <= 1e-2
    with pytest.raises(ModelError, match="reached .* not 1e-08, in 2 steps"):
        ConjugateGradients(task, iterations=2).solve(V)


def test_conjugate_gradients_refuse_what_is_not_positive_definite():
    task = problem(perceptron(), 2)
    V = torch.randn(3, len(task.net.theta), dtype=torch.float64)
    assert np.linalg.eigvalsh(by_autograd(task))[0] < -1e-4
    with pytest.raises(ModelError, match="without positive curvature.*damping"):
        ConjugateGradients(task).solve(V)
    with pytest.raises(ModelError, match="without positive curvature.*damping"):  # singular: the biases' common shift
        ConjugateGradients(task, gauss_newton_products).solve(V)


@pytest.mark.parametrize("products", PRODUCTS)
def test_a_singular_matrix_is_refused(products):
    with pytest.raises(ModelError, match="singular or not positive definite.*damping"):
        Dense(problem(nn.Linear(4, 3), 4), products)


def test_bad_options_are_refused():
    task = problem(nn.Linear(4, 3), 4)
    for options in ({"rtol": 0.0}, {"rtol": 1.0}, {"iterations": 0}):
        with pytest.raises(ParameterError, match="rtol is in"):
            ConjugateGradients(task, **options)
    for l2, damping in ((-1.0, 0.0), (0.0, -1.0), ({"weight": np.inf}, 0.0)):
        with pytest.raises(ParameterError, match="at least 0"):
            task.net.ridge(l2, damping)
    with pytest.raises(ParameterError, match="no parameter of the network: body.weight"):
        task.net.ridge({"body.weight": 1.0}, 0.0)
    with pytest.raises(ModelError, match="eval"):
        Functional(nn.Linear(2, 2).train())
    with pytest.raises(ModelError, match="no parameters"):
        Functional(nn.Flatten())
    with pytest.raises(ModelError, match="too large"):
        Dense(problem(nn.Linear(7000, 3), 7000))


def test_the_last_layer_is_found_and_its_inputs():
    net = perceptron().double().eval()
    prefix, head = last_linear(net)
    x = torch.randn(5, 2, dtype=torch.float64)
    assert prefix == "2." and head is net[2]
    assert torch.equal(features(net, head, x), net[:2](x))
    assert Functional(net, prefix).names == ["2.weight", "2.bias"]


@pytest.mark.parametrize("n", [1025, 2049])
def test_inputs_of_the_last_layer_are_found_whatever_the_number_of_points(n):
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(20, 64), nn.Tanh(), nn.Linear(64, 10)).double().eval()
    x = torch.randn(n, 20, dtype=torch.float64)
    close(features(net, net[2], x), net[:2](x), 1e-12)
    for end in (nn.Hardtanh(), nn.Linear(10, 2).double()):  # cuts a few logits; is a last layer, but not the one given
        with pytest.raises(ModelError, match="gives the logits"):
            features(nn.Sequential(net, end), net[2], x)
