"""What KFSVD makes of FI^active: K-FAC for the Hessian, the k largest singular values for the mixed derivatives."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from scipy.stats import spearmanr
from torch import nn

from augury.active.images import Training, opening
from augury.active.rounds import Row, Sizes, top
from augury.active.scores import RANDOM, Known, chance
from augury.influence.classifier import ClassifierInfluence
from augury.influence.network import NetworkInfluence

EXACT, FREE, KFAC = "exact", "exact, free bias", "K-FAC"


def approximations(
    dataset: str, task: str, seed: int, initial: int, pool: int, acquisition: int, validation: int,
    ranks: Sequence[int], epochs: int, batch_size: int, lr: float, weight_decay: float, dropout: float,
    mixer: Sequence[int] = (),
) -> list[Row]:  # fmt: skip
    """Score the candidates of a first round exactly and by approximation, and go on with each (Section 4, Algorithm 2).

    The network is trained on `initial` points; FI^active is that of its last layer, with the penalty on its bias as
    well, for K-FAC takes one penalty for both. It is then trained anew with the `acquisition` points that a variant
    ranks first, from the same weights whatever the variant.

    Parameters
    ----------
    dataset, task, seed
        See `pictures.load_task`.
    initial, pool, acquisition, validation
        See `rounds.Sizes`.
    ranks : sequence of int
        Numbers k of singular values.
    epochs, batch_size, lr, weight_decay, dropout, mixer
        See `images.Training`.

    Returns
    -------
    list of dict
        A row a variant: "exact", with the whole Hessian and the derivatives by automatic differentiation; "exact, free
        bias", in closed form and without a penalty on the bias, as the other experiments have it; "K-FAC"; "KFSVD, k
        = 1" and so on; and "Random", the points of random selection. Of each the rank correlation of its scores with
        the exact ones, the overlap (share of the `acquisition` points it ranks first that the exact scores rank first
        too), the test accuracy after the round, seconds of a processor, and numbers: how many it takes to store the
        curvature and the mixed derivative of one point, as Algorithm 2 does.

    Raises
    ------
    ParameterError, DataError, ModelError
        As `images.experiment`; a rank above what the last layer's derivatives can have is a ParameterError.
    """
    sizes = Sizes(1, initial, pool, acquisition, "redrawn", validation)
    training = Training(epochs, batch_size, lr, weight_decay, dropout, 1, mixer)
    found, begin, model, places = opening(dataset, task, seed, sizes, training)
    candidates = model.features(places)
    labelled = model.features(begin.labelled), found.y[begin.labelled]
    head = model.model.head
    assert isinstance(head, nn.Linear)
    p, classes = head.in_features, head.out_features
    q = classes * (p + 1)
    factors = classes**2 + (p + 1) ** 2

    def general(**options: Any) -> Callable[[], np.ndarray]:
        return lambda: NetworkInfluence(head, *labelled, l2=weight_decay, **options).active(candidates)

    variants: dict[str, tuple[Callable[[], np.ndarray], int]] = {
        EXACT: (general(), q * q + q * p),
        FREE: (lambda: ClassifierInfluence(model.last(), *labelled).active(candidates), q * q),
        KFAC: (general(curvature="kfac"), factors + q * p),
    }
    for k in ranks:
        variants[f"KFSVD, k = {k}"] = (general(curvature="kfac", rank=k), factors + (q + p + 1) * k)
    known = Known(model, found.y, begin.labelled, begin.validation, seed, 1, 1.0)
    variants[RANDOM] = (lambda: chance(known, places), 0)
    _warm_up()
    rows: list[Row] = []
    exact = np.empty(0)
    for name, (score, numbers) in variants.items():
        started = time.process_time()
        scores = score()
        seconds = time.process_time() - started
        exact = scores if name == EXACT else exact
        first = top(scores, acquisition)
        shared = np.isin(first, top(exact, acquisition)).mean()
        agreed = float(spearmanr(scores, exact).statistic)
        about = {"variant": name, "rank correlation": agreed, "overlap": float(shared)}
        after = model.learner.train(np.concatenate([begin.labelled, places[first]]), 1)
        rows.append(about | {"accuracy": after.accuracy(), "seconds": seconds, "numbers": numbers})
    return rows


def _warm_up() -> None:
    """Score two points of a tiny problem in each way, so that what torch sets up at its first call is not timed."""
    head, X, y = nn.Linear(2, 3), np.eye(3, 2), np.arange(3)
    for options in ({}, {"curvature": "kfac"}, {"curvature": "kfac", "rank": 1}):
        NetworkInfluence(head, X, y, l2=1.0, **options).active(X[:2])
