"""The image tasks: data sets as they are, and the unbalanced and the redundant MNIST of Appendix D.2."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from augury.data.loading import Dataset, holdout, load
from augury.errors import ParameterError
from augury.seeding import rng

VARIANTS = ("unbalanced", "redundant")
UNIT = 500  # images of each rare class: 1/55 of 27,500
HELD_OUT = 0.2  # share of a data set without a test set that becomes one


@dataclass(frozen=True)
class Task:
    """Images to learn and to test on.

    Attributes
    ----------
    x, y : ndarray of uint8, shape (n, H, W, C), and int64, shape (n,)
        The training pool.
    x_test, y_test : ndarray of uint8, shape (t, H, W, C), and int64, shape (t,)
    classes : tuple of str
        The names of the labels 0, 1, ...
    """

    x: np.ndarray
    y: np.ndarray
    x_test: np.ndarray
    y_test: np.ndarray
    classes: tuple[str, ...]


def unbalanced(y: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Return positions of digits 0 to 4 and of ten times as many of each of 5 to 9, ascending (Appendix D.2).

    500 and 5,000 of each as in the paper; as many as there are where a data set has fewer.

    Raises
    ------
    ParameterError
        If a class is too rare for that.
    """
    counts = np.bincount(y, minlength=10)
    unit = min(UNIT, int(counts[:5].min()), int(counts[5:10].min()) // 10)
    if unit < 1:
        raise ParameterError(f"no unbalanced task can be made of classes of {counts.tolist()} images")
    return np.sort(
        np.concatenate(
            [generator.permutation(np.flatnonzero(y == c))[: unit if c < 5 else 10 * unit] for c in range(10)]
        )
    )


def redundant(y: np.ndarray) -> np.ndarray:
    """Return labels 0 for the digit 1, 1 for the digit 7 and 2, "neither", for all others: shape (n,)."""
    return np.where(y == 1, 0, np.where(y == 7, 1, 2)).astype(np.int64)


def ones_and_sevens(y: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Return positions of the digits 1 and 7, equally many of both, ascending."""
    both = [generator.permutation(np.flatnonzero(y == digit)) for digit in (1, 7)]
    size = min(map(len, both))
    return np.sort(np.concatenate([own[:size] for own in both]))


@lru_cache(maxsize=2)
def load_task(dataset: str, task: str, seed: int, test_points: int = 0) -> Task:
    """Return the images of a task; all methods of a seed share them.

    The test set is the data set's own, or a fifth of its images where it has none. That of the redundant task has the
    digits 1 and 7 only, equally many of both; there a prediction of "neither" is wrong.

    Parameters
    ----------
    dataset : str
        With images.
    task : str
        The name of the data set, or of a data set of digits with -unbalanced or -redundant behind it.
    seed : int
    test_points : int
        Most test images, drawn at random; 0 for all.

    Raises
    ------
    ParameterError
        If there is no such task, or no image in the data set.
    MissingDataError, DataError
        If the data set cannot be loaded.
    """
    variant = task.removeprefix(dataset).removeprefix("-")
    if variant and variant not in VARIANTS:
        raise ParameterError(
            f"{dataset} has no task {task!r}; digits have {', '.join(f'{dataset}-{v}' for v in VARIANTS)}"
        )
    whole = load(dataset)
    if whole.test is None:
        whole = holdout(whole, HELD_OUT, rng(seed, "active", "holdout", dataset))
    x, y, x_test, y_test = _arrays(whole)
    classes = whole.classes
    if variant and (x.ndim != 4 or len(classes) != 10):
        raise ParameterError(f"the {variant} task needs the ten digits, which {dataset} does not have")
    draw = rng(seed, "active", "task", dataset, variant)
    if variant == "unbalanced":
        chosen = unbalanced(y, draw)
        x, y = x[chosen], y[chosen]
    if variant == "redundant":
        tested = ones_and_sevens(y_test, draw)
        x_test, y_test = x_test[tested], redundant(y_test[tested])
        y, classes = redundant(y), ("1", "7", "neither")
    if 0 < test_points < len(y_test):
        tested = np.sort(draw.permutation(len(y_test))[:test_points])
        x_test, y_test = x_test[tested], y_test[tested]
    return Task(x, y, x_test, y_test, classes)


def _arrays(whole: Dataset) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    assert whole.test is not None  # held out above where upstream has none
    x, x_test = whole.train.x, whole.test.x
    if not (isinstance(x, np.ndarray) and isinstance(x_test, np.ndarray)):
        raise ParameterError(f"{whole.name} has no images; choose a data set of images")
    return x, whole.train.y, x_test, whole.test.y
