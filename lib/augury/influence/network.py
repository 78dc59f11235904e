"""The influence measure of any differentiable classifier by torch.func: exact, or with KFSVD's approximations."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from typing import Literal

import numpy as np
import torch
from torch import Tensor, nn
from torch.func import grad, jacrev, jvp, vmap

from augury.errors import ModelError, ParameterError
from augury.influence.checks import check_rtol, whole
from augury.influence.classifier import SelfInfluence
from augury.influence.closed_forms import left_out
from augury.influence.curvature import covariance_root
from augury.influence.functional import BUDGET, LONGEST, Functional, Objective, features, last_linear, losses
from augury.influence.hessians import Curvature, Dense, gauss_newton_products
from augury.influence.iterative import ConjugateGradients
from augury.influence.kfac import Kfac
from augury.influence.measure import Directions, directions, middle_mean, sqrt_probability_rows
from augury.influence.truncated import Exact, Mixed, basis_size, check_rank, truncated_svd
from augury.models.softmax import residuals

CURVATURES: dict[str, Callable[[Objective], Curvature]] = {
    "hessian": Dense,
    "gauss-newton": lambda objective: Dense(objective, gauss_newton_products),
    "kfac": Kfac,
    "cg": ConjugateGradients,
}


class NetworkInfluence:
    """FI and IV of the training points (x, y) of a network.

    The methods `util`, `pairs`, `active`, `own`, `removal` and `addition` are those of `ClassifierInfluence`.

    The network is copied in double precision and evaluated as in `eval()`. Derivatives of the loss by parameters and
    inputs are contracted, a few vectors a point: no q x p matrix is formed.

    Parameters
    ----------
    model : nn.Module
        Takes inputs of shape (m, ...) to logits of shape (m, K), K >= 2, trained to an optimum of the mean loss plus
        penalty.
    X : array or tensor of shape (n, ...)
    y : array or tensor of int, shape (n,)
        0 to K - 1.
    l2 : float or mapping
        The objective has the penalty l2 |theta|^2 / 2 on the mean loss, over all parameters, biases included (a torch
        optimiser's weight_decay); a mapping gives it for each name of `model.named_parameters()`, 0 for the others.
    damping : float
        Added to the diagonal of H, where the network is at no strict minimum.
    parameters : {"all", "last"}
        "last": only those of the last nn.Linear, which must give the logits, follow the perturbation; the inputs stay
        what is perturbed. (To perturb its features, give that layer as the model and the features as X.)
    curvature : {"hessian", "gauss-newton", "kfac", "cg"}
        What stands for H: the exact Hessian or the Gauss-Newton matrix, inverted (up to 20,000 parameters), K-FAC
        (Algorithm 2, line 4), or the exact Hessian by conjugate gradients, K solves a training point.
    rank : int, optional
        k of Algorithm 2: d_x d_theta L of each training point is cut to its k largest singular values wherever it
        enters, in dL and in the metric. In the inputs' own coordinates, also with `whiten`. As everything here is
        contracted, this spares nothing: it shows what the approximation of Section 4 does.
    whiten : bool
        Perturb in coordinates in which the covariance of X is the identity, see `ClassifierInfluence`.
    rtol : float, optional
        See `measure.directions`.

    Raises
    ------
    ParameterError
        If an option is out of range.
    ModelError
        If the model is no network or its parameters are not finite, X or y do not fit it, its parameters are too many
        for an exact H, H is not positive definite, or K-FAC does not know a layer.
    """

    def __init__(
        self,
        model: nn.Module,
        X: np.ndarray | Tensor,
        y: np.ndarray | Tensor,
        *,
        l2: float | Mapping[str, float] = 0.0,
        damping: float = 0.0,
        parameters: Literal["all", "last"] = "all",
        curvature: Literal["hessian", "gauss-newton", "kfac", "cg"] = "hessian",
        rank: int | None = None,
        whiten: bool = False,
        rtol: float | None = None,
    ) -> None:
        if parameters not in ("all", "last"):
            raise ParameterError(f"parameters is all or last, not {parameters!r}")
        if curvature not in CURVATURES:
            raise ParameterError(f"curvature is one of {', '.join(CURVATURES)}, not {curvature!r}")
        check_rtol(rtol)
        if not isinstance(model, nn.Module):
            raise ModelError(f"FI of a network needs an nn.Module, made and trained, not {model!r}")
        self._model = copy.deepcopy(model).double().eval().requires_grad_(False)
        prefix, head = last_linear(self._model) if parameters == "last" else ("", None)
        self._net = Functional(self._model, prefix)
        self.theta, self._rtol = self._net.theta, rtol
        if not torch.isfinite(self.theta).all():
            raise ModelError("the network's parameters are not finite; train it again")
        self._X, self._y = self._points(X, y, "training")
        self.n, self._p = len(self._X), self._X[0].numel()
        self._rank = None if rank is None else check_rank(rank, len(self.theta), self._p)
        self._root = None
        if whiten:
            self._root = torch.from_numpy(covariance_root(self._X.flatten(1).cpu().numpy())).to(self.theta.device)
        ridge = self._net.ridge(l2, damping)
        objective = Objective(self._net, self._X, self._y, ridge)
        if head is not None:  # its inputs are computed once
            objective = Objective(Functional(head), features(self._model, head, self._X), self._y, ridge)
        self._curvature = CURVATURES[curvature](objective)

    def _points(self, X: np.ndarray | Tensor, y: np.ndarray | Tensor | None, what: str) -> tuple[Tensor, Tensor]:
        """Return points as the network takes them, labelled by its prediction where y is None."""
        try:
            x = torch.as_tensor(X, dtype=torch.float64, device=self.theta.device)
            labels = None if y is None else torch.as_tensor(y, device=self.theta.device)
        except (TypeError, ValueError, RuntimeError) as error:
            raise ModelError(f"the {what} points and labels must be arrays of numbers: {error}") from None
        if x.dim() < 2:
            raise ModelError(
                f"the {what} points must be of shape (n, ...), an axis for the points, not {tuple(x.shape)}"
            )
        if len(x) == 0:
            raise ModelError(f"there are no {what} points in an array of shape {tuple(x.shape)}")
        if not torch.isfinite(x).all():
            raise ModelError(f"the {what} points have inputs that are not finite; remove or impute them")
        try:
            logits = torch.cat([self._model(part) for part in x.split(LONGEST)])
        except RuntimeError as error:
            raise ModelError(
                f"the network does not take {what} points of shape {tuple(x.shape[1:])}: {error}"
            ) from None
        if logits.dim() != 2 or logits.shape[1] < 2 or not torch.isfinite(logits).all():
            raise ModelError(f"the network must give finite logits of shape (m, K >= 2), not {tuple(logits.shape)}")
        if labels is None:
            return x, logits.argmax(1)
        whole = labels.shape == (len(x),) and not labels.is_floating_point()
        if not whole or not bool(((labels >= 0) & (labels < logits.shape[1])).all()):
            raise ModelError(f"the {what} points need one whole label each, of 0 to {logits.shape[1] - 1}")
        return x, labels.long()

    def _by_parameters(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return the logits' derivatives J by the parameters, and J H^-1: shape (c, K, q) each."""
        J = vmap(lambda x: jacrev(lambda th: self._net.logits(th, x[None])[0])(self.theta))(x)
        return J, self._curvature.solve(J.flatten(0, 1)).reshape(J.shape)

    def _metric(self, x: Tensor, mixed: Mixed) -> tuple[np.ndarray, np.ndarray]:
        """Return S of a chunk of training points, of shape (c, K, p), and the log probabilities, of shape (c, K)."""
        logits, theta = self._net.logits, self.theta
        pulled = self._by_parameters(x)[1]
        direct = vmap(jacrev(lambda at: logits(theta, at[None])[0]))(x).flatten(2)
        log_p = vmap(lambda at: logits(theta, at[None])[0].log_softmax(0))(x).cpu().numpy()
        A = direct - mixed.left(pulled) / self.n
        if self._root is not None:
            A = A @ self._root
        return sqrt_probability_rows(A.cpu().numpy(), log_p), log_p

    def _step(self, width: int, rows: int) -> int:
        """Return how many training points fit the budget, with `width` vectors each, K at least, and `rows` slopes."""
        classes = self._net.logits(self.theta, self._X[:1]).shape[1]
        numbers = len(self.theta) + self._p + self._net.activations(self._X[:1])
        return max(1, BUDGET // (8 * (4 * max(classes, width) * numbers + rows * classes)))

    def _pairs(self, V: Tensor) -> np.ndarray:
        """Return FI of each row of V = H^-1 grad L, of shape (m, q), with each training point: (m, n)."""
        width = 0 if self._rank is None else basis_size(self._rank, len(self.theta), self._p)
        parts, step = [], self._step(width, len(V))
        for x, label in zip(self._X.split(step), self._y.split(step), strict=True):
            exact = Exact(self._net, x, label)
            mixed = exact if self._rank is None else truncated_svd(exact, self._rank)
            S, log_p = self._metric(x, mixed)
            found = directions(S, self._rtol, log_p)
            vectors = torch.from_numpy(found.vectors).to(self.theta.device)
            N = mixed.right(vectors if self._root is None else self._root @ vectors)  # (c, k, q)
            along = (V @ N.mT).cpu().numpy() / -self.n  # (c, m, k)
            parts.append(Directions(found.vectors, found.inverse[:, None, :]).measure(along).T)
        return np.concatenate(parts, axis=1)

    def _pull(self, X: Tensor, y: Tensor) -> Tensor:
        """Return H^-1 grad L of each point: shape (m, q)."""
        each = 4 * (len(self.theta) + self._net.activations(X[:1]))
        gradients = vmap(self._net.gradient, in_dims=(None, 0, 0), chunk_size=max(1, BUDGET // (8 * each)))
        return self._curvature.solve(gradients(self.theta, X, y))

    def _pull_mean(self, X_val: np.ndarray | Tensor, y_val: np.ndarray | Tensor) -> Tensor:
        """Return H^-1 grad L(V) with L(V) the mean validation loss: shape (1, q)."""
        x, labels = self._points(X_val, y_val, "validation")
        total = torch.zeros_like(self.theta)
        for part, label in zip(x.split(LONGEST), labels.split(LONGEST), strict=True):
            total += grad(lambda th, p=part, t=label: losses(self._net.logits(th, p), t).sum())(self.theta)
        return self._curvature.solve((total / len(x))[None])

    def util(self, X_val: np.ndarray | Tensor, y_val: np.ndarray | Tensor) -> np.ndarray:
        """Return FI^util of every training point (Section 3, Algorithm 1): shape (n,), float64.

        Raises
        ------
        ModelError
            If the validation points do not fit the model.
        """
        return self._pairs(self._pull_mean(X_val, y_val))[0]

    def pairs(self, X_new: np.ndarray | Tensor, y_new: np.ndarray | Tensor) -> np.ndarray:
        """Return FI(z', z) of m new points with each training point (eq. 2.1): shape (m, n), float64.

        Raises
        ------
        ModelError
            If the new points do not fit the model.
        """
        return self._pairs(self._pull(*self._points(X_new, y_new, "new")))

    def active(self, X_pool: np.ndarray | Tensor) -> np.ndarray:
        """Return FI^active of unlabelled points (eq. 4.1, Algorithm 2): shape (m,), float64.

        Raises
        ------
        ModelError
            If the pool is empty or does not fit the model.
        """
        x, predicted = self._points(X_pool, None, "pool")
        # as many as fit: what belongs to the training points is computed again for each block
        step = max(1, BUDGET // (8 * max(len(self.theta), self.n)))
        blocks = zip(x.split(step), predicted.split(step), strict=True)
        return np.concatenate([middle_mean(self._pairs(self._pull(*block))) for block in blocks])

    def own(self, points: int | None = None) -> SelfInfluence:
        """Return the training points' leave-one-out influence on their own loss (Kuchnik & Smith, eq. 1).

        `corrected` takes the point's Gauss-Newton matrix out of H, the part of its curvature that needs no second
        derivatives of the logits: all of it where they are linear in the parameters.

        Parameters
        ----------
        points : int, optional
            Only of the first so many points, 1 to n; all of them enter H.

        Raises
        ------
        ParameterError
            If `points` is out of range.
        """
        end, step = self.n if points is None else whole(points, self.n, "points"), self._step(0, 0)
        first, second = np.empty(end), np.empty(end)
        for start in range(0, end, step):
            part = slice(start, min(start + step, end))
            J, pulled = self._by_parameters(self._X[part])
            log_p = self._net.logits(self.theta, self._X[part]).log_softmax(1).cpu().numpy()
            R = residuals(log_p, self._y[part].cpu().numpy())
            B = (pulled @ J.mT).cpu().numpy()
            first[part], second[part] = left_out(B, np.exp(log_p), R, np.full(len(B), 1 / self.n))
        return SelfInfluence(first, second)

    def removal(self, X_val: np.ndarray | Tensor, y_val: np.ndarray | Tensor) -> np.ndarray:
        """Return IV of Chhabra et al. (2024), grad L(V)' H^-1 grad L(z_i): shape (n,), float64.

        Raises
        ------
        ModelError
            If the validation points do not fit the model.
        """
        return self._slopes(self._X, self._y, self._pull_mean(X_val, y_val)[0])

    def addition(
        self, X_new: np.ndarray | Tensor, X_val: np.ndarray | Tensor, y_val: np.ndarray | Tensor
    ) -> np.ndarray:
        """Return IV of unlabelled points with their predicted labels, grad L(V)' H^-1 grad L(z): shape (m,), float64.

        The most positive lower the validation loss most when they are added.

        Raises
        ------
        ModelError
            If the points do not fit the model.
        """
        return self._slopes(*self._points(X_new, None, "new"), self._pull_mean(X_val, y_val)[0])

    def _slopes(self, X: Tensor, y: Tensor, pulled: Tensor) -> np.ndarray:
        """Return the derivative of each point's loss along one direction of the parameters: shape (m,)."""

        def along(x: Tensor, label: Tensor) -> Tensor:
            return jvp(lambda th: losses(self._net.logits(th, x[None]), label[None]).sum(), (self.theta,), (pulled,))[1]

        return vmap(along, chunk_size=LONGEST)(X, y).cpu().numpy()
