"""Logistic regressions fitted to many trimmed sets: all at once by descent in batches, or each to the exact optimum.

Both minimise the mean loss over the points kept + weight_decay / 2 |w|^2, the intercept without a penalty, so that
what a descent has not reached shows beside the optimum.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch

from augury.errors import ModelError, ParameterError
from augury.models.logistic import Logistic, fit_logistic
from augury.seeding import torch_generator
from augury.trimming.learners import LinearFits, Points

OPTIMISERS: dict[str, Callable[..., torch.optim.Optimizer]] = {"SGD": torch.optim.SGD, "Adam": torch.optim.Adam}


def _strength(weight_decay: float, weights: np.ndarray) -> np.ndarray:
    """Return C of `Logistic`, which multiplies the sum of the losses: shape (R,)."""
    if not weight_decay > 0:
        raise ParameterError(
            f"the weight decay must be positive, not {weight_decay}: a penalty keeps the optimum finite"
        )
    return 1 / (weight_decay * weights.sum(1))


@dataclass(frozen=True)
class Descent:
    """Logistic regression by stochastic gradient descent from zero (Table 3), one replica a trimmed set.

    All replicas step through the same batches, from which each leaves out the points it lacks: its gradient is the mean
    over those it has. So two replicas differ by the points they lack and not by the order in which they saw the others.

    Attributes
    ----------
    seed : int
        Of the batches.
    optimiser : {"SGD", "Adam"}
        With PyTorch's defaults: no momentum, or betas of 0.9 and 0.999.
    lr : float
        Constant, > 0.
    weight_decay : float
        > 0.
    epochs, batch : int
        Passes through the training set, and points a step before those that a replica lacks are left out.
    """

    seed: int
    optimiser: str
    lr: float
    weight_decay: float
    epochs: int
    batch: int

    @torch.no_grad()
    def fit(self, train: Points, weights: np.ndarray) -> LinearFits:
        """Fit one model for each row of the weights, 0 for a point left out and 1 for others, of shape (R, n).

        Raises
        ------
        ParameterError
            If a setting is out of range.
        ModelError
            If a descent diverges.
        """
        if self.optimiser not in OPTIMISERS or not self.lr > 0 or min(self.epochs, self.batch) < 1:
            raise ParameterError(f"{self} needs one of {', '.join(OPTIMISERS)} and a positive lr, epochs and batch")
        strength = _strength(self.weight_decay, weights)
        X, y = torch.tensor(train[0], dtype=torch.float64), torch.tensor(train[1], dtype=torch.float64)
        kept = torch.tensor(weights, dtype=torch.float64)  # (R, n)
        w, b = X.new_zeros(len(kept), X.shape[1]), X.new_zeros(len(kept))
        groups = [{"params": [w], "weight_decay": self.weight_decay}, {"params": [b]}]
        steps = OPTIMISERS[self.optimiser](groups, lr=self.lr)
        generator = torch_generator(self.seed, "trimming", "batches")
        for _ in range(self.epochs):
            for rows in torch.randperm(len(X), generator=generator).split(self.batch):
                x, own = X[rows], kept[:, rows]
                share = own / own.sum(1, keepdim=True).clamp(min=1)  # a batch of which nothing is left only decays
                miss = (torch.sigmoid(w @ x.T + b[:, None]) - y[rows]) * share  # (R, batch): d loss / d logit
                w.grad, b.grad = miss @ x, miss.sum(1)
                steps.step()
        theta = torch.cat([w, b[:, None]], 1).numpy()
        if not np.isfinite(theta).all():
            raise ModelError(f"a logistic regression diverged: lower lr (it is {self.lr})")
        return LinearFits([Logistic(*own) for own in zip(theta, strength.tolist(), strict=True)])


@dataclass(frozen=True)
class Exact:
    """Logistic regression at the optimum of the same objective; see `Descent`."""

    weight_decay: float

    def fit(self, train: Points, weights: np.ndarray) -> LinearFits:
        """Fit one model for each row of the weights, of shape (R, n); all but the first start where that ended.

        Raises
        ------
        ParameterError
            If the weight decay is not positive.
        ModelError
            As `fit_logistic`.
        """
        first, *others = zip(_strength(self.weight_decay, weights).tolist(), weights, strict=True)
        model = fit_logistic(*train, first[0], sample_weight=first[1])
        rest = [fit_logistic(*train, C, sample_weight=row, start=model.theta) for C, row in others]
        return LinearFits([model, *rest])
