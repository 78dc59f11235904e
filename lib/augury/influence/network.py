"""The influence measure of any differentiable classifier, exact by torch.func."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Literal

import numpy as np
import torch
from torch import Tensor, nn
from torch.func import functional_call, grad, jacrev, jvp, vmap

from augury.errors import ModelError, ParameterError
from augury.influence.curvature import covariance_root, inverse
from augury.influence.measure import Directions, directions, middle_mean, sqrt_probability_rows

BUDGET = 1 << 28  # bytes of temporaries at a time
LARGEST = 20_000  # parameters; beyond, H itself takes more than 3 GB


def _losses(logits: Tensor, labels: Tensor) -> Tensor:
    """Return the cross-entropies, of shape (m,), as softplus(-margin): exact gradients also where P(y) is near 1."""
    own = torch.arange(logits.shape[1], device=logits.device) == labels[:, None]
    others = torch.where(own, -torch.inf, logits).logsumexp(1)
    return nn.functional.softplus(others - (logits * own).sum(1), threshold=40)


class NetworkInfluence:
    """FI and IV of the training points (x, y) of a network, with the methods of `ClassifierInfluence`.

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
    whiten : bool
        Perturb in coordinates in which the covariance of X is the identity, see `ClassifierInfluence`.
    rtol : float, optional
        See `measure.directions`.

    Raises
    ------
    ParameterError
        If an option is out of range.
    ModelError
        If X or y do not fit the model, its parameters are too many for an exact H, or H is not positive definite.
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
        whiten: bool = False,
        rtol: float | None = None,
    ) -> None:
        strengths = list(l2.values()) if isinstance(l2, Mapping) else [l2]
        if parameters not in ("all", "last") or damping < 0 or min(strengths, default=0.0) < 0:
            raise ParameterError(
                f"parameters is all or last, damping and l2 at least 0, not {parameters!r}, {damping} and {l2}"
            )
        self._net = copy.deepcopy(model).double().eval().requires_grad_(False)
        own = dict(self._net.named_parameters())
        if not own:
            raise ModelError("the network has no parameters")
        if isinstance(l2, Mapping) and (unknown := sorted(l2.keys() - own.keys())):
            raise ParameterError(f"l2 names no parameter of the network: {', '.join(unknown)}")
        self._device, self._rtol = next(iter(own.values())).device, rtol
        self._head: nn.Linear | None = None
        prefix = ""
        if parameters == "last":
            prefix, self._head = self._last_linear()
        self._names = [name for name in own if name.startswith(prefix)]
        self._shapes = [own[name].shape for name in self._names]
        self.theta = torch.cat([own[name].reshape(-1) for name in self._names])  # (q,)
        if len(self.theta) > LARGEST:
            raise ModelError(f"an exact H of {len(self.theta)} parameters is too large; use parameters='last'")
        self._X, self._y = self._points(X, y, "training")
        self.n = len(self._X)
        self._root = None
        if whiten:
            self._root = torch.from_numpy(covariance_root(self._X.flatten(1).cpu().numpy())).to(self._device)
        strength = [l2.get(name, 0.0) if isinstance(l2, Mapping) else l2 for name in self._names]
        penalty = [
            torch.full(shape, s, dtype=torch.float64).reshape(-1)
            for shape, s in zip(self._shapes, strength, strict=True)
        ]
        H = self._hessian(prefix) + torch.diag(torch.cat(penalty).to(self.theta) + damping)
        found = inverse(H.cpu().numpy(), "train to a minimum, set the l2 of the training, or add damping")
        self._inverse = torch.from_numpy(found).to(self._device)

    def _last_linear(self) -> tuple[str, nn.Linear]:
        layers = [(name, layer) for name, layer in self._net.named_modules() if isinstance(layer, nn.Linear)]
        if not layers:
            raise ModelError("parameters='last' needs a network that ends with an nn.Linear")
        name, layer = layers[-1]
        return f"{name}." if name else "", layer

    def _points(self, X: np.ndarray | Tensor, y: np.ndarray | Tensor | None, what: str) -> tuple[Tensor, Tensor]:
        """Return points as the network takes them, labelled by its prediction where y is None."""
        x = torch.as_tensor(X, dtype=torch.float64, device=self._device)
        if x.dim() < 2 or len(x) == 0:
            raise ModelError(f"there are no {what} points in an array of shape {tuple(x.shape)}")
        if not torch.isfinite(x).all():
            raise ModelError(f"the {what} points have inputs that are not finite; remove or impute them")
        try:
            logits = torch.cat([self._net(part) for part in x.split(1024)])
        except RuntimeError as error:
            raise ModelError(
                f"the network does not take {what} points of shape {tuple(x.shape[1:])}: {error}"
            ) from None
        if logits.dim() != 2 or logits.shape[1] < 2 or not torch.isfinite(logits).all():
            raise ModelError(f"the network must give finite logits of shape (m, K >= 2), not {tuple(logits.shape)}")
        if y is None:
            return x, logits.argmax(1)
        labels = torch.as_tensor(y, device=self._device)
        whole = labels.shape == (len(x),) and not labels.is_floating_point()
        if not whole or not bool(((labels >= 0) & (labels < logits.shape[1])).all()):
            raise ModelError(f"the {what} points need one whole label each, of 0 to {logits.shape[1] - 1}")
        return x, labels.long()

    def _parameters(self, theta: Tensor) -> dict[str, Tensor]:
        parts = theta.split([shape.numel() for shape in self._shapes])
        return {name: p.reshape(s) for name, p, s in zip(self._names, parts, self._shapes, strict=True)}

    def _logits(self, theta: Tensor, x: Tensor) -> Tensor:
        """Return the logits of x, of shape (m, ...): shape (m, K)."""
        return functional_call(self._net, self._parameters(theta), (x,))

    def _gradient(self, theta: Tensor, x: Tensor, label: Tensor) -> Tensor:
        """Return the gradient of one point's loss: shape (q,)."""
        return grad(lambda th: _losses(self._logits(th, x[None]), label[None]).sum())(theta)

    def _hessian(self, prefix: str) -> Tensor:
        """Return the mean loss's Hessian of shape (q, q); for the last layer alone its inputs are computed once."""
        head, inputs = self._head, self._X if self._head is None else self._features()

        def total(theta: Tensor, x: Tensor, labels: Tensor) -> Tensor:
            if head is None:
                return _losses(self._logits(theta, x), labels).sum()
            named = {name.removeprefix(prefix): part for name, part in self._parameters(theta).items()}
            return _losses(functional_call(head, named, (x,)), labels).sum()

        q = len(self.theta)
        found = torch.zeros(q, q, dtype=torch.float64, device=self._device)
        unit = torch.eye(q, dtype=torch.float64, device=self._device)
        for x, labels in zip(inputs.split(1024), self._y.split(1024), strict=True):
            first = grad(lambda theta, x=x, labels=labels: total(theta, x, labels))
            found += vmap(lambda e, first=first: jvp(first, (self.theta,), (e,))[1], chunk_size=32)(unit)
        return (found + found.mT) / (2 * self.n)

    def _features(self) -> Tensor:
        """Return what reaches the last layer, of shape (n, features)."""
        assert self._head is not None
        seen: list[Tensor] = []
        handle = self._head.register_forward_pre_hook(lambda module, args: seen.append(args[0]))
        logits = torch.cat([self._net(part) for part in self._X.split(1024)])
        handle.remove()
        features = torch.cat(seen)
        if len(features) != len(logits) or not torch.equal(self._head(features), logits):
            raise ModelError("parameters='last' needs a network whose last nn.Linear gives the logits themselves")
        return features

    def _metric(self, x: Tensor, label: Tensor) -> np.ndarray:
        """Return S of a chunk of training points, of shape (c, K, p)."""

        def total(x: Tensor, label: Tensor) -> tuple[Tensor, Tensor]:
            pulled = jacrev(lambda theta: self._logits(theta, x[None])[0])(self.theta) @ self._inverse  # (K, q)
            direct = jacrev(lambda at: self._logits(self.theta, at[None])[0])(x)
            through = jacrev(lambda at: pulled @ self._gradient(self.theta, at, label))(x)
            return (direct - through / self.n).flatten(1), self._logits(self.theta, x[None])[0].log_softmax(0)

        A, log_p = vmap(total)(x, label)
        if self._root is not None:
            A = A @ self._root
        return sqrt_probability_rows(A.cpu().numpy(), log_p.cpu().numpy())

    def _pairs(self, V: Tensor) -> np.ndarray:
        """Return FI of each row of V = H^-1 grad L, of shape (m, q), with each training point: (m, n)."""

        def mixed(x: Tensor, label: Tensor, along: Tensor) -> Tensor:
            return jvp(lambda at: self._gradient(self.theta, at, label), (x,), (along.reshape(x.shape),))[1]

        p, classes = self._X[0].numel(), self._logits(self.theta, self._X[:1]).shape[1]
        each = 4 * classes * (len(self.theta) + p) + len(V) * classes
        parts = []
        step = max(1, BUDGET // (8 * each))
        for x, label in zip(self._X.split(step), self._y.split(step), strict=True):
            found = directions(self._metric(x, label), self._rtol)
            vectors = torch.from_numpy(found.vectors).to(self._device)
            vectors = vectors if self._root is None else self._root @ vectors
            N = vmap(vmap(mixed, in_dims=(None, None, 1)))(x, label, vectors)  # (c, k, q)
            along = (V @ N.mT).cpu().numpy() / -self.n  # (c, m, k)
            parts.append(Directions(found.vectors, found.inverse[:, None, :]).measure(along).T)
        return np.concatenate(parts, axis=1)

    def _gradients(self, X: Tensor, y: Tensor) -> Tensor:
        each = vmap(self._gradient, in_dims=(None, 0, 0), chunk_size=max(1, BUDGET // (32 * len(self.theta))))
        return each(self.theta, X, y)

    def _mean_gradient(self, X_val: np.ndarray | Tensor, y_val: np.ndarray | Tensor) -> Tensor:
        x, labels = self._points(X_val, y_val, "validation")
        total = torch.zeros_like(self.theta)
        for part, label in zip(x.split(1024), labels.split(1024), strict=True):
            total += grad(lambda theta, p=part, t=label: _losses(self._logits(theta, p), t).sum())(self.theta)
        return total / len(x)

    def util(self, X_val: np.ndarray | Tensor, y_val: np.ndarray | Tensor) -> np.ndarray:
        """Return FI^util of every training point (Section 3, Algorithm 1): shape (n,), float64.

        Raises
        ------
        ModelError
            If the validation points do not fit the model.
        """
        return self._pairs((self._mean_gradient(X_val, y_val) @ self._inverse)[None])[0]

    def pairs(self, X_new: np.ndarray | Tensor, y_new: np.ndarray | Tensor) -> np.ndarray:
        """Return FI(z', z) of m new points with each training point (eq. 2.1): shape (m, n), float64.

        Raises
        ------
        ModelError
            If the new points do not fit the model.
        """
        return self._pairs(self._gradients(*self._points(X_new, y_new, "new")) @ self._inverse)

    def active(self, X_pool: np.ndarray | Tensor) -> np.ndarray:
        """Return FI^active of unlabelled points (eq. 4.1, Algorithm 2): shape (m,), float64.

        Raises
        ------
        ModelError
            If the pool is empty or does not fit the model.
        """
        return middle_mean(self._pairs(self._gradients(*self._points(X_pool, None, "pool")) @ self._inverse))

    def removal(self, X_val: np.ndarray | Tensor, y_val: np.ndarray | Tensor) -> np.ndarray:
        """Return IV of Chhabra et al. (2024), grad L(V)' H^-1 grad L(z_i): shape (n,), float64.

        Raises
        ------
        ModelError
            If the validation points do not fit the model.
        """
        pulled = self._mean_gradient(X_val, y_val) @ self._inverse

        def along(x: Tensor, label: Tensor) -> Tensor:
            return jvp(lambda th: _losses(self._logits(th, x[None]), label[None]).sum(), (self.theta,), (pulled,))[1]

        return vmap(along, chunk_size=1024)(self._X, self._y).cpu().numpy()
