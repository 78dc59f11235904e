"""Explicit generators: every random thing is drawn from a seed and a path of names, never from a global state."""

from __future__ import annotations

import hashlib

import numpy as np
import torch


def entropy(seed: int, *path: str | int) -> list[int]:
    """Return the words that seed the stream named `path` under `seed`; other paths give independent streams."""
    words = [int(seed)]
    for part in path:
        digest = hashlib.sha256(f"{type(part).__name__}:{part}".encode()).digest()
        words.append(int.from_bytes(digest[:8], "little"))
    return words


def rng(seed: int, *path: str | int) -> np.random.Generator:
    """Return NumPy's generator for the stream `path` under `seed`."""
    return np.random.default_rng(np.random.SeedSequence(entropy(seed, *path)))


def torch_generator(seed: int, *path: str | int, device: str | torch.device = "cpu") -> torch.Generator:
    """Return torch's generator for the stream `path` under `seed`, on `device`."""
    state = np.random.SeedSequence(entropy(seed, *path)).generate_state(2, np.uint32)
    return torch.Generator(device=device).manual_seed(int(state[0]) << 32 | int(state[1]))
