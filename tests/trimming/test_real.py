"""Noise where it belongs, planted harmful rows, measures against models fitted by hand, and what is refused."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from augury.errors import ParameterError
from augury.influence.classifier import ClassifierInfluence
from augury.influence.shapley import knn_shapley
from augury.models.logistic import fit_logistic
from augury.tabular import Parts, parts
from augury.trimming.descent import Exact
from augury.trimming.experiment import SHAPLEY, experiment
from augury.trimming.real import descend, noisy, solve
from augury.trimming.selection import METHODS

SIZES = [80, 60, 70]
COMMON = {"dataset": "two-gaussians", "table": "two-gaussians", "sizes": SIZES, "budgets": [4, 8], "draws": 3}
STEPS = {"optimiser": "SGD", "lr": 0.1, "weight_decay": 0.01, "epochs": 3, "batch": 16}


def sample(n=400, p=30, binary=False, seed=0):
    draw = np.random.default_rng(seed)
    X = draw.integers(0, 2, (n, p)) * 2.0 - 1 if binary else draw.standard_normal((n, p))
    X = (X - X.mean(0)) / X.std(0)
    y = draw.integers(0, 2, n)
    return Parts("made", X, y, X[:5], y[:5], X[5:9], y[5:9], tuple(map(str, range(p))))


def test_white_noise_of_variance_a_tenth_reaches_the_chosen_rows_only():
    drawn = sample()
    before = drawn.X.copy()
    found = noisy(drawn, 300, 1)
    (X, y), rows = found.train, found.noisy
    assert len(set(rows)) == 300 and (X[rows] != drawn.X[rows]).all()
    rest = np.setdiff1d(np.arange(400), rows)
    np.testing.assert_array_equal(X[rest], drawn.X[rest])
    np.testing.assert_array_equal(drawn.X, before)
    added = (X - drawn.X)[rows]
    # 9,000 draws: the standard errors of mean and variance are 0.0033 and 0.0015
    assert abs(added.mean()) < 0.014 and abs(added.var() - 0.1) < 0.006
    assert np.abs(np.corrcoef(added.T) - np.eye(30)).max() < 0.3
    assert y is drawn.y and found.tests.keys() == {"test"}
    others = {"validation": (drawn.X_val, drawn.y_val), "test": (drawn.X_test, drawn.y_test)}
    for name, own in {"validation": found.validation, **found.tests}.items():
        assert all(kept is given for kept, given in zip(own, others[name], strict=True))
    np.testing.assert_array_equal(noisy(drawn, 300, 1).train[0], X)
    assert set(noisy(drawn, 300, 2).noisy) != set(rows)


def test_binary_columns_are_flipped_six_of_them_in_the_chosen_rows_only():
    drawn = sample(binary=True)
    found = noisy(drawn, 50, 1)
    X, rows = found.train[0], found.noisy
    changed = X != drawn.X
    assert np.flatnonzero(changed.any(1)).tolist() == rows.tolist()
    columns = np.flatnonzero(changed.any(0))
    assert len(columns) == 6 and changed[np.ix_(rows, columns)].all()
    for j in columns:
        low, high = np.unique(drawn.X[:, j])
        other = np.where(drawn.X[rows, j] == low, high, low)
        np.testing.assert_allclose(X[rows, j], other, rtol=1e-12)
    assert set(np.flatnonzero((noisy(drawn, 50, 2).train[0] != drawn.X).any(0))) != set(columns)


def test_no_noisy_rows_change_nothing_and_more_than_there_are_are_refused():
    drawn = sample()
    found = noisy(drawn, 0, 1)
    np.testing.assert_array_equal(found.train[0], drawn.X)
    assert found.noisy.shape == (0,)
    for number in (-1, 401):
        with pytest.raises(ParameterError, match=f"{number} of 400 training rows cannot be noisy"):
            noisy(drawn, number, 1)


def planted():
    """A sample in which training rows 5, 17 and 40 lie far on the other class's side and are marked as noisy."""
    drawn = noisy(parts("two-gaussians", 0, SIZES), 0, 0)
    X, y = (array.copy() for array in drawn.train)
    X[[5, 17, 40]], y[[5, 17, 40]] = [3.0, -3.0], 1
    return replace(drawn, train=(X, y), noisy=np.array([5, 17, 40]))


def table(rows, metric):
    """The values of a metric by method, b and draw."""
    own = pd.DataFrame(rows)
    return own[own["metric"] == metric].set_index(["method", "b", "draw"])["value"]


def test_fi_and_iv_trim_planted_harmful_rows_and_mend_the_model():
    rows = experiment(planted(), Exact(0.01), [3], 4, 0)
    marked, loss = table(rows, "noisy"), table(rows, "test loss")
    assert marked["FI", 3, 0] == marked["IV", 3, 0] == 3
    assert marked["FI reversed", 3, 0] == 0 and marked["Random"].max() < 3
    for method in ("FI", "IV"):
        assert loss[method, 3, 0] < loss["Base", 0, 0] - 0.02
        assert table(rows, "confidence")[method, 3, 0] < 0.1
        assert table(rows, "class 1")[method, 3, 0] == 3


def test_measures_are_those_of_models_fitted_by_hand():
    drawn = parts("two-gaussians", 3, SIZES)
    rows = experiment(noisy(drawn, 0, 3), Exact(0.02), [6], 2, 3, 4)
    X, y, wd = drawn.X, drawn.y, 0.02
    base = fit_logistic(X, y, 1 / (wd * 80))
    influence = ClassifierInfluence(base, X, y)
    fi, iv = influence.util(drawn.X_val, drawn.y_val), influence.removal(drawn.X_val, drawn.y_val)
    shapley = knn_shapley(X, y, drawn.X_val, drawn.y_val, 4)
    gone = {"FI": np.argsort(-fi)[:6], "IV": np.argsort(iv)[:6], SHAPLEY: np.argsort(shapley, kind="stable")[:6]}
    gone |= {"FI reversed": np.argsort(fi)[:6], "Base": np.empty(0, np.int64)}
    for method, removed in gone.items():
        rest = np.setdiff1d(np.arange(80), removed)
        model = fit_logistic(X[rest], y[rest], 1 / (wd * len(rest)))
        place = (method, len(removed), 0)
        for part, points in {"test": (drawn.X_test, drawn.y_test), "validation": (drawn.X_val, drawn.y_val)}.items():
            assert table(rows, f"{part} accuracy")[place] == model.accuracy(*points)
            assert table(rows, f"{part} loss")[place] == pytest.approx(model.losses(*points).mean(), rel=1e-5)
        if len(removed):
            assert table(rows, "class 1")[place] == y[removed].sum()
            own = np.exp(-base.losses(X, y))[removed].mean()
            assert table(rows, "confidence")[place] == pytest.approx(own, rel=1e-6)


@pytest.mark.parametrize("run, settings", [(descend, STEPS), (solve, {"weight_decay": 0.01})])
def test_rows_name_each_method_budget_draw_and_metric_once(run, settings):
    clean = pd.DataFrame(run(**COMMON, seed=1, noise=0, neighbours=0, **settings))
    rows = pd.DataFrame(run(**COMMON, seed=1, noise=10, neighbours=3, **settings))
    keys = ["method", "b", "draw", "metric"]
    assert not rows.duplicated(keys).any() and not rows["value"].isna().any()
    assert set(clean["method"]) == {"Base", *METHODS} and set(rows["method"]) == {"Base", *METHODS, SHAPLEY}
    everywhere = {"test accuracy", "test loss", "validation accuracy", "validation loss"}
    for own, trimmed in ((clean, {"class 1", "confidence"}), (rows, {"class 1", "confidence", "noisy"})):
        for (method, b, _), found in own.groupby(["method", "b", "draw"]):
            assert set(found["metric"]) == everywhere | (set() if method == "Base" else trimmed)
            assert b == 0 if method == "Base" else b in (4, 8)
    assert rows[rows["method"] == "Random"]["draw"].nunique() == 3
    again = pd.DataFrame(run(**COMMON, seed=1, noise=10, neighbours=3, **settings))
    pd.testing.assert_frame_equal(rows, again)
    other = pd.DataFrame(run(**COMMON, seed=2, noise=10, neighbours=3, **settings))
    assert not np.allclose(rows["value"], other["value"])


@pytest.mark.parametrize("budget", [-1, 80])
def test_a_budget_out_of_range_is_refused(budget):
    with pytest.raises(ParameterError, match=f"{budget} of 80 points"):
        experiment(planted(), Exact(0.01), [budget], 1, 0)
