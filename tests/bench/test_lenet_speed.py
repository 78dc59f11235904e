"""LeNet training: the lowered convolutions against plain PyTorch, images a second on one core at equal losses."""

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


def train_plainly(x: torch.Tensor, y: torch.Tensor, epochs: int) -> list[float]:
    model, losses = Plain(LeNet()), []
    optimiser = torch.optim.Adam(model.parameters(), lr=1e-3, eps=1e-7)
    generator, pixels = torch.Generator().manual_seed(0), x.permute(0, 3, 1, 2).float() / 255
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
    ratios, n = [], 3 * len(x)
    train_plainly(x[:512], y[:512], 1)
    for _ in range(5):
        start = time.perf_counter()
        plain = train_plainly(x, y, 3)
        middle = time.perf_counter()
        ours = fit_lenet(LeNet(), x, y, epochs=3, generator=torch.Generator().manual_seed(0))
        end = time.perf_counter()
        ratios.append(((middle - start) / (end - middle), n / (end - middle)))
    assert ours == pytest.approx(plain, rel=1e-4)
    ratio, rate = sorted(ratios)[2]
    with capsys.disabled():
        print(f"\nLeNet training: {rate:.0f} images/s, {ratio:.2f} times plain PyTorch (median of 5 pairs, one thread)")
