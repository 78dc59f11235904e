"""Theorem 1: whether FI, the Jacobian norm and Cook's measure change when the perturbation is reparameterised."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from scipy.stats import spearmanr
from torch import Tensor

from augury.errors import ParameterError
from augury.influence.classifier import ClassifierInfluence
from augury.influence.curvature import covariance_root
from augury.influence.measure import influence_measure
from augury.invariance.tables import Problem, gaussian_problem, log_probabilities, table_problem
from augury.seeding import rng

MAPS = ("rotation", "diffeomorphism")
MEASURES = ("FI", "Jacobian norm", "Cook's measure")
CHANGES = ("one feature", "all features", "linear map")


def reparameterisation(kind: str, features: int, stretch: float, generator: np.random.Generator) -> np.ndarray:
    """Return the Jacobian at 0, of shape (p, p), of omega = phi(eta), by automatic differentiation.

    "rotation" is an orthogonal map. "diffeomorphism" is phi(eta) = A (u + sinh u) / 2 with u = D B eta, A and B
    orthogonal and D of stretches from 1 to `stretch` in geometric steps: not linear, and invertible everywhere.

    Raises
    ------
    ParameterError
        If there is no such kind.
    """
    if kind not in MAPS:
        raise ParameterError(f"reparameterisation {kind!r} is unknown; choose from {', '.join(MAPS)}")
    A, B = (torch.from_numpy(np.linalg.qr(generator.standard_normal((features, features)))[0]) for _ in range(2))
    if kind == "rotation":
        return np.asarray(A)
    scales = torch.from_numpy(np.geomspace(1.0, stretch, features))

    def phi(eta: Tensor) -> Tensor:
        turned = scales * (B @ eta)
        return A @ (turned + torch.sinh(turned)) / 2

    return torch.func.jacfwd(phi)(torch.zeros(features, dtype=torch.float64)).numpy()


def measures(influence: ClassifierInfluence, problem: Problem, J: np.ndarray | None = None) -> dict[str, np.ndarray]:
    """Return three measures of each training point, shape (n,), with the perturbation reparameterised by J.

    The Jacobian norm (Novak et al., 2018) is |d P / d omega|_F, of the model that follows the perturbation. Cook's
    measure (1986) is the largest normal curvature of the displacement of the training loss, 2 lambda_max(M' (n H)^-1 M)
    with M = d_x d_theta L.

    Parameters
    ----------
    J : ndarray of shape (p, p), optional
        d omega / d eta; the identity by default.
    """
    dL, S = influence.slopes(problem.X_val, problem.y_val), influence.metric()
    curvature = influence.displacement()
    if J is not None:
        dL, S, curvature = dL @ J, S @ J, J.T @ curvature @ J
    jacobian = np.exp(log_probabilities(influence.model, problem.X) / 2)[:, :, None] * S
    values = (influence_measure(dL, S), np.linalg.norm(jacobian, axis=(1, 2)), 2 * np.linalg.eigvalsh(curvature)[:, -1])
    return dict(zip(MEASURES, values, strict=True))


def theorem1(
    classes: int, features: int, n: int, C: float, kind: str, stretches: list[float], replicates: int, seed: int
) -> list[dict[str, Any]]:
    """Return by how much reparameterisations change the measures of a synthetic problem's training points.

    Returns
    -------
    list of dict
        replicate, stretch, measure, full_rank (whether K - 1 >= p, so that G is positive definite), change (largest
        |new / old - 1| over the points), and rank (Spearman's correlation of new and old).

    Raises
    ------
    ParameterError
        If there is no such kind of map.
    """
    rows = []
    for replicate in range(replicates):
        problem = gaussian_problem(classes, features, n, seed, replicate)
        influence = ClassifierInfluence(problem.fit(C), problem.X, problem.y)
        plain = measures(influence, problem)
        for stretch in stretches if kind == "diffeomorphism" else [1.0]:
            generator = rng(seed, "invariance", kind, replicate)
            J = reparameterisation(kind, features, stretch, generator)
            moved = measures(influence, problem, J)
            for name in MEASURES:
                change = float(np.abs(moved[name] / plain[name] - 1).max())
                rank = float(spearmanr(moved[name], plain[name]).statistic)
                row = {"replicate": replicate, "stretch": stretch, "measure": name, "change": change, "rank": rank}
                rows.append(row | {"full_rank": classes - 1 >= features})
    return rows


def units(kind: str, features: int, factor: float, generator: np.random.Generator) -> np.ndarray:
    """Return the map B of shape (p, p) of features x -> B x.

    "one feature": a random one in units `factor` times as fine. "all features": every one in units of its own,
    log-uniform between 1 / factor and factor. "linear map": such units between two rotations.

    Raises
    ------
    ParameterError
        If there is no such kind.
    """
    if kind not in CHANGES:
        raise ParameterError(f"change of units {kind!r} is unknown; choose from {', '.join(CHANGES)}")
    scales = np.exp(generator.uniform(-1, 1, features) * np.log(factor))
    if kind == "one feature":
        scales = np.where(np.arange(features) == generator.integers(features), factor, 1.0)
    if kind != "linear map":
        return np.diag(scales)
    A, B = (np.linalg.qr(generator.standard_normal((features, features)))[0] for _ in range(2))
    return (A * scales) @ B


def rescaling(
    dataset: str,
    kind: str,
    factors: list[float],
    rows: int,
    validation: int,
    C: float,
    top: float,
    replicates: int,
    seed: int,
) -> list[dict[str, Any]]:
    """Return how FI^util changes with the features' units, the model being the same function of the points.

    Perturbations are measured in the new units; H keeps the penalty that was fitted with. So any change comes from
    the pseudo-inverse alone. Whitened, they are measured against the covariance of the features in the new units.

    Parameters
    ----------
    kind : str
        One of `CHANGES`; see `units`.
    top : float
        Share of the points that would be trimmed.

    Returns
    -------
    list of dict
        replicate, factor, measure ("FI" or "FI, whitened"), rank (Spearman's correlation with FI in standardised
        units), kept (share of the `top` points that are still there), and fold (median of max(new/old, old/new)).

    Raises
    ------
    ParameterError
        If a name is unknown.
    """
    problem = table_problem(dataset, rows, validation, seed)
    influence = ClassifierInfluence(problem.fit(C), problem.X, problem.y)
    dL, S = influence.slopes(problem.X_val, problem.y_val), influence.metric()
    root = covariance_root(problem.X)
    plain = {"FI": influence_measure(dL, S), "FI, whitened": influence_measure(dL @ root, S @ root)}
    found: list[dict[str, Any]] = []
    for replicate in range(replicates):
        for factor in factors:
            B = units(kind, problem.X.shape[1], factor, rng(seed, "units", dataset, kind, replicate))
            back = np.linalg.inv(B)
            root = covariance_root(problem.X @ B.T)
            moved = {
                "FI": influence_measure(dL @ back, S @ back),
                "FI, whitened": influence_measure(dL @ back @ root, S @ back @ root),
            }
            for name, old in plain.items():
                new = moved[name]
                found.append({"replicate": replicate, "factor": factor, "measure": name, **_compared(old, new, top)})
    return found


def _compared(old: np.ndarray, new: np.ndarray, top: float) -> dict[str, float]:
    budget = max(1, round(top * len(old)))
    first, second = (set(np.argsort(-values, kind="stable")[:budget].tolist()) for values in (old, new))
    positive = (old > 0) & (new > 0) & np.isfinite(old) & np.isfinite(new)
    fold = np.exp(np.abs(np.log(new[positive] / old[positive])))
    rank = float(spearmanr(old, new).statistic)
    return {"rank": rank, "kept": len(first & second) / budget, "fold": float(np.median(fold))}
