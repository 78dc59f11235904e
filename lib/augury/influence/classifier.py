"""FI and influence values of logistic regressions, binary and multinomial, for all points at once in closed form."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from augury.errors import ModelError
from augury.influence.checks import check_rtol, whole
from augury.influence.closed_forms import BUDGET, Binary, Multinomial
from augury.influence.curvature import covariance_root, damped_root, inverse
from augury.influence.measure import middle_mean
from augury.models.logistic import Logistic
from augury.models.softmax import Softmax, shift_projector


@dataclass(frozen=True)
class SelfInfluence:
    """Influence of each training point on its own loss, as if it had weight 1.

    Times the point's weight and divided by n, it is the change of that loss in nats when the point is left out.

    Attributes
    ----------
    influence : ndarray of shape (n,)
        g' H^-1 g with H the *mean* Hessian: the first order, the magnitude of eq. (1) of Kuchnik & Smith (ICLR 2019).
    corrected : ndarray of shape (n,)
        One Newton step from the optimum without the point: removing it takes its own curvature out of H as well, which
        the first order ignores. Of two classes, g' H^-1 g / (1 - h) with the leverage h.
    """

    influence: np.ndarray
    corrected: np.ndarray


class ClassifierInfluence:
    """FI of the training points (x, y) of a logistic regression, of others through them, and influence values (IV).

    A training point is moved to x + omega. The parameters follow by d theta / d omega = -(1/n) H^-1 d_x d_theta L
    (A.7; eq. 2.2 lacks the sign, which matters in eq. 2.3), with H the mean Hessian of the objective. Intercepts are
    parameters and never perturbed. H is factorised once, here, for every method.

    Parameters
    ----------
    model : Logistic or Softmax
        Fitted on (X, y). C multiplies the *sum* of the losses, so that H has the penalty 1 / (C n) on the weights.
    X : ndarray of shape (n, p)
    y : ndarray of int, shape (n,)
        0 and 1, or 0 to K - 1.
    sample_weight : ndarray of shape (n,), optional
        The weights v >= 0 of the fit; ones by default.
    regularised : bool
        Whether H contains the penalty.
    damping : float
        Added to the diagonal of H. With any, an H that is singular is none the less inverted.
    whiten : bool
        Take perturbations in coordinates in which the covariance of X is the identity. FI's metric G has rank
        K - 1 < p as a rule, and its pseudo-inverse then depends on the units of the features; in these coordinates it
        does not (under invertible linear maps of the features, with the penalty mapped along or left out of H).
    rtol : float, optional
        Which singular values of S count as zero, see `measure.directions`; two classes leave nothing to decide.

    Raises
    ------
    ModelError
        If the model is none of the two, its parameters are not finite or its C is not positive, X, y or the weights do
        not fit it, the damping is negative or not finite, or H is singular.
    ParameterError
        If rtol is not in [0, 1).
    """

    def __init__(
        self,
        model: Logistic | Softmax,
        X: np.ndarray,
        y: np.ndarray,
        *,
        sample_weight: np.ndarray | None = None,
        regularised: bool = True,
        damping: float = 0.0,
        whiten: bool = False,
        rtol: float | None = None,
    ) -> None:
        if not isinstance(model, (Logistic, Softmax)):
            raise ModelError(f"FI in closed form needs a fitted Logistic or Softmax, not {type(model).__name__}")
        if not np.isfinite(model.theta).all():
            raise ModelError("the model's parameters are not finite; fit it again")
        if regularised and not model.C > 0:
            raise ModelError(f"C, the inverse of the penalty's strength, is {model.C}; it must be positive")
        check_rtol(rtol)
        self.model, self._rtol = model, rtol
        self.classes = 2 if isinstance(model, Logistic) else len(model.theta)
        X, y = self._points(X, y, "training")
        self.n = len(X)
        weight = np.ones(self.n) if sample_weight is None else np.asarray(sample_weight, np.float64)
        if weight.shape != (self.n,) or not np.isfinite(weight).all() or not (weight >= 0).all() or not weight.any():
            raise ModelError(f"sample_weight must be {self.n} finite numbers of at least 0, not all of them 0")
        if not 0 <= damping < np.inf:
            raise ModelError(f"damping is {damping}; it must be finite and at least 0")
        root = covariance_root(X) if whiten else None
        self._form = (Binary if isinstance(model, Logistic) else Multinomial)(model.theta, X, y, weight, root)
        hessian = self._form.hessian() / self.n
        rows = 1 if isinstance(model, Logistic) else self.classes
        if regularised:
            penalty = np.tile(np.r_[np.ones(X.shape[1]), 0.0], rows)
            hessian[np.diag_indices_from(hessian)] += penalty / (model.C * self.n)
        if rows > 1:  # one shift of all intercepts (without a penalty: of all rows) has neither curvature nor effect
            hessian += hessian.trace() / len(hessian) * shift_projector(rows, X.shape[1] + 1)
        if damping:
            self._half = half = damped_root(hessian, damping)
            self._inverse = half @ half.T
        else:
            self._inverse = inverse(
                hessian,
                "use regularised=True, a smaller C, damping, or drop features that others determine; where every "
                "training point is classified beyond doubt, only a stronger penalty or damping helps",
            )

    @cached_property
    def _half(self) -> np.ndarray:
        """A root of H^-1 = half half'."""
        return np.linalg.cholesky(self._inverse)

    def _points(self, X: np.ndarray, y: np.ndarray | None, what: str) -> tuple[np.ndarray, np.ndarray]:
        X = np.asarray(X, np.float64)
        features = self.model.theta.shape[-1] - 1
        if X.ndim != 2 or X.shape[1] != features:
            raise ModelError(f"the model was fitted on {features} features; the {what} points have shape {X.shape}")
        if len(X) == 0:
            raise ModelError(f"there are no {what} points")
        if not np.isfinite(X).all():
            raise ModelError(f"the {what} points have features that are not finite; remove or impute them")
        if y is None:
            logits = self.model.decision(X)
            return X, (logits > 0).astype(np.int64) if logits.ndim == 1 else logits.argmax(1)
        y = np.asarray(y)
        if y.shape != (len(X),) or not np.isin(y, np.arange(self.classes)).all():
            raise ModelError(f"the {what} points need one label each, of 0 to {self.classes - 1}")
        return X, y.astype(np.int64)

    def _pull(self, X: np.ndarray, y: np.ndarray | None, what: str) -> np.ndarray:
        """Return H^-1 grad L of each point: shape (m, q)."""
        return np.asarray(self._form.gradients(*self._points(X, y, what)) @ self._inverse)

    def _pairs(self, V: np.ndarray) -> np.ndarray:
        if isinstance(self._form, Binary):
            return self._form.pairs(V, self._inverse)
        return self._form.pairs(V, self._inverse, self._rtol)

    def util(self, X_val: np.ndarray, y_val: np.ndarray) -> np.ndarray:
        """Return FI^util of every training point by the mean validation loss (Section 3, Algorithm 1): shape (n,).

        The largest are trimmed first. A point that is classified wrongly beyond doubt, all other probabilities zero in
        floating point, has an infinite value. A single class that is beyond doubt leaves a finite one, of order 1 / P;
        with an rtol, or with K - 1 > p, its direction is cut instead where P is below about rtol^2.

        Raises
        ------
        ModelError
            If the validation points do not fit the model.
        """
        mean = self._form.gradients(*self._points(X_val, y_val, "validation")).mean(0)
        return self._pairs((mean @ self._inverse)[None])[0]

    def pairs(self, X_new: np.ndarray, y_new: np.ndarray) -> np.ndarray:
        """Return FI(z', z) of m new points with each training point (eq. 2.1): shape (m, n).

        Raises
        ------
        ModelError
            If the new points do not fit the model.
        """
        return self._pairs(self._pull(X_new, y_new, "new"))

    def active(self, X_pool: np.ndarray) -> np.ndarray:
        """Return FI^active of unlabelled points (eq. 4.1, Algorithm 2): shape (m,); the largest are labelled first.

        Each point takes the label that the model predicts; g is the mean of the middle 80 % over the training points.

        Raises
        ------
        ModelError
            If the pool is empty or does not fit the model.
        """
        V = self._pull(X_pool, None, "pool")
        step = max(1, BUDGET // (2 * 8 * self.n))  # the pairs, and what they are made of or their sorted copy
        return np.concatenate([middle_mean(self._pairs(V[i : i + step])) for i in range(0, len(V), step)])

    def own(self, points: int | None = None) -> SelfInfluence:
        """Return the training points' leave-one-out influence on their own loss (Kuchnik & Smith, eq. 1).

        Parameters
        ----------
        points : int, optional
            Only of the first so many points, 1 to n; all of them enter H.

        Raises
        ------
        ParameterError
            If `points` is out of range.
        """
        points = self.n if points is None else whole(points, self.n, "points")
        return SelfInfluence(*self._form.own(self._half, points))

    def removal(self, X_val: np.ndarray, y_val: np.ndarray) -> np.ndarray:
        """Return IV of Chhabra et al. (2024), grad L(V)' H^-1 grad L(z_i) with L(V) the mean loss: shape (n,).

        Divided by n it is the first-order change of the validation loss when the point is removed: the most negative
        are trimmed first.

        Raises
        ------
        ModelError
            If the validation points do not fit the model.
        """
        mean = self._form.gradients(*self._points(X_val, y_val, "validation")).mean(0)
        return np.asarray(self._form.weight * (self._form.own_gradients() @ (mean @ self._inverse)))

    def addition(self, X_new: np.ndarray, X_val: np.ndarray, y_val: np.ndarray) -> np.ndarray:
        """Return IV of m unlabelled points, grad L(V)' H^-1 grad L(z') with their predicted labels: shape (m,).

        Divided by n it is, to first order, how much the validation loss falls when the point joins the training set:
        the largest are labelled first.

        Raises
        ------
        ModelError
            If the new or the validation points do not fit the model.
        """
        mean = self._form.gradients(*self._points(X_val, y_val, "validation")).mean(0)
        return np.asarray(self._form.gradients(*self._points(X_new, None, "new")) @ (mean @ self._inverse))

    def slopes(self, X_val: np.ndarray, y_val: np.ndarray) -> np.ndarray:
        """Return d L(V) / d omega of every training point (eq. 2.2), whitened if asked for: shape (n, p).

        Raises
        ------
        ModelError
            If the validation points do not fit the model.
        """
        mean = self._form.gradients(*self._points(X_val, y_val, "validation")).mean(0)
        return np.asarray(self._form.slopes((mean @ self._inverse)[None])[0])

    def metric(self) -> np.ndarray:
        """Return S of every training point, G = S'S (eq. 2.3), whitened if asked for: shape (n, K, p)."""
        return self._form.metric(self._inverse)

    def displacement(self) -> np.ndarray:
        """Return M' (n H)^-1 M with M = d_x d_theta L of every training point, whitened if asked for: shape (n, p, p).

        Twice its largest eigenvalue is the curvature of Cook's (1986) local influence. Takes n q p numbers at once.
        """
        T = self._form.slopes(self._half.T)  # (q, n, p): -(1/n) half'M
        return np.asarray(self.n * np.einsum("qni,qnj->nij", T, T))
