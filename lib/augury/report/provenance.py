"""Where a result comes from: commit, packages, machine. Never a host name, a user or a path."""

from __future__ import annotations

import os
import platform
import subprocess
from importlib import metadata
from typing import Any

from augury import paths

PACKAGES = (
    "numpy",
    "scipy",
    "pandas",
    "scikit-learn",
    "torch",
    "torchvision",
    "imgaug",
    "opencv-python-headless",
    "matplotlib",
    "seaborn",
    "joblib",
    "dask",
)
SOURCES = ("lib", "notebooks", "data", "requirements")  # what a result can depend on; figures are its outcome


def _git(*arguments: str) -> str | None:
    command = ["git", "-C", str(paths.root()), *arguments]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=30).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return None


def commit() -> dict[str, Any]:
    """Return the commit of the checkout and whether its sources differ from it; both None outside of git."""
    found = _git("rev-parse", "HEAD")
    changes = _git("status", "--porcelain", "--untracked-files=normal", "--", *SOURCES) if found else None
    return {"commit": found, "dirty": None if changes is None else bool(changes)}


def packages() -> dict[str, str]:
    """Return the versions of Python and of the packages that compute or draw, where they are installed."""
    versions = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return versions


def _cpu() -> str:
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            models = [line.split(":", 1)[1].strip() for line in file if line.startswith("model name")]
    except OSError:
        models = []
    return models[0] if models else platform.processor() or platform.machine()


def _memory() -> float | None:
    try:
        return round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1)
    except (AttributeError, ValueError, OSError):  # not on every system
        return None


def machine() -> dict[str, Any]:
    """Return the model of the CPU, usable cores, memory in GiB, GPUs, system and architecture."""
    import torch

    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    gpus = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
    system = f"{platform.system()} {platform.machine()}"
    return {"cpu": _cpu(), "cores": cores, "memory_gib": _memory(), "gpus": gpus, "system": system}
