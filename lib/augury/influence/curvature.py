"""Inverting the mean Hessian once, damped or not, and the square root of the inputs' covariance."""

from __future__ import annotations

import numpy as np
from scipy.linalg import lapack

from augury.errors import ModelError


def inverse(hessian: np.ndarray, remedy: str) -> np.ndarray:
    """Return the inverse of a symmetric positive definite matrix of shape (q, q), from one Cholesky factorisation.

    Explicit, because the closed forms need blocks of it: K n vectors e_c (x) z_i of length q, each with one block that
    is not zero, cost K times less so than by solving. Beside the argument no other q x q matrix is held.

    Parameters
    ----------
    hessian : ndarray of shape (q, q)
    remedy : str
        What the caller can do about a singular one, for the message.

    Raises
    ------
    ModelError
        If the matrix is not finite, not positive definite, or singular in float64 whatever the features' units.
    """
    diagonal = np.diag(hessian)
    if not (np.isfinite(hessian).all() and (diagonal > 0).all()):
        raise ModelError(f"the Hessian is singular: a parameter has no curvature; {remedy}")
    unit = 1 / np.sqrt(diagonal)  # to unit diagonal: conditioning then does not depend on the features' units
    scaled = (hessian * unit[:, None]).T  # symmetric up to rounding; columns in a row, as LAPACK takes them
    scaled *= unit[:, None]
    norm = lapack.dlange("1", scaled)
    factor, info = lapack.dpotrf(scaled, lower=1, overwrite_a=1)
    rcond = 0.0 if info else lapack.dpocon(factor, norm, uplo="L")[0]
    if rcond < len(hessian) * np.finfo(float).eps:
        raise ModelError(f"the Hessian is singular or not positive definite (1/condition {rcond:.0e}); {remedy}")
    found, _ = lapack.dpotri(factor, lower=1, overwrite_c=1)
    for i in range(1, len(found)):  # the other half
        found[:i, i] = found[i, :i]
    found *= unit[:, None]
    found *= unit
    return np.asarray(found)


def damped_root(hessian: np.ndarray, damping: float) -> np.ndarray:
    """Return W of shape (q, q) with W W' = (H + damping I)^-1 of a symmetric H that may be singular.

    Rounding can push the null directions of H below zero: they are taken to be at the damping. Where H is singular a
    quadratic form |g' W|^2 keeps the digits that g' (W W') g loses, for g has no part in the null directions.

    Raises
    ------
    ModelError
        If the matrix is not finite.
    """
    if not np.isfinite(hessian).all():
        raise ModelError("the Hessian is not finite; check the model's parameters and inputs")
    values, vectors = np.linalg.eigh(hessian + damping * np.eye(len(hessian)))
    return np.asarray(vectors / np.sqrt(np.maximum(values, damping)))


def covariance_root(X: np.ndarray) -> np.ndarray:
    """Return L of shape (p, r) with L L' the covariance of the rows of X, of shape (n, p), and r its rank.

    Perturbations omega = L eta have eta in whitened coordinates; directions in which the inputs never vary are left
    out. Under an invertible linear map B of the inputs L becomes B L up to an orthogonal factor.

    Raises
    ------
    ModelError
        If all inputs are equal.
    """
    centred = X - X.mean(0)
    scale = np.abs(centred).max(0)
    varies = scale > 0
    if not varies.any():
        raise ModelError("inputs that do not vary cannot be whitened; use whiten=False")
    scale = np.where(varies, scale, 1.0)
    _, sigma, rows = np.linalg.svd(centred / scale / np.sqrt(len(X)), full_matrices=False)
    kept = sigma > max(X.shape) * np.finfo(float).eps * sigma[0]
    return np.asarray(scale[:, None] * rows[kept].T * sigma[kept])
