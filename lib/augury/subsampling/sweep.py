"""The experiment of the paper: test accuracy while a policy augments more and more of the training set."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np
from sklearn.model_selection import GridSearchCV
from sklearn.svm import SVC

from augury.errors import ParameterError
from augury.influence.classifier import ClassifierInfluence
from augury.models.logistic import Logistic, fit_logistic
from augury.seeding import rng
from augury.subsampling.features import Featurised, Setting, featurise
from augury.subsampling.policies import augmentation_order, policy, sample_weights

SCORES = ("loss", "influence")
DAMPING = 1e-10  # of the unregularised mean Hessian: the value of the released code
VSV_GRID = (0.01, 0.1, 1.0, 10.0, 100.0)  # C of the linear SVM (Sec. 5.1), by 4-fold cross-validation


def classify(setting: Setting, data: Featurised, downweight: bool, start: np.ndarray | None = None) -> Logistic:
    """Fit the logistic regression of the experiments on featurised data."""
    weights = sample_weights(setting.n_train, data.index) if downweight else None
    return fit_logistic(data.Z, data.y, setting.C, sample_weight=weights, start=start)


def training_scores(
    setting: Setting, data: Featurised, model: Logistic, score: str, downweight: bool = False
) -> np.ndarray:
    """Return the scores s of the original training points: their loss or their influence (Sec. 4.1), shape (n,).

    Raises
    ------
    ParameterError
        If the score is unknown.
    """
    n = setting.n_train
    if score == "loss":
        return model.losses(data.Z[:n], data.y[:n])
    if score == "influence":
        weights = sample_weights(n, data.index) if downweight else None
        regularised, damping = setting.regularised, 0.0 if setting.regularised else DAMPING
        found = ClassifierInfluence(
            model, data.Z, data.y, sample_weight=weights, regularised=regularised, damping=damping
        )
        return found.own(n).influence
    raise ParameterError(f"score {score!r} is unknown; choose from {', '.join(SCORES)}")


@lru_cache(maxsize=2)
def plain_fit(setting: Setting) -> tuple[Featurised, Logistic]:
    """Return the features and the classifier of the training set without augmentation."""
    data = featurise(setting, np.empty(0, np.int64))
    return data, classify(setting, data, downweight=False)


def support_vectors(setting: Setting) -> np.ndarray:
    """Return the training points that support a linear SVM tuned on the plain features (VSV, Sec. 5.1)."""
    data, _ = plain_fit(setting)
    search = GridSearchCV(SVC(kernel="linear"), {"C": VSV_GRID}, cv=4).fit(data.Z, data.y)
    return np.sort(search.best_estimator_.support_)


def _row(name: str, k: int, data: Featurised, model: Logistic, downweight: bool) -> dict[str, Any]:
    return {
        "policy": name,
        "downweighted": downweight,
        "k": k,
        "images": len(data.y),
        "accuracy": model.accuracy(data.Z_test, data.y_test),
    }


def fixed_set(selection: str, **settings: Any) -> list[dict[str, Any]]:
    """Return the accuracy of training sets that no policy orders, with and without downweighting.

    Parameters
    ----------
    selection : {"none", "all", "vsv"}
        No point augmented, every point, or the support vectors.
    **settings
        The fields of `Setting`.
    """
    setting = Setting.of(settings)
    everything = np.arange(setting.n_train)
    augmented = {"none": everything[:0], "all": everything}.get(selection)
    if augmented is None:
        augmented = support_vectors(setting)
    data = featurise(setting, augmented)
    name = {"none": "No augmentation", "all": "Full augmentation"}.get(selection, "VSV")
    return [
        _row(name + " Downweight" * down, len(augmented), data, classify(setting, data, down), down)
        for down in (False, True)
    ]


def trajectory(
    score: str, selection: str, update: bool, downweight: bool, round: int, points: Sequence[int], **settings: Any
) -> list[dict[str, Any]]:
    """Return the test accuracy of one round of a policy at every number of augmented points.

    Without updates the chosen sets do not depend on the weights, so one trajectory serves the policy with and without
    downweighting: both are returned, and compare at equal draws.

    Parameters
    ----------
    score : {"loss", "influence"}
        Ignored by the baseline.
    selection : str
        One of `policies.SELECTIONS`.
    update : bool
        Recompute the scores at every k, on the model fitted there, and order the points that are left anew.
    downweight : bool
        Of the model that gives the updated scores; must be False without updates.
    round : int
        Number of the repetition; it seeds the draws.
    points : sequence of int
        Numbers k of augmented points, 0 < k < n_train, ascending.
    **settings
        The fields of `Setting`.

    Returns
    -------
    list of dict
        policy, downweighted, k, images (size of the training set) and accuracy on the poisoned test set.

    Raises
    ------
    ParameterError
        If the points are not ascending within (0, n_train).
    """
    setting = Setting.of(settings)
    n = setting.n_train
    if list(points) != sorted(set(points)) or not all(0 < k < n for k in points):
        raise ParameterError(f"points must ascend strictly between 0 and n_train = {n}, not {list(points)}")
    data, model = plain_fit(setting)
    scores = np.ones(n) if selection == "baseline" else training_scores(setting, data, model, score)
    stream = ("subsampling", "baseline" if selection == "baseline" else score, selection, round)
    order = augmentation_order(scores, selection, rng(setting.seed, *stream))
    weightings = (
        (downweight,)
        if update or selection in ("baseline", "random-inverse", "deterministic-inverse")
        else (False, True)
    )
    chosen, rows, starts = order[:0], [], {False: model.theta, True: model.theta}
    for k in points:
        rest = order[~np.isin(order, chosen)]
        chosen = np.concatenate([chosen, rest[: k - len(chosen)]])
        data = featurise(setting, chosen)
        for down in weightings:
            start = None if setting.refit_features else starts[down]  # other features, other coordinates
            model = classify(setting, data, down, start)
            starts[down] = model.theta
            rows.append(_row(policy(selection, update, down).name, k, data, model, down))
        if update:
            scores = training_scores(setting, data, model, score, downweight)
            order = augmentation_order(scores, selection, rng(setting.seed, *stream, k))
    return rows


def score_points(**settings: Any) -> list[dict[str, Any]]:
    """Return every training point's loss and influence, fitted without and with full augmentation (Figs 1, 2, 6-8).

    Returns
    -------
    list of dict
        One row a training point: point (position), label, and loss and influence `before` and `after`.
    """
    setting = Setting.of(settings)
    columns: dict[str, np.ndarray] = {"point": np.arange(setting.n_train)}
    for moment, augmented in (("before", columns["point"][:0]), ("after", columns["point"])):
        data = featurise(setting, augmented)
        model = classify(setting, data, downweight=False)
        columns["label"] = data.y[: setting.n_train]
        for score in SCORES:
            columns[f"{score}_{moment}"] = training_scores(setting, data, model, score)
    names, values = list(columns), (column.tolist() for column in columns.values())
    return [dict(zip(names, row, strict=True)) for row in zip(*values, strict=True)]
