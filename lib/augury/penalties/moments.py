"""Least squares from a data set's moments: all that linear regression needs to know of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from augury.errors import ModelError, ParameterError

ROUNDING = 1e-13  # a standard deviation below this share of the mean is rounding: the feature is constant


class Linear(NamedTuple):
    """A linear model, or a stack of them: y = intercept + X beta.

    Attributes
    ----------
    intercept : ndarray of float64, shape (...)
    beta : ndarray of float64, shape (..., k)
    """

    intercept: np.ndarray
    beta: np.ndarray


@dataclass(frozen=True)
class Moments:
    """All that linear regression needs of a data set: means and population covariances (divided by n).

    Attributes
    ----------
    n : int
    mean : ndarray of shape (k,)
    response : float
        Mean of y.
    covariance : ndarray of shape (k, k)
        Of the features.
    cross : ndarray of shape (k,)
        Covariance of each feature and y.
    """

    n: int
    mean: np.ndarray
    response: float
    covariance: np.ndarray
    cross: np.ndarray

    @property
    def variance(self) -> np.ndarray:
        """The features' variances v_j, of shape (k,)."""
        return self.covariance.diagonal()

    @property
    def second(self) -> np.ndarray:
        """The features' second moments v_j + mu_j^2, of shape (k,): the diagonal of Theorem 2's D."""
        return self.variance + self.mean**2

    @property
    def varying(self) -> np.ndarray:
        """Which features are not constant, of shape (k,)."""
        return self.variance > (ROUNDING * self.mean) ** 2


def checked(X: ArrayLike, y: ArrayLike | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Return features and response (zeros if not given) as float64; raise as `moments` where they are no data set."""
    X = np.asarray(X, np.float64)
    y = np.zeros(X.shape[:1]) if y is None else np.asarray(y, np.float64)
    if X.ndim != 2 or y.shape != X.shape[:1] or X.shape[0] < 2 or X.shape[1] < 1:
        raise ParameterError(
            f"linear regression needs X of shape (n, k) and y of shape (n,), n >= 2 and k >= 1, not {X.shape} and"
            f" {y.shape}"
        )
    if not (np.isfinite(X).all() and np.isfinite(y).all()):
        raise ParameterError("linear regression was given values that are not finite; remove or impute them")
    return X, y


def moments(X: ArrayLike, y: ArrayLike) -> Moments:
    """Return the moments of a data set.

    Parameters
    ----------
    X : array_like of shape (n, k)
    y : array_like of shape (n,)

    Raises
    ------
    ParameterError
        If the shapes do not match, there are fewer than two rows or no feature, or a value is not finite.
    """
    X, y = checked(X, y)
    mean, response = X.mean(0), float(y.mean())
    centred = X - mean
    return Moments(len(X), mean, response, centred.T @ centred / len(X), centred.T @ (y - response) / len(X))


def solve(m: Moments, shrink: np.ndarray, ridge: np.ndarray) -> Linear:
    """Solve (shrink C + diag(ridge)) beta = c for a stack of systems, with C and c the moments' covariances.

    Parameters
    ----------
    m : Moments
    shrink : ndarray of shape (L,)
    ridge : ndarray of shape (L, k)

    Returns
    -------
    Linear
        Intercepts of shape (L,), beta of shape (L, k); a constant feature's coefficient is 0.

    Raises
    ------
    ModelError
        If a system has no unique solution.
    """
    keep = m.varying  # a constant feature's row and column of C are zero: it decouples, and contributes nothing
    scale = np.sqrt(m.variance[keep])
    correlation = m.covariance[np.ix_(keep, keep)] / np.outer(scale, scale)
    ridge = ridge[:, keep] / scale**2
    beta = np.zeros((len(shrink), len(keep)))
    if keep.any():
        values = np.linalg.eigvalsh(correlation)
        smallest = shrink * max(values[0], 0.0) + ridge.min(1)  # bounds the least eigenvalue from below
        if (smallest <= max(m.n, len(values)) * np.finfo(float).eps * shrink * values[-1]).any():
            raise ModelError(
                f"the {len(values)} features are linearly dependent over the {m.n} rows, so the coefficients are not"
                " determined: drop features, add rows, or take a larger lambda"
            )
        system = shrink[:, None, None] * correlation + ridge[:, :, None] * np.eye(len(values))  # (L, k, k)
        right = np.broadcast_to((m.cross[keep] / scale)[:, None], (len(shrink), len(values), 1))
        beta[:, keep] = np.linalg.solve(system, right)[..., 0] / scale
    return Linear(m.response - beta @ m.mean, beta)


def least_squares(m: Moments) -> Linear:
    """Return the ordinary least squares fit: intercept of shape () and beta of shape (k,); see `linear.ols`.

    Raises
    ------
    ModelError
        If the features that vary are linearly dependent.
    """
    fit = solve(m, np.ones(1), np.zeros((1, len(m.mean))))
    return Linear(fit.intercept[0], fit.beta[0])
