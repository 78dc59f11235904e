"""Influence of 15,000 points x 128 features: closed form, a per-point autograd loop, pyDVL."""

import time

import numpy as np
import torch
from torch.utils.data import DataLoader, TensorDataset

from augury.influence.classifier import ClassifierInfluence
from augury.models.logistic import fit_logistic

N, P, C, LOOP = 15_000, 128, 10.0, 300


def problem():
    draw = np.random.default_rng(0)
    X = draw.normal(size=(N, P))
    y = (X @ draw.normal(size=P) + 5 * draw.normal(size=N) > 0).astype(np.int64)
    return X, y, fit_logistic(X, y, C)


def clock(call):
    start = time.perf_counter()
    value = call()
    return value, time.perf_counter() - start


def test_against_a_loop_of_autograd_and_pydvl(capsys):
    from pydvl.influence.torch import DirectInfluence

    torch.set_num_threads(1)
    X, y, model = problem()
    Z, t = torch.tensor(np.c_[X, np.ones(N)]), torch.tensor(y, dtype=torch.float64)

    def loss(theta, z, t):
        return torch.nn.functional.binary_cross_entropy_with_logits(z @ theta, t)

    def loop():
        theta = torch.tensor(model.theta, requires_grad=True)
        penalty = torch.diag(torch.tensor([1 / (C * N)] * P + [0.0], dtype=torch.float64))
        inverse = torch.linalg.inv(torch.func.hessian(lambda th: loss(th, Z, t))(theta.detach()) + penalty)
        values = []
        for i in range(LOOP):
            (g,) = torch.autograd.grad(loss(theta, Z[i], t[i]), theta)
            values.append(float(g @ inverse @ g))
        return np.array(values)

    net = torch.nn.Linear(P, 1).double()
    with torch.no_grad():
        net.weight.copy_(torch.tensor(model.theta[None, :-1]))
        net.bias.copy_(torch.tensor(model.theta[-1:]))
    # pyDVL regularises every parameter alike: the intercept's share of 1 / (C n) is the only difference
    data = DataLoader(TensorDataset(Z[:, :-1], t[:, None]), batch_size=1000)
    bce = torch.nn.functional.binary_cross_entropy_with_logits

    def pydvl():
        direct = DirectInfluence(net, bce, regularization=1 / (C * N)).fit(data)
        chunks = (Z[:, :-1].split(500), t[:, None].split(500))
        return np.concatenate([np.diag(direct.influences(x, u, x, u)) for x, u in zip(*chunks, strict=True)])

    ours, fast = clock(lambda: ClassifierInfluence(model, X, y).own().influence)
    looped, slow = clock(loop)
    peer, direct = clock(pydvl)
    np.testing.assert_allclose(ours[:LOOP], looped, rtol=1e-8)
    np.testing.assert_allclose(ours, np.abs(peer), rtol=1e-3)
    with capsys.disabled():
        print(f"\ninfluence of {N} x {P}: ours {fast * 1e3:.0f} ms")
        print(f"  per-point autograd loop: {slow / LOOP * N / fast:.0f} times ours (from {LOOP} points)")
        print(f"  pyDVL DirectInfluence: {direct / fast:.0f} times ours")
