"""ConvMixer (Trockman & Kolter, 2023, "Patches are all you need?"), the CIFAR-10 network of Section 5.2."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from augury.errors import ModelError


class Mixer(nn.Module):
    """One layer: h + BN(GELU(depthwise(h))) mixes positions, then BN(GELU(pointwise(.))) mixes channels.

    Parameters
    ----------
    dim : int
        Channels.
    kernel : int
        Side of the depthwise kernel.
    """

    def __init__(self, dim: int, kernel: int) -> None:
        super().__init__()
        self.depthwise = nn.Conv2d(dim, dim, kernel, groups=dim, padding="same")
        self.norm1 = nn.BatchNorm2d(dim)
        self.pointwise = nn.Conv2d(dim, dim, 1)
        self.norm2 = nn.BatchNorm2d(dim)

    def forward(self, h: Tensor) -> Tensor:
        """Return the layer's output for h of shape (n, dim, H, W): the same shape."""
        h = h + self.norm1(F.gelu(self.depthwise(h)))
        return self.norm2(F.gelu(self.pointwise(h)))


class ConvMixer(nn.Module):
    """Patch embedding, GELU, batch normalisation, `depth` mixers, mean over positions, dropout, linear classes.

    The influence measure paper gives neither sizes nor dropout. Dropout before the classes is added to the published
    network so that BALD can draw masks; at rate 0 it is the published one.

    Parameters
    ----------
    classes : int
    dim : int
        Channels of every layer, the number of features.
    depth : int
        Number of mixers.
    kernel : int
        Side of the depthwise kernels.
    patch : int
        Side of a patch; must divide the sides of the images.
    dropout : float
        Rate in [0, 1).
    channels : int
        Of an image.
    seed : int
        Of the initialisation, torch's.

    Raises
    ------
    ModelError
        If a size is below 1 or the rate is out of range.
    """

    def __init__(
        self,
        classes: int,
        dim: int = 256,
        depth: int = 8,
        kernel: int = 5,
        patch: int = 2,
        dropout: float = 0.0,
        channels: int = 3,
        seed: int = 0,
    ) -> None:
        super().__init__()
        sizes = {
            "classes": classes, "dim": dim, "depth": depth, "kernel": kernel, "patch": patch, "channels": channels
        }  # fmt: skip
        if min(sizes.values()) < 1 or not 0 <= dropout < 1:
            raise ModelError(f"ConvMixer takes sizes of at least 1 and a rate in [0, 1), not {sizes} and {dropout}")
        self.patch = patch
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.embedding = nn.Conv2d(channels, dim, patch, stride=patch)
            self.norm = nn.BatchNorm2d(dim)
            self.mixers = nn.Sequential(*(Mixer(dim, kernel) for _ in range(depth)))
            self.dropout = nn.Dropout(dropout)
            self.head = nn.Linear(dim, classes)

    def features(self, x: Tensor) -> Tensor:
        """Return what enters the last layer for images (n, H, W, C), uint8 or floats in [0, 255]: shape (n, dim).

        Raises
        ------
        ModelError
            If the images cannot be cut into patches.
        """
        if x.shape[1] % self.patch or x.shape[2] % self.patch:
            raise ModelError(f"images of {x.shape[1]} x {x.shape[2]} cannot be cut into patches of side {self.patch}")
        # an (n, H, W, C) tensor seen as (n, C, H, W) already lies channels-last in memory
        z = (x.to(self.head.weight.dtype) / 255).permute(0, 3, 1, 2)
        return self.dropout(self.mixers(self.norm(F.gelu(self.embedding(z)))).mean((2, 3)))

    def forward(self, x: Tensor) -> Tensor:
        """Return the logits of images of shape (n, H, W, C), uint8 or floats in [0, 255]: (n, classes)."""
        return self.head(self.features(x))
