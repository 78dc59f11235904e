"""The base models of data trimming: how they are fitted to many trimmed sets at once, and how they score points.

A trimmed point has sample weight 0, so that all refits of a training set share its arrays. Every refit starts where the
base model started.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from augury.errors import ModelError, ParameterError
from augury.influence.classifier import ClassifierInfluence
from augury.influence.network import NetworkInfluence
from augury.models.logistic import Logistic, fit_logistic
from augury.models.mlp import MLP
from augury.models.replica import alone

Points = tuple[np.ndarray, np.ndarray]
"""Features of shape (n, p) in float64, and labels 0 and 1 of shape (n,)."""


class Fits(Protocol):
    """Models of one kind fitted to the same points under R weightings."""

    def decision(self, X: np.ndarray) -> np.ndarray:
        """Return the logits of class 1 for X of shape (m, p): shape (R, m)."""

    def scores(self, train: Points, validation: Points) -> dict[str, np.ndarray]:
        """Return FI^util and IV of the training points under the first model, "FI" and "IV" of shape (n,)."""


class Learner(Protocol):
    """A kind of model with its settings."""

    def fit(self, train: Points, weights: np.ndarray) -> Fits:
        """Fit one model for each row of the weights, of shape (R, n)."""


@dataclass(frozen=True)
class LinearFits:
    """Logistic regressions, one a weighting; see `Fits`."""

    models: Sequence[Logistic]

    def decision(self, X: np.ndarray) -> np.ndarray:
        """Return the logits of class 1 for X of shape (m, p): shape (R, m)."""
        return np.stack([model.decision(X) for model in self.models])

    def scores(self, train: Points, validation: Points) -> dict[str, np.ndarray]:
        """Return FI^util and IV of the training points under the first model; the penalty is part of the Hessian."""
        influence = ClassifierInfluence(self.models[0], *train, regularised=True)
        return {"FI": influence.util(*validation), "IV": influence.removal(*validation)}


@dataclass(frozen=True)
class Linear:
    """Logistic regression with an intercept, fitted to the exact optimum.

    Attributes
    ----------
    C : float
        Inverse strength of the L2 penalty, > 0.
    """

    C: float

    def fit(self, train: Points, weights: np.ndarray) -> LinearFits:
        """Fit one model for each row of the weights, of shape (R, n).

        Raises
        ------
        ModelError
            As `fit_logistic`.
        """
        return LinearFits([fit_logistic(*train, self.C, sample_weight=row) for row in weights])


@dataclass(frozen=True)
class NetworkFits:
    """Perceptrons with one output, one a weighting; float64. See `Fits`, and `Network` for l2 and damping."""

    model: MLP
    l2: float
    damping: float

    @torch.no_grad()
    def decision(self, X: np.ndarray) -> np.ndarray:
        """Return the logits of class 1 for X of shape (m, p): shape (R, m)."""
        return self.model(torch.tensor(X))[..., 0].numpy()

    def scores(self, train: Points, validation: Points) -> dict[str, np.ndarray]:
        """Return FI^util and IV of the training points under the first network, over all its parameters."""
        influence = NetworkInfluence(self.alone(0), *train, l2=self.l2, damping=self.damping)
        return {"FI": influence.util(*validation), "IV": influence.removal(*validation)}

    def alone(self, r: int) -> nn.Sequential:
        """Return one of the networks as a module of its own, (m, p) -> logits of both classes (m, 2), class 0's 0."""
        return nn.Sequential(*alone(self.model, r), _BothClasses())


class _BothClasses(nn.Module):
    def forward(self, logit: Tensor) -> Tensor:
        return F.pad(logit, (1, 0))


@dataclass(frozen=True)
class Network:
    """A perceptron with two hidden ReLU layers and a sigmoid output, trained by Adam on the whole training set.

    The step decays to nothing along half a cosine, and the arithmetic is double, so that a refit differs from the base
    model by the points it lacks and not by where its training happened to stop.

    Attributes
    ----------
    seed : int
        Of the initialisation, which all refits share.
    width : int
        Units of each hidden layer.
    steps : int
    lr : float
        The first step's.
    l2 : float
        The objective is the mean loss + l2 / 2 |theta|^2, biases included.
    damping : float
        Added to the diagonal of the objective's Hessian, which need not be positive definite.
    """

    seed: int
    width: int
    steps: int
    lr: float
    l2: float
    damping: float

    def fit(self, train: Points, weights: np.ndarray) -> NetworkFits:
        """Train one network for each row of the weights, of shape (R, n), all at once; its loss is the weighted mean.

        Raises
        ------
        ParameterError
            If a setting is out of range.
        ModelError
            If a training diverges.
        """
        if min(self.width, self.steps) < 1 or not self.lr > 0 or min(self.l2, self.damping) < 0:
            raise ParameterError(f"{self} needs a positive width, steps and lr, and l2 and damping of at least 0")
        X, y = train
        model = MLP(X.shape[1], 1, 2, [self.seed] * len(weights), self.width).double()
        x, target = torch.from_numpy(X), torch.from_numpy(y).double().expand(len(weights), -1)
        share = torch.from_numpy(weights / weights.sum(1, keepdims=True))  # (R, n), each row adds up to 1
        # Adam's weight decay is the penalty's gradient, added to the loss's before the moments see it.
        optimiser = torch.optim.Adam(model.parameters(), lr=self.lr, weight_decay=self.l2, fused=True)
        decay = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, self.steps)
        for _ in range(self.steps):
            loss = F.binary_cross_entropy_with_logits(model(x)[..., 0], target, weight=share, reduction="sum")
            optimiser.zero_grad(set_to_none=True)
            loss.backward()  # the networks share no weight, so each gets its own gradient
            optimiser.step()
            decay.step()
        if not all(bool(torch.isfinite(p).all()) for p in model.parameters()):
            raise ModelError(f"the training of a network diverged: lower lr (it is {self.lr})")
        return NetworkFits(model.requires_grad_(False), self.l2, self.damping)
