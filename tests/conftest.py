"""Every test runs on one thread, without a display, and away from the user's own data, cells and figures."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings

if TYPE_CHECKING:
    from torch import nn

    from augury.models.mlp import MLP

# Read when torch and NumPy are first imported, so before any fixture.
os.environ.update(OMP_NUM_THREADS="1", MKL_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1", MPLBACKEND="Agg")

# The gate draws the same examples each time; `pytest --hypothesis-profile hunt` looks for new ones.
settings.register_profile("gate", derandomize=True, deadline=None)
settings.register_profile("hunt", max_examples=3000, deadline=None)
settings.load_profile("gate")


@pytest.fixture(autouse=True)
def own_folders(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path_factory.mktemp("augury")
    for name in ("CACHE", "DATA", "FIGURES"):
        monkeypatch.setenv(f"AUGURY_{name}", str(folder / name.lower()))


@pytest.fixture
def alone() -> Callable[[MLP, int], nn.Sequential]:
    """Takes replica `r` of an MLP and gives the same network out of torch's own layers."""
    from torch import nn

    def take(model: MLP, r: int) -> nn.Sequential:
        layers: list[nn.Module] = []
        for weight, bias in zip(model.weights, model.biases, strict=True):
            layer = nn.Linear(weight.shape[2], weight.shape[1], dtype=weight.dtype)
            layer.weight.data, layer.bias.data = weight[r].detach().clone(), bias[r, :, 0].detach().clone()
            layers += [nn.ReLU(), layer] if layers else [layer]
        return nn.Sequential(*layers)

    return take
