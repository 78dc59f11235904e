"""Binary logistic regression with an L2 penalty, fitted by Newton's method to the exact optimum."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.linalg import cho_factor, cho_solve
from scipy.special import expit

from augury.errors import ModelError


@dataclass(frozen=True)
class Logistic:
    """A fitted binary logistic regression.

    Attributes
    ----------
    theta : ndarray of float64, shape (p + 1,)
        Weights, then the intercept, which is not penalised.
    C : float
        Inverse strength of the penalty |w|^2 / 2, as in scikit-learn: the objective is
        C * sum_i v_i L(z_i) + |w|^2 / 2 with sample weights v.
    """

    theta: np.ndarray
    C: float

    def decision(self, X: np.ndarray) -> np.ndarray:
        """Return the logits of X of shape (n, p): shape (n,)."""
        return X @ self.theta[:-1] + self.theta[-1]

    def losses(self, X: np.ndarray, y: np.ndarray) -> np.ndarray:
        """Return each point's log loss in nats, without the penalty: shape (n,)."""
        return np.logaddexp(0, -_signs(y) * self.decision(X))

    def accuracy(self, X: np.ndarray, y: np.ndarray) -> float:
        """Return the share of points on the right side."""
        return float(np.mean((self.decision(X) > 0) == (y == 1)))


def _signs(y: np.ndarray) -> np.ndarray:
    return np.where(y == 1, 1.0, -1.0)


def with_intercept(X: np.ndarray) -> np.ndarray:
    """Append the column of ones: shape (n, p + 1), float64."""
    return np.hstack([np.asarray(X, np.float64), np.ones((len(X), 1))])


def fit_logistic(
    X: np.ndarray,
    y: np.ndarray,
    C: float = 1.0,
    *,
    sample_weight: np.ndarray | None = None,
    start: np.ndarray | None = None,
    tol: float = 1e-10,
    max_iter: int = 200,
) -> Logistic:
    """Minimise C * sum_i v_i L(z_i; w, b) + |w|^2 / 2 by Newton's method with step halving.

    Parameters
    ----------
    X : ndarray of shape (n, p)
    y : ndarray of 0 and 1, shape (n,)
    C : float
        Inverse strength of the penalty, > 0.
    sample_weight : ndarray of shape (n,), optional
        Weights v >= 0; ones by default.
    start : ndarray of shape (p + 1,), optional
        Where to start (a warm start); zeros by default.
    tol : float
        Stop when the Newton decrement, which bounds the objective's distance to its minimum, falls below
        tol * (1 + objective).

    Raises
    ------
    ModelError
        If an input is not finite, C is not positive, the labels are not 0 and 1 with both present, or no optimum is
        reached within `max_iter` steps.
    """
    Z, y = with_intercept(X), np.asarray(y)
    if not np.isfinite(Z).all():
        raise ModelError("logistic regression was given features that are not finite; remove or impute them")
    if not C > 0:
        raise ModelError(f"C is the inverse of the penalty's strength and must be positive, not {C}")
    if set(np.unique(y)) != {0, 1}:
        raise ModelError(f"logistic regression needs labels 0 and 1, both present; got {np.unique(y)[:5]}")
    sign = _signs(y)
    v = C * (np.ones(len(Z)) if sample_weight is None else np.asarray(sample_weight, np.float64))
    penalty = np.r_[np.ones(Z.shape[1] - 1), 0.0]
    theta = np.zeros(Z.shape[1]) if start is None else start.astype(np.float64, copy=True)

    def objective(theta: np.ndarray, margin: np.ndarray) -> float:
        return float(v @ np.logaddexp(0, -margin) + penalty @ theta**2 / 2)

    margin = sign * (Z @ theta)
    value = objective(theta, margin)
    for _ in range(max_iter):
        miss = expit(-margin)  # 1 - probability of the right class
        gradient = penalty * theta - Z.T @ (v * sign * miss)
        hessian = (Z * (v * miss * (1 - miss))[:, None]).T @ Z
        hessian[np.diag_indices_from(hessian)] += penalty + 1e-12 * (1 + hessian.trace())
        step = cho_solve(cho_factor(hessian), gradient)
        decrement = float(gradient @ step) / 2
        if decrement <= tol * (1 + value):
            return Logistic(theta - step, C)
        shift = sign * (Z @ step)
        size = 1.0
        while True:
            trial = objective(theta - size * step, margin - size * shift)
            if trial <= value - 1e-4 * size * decrement or size < 1e-8:
                break
            size /= 2
        theta, margin, value = theta - size * step, margin - size * shift, trial
    raise ModelError(f"logistic regression reached no optimum in {max_iter} Newton steps (decrement {decrement:.1e})")
