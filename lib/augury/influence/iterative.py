"""Conjugate gradients for curvatures that do not fit: only products with vectors, many right-hand sides at once."""

from __future__ import annotations

import torch
from torch import Tensor

from augury.errors import ModelError, ParameterError
from augury.influence.functional import Objective
from augury.influence.hessians import REMEDY, Products, hessian_products


class ConjugateGradients:
    """The curvature by its products with vectors, solved by conjugate gradients (Hestenes & Stiefel, 1952).

    Each product costs a few passes over the points; a solve takes about sqrt(condition of H) products. See `Curvature`.

    Parameters
    ----------
    objective : Objective
    products : function
        `hessian_products` or `gauss_newton_products`.
    rtol : float
        A right-hand side b is solved when |b - H x| <= rtol |b|. In (0, 1).
    iterations : int
        The most steps a solve may take.

    Raises
    ------
    ParameterError
        If rtol or iterations is out of range.
    """

    def __init__(
        self,
        objective: Objective,
        products: Products = hessian_products,
        *,
        rtol: float = 1e-8,
        iterations: int = 1000,
    ) -> None:
        if not 0 < rtol < 1 or iterations < 1:
            raise ParameterError(f"rtol is in (0, 1) and iterations at least 1, not {rtol} and {iterations}")
        self.theta = objective.net.theta
        self._objective, self._products, self._rtol, self._iterations = objective, products, rtol, iterations

    def matvec(self, V: Tensor) -> Tensor:
        """Return the rows H v, of shape (m, q)."""
        return self._products(self._objective, V) / len(self._objective.x) + V * self._objective.ridge

    def solve(self, V: Tensor) -> Tensor:
        """Return the rows H^-1 v, of shape (m, q).

        Raises
        ------
        ModelError
            If a direction without positive curvature is met, or the steps do not suffice.
        """
        X, R, P = torch.zeros_like(V), V.clone(), V.clone()
        rr = R.square().sum(1)
        target = self._rtol**2 * rr
        flat = len(self.theta) * torch.finfo(V.dtype).eps  # curvature, by the largest met, that counts as none
        largest = torch.zeros_like(rr)
        for _ in range(self._iterations):
            left = (rr > target).nonzero()[:, 0]  # rows that are done drop out
            if len(left) == 0:
                return X
            HP = self.matvec(P[left])
            curvature, size = (P[left] * HP).sum(1), P[left].square().sum(1)
            largest[left] = torch.maximum(largest[left], curvature / size)
            if not bool((curvature > flat * largest[left] * size).all()):
                raise ModelError(f"conjugate gradients met a direction without positive curvature; {REMEDY}")
            step = (rr[left] / curvature)[:, None]
            X[left] += step * P[left]
            R[left] -= step * HP
            before, rr[left] = rr[left], R[left].square().sum(1)
            P[left] = R[left] + (rr[left] / before)[:, None] * P[left]
        if bool((rr > target).any()):
            raise ModelError(
                f"conjugate gradients reached {(rr / target * self._rtol**2).max().sqrt():.0e} of the right-hand side, "
                f"not {self._rtol:.0e}, in {self._iterations} steps; add damping or l2, or allow more steps"
            )
        return X
