"""Augmentation policies: in which order the training points are augmented (Kuchnik & Smith, Sec. 4 and Table 2)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from augury.errors import ParameterError

SELECTIONS = ("baseline", "random", "deterministic", "random-inverse", "deterministic-inverse")
FLOOR = 1e-20  # stands for a score of zero, so that every point can be drawn (as in the released code)


@dataclass(frozen=True)
class Policy:
    """A row of the AUC tables.

    Attributes
    ----------
    name : str
        As printed in Tables 3-20.
    selection : str
        One of `SELECTIONS`.
    update : bool
        Whether the scores are recomputed whenever the model has been refitted.
    downweight : bool
        Whether an original and its copies share the weight of one point.
    """

    name: str
    selection: str
    update: bool = False
    downweight: bool = False

    @property
    def stochastic(self) -> bool:
        """Whether rounds differ: deterministic policies have one."""
        return not self.selection.startswith("deterministic")


def _named(selection: str, update: bool, downweight: bool) -> Policy:
    kind = {
        "baseline": "Baseline",
        "random": "Random Proportional",
        "deterministic": "Deterministic Proportional",
        "random-inverse": "Random Inverse Proportional",
        "deterministic-inverse": "Deterministic Inverse Proportional",
    }[selection]
    return Policy(kind + " Update" * update + " Downweight" * downweight, selection, update, downweight)


POLICIES: tuple[Policy, ...] = (
    _named("baseline", False, False),
    *(_named(s, u, d) for s in ("random", "deterministic") for u in (False, True) for d in (False, True)),
    _named("random-inverse", False, False),
    _named("deterministic-inverse", False, False),
)
"""The eleven policies of Tables 3-20."""


def policy(selection: str, update: bool = False, downweight: bool = False) -> Policy:
    """Return the policy of that make.

    Raises
    ------
    ParameterError
        If the tables have no such policy.
    """
    for candidate in POLICIES:
        if (candidate.selection, candidate.update, candidate.downweight) == (selection, update, downweight):
            return candidate
    raise ParameterError(f"no policy selects {selection!r} with update={update}, downweight={downweight}")


def augmentation_order(scores: np.ndarray, selection: str, rng: np.random.Generator) -> np.ndarray:
    """Order all points for augmentation.

    The random selections draw without replacement, each time with probability proportional to the weights that are
    left (Table 2): s for "random", 1/s for "random-inverse", equal for "baseline". Sorting E_i / w_i with standard
    exponential E_i is exactly that scheme (Efraimidis & Spirakis 2006), without a loop.

    Parameters
    ----------
    scores : ndarray of shape (n,)
        Magnitudes s >= 0.
    selection : str
        One of `SELECTIONS`.
    rng : numpy.random.Generator

    Returns
    -------
    ndarray of int64, shape (n,)
        A permutation, first to be augmented first.

    Raises
    ------
    ParameterError
        If the selection is unknown, or a score is negative or not finite.
    """
    if selection not in SELECTIONS:
        raise ParameterError(f"selection {selection!r} is unknown; choose from {', '.join(SELECTIONS)}")
    if not (np.isfinite(scores).all() and (scores >= 0).all()):
        raise ParameterError("scores must be finite and not negative: hand over magnitudes")
    if selection == "deterministic":
        return np.argsort(-scores, kind="stable")
    if selection == "deterministic-inverse":
        return np.argsort(scores, kind="stable")
    positive = np.where(scores > 0, scores, min(FLOOR, scores[scores > 0].min(initial=FLOOR)))
    log_weight = {"baseline": 0 * positive, "random": np.log(positive), "random-inverse": -np.log(positive)}[selection]
    return np.argsort(np.log(rng.standard_exponential(len(scores))) - log_weight, kind="stable")


def sample_weights(n: int, index: np.ndarray) -> np.ndarray:
    """Return the weights that let each original share its unit weight with its copies (Sec. 4.2).

    Parameters
    ----------
    n : int
        Number of originals; they come first in the training set.
    index : ndarray of int, shape (m,)
        The original of each copy, which follow.

    Returns
    -------
    ndarray of shape (n + m,)
        1 / (copies of its original + 1) for every point: the total is n whatever was augmented.
    """
    share = 1 / (1 + np.bincount(index, minlength=n))
    return np.concatenate([share, share[index]])
