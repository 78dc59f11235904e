"""The convolutional network for handwritten digits and letters (Table 6 of the influence measure paper)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from augury.errors import ModelError


class DigitCNN(nn.Module):
    """Two 3 x 3 convolutions with stride 2, ReLU each, dropout, a dense layer of 256 with ReLU, the classes.

    The table gives layers and output dimensions, (32, 14, 14) and (64, 7, 7) with padding 1 for images of 28 x 28.
    3 x 3 kernels with stride 2 have them; kernel, dropout rate and initialisation (torch's) are not given.

    Parameters
    ----------
    classes : int
    dropout : float
        Rate in [0, 1).
    shape : tuple of int
        Height, width and channels of an image.
    seed : int
        Of the initialisation.

    Raises
    ------
    ModelError
        If a size is below 1 or the rate is out of range.
    """

    def __init__(
        self, classes: int, dropout: float = 0.5, shape: tuple[int, int, int] = (28, 28, 1), seed: int = 0
    ) -> None:
        super().__init__()
        height, width, channels = shape
        if min(classes, *shape) < 1 or not 0 <= dropout < 1:
            raise ModelError(
                f"DigitCNN takes sizes of at least 1 and a rate in [0, 1), not {classes}, {shape} and {dropout}"
            )
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.conv1 = nn.Conv2d(channels, 32, 3, stride=2, padding=1)
            self.conv2 = nn.Conv2d(32, 64, 3, stride=2, padding=1)
            self.dropout = nn.Dropout(dropout)
            self.dense = nn.Linear(64 * -(-height // 4) * -(-width // 4), 256)
            self.head = nn.Linear(256, classes)

    def features(self, x: Tensor) -> Tensor:
        """Return the last hidden layer's activations of images (n, H, W, C), uint8 or floats in [0, 255]: (n, 256)."""
        # an (n, H, W, C) tensor seen as (n, C, H, W) already lies channels-last in memory
        z = (x.to(self.conv1.weight.dtype) / 255).permute(0, 3, 1, 2)
        z = F.relu(self.conv2(F.relu(self.conv1(z)))).flatten(1)
        return F.relu(self.dense(self.dropout(z)))

    def forward(self, x: Tensor) -> Tensor:
        """Return the logits of images of shape (n, H, W, C), uint8 or floats in [0, 255]: (n, classes)."""
        return self.head(self.features(x))
