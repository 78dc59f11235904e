"""A network's loss as a function of its flat parameter vector, and the objective whose curvature influence needs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.func import functional_call, grad

from augury.errors import ModelError, ParameterError

BUDGET = 1 << 28  # bytes of temporaries at a time
LONGEST = 1024  # points at a time


def losses(logits: Tensor, labels: Tensor) -> Tensor:
    """Return the cross-entropies, of shape (m,), as softplus(-margin): exact gradients also where P(y) is near 1."""
    own = torch.arange(logits.shape[1], device=logits.device) == labels[:, None]
    others = torch.where(own, -torch.inf, logits).logsumexp(1)
    return nn.functional.softplus(others - (logits * own).sum(1), threshold=40)


class Functional:
    """A network as a function of the flat vector theta of those of its parameters whose names start with `prefix`.

    Attributes
    ----------
    net : nn.Module
        Takes x of shape (m, ...) to logits of shape (m, K); in eval() mode.
    theta : Tensor of shape (q,)
        The parameters' present values, in the order of `named_parameters()`.
    names : list of str
    shapes : list of torch.Size

    Raises
    ------
    ModelError
        If there are no such parameters, or the network is in training mode.
    """

    def __init__(self, net: nn.Module, prefix: str = "") -> None:
        own = {name: part.detach() for name, part in net.named_parameters() if name.startswith(prefix)}
        if not own:
            raise ModelError("the network has no parameters")
        if net.training:
            raise ModelError("curvature is that of the network in use: put it into eval() first")
        self.net, self.names, self.shapes = net, list(own), [part.shape for part in own.values()]
        self.theta = torch.cat([part.reshape(-1) for part in own.values()])

    def logits(self, theta: Tensor, x: Tensor) -> Tensor:
        """Return the logits of x, of shape (m, ...): shape (m, K)."""
        parts = theta.split([shape.numel() for shape in self.shapes])
        named = {name: p.reshape(s) for name, p, s in zip(self.names, parts, self.shapes, strict=True)}
        return functional_call(self.net, named, (x,))

    def gradient(self, theta: Tensor, x: Tensor, label: Tensor) -> Tensor:
        """Return the gradient of one point's loss: shape (q,)."""
        return grad(lambda th: losses(self.logits(th, x[None]), label[None]).sum())(theta)

    def ridge(self, l2: float | Mapping[str, float], damping: float) -> Tensor:
        """Return what the penalty l2 |theta|^2 / 2 and the damping add to the diagonal of H: shape (q,).

        Parameters
        ----------
        l2 : float or mapping
            A mapping gives it for each name of the network's `named_parameters()`, 0 for the others.
        damping : float

        Raises
        ------
        ParameterError
            If a value is negative or not finite, or a name unknown.
        """
        given = l2 if isinstance(l2, Mapping) else dict.fromkeys(self.names, l2)
        if unknown := sorted(given.keys() - dict(self.net.named_parameters()).keys()):
            raise ParameterError(f"l2 names no parameter of the network: {', '.join(unknown)}")
        if not all(0 <= value < torch.inf for value in (damping, *given.values())):
            raise ParameterError(f"damping and l2 are finite and at least 0, not {damping} and {l2}")
        parts = [
            self.theta.new_full((s.numel(),), given.get(n, 0.0)) for n, s in zip(self.names, self.shapes, strict=True)
        ]
        return torch.cat(parts) + damping

    def activations(self, x: Tensor) -> int:
        """Return how many numbers the layers put out for one point, of shape (1, ...): the memory of a forward pass."""
        seen = [x.numel()]

        def count(module: nn.Module, args: object, out: object) -> None:
            seen.append(out.numel() if isinstance(out, Tensor) else 0)

        handles = [module.register_forward_hook(count) for module in self.net.modules()]
        try:
            with torch.no_grad():
                self.net(x)
        finally:
            for handle in handles:
                handle.remove()
        return sum(seen)


@dataclass(frozen=True)
class Objective:
    """The mean cross-entropy over points plus theta' diag(ridge) theta / 2, whose curvature at theta is wanted.

    Attributes
    ----------
    net : Functional
    x : Tensor of shape (n, ...)
    y : Tensor of int, shape (n,)
    ridge : Tensor of shape (q,)
        See `Functional.ridge`. (Damping is no part of what was minimised: it makes H positive definite.)
    """

    net: Functional
    x: Tensor
    y: Tensor
    ridge: Tensor

    def parts(self, width: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield points and labels, as many as fit the budget when `width` derivatives of them are taken at a time."""
        each = 4 * width * self.net.activations(self.x[:1]) * self.x.element_size()
        size = min(LONGEST, max(1, BUDGET // each))
        return zip(self.x.split(size), self.y.split(size), strict=True)


def last_linear(net: nn.Module) -> tuple[str, nn.Linear]:
    """Return the prefix of the last nn.Linear's parameters' names, and that layer.

    Raises
    ------
    ModelError
        If there is none.
    """
    layers = [(name, layer) for name, layer in net.named_modules() if isinstance(layer, nn.Linear)]
    if not layers:
        raise ModelError("parameters='last' needs a network that ends with an nn.Linear")
    name, layer = layers[-1]
    return f"{name}." if name else "", layer


def features(net: nn.Module, head: nn.Linear, x: Tensor) -> Tensor:
    """Return what reaches the last layer, of shape (n, features).

    Raises
    ------
    ModelError
        If that layer does not give the network's output.
    """
    seen: list[Tensor] = []
    handle = head.register_forward_pre_hook(lambda module, args: seen.append(args[0]))
    with torch.no_grad():
        logits = torch.cat([net(part) for part in x.split(LONGEST)])
    handle.remove()
    found = torch.cat(seen)
    again = head(found)  # equal up to rounding, which depends on how many points are multiplied at once
    if again.shape != logits.shape or bool((again - logits).abs().max() > 1e-9 * logits.abs().max()):
        raise ModelError("parameters='last' needs a network whose last nn.Linear gives the logits themselves")
    return found
