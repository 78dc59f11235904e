"""Curvatures of a network's objective: the exact Hessian and the generalised Gauss-Newton matrix (GGN).

Both are known by their products with vectors, a forward- and a reverse-mode derivative of the whole loss: the dense
matrix is the product with the identity, and what does not fit is solved by `iterative.ConjugateGradients`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import torch
from torch import Tensor, nn
from torch.func import grad, jvp, vjp, vmap

from augury.errors import ModelError
from augury.influence.curvature import inverse
from augury.influence.functional import Objective, losses

LARGEST = 20_000  # parameters; beyond, H, its inverse and what they are made of take more than 8 GB
WIDTH = 32  # vectors at a time
ROWS = 1024  # of the identity at a time
REMEDY = "train to a minimum, set the l2 of the training, or add damping"


class Curvature(Protocol):
    """A symmetric positive definite (q, q) matrix H in place of the Hessian of an objective, ridge included."""

    theta: Tensor
    """Where it is taken, of shape (q,)."""

    def solve(self, V: Tensor) -> Tensor:
        """Return the rows H^-1 v of many right-hand sides v, of shape (m, q): shape (m, q)."""

    def matvec(self, V: Tensor) -> Tensor:
        """Return the rows H v of many vectors v, of shape (m, q): shape (m, q)."""


Products = Callable[[Objective, Tensor], Tensor]
"""Takes an objective and vectors of shape (m, q) to the products with the matrix of the summed loss, without ridge."""


def hessian_products(objective: Objective, V: Tensor) -> Tensor:
    """Return the products of the summed loss's Hessian with vectors of shape (m, q): shape (m, q)."""
    net, found = objective.net, torch.zeros_like(V)
    for x, labels in objective.parts(min(WIDTH, len(V))):
        first = grad(lambda theta, x=x, labels=labels: losses(net.logits(theta, x), labels).sum())
        found += vmap(lambda v, first=first: jvp(first, (net.theta,), (v,))[1], chunk_size=WIDTH)(V)
    return found


def gauss_newton_products(objective: Objective, V: Tensor) -> Tensor:
    """Return the products of sum_i J_i' (diag(p_i) - p_i p_i') J_i with vectors of shape (m, q): shape (m, q).

    J_i is the Jacobian of point i's logits by the parameters, p_i its probabilities. No label enters: it is the Fisher
    information, the Hessian without the term of the logits' own second derivatives.
    """
    net, found = objective.net, torch.zeros_like(V)

    def product(v: Tensor, x: Tensor) -> Tensor:
        logits, along = jvp(lambda theta: net.logits(theta, x), (net.theta,), (v,))[:2]
        p, back = logits.softmax(1), vjp(lambda theta: net.logits(theta, x), net.theta)[1]
        return back(p * (along - (p * along).sum(1, keepdim=True)))[0]

    for x, _ in objective.parts(min(WIDTH, len(V))):
        found += vmap(product, in_dims=(0, None), chunk_size=WIDTH)(V, x)
    return found


class Dense:
    """The curvature as a matrix, inverted once; see `Curvature`.

    Parameters
    ----------
    objective : Objective
    products : function
        `hessian_products` or `gauss_newton_products`.

    Raises
    ------
    ModelError
        If the parameters are too many, or the matrix is singular or not positive definite.
    """

    def __init__(self, objective: Objective, products: Products = hessian_products) -> None:
        self.theta = objective.net.theta
        q = len(self.theta)
        if q > LARGEST:
            raise ModelError(
                f"an exact H of {q} parameters is too large; use parameters='last', or curvature='kfac' or 'cg'"
            )
        found = self.theta.new_empty(q, q)
        for rows in torch.arange(q, device=self.theta.device).split(ROWS):
            found[rows] = products(objective, nn.functional.one_hot(rows, q).to(self.theta))
        self.matrix = found + found.mT
        del found
        self.matrix /= 2 * len(objective.x)
        self.matrix.diagonal().add_(objective.ridge)
        self._inverse = torch.from_numpy(inverse(self.matrix.double().cpu().numpy(), REMEDY)).to(self.theta)

    def solve(self, V: Tensor) -> Tensor:
        """Return the rows H^-1 v, of shape (m, q)."""
        return V @ self._inverse

    def matvec(self, V: Tensor) -> Tensor:
        """Return the rows H v, of shape (m, q)."""
        return V @ self.matrix
