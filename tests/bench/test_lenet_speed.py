"""LeNet training against plain PyTorch at equal losses, images a second on one thread."""

import statistics
import time
from collections.abc import Callable
from functools import partial

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from augury.models.lenet import LeNet
from augury.subsampling.task import binary_task
from augury.training.loop import fit

EPOCHS, REPEATS = 2, 7


class Plain(nn.Module):
    """The same network from torch's own layers, in the textbook's order."""

    def __init__(self, like: LeNet) -> None:
        super().__init__()
        self.convolutions = nn.Sequential(
            like.conv1, nn.ReLU(), nn.MaxPool2d(2), like.conv2, nn.ReLU(), nn.MaxPool2d(2), nn.Flatten()
        )
        self.dense = nn.Sequential(like.dense1, nn.ReLU(), like.dense2, nn.ReLU(), like.head)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.dense(self.convolutions(x))


def train_plainly(x: torch.Tensor, y: torch.Tensor, layout: torch.memory_format) -> list[float]:
    model, losses = Plain(LeNet()).to(memory_format=layout), []
    optimiser = torch.optim.Adam(model.parameters(), lr=1e-3, eps=1e-7)
    generator, pixels = torch.Generator().manual_seed(0), x[..., 0].unsqueeze(1).float() / 255
    # one channel leaves the layout open: a copy with strides of its own settles it
    pixels = torch.empty(pixels.shape, memory_format=layout).copy_(pixels)
    for _ in range(EPOCHS):
        total = 0.0
        order = torch.randperm(len(x), generator=generator)
        torch.randint(2**62, (), generator=generator)  # fit draws a seed for dropout after each shuffle
        for batch in order.split(512):
            optimiser.zero_grad()
            loss = F.cross_entropy(model(pixels[batch]), y[batch])
            loss.backward()
            optimiser.step()
            total += loss.item() * len(batch)
        losses.append(total / len(x))
    return losses


LAYOUTS = {"channels first": torch.contiguous_format, "channels last": torch.channels_last}


def timed(train: Callable[[], list[float]]) -> tuple[float, list[float]]:
    start = time.perf_counter()
    losses = train()
    return time.perf_counter() - start, losses


def test_against_plain_pytorch(capsys):
    torch.set_num_threads(1)
    task = binary_task("mnist", (3, 8), 1000, 0, "translate", "cardinal")
    x, y, _ = (torch.from_numpy(a) for a in task.training_set(torch.arange(1000).numpy()))
    rates: dict[str, list[float]] = {name: [] for name in ("ours", *LAYOUTS)}

    def train_ours() -> list[float]:
        settings = {"epochs": EPOCHS, "batch_size": 512, "lr": 1e-3, "optimiser": "keras-adam"}
        return [row["loss"] for row in fit(LeNet(), x, y, generator=torch.Generator().manual_seed(0), **settings)]

    for repeat in range(REPEATS + 1):
        seconds, ours = timed(train_ours)
        found = {"ours": EPOCHS * len(x) / seconds}
        for name, layout in LAYOUTS.items():
            seconds, losses = timed(partial(train_plainly, x, y, layout))
            assert losses == pytest.approx(ours, rel=1e-4)
            found[name] = EPOCHS * len(x) / seconds
        for name in rates if repeat else ():  # the first round warms up
            rates[name].append(found[name])
    with capsys.disabled():
        print(
            f"\nLeNet training, one thread, median of {REPEATS}: ours {statistics.median(rates['ours']):.0f} images/s"
        )
        for name in LAYOUTS:
            ratios = [a / b for a, b in zip(rates["ours"], rates[name], strict=True)]
            print(f"  plain PyTorch, {name}: {statistics.median(rates[name]):.0f} images/s;", end=" ")
            print(f"ours {statistics.median(ratios):.2f} times that")
