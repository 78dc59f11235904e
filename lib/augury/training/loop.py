"""One fit loop for every network: data that stay on the device, early stopping, sample weights, checkpoints."""

from __future__ import annotations

import hashlib
import math
import os
import warnings
from collections.abc import Callable
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from augury.errors import ModelError, ParameterError

Array = np.ndarray | Tensor
Row = dict[str, float]
Loss = Callable[[Tensor, Tensor], Tensor]


def cross_entropy(logits: Tensor, y: Tensor) -> Tensor:
    """Return each sample's cross-entropy in nats: shape (n,)."""
    return F.cross_entropy(logits, y, reduction="none")


def constant(progress: float) -> float:
    """Keep the learning rate."""
    return 1.0


def one_cycle(progress: float, rise: float = 0.2) -> float:
    """Raise the learning rate linearly over the first share `rise` of the steps, then lower it along a cosine to 0."""
    if progress < rise:
        return progress / rise
    return (1 + math.cos(math.pi * (progress - rise) / (1 - rise))) / 2


SCHEDULES: dict[str, Callable[[float], float]] = {"constant": constant, "one-cycle": one_cycle}
OPTIMISERS: dict[str, Callable[..., torch.optim.Optimizer]] = {
    "adam": torch.optim.Adam,
    "adamw": torch.optim.AdamW,
    "keras-adam": lambda parameters, **kw: torch.optim.Adam(parameters, eps=1e-7, fused=True, **kw),
    "sgd": lambda parameters, **kw: torch.optim.SGD(parameters, momentum=0.9, nesterov=True, **kw),
}


def fit(
    model: nn.Module,
    x: Array,
    y: Array,
    *,
    epochs: int,
    batch_size: int,
    lr: float,
    generator: torch.Generator,
    schedule: str | Callable[[float], float] = "constant",
    optimiser: str = "adam",
    weight_decay: float = 0.0,
    loss: Loss = cross_entropy,
    sample_weight: Array | None = None,
    validation: tuple[Array, Array] | None = None,
    patience: int | None = None,
    checkpoint: Path | None = None,
    progress: Callable[[Row], None] | None = None,
    mixed_precision: bool = True,
    device: str | torch.device = "cpu",
) -> list[Row]:
    r"""Train a network by gradient descent on shuffled batches B of

    .. math:: \frac{1}{|B|} \sum_{i \in B} \frac{v_i}{\bar v} \ell(f(x_i), y_i)

    with sample weights v of mean v-bar over the whole data set, so that whole weights equal repeated samples.

    Parameters
    ----------
    model : Module
        Maps a batch of x, as it is, to outputs; networks for images standardise uint8 pixels themselves. Moved to the
        device and trained in place.
    x : array of shape (n, ...)
        Images stay uint8, of shape (n, H, W, C), so that the device can hold all of them.
    y : array of shape (n,) or (n, ...)
        Numbers of classes, int64, or whatever `loss` compares outputs with.
    epochs, batch_size : int
    lr : float
        Learning rate at the top of the schedule.
    generator : torch.Generator
        Of the shuffling and, through it, of any dropout. The global generators are left as they were.
    schedule : {"constant", "one-cycle"} or callable
        Factor of the learning rate as a function of the share of steps that is done, in (0, 1).
    optimiser : {"adam", "adamw", "keras-adam", "sgd"}
        "keras-adam" has Keras's epsilon, 1e-7; "sgd" has Nesterov's momentum of 0.9.
    weight_decay : float
    loss : callable
        (outputs, y) -> losses of shape (n,).
    sample_weight : array of shape (n,), optional
        Weights v >= 0, not all zero.
    validation : tuple of arrays, optional
        x and y whose mean loss and, for classes, accuracy are measured after each epoch.
    patience : int, optional
        Stop once the validation loss has not improved for so many epochs; the weights of the best epoch are restored,
        also where the end was reached.
    checkpoint : Path, optional
        File that holds the state after each epoch. A run that finds it there goes on from it and ends as if it had
        never been interrupted; a finished run only restores its end.
    progress : callable, optional
        Is handed every epoch's row.
    mixed_precision : bool
        Whether the forward pass on a GPU is in bfloat16.
    device : str or torch.device

    Returns
    -------
    list of dict
        A row an epoch: epoch (from 1), loss (mean over the epoch, weighted) and, with validation, validation_loss and
        validation_accuracy.

    Raises
    ------
    ParameterError
        If a setting is out of range, or the checkpoint belongs to another run.
    ModelError
        If the loss is no longer finite.
    """
    factor, weights = _check(x, y, epochs, batch_size, schedule, optimiser, sample_weight, validation, patience)
    x, y, weights = (torch.as_tensor(a).to(device) for a in (x, y, weights))
    model.to(device)
    if x.dim() == 4:
        model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    opt = OPTIMISERS[optimiser](model.parameters(), lr=lr, weight_decay=weight_decay)
    n, history, stale, best = len(x), [], 0, None
    steps = epochs * math.ceil(n / batch_size)
    stamp = ""
    if checkpoint is not None:
        settings = (epochs, batch_size, lr, optimiser, weight_decay, patience)
        curve = [factor(i / 16) for i in range(16)]
        stamp = _stamp(settings, curve, generator.get_state(), x, y, weights, *validation or (), model.state_dict())
        state = _restore(checkpoint, stamp)
        if state is not None:
            model.load_state_dict(state["model"])
            opt.load_state_dict(state["optimiser"])
            generator.set_state(state["generator"])
            history, stale, best = state["history"], state["stale"], state["best"]
    while len(history) < epochs and (patience is None or stale < patience):
        model.train()
        total, done = torch.zeros((), device=device), len(history) * math.ceil(n / batch_size)
        order = torch.randperm(n, generator=generator, device=generator.device).to(device)
        with _seeded(generator, device):
            for i, batch in enumerate(order.split(batch_size)):
                for group in opt.param_groups:
                    group["lr"] = lr * factor((done + i + 0.5) / steps)
                opt.zero_grad(set_to_none=True)
                with _autocast(device) if mixed_precision else nullcontext():
                    out = model(x[batch])
                losses = loss(out.float() if out.is_cuda else out, y[batch]) * weights[batch]
                losses.mean().backward()
                opt.step()
                total += losses.detach().sum()
        row: Row = {"epoch": len(history) + 1, "loss": float(total) / n}
        if not math.isfinite(row["loss"]):
            raise ModelError(f"the loss became {row['loss']} in epoch {row['epoch']}: lower lr (it is {lr})")
        if validation is not None:
            row |= evaluate(model, *validation, loss=loss, device=device)
        history.append(row)
        if patience is not None:
            stale += 1
            if best is None or row["validation_loss"] < min(r["validation_loss"] for r in history[:-1]):
                stale, best = 0, {name: tensor.clone() for name, tensor in model.state_dict().items()}
        if checkpoint is not None:
            _save(checkpoint, {
                "stamp": stamp, "model": model.state_dict(), "optimiser": opt.state_dict(),
                "generator": generator.get_state(), "history": history, "stale": stale, "best": best,
            })  # fmt: skip
        if progress is not None:
            progress(row)
    if best is not None:
        model.load_state_dict(best)
    return history


@torch.no_grad()
def evaluate(
    model: nn.Module,
    x: Array,
    y: Array,
    *,
    loss: Loss = cross_entropy,
    batch_size: int = 1024,
    device: str | torch.device = "cpu",
) -> Row:
    """Return `validation_loss`, the mean loss, and for numbers of classes `validation_accuracy`, in [0, 1]."""
    x, y = torch.as_tensor(x), torch.as_tensor(y)
    total, right = 0.0, 0
    with _evaluating(model):
        for part, target in zip(x.split(batch_size), y.split(batch_size), strict=True):
            target = target.to(device)
            out = model(part.to(device))
            total += float(loss(out, target).double().sum())
            if target.dtype == torch.int64:
                right += int((out.argmax(1) == target).sum())
    row = {"validation_loss": total / len(x)}
    return row | {"validation_accuracy": right / len(x)} if y.dtype == torch.int64 else row


@torch.no_grad()
def extract(model: nn.Module, x: Array, batch_size: int = 512) -> np.ndarray:
    """Return what `model.features` gives for images of shape (n, H, W, C): float32 of shape (n, d).

    Computed in single precision on the model's device, without batch statistics: a row depends on its image alone.
    """
    device = next(model.parameters()).device
    with _evaluating(model):
        parts = [model.features(part.to(device)).cpu() for part in torch.as_tensor(x).split(batch_size)]  # type: ignore[operator]
    return torch.cat(parts).float().numpy()


def _check(
    x: Array, y: Array, epochs: int, batch_size: int, schedule: str | Callable[[float], float], optimiser: str,
    sample_weight: Array | None, validation: tuple[Array, Array] | None, patience: int | None,
) -> tuple[Callable[[float], float], Tensor]:  # fmt: skip
    """Return the schedule and the weights, scaled to mean 1; raise where `fit` says so."""
    if not len(x) == len(y) > 0:
        raise ParameterError(f"fit needs as many targets as samples, at least one; got {len(x)} and {len(y)}")
    if epochs < 1 or batch_size < 1 or (patience is not None and patience < 1):
        raise ParameterError(f"epochs {epochs}, batch_size {batch_size} and patience {patience} must be at least 1")
    if patience is not None and validation is None:
        raise ParameterError("patience needs validation data to lose it over")
    if optimiser not in OPTIMISERS:
        raise ParameterError(f"optimiser {optimiser!r} is unknown; choose from {', '.join(OPTIMISERS)}")
    if isinstance(schedule, str) and schedule not in SCHEDULES:
        raise ParameterError(f"schedule {schedule!r} is unknown; choose from {', '.join(SCHEDULES)} or give a function")
    weights = torch.ones(len(x)) if sample_weight is None else torch.as_tensor(sample_weight, dtype=torch.float32)
    if weights.shape != (len(x),) or not bool((weights >= 0).all()) or not 0 < float(weights.mean()) < math.inf:
        raise ParameterError(f"sample_weight must be {len(x)} finite numbers >= 0, not all zero")
    return SCHEDULES[schedule] if isinstance(schedule, str) else schedule, weights / weights.mean()


def _autocast(device: str | torch.device) -> Any:
    return torch.autocast("cuda", torch.bfloat16) if torch.device(device).type == "cuda" else nullcontext()


@contextmanager
def _evaluating(model: nn.Module) -> Any:
    was = model.training
    model.eval()
    try:
        yield
    finally:
        model.train(was)


@contextmanager
def _seeded(generator: torch.Generator, device: str | torch.device) -> Any:
    """Seed the global generators, which dropout reads, from `generator`, and put them back afterwards."""
    seed = int(torch.randint(2**62, (), generator=generator, device=generator.device))
    where = torch.device(device)
    with torch.random.fork_rng([where] if where.type == "cuda" else []):
        torch.manual_seed(seed)
        yield


def _stamp(*parts: Any) -> str:
    """Return the digest of a run's settings, data and first weights."""
    sha = hashlib.sha256()
    for part in parts:
        if isinstance(part, dict):
            sha.update(_stamp(*part, *part.values()).encode())
        elif isinstance(part, np.ndarray | Tensor):
            array = part.cpu().numpy() if isinstance(part, Tensor) else part
            sha.update(f"{array.dtype}{array.shape}".encode() + np.ascontiguousarray(array).tobytes())
        else:
            sha.update(repr(part).encode())
    return sha.hexdigest()


def _restore(checkpoint: Path, stamp: str) -> dict[str, Any] | None:
    if not checkpoint.exists():
        return None
    try:
        state = torch.load(checkpoint, map_location="cpu", weights_only=True)
        found = state["stamp"]
    except Exception as error:  # torch names no narrower set for a damaged file
        warnings.warn(f"checkpoint {checkpoint} is damaged and not used: {error}", stacklevel=3)
        return None
    if found != stamp:
        raise ParameterError(f"checkpoint {checkpoint} belongs to a run with other settings or data: remove it")
    return state


def _save(checkpoint: Path, state: dict[str, Any]) -> None:
    checkpoint.parent.mkdir(parents=True, exist_ok=True)
    temporary = checkpoint.with_name(f"{checkpoint.name}.{os.getpid()}.tmp")
    try:
        torch.save(state, temporary)
        os.replace(temporary, checkpoint)
    finally:
        temporary.unlink(missing_ok=True)
