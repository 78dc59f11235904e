"""Data sets that need no download: scikit-learn's own."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from augury.data.arrays import Fields

_DIGITS_TRAIN = 1297


def digits() -> Fields:
    """Return scikit-learn's 8x8 digits, their 17 levels stretched to 0..255, the last 500 rows as test."""
    from sklearn.datasets import load_digits

    bunch = load_digits()
    levels = bunch.images.astype(np.int64)  # (n, 8, 8), 0..16
    x = ((levels * 255 + 8) // 16).astype(np.uint8)[..., None]
    y = bunch.target.astype(np.int64)
    train, test = slice(None, _DIGITS_TRAIN), slice(_DIGITS_TRAIN, None)
    return {"train/x": x[train], "train/y": y[train], "test/x": x[test], "test/y": y[test]}


GENERATORS: dict[str, Callable[[], Fields]] = {"digits": digits}
