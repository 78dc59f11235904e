"""Leave-one-out influence in binary logistic regression, for all points at once in closed form."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import expit

from augury.errors import ModelError
from augury.models.logistic import Logistic, with_intercept

DAMPING = 1e-10  # of the unregularised mean Hessian: the value of Kuchnik & Smith's released code


@dataclass(frozen=True)
class SelfInfluence:
    """Influence of each training point on its own loss.

    Attributes
    ----------
    influence : ndarray of shape (n,)
        g' H^-1 g with H the *mean* Hessian: the magnitude of eq. (1) of Kuchnik & Smith (ICLR 2019). Divided by n it
        is the first-order change of the point's own loss, in nats, when the point is left out.
    leverage : ndarray of shape (n,)
        h = s x' (n H)^-1 x, the share of the curvature along x that the point itself contributes.
    """

    influence: np.ndarray
    leverage: np.ndarray

    @property
    def corrected(self) -> np.ndarray:
        """g' H^-1 g / (1 - h), of shape (n,): one Newton step from the optimum without the point.

        Removing a point takes its own curvature out of H too (Sherman-Morrison), which the first order ignores.
        """
        return self.influence / (1 - self.leverage)


def self_influence(
    model: Logistic,
    X: np.ndarray,
    y: np.ndarray,
    *,
    regularised: bool = False,
    sample_weight: np.ndarray | None = None,
    points: int | None = None,
) -> SelfInfluence:
    """Score training points by leave-one-out influence on their own loss (Kuchnik & Smith, eq. 1).

    The gradient of a point's loss is r x with r = sigma(logit) - y, the Hessian s x x' with s = sigma (1 - sigma), so
    that g' H^-1 g = r^2 x' H^-1 x: one eigendecomposition serves all n points, O(n p^2 + p^3).

    Parameters
    ----------
    model : Logistic
        Fitted on (X, y, sample_weight).
    X : ndarray of shape (n, p)
    y : ndarray of 0 and 1, shape (n,)
    regularised : bool
        Whether H contains the penalty. Without (the released code, the default) 1e-10 keeps it invertible.
    sample_weight : ndarray of shape (n,), optional
        The weights of the fit.
    points : int, optional
        Score only the first `points` rows; all rows enter H.

    Raises
    ------
    ModelError
        If X has another number of columns than the model.
    """
    Z = with_intercept(X)
    if Z.shape[1] != len(model.theta):
        raise ModelError(f"the model was fitted on {len(model.theta) - 1} features, not {Z.shape[1] - 1}")
    n = len(Z)
    probability = expit(Z @ model.theta)
    curvature = probability * (1 - probability)
    weights = np.ones(n) if sample_weight is None else np.asarray(sample_weight, np.float64)
    hessian = (Z * (weights * curvature)[:, None]).T @ Z / n
    if regularised:
        hessian[np.diag_indices(Z.shape[1] - 1)] += 1 / (model.C * n)
    else:
        hessian[np.diag_indices_from(hessian)] += DAMPING
    values, vectors = np.linalg.eigh(hessian)
    # rounding can push the null directions of a singular H below zero: they are at the damping
    values = np.maximum(values, DAMPING if not regularised else np.finfo(float).tiny)
    rotated = (Z[:points] @ vectors) ** 2 @ (1 / values)  # x' H^-1 x
    residual = (probability - y)[:points]
    return SelfInfluence(residual**2 * rotated, weights[:points] * curvature[:points] * rotated / n)
