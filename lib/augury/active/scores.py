"""What each method of Section 5.2 thinks of the candidates: the larger a score, the sooner the point is labelled."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from scipy.special import log_softmax

from augury.acquisition.subsample import forest_ranks
from augury.acquisition.uncertainty import bald, entropy
from augury.errors import ParameterError
from augury.influence.classifier import ClassifierInfluence
from augury.influence.shapley import knn_shapley
from augury.models.logistic import Logistic
from augury.models.softmax import Softmax
from augury.seeding import rng


class Model(Protocol):
    """The base model F, trained on labelled points. Points are int positions of shape (m,) in the training pool."""

    def last(self) -> Logistic | Softmax:
        """Return F's last layer, a logistic regression on `features`; all of F where it has no other."""

    def features(self, points: np.ndarray) -> np.ndarray:
        """Return what enters the last layer: float64 of shape (m, p)."""

    def dropped(self, points: np.ndarray, generator: np.random.Generator) -> np.ndarray:
        """Return log probabilities under T random dropout masks: shape (T, m, K)."""

    def accuracy(self) -> float:
        """Return the share of the test set that is classified rightly."""


@dataclass(frozen=True)
class Known:
    """What is known when the candidates of a round are scored.

    Attributes
    ----------
    model : Model
    labels : ndarray of int64, shape (n,)
        Of the whole training pool; a method may look up those of `labelled` and `validation` only.
    labelled, validation : ndarray of int64
        Positions. The validation points are labelled too, but never trained on.
    seed, round : int
        Name the stream of whatever a method draws.
    share : float
        Of the candidates that "FI subsampled" scores.
    """

    model: Model
    labels: np.ndarray
    labelled: np.ndarray
    validation: np.ndarray
    seed: int
    round: int
    share: float

    def features_and_labels(self, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the features, of shape (m, p), and the labels of points that have theirs."""
        return self.model.features(points), self.labels[points]


def _influence(known: Known) -> ClassifierInfluence:
    return ClassifierInfluence(known.model.last(), *known.features_and_labels(known.labelled))


def fi(known: Known, points: np.ndarray) -> np.ndarray:
    """Return FI^active (eq. 4.1, Algorithm 2), exactly and in closed form, by the last layer: shape (m,)."""
    return _influence(known).active(known.model.features(points))


def fi_subsampled(known: Known, points: np.ndarray) -> np.ndarray:
    """Return ranks of FI^active, computed for a share of the points and carried to all of them: shape (m,)."""
    features = known.model.features(points)
    influence = _influence(known)
    return forest_ranks(
        lambda drawn: influence.active(features[drawn]), features, known.share, known.seed, "active", known.round
    )


def iv(known: Known, points: np.ndarray) -> np.ndarray:
    """Return IV with predicted labels: by how much adding a point lowers the validation loss, shape (m,)."""
    validation = known.features_and_labels(known.validation)
    return _influence(known).addition(known.model.features(points), *validation)


def bald_by_dropout(known: Known, points: np.ndarray) -> np.ndarray:
    """Return the mutual information of label and parameters under dropout, in nats: shape (m,)."""
    return bald(known.model.dropped(points, rng(known.seed, "active", "bald", known.round)))


def log_probabilities(model: Model, points: np.ndarray) -> np.ndarray:
    """Return the natural logarithms of the classes' probabilities: shape (m, K)."""
    logits = model.last().decision(model.features(points))
    if logits.ndim == 1:  # of two classes the first has logit 0
        logits = np.stack([np.zeros_like(logits), logits], axis=1)
    return np.asarray(log_softmax(logits, axis=1))


def entropy_of_prediction(known: Known, points: np.ndarray) -> np.ndarray:
    """Return the entropy of the predicted label, in nats: shape (m,)."""
    return entropy(log_probabilities(known.model, points))


def shapley(known: Known, points: np.ndarray) -> np.ndarray:
    """Return KNN-Shapley values of the points with predicted labels, in the game of the validation points: (m,)."""
    features = known.model.features(points)
    predicted = log_probabilities(known.model, points).argmax(1)
    return knn_shapley(features, predicted, *known.features_and_labels(known.validation))


def chance(known: Known, points: np.ndarray) -> np.ndarray:
    """Return random numbers: shape (m,)."""
    return rng(known.seed, "active", "random", known.round).random(len(points))


FI, SUBSAMPLED, IV, BALD, ENTROPY, RANDOM, SHAPLEY = (
    "FI", "FI subsampled", "IV", "BALD", "Entropy", "Random", "Shapley",
)  # fmt: skip
METHODS: Mapping[str, Callable[[Known, np.ndarray], np.ndarray]] = {
    FI: fi,
    SUBSAMPLED: fi_subsampled,
    IV: iv,
    BALD: bald_by_dropout,
    ENTROPY: entropy_of_prediction,
    RANDOM: chance,
    SHAPLEY: shapley,
}


def check_method(method: str) -> None:
    """Refuse a method that is not there.

    Raises
    ------
    ParameterError
        If it is none of `METHODS`.
    """
    if method not in METHODS:
        raise ParameterError(f"no method of active learning is called {method!r}; choose one of {', '.join(METHODS)}")
