"""Ablated augmentation of rows of features: mean ablation (MADA) and inverted input dropout (IID).

Liu, Najmi and Sundararajan (2020), Section 2.1. Every feature of a row is ablated on its own with probability lambda;
the response never is. The text scales what inverted dropout leaves by "the reciprocal of the ablation probability", its
formulas by 1 / (1 - lambda): this follows the formulas.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor

from augury.augment.base import Augmentation, label_preserving
from augury.errors import ParameterError


def check_lambda(lam: ArrayLike) -> None:
    """Raise unless every ablation probability lies in [0, 1).

    Raises
    ------
    ParameterError
    """
    values = np.asarray(lam, np.float64)
    if not ((values >= 0) & (values < 1)).all():
        raise ParameterError(f"the ablation probability lambda must lie in [0, 1), not {values.tolist()}")


def mean_ablation(lam: float, mean: Tensor) -> Augmentation:
    """Return MADA: each feature is replaced by its mean with probability `lam`.

    Parameters
    ----------
    lam : float in [0, 1)
    mean : Tensor of shape (k,)
        The features' means over the data set, not over the sample.

    Raises
    ------
    ParameterError
        If `lam` is out of range.
    """
    check_lambda(lam)
    return label_preserving(
        f"MADA({lam:g})", lambda x, generator: torch.where(_draws(x, generator) >= lam, x, mean.to(x))
    )


def inverted_dropout(lam: float) -> Augmentation:
    """Return IID: each feature is set to zero with probability `lam`, and scaled by 1 / (1 - lam) otherwise.

    Parameters
    ----------
    lam : float in [0, 1)

    Raises
    ------
    ParameterError
        If `lam` is out of range.
    """
    check_lambda(lam)
    return label_preserving(f"IID({lam:g})", lambda x, generator: x * (_draws(x, generator) >= lam) / (1 - lam))


def ablate_replicas(x: Tensor, lam: Tensor, scale: Tensor, generator: torch.Generator) -> Tensor:
    """Ablate one batch of centred rows for many replicas, which share the draws: equal lambda, equal masks.

    With common draws the replicas differ by their lambda alone. On centred features the mean is zero, so that MADA and
    IID differ by the scale only.

    Parameters
    ----------
    x : Tensor of shape (s, k)
        Features with mean zero over the data set.
    lam : Tensor of shape (R,)
        Each replica's ablation probability.
    scale : Tensor of shape (R,)
        What a replica multiplies the features by that are left: 1 for MADA, 1 / (1 - lambda) for IID.

    Returns
    -------
    Tensor of shape (R, s, k)
    """
    draws = _draws(x, generator)
    kept = (draws >= lam.view(-1, 1, 1)).to(x.dtype)  # (R, s, k)
    return kept.mul_(x).mul_(scale.view(-1, 1, 1))


def _draws(x: Tensor, generator: torch.Generator) -> Tensor:
    return torch.rand(x.shape, generator=generator, dtype=x.dtype, device=generator.device).to(x.device)
