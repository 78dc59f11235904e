"""The counter-example of Section 1: logistic regression on one feature, where influence values follow the class."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.optimize import brentq
from scipy.special import expit

from augury.errors import ParameterError
from augury.influence.classifier import ClassifierInfluence
from augury.influence.measure import influence_measure, sqrt_probability_rows
from augury.models.logistic import fit_logistic
from augury.seeding import rng

C = 1e4  # next to no penalty: the text has none, but points that are left after trimming may be separable
APART, SPREAD, FAR = 1.5, 1.0, 4.0  # class means and outliers from the middle, and the classes' standard deviation
CASES = {"x > 0, no intercept": (8.0, False), "no intercept": (0.0, False), "with intercept": (0.0, True)}
METHODS = ("IV", "FI")


@dataclass(frozen=True)
class Sample:
    """Training, validation and test points on one feature; `outlier` marks training points on the far wrong side."""

    x: np.ndarray
    y: np.ndarray
    outlier: np.ndarray
    x_val: np.ndarray
    y_val: np.ndarray
    x_test: np.ndarray
    y_test: np.ndarray


def draw_sample(centre: float, n: int, outliers: int, seed: int, replicate: int) -> Sample:
    """Return two Gaussian classes at centre -+1.5 of standard deviation 1; `outliers` points of each class at +-4.

    Validation (n points) and test points (1,000) have no outliers. The same points, moved, for every centre.
    """
    generator = rng(seed, "counterexample", replicate)

    def clean(size: int) -> tuple[np.ndarray, np.ndarray]:
        y = generator.integers(0, 2, size)
        return centre + APART * (2 * y - 1) + SPREAD * generator.standard_normal(size), y

    (x, y), val, test = clean(n - 2 * outliers), clean(n), clean(1_000)
    wrong = np.repeat([0, 1], outliers)
    far = centre + FAR * (1 - 2 * wrong) + 0.3 * generator.standard_normal(2 * outliers)
    marks = np.r_[np.zeros(len(x), bool), np.ones(2 * outliers, bool)]
    return Sample(np.r_[x, far], np.r_[y, wrong], marks, *val, *test)


@dataclass(frozen=True)
class Slope:
    """The text's model: the probability of class 1 is sigmoid(beta x), without an intercept."""

    beta: float

    def losses(self, X: np.ndarray, y: np.ndarray) -> np.ndarray:
        """Return each point's log loss in nats: shape (n,)."""
        return np.logaddexp(0, (1 - 2 * y) * self.beta * X[:, 0])

    def accuracy(self, X: np.ndarray, y: np.ndarray) -> float:
        """Return the share of points on the right side."""
        return float(np.mean((self.beta * X[:, 0] > 0) == (y == 1)))


def fit_slope(x: np.ndarray, y: np.ndarray) -> Slope:
    """Return the text's model at the optimum of C sum_i L_i + beta^2 / 2, the zero of its monotone derivative."""

    def derivative(beta: float) -> float:
        return float((expit(beta * x) - y) @ x + beta / C)

    edge = C * float(np.abs(x).sum()) + 1
    return Slope(float(brentq(derivative, -edge, edge, xtol=1e-14, rtol=1e-14)))


def slope_scores(model: Slope, sample: Sample) -> dict[str, np.ndarray]:
    """Return IV and FI of each training point under the text's model: shape (n,) each.

    With p = 1 and K = 2 the metric G = s a^2 is positive, so that Theorem 1's premise holds.
    """
    x, y, n = sample.x, sample.y, len(sample.x)
    logit = model.beta * x
    s, r = expit(logit) * expit(-logit), expit(logit) - y
    hessian = float(np.mean(s * x**2)) + 1 / (C * n)
    slope = float(np.mean((expit(model.beta * sample.x_val) - sample.y_val) * sample.x_val))  # of L(V), by beta
    moved = -(r + s * x * model.beta) / (n * hessian)  # d beta / d omega (A.7)
    A = np.stack([np.zeros(n), model.beta + x * moved], axis=1)[..., None]
    log_p = -np.logaddexp(0, np.stack([logit, -logit], axis=1))
    FI = influence_measure(slope * moved[:, None], sqrt_probability_rows(A, log_p))
    return {"IV": slope / hessian * r * x, "FI": FI}


def fitted(x: np.ndarray, y: np.ndarray, intercept: bool) -> Any:
    """Return the model of a case on points of shape (n,)."""
    return fit_logistic(x[:, None], y, C) if intercept else fit_slope(x, y)


def scores(sample: Sample, intercept: bool) -> dict[str, np.ndarray]:
    """Return IV and FI of each training point: shape (n,) each."""
    model = fitted(sample.x, sample.y, intercept)
    if not intercept:
        return slope_scores(model, sample)
    influence = ClassifierInfluence(model, sample.x[:, None], sample.y)
    val = sample.x_val[:, None], sample.y_val
    return {"IV": influence.removal(*val), "FI": influence.util(*val)}


def trimmed(values: np.ndarray, method: str, budget: int) -> np.ndarray:
    """Return which points go, bool of shape (n,): those of the most negative IV, or of the largest FI."""
    chosen = np.zeros(len(values), bool)
    chosen[np.argsort(values if method == "IV" else -values, kind="stable")[:budget]] = True
    return chosen


def _case(case: str, n: int, outliers: int, budget: int) -> tuple[float, bool]:
    if case not in CASES:
        raise ParameterError(f"case {case!r} is unknown; choose from {', '.join(CASES)}")
    if not (outliers > 0 and 4 * outliers <= n and 0 < budget < n - 2):
        raise ParameterError(f"{n} points with {outliers} outliers a class and a budget of {budget} leave too few")
    return CASES[case]


def trimming(case: str, n: int, outliers: int, budget: int, replicates: int, seed: int) -> list[dict[str, Any]]:
    """Return what trimming by IV and by FI does, over replicates.

    Parameters
    ----------
    case : str
        One of `CASES`: the text's model on positive x or on x of both signs, or the model with an intercept.
    n, outliers, budget : int
        Training points, outliers of each class among them, and points to trim.
    replicates, seed : int

    Returns
    -------
    list of dict
        replicate, method, class_1 (share of class 1 among the trimmed), outliers_trimmed (share of the trimmed that
        are outliers), loss and accuracy on the test points after trimming, and sign_by_class: the larger share of
        points whose IV is negative in one class times side of zero, or positive.

    Raises
    ------
    ParameterError
        If the case is unknown or too few points are left.
    ModelError
        If no point of a class is left, with an intercept.
    """
    centre, intercept = _case(case, n, outliers, budget)
    rows = []
    for replicate in range(replicates):
        sample = draw_sample(centre, n, outliers, seed, replicate)
        test = sample.x_test[:, None], sample.y_test
        found = scores(sample, intercept)
        follows = (found["IV"] < 0) == ((sample.y == 1) == (sample.x > 0))
        for method in METHODS:
            gone = trimmed(found[method], method, budget)
            after = fitted(sample.x[~gone], sample.y[~gone], intercept)
            rows.append(
                {
                    "replicate": replicate,
                    "method": method,
                    "class_1": float(sample.y[gone].mean()),
                    "outliers_trimmed": float(sample.outlier[gone].mean()),
                    "loss": float(after.losses(*test).mean()),
                    "accuracy": after.accuracy(*test),
                    "sign_by_class": float(max(follows.mean(), 1 - follows.mean())),
                }
            )
    return rows


def points(case: str, n: int, outliers: int, budget: int, seed: int) -> list[dict[str, Any]]:
    """Return the first replicate's training points: method, x, class, outlier, score and whether it is trimmed.

    Scores are divided by their largest magnitude.

    Raises
    ------
    ParameterError
        As `trimming`.
    """
    centre, intercept = _case(case, n, outliers, budget)
    sample = draw_sample(centre, n, outliers, seed, 0)
    rows = []
    for method, values in scores(sample, intercept).items():
        gone, shown = trimmed(values, method, budget), values / np.abs(values).max()
        columns = (sample.x.tolist(), sample.y.tolist(), sample.outlier.tolist(), shown.tolist(), gone.tolist())
        names = ("x", "class", "outlier", "score", "trimmed")
        rows += [{"method": method, **dict(zip(names, point, strict=True))} for point in zip(*columns, strict=True)]
    return rows
