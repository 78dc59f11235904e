"""K-FAC: each layer's Gauss-Newton matrix as a Kronecker product (Martens & Grosse, 2015; Grosse & Martens, 2016).

At position t (of an image; the only one otherwise) a layer multiplies its weights, the bias a last column, with the
input a_t and is sent back the gradient g_t: sum_t g_t a_t' is the derivative by the weights. Its second moments are
replaced by B (x) A with A = E[mean_t a_t a_t'] and B = E[sum_t g_t g_t'], as if inputs were independent of gradients,
and positions of one another. Between layers the matrix is taken as zero.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.graph import GradientEdge, get_gradient_edge

from augury.errors import ModelError, ParameterError
from augury.influence.functional import Functional, Objective
from augury.influence.hessians import REMEDY

Layer = nn.Linear | nn.Conv2d


def _layers(net: Functional) -> dict[str, Layer]:
    """Return the layers whose parameters theta holds, by name and in theta's order."""
    found: dict[str, Layer] = {}
    for name, module in net.net.named_modules():
        own = [f"{name}.{p}".removeprefix(".") for p, _ in module.named_parameters(recurse=False)]
        if not own:
            continue
        what = f"layer {name or 'itself'} ({type(module).__name__})"
        if not isinstance(module, (nn.Linear, nn.Conv2d)) or isinstance(module, nn.Conv2d) and module.groups > 1:
            raise ModelError(f"K-FAC knows nn.Linear and nn.Conv2d without groups, not {what}; use curvature='cg'")
        if not set(own) <= set(net.names):
            raise ModelError(f"K-FAC needs layers with parameters of their own; those of {what} are shared")
        found[name] = module
    return found


def _inputs(layer: Layer, x: Tensor) -> Tensor:
    """Return what the weights are multiplied with, of shape (m, a, T): a convolution's patches, by position."""
    if isinstance(layer, nn.Linear):
        return x.reshape(len(x), -1, x.shape[-1]).mT
    mode = "constant" if layer.padding_mode == "zeros" else layer.padding_mode
    # torch's own convolutions pad by this attribute, which has "same" and uneven padding worked out
    patches = F.pad(x, layer._reversed_padding_repeated_twice, mode=mode)
    for axis in (0, 1):  # views: copied once, below
        step = layer.dilation[axis]
        patches = patches.unfold(2 + axis, step * (layer.kernel_size[axis] - 1) + 1, layer.stride[axis])[..., ::step]
    return patches.permute(0, 1, 4, 5, 2, 3).flatten(4).flatten(1, 3)


def _outputs(layer: Layer, g: Tensor) -> Tensor:
    """Return gradients by a layer's output, of columns and points on the leading axes, of shape (., out, T)."""
    g = g.flatten(0, 1)
    return g.flatten(2) if isinstance(layer, nn.Conv2d) else g.reshape(len(g), -1, g.shape[-1]).mT


def _moments(u: Tensor) -> Tensor:
    """Return sum_mt u_mt u_mt' of u of shape (m, a, T): shape (a, a)."""
    if u.shape[2] > u.shape[1]:  # then many small products cost less than moving the positions together
        return (u @ u.mT).sum(0)
    rows = u.movedim(1, 0).flatten(1)
    return rows @ rows.mT


def likelihood_root(logits: Tensor) -> Tensor:
    """Return R with R R' = diag(p) - p p', the Hessian of the cross-entropy by the logits: shape (m, K, K - 1).

    With s = sqrt(p), S = diag(s) - p s' is such a root and S s = 0. The Householder reflection of s to the last axis
    turns that into a column of zeros, which is left out: a class's backward pass is saved.
    """
    log_p = logits.log_softmax(1)
    p, s = log_p.exp(), (log_p / 2).exp()
    S = torch.diag_embed(s) - p[:, :, None] * s[:, None, :]
    return S[:, :, :-1] - S[:, :, -1:] * (s[:, None, :-1] / (1 + s[:, None, -1:]))


def factors(objective: Objective) -> dict[str, tuple[Tensor, Tensor]]:
    """Return A of shape (a, a), with the bias as one more input, and B of shape (out, out), of each layer by name.

    The expectation over the classes is exact: K - 1 columns of the root of the logits' Hessian are sent back.

    Raises
    ------
    ModelError
        If a parameter belongs to anything but nn.Linear or nn.Conv2d, or a layer is not used exactly once.
    """
    net, layers, n = objective.net, _layers(objective.net), len(objective.x)
    parts = objective.parts(net.logits(net.theta, objective.x[:1]).shape[1])
    sums: dict[str, list[Tensor | float]] = {name: [0.0, 0.0] for name in layers}
    edges: dict[str, GradientEdge] = {}

    def watch(name: str, layer: Layer) -> Any:
        def hook(module: nn.Module, args: tuple[Tensor, ...], out: Tensor) -> None:
            if name in edges:
                raise ModelError(f"K-FAC needs layers that are used once; layer {name} is used again")
            edges[name] = get_gradient_edge(out)
            a = _inputs(layer, args[0].detach())
            A = _moments(a)
            if layer.bias is not None:  # one more input, always 1
                total = a.sum((0, 2))
                A = torch.cat(
                    [torch.cat([A, total[None]]), F.pad(total, (0, 1), value=len(a) * a.shape[2])[:, None]], 1
                )
            sums[name][0] = sums[name][0] + A / (a.shape[2] * n)

        return layer.register_forward_hook(hook)

    handles = [watch(name, layer) for name, layer in layers.items()]
    try:
        for x, _ in parts:
            edges.clear()
            logits = net.net(x.detach().requires_grad_())
            if missing := sorted(layers.keys() - edges.keys()):
                raise ModelError(f"K-FAC needs layers that are used once; not used: {', '.join(missing)}")
            columns = likelihood_root(logits.detach()).movedim(2, 0)  # (K - 1, m, K)
            sent = torch.autograd.grad(logits, [edges[name] for name in layers], columns, is_grads_batched=True)
            for (name, layer), g in zip(layers.items(), sent, strict=True):
                sums[name][1] = sums[name][1] + _moments(_outputs(layer, g)) / n
    finally:
        for handle in handles:
            handle.remove()
    return {name: (torch.as_tensor(A), torch.as_tensor(B)) for name, (A, B) in sums.items()}


@dataclass(frozen=True)
class _Block:
    """One layer's B (x) A + ridge I by its eigenvectors: (out, out), (a, a) and eigenvalues (out, a)."""

    B: Tensor
    A: Tensor
    spectrum: Tensor
    bias: bool

    def apply(self, V: Tensor, scale: Tensor) -> Tensor:
        """Return the rows, of shape (m, parameters), with the coefficients by the eigenvectors scaled."""
        out, a = self.spectrum.shape
        inner = out * (a - self.bias)
        M = V[:, :inner].reshape(len(V), out, -1)
        M = torch.cat([M, V[:, inner:, None]], 2) if self.bias else M  # (m, out, a)
        M = self.B @ (self.B.mT @ M @ self.A * scale) @ self.A.mT
        return torch.cat([M[:, :, : a - self.bias].flatten(1), M[:, :, a - self.bias :].flatten(1)], 1)


class Kfac:
    """The K-FAC approximation of an objective's curvature, B (x) A + ridge I for each layer; see `Curvature`.

    The ridge (l2 + damping) is not split between the factors: by the eigendecompositions of A and B the inverse of the
    sum is exact.

    Parameters
    ----------
    objective : Objective

    Raises
    ------
    ModelError
        As `factors`, or if a block is singular.
    ParameterError
        If the l2 of a layer's weight and bias differ.
    """

    def __init__(self, objective: Objective) -> None:
        self.theta = objective.net.theta
        self._blocks: list[_Block] = []
        at = 0
        for name, (A, B) in factors(objective).items():
            ridge = objective.ridge[at : at + len(A) * len(B)]
            at += len(ridge)
            if bool((ridge != ridge[0]).any()):
                raise ParameterError(f"K-FAC takes one l2 for the weight and the bias of layer {name}")
            (values_a, Q_a), (values_b, Q_b) = torch.linalg.eigh(A), torch.linalg.eigh(B)
            spectrum = values_b.clamp_min(0)[:, None] * values_a.clamp_min(0) + ridge[0]  # below 0 they are rounding
            if not bool(spectrum.min() > spectrum.max() * max(spectrum.shape) * torch.finfo(A.dtype).eps):
                raise ModelError(f"the K-FAC matrix of layer {name} is singular; {REMEDY}")
            layer = objective.net.net.get_submodule(name)
            self._blocks.append(_Block(Q_b, Q_a, spectrum, layer.bias is not None))

    def _apply(self, V: Tensor, power: int) -> Tensor:
        parts = V.split([block.spectrum.numel() for block in self._blocks], 1)
        return torch.cat([b.apply(part, b.spectrum**power) for b, part in zip(self._blocks, parts, strict=True)], 1)

    def solve(self, V: Tensor) -> Tensor:
        """Return the rows H^-1 v, of shape (m, q)."""
        return self._apply(V, -1)

    def matvec(self, V: Tensor) -> Tensor:
        """Return the rows H v, of shape (m, q)."""
        return self._apply(V, 1)
