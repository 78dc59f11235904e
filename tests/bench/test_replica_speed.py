"""Replicas trained together against plain PyTorch, one network after another, at equal losses.

Both see the same splits, draws and weights: 19 networks, MADA and IID at ten ablation probabilities. Printed are the
ratio on one thread; the ratio as each is used, ours with a process a core and plain PyTorch with all threads in one;
the share that is reached of the rate at which this machine multiplies matrices; and the cost for more replicas.
"""

import copy
import dataclasses
import os
import statistics
import time
from collections.abc import Callable

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from joblib import Parallel, delayed
from torch import nn

from augury.design import Design, design
from augury.models.mlp import MLP
from augury.models.replica import alone
from augury.penalties.networks import replicas, train
from augury.seeding import rng, torch_generator

LAMBDAS = [0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9]
EPOCHS, BATCH, WIDTH, REPEATS = 1, 256, 100, 3
CORES = os.cpu_count() or 1


def seconds(function: Callable[[], object]) -> float:
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


def multiply_adds(k: int, hidden_layers: int) -> int:
    """Of one sample's forward pass and both backward products; the first layer has no gradient towards its input."""
    return 2 * k * WIDTH + 3 * (hidden_layers - 1) * WIDTH**2 + 3 * 2 * WIDTH


def product_rate() -> float:
    """Multiply-adds a second of a large single-precision product on one thread."""
    a, b = torch.randn(2048, 2048), torch.randn(2048, 2048)
    return 2048**3 / min(seconds(lambda: a @ b) for _ in range(5))


def train_plainly(net: nn.Module, table: Design, lam: float, scale: float) -> float:
    """The textbook's loop for one network; returns the validation loss after the last epoch."""
    n = len(table.x_train)
    held = torch.from_numpy(rng(0, "penalties", "validation").permutation(n) < n // 4)
    x, y = torch.tensor(table.x_train), torch.tensor(table.y_train)
    (x_held, y_held), (x, y) = [(x[mask], y[mask]) for mask in (held, ~held)]
    generator = torch_generator(0, "penalties", "training")
    optimiser = torch.optim.Adam(net.parameters(), lr=1e-3)
    for _ in range(EPOCHS):
        for batch in torch.randperm(len(x), generator=generator).split(BATCH):
            inputs = x[batch] * (torch.rand(len(batch), x.shape[1], generator=generator, dtype=x.dtype) >= lam) * scale
            optimiser.zero_grad()
            F.cross_entropy(net(inputs), y[batch]).backward()
            optimiser.step()
        with torch.no_grad():
            held_loss = float(F.cross_entropy(net(x_held), y_held))
    return held_loss


@pytest.mark.parametrize("hidden_layers", [1, 5, 10])
def test_against_plain_pytorch(hidden_layers, capsys):
    table, settings = design("telco", 0), replicas(LAMBDAS)
    start = MLP(table.x_train.shape[1], 2, hidden_layers, [0] * len(settings), WIDTH)
    nets = [alone(start, r) for r in range(len(settings))]
    scales = [1.0 if kind == "MADA" else 1 / (1 - lam) for kind, lam in settings]

    def ours() -> MLP:
        model = copy.deepcopy(start)
        train(model, table, settings, 0, EPOCHS, BATCH, 1e-3, EPOCHS, False)
        return model

    def plain() -> list[float]:
        return [
            train_plainly(copy.deepcopy(net), table, lam, scale)
            for net, (_, lam), scale in zip(nets, settings, scales, strict=True)
        ]

    torch.set_num_threads(1)
    rates, times = [], {"ours": [], "plain": [], "ours, all cores": [], "plain, all cores": []}
    with Parallel(n_jobs=CORES) as pool:
        one = delayed(train)(start, table, settings, 0, EPOCHS, BATCH, 1e-3, EPOCHS, False)
        pool([one] * CORES)
        for _ in range(REPEATS):
            torch.set_num_threads(1)
            rates.append(product_rate())
            times["ours"].append(seconds(ours))
            times["plain"].append(seconds(plain))
            times["ours, all cores"].append(seconds(lambda: pool([one] * CORES)) / CORES)
            torch.set_num_threads(CORES)
            times["plain, all cores"].append(seconds(plain))
    torch.set_num_threads(1)
    # In double precision, where ten layers do not drift apart by rounding.
    exact = dataclasses.replace(table, x_train=table.x_train.astype(np.float64))
    model = copy.deepcopy(start).double()
    train(model, exact, settings, 0, EPOCHS, BATCH, 1e-3, EPOCHS, False)
    n = len(table.x_train)
    held = torch.from_numpy(rng(0, "penalties", "validation").permutation(n) < n // 4)
    x_held, y_held = torch.tensor(exact.x_train)[held], torch.tensor(exact.y_train)[held]
    with torch.no_grad():
        found = [float(F.cross_entropy(logits, y_held)) for logits in model(x_held)]
    expected = [
        train_plainly(copy.deepcopy(net).double(), exact, lam, scale)
        for net, (_, lam), scale in zip(nets, settings, scales, strict=True)
    ]
    assert found == pytest.approx(expected, rel=1e-6)
    work = EPOCHS * (n - n // 4) * multiply_adds(table.x_train.shape[1], hidden_layers) * len(settings)
    share = {name: statistics.median(work / t / r for t, r in zip(times[name], rates, strict=True)) for name in times}
    alone_ratio = statistics.median(p / o for p, o in zip(times["plain"], times["ours"], strict=True))
    used = zip(times["plain, all cores"], times["ours, all cores"], strict=True)
    with capsys.disabled():
        print(f"\n{hidden_layers} hidden layers, {len(settings)} networks, an epoch of telco")
        print(f"  one thread: {alone_ratio:.1f} times plain PyTorch;", end=" ")
        print(f"{share['ours']:.0%} of the product rate against {share['plain']:.0%}")
        print(f"  as used on {CORES} cores: {statistics.median(p / o for p, o in used):.1f} times plain PyTorch")


def test_cost_is_linear_in_the_replicas(capsys):
    torch.set_num_threads(1)
    table = design("telco", 0)
    with capsys.disabled():
        print("\nan epoch of telco, 5 hidden layers, one thread")
        for number in (1, 2, 5, 10, 19):
            settings = replicas(LAMBDAS)[:number]
            model = MLP(table.x_train.shape[1], 2, 5, [0] * number, WIDTH)
            time = min(
                seconds(lambda m=model, s=settings: train(copy.deepcopy(m), table, s, 0, 1, BATCH, 1e-3, 1, False))
                for _ in range(REPEATS)
            )
            print(f"  {number:2d} replicas: {1e3 * time:.0f} ms, {1e3 * time / number:.1f} ms each")
