"""What FI^util and FI^active see (Algorithms 1 and 2): beside influence values, losses, refits and uncertainty."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.stats import spearmanr

from augury.acquisition.uncertainty import entropy
from augury.influence.classifier import ClassifierInfluence
from augury.influence.measure import directions, influence_measure, middle_mean
from augury.invariance.tables import Problem, log_probabilities, table_problem
from augury.models.logistic import Logistic, fit_logistic
from augury.models.softmax import Softmax, fit_softmax


def utility(dataset: str, rows: int, validation: int, C: float, seed: int) -> list[dict[str, Any]]:
    """Return each training point's FI^util (Algorithm 1) beside what else is known of it.

    Returns
    -------
    list of dict
        point, FI, whitened (FI in whitened coordinates), IV, loss in nats, and right (classified rightly).
    """
    problem = table_problem(dataset, rows, validation, seed)
    model, val = problem.fit(C), (problem.X_val, problem.y_val)
    plain, white = (ClassifierInfluence(model, problem.X, problem.y, whiten=white) for white in (False, True))
    right = log_probabilities(model, problem.X).argmax(1) == problem.y
    columns = {
        "FI": plain.util(*val),
        "whitened": white.util(*val),
        "IV": plain.removal(*val),
        "loss": model.losses(problem.X, problem.y),
        "right": right,
    }
    lists = {name: values.tolist() for name, values in columns.items()}
    return [{"point": i, **{name: values[i] for name, values in lists.items()}} for i in range(len(right))]


def _refit(problem: Problem, C: float, X: np.ndarray, start: np.ndarray) -> Logistic | Softmax:
    if problem.classes == 2:
        return fit_logistic(X, problem.y, C, start=start, tol=1e-16)
    return fit_softmax(X, problem.y, C, start=start)


def refits(
    dataset: str, rows: int, validation: int, C: float, points: int, step: float, seed: int
) -> list[dict[str, Any]]:
    """Return what FI^util says of moving a point against refits with the point moved.

    The perturbation along u = G^+ dL' changes the validation loss by sqrt(FI) for each unit of its length |S u| in the
    metric, and no other changes it more. `points` training points, evenly spaced in the upper half of the order of FI,
    are moved so by `step` standard deviations, one at a time, forwards and backwards, and the model is fitted anew.

    Returns
    -------
    list of dict
        point, predicted = sqrt(FI), and actual (half the two losses' difference over the length), in nats a unit.
    """
    problem = table_problem(dataset, rows, validation, seed)
    model = _refit(problem, C, problem.X, problem.fit(C).theta)
    influence = ClassifierInfluence(model, problem.X, problem.y)
    dL, S = influence.slopes(problem.X_val, problem.y_val), influence.metric()
    value = influence_measure(dL, S)
    order = np.argsort(value)[np.linspace((len(value) - 1) / 2, len(value) - 1, points).round().astype(int)]
    found = []
    for i in order[np.isfinite(value[order])].tolist():
        basis = directions(S[i])
        along = basis.vectors @ (basis.inverse**2 * (dL[i] @ basis.vectors))
        along *= step / np.linalg.norm(along)
        losses = []
        for moved in (problem.X.copy(), problem.X.copy()):
            moved[i] += along
            losses.append(_refit(problem, C, moved, model.theta).losses(problem.X_val, problem.y_val).mean())
            along = -along
        actual = float(losses[0] - losses[1]) / (2 * float(np.linalg.norm(S[i] @ along)))
        found.append({"point": i, "predicted": float(np.sqrt(value[i])), "actual": actual})
    return found


def activity(dataset: str, labelled: int, pool: int, C: float, seed: int) -> list[dict[str, Any]]:
    """Return each pool point's FI^active (Algorithm 2) under three aggregations, and the model's uncertainty of it.

    Returns
    -------
    list of dict
        point, middle (mean of the middle 80 %), mean, median, entropy in nats, and right (predicted rightly).
    """
    problem = table_problem(dataset, labelled, pool, seed)
    model = problem.fit(C)
    influence = ClassifierInfluence(model, problem.X, problem.y)
    log_p = log_probabilities(model, problem.X_val)
    predicted = log_p.argmax(1)
    pairs = influence.pairs(problem.X_val, predicted)
    columns = {
        "middle": middle_mean(pairs),
        "mean": pairs.mean(1),
        "median": np.median(pairs, axis=1),
        "entropy": entropy(log_p),
        "right": predicted == problem.y_val,
    }
    lists = {name: values.tolist() for name, values in columns.items()}
    return [{"point": i, **{name: values[i] for name, values in lists.items()}} for i in range(len(pairs))]


def agreement(dataset: str, labelled: int, pool: int, C: float, seed: int) -> list[dict[str, Any]]:
    """Return how FI^active ranks the pool against the entropy and against other aggregations, as rank correlations.

    Returns
    -------
    list of dict
        One row: entropy, mean and median, Spearman's correlation of each with FI^active.
    """
    rows = activity(dataset, labelled, pool, C, seed)
    values = {name: [row[name] for row in rows] for name in ("middle", "entropy", "mean", "median")}
    return [
        {name: float(spearmanr(values["middle"], values[name]).statistic) for name in ("entropy", "mean", "median")}
    ]
