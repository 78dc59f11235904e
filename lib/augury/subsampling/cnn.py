"""Features of a residual network trained on a whole data set, for the tasks whose features are frozen (Appendix B)."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from tqdm import tqdm

from augury import data, device, paths
from augury.models.resnet import ResNetV2, resnet
from augury.seeding import torch_generator
from augury.subsampling.features import Setting, read_features, store_features
from augury.training.loop import evaluate, extract, fit

NETWORK = ("network", "network_epochs", "network_batch", "network_lr", "network_optimiser", "network_weight_decay")


def train_network(dataset: str, seed: int, network: Mapping[str, Any]) -> tuple[ResNetV2, float]:
    """Train a residual network on the whole training split of `dataset`, or go on from its checkpoint in the cache.

    Parameters
    ----------
    dataset : str
    seed : int
        Of the initialisation and the shuffling.
    network : mapping
        The parameters named in `NETWORK`: name, epochs, batch size, top learning rate (one cycle), optimiser and weight
        decay. The paper trained without augmentation on CIFAR10, and so does this.

    Returns
    -------
    tuple of ResNetV2 and float
        The network and its accuracy on the test split, all classes.
    """
    images = data.load(dataset)
    assert images.test is not None
    x, y = torch.from_numpy(np.asarray(images.train.x)), torch.from_numpy(images.train.y)
    model = resnet(network["network"], len(images.classes), x.shape[3], seed)
    model.calibrate(x)
    epochs = network["network_epochs"]
    with tqdm(total=epochs, desc=f"{network['network']} on {dataset}", unit="epoch", leave=False) as bar:

        def show(row: dict[str, float]) -> None:
            bar.set_postfix(loss=f"{row['loss']:.3f}")
            bar.update(row["epoch"] - bar.n)

        fit(
            model, x, y, epochs=epochs, batch_size=network["network_batch"], lr=network["network_lr"],
            optimiser=network["network_optimiser"], weight_decay=network["network_weight_decay"], schedule="one-cycle",
            generator=torch_generator(seed, "subsampling", "network"), device=device.pick(),
            checkpoint=paths.cache() / "networks" / f"{_name(dataset, seed, network)}.pt",
            progress=show,
        )  # fmt: skip
    test = evaluate(model, np.asarray(images.test.x), images.test.y, device=device.pick())
    return model, test["validation_accuracy"]


def stored_features(setting: Setting, network: Mapping[str, Any]) -> dict[str, Any]:
    """Return where the network's features of a task are stored; train the network and extract them if need be.

    Parameters
    ----------
    setting : Setting
        Its task is what the features are of.
    network : mapping
        As for `train_network`.

    Returns
    -------
    dict
        stored, the digest that `read_features` takes, and network_accuracy on all classes of the test split.
    """
    task = (setting.dataset, setting.classes, setting.n_train, setting.seed, setting.augmentation, setting.directions)
    index = paths.cache() / "features" / f"{_name(setting.dataset, setting.seed, network, task)}.json"
    if index.exists():
        known: dict[str, Any] = json.loads(index.read_text())
        if (index.parent / f"{known['stored']}.npz").exists():
            read_features(known["stored"])  # raises if damaged
            return known
    model, accuracy = train_network(setting.dataset, setting.seed, network)
    images = setting.task()
    train, copies, test = (extract(model, x) for x in (images.x, images.copies, images.x_test))
    found = {"stored": store_features((train, copies, test)), "network_accuracy": accuracy}
    part = index.with_suffix(f".{os.getpid()}.part")
    part.write_text(json.dumps(found))
    part.replace(index)
    return found


def _name(dataset: str, seed: int, network: Mapping[str, Any], *more: Any) -> str:
    settings = [dataset, data.digest(dataset), seed, [network[key] for key in NETWORK], *more]
    return hashlib.sha256(json.dumps(settings).encode()).hexdigest()[:24]
