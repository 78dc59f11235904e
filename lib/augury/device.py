"""Where arithmetic runs: the device, its threads and its precision."""

from __future__ import annotations

import torch

from augury.errors import ParameterError


def pick(name: str = "auto") -> torch.device:
    """Return the device called `name`; "auto" takes CUDA, then Apple's MPS, then the CPU.

    Raises
    ------
    ParameterError
        If the device is unknown or not present on this machine.
    """
    present = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if name == "auto":
        name = next(kind for kind in ("cuda", "mps", "cpu") if present[kind])
    if not present.get(name.split(":")[0], False):
        at_hand = ", ".join(kind for kind, there in present.items() if there)
        raise ParameterError(f"device {name!r} is not present here; at hand: {at_hand} (or 'auto')")
    return torch.device(name)


def limit_threads(n: int = 1) -> None:
    """Fix torch's intra-op threads to `n`: results depend on the count in their last bits, so one is the default."""
    torch.set_num_threads(n)
