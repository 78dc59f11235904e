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
from augury.influence.checks import whole
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
    """Return how many vectors an iteration adds: the rank and some."""
    return min(rank + 4, q, p)


def basis_size(rank: int, q: int, p: int) -> int:
    """Return the most vectors of p numbers that the iteration holds, each with its product of q numbers."""
    return min(6 * block_size(rank, q, p), p)


def check_rank(rank: int, q: int, p: int) -> int:
    """Return a rank, and refuse one that a matrix of shape (q, p) cannot have.

    Raises
    ------
    ParameterError
        If the rank is not a whole number of 1 to min(q, p).
    """
    return whole(rank, min(q, p), "rank", f"the lesser of {q} parameters and {p} inputs")


def truncated_svd(mixed: Exact, rank: int, *, rtol: float = 1e-6, iterations: int = 200) -> Truncated:
    """Return the `rank` largest singular values of M and their vectors, of every point, from products with M alone.

    Power iteration on a block of vectors, at first the same at random for every point, that keeps what earlier products
    have shown (Golub & Kahan, 1965; Baglama & Reichel, 2005): of all directions seen the best are taken, and what M' u
    has beside sigma v is added to them, until it is below rtol times the largest singular value for all that are
    wanted. Plain power iteration, which forgets, does not get there: behind its largest singular values M of a softmax
    layer has one and the same, p - 2 K + 2 times.

    When the basis is full its best part is kept. For points whose M vanishes the singular values are zero. Where they
    are equal across the cut, which vectors are kept is arbitrary.

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
    rank = check_rank(rank, q, p)
    if not 0 < rtol < 1 or iterations < 1:
        raise ParameterError(f"rtol is in (0, 1) and iterations at least 1, not {rtol} and {iterations}")
    block, most = block_size(rank, q, p), basis_size(rank, q, p)
    start = torch.randn(p, block, generator=torch_generator(0, "truncated-svd"), dtype=torch.float64).to(mixed.x)
    Q = torch.linalg.qr(start)[0].expand(len(mixed.x), -1, -1)  # (c, p, s), orthonormal columns
    MQ = mixed.right(Q).mT  # (c, q, s)
    for _ in range(iterations):
        U, small = torch.linalg.qr(MQ)
        left, sigma, right = torch.linalg.svd(small, full_matrices=False)
        U, V = U @ left[..., :block], Q @ right.mT[..., :block]
        beside = mixed.left(U.mT).mT - V * sigma[:, None, :block]
        wanted = beside[..., :rank].norm(dim=1).amax(1)
        if bool((wanted <= rtol * sigma[:, 0]).all()) or Q.shape[2] == p:
            return Truncated(U[..., :rank], sigma[:, :rank], V[..., :rank])
        if Q.shape[2] + block > most < p:
            best = right.mT[..., : 2 * block]
            Q, MQ = Q @ best, MQ @ best
        new = beside[..., : p - Q.shape[2]]
        for _ in range(2):  # once more, for what is left of converged vectors is rounding
            new = torch.linalg.qr(new - Q @ (Q.mT @ new))[0]
        Q, MQ = torch.cat([Q, new], 2), torch.cat([MQ, mixed.right(new).mT], 2)
    raise ModelError(f"the truncated SVD of rank {rank} did not converge in {iterations} iterations; raise rtol")
