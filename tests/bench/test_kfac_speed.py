"""K-FAC: factors, eigendecompositions and solves by augury, curvlinops (the same matrices) and pyDVL (others)."""

import time
import warnings

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from augury.influence.functional import Functional, Objective
from augury.influence.kfac import Kfac, factors

DAMPING, RIGHT, BATCH, ROUNDS = 1e-2, 64, 500, 3

NETWORKS = {
    "mlp": (
        2_000,
        (784,),
        lambda: nn.Sequential(nn.Linear(784, 128), nn.ReLU(), nn.Linear(128, 64), nn.ReLU(), HEAD()),
    ),
    "conv": (
        1_000,
        (1, 28, 28),
        lambda: nn.Sequential(
            nn.Conv2d(1, 8, 5, padding=2),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(8, 16, 5),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Flatten(),
            nn.Linear(400, 64),
            nn.ReLU(),
            HEAD(),
        ),
    ),
}


def HEAD():
    return nn.Linear(64, 10)


def paired(*calls):
    """The calls' median seconds, taken in turn so that all see the same machine."""
    seconds = np.empty((ROUNDS, len(calls)))
    for row in seconds:
        for j, call in enumerate(calls):
            start = time.perf_counter()
            call()
            row[j] = time.perf_counter() - start
    return np.median(seconds, 0)


def problem(kind, dtype):
    torch.set_num_threads(1)
    n, shape, build = NETWORKS[kind]
    torch.manual_seed(0)
    net, x = build().to(dtype).eval(), torch.randn(n, *shape, dtype=dtype)
    with torch.no_grad():
        net[-1].weight *= 3  # probabilities that differ
    return net, x, torch.randint(0, 10, (n,)), torch.randn(RIGHT, sum(p.numel() for p in net.parameters()), dtype=dtype)


def ours(net, x, y):
    functional = Functional(net)
    return Kfac(Objective(functional, x, y, functional.ridge(0.0, DAMPING)))


def curvlinops(net, x, y, kind="type-2"):
    from curvlinops import KFACInverseLinearOperator, KFACLinearOperator

    data = list(zip(x.split(BATCH), y.split(BATCH), strict=True))
    forward = KFACLinearOperator(
        net,
        nn.CrossEntropyLoss(),
        list(net.parameters()),
        data,
        check_deterministic=False,
        fisher_type=kind,
        separate_weight_and_bias=False,
        num_data=len(x),
        num_per_example_loss_terms=1,
    )
    return forward, KFACInverseLinearOperator(forward, damping=DAMPING, use_exact_damping=True)


def pydvl(net, x, y):
    from pydvl.influence.torch import EkfacInfluence

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return EkfacInfluence(net, hessian_regularization=DAMPING).fit(DataLoader(TensorDataset(x, y), BATCH))


@pytest.mark.parametrize("kind", NETWORKS)
def test_against_ready_made_kfac(kind, capsys):
    net, x, y, V = problem(kind, torch.float64)
    forward, inverse = curvlinops(net, x, y)
    solved = (inverse @ V.T).T
    net_factors = Functional(net)
    for name, (A, B) in factors(Objective(net_factors, x, y, net_factors.ridge(0.0, 0.0))).items():
        torch.testing.assert_close(A, forward._input_covariances[name], rtol=1e-9, atol=1e-12)
        torch.testing.assert_close(B, forward._gradient_covariances[name], rtol=1e-9, atol=1e-12)
    torch.testing.assert_close(ours(net, x, y).solve(V), solved, rtol=1e-8, atol=1e-8)

    net, x, y, V = problem(kind, torch.float32)
    calls = [
        lambda: ours(net, x, y).solve(V),
        lambda: curvlinops(net, x, y)[1] @ V.T,
        lambda: curvlinops(net, x, y, "mc")[1] @ V.T,
    ]
    fast, same, sampled = paired(*calls)
    with capsys.disabled():
        print(f"\nK-FAC of the {kind} network, {len(x)} points, {V.shape[1]} parameters: ours {fast * 1e3:.0f} ms")
        print(f"  curvlinops, the same matrices: {same / fast:.2f} times ours")
        print(f"  curvlinops, one sampled label in place of the expectation: {sampled / fast:.2f} times ours")
        if kind == "mlp":  # pyDVL knows linear layers alone, and sends one vector back in place of the classes'
            built, peer = paired(lambda: ours(net, x, y), lambda: pydvl(net, x, y))
            print(f"  pyDVL, one backward pass in place of the expectation, no solves: {peer / built:.2f} times ours")
