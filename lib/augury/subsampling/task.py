"""The binary task of an experiment: 1,000 training points, their copies, and the poisoned test set (Appendix B)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
import torch.nn.functional as F

from augury.augment.exhaustive import Directions, paper_transform
from augury.data import load
from augury.errors import ParameterError
from augury.seeding import rng


@dataclass(frozen=True)
class Task:
    """A binary image task under one exhaustive augmentation.

    Attributes
    ----------
    x, y : ndarray of uint8 (n, H, W, C) and int64 (n,)
        The training points; y is 1 for the second class.
    copies, index : ndarray of uint8 (m, H, W, C) and int64 (m,)
        Every transformed training point and the position of its original in x.
    x_test, y_test : ndarray of uint8 (t, H, W, C) and int64 (t,)
        The poisoned test set: the originals (the first `n_clean`), then all their transformed copies.
    n_clean : int
    """

    x: np.ndarray
    y: np.ndarray
    copies: np.ndarray
    index: np.ndarray
    x_test: np.ndarray
    y_test: np.ndarray
    n_clean: int

    def training_set(self, augmented: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return x, y and the copies' originals when the points `augmented` have been augmented.

        Originals come first, then the copies in the order of their originals: the same set is the same training set,
        in whatever order its points were chosen.
        """
        chosen = np.isin(self.index, augmented)
        index = self.index[chosen]
        return np.concatenate([self.x, self.copies[chosen]]), np.concatenate([self.y, self.y[index]]), index


@lru_cache(maxsize=2)
def binary_images(
    dataset: str, classes: tuple[int, int], n_train: int, seed: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return x, y of the sampled training points and of the whole test set of a two-class task.

    `n_train` points are drawn without replacement, half of each class. scikit-learn's digits have 8 x 8 pixels:
    they are enlarged to 28 x 28, so that MNIST's networks and transforms apply to them.

    Raises
    ------
    ParameterError
        If the data set has no test split, or a class holds fewer than n_train / 2 training points.
    """
    data = load(dataset)
    if data.test is None:
        raise ParameterError(f"{dataset} has no test split; choose mnist, cifar-10, small-norb or digits")
    draw = rng(seed, "subsampling", dataset)
    x, y = np.asarray(data.train.x), data.train.y
    for label in classes:
        if (y == label).sum() < n_train // 2:
            raise ParameterError(
                f"{dataset} has {(y == label).sum()} training points of class {label}: n_train = {n_train} needs "
                f"{n_train // 2}; choose fewer, or another class"
            )
    chosen = np.sort(np.concatenate([draw.permutation(np.flatnonzero(y == c))[: n_train // 2] for c in classes]))
    x_train, y_train = x[chosen], y[chosen]
    keep = np.isin(data.test.y, classes)
    x_test, y_test = np.asarray(data.test.x)[keep], data.test.y[keep]
    if x_train.shape[1] < 28:
        x_train, x_test = _enlarge(x_train), _enlarge(x_test)
    return x_train, (y_train == classes[1]).astype(np.int64), x_test, (y_test == classes[1]).astype(np.int64)


def _enlarge(x: np.ndarray, side: int = 28) -> np.ndarray:
    """Enlarge images of shape (n, h, w, C) to `side` x `side` pixels bilinearly, as uint8."""
    big = F.interpolate(torch.from_numpy(x).permute(0, 3, 1, 2).float(), (side, side), mode="bilinear")
    return big.round().clamp(0, 255).to(torch.uint8).permute(0, 2, 3, 1).contiguous().numpy()


@lru_cache(maxsize=2)
def binary_task(
    dataset: str, classes: tuple[int, int], n_train: int, seed: int, augmentation: str, directions: Directions
) -> Task:
    """Return the task with every training and test point transformed by the paper's `augmentation`.

    Parameters
    ----------
    dataset : str
        "mnist", "cifar-10", "small-norb" or "digits".
    classes : tuple of two int
    n_train, seed
        As for `binary_images`.
    augmentation : {"translate", "rotate", "crop"}
    directions : {"cardinal", "diagonal"}
        Of translations: the text's or the released code's.
    """
    x, y, x_test, y_test = binary_images(dataset, classes, n_train, seed)
    transform = paper_transform(augmentation, dataset, directions)
    train, test = transform(x), transform(x_test)
    return Task(
        x, y, train.x, train.index,
        np.concatenate([x_test, test.x]), np.concatenate([y_test, y_test[test.index]]), len(x_test),
    )  # fmt: skip
