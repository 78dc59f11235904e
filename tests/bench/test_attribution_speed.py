"""Integrated Gradients of 1,000 points x 100 steps, two classes, one network and ten: ours, captum."""

import statistics
import time

import torch
from captum.attr import IntegratedGradients
from torch import nn

from augury.attribution import integrated_gradients

N, K, WIDTH, DEPTH, FEATURES, STEPS, REPLICAS, ROUNDS = 1_000, 2, 100, 5, 50, 100, 10, 3
# captum takes whole batches of points, so that 1,000 is its smallest; the largest is all at once
CAPTUM_ROWS = (1_000, 2_000, 5_000, 10_000, 100_000)


def networks():
    torch.manual_seed(0)
    sizes = [FEATURES] + [WIDTH] * DEPTH
    return [
        nn.Sequential(
            *[layer for a, b in zip(sizes, sizes[1:], strict=False) for layer in (nn.Linear(a, b), nn.ReLU())],
            nn.Linear(WIDTH, K),
        )
        for _ in range(REPLICAS)
    ]


def together(models):
    """The networks as one function of (R, m, k)."""
    layers = [[model[2 * i] for model in models] for i in range(DEPTH + 1)]
    weights = [torch.stack([layer.weight.mT for layer in alike]) for alike in layers]
    biases = [torch.stack([layer.bias for layer in alike])[:, None] for alike in layers]

    def f(z):
        for i, (weight, bias) in enumerate(zip(weights, biases, strict=True)):
            z = torch.baddbmm(bias, z if i == 0 else z.relu(), weight)
        return z

    return f


def clock(call):
    start = time.perf_counter()
    value = call()
    return value, time.perf_counter() - start


def median(*calls):
    """The calls' last values and median seconds, taken in turns so that a busy machine slows them alike."""
    rounds = [[clock(call) for call in calls] for _ in range(ROUNDS)]
    return rounds[-1], [statistics.median(found[i][1] for found in rounds) for i in range(len(calls))]


def captum(model, x, rows):
    attribution = IntegratedGradients(model)
    return torch.stack(
        [
            attribution.attribute(x, 0.0, target=c, n_steps=STEPS, method="riemann_middle", internal_batch_size=rows)
            for c in range(K)
        ]
    )


def difference(ours, theirs):
    """Relative, over all points: in single precision a step may fall on the other side of a kink here and there."""
    return (ours - theirs).norm() / theirs.norm()


def test_against_captum(capsys):
    torch.set_num_threads(1)
    models, x, zero = networks(), torch.randn(N, FEATURES), torch.zeros(FEATURES)
    f, shared = together(models), x.expand(REPLICAS, -1, -1)
    tried = {rows: clock(lambda rows=rows: captum(models[0], x, rows))[1] for rows in CAPTUM_ROWS}
    best = min(tried, key=tried.get)

    (one, theirs), (alone, peer) = median(
        lambda: integrated_gradients(models[0], x, zero, STEPS).attributions, lambda: captum(models[0], x, best)
    )
    assert difference(one[0], theirs[0]) < 1e-4
    (ten, ten_theirs), (batched, looped) = median(
        lambda: integrated_gradients(f, shared, zero, STEPS).attributions,
        lambda: torch.stack([captum(model, x, best) for model in models], 1),
    )
    assert difference(ten[0], ten_theirs[0]) < 1e-4
    with capsys.disabled():
        print(f"\nattributions of {N} points x {STEPS} steps x {K} classes: ours {alone * 1e3:.0f} ms")
        print(f"  captum, {best} rows at a time (its best of {len(tried)} sizes): {peer / alone:.1f} times ours")
        print(f"{REPLICAS} networks: ours {batched * 1e3:.0f} ms, {batched / alone / REPLICAS:.2f} of one by one")
        print(f"  captum, one after another: {looped / batched:.1f} times ours")
