"""Pre-activation residual networks for small images: ResNet-v2 (He et al., 2016, "Identity mappings")."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from augury.errors import ModelError
from augury.seeding import torch_generator


class Pointwise(nn.Conv2d):
    """1 x 1 convolution that strides by leaving positions out first.

    The same function as a strided convolution, whose backward pass in oneDNN writes past its buffer on an AVX2 core
    when fewer than 8 channels lie channels-last (oneDNN issue 6035).
    """

    def __init__(self, width_in: int, width_out: int, step: int = 1) -> None:
        super().__init__(width_in, width_out, 1, bias=False)
        self.step = step

    def forward(self, x: Tensor) -> Tensor:
        """Return (n, width_out, H / step, W / step) for x of shape (n, width_in, H, W)."""
        return super().forward(x[:, :, :: self.step, :: self.step] if self.step > 1 else x)


class Unit(nn.Module):
    """Residual unit h + f(relu(bn(h))): nothing but additions lies on the way from a unit's output to the next.

    f is two 3 x 3 convolutions, or with `middle` a bottleneck 1 x 1, 3 x 3, 1 x 1 of that width, each after the first
    again behind batch normalisation and ReLU. Where width or side change, h is projected from relu(bn(h)) by a 1 x 1
    convolution.

    Parameters
    ----------
    width_in, width_out : int
        Channels.
    stride : int
        Of the first convolution and of the projection.
    middle : int, optional
        Width of a bottleneck.
    """

    def __init__(self, width_in: int, width_out: int, stride: int = 1, middle: int | None = None) -> None:
        super().__init__()
        if middle is None:
            first: nn.Module = nn.Conv2d(width_in, width_out, 3, stride, padding=1, bias=False)
            widths: tuple[int, ...] = (width_in, width_out)
            rest = [nn.Conv2d(width_out, width_out, 3, padding=1, bias=False)]
        else:
            first, widths = Pointwise(width_in, middle, stride), (width_in, middle, middle)
            rest = [nn.Conv2d(middle, middle, 3, padding=1, bias=False), Pointwise(middle, width_out)]
        self.norms = nn.ModuleList(nn.BatchNorm2d(width) for width in widths)
        self.convs = nn.ModuleList([first, *rest])
        straight = width_in == width_out and stride == 1
        self.projection = None if straight else Pointwise(width_in, width_out, stride)

    def forward(self, h: Tensor) -> Tensor:
        """Return the unit's output for h of shape (n, width_in, H, W): (n, width_out, H / stride, W / stride)."""
        z = h
        for i, (norm, conv) in enumerate(zip(self.norms, self.convs, strict=True)):
            z = F.relu(norm(z), inplace=True)
            if i == 0 and self.projection is not None:
                h = self.projection(z)
            z = conv(z)
        return z + h


class ResNetV2(nn.Module):
    """Stem convolution, stages of residual units, batch normalisation, ReLU, mean over positions, linear classes.

    Images enter as they are stored, uint8 of shape (n, H, W, C), and are standardised channel by channel with the
    buffers `mean` and `std`, which `calibrate` sets.

    Parameters
    ----------
    n_classes : int
    channels : int
        Of an image.
    units : sequence of int
        Number of residual units of every stage; every stage but the first halves the side of the image.
    widths : sequence of int
        Channels every stage puts out; the last is the number of features.
    middles : sequence of int, optional
        Widths of the bottlenecks of every stage; units of two 3 x 3 convolutions without.
    stem : tuple of three int
        Channels, side of the kernel and stride of the first convolution.
    seed : int
        Of the initialisation: He et al. (2015), normal, by fan-in.

    Raises
    ------
    ModelError
        If the stages are not described by equally many numbers.
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self,
        n_classes: int = 10,
        channels: int = 3,
        *,
        units: Sequence[int],
        widths: Sequence[int],
        middles: Sequence[int] | None = None,
        stem: tuple[int, int, int] = (16, 3, 1),
        seed: int = 0,
    ) -> None:
        super().__init__()
        bottlenecks = [None] * len(units) if middles is None else list(middles)
        if not len(units) == len(widths) == len(bottlenecks) > 0:
            raise ModelError(f"units {units}, widths {widths} and middles {middles} must describe the same stages")
        self.register_buffer("mean", torch.full((channels,), 127.5))
        self.register_buffer("std", torch.full((channels,), 127.5))
        width, kernel, stride = stem
        with torch.random.fork_rng(devices=[]):  # torch's own initialisation, replaced below, draws globally
            self.stem = nn.Conv2d(channels, width, kernel, stride, padding=(kernel - 1) // 2, bias=False)
            blocks = []
            for stage, (count, out, middle) in enumerate(zip(units, widths, bottlenecks, strict=True)):
                for unit in range(count):
                    blocks.append(Unit(width, out, 2 if stage > 0 and unit == 0 else 1, middle))
                    width = out
            self.blocks = nn.Sequential(*blocks)
            self.norm = nn.BatchNorm2d(width)
            self.head = nn.Linear(width, n_classes)
        self.n_features = width
        generator = torch_generator(seed, "resnet")
        for parameter in self.parameters():
            if parameter.dim() > 1:
                nn.init.kaiming_normal_(parameter, nonlinearity="relu", generator=generator)
        nn.init.zeros_(self.head.bias)

    @torch.no_grad()
    def calibrate(self, x: Tensor) -> None:
        """Take each channel's mean and standard deviation from training images of shape (n, H, W, C)."""
        sums, squares = torch.zeros(2, len(self.mean), dtype=torch.float64)
        for part in x.split(4096):
            values = part.cpu().double()
            sums += values.sum((0, 1, 2))
            squares += values.square().sum((0, 1, 2))
        mean = sums / x[..., 0].numel()
        self.mean.copy_(mean)
        self.std.copy_((squares / x[..., 0].numel() - mean**2).clamp_min(1).sqrt())  # a constant channel stays finite

    def features(self, x: Tensor) -> Tensor:
        """Return the pooled features of images of shape (n, H, W, C), uint8 or floats in [0, 255]: (n, n_features)."""
        # an (n, H, W, C) tensor seen as (n, C, H, W) already lies channels-last in memory
        h = ((x - self.mean) / self.std).permute(0, 3, 1, 2)
        h = self.blocks(self.stem(h))
        return F.relu(self.norm(h), inplace=True).mean((2, 3))

    def forward(self, x: Tensor) -> Tensor:
        """Return the logits of images of shape (n, H, W, C), uint8 or floats in [0, 255]: (n, n_classes)."""
        return self.head(self.features(x))


PRESETS: dict[str, dict[str, Any]] = {
    "small": {"units": (1, 1, 1), "widths": (24, 64, 128), "stem": (24, 4, 2)},
    # the network of paper 1's released code: a bottleneck takes the width of the stage before, the first 16
    "resnet56v2": {"units": (6, 6, 6), "widths": (64, 128, 256), "middles": (16, 64, 128), "stem": (16, 3, 1)},
    # the network its text names; a stem without the stride and pooling that ImageNet's large images need
    "resnet50v2": {
        "units": (3, 4, 6, 3),
        "widths": (256, 512, 1024, 2048),
        "middles": (64, 128, 256, 512),
        "stem": (64, 3, 1),
    },
}


def resnet(name: str, n_classes: int = 10, channels: int = 3, seed: int = 0) -> ResNetV2:
    """Return an untrained residual network.

    Parameters
    ----------
    name : {"small", "resnet56v2", "resnet50v2"}
        "small" is for one CPU core.
    n_classes, channels, seed
        As for `ResNetV2`.

    Raises
    ------
    ModelError
        If the name is unknown.
    """
    if name not in PRESETS:
        raise ModelError(f"there is no residual network {name!r}; choose from {', '.join(PRESETS)}")
    return ResNetV2(n_classes, channels, seed=seed, **PRESETS[name])
