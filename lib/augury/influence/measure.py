"""The influence measure's algebra: FI = dL G^+ dL' from the K x p factor S of G = S'S, never from a p x p matrix.

Zhu et al. (2007), Shu and Zhu (2019), and eq. (2.1) of "Enhancing Training Robustness through Influence Measure".
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from augury.errors import ModelError, ParameterError
from augury.influence.checks import check_rtol

FAINT = 1e-10  # singular values of S, by the largest, whose directions have lost too many digits
MIDDLE = 0.8  # share of the values that the aggregation of Section 5.2 keeps


@dataclass(frozen=True)
class Directions:
    """The row space of S and what the metric weighs it with: FI = |inverse * (dL vectors)|^2.

    Attributes
    ----------
    vectors : ndarray of shape (..., p, k)
        Orthonormal right singular vectors of S as columns, k = min(K, p); see `directions` for the exception.
    inverse : ndarray of shape (..., k)
        1 / sigma of the singular values that count as positive, 0 for the others; infinite throughout where S = 0.
    """

    vectors: np.ndarray
    inverse: np.ndarray

    def measure(self, along: np.ndarray) -> np.ndarray:
        """Return FI of shape (...) from the loss's slopes `along` the vectors, of shape (..., k).

        A slope of zero adds nothing, also where the metric vanishes: there FI is the limit, zero for a loss that does
        not move and infinite for one that does.
        """
        with np.errstate(invalid="ignore", over="ignore"):
            terms = np.where(along == 0, 0.0, along * self.inverse)
            return np.asarray((terms**2).sum(-1))


def directions(S: np.ndarray, rtol: float | None = None, log_p: np.ndarray | None = None) -> Directions:
    """Return the row space of S by a thin singular value decomposition.

    A class whose probability is below about 1e-31 of the others' has its direction cut as rounding, though S holds it
    to full precision in a row of its own. Given the probabilities and no rtol, it is kept: see `_graded`.

    Parameters
    ----------
    S : ndarray of shape (..., K, p)
        Rows sqrt(P_c) d_omega log P(c|.), so that G = S'S. They satisfy sum_c sqrt(P_c) S_c = 0, so the rank is at most
        K - 1 and a K-th singular value is rounding, whatever its size.
    rtol : float, optional
        Singular values of S up to `rtol` times the largest count as zero; by default max(K, p) machine epsilons, as
        fine as float64 resolves. (A p x p pseudo-inverse sees only squares and loses everything below about 1e-8.)
    log_p : ndarray of shape (..., K), optional
        Logarithms of the probabilities P.

    Raises
    ------
    ModelError
        If a value is not finite.
    ParameterError
        If rtol is not in [0, 1).
    """
    check_rtol(rtol)
    S = np.asarray(S, np.float64)
    if not np.isfinite(S).all():
        raise ModelError("the derivatives of the probabilities are not finite; check the model's parameters and inputs")
    _, sigma, rows = np.linalg.svd(S, full_matrices=False)
    largest = sigma[..., :1]
    small = max(S.shape[-2:]) * np.finfo(float).eps if rtol is None else rtol
    kept = (sigma > small * largest) & (sigma >= np.finfo(float).tiny)
    kept[..., S.shape[-2] - 1 :] = False
    inverse = np.divide(1.0, sigma, out=np.zeros_like(sigma), where=kept)
    vanishes = largest[..., 0] < np.finfo(float).tiny
    inverse[vanishes] = np.inf
    vectors = np.swapaxes(rows, -1, -2)
    classes, p = S.shape[-2:]
    if log_p is not None and rtol is None and p >= classes - 1:
        faint = (sigma[..., classes - 2] < FAINT * largest[..., 0]) & ~vanishes
        if faint.any():
            vectors[faint], inverse[faint] = _graded(S[faint], log_p[faint], vectors[faint], inverse[faint])
    return Directions(vectors, inverse)


def _graded(
    S: np.ndarray, log_p: np.ndarray, vectors: np.ndarray, inverse: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return vectors and inverse of c points, anew for those whose K - 1 directions are independent but for P's scale.

    With s = sqrt(P), t the likeliest class and e_c = S_c / s_c - S_t / (1 + s_t) of the others, G = E' diag(P) E. Where
    the rows of E are independent G^+ = E^+ diag(1 / P) E^+': the scales are apart from what has to be decomposed.
    """
    p, classes = vectors.shape[-2], S.shape[-2]
    order = (-log_p).argsort(-1)[..., None]  # the likeliest class first
    s = np.exp(np.take_along_axis(log_p[..., None], order, -2) / 2)
    with np.errstate(divide="ignore", invalid="ignore"):
        rows = np.take_along_axis(S, order, -2) / s
    E = rows[:, 1:] - rows[:, :1] * s[:, :1] / (1 + s[:, :1])
    sound = np.isfinite(E).all((-1, -2))
    left, sigma, right = np.linalg.svd(np.where(sound[:, None, None], E, 0.0), full_matrices=False)
    sound &= sigma[:, -1] > max(p, classes) * np.finfo(float).eps * sigma[:, 0]
    vectors[sound], inverse[sound] = 0.0, 0.0
    pseudo = np.swapaxes(left @ (right / np.where(sigma > 0, sigma, 1.0)[..., None]), -1, -2)  # E^+: (c, p, K - 1)
    vectors[sound, :, : classes - 1] = pseudo[sound]
    inverse[sound, : classes - 1] = 1 / s[sound, 1:, 0]
    return vectors, inverse


def _broadcast(*shapes: tuple[int, ...]) -> bool:
    try:
        np.broadcast_shapes(*shapes)
    except ValueError:
        return False
    return True


def influence_measure(dL: np.ndarray, S: np.ndarray, *, rtol: float | None = None) -> np.ndarray:
    """Return FI = dL G^+ dL' = |pinv(S') dL|^2 with G = S'S (eq. 2.1).

    Where probabilities saturate, S vanishes in floating point and FI is 0/0. The limit is taken: zero if dL vanishes
    as well (the point is classified rightly, and dL falls as s while S falls as sqrt(s)), infinite if it does not.

    Parameters
    ----------
    dL : ndarray of shape (..., p)
        The loss's derivative by the perturbation; leading axes broadcast against those of S.
    S : ndarray of shape (..., K, p)
    rtol : float, optional
        See `directions`.

    Returns
    -------
    ndarray of shape (...)

    Raises
    ------
    ModelError
        If the shapes do not fit or a value is not finite.
    ParameterError
        If rtol is not in [0, 1).
    """
    dL, S = np.asarray(dL, np.float64), np.asarray(S, np.float64)
    fits = dL.ndim >= 1 and S.ndim >= 2 and dL.shape[-1] == S.shape[-1] and _broadcast(dL.shape[:-1], S.shape[:-2])
    if not fits or not np.isfinite(dL).all():
        raise ModelError(f"finite dL of shape (..., p) goes with S of shape (..., K, p), not {dL.shape} with {S.shape}")
    found = directions(S, rtol)
    vanishes = np.isinf(found.inverse).all(-1)
    value = found.measure((dL[..., None, :] @ found.vectors)[..., 0, :])
    # where S = 0 the vectors are arbitrary, so dL itself decides
    return np.where(vanishes, np.where((dL != 0).any(-1), np.inf, 0.0), value)


def sqrt_probability_rows(A: np.ndarray, log_p: np.ndarray) -> np.ndarray:
    """Return S: rows sqrt(P_c) d log P_c from the logits' derivatives, without cancellation where P saturates.

    Parameters
    ----------
    A : ndarray of shape (..., K, p)
        Total derivatives of the logits by the perturbation (eq. 2.3 on logits).
    log_p : ndarray of shape (..., K)
        Logarithms of the probabilities.
    """
    top = log_p.argmax(-1)[..., None, None]
    D = A - np.take_along_axis(A, top, -2)  # of the likeliest class: then nothing of size one is subtracted below
    centred = D - np.exp(log_p)[..., None, :] @ D
    return np.asarray(np.exp(log_p / 2)[..., None] * centred)


def middle_mean(values: np.ndarray, share: float = MIDDLE) -> np.ndarray:
    """Return the mean over the last axis of the middle `share` of the values: g of eq. (4.1) as Section 5.2 has it.

    Of n values the floor(n (1 - share) / 2) smallest and as many of the largest are left out; the median never is.

    Raises
    ------
    ParameterError
        If there are no values, or the share is not in (0, 1].
    """
    values = np.asarray(values)
    n = values.shape[-1] if values.ndim else 0
    if n == 0 or not 0 < share <= 1:
        raise ParameterError(f"the middle {share} of {n} values is empty; give values and a share in (0, 1]")
    cut = min(int(n * (1 - share) / 2 + 1e-9), (n - 1) // 2)
    return np.asarray(np.partition(values, (cut, n - cut - 1), axis=-1)[..., cut : n - cut].mean(-1))
