"""Integrated Gradients and average gradients, for many points and many networks at once."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from augury.errors import ModelError, ParameterError

Function = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Attribution:
    """What each feature contributes to each output, and by how much the sum of the contributions misses.

    Attributes
    ----------
    attributions : Tensor of shape (K, ..., n, k)
        (x_j - x'_j) times the average gradient: the feature's contribution, in the unit of the output.
    gradients : Tensor of shape (K, ..., n, k)
        Average gradients: what a linear model has as coefficients.
    gap : Tensor of shape (K, ..., n)
        f_c(x) - f_c(x') - sum_j attributions. Zero for the exact integral (completeness); what is left is the error of
        the sum over steps, and rounding.
    """

    attributions: Tensor
    gradients: Tensor
    gap: Tensor


def average_gradients(f: Function, x: Tensor, baseline: Tensor, steps: int = 100, rows: int = 1024) -> Tensor:
    """Average the gradients of every output along the straight path from the baseline to each point.

    The integral of eq. (6) of Liu, Najmi and Sundararajan (2020, App. D), without the factor x - x':
    g_cj = 1/S sum_s d_j f_c(x' + a_s (x - x')) at the midpoints a_s = (s + 1/2) / S. For a linear model it is the
    coefficient (Section 3.2). It is defined where x_j = x'_j too, where attribution / (x_j - x'_j) is 0/0.

    Lemma: an affine map z = W x + b takes the straight path to the straight path from W x' + b to W x + b. So for
    f = h(W x + b) the average gradients are those of h between these two points, times W: a network's first layer need
    not be evaluated along the path.

    Parameters
    ----------
    f : callable
        (..., m, k) -> (..., m, K): each row on its own, each replica (...) on its own.
    x : Tensor of floats, shape (..., n, k)
    baseline : Tensor
        x', of shape (k,) or (..., 1, k) or any other that broadcasts to x.
    steps : int
        S, at least 1.
    rows : int
        About how many rows, all replicas together, a call of f sees: whole paths, at least one of each replica. It
        bounds the memory, and 1,024 keep the activations of small networks in the processor's cache.

    Returns
    -------
    Tensor of shape (K, ..., n, k)

    Raises
    ------
    ParameterError
        If x or the baseline is not finite, they do not fit together, or `steps` or `rows` is below 1.
    ModelError
        If f's outputs are not of shape (..., m, K), or do not depend on its inputs as autograd sees it.
    """
    x, start = _checked(x, baseline, steps, rows)
    start = start.expand(x.shape)
    alpha = ((torch.arange(steps, dtype=torch.float64) + 0.5) / steps).to(x)[:, None]  # (S, 1)
    points = max(1, rows // (steps * x.shape[:-2].numel()))
    averages: Tensor | None = None
    for i in range(0, x.shape[-2], points):
        chunk = (..., slice(i, i + points), None, slice(None))
        path = torch.lerp(start[chunk], x[chunk], alpha)  # (..., p, S, k)
        means = [gradient.view(path.shape).mean(-2) for gradient in _gradients(f, path.flatten(-3, -2))]
        if averages is None:
            averages = x.new_empty((len(means), *x.shape))
        averages[..., i : i + points, :] = torch.stack(means)
    assert averages is not None  # `_checked` refuses x without rows
    return averages


def integrated_gradients(f: Function, x: Tensor, baseline: Tensor, steps: int = 100, rows: int = 1024) -> Attribution:
    """Attribute every output of `f` to the features by Integrated Gradients (Sundararajan, Taly and Yan, 2017).

    Eq. (6) of Liu, Najmi and Sundararajan (2020, App. D) by the midpoint rule, whose error falls as 1/S^2 where f is
    smooth. For a linear model the attributions are the contributions beta_j (x_j - x'_j), without a gap.

    Parameters and errors are those of `average_gradients`.
    """
    gradients = average_gradients(f, x, baseline, steps, rows)
    x, start = _checked(x, baseline, steps, rows)
    attributions = (x - start) * gradients
    change = _values(f, x, rows) - _values(f, start, rows)
    return Attribution(attributions, gradients, change.movedim(-1, 0) - attributions.sum(-1))


def _checked(x: Tensor, baseline: Tensor, steps: int, rows: int) -> tuple[Tensor, Tensor]:
    """Return x, and the baseline with x's replicas and all of its rows or one, both outside of any graph."""
    if steps < 1 or rows < 1:
        raise ParameterError(f"steps and rows must be at least 1, not {steps} and {rows}")
    if x.dim() < 2 or not x.numel() or not x.is_floating_point():
        raise ParameterError(f"x must hold floats of shape (..., n, k), none of them 0, not {x.dtype} {tuple(x.shape)}")
    start = torch.atleast_2d(baseline.detach()).to(x)
    try:
        start = start.expand(*x.shape[:-2], start.shape[-2] if start.shape[-2] == 1 else x.shape[-2], x.shape[-1])
    except RuntimeError as error:
        raise ParameterError(f"a baseline of shape {tuple(baseline.shape)} does not fit x, {tuple(x.shape)}") from error
    for name, values in (("x", x), ("the baseline", baseline)):
        if not values.isfinite().all():
            raise ParameterError(f"{name} has values that are not finite; attributions need finite points")
    return x.detach(), start


def _gradients(f: Function, points: Tensor) -> Iterator[Tensor]:
    """Yield the gradient of each output at points of shape (..., m, k), which the forward pass is shared by."""
    points.requires_grad_()
    with torch.enable_grad():
        outputs = _outputs(f, points)
    if not outputs.requires_grad:
        raise ModelError("the model's outputs carry no gradient: it must not detach them or switch autograd off")
    K = outputs.shape[-1]
    for c in range(K):
        selected = torch.zeros_like(outputs)
        selected[..., c] = 1
        yield torch.autograd.grad(outputs, points, selected, retain_graph=c < K - 1)[0]


def _values(f: Function, points: Tensor, rows: int) -> Tensor:
    """Return the outputs at points of shape (..., n, k), without a graph: (..., n, K)."""
    size = max(1, rows // points.shape[:-2].numel())
    with torch.no_grad():
        return torch.cat([_outputs(f, chunk) for chunk in points.split(size, -2)], -2)


def _outputs(f: Function, points: Tensor) -> Tensor:
    outputs = f(points)
    if outputs.shape[:-1] != points.shape[:-1]:
        raise ModelError(
            f"the model gives outputs of shape {tuple(outputs.shape)} for points of shape {tuple(points.shape)}; all "
            "axes but the last must agree (expand x over the replicas, keep a single output as an axis of length 1)"
        )
    return outputs
