"""Linear regression under the penalties that ablated augmentation imposes, in closed form.

Liu, Najmi and Sundararajan (2020), Section 2 and Appendices A-C. Underbars (columns less their means) are applied
here, so features need not be centred; V = diag(v_j) holds the features' variances (divided by n), mu_j are their means.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from augury.augment.ablation import check_lambda
from augury.errors import ParameterError
from augury.penalties.moments import Linear, Moments, checked, least_squares, moments, solve


def _lambdas(lam: ArrayLike) -> np.ndarray:
    check_lambda(lam)
    if np.ndim(lam) > 1:
        raise ParameterError(f"lambda is a number or a list of them, not of shape {np.shape(lam)}")
    return np.atleast_1d(np.asarray(lam, np.float64))


def _penalised(m: Moments, lam: ArrayLike, shrink: np.ndarray, ridge: np.ndarray) -> Linear:
    """Solve for every lambda, and drop the axis again where one was asked for."""
    fit = solve(m, shrink, ridge)
    return fit if np.ndim(lam) else Linear(fit.intercept[0], fit.beta[0])


def ols(X: ArrayLike, y: ArrayLike) -> Linear:
    """Return the ordinary least squares fit (X'X)^-1 X'y on centred data (Appendix A).

    Parameters
    ----------
    X : array_like of shape (n, k)
        A constant feature gets the coefficient 0: the intercept does all that it could do.
    y : array_like of shape (n,)

    Returns
    -------
    Linear
        Intercept of shape () and beta of shape (k,).

    Raises
    ------
    ParameterError
        If the shapes do not match, there are fewer than two rows, or a value is not finite.
    ModelError
        If the features that vary are linearly dependent, as they are with fewer than k + 1 rows.
    """
    return least_squares(moments(X, y))


def beta_ccp(X: ArrayLike, y: ArrayLike, lam: ArrayLike) -> Linear:
    """Return the fit under the contribution covariance penalty (eq. 3): ((1 - lambda) X'X + n lambda V)^-1 X'y.

    Theorem 1: what least squares on mean-ablated rows tends to.

    Parameters
    ----------
    X : array_like of shape (n, k)
        A constant feature, for which the system is singular at every lambda, gets the coefficient 0: mean ablation
        leaves it as it is, and the intercept does all that it could do.
    y : array_like of shape (n,)
    lam : array_like in [0, 1), of shape () or (L,)

    Returns
    -------
    Linear
        Intercept of shape () or (L,), beta of shape (k,) or (L, k).

    Raises
    ------
    ParameterError
        As `ols`, or if a lambda is out of range.
    ModelError
        At lambda = 0 (or so close to it that rounding decides) as `ols`; above, the solution is unique.
    """
    lambdas, m = _lambdas(lam), moments(X, y)
    return _penalised(m, lam, 1 - lambdas, lambdas[:, None] * m.variance)


def beta_ml2p(X: ArrayLike, y: ArrayLike, lam: ArrayLike) -> Linear:
    """Return the fit under the modified L2 penalty (Theorem 2): (X'X + n lambda / (1 - lambda) D)^-1 X'y.

    It is what least squares on rows under inverted dropout tends to; D = diag(v_j + mu_j^2). The last line of the
    text's proof lacks the n.

    Parameters
    ----------
    X : array_like of shape (n, k)
        A constant feature gets the coefficient 0: so says the ridge for lambda > 0, and its limit at lambda = 0.
    y : array_like of shape (n,)
    lam : array_like in [0, 1), of shape () or (L,)

    Returns
    -------
    Linear
        Intercept of shape () or (L,), beta of shape (k,) or (L, k).

    Raises
    ------
    ParameterError, ModelError
        As `beta_ccp`.
    """
    lambdas, m = _lambdas(lam), moments(X, y)
    return _penalised(m, lam, np.ones(len(lambdas)), (lambdas / (1 - lambdas))[:, None] * m.second)


def limit_ccp(X: ArrayLike, y: ArrayLike) -> Linear:
    """Return the limit of `beta_ccp` as lambda -> 1: k regressions on one feature each, V^-1 X'y / n (Remark 1).

    The text has V^-1 X'y: the 1/n is lost there. A constant feature gets the coefficient 0.

    Raises
    ------
    ParameterError
        As `ols`.
    """
    m = moments(X, y)
    beta = np.divide(m.cross, m.variance, out=np.zeros(len(m.cross)), where=m.varying)
    return Linear(np.asarray(m.response - beta @ m.mean), beta)


def ccp(X: ArrayLike, beta: ArrayLike) -> np.ndarray:
    """Return the contribution covariance penalty in O(k) terms (eq. 4): n sum_j var(beta_j x_j) - n var(y^).

    Parameters
    ----------
    X : array_like of shape (n, k)
    beta : array_like of shape (..., k)

    Returns
    -------
    ndarray of shape (...)
        In units of y^2, summed over the n rows. Negative where contributions reinforce each other.

    Raises
    ------
    ParameterError
        If X is not as for `ols`.
    """
    X, beta = checked(X)[0], np.asarray(beta, np.float64)
    centred = X - X.mean(0)
    separate = beta**2 @ (centred**2).sum(0)
    return np.asarray(separate - ((beta @ centred.T) ** 2).sum(-1))


def ccp_pairwise(X: ArrayLike, beta: ArrayLike) -> np.ndarray:
    """Return the contribution covariance penalty as it is defined, in O(k^2) terms (eq. 1); see `ccp`.

    n sum_{j != k} -cov(beta_j x_j, beta_k x_k).
    """
    X, beta = checked(X)[0], np.asarray(beta, np.float64)
    centred = X - X.mean(0)
    between = centred.T @ centred
    np.fill_diagonal(between, 0.0)
    return -np.einsum("...j,jk,...k->...", beta, between, beta)


def ml2p(X: ArrayLike, beta: ArrayLike) -> np.ndarray:
    """Return the modified L2 penalty (eq. 2): sum_j (v_j + mu_j^2) beta_j^2.

    Parameters
    ----------
    X : array_like of shape (n, k)
    beta : array_like of shape (..., k)

    Returns
    -------
    ndarray of shape (...)
        In units of y^2, per row: `ml2p_objective` restores the n that eq. (2) lacks.

    Raises
    ------
    ParameterError
        If X is not as for `ols`.
    """
    X = checked(X)[0]
    return np.asarray(np.asarray(beta, np.float64) ** 2 @ (X**2).mean(0))


def ccp_objective(X: ArrayLike, y: ArrayLike, model: Linear, lam: float) -> np.ndarray:
    """Return |y - beta_0 - X beta|^2 + lambda ccp(beta), which `beta_ccp` minimises (Theorem 1); shape (...).

    Raises
    ------
    ParameterError
        If lambda is out of range, or the data are not as for `ols`.
    """
    check_lambda(lam)
    return _squares(X, y, model) + lam * ccp(X, model.beta)


def ml2p_objective(X: ArrayLike, y: ArrayLike, model: Linear, lam: float) -> np.ndarray:
    """Return |y - beta_0 - X beta|^2 + n lambda / (1 - lambda) ml2p(beta), which `beta_ml2p` minimises; shape (...).

    Raises
    ------
    ParameterError
        If lambda is out of range, or the data are not as for `ols`.
    """
    check_lambda(lam)
    return _squares(X, y, model) + len(np.asarray(y)) * lam / (1 - lam) * ml2p(X, model.beta)


def _squares(X: ArrayLike, y: ArrayLike, model: Linear) -> np.ndarray:
    X, y = checked(X, y)
    predicted = np.asarray(model.intercept)[..., None] + np.asarray(model.beta) @ X.T
    return np.asarray(((y - predicted) ** 2).sum(-1))
