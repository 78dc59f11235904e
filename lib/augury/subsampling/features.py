"""Bottleneck features of a task: what the logistic regression of the experiments is fitted on (Sec. 5, Appendix B)."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass, fields
from functools import lru_cache
from typing import Any

import numpy as np

from augury import device, paths
from augury.augment.exhaustive import Directions
from augury.errors import DataError, ParameterError
from augury.models.lenet import LeNet
from augury.seeding import torch_generator
from augury.subsampling.task import Task, binary_task
from augury.training.loop import extract, fit

FEATURES = ("lenet", "cnn", "pixels")


@dataclass(frozen=True)
class Setting:
    """What an experiment is run on: the task, its features and the classifier.

    Attributes
    ----------
    dataset, classes, n_train, seed, augmentation, directions
        The task, see `binary_task`.
    features : {"lenet", "cnn", "pixels"}
        LeNet trained on the task itself; a stored array, made by a network trained on the whole data set (`cnn`); the
        pixels in [0, 1].
    refit_features : bool
        Whether the LeNet is trained anew on every training set (the paper's MNIST runs) or once on the plain one.
    initialisation : {"released", "torch"}
        Of the LeNet.
    epochs : int
        Of the LeNet.
    C : float
        Inverse strength of the classifier's penalty.
    regularised : bool
        Whether the Hessian of the influence contains that penalty.
    stored : str
        Digest of the stored features; empty for others.
    """

    dataset: str
    classes: tuple[int, int]
    n_train: int
    seed: int
    augmentation: str
    directions: Directions = "cardinal"
    features: str = "lenet"
    refit_features: bool = False
    initialisation: str = "released"
    epochs: int = 40
    C: float = 10.0
    regularised: bool = False
    stored: str = ""

    @classmethod
    def of(cls, settings: dict[str, Any]) -> Setting:
        """Take the fields that belong here out of a cell's flat settings.

        Raises
        ------
        ParameterError
            If the features are unknown, or are to be refitted and are not LeNet's.
        """
        own = {field.name: settings[field.name] for field in fields(cls) if field.name in settings}
        own["classes"] = tuple(own["classes"])
        setting = cls(**own)
        if setting.features not in FEATURES:
            raise ParameterError(f"features {setting.features!r} are unknown; choose from {', '.join(FEATURES)}")
        if setting.refit_features and setting.features != "lenet":
            raise ParameterError("refit_features is for features = 'lenet': other features are frozen in the paper")
        return setting

    def task(self) -> Task:
        """Return the task, transformed."""
        return binary_task(self.dataset, self.classes, self.n_train, self.seed, self.augmentation, self.directions)


def train_lenet(setting: Setting, x: np.ndarray, y: np.ndarray) -> LeNet:
    """Train a LeNet on images and labels as in Appendix B; the same set gives the same network."""
    model = LeNet(2, x.shape[1:], setting.initialisation)
    fit(
        model, x, y, epochs=setting.epochs, batch_size=512, lr=1e-3, optimiser="keras-adam", mixed_precision=False,
        generator=torch_generator(setting.seed, "subsampling", "shuffle"), device=device.pick(),
    )  # fmt: skip
    return model


def _through_lenet(model: LeNet, x: np.ndarray) -> np.ndarray:
    return extract(model, x).astype(np.float64)


FeatureArrays = tuple[np.ndarray, np.ndarray, np.ndarray]


def _digest(arrays: FeatureArrays) -> str:
    sha = hashlib.sha256()
    for array in arrays:
        sha.update(f"{array.dtype}{array.shape}".encode())
        sha.update(np.ascontiguousarray(array).tobytes())
    return sha.hexdigest()


def store_features(arrays: FeatureArrays) -> str:
    """Keep the features of training points, copies and test set in the cache; return the digest that finds them."""
    name = _digest(arrays)
    folder = paths.cache() / "features"
    folder.mkdir(parents=True, exist_ok=True)
    part = folder / f"{name}.{os.getpid()}.part"
    with open(part, "wb") as file:
        np.savez(file, *arrays)
    part.replace(folder / f"{name}.npz")
    return name


def read_features(name: str) -> FeatureArrays:
    """Return the features stored under a digest, as float64.

    Raises
    ------
    DataError
        If they are not in the cache, or are damaged.
    """
    path = paths.cache() / "features" / f"{name}.npz"
    if not path.exists():
        raise DataError(f"stored features {name[:12]} are not in the cache: run the notebook again to make them")
    with np.load(path, allow_pickle=False) as stored:
        arrays = tuple(stored[key] for key in stored.files)
    if len(arrays) != 3 or _digest(arrays) != name:
        raise DataError(f"stored features {name[:12]} are damaged: remove that file from the cache and run again")
    return tuple(array.astype(np.float64) for array in arrays)


@lru_cache(maxsize=2)
def frozen_features(setting: Setting) -> FeatureArrays:
    """Return the features of the training points, of all their copies and of the poisoned test set, each (., p)."""
    task = setting.task()
    images = (task.x, task.copies, task.x_test)
    if setting.features == "pixels":
        train, copies, test = (x.reshape(len(x), -1) / 255 for x in images)
    elif setting.features == "cnn":
        train, copies, test = read_features(setting.stored)
    else:
        model = train_lenet(setting, task.x, task.y)
        train, copies, test = (_through_lenet(model, x) for x in images)
    return train, copies, test


@dataclass(frozen=True)
class Featurised:
    """A training set and the poisoned test set as features: Z (n + m, p), y, the copies' originals, Z_test, y_test."""

    Z: np.ndarray
    y: np.ndarray
    index: np.ndarray
    Z_test: np.ndarray
    y_test: np.ndarray


def featurise(setting: Setting, augmented: np.ndarray) -> Featurised:
    """Return the features of the training set in which the points `augmented` have been augmented."""
    task = setting.task()
    if setting.refit_features:
        x, y, index = task.training_set(augmented)
        model = train_lenet(setting, x, y)
        return Featurised(_through_lenet(model, x), y, index, _through_lenet(model, task.x_test), task.y_test)
    train, copies, test = frozen_features(setting)
    chosen = np.isin(task.index, augmented)
    index = task.index[chosen]
    return Featurised(
        np.concatenate([train, copies[chosen]]), np.concatenate([task.y, task.y[index]]), index, test, task.y_test
    )
