"""Refitting the classifier along a sweep: warm-started Newton against scikit-learn from cold, to the same optimum."""

import time

import numpy as np
from sklearn.linear_model import LogisticRegression

from augury.models.logistic import fit_logistic
from augury.subsampling.features import Setting, featurise

POINTS = (0, 1, 10, 50, 100, 250, 500, 750, 1000)


PEERS = {"lbfgs": 1e-12, "newton-cholesky": 1e-12}  # the paper's solver, and scikit-learn's fastest for this shape


def test_against_scikit_learn_from_cold(capsys):
    setting = Setting("mnist", (3, 8), 1000, 0, "translate")
    order = np.random.default_rng(0).permutation(1000)
    sets = [featurise(setting, order[:k]) for k in POINTS]
    seconds, gaps = dict.fromkeys(["ours", *PEERS], 0.0), dict.fromkeys(PEERS, 0.0)
    theta = None
    for data in sets:
        start = time.perf_counter()
        theta = fit_logistic(data.Z, data.y, 10.0, start=theta).theta
        seconds["ours"] += time.perf_counter() - start
        for solver, tol in PEERS.items():
            start = time.perf_counter()
            peer = LogisticRegression(C=10.0, tol=tol, solver=solver, max_iter=100_000).fit(data.Z, data.y)
            seconds[solver] += time.perf_counter() - start
            gap = np.abs(np.r_[peer.coef_[0], peer.intercept_] - theta).max() / np.abs(theta).max()
            gaps[solver] = max(gaps[solver], gap)
    assert gaps["newton-cholesky"] < 1e-6
    with capsys.disabled():
        print(f"\nrefits at k = {POINTS}: ours {seconds['ours'] * 1e3:.0f} ms")
        for solver in PEERS:
            print(f"  scikit-learn, {solver}, from cold: {seconds[solver] / seconds['ours']:.1f} times ours;", end=" ")
            print(f"coefficients within {gaps[solver]:.0e}")
