"""Active learning on images: networks trained anew in every round, scored by their last layer (Figures 4, 5, 10)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from augury import device
from augury.acquisition.uncertainty import dropout_log_probabilities
from augury.active.pictures import Task, load_task
from augury.active.rounds import Row, Sizes, Start, active_learning, drawn, start, top
from augury.active.scores import Known, check_method, fi, log_probabilities
from augury.errors import ParameterError
from augury.models.cnn import DigitCNN
from augury.models.convmixer import ConvMixer
from augury.models.softmax import Softmax
from augury.seeding import rng, torch_generator
from augury.training.loop import evaluate, extract, fit


@dataclass(frozen=True)
class Training:
    """How a network is trained; the paper gives none of it.

    Attributes
    ----------
    epochs, batch_size : int
    lr : float
        Of Adam with Keras's epsilon of 1e-7, which comes fused: plain Adam takes twice as long on small networks.
    weight_decay : float
        The objective is the mean loss + weight_decay / 2 |theta|^2; for influence, the last layer's Hessian has the
        same penalty on its weights.
    dropout : float
        Rate in [0, 1).
    passes : int
        Dropout masks of BALD.
    mixer : sequence of int
        Width, depth, kernel and patch of the ConvMixer that takes colour images; grey ones are for the CNN of Table 6.
    """

    epochs: int
    batch_size: int
    lr: float
    weight_decay: float
    dropout: float
    passes: int
    mixer: Sequence[int] = ()


@dataclass(frozen=True)
class Learner:
    """A task, the training of its network, and the seed that fixes initialisation and batches of each round."""

    task: Task
    training: Training
    seed: int

    def network(self, round: int) -> nn.Module:
        """Return an untrained network; all methods of a seed begin a round with the same weights."""
        shape = self.task.x.shape[1:]
        weights = int(rng(self.seed, "active", "network", round).integers(2**31))
        classes, dropout = len(self.task.classes), self.training.dropout
        if shape[2] == 1:
            return DigitCNN(classes, dropout, shape, weights)
        dim, depth, kernel, patch = self.training.mixer
        return ConvMixer(classes, dim, depth, kernel, patch, dropout, seed=weights)

    def train(self, labelled: np.ndarray, round: int) -> Trained:
        """Train all layers of a new network on the points at the positions `labelled`.

        Raises
        ------
        ParameterError, ModelError
            As `augury.training.loop.fit`.
        """
        how = self.training
        if not how.weight_decay > 0:
            raise ParameterError(f"weight_decay must be positive, or the Hessian is singular; it is {how.weight_decay}")
        model = self.network(round)
        fit(
            model, self.task.x[labelled], self.task.y[labelled], epochs=how.epochs, batch_size=how.batch_size,
            lr=how.lr, weight_decay=how.weight_decay, optimiser="keras-adam",
            generator=torch_generator(self.seed, "active", "batches", round), device=device.pick(),
        )  # fmt: skip
        return Trained(self, model, len(labelled))


@dataclass(frozen=True)
class Trained:
    """A trained network; see `scores.Model`."""

    learner: Learner
    model: nn.Module
    n: int

    def last(self) -> Softmax:
        """Return the last layer as a multinomial regression with the penalty of its training.

        It is at no optimum: training stopped, and dropout moved what it saw.
        """
        head = self.model.head
        assert isinstance(head, nn.Linear)
        theta = torch.cat([head.weight, head.bias[:, None]], dim=1).detach().cpu().double().numpy()
        return Softmax(theta, 1 / (self.learner.training.weight_decay * self.n))

    def features(self, points: np.ndarray) -> np.ndarray:
        """Return what enters the last layer, without dropout: float64 of shape (m, p)."""
        return extract(self.model, self.learner.task.x[points]).astype(np.float64)

    def dropped(self, points: np.ndarray, generator: np.random.Generator) -> np.ndarray:
        """Return log probabilities under dropout masks: shape (passes, m, K)."""
        masks = torch.Generator().manual_seed(int(generator.integers(2**62)))
        x = torch.from_numpy(self.learner.task.x[points])
        return dropout_log_probabilities(self.model, x, self.learner.training.passes, masks)

    def accuracy(self) -> float:
        """Return the share of the test images that are classified rightly."""
        task = self.learner.task
        return evaluate(self.model, task.x_test, task.y_test, device=device.pick())["validation_accuracy"]


def experiment(
    dataset: str, task: str, method: str, seed: int, rounds: int, initial: int, pool: int, acquisition: int,
    candidates: str, validation: int, test_points: int, share: float, epochs: int, batch_size: int, lr: float,
    weight_decay: float, dropout: float, passes: int, mixer: Sequence[int] = (),
) -> list[Row]:  # fmt: skip
    """Run active learning on images by one method under one seed.

    Parameters
    ----------
    dataset, task, seed, test_points
        See `pictures.load_task`.
    method : str
        One of `scores.METHODS`.
    rounds, initial, pool, acquisition, candidates, validation
        See `rounds.Sizes`.
    share : float
        Of the candidates that "FI subsampled" scores.
    epochs, batch_size, lr, weight_decay, dropout, passes, mixer
        See `Training`.

    Returns
    -------
    list of dict
        As `rounds.active_learning`.

    Raises
    ------
    ParameterError
        If a setting is out of range or the pools are too small.
    DataError
        If a label is none of the classes.
    ModelError
        If a training or a score fails.
    """
    check_method(method)
    sizes = Sizes(rounds, initial, pool, acquisition, candidates, validation)
    found = load_task(dataset, task, seed, test_points)
    begin = start(found.y, len(found.classes), sizes, seed)
    learner = Learner(found, Training(epochs, batch_size, lr, weight_decay, dropout, passes, mixer), seed)
    return active_learning(method, learner.train, found.y, begin, sizes, seed, share)


def opening(
    dataset: str, task: str, seed: int, sizes: Sizes, training: Training
) -> tuple[Task, Start, Trained, np.ndarray]:
    """Return the task, where a run on it starts, the network trained there, and the candidates of its first round.

    Raises
    ------
    ParameterError, DataError, ModelError
        As `experiment`.
    """
    found = load_task(dataset, task, seed)
    begin = start(found.y, len(found.classes), sizes, seed)
    model = Learner(found, training, seed).train(begin.labelled, 0)
    return found, begin, model, drawn(begin.free(), sizes.pool, seed, 1)


def first_round(
    dataset: str, task: str, seed: int, initial: int, pool: int, validation: int, shown: int, epochs: int,
    batch_size: int, lr: float, weight_decay: float, dropout: float, mixer: Sequence[int] = (),
) -> list[Row]:  # fmt: skip
    """Return the images of highest FI^active in the first round, with their predicted probabilities (Figure 5).

    Returns
    -------
    list of dict
        A row an image and class: place (0 for the highest FI), FI, label and class (names), probability, pixels (the
        uint8 values as hexadecimal digits), and height, width and channels.

    Raises
    ------
    ParameterError, DataError, ModelError
        As `experiment`.
    """
    sizes = Sizes(1, initial, pool, shown, "redrawn", validation)
    training = Training(epochs, batch_size, lr, weight_decay, dropout, 1, mixer)
    found, begin, model, candidates = opening(dataset, task, seed, sizes, training)
    scores = fi(Known(model, found.y, begin.labelled, begin.validation, seed, 1, 1.0), candidates)
    best = top(scores, shown)
    probabilities = np.exp(log_probabilities(model, candidates[best]))
    height, width, channels = found.x.shape[1:]
    rows: list[Row] = []
    for place, (where, own) in enumerate(zip(best, probabilities, strict=True)):
        image = candidates[where]
        about = {"place": place, "FI": float(scores[where]), "label": found.classes[found.y[image]]}
        about |= {"pixels": found.x[image].tobytes().hex(), "height": height, "width": width, "channels": channels}
        rows += [about | {"class": c, "probability": float(p)} for c, p in zip(found.classes, own, strict=True)]
    return rows
