"""FI in closed form against Algorithms 1 and 2 written with autograd, its peak memory, and its cost against n."""

import time
import tracemalloc

import numpy as np
import pytest
import torch
from scipy.stats import trim_mean
from torch.func import grad, hessian, jacrev

from augury.errors import MissingDataError
from augury.influence.classifier import ClassifierInfluence
from augury.models.logistic import fit_logistic
from augury.models.softmax import Softmax
from augury.tabular.samples import Parts, parts

N, M, C, LOOP, ROUNDS = 5_000, 4_200, 10.0, 20, 3
LABELLED, POOL, FEATURES, CLASSES, ROWS, COLUMNS = 480, 420, 256, 10, 1, 3


def clock(call):
    start = time.perf_counter()
    value = call()
    return value, time.perf_counter() - start


def median(call):
    return sorted(clock(call)[1] for _ in range(ROUNDS))[ROUNDS // 2]


def peak(call):
    """The most memory that NumPy holds at a time during the call, in MiB."""
    tracemalloc.start()
    call()
    found = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return found / 2**20


def adult() -> Parts:
    try:
        return parts("adult", 0, (N, M, 1))
    except MissingDataError as error:
        pytest.skip(str(error))


def of_one(logits, theta, inverse, n, x, t):
    """G's pseudo-inverse and d theta / d omega of one training point, as the paper writes them."""
    mixed = jacrev(grad(lambda th, at: -logits(th, at).log_softmax(0)[t]), argnums=1)(theta, x)
    moved = -inverse @ mixed / n
    P = logits(theta, x).softmax(0)
    rows = jacrev(lambda th: logits(th, x).log_softmax(0))(theta) @ moved
    rows = rows + jacrev(lambda at: logits(theta, at).log_softmax(0))(x)
    # NumPy's cut for a pseudo-inverse: the p x p matrix resolves no more
    return torch.linalg.pinv(rows.T @ (P[:, None] * rows), hermitian=True, rtol=1e-12), moved


def test_util_against_algorithm_1(capsys):
    torch.set_num_threads(1)
    table = adult()
    X, y, X_val, y_val = table.X, table.y, table.X_val, table.y_val
    model = fit_logistic(X, y, C)

    def logits(theta, x):
        logit = x @ theta[:-1] + theta[-1]
        return torch.stack([torch.zeros_like(logit), logit], -1)

    theta, Z, t = torch.tensor(model.theta), torch.tensor(X), torch.tensor(y)

    def mean(theta, Z, t):
        return torch.nn.functional.cross_entropy(logits(theta, Z), t)

    def algorithm():
        penalty = torch.diag(torch.tensor([1 / (C * N)] * X.shape[1] + [0.0], dtype=torch.float64))
        inverse = torch.linalg.inv(hessian(mean)(theta, Z, t) + penalty)
        gradient = grad(mean)(theta, torch.tensor(X_val), torch.tensor(y_val))
        start, values = time.perf_counter(), []
        for i in range(LOOP):
            G, moved = of_one(logits, theta, inverse, N, Z[i], int(t[i]))
            dL = gradient @ moved
            values.append(float(dL @ G @ dL))
        return np.array(values), (time.perf_counter() - start) / LOOP * N

    def ours():
        return ClassifierInfluence(model, X, y).util(X_val, y_val)

    fast = median(ours)
    slow, seconds = algorithm()
    np.testing.assert_allclose(ours()[:LOOP], slow, rtol=1e-5)
    with capsys.disabled():
        print(f"\nFI^util of {N} x {X.shape[1]} by {M}: ours {fast * 1e3:.0f} ms, {peak(ours):.0f} MiB at most")
        print(f"  Algorithm 1, a point at a time: {seconds / fast:.0f} times ours (from {LOOP} points)")


def test_active_against_algorithm_2(capsys):
    torch.set_num_threads(1)
    draw = np.random.default_rng(0)
    X, pool = draw.normal(size=(LABELLED, FEATURES)), draw.normal(size=(POOL, FEATURES))
    flat = 0.1 * draw.normal(size=(CLASSES, FEATURES + 1))
    flat -= flat.mean(0)
    y = (X @ flat[:, :-1].T + flat[:, -1] + draw.gumbel(size=(LABELLED, CLASSES))).argmax(1)
    model = Softmax(flat, 10.0)

    def logits(theta, x):
        T = theta.reshape(CLASSES, FEATURES + 1)
        return T[:, :-1] @ x + T[:, -1]

    scores = ClassifierInfluence(model, X, y)
    inverse, theta = torch.tensor(scores._inverse), torch.tensor(flat.ravel())
    predicted = model.decision(pool).argmax(1)
    Z, U = torch.tensor(X), torch.tensor(pool)

    def gradient(j):
        return grad(lambda th: -logits(th, U[j]).log_softmax(0)[int(predicted[j])])(theta)

    def pair(g, i):
        G, moved = of_one(logits, theta, inverse, LABELLED, Z[i], int(y[i]))
        return float((g @ moved) @ G @ (g @ moved))

    def ours():
        return ClassifierInfluence(model, X, y).active(pool)

    fast = median(ours)
    g, _ = clock(lambda: gradient(0))
    values, seconds = clock(lambda: [pair(g, i) for i in range(COLUMNS)])
    np.testing.assert_allclose(scores.pairs(pool[:1], predicted[:1])[0, :COLUMNS], values, rtol=1e-5)
    np.testing.assert_allclose(ours(), trim_mean(scores.pairs(pool, predicted), 0.1, axis=1), rtol=1e-9)
    once = seconds / COLUMNS
    with capsys.disabled():
        print(f"\nFI^active of {POOL} x {LABELLED}, {FEATURES} x {CLASSES}: ours {fast:.2f} s, {peak(ours):.0f} MiB")
        print(f"  Algorithm 2, both loops: {once * POOL * LABELLED / fast:.0f} times ours (from {COLUMNS} pairs)")
        print(f"  the same with what belongs to a labelled point kept: {once * LABELLED / fast:.0f} times ours")


def test_cost_is_linear_in_n(capsys):
    draw = np.random.default_rng(0)
    X_val, y_val = draw.normal(size=(1_000, 100)), draw.integers(0, 2, 1_000)
    with capsys.disabled():
        print()
        for n in (1_000, 10_000, 100_000):
            X = draw.normal(size=(n, 100))
            y = (X[:, 0] + draw.normal(size=n) > 0).astype(np.int64)
            model = fit_logistic(X, y)
            seconds = median(lambda X=X, y=y, model=model: ClassifierInfluence(model, X, y).util(X_val, y_val))
            print(f"FI^util of {n:>7} x 100: {seconds * 1e3:7.1f} ms, {seconds / n * 1e6:.2f} us a point")
