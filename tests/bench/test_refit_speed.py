"""Refitting the classifier along a sweep: warm-started Newton against scikit-learn from cold, to the same optimum."""

import time

import numpy as np
from sklearn.linear_model import LogisticRegression

from augury.models.logistic import fit_logistic
from augury.subsampling.features import Setting, featurise

POINTS = (0, 1, 10, 50, 100, 250, 500, 750, 1000)


def test_against_scikit_learn_from_cold(capsys):
    setting = Setting("mnist", (3, 8), 1000, 0, "translate")
    order = np.random.default_rng(0).permutation(1000)
    sets = [featurise(setting, order[:k]) for k in POINTS]
    theta, ours, theirs, gaps = None, 0.0, 0.0, []
    for data in sets:
        start = time.perf_counter()
        model = fit_logistic(data.Z, data.y, 10.0, start=theta)
        ours += time.perf_counter() - start
        theta = model.theta
        start = time.perf_counter()
        # lbfgs, the paper's solver, run until it is as close to the optimum
        peer = LogisticRegression(C=10.0, tol=1e-8, max_iter=100_000).fit(data.Z, data.y)
        theirs += time.perf_counter() - start
        gaps.append(np.abs(np.r_[peer.coef_[0], peer.intercept_] - theta).max() / np.abs(theta).max())
    assert max(gaps) < 1e-4
    with capsys.disabled():
        print(
            f"\nrefits at k = {POINTS}: ours {ours * 1e3:.0f} ms; scikit-learn from cold {theirs / ours:.1f} times ours"
        )
        print(f"  largest relative difference of the coefficients: {max(gaps):.1e}")
