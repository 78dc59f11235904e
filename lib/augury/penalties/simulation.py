"""Theorems 1 and 2 by simulation: least squares on more and more ablated rows against the closed forms."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch

from augury.augment.ablation import inverted_dropout, mean_ablation
from augury.augment.base import Augmentation
from augury.data import load
from augury.errors import ParameterError
from augury.penalties.linear import beta_ccp, beta_ml2p
from augury.penalties.moments import Linear, Moments, least_squares
from augury.seeding import rng, torch_generator

AUGMENTATIONS = ("MADA", "IID")
CHUNK = 1 << 16  # rows ablated at a time, which bounds the memory


def _spread(k: int, correlation: float) -> np.ndarray:
    """Return the factor of a covariance matrix with ones on its diagonal and `correlation` off it."""
    return np.linalg.cholesky(np.full((k, k), correlation) + (1 - correlation) * np.eye(k))


def _uncorrelated(draws: np.ndarray) -> tuple[np.ndarray, list[float]]:
    return np.linalg.qr(draws)[0] * np.sqrt(len(draws)), [2.0, -1.0, 1.5, -0.5, 1.0]  # columns stay centred


def _correlated(draws: np.ndarray) -> tuple[np.ndarray, list[float]]:
    return draws @ _spread(5, 0.6).T, [2.0, -1.0, 1.5, -0.5, 1.0]


def _shifted(draws: np.ndarray) -> tuple[np.ndarray, list[float]]:
    return _correlated(draws)[0] + [1.0, -2.0, 3.0, -1.0, 0.5], [2.0, -1.0, 1.5, -0.5, 1.0]


def _reinforcing(draws: np.ndarray) -> tuple[np.ndarray, list[float]]:
    return draws @ _spread(5, 0.6).T, [1.0, 1.0, 1.0, 1.0, 1.0]


def _cancelling(draws: np.ndarray) -> tuple[np.ndarray, list[float]]:
    return draws @ _spread(5, 0.6).T, [2.0, -2.0, 2.0, -2.0, 1.0]


def _twins(draws: np.ndarray) -> tuple[np.ndarray, list[float]]:
    first, other, noise = draws[:, 0], draws[:, 1], draws[:, 2]
    return np.stack([first, first + 0.05 * noise, other], axis=1), [2.0, 0.0, 1.0]


_SYNTHETIC = {
    "uncorrelated": _uncorrelated,
    "correlated": _correlated,
    "non-zero means": _shifted,
    "reinforcing": _reinforcing,
    "cancelling": _cancelling,
    "twins": _twins,
}
DESIGNS = (*_SYNTHETIC, "diabetes")


def make_design(name: str, n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return a small regression problem, (X, y) of float64, shapes (n, k) and (n,).

    Parameters
    ----------
    name : str
        One of `DESIGNS`. Features have population variance about 1 and, unless said otherwise, sample mean zero:
        "uncorrelated" exactly so over the sample; "correlated", at 0.6 in every pair; "non-zero means", the same moved
        by 0.5 to 3; "reinforcing" and "cancelling", correlated at 0.6, with coefficients of one sign or of alternating
        ones; "twins", two that differ by noise of 0.05, of which the response knows one, and an independent third. The
        noise of y has standard deviation 1. "diabetes" is scikit-learn's table, each column and the response in units
        of its standard deviation, not centred.
    n : int
        Rows of the synthetic ones, at least 10.
    seed : int

    Raises
    ------
    ParameterError
        If there is no such design, or n is too small.
    """
    if name == "diabetes":
        train = load("diabetes").train
        X, y = np.asarray(train.x, np.float64), train.y
        return X / X.std(0), y / y.std()
    if name not in _SYNTHETIC or n < 10:
        raise ParameterError(f"design {name!r} with {n} rows: choose one of {', '.join(DESIGNS)} and at least 10 rows")
    generator = rng(seed, "penalties", "design", name)
    draws = generator.standard_normal((n, 5))
    X, coefficients = _SYNTHETIC[name](draws - draws.mean(0))
    return X, X @ coefficients + generator.standard_normal(n)


def ablation(name: str, lam: float, mean: np.ndarray) -> Augmentation:
    """Return the augmentation called "MADA" (which needs the features' means, of shape (k,)) or "IID" (Section 2.1).

    Raises
    ------
    ParameterError
        If there is no such augmentation, or lambda is out of range.
    """
    if name not in AUGMENTATIONS:
        raise ParameterError(f"augmentation {name!r} is unknown; choose from {', '.join(AUGMENTATIONS)}")
    return mean_ablation(lam, torch.from_numpy(mean)) if name == "MADA" else inverted_dropout(lam)


def closed_form(name: str, X: np.ndarray, y: np.ndarray, lam: float) -> Linear:
    """Return what least squares on augmented rows tends to: Theorem 1 for "MADA", Theorem 2 for "IID"."""
    return beta_ccp(X, y, lam) if name == "MADA" else beta_ml2p(X, y, lam)


def augmented_moments(
    X: np.ndarray, y: np.ndarray, augmentation: Augmentation, sizes: Sequence[int], seed: int, *path: str | int
) -> Iterator[Moments]:
    """Yield the moments of D_N at each N, along one growing stream of rows drawn with replacement and ablated.

    Rows and masks come from a generator each: the first N rows are the same whatever sizes are asked for. Only sums
    are kept.

    Parameters
    ----------
    X : ndarray of float64, shape (n, k)
    y : ndarray of float64, shape (n,)
    augmentation : Augmentation
    sizes : sequence of int
        The N, ascending.
    seed, path
        Of the stream.
    """
    features, response = torch.from_numpy(X), torch.from_numpy(y)
    middle = torch.from_numpy(np.append(X.mean(0), y.mean()))  # sums about it keep their digits
    rows, masks = (torch_generator(seed, "penalties", *path, kind) for kind in ("rows", "masks"))
    k, total, products, done = X.shape[1], torch.zeros_like(middle), torch.zeros(len(middle), len(middle)).double(), 0
    for size in sizes:
        while done < size:
            chosen = torch.randint(len(X), (min(CHUNK, size - done),), generator=rows)
            together = torch.column_stack(augmentation(features[chosen], response[chosen], masks)) - middle
            total += together.sum(0)
            products += together.mT @ together
            done += len(chosen)
        centre = total / done
        covariance = (products / done - torch.outer(centre, centre)).numpy()
        mean = (centre + middle).numpy()
        yield Moments(done, mean[:k], float(mean[k]), covariance[:k, :k], covariance[:k, k])


def distance(found: np.ndarray, target: np.ndarray) -> float:
    """Return |found - target| / |target| in the Euclidean norm."""
    return float(np.linalg.norm(found - target) / np.linalg.norm(target))


def convergence(
    design: str,
    augmentation: str,
    lam: float,
    n: int,
    sizes: Sequence[int],
    replicates: int,
    seed: int,
    dataset: str = "",
) -> list[dict[str, Any]]:
    """Return how far least squares on N augmented rows is from the closed form, for growing N (Theorems 1 and 2).

    Parameters
    ----------
    design : str
        One of `DESIGNS`; see `make_design` for `n` and `seed`.
    augmentation : {"MADA", "IID"}
    lam : float in [0, 1)
    n : int
    sizes : sequence of int
        The N, ascending.
    replicates : int
        Independent streams of augmented rows, all of the same data.
    seed : int
    dataset : str
        The registry's name of the data behind a real design, so that the cell's key holds their checksum.

    Returns
    -------
    list of dict
        replicate, N, and error = |beta_N - beta| / |beta| with the closed form's beta.

    Raises
    ------
    ParameterError
        If a name is unknown or lambda out of range.
    """
    X, y = make_design(design, n, seed)
    augment, target = ablation(augmentation, lam, X.mean(0)), closed_form(augmentation, X, y, lam).beta
    path = (design, augmentation, f"{lam:g}")
    return [
        {"replicate": replicate, "N": m.n, "error": distance(least_squares(m).beta, target)}
        for replicate in range(replicates)
        for m in augmented_moments(X, y, augment, sizes, seed, *path, replicate)
    ]
