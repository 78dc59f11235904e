"""LeNet training: the lowered convolutions against plain PyTorch, images a second on one core at equal losses."""

import statistics
import time

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from augury.models.lenet import LeNet, fit_lenet


class Plain(nn.Module):
    """The same network from torch's own layers."""

    def __init__(self, like: LeNet) -> None:
        super().__init__()
        self.convolutions = nn.Sequential(
            like.conv1, nn.ReLU(), nn.MaxPool2d(2), like.conv2, nn.ReLU(), nn.MaxPool2d(2), nn.Flatten()
        )
        self.dense = nn.Sequential(like.dense1, nn.ReLU(), like.dense2, nn.ReLU(), like.head)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.dense(self.convolutions(x))


def train_plainly(x: torch.Tensor, y: torch.Tensor, epochs: int, layout: torch.memory_format) -> list[float]:
    model, losses = Plain(LeNet()).to(memory_format=layout), []
    optimiser = torch.optim.Adam(model.parameters(), lr=1e-3, eps=1e-7)
    generator, pixels = torch.Generator().manual_seed(0), x[..., 0].unsqueeze(1).float() / 255
    # one channel leaves the layout open: a copy with strides of its own settles it
    pixels = torch.empty(pixels.shape, memory_format=layout).copy_(pixels)
    for _ in range(epochs):
        total = 0.0
        for batch in torch.randperm(len(x), generator=generator).split(512):
            optimiser.zero_grad()
            loss = F.cross_entropy(model(pixels[batch]), y[batch])
            loss.backward()
            optimiser.step()
            total += loss.item() * len(batch)
        losses.append(total / len(x))
    return losses


def test_against_plain_pytorch(capsys):
    torch.set_num_threads(1)
    from augury.subsampling.task import binary_task

    task = binary_task("mnist", (3, 8), 1000, 0, "translate", "cardinal")
    x, y, _ = (torch.from_numpy(a) for a in task.training_set(torch.arange(1000).numpy()))
    layouts = {"channels first": torch.contiguous_format, "channels last": torch.channels_last}
    rates: dict[str, list[float]] = {name: [] for name in ("ours", *layouts)}
    for repeat in range(6):
        start = time.perf_counter()
        ours = fit_lenet(LeNet(), x, y, epochs=2, generator=torch.Generator().manual_seed(0))
        rates["ours"].append(2 * len(x) / (time.perf_counter() - start))
        for name, layout in layouts.items():
            start = time.perf_counter()
            plain = train_plainly(x, y, 2, layout)
            rates[name].append(2 * len(x) / (time.perf_counter() - start))
            assert ours == pytest.approx(plain, rel=1e-4)
        if repeat == 0:
            rates = {name: [] for name in rates}  # the first round warms up
    with capsys.disabled():
        print(f"\nLeNet training, one thread, median of 5: ours {statistics.median(rates['ours']):.0f} images/s")
        for name in layouts:
            ratios = [a / b for a, b in zip(rates["ours"], rates[name], strict=True)]
            print(f"  plain PyTorch, {name}: {statistics.median(rates[name]):.0f} images/s;", end=" ")
            print(f"ours {statistics.median(ratios):.2f} times that")
