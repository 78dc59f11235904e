"""Multinomial logistic regression with an L2 penalty, fitted to the exact optimum."""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
from scipy.linalg import cho_factor, cho_solve
from scipy.special import log_softmax

from augury.errors import ModelError
from augury.models.logistic import fit_logistic, with_intercept


@dataclass(frozen=True)
class Softmax:
    """A fitted multinomial logistic regression.

    Attributes
    ----------
    theta : ndarray of float64, shape (K, p + 1)
        A row for each class: weights, then the intercept, which is not penalised. Adding one vector to all rows
        changes no probability; the penalty fixes the weights (they sum to zero over the classes) but not the
        intercepts, of which `fit_softmax` takes those that sum to zero.
    C : float
        Inverse strength of the penalty |W|^2 / 2, as in scikit-learn: the objective is C * sum_i v_i L(z_i) + |W|^2 / 2
        with sample weights v.
    """

    theta: np.ndarray
    C: float

    def decision(self, X: np.ndarray) -> np.ndarray:
        """Return the logits of X of shape (n, p): shape (n, K)."""
        return np.asarray(X @ self.theta[:, :-1].T + self.theta[:, -1])

    def probabilities(self, X: np.ndarray) -> np.ndarray:
        """Return the classes' probabilities: shape (n, K)."""
        return np.exp(log_softmax(self.decision(X), axis=1))

    def losses(self, X: np.ndarray, y: np.ndarray) -> np.ndarray:
        """Return each point's log loss in nats, without the penalty: shape (n,)."""
        logits = self.decision(X)
        return np.asarray(-log_softmax(logits, axis=1)[np.arange(len(logits)), y])

    def accuracy(self, X: np.ndarray, y: np.ndarray) -> float:
        """Return the share of points whose likeliest class is theirs."""
        return float(np.mean(self.decision(X).argmax(1) == y))


def residuals(log_p: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return P - e_y of shape (n, K), the loss's derivative by the logits, exact also where P(y) rounds to 1."""
    found = np.exp(log_p)
    rows = np.arange(len(found))
    found[rows, y] = 0.0
    found[rows, y] = -found.sum(1)
    return found


def data_hessian(P: np.ndarray, Z: np.ndarray, v: np.ndarray | None = None) -> np.ndarray:
    """Return sum_i v_i (diag P_i - P_i P_i') (x) z_i z_i', of shape (K (p+1), K (p+1)), rows by class.

    Parameters
    ----------
    P : ndarray of shape (n, K)
    Z : ndarray of shape (n, p + 1)
    v : ndarray of shape (n,), optional
        Weights; ones by default.
    """
    classes, size = P.shape[1], Z.shape[1]
    weighted = P if v is None else P * v[:, None]
    found = np.empty((classes, size, classes, size))
    for a in range(classes):
        for b in range(a, classes):
            curvature = weighted[:, a] * ((a == b) - P[:, b])
            found[a, :, b] = (Z * curvature[:, None]).T @ Z
            found[b, :, a] = found[a, :, b]  # each block is symmetric
    return found.reshape(classes * size, classes * size)


def shift_projector(classes: int, size: int) -> np.ndarray:
    """Return the projector on the shifts, which add one vector to the parameters of all classes: (K size, K size).

    No loss or gradient knows the shifts, so adding this to a Hessian makes it invertible and changes no result.
    """
    return np.kron(np.full((classes, classes), 1 / classes), np.eye(size))


def fit_softmax(
    X: np.ndarray,
    y: np.ndarray,
    C: float = 1.0,
    *,
    classes: int | None = None,
    sample_weight: np.ndarray | None = None,
    start: np.ndarray | None = None,
    tol: float = 1e-20,
    polish: int = 20,
) -> Softmax:
    """Minimise C * sum_i v_i L(z_i; W, b) + |W|^2 / 2: scikit-learn's Newton-Cholesky, then full Newton steps.

    Two classes start as the binary regression with 2 C, its weights shared as +-w / 2.

    Parameters
    ----------
    X : ndarray of shape (n, p)
    y : ndarray of int, shape (n,)
        Labels 0 to K - 1, all present: the intercept of an absent class has no optimum.
    C : float
        Inverse strength of the penalty, > 0.
    classes : int, optional
        K; by default one more than the largest label.
    sample_weight : ndarray of shape (n,), optional
        Weights v >= 0; ones by default.
    start : ndarray of shape (K, p + 1), optional
        Where to start (a warm start); zeros by default.
    tol : float
        Stop when the Newton decrement, which bounds the objective's distance to its minimum, falls below
        tol * (1 + objective), or falls no further, far below what a difference of objectives could show.
    polish : int
        Most Newton steps at the end.

    Raises
    ------
    ModelError
        If an input is not finite, C is not positive, labels are not 0 to K - 1 with all present, or no optimum is
        reached.
    """
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    Z, y = with_intercept(X), np.asarray(y)
    count = int(y.max()) + 1 if classes is None and len(y) else classes or 0
    if not np.isfinite(Z).all():
        raise ModelError("multinomial regression was given features that are not finite; remove or impute them")
    if not C > 0:
        raise ModelError(f"C is the inverse of the penalty's strength and must be positive, not {C}")
    if count < 2 or set(np.unique(y)) != set(range(count)) or len(y) != len(Z):
        raise ModelError(f"multinomial regression needs one label a row, 0 to {count - 1}, all present")
    if count == 2:
        begin = None if start is None else start[1] - start[0]
        found = fit_logistic(X, y, 2 * C, sample_weight=sample_weight, start=begin)
        theta = np.stack([-found.theta, found.theta]) / 2
        return Softmax(_polished(theta, Z, y, C, sample_weight, tol, polish), C)
    model = LogisticRegression(C=C, solver="newton-cholesky", tol=1e-8, max_iter=200, warm_start=True)
    if start is not None:
        model.classes_, model.coef_, model.intercept_ = np.arange(count), start[:, :-1].copy(), start[:, -1].copy()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # the decrement below decides
        model.fit(Z[:, :-1], y, sample_weight=sample_weight)
    theta = np.column_stack([model.coef_, model.intercept_])
    return Softmax(_polished(theta, Z, y, C, sample_weight, tol, polish), C)


def _polished(
    theta: np.ndarray, Z: np.ndarray, y: np.ndarray, C: float, weight: np.ndarray | None, tol: float, steps: int
) -> np.ndarray:
    """Return the parameters after full Newton steps, shifted so that they sum to zero over the classes."""
    v = C * (np.ones(len(Z)) if weight is None else np.asarray(weight, np.float64))
    penalty = np.tile(np.r_[np.ones(Z.shape[1] - 1), 0.0], len(theta))
    last = np.inf
    for _ in range(steps):
        theta = theta - theta.mean(0)
        log_p = log_softmax(Z @ theta.T, axis=1)
        value = -(v * log_p[np.arange(len(y)), y]).sum() + penalty @ theta.ravel() ** 2 / 2
        gradient = ((v[:, None] * residuals(log_p, y)).T @ Z).ravel() + penalty * theta.ravel()
        hessian = data_hessian(np.exp(log_p), Z, v) + np.diag(penalty)
        hessian += hessian.trace() / len(hessian) * shift_projector(*theta.shape)
        step = cho_solve(cho_factor(hessian), gradient)
        decrement = float(gradient @ step) / 2
        if decrement <= tol * (1 + value) or (decrement < 1e-14 * (1 + value) and decrement > last / 4):
            return np.asarray(theta - step.reshape(theta.shape))
        theta, last = theta - step.reshape(theta.shape), decrement
    raise ModelError(f"multinomial regression reached no optimum (decrement {last:.1e}); standardise X or lower C")
