"""One of many replicas as a network of its own."""

from __future__ import annotations

from torch import nn

from augury.models.mlp import MLP


def alone(model: MLP, r: int) -> nn.Sequential:
    """Return a copy of replica r of an MLP out of torch's own layers: (m, k) -> (m, outputs)."""
    layers: list[nn.Module] = []
    for weight, bias in zip(model.weights, model.biases, strict=True):
        layer = nn.Linear(weight.shape[2], weight.shape[1], dtype=weight.dtype)
        layer.weight.data, layer.bias.data = weight[r].detach().clone(), bias[r, :, 0].detach().clone()
        layers += [nn.ReLU(), layer] if layers else [layer]
    return nn.Sequential(*layers)
