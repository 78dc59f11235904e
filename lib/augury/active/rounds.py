"""Algorithm 4: label the candidates that a method ranks first, train again, and so on."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.stats import spearmanr

from augury.acquisition.subsample import forest_ranks
from augury.active.scores import FI, METHODS, Known, Model, check_method, log_probabilities
from augury.errors import DataError, ModelError, ParameterError
from augury.seeding import rng

CANDIDATES = ("redrawn", "fixed")

Row = dict[str, Any]


@dataclass(frozen=True)
class Sizes:
    """The sizes of a run (Tables 4 and 5), in points.

    Attributes
    ----------
    rounds : int
    initial : int
        Labelled at the start.
    pool : int
        Candidates a round.
    acquisition : int
        N, labelled in each round.
    candidates : {"redrawn", "fixed"}
        Whether the candidates of each round are drawn anew from all that is unlabelled, or are what is left of one
        pool, which may run out. The tables' rounds times N exceed their pools, so only "redrawn" can do them all.
    validation : int
        Labelled points that are neither trained on nor candidates; IV and Shapley use them.
    """

    rounds: int
    initial: int
    pool: int
    acquisition: int
    candidates: str
    validation: int

    def __post_init__(self) -> None:
        if min(self.rounds, self.initial, self.pool, self.acquisition, self.validation) < 1:
            raise ParameterError(f"{self} needs sizes of at least 1")
        if self.acquisition > self.pool:
            raise ParameterError(f"{self.acquisition} points cannot be labelled out of {self.pool} candidates a round")
        if self.candidates not in CANDIDATES:
            raise ParameterError(f"candidates is one of {', '.join(CANDIDATES)}, not {self.candidates!r}")


@dataclass(frozen=True)
class Start:
    """Positions in the training pool, without overlap: what is labelled, what validates, and all the rest."""

    labelled: np.ndarray
    validation: np.ndarray
    unlabelled: np.ndarray

    def free(self) -> np.ndarray:
        """Return which positions may be labelled: bool of shape (n,)."""
        found = np.zeros(len(self.labelled) + len(self.validation) + len(self.unlabelled), dtype=bool)
        found[self.unlabelled] = True
        return found


def start(labels: np.ndarray, classes: int, sizes: Sizes, seed: int) -> Start:
    """Draw what is labelled before the first round; all methods of a seed begin with the same points.

    Parameters
    ----------
    labels : ndarray of int64, shape (n,)
        Of the training pool.
    classes : int
        K; labels are 0 to K - 1.
    sizes : Sizes
    seed : int

    Raises
    ------
    DataError
        If a label is none of the classes.
    ParameterError
        If nothing is left to label, or a fixed pool would be larger than what is.
    """
    if not np.isin(labels, np.arange(classes)).all():
        raise DataError(f"the training pool has labels outside its {classes} classes, 0 to {classes - 1}")
    taken = sizes.initial + sizes.validation
    if len(labels) - taken < sizes.pool:
        raise ParameterError(
            f"of {len(labels)} points, {sizes.initial} labelled and {sizes.validation} for validation leave "
            f"{max(0, len(labels) - taken)}: too few for {sizes.pool} candidates a round"
        )
    order = rng(seed, "active", "start").permutation(len(labels))
    return Start(order[: sizes.initial], order[sizes.initial : taken], order[taken:])


def drawn(free: np.ndarray, size: int, seed: int, round: int) -> np.ndarray:
    """Return up to `size` positions at which `free`, of shape (n,), is true, ascending.

    One order of all positions decides, so that methods whose `free` differs little draw almost the same points.
    """
    order = rng(seed, "active", "candidates", round).permutation(len(free))
    return np.sort(order[free[order]][:size])


def top(scores: np.ndarray, count: int) -> np.ndarray:
    """Return the places of the largest scores, the largest first; of equal scores the earlier: shape (count,).

    Raises
    ------
    ModelError
        If a score is not a number.
    """
    if np.isnan(scores).any():
        raise ModelError(f"{int(np.isnan(scores).sum())} of {len(scores)} scores are not numbers: they rank no point")
    return np.argsort(-scores, kind="stable")[:count]


def active_learning(
    method: str,
    train: Callable[[np.ndarray, int], Model],
    labels: np.ndarray,
    begin: Start,
    sizes: Sizes,
    seed: int,
    share: float,
) -> list[Row]:
    """Run Algorithm 4 and measure the model after every round.

    Parameters
    ----------
    method : str
        One of `METHODS`.
    train : callable
        Takes the labelled positions and the round, and trains the base model anew.
    labels : ndarray of int64, shape (n,)
        Of the training pool. A label is looked up when its point is acquired.
    begin : Start
    sizes : Sizes
    seed : int
    share : float
        The subsampling rate p of "FI subsampled".

    Returns
    -------
    list of dict
        A row a round, 0 for the start: round, labelled (number of points), accuracy (on the test set) and, from round
        1, of the scoring that chose the points labelled in it: seconds; confidence, the mean of the largest predicted
        probability of those points; and, for FI, agreement, Spearman's correlation of FI^active with the ranks that
        subsampling would have given. A fixed pool that runs out ends the run.

    Raises
    ------
    ParameterError
        If the method is unknown.
    ModelError
        If a model cannot be trained or scored.
    """
    check_method(method)
    labelled = begin.labelled
    free = begin.free()
    if sizes.candidates == "fixed":
        pool = drawn(free, sizes.pool, seed, 0)
        free[:] = False
        free[pool] = True
    model = train(labelled, 0)
    rows: list[Row] = [{"round": 0, "labelled": len(labelled), "accuracy": model.accuracy()}]
    for j in range(1, sizes.rounds + 1):
        candidates = drawn(free, sizes.pool, seed, j)
        if not len(candidates):
            break
        known = Known(model, labels, labelled, begin.validation, seed, j, share)
        started = time.process_time()
        scores = METHODS[method](known, candidates)
        seconds = time.process_time() - started
        acquired = candidates[top(scores, sizes.acquisition)]
        confidence = float(np.exp(log_probabilities(model, acquired).max(1)).mean())
        agreement = _agreement(known, candidates, scores) if method == FI else None
        free[acquired] = False
        labelled = np.concatenate([labelled, acquired])
        model = train(labelled, j)
        row = {"round": j, "labelled": len(labelled), "accuracy": model.accuracy(), "seconds": seconds}
        rows.append(row | {"confidence": confidence, "agreement": agreement})
    return rows


def _agreement(known: Known, candidates: np.ndarray, scores: np.ndarray) -> float | None:
    """Return the rank correlation of exact scores with what subsampling makes of them; None where all are equal."""
    ranks = forest_ranks(
        lambda places: scores[places], known.model.features(candidates), known.share, known.seed, "active", known.round
    )
    found = float(spearmanr(scores, ranks).statistic) if np.ptp(ranks) > 0 and (scores != scores[0]).any() else np.nan
    return None if np.isnan(found) else found
