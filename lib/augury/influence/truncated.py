"""KFSVD's second half: the mixed derivative d_x d_theta L of points cut to its largest singular values (Algorithm 2).

Neither form below ever holds the q x p matrix M of a point: both answer products with it alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor
from torch.func import jacrev, jvp, vmap

from augury.errors import ModelError, ParameterError
from augury.influence.functional import Functional
from augury.seeding import torch_generator


class Mixed(Protocol):
    """M = d_x d_theta L(z_i), of shape (q, p), of c points at once, inputs flattened."""

    def left(self, rows: Tensor) -> Tensor:
        """Return rows @ M of rows of shape (c, k, q): shape (c, k, p)."""

    def right(self, columns: Tensor) -> Tensor:
        """Return (M @ columns)' of columns of shape (c, p, k): shape (c, k, q)."""


@dataclass(frozen=True)
class Exact:
    """M by products of derivatives, of c points; see `Mixed`.

    Attributes
    ----------
    net : Functional
    x : Tensor of shape (c, ...)
    labels : Tensor of int, shape (c,)
    """

    net: Functional
    x: Tensor
    labels: Tensor

    def left(self, rows: Tensor) -> Tensor:
        """Return rows @ M, of shape (c, k, p)."""
        theta = self.net.theta

        def one(x: Tensor, label: Tensor, rows: Tensor) -> Tensor:
            return jacrev(lambda at: rows @ self.net.gradient(theta, at, label))(x).flatten(1)

        return vmap(one)(self.x, self.labels, rows)

    def right(self, columns: Tensor) -> Tensor:
        """Return (M @ columns)', of shape (c, k, q)."""
        theta = self.net.theta

        def one(x: Tensor, label: Tensor, along: Tensor) -> Tensor:
            return jvp(lambda at: self.net.gradient(theta, at, label), (x,), (along.reshape(x.shape),))[1]

        return vmap(vmap(one, in_dims=(None, None, 1)))(self.x, self.labels, columns)


@dataclass(frozen=True)
class Truncated:
    """U diag(sigma) V' in place of M, of c points; see `Mixed`.

    Attributes
    ----------
    U : Tensor of shape (c, q, k)
        Orthonormal columns, as V's.
    sigma : Tensor of shape (c, k)
        Descending.
    V : Tensor of shape (c, p, k)
    """

    U: Tensor
    sigma: Tensor
    V: Tensor

    def left(self, rows: Tensor) -> Tensor:
        """Return rows @ U diag(sigma) V', of shape (c, k, p)."""
        return rows @ self.U * self.sigma[:, None, :] @ self.V.mT

    def right(self, columns: Tensor) -> Tensor:
        """Return (U diag(sigma) V' @ columns)', of shape (c, k, q)."""
        return (columns.mT @ self.V) * self.sigma[:, None, :] @ self.U.mT


def block_size(rank: int, q: int, p: int) -> int:
    """Return how many vectors the iteration carries: twice the rank and some, for a gap behind the last one wanted."""
    return min(2 * rank + 4, q, p)


def check_rank(rank: int, q: int, p: int) -> None:
    """Refuse a rank that a matrix of shape (q, p) cannot have.

    Raises
    ------
    ParameterError
        If the rank is not a whole number of 1 to min(q, p).
    """
    if not isinstance(rank, int) or not 1 <= rank <= min(q, p):
        raise ParameterError(f"rank is 1 to {min(q, p)} (the lesser of {q} parameters and {p} inputs), not {rank}")


def truncated_svd(mixed: Exact, rank: int, *, rtol: float = 1e-6, iterations: int = 500) -> Truncated:
    """Return the `rank` largest singular values of M and their vectors, of every point, by block power iteration.

    A block of vectors, the same at random for every point, is multiplied by M and M' in turn, each product made
    orthonormal, until no singular value wanted moves by more than rtol times the largest; for points whose M vanishes
    they are zero. Where singular values are equal across the cut, which vectors are kept is arbitrary.

    Parameters
    ----------
    mixed : Exact
        Points of shape (c, ...).
    rank : int
        k, from 1 to min(q, p).
    rtol : float
        In (0, 1).
    iterations : int

    Raises
    ------
    ParameterError
        If the rank is not possible or an option out of range.
    ModelError
        If the iteration does not converge.
    """
    q, p = len(mixed.net.theta), mixed.x[0].numel()
    check_rank(rank, q, p)
    if not 0 < rtol < 1 or iterations < 1:
        raise ParameterError(f"rtol is in (0, 1) and iterations at least 1, not {rtol} and {iterations}")
    generator = torch_generator(0, "truncated-svd")
    start = torch.randn(p, block_size(rank, q, p), generator=generator, dtype=torch.float64).to(mixed.x)
    V = torch.linalg.qr(start)[0].expand(len(mixed.x), -1, -1)
    before = torch.full((), torch.inf)
    for _ in range(iterations):
        U, small = torch.linalg.qr(mixed.right(V).mT)  # M V = U small
        left, sigma, right = torch.linalg.svd(small)
        moved = (sigma[:, :rank] - before).abs().amax(1)
        if bool((moved <= rtol * sigma[:, 0]).all()) or V.shape[2] == p:
            return Truncated((U @ left)[..., :rank], sigma[:, :rank], (V @ right.mT)[..., :rank])
        before = sigma[:, :rank]
        V = torch.linalg.qr(mixed.left(U.mT).mT)[0]
    raise ModelError(f"the truncated SVD of rank {rank} did not converge in {iterations} iterations; raise rtol")
