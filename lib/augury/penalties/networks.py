"""Networks trained on ablated rows, their penalties and their performance (Section 4).

One cell trains a network of one depth and seed at every ablation probability, under both augmentations at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from augury import device
from augury.attribution import average_gradients
from augury.augment.ablation import ablate_replicas, check_lambda
from augury.design import Design, design
from augury.errors import ParameterError
from augury.models.mlp import MLP
from augury.penalties.linear import beta_ccp, beta_ml2p
from augury.penalties.measures import contribution_covariance, modified_l2
from augury.seeding import rng, torch_generator
from augury.training.replicas import cross_entropy, fit_replicas, squared_error

AUGMENTATIONS = ("MADA", "IID")

Row = dict[str, Any]
Replica = tuple[str, float]


def replicas(lambdas: Sequence[float]) -> list[Replica]:
    """Return each replica's augmentation and ablation probability; at lambda = 0 one network stands for both.

    Raises
    ------
    ParameterError
        If a lambda is outside [0, 1) or appears twice.
    """
    check_lambda(lambdas)
    if len(set(lambdas)) < len(lambdas):
        raise ParameterError(f"a lambda appears twice in {list(lambdas)}")
    return [(kind, lam) for kind in AUGMENTATIONS for lam in lambdas if lam or kind == AUGMENTATIONS[0]]


def is_closed_form(classes: Sequence[str], hidden_layers: int) -> bool:
    """Return whether the model is a linear regression, which is solved and not trained (Section 4.1)."""
    return not classes and hidden_layers == 0


def penalties(
    dataset: str,
    hidden_layers: int,
    seed: int,
    lambdas: Sequence[float],
    width: int,
    epochs: int,
    batch_size: int,
    lr: float,
    patience: int,
    ablate_validation: bool,
    steps: int,
    split_seed: int,
) -> list[Row]:
    """Train one network for every lambda and augmentation and measure it on the test set.

    Parameters
    ----------
    dataset : str
    hidden_layers : int
    seed : int
        Of the initialisation, the masks, the order of the batches and the train-validation split; all replicas share
        them.
    lambdas : sequence of float in [0, 1)
    width, epochs, batch_size, lr, patience
        Of the networks and their training by Adam.
    ablate_validation : bool
        Whether the validation rows are ablated as the training rows are.
    steps : int
        Of the Riemann sum of Integrated Gradients.
    split_seed : int
        Of the train-test split, which is one for all seeds.

    Returns
    -------
    list of dict
        augmentation, lam, measure, class and value. Measures: "CCP" and "ML2P", per unit (the paper's formulas over n),
        a row a class with the class's logit as the response; "accuracy", or "MSE" in variances of the response; "gap",
        the mean absolute completeness gap of the attributions over the mean absolute attributed output; and "epochs",
        those trained.

    Raises
    ------
    ParameterError
        If a lambda is out of range or the data set is no table for this.
    MissingDataError, DataError
        As `data.load`.
    ModelError
        If a training diverges.
    """
    table, where = design(dataset, split_seed), device.pick()
    settings = replicas(lambdas)
    model = MLP(table.x_train.shape[1], len(table.classes) or 1, hidden_layers, [seed] * len(settings), width)
    if is_closed_form(table.classes, hidden_layers):
        solve(model, table, settings)
        epochs_run = torch.zeros(len(settings))
    else:
        epochs_run = train(model.to(where), table, settings, seed, epochs, batch_size, lr, patience, ablate_validation)
    rows: list[Row] = []
    for measure, label, values in [*measure_model(model.to(where), table, steps), ("epochs", "", epochs_run)]:
        for (kind, lam), value in zip(settings, values.tolist(), strict=True):
            for name in AUGMENTATIONS if lam == 0 else (kind,):
                rows.append({"augmentation": name, "lam": lam, "measure": measure, "class": label, "value": value})
    return rows


def solve(model: MLP, table: Design, settings: Sequence[Replica]) -> None:
    """Set affine models to the minimisers of Theorems 1 and 2 on all training rows."""
    for r, (kind, lam) in enumerate(settings):
        closed = beta_ccp if kind == "MADA" else beta_ml2p
        intercept, beta = closed(table.x_train, table.y_train, lam)
        model.weights[0].data[r, 0] = torch.from_numpy(np.asarray(beta))
        model.biases[0].data[r] = float(intercept)


def train(
    model: MLP, table: Design, settings: Sequence[Replica], seed: int, epochs: int, batch_size: int, lr: float,
    patience: int, ablate_validation: bool,
) -> Tensor:  # fmt: skip
    """Train the replicas, a quarter of the rows held out for early stopping; return the epochs each one ran."""
    where = model.weights[0].device
    n = len(table.x_train)
    held = rng(seed, "penalties", "validation").permutation(n) < n // 4
    x, y = torch.from_numpy(np.array(table.x_train)), torch.from_numpy(np.array(table.y_train))
    y = y if table.classes else y.to(x.dtype)
    validation, (x, y) = [(x[mask].to(where), y[mask].to(where)) for mask in (held, ~held)]
    lam = torch.tensor([lam for _, lam in settings], device=where)
    scale = torch.tensor([1.0 if kind == "MADA" else 1 / (1 - lam) for kind, lam in settings], device=where)

    def ablate(x: Tensor, running: Tensor, generator: torch.Generator) -> Tensor:
        return ablate_replicas(x, lam[running], scale[running], generator)

    history = fit_replicas(
        model, x, y, validation=validation, loss=cross_entropy if table.classes else squared_error,
        epochs=epochs, batch_size=batch_size, lr=lr, patience=patience, augment=ablate,
        augment_validation=ablate_validation, generator=torch_generator(seed, "penalties", "training"),
    )  # fmt: skip
    return (~history.losses.isnan()).sum(0)


@torch.no_grad()
def measure_model(model: MLP, table: Design, steps: int) -> list[tuple[str, str, Tensor]]:
    """Return the penalties, the performance and the completeness gap on the test set, each for all replicas.

    The features' second moments v + mu^2 of ML2P are those of the standardised training rows, 1: the paper notes that
    the penalty is then the plain L2 one.
    """
    model.requires_grad_(False)
    where = model.weights[0].device
    x, y = torch.from_numpy(np.array(table.x_test)).to(where), torch.from_numpy(np.array(table.y_test)).to(where)
    # Along the path the first layer is affine: it is evaluated at both ends only (see `average_gradients`).
    origin = model.first(torch.zeros_like(x[:1]))
    gradients = average_gradients(model.rest, model.first(x), origin, steps) @ model.weights[0]
    outputs, zero = model(x), model.rest(origin)
    found: list[tuple[str, str, Tensor]] = []
    for c, label in enumerate(table.classes or ("",)):
        attributions = gradients[c] * x
        attributed = (outputs - zero)[..., c]
        gap = (attributed - attributions.sum(-1)).abs().mean(1) / attributed.abs().mean(1).clamp_min(1e-12)
        found += [
            ("CCP", label, contribution_covariance(attributions)),
            ("ML2P", label, modified_l2(gradients[c], torch.ones(x.shape[1]).to(x))),
            ("gap", label, gap),
        ]
    if table.classes:
        return [*found, ("accuracy", "", (outputs.argmax(-1) == y).double().mean(1))]
    return [*found, ("MSE", "", squared_error(outputs.double(), y).mean(1))]
