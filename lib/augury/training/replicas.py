"""The fit loop for many replicas of a small network at once: one batched product in place of R small ones."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from augury.errors import ModelError, ParameterError

Loss = Callable[[Tensor, Tensor], Tensor]
Augment = Callable[[Tensor, Tensor, torch.Generator], Tensor]


def cross_entropy(logits: Tensor, y: Tensor) -> Tensor:
    """Return the cross-entropy in nats of logits of shape (R, s, K) and classes of shape (s,): shape (R, s)."""
    replicas, s, _ = logits.shape
    return F.cross_entropy(logits.flatten(0, 1), y.repeat(replicas), reduction="none").view(replicas, s)


def squared_error(outputs: Tensor, y: Tensor) -> Tensor:
    """Return the squared error of outputs of shape (R, s, 1) and responses of shape (s,): shape (R, s)."""
    return (outputs[..., 0] - y) ** 2


@dataclass(frozen=True)
class History:
    """What the replicas' training gave, on the CPU.

    Attributes
    ----------
    losses, validation_losses : Tensor of shape (epochs run, R)
        Mean over the epoch's samples, and over the validation set after the epoch; nan once a replica has stopped.
    best_epoch : Tensor of int64, shape (R,)
        The epoch, from 1, whose weights were kept.
    """

    losses: Tensor
    validation_losses: Tensor
    best_epoch: Tensor


def fit_replicas(
    model: nn.Module,
    x: Tensor,
    y: Tensor,
    *,
    validation: tuple[Tensor, Tensor],
    loss: Loss,
    epochs: int,
    batch_size: int,
    lr: float,
    patience: int,
    generator: torch.Generator,
    augment: Augment | None = None,
    augment_validation: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> History:
    """Train replicas by Adam on shared batches, each with early stopping of its own; keep each one's best epoch.

    Replicas do not interact: each ends where it would have ended alone with the same generator. One that has stopped
    leaves the batch and costs nothing more.

    Parameters
    ----------
    model : Module
        Every parameter has the replicas as its first axis, of length R, and so have its outputs; it maps (s, k) and
        (R, s, k). On return it holds the weights of each replica's best epoch.
    x, y : Tensor of shape (n, k) and (n,)
        On the model's device.
    validation : tuple of Tensor
        x and y.
    loss : callable
        (outputs (R, s, K), y (s,)) -> losses of shape (R, s).
    epochs, batch_size : int
    lr : float
        Adam's; its other settings are the usual ones.
    patience : int
        A replica stops once its validation loss has not improved for so many epochs.
    generator : torch.Generator
        Of the shuffling and of what `augment` draws; the replicas share the draws.
    augment : callable, optional
        (x (s, k), running replicas (r,), generator) -> (r, s, k).
    augment_validation : bool
        Whether the validation rows are augmented too, anew after each epoch.
    progress : callable, optional
        Is handed the epochs done and the number of replicas still running, after each epoch.

    Raises
    ------
    ParameterError
        If a setting is out of range.
    ModelError
        If a replica's validation loss is never finite.
    """
    if not len(x) == len(y) > 0 or not len(validation[0]) == len(validation[1]) > 0:
        raise ParameterError("fit_replicas needs as many targets as samples, at least one, also for validation")
    if min(epochs, batch_size, patience) < 1:
        raise ParameterError(f"epochs {epochs}, batch_size {batch_size} and patience {patience} must be at least 1")
    if not bool(torch.isfinite(x).all()):
        raise ParameterError("the features hold numbers that are not finite")
    running = copy.deepcopy(model)
    total = len(next(model.parameters()))
    alive = torch.arange(total, device=x.device)
    lowest = torch.full((total,), torch.inf, dtype=torch.float64, device=x.device)
    best_epoch, stale = torch.zeros_like(alive), torch.zeros_like(alive)
    optimiser = torch.optim.Adam(running.parameters(), lr=lr, fused=True)
    history: tuple[list[Tensor], list[Tensor]] = ([], [])
    for epoch in range(1, epochs + 1):
        train_loss = _epoch(running, x, y, alive, loss, optimiser, batch_size, generator, augment)
        held_loss = _mean_loss(running, *validation, alive, loss, generator, augment if augment_validation else None)
        for curve, found in zip(history, (train_loss, held_loss), strict=True):
            curve.append(torch.full_like(lowest, torch.nan).index_copy_(0, alive, found))
        better = held_loss < lowest[alive]  # false where it is not a number
        winners = alive[better]
        lowest[winners], best_epoch[winners] = held_loss[better], epoch
        with torch.no_grad():
            for kept, now in zip(model.parameters(), running.parameters(), strict=True):
                kept[winners] = now[better]
        stale[alive] += 1
        stale[winners] = 0
        staying = stale[alive] < patience
        if not bool(staying.all()):
            alive = alive[staying]
            if len(alive):
                _keep(running, optimiser, staying)
        if progress is not None:
            progress(epoch, len(alive))
        if not len(alive):
            break
    if bool((best_epoch == 0).any()):
        lost = torch.nonzero(best_epoch == 0).flatten().tolist()
        raise ModelError(f"the validation loss of replicas {lost} was never finite: lower lr (it is {lr})")
    return History(torch.stack(history[0]).cpu(), torch.stack(history[1]).cpu(), best_epoch.cpu())


@torch.no_grad()
def _mean_loss(
    model: nn.Module, x: Tensor, y: Tensor, alive: Tensor, loss: Loss, generator: torch.Generator,
    augment: Augment | None, rows: int = 1024,
) -> Tensor:  # fmt: skip
    """Return each running replica's mean loss, float64 of shape (r,), computed `rows` rows at a time."""
    summed = torch.zeros(len(alive), dtype=torch.float64, device=x.device)
    for part, target in zip(x.split(rows), y.split(rows), strict=True):
        inputs = part if augment is None else augment(part, alive, generator)
        summed += loss(model(inputs), target).double().sum(1)
    return summed / len(x)


def _epoch(
    model: nn.Module, x: Tensor, y: Tensor, alive: Tensor, loss: Loss, optimiser: torch.optim.Optimizer,
    batch_size: int, generator: torch.Generator, augment: Augment | None,
) -> Tensor:  # fmt: skip
    """Go once through the shuffled samples; return each running replica's mean loss, float64 of shape (r,)."""
    summed = torch.zeros(len(alive), dtype=torch.float64, device=x.device)
    order = torch.randperm(len(x), generator=generator, device=generator.device).to(x.device)
    for batch in order.split(batch_size):
        inputs = x[batch] if augment is None else augment(x[batch], alive, generator)
        losses = loss(model(inputs), y[batch])  # (r, s)
        optimiser.zero_grad(set_to_none=True)
        losses.mean(1).sum().backward()  # the replicas share no weight, so each gets its own gradient
        optimiser.step()
        summed += losses.detach().double().sum(1)
    return summed / len(x)


def _keep(model: nn.Module, optimiser: torch.optim.Optimizer, staying: Tensor) -> None:
    """Drop the replicas that are not `staying` from the model and from the optimiser's moments."""
    for group in optimiser.param_groups:
        for parameter in group["params"]:
            state = optimiser.state[parameter]
            for name in ("exp_avg", "exp_avg_sq"):
                state[name] = state[name][staying]
            parameter.grad = None
            parameter.data = parameter.data[staying]
