"""LeNet (LeCun et al., 1998) with ReLU and max-pooling, as Kuchnik & Smith use it for MNIST (Appendix B)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from augury.errors import ModelError
from augury.seeding import torch_generator

KERNEL = 5


class LeNet(nn.Module):
    """Convolutions 6@5x5 and 16@5x5, each with ReLU and 2 x 2 max-pooling, then dense layers 120, 84 and the classes.

    Parameters
    ----------
    n_classes : int
    shape : tuple of int
        Height, width and channels of an image; height and width must be multiples of 4, at least 16.
    initialisation : {"released", "torch"}
        "released": every weight from N(0, 0.05^2), every bias zero, as in the paper's released code; "torch": torch's
        default.
    seed : int
        Of the initialisation.

    Raises
    ------
    ModelError
        If the shape or the initialisation is none of these.
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
        if height % 4 or width % 4 or min(height, width) < 16:
            raise ModelError(f"LeNet takes images whose sides are multiples of 4, at least 16, not {shape}")
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.conv1 = nn.Conv2d(channels, 6, KERNEL)
            self.conv2 = nn.Conv2d(6, 16, KERNEL)
            self.dense1 = nn.Linear(16 * (height // 4 - 3) * (width // 4 - 3), 120)
            self.dense2 = nn.Linear(120, 84)
            self.head = nn.Linear(84, n_classes)
        if initialisation == "released":
            generator = torch_generator(seed, "lenet")
            for parameter in self.parameters():
                nn.init.normal_(parameter, 0, 0.05, generator) if parameter.dim() > 1 else nn.init.zeros_(parameter)
        elif initialisation != "torch":
            raise ModelError(f"initialisation is 'released' or 'torch', not {initialisation!r}")

    def features(self, x: Tensor) -> Tensor:
        """Return the penultimate layer's 84 activations of uint8 images of shape (n, H, W, C): shape (n, 84)."""
        z = x.permute(0, 3, 1, 2).to(self.conv1.weight.dtype, memory_format=torch.channels_last) / 255
        # pooling before the ReLU gives the same values and costs a quarter of it
        z = F.relu(F.max_pool2d(self.conv1(z), 2))
        z = F.relu(F.max_pool2d(self.conv2(z), 2)).flatten(1)
        return F.relu(self.dense2(F.relu(self.dense1(z))))

    def forward(self, x: Tensor) -> Tensor:
        """Return the logits of uint8 images of shape (n, H, W, C): shape (n, classes)."""
        return self.head(self.features(x))
