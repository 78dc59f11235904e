"""LeNet (LeCun et al., 1998) with ReLU and max-pooling, as Kuchnik & Smith use it for MNIST (Appendix B)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from augury.errors import ModelError
from augury.models.lowered import conv_relu_pool, differentiable_tile, tile, toeplitz_index
from augury.seeding import torch_generator

KERNEL, TILE_1, TILE_2 = 5, 4, 2  # tile sides: the fastest of those tried on an AVX2 core


class LeNet(nn.Module):
    """Convolutions 6@5x5 and 16@5x5, each with ReLU and 2 x 2 max-pooling, then dense layers 120, 84 and the classes.

    Parameters
    ----------
    n_classes : int
    shape : tuple of int
        Height, width and channels of an image; height and width must be 4 more than a multiple of 8.
    initialisation : {"released", "torch"}
        "released": every weight from N(0, 0.05^2), every bias zero, as in the paper's released code; "torch": torch's
        default.
    seed : int
        Of the initialisation.
    """

    def __init__(
        self,
        n_classes: int = 2,
        shape: tuple[int, int, int] = (28, 28, 1),
        initialisation: str = "released",
        seed: int = 42,
    ) -> None:
        super().__init__()
        height, width, channels = shape
        if (height - 4) % 8 or (width - 4) % 8:
            raise ModelError(
                f"LeNet takes images whose sides are 4 more than a multiple of 8 (28 x 28, say), not {shape}"
            )
        self.shape = shape
        flat = 16 * ((height - 4) // 2 - 4) // 2 * (((width - 4) // 2 - 4) // 2)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.conv1 = nn.Conv2d(channels, 6, KERNEL)
            self.conv2 = nn.Conv2d(6, 16, KERNEL)
            self.dense1 = nn.Linear(flat, 120)
            self.dense2 = nn.Linear(120, 84)
            self.head = nn.Linear(84, n_classes)
        if initialisation == "released":
            generator = torch_generator(seed, "lenet")
            for parameter in self.parameters():
                nn.init.normal_(parameter, 0, 0.05, generator) if parameter.dim() > 1 else nn.init.zeros_(parameter)
        elif initialisation != "torch":
            raise ModelError(f"initialisation is 'released' or 'torch', not {initialisation!r}")
        self.index1: Tensor
        self.index2: Tensor
        self.register_buffer("index1", toeplitz_index(channels, 6, KERNEL, TILE_1), persistent=False)
        self.register_buffer("index2", toeplitz_index(6, 16, KERNEL, TILE_2), persistent=False)

    def prepare(self, x: Tensor) -> Tensor:
        """Bring uint8 images of shape (n, H, W, C) into the layout that `features` reads, n first.

        On a CPU these are the first layer's tiles, which need to be cut only once for many epochs.
        """
        if x.device.type != "cpu":
            return x.permute(0, 3, 1, 2)
        return tile(x, KERNEL, TILE_1).view(len(x), -1)

    def features(self, prepared: Tensor) -> Tensor:
        """Return the penultimate layer's 84 activations of images from `prepare`, of shape (n, 84)."""
        x = prepared.to(self.conv1.weight.dtype) / 255
        flat = self._lowered(x) if x.device.type == "cpu" else self._direct(x)
        return F.relu(self.dense2(F.relu(self.dense1(flat))))

    def forward(self, prepared: Tensor) -> Tensor:
        """Return the logits of images from `prepare`, of shape (n, classes)."""
        return self.head(self.features(prepared))

    def _direct(self, x: Tensor) -> Tensor:
        # pooling before the ReLU gives the same values and costs a quarter of it
        x = F.relu(F.max_pool2d(self.conv1(x), 2))
        return F.relu(F.max_pool2d(self.conv2(x), 2)).flatten(1)

    def _lowered(self, x: Tensor) -> Tensor:
        n, (height, width, channels) = len(x), self.shape
        patches = x.view(-1, (TILE_1 + KERNEL - 1) ** 2 * channels)
        z = conv_relu_pool(patches, self.conv1.weight, _bias(self.conv1), self.index1, TILE_1)
        z = _untile(z, n, (height - 4) // TILE_1, (width - 4) // TILE_1)
        patches = differentiable_tile(z, KERNEL, TILE_2)
        z = conv_relu_pool(patches, self.conv2.weight, _bias(self.conv2), self.index2, TILE_2)
        z = _untile(z, n, (z.shape[0] // n) // ((width - 12) // 2 // TILE_2), (width - 12) // 2 // TILE_2)
        return z.permute(0, 3, 1, 2).flatten(1)  # channels first, as the direct path flattens


def _bias(layer: nn.Conv2d) -> Tensor:
    assert layer.bias is not None  # LeNet's layers have one
    return layer.bias


def _untile(z: Tensor, n: int, rows: int, columns: int) -> Tensor:
    """Lay tiles of shape (n * rows * columns, a, b, C) side by side: (n, rows * a, columns * b, C)."""
    _, a, b, channels = z.shape
    z = z.view(n, rows, columns, a, b, channels).permute(0, 1, 3, 2, 4, 5)
    return z.reshape(n, rows * a, columns * b, channels)


def fit_lenet(
    model: LeNet,
    x: Tensor,
    y: Tensor,
    *,
    epochs: int = 40,
    batch_size: int = 512,
    lr: float = 1e-3,
    generator: torch.Generator,
    micro_batch: int = 256,
) -> list[float]:
    """Train by Adam on the mean cross-entropy of shuffled batches (Kuchnik & Smith, Appendix B).

    Parameters
    ----------
    model : LeNet
    x : Tensor of uint8, shape (n, H, W, C)
    y : Tensor of int64, shape (n,)
    epochs, batch_size, lr
        The paper: 40 to 50 epochs, batches of 512, Adam's defaults (Keras: lr 1e-3, epsilon 1e-7).
    generator : torch.Generator
        Of the shuffling.
    micro_batch : int
        Images a forward pass; gradients of a batch add up over them, so it alters speed (the cache), not the method.

    Returns
    -------
    list of float
        Mean loss of every epoch.
    """
    prepared, n = model.prepare(x), len(x)
    optimiser = torch.optim.Adam(model.parameters(), lr=lr, eps=1e-7, fused=True)
    losses = []
    for _ in range(epochs):
        order = torch.randperm(n, generator=generator, device=generator.device).to(x.device)
        total = model.head.weight.new_zeros(())
        for start in range(0, n, batch_size):
            batch = order[start : start + batch_size]
            optimiser.zero_grad()
            for part in batch.split(micro_batch):
                loss = F.cross_entropy(model(prepared[part]), y[part], reduction="sum")
                (loss / len(batch)).backward()
                total += loss.detach()
            optimiser.step()
        losses.append(float(total) / n)
    return losses


@torch.no_grad()
def lenet_features(model: LeNet, x: Tensor, batch_size: int = 512) -> Tensor:
    """Return the 84 features of uint8 images of shape (n, H, W, C), computed batch by batch: shape (n, 84)."""
    return torch.cat([model.features(model.prepare(part)) for part in x.split(batch_size)])
