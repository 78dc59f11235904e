"""Multilayer perceptrons of one shape, many replicas in one module."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from augury.errors import ModelError
from augury.seeding import torch_generator


class MLP(nn.Module):
    """R perceptrons with ReLU, evaluated together: every parameter and output has the replicas as its first axis.

    Weights are drawn as Glorot and Bengio (2010) propose, uniformly with variance 2 / (fan in + fan out); biases are 0.

    Parameters
    ----------
    n_features, n_outputs : int
    hidden_layers : int
        0 gives affine models.
    seeds : sequence of int, length R
        Of each replica's initialisation: equal seeds, equal weights.
    width : int
        Of every hidden layer.

    Raises
    ------
    ModelError
        If a size is out of range.
    """

    def __init__(
        self, n_features: int, n_outputs: int, hidden_layers: int, seeds: Sequence[int], width: int = 100
    ) -> None:
        super().__init__()
        if min(n_features, n_outputs, width, len(seeds)) < 1 or hidden_layers < 0:
            raise ModelError(
                f"an MLP needs at least one feature, output, unit and replica and no negative number of layers, not "
                f"{n_features}, {n_outputs}, {width}, {len(seeds)} and {hidden_layers}"
            )
        sizes = [n_features, *[width] * hidden_layers, n_outputs]
        drawn = {seed: _glorot(sizes, seed) for seed in dict.fromkeys(seeds)}
        self.weights = nn.ParameterList(
            torch.stack([drawn[seed][layer] for seed in seeds]) for layer in range(len(sizes) - 1)
        )  # (R, out, in) each
        self.biases = nn.ParameterList(torch.zeros(len(seeds), size, 1) for size in sizes[1:])

    def first(self, x: Tensor) -> Tensor:
        """Return the first affine map of x, of shape (s, k) or (R, s, k): shape (R, s, width), or (R, s, outputs)."""
        return self._affine(0, x)

    def rest(self, z: Tensor) -> Tensor:
        """Return the outputs, of shape (R, s, outputs), from what `first` gives."""
        for layer in range(1, len(self.weights)):
            z = self._affine(layer, torch.relu(z))
        return z

    def forward(self, x: Tensor) -> Tensor:
        """Return the outputs for x, of shape (s, k), or of shape (R, s, k) with rows for each: (R, s, outputs)."""
        return self.rest(self.first(x))

    def _affine(self, layer: int, x: Tensor) -> Tensor:
        weight = self.weights[layer]
        x = x if x.dim() == 3 else x.expand(len(weight), -1, -1)
        # Samples as columns: products with few outputs, and their weights' gradients, are then several times as fast.
        return torch.baddbmm(self.biases[layer], weight, x.mT).mT


def _glorot(sizes: Sequence[int], seed: int) -> list[Tensor]:
    generator = torch_generator(seed, "mlp")
    return [
        nn.init.xavier_uniform_(torch.empty(fan_out, fan_in), generator=generator)
        for fan_in, fan_out in zip(sizes[:-1], sizes[1:], strict=True)
    ]
