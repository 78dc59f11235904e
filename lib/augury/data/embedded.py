"""Data sets that need no download: scikit-learn's own, and pools of points from two simple distributions."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from augury.data.arrays import Fields

_DIGITS_TRAIN = 1297
_POOL = 20_000  # points in each split of a generated data set
_DECIMALS = 6  # of generated coordinates, so that the last bits of a machine's sine or logarithm do not show


def digits() -> Fields:
    """Return scikit-learn's 8x8 digits, their 17 grey levels stretched to 0..255, the last 500 rows as test."""
    from sklearn.datasets import load_digits

    bunch = load_digits()
    levels = bunch.images.astype(np.int64)  # (n, 8, 8), 0..16
    x = ((levels * 255 + 8) // 16).astype(np.uint8)[..., None]
    y = bunch.target.astype(np.int64)
    train, test = slice(None, _DIGITS_TRAIN), slice(_DIGITS_TRAIN, None)
    return {"train/x": x[train], "train/y": y[train], "test/x": x[test], "test/y": y[test]}


def _columns(x: np.ndarray, names: list[str]) -> Fields:
    return {f"train/x/{name}": np.ascontiguousarray(x[:, i], np.float64) for i, name in enumerate(names)}


def breast_cancer() -> Fields:
    """Return scikit-learn's breast cancer table (Wisconsin, diagnostic), 0 for malignant."""
    from sklearn.datasets import load_breast_cancer

    bunch = load_breast_cancer()
    return {**_columns(bunch.data, list(bunch.feature_names)), "train/y": bunch.target.astype(np.int64)}


def diabetes() -> Fields:
    """Return scikit-learn's diabetes table in its own units (not the standardised one), a regression."""
    from sklearn.datasets import load_diabetes

    bunch = load_diabetes(scaled=False)
    return {**_columns(bunch.data, list(bunch.feature_names)), "train/y": bunch.target.astype(np.float64)}


def _pools(draw: Callable[[np.random.Generator], tuple[np.ndarray, np.ndarray]], seed: int) -> Fields:
    """Return a train and a test pool of `draw`, from independent streams."""
    fields: Fields = {}
    for split, stream in zip(("train", "test"), np.random.default_rng(seed).spawn(2), strict=True):
        x, y = draw(stream)
        x = x.round(_DECIMALS) + 0.0  # no negative zero
        fields |= {f"{split}/x/x1": x[:, 0].copy(), f"{split}/x/x2": x[:, 1].copy(), f"{split}/y": y}
    return fields


def two_gaussians() -> Fields:
    """Return pools of two spherical Gaussians in the plane: means (3, -3) and (1, 2), standard deviation 1.5."""

    def draw(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        y = rng.integers(0, 2, _POOL)
        means = np.array([[3.0, -3.0], [1.0, 2.0]])
        return means[y] + 1.5 * rng.standard_normal((_POOL, 2)), y

    return _pools(draw, seed=0)


def two_moons() -> Fields:
    """Return pools of two interleaved half circles of radius 1 with Gaussian noise of standard deviation 0.3."""

    def draw(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        y = rng.integers(0, 2, _POOL)
        angle = np.pi * rng.random(_POOL)
        upper = np.stack([np.cos(angle), np.sin(angle)], axis=1)  # (n, 2)
        lower = np.stack([1 - np.cos(angle), 0.5 - np.sin(angle)], axis=1)
        return np.where(y[:, None] == 0, upper, lower) + 0.3 * rng.standard_normal((_POOL, 2)), y

    return _pools(draw, seed=1)


GENERATORS: dict[str, Callable[[], Fields]] = {
    "breast-cancer": breast_cancer,
    "diabetes": diabetes,
    "digits": digits,
    "two-gaussians": two_gaussians,
    "two-moons": two_moons,
}
