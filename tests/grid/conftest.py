"""Experiments as a study would write them, in a module of their own that workers can import."""

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

EXPERIMENTS = '''
"""Experiments for tests."""

import math
import os
import signal
import time

import numpy as np
import pandas as pd
import torch

from augury import seeding
from augury.errors import MissingDataError


def draw(x, seed=0, delay=0.0, log=""):
    """Draw three numbers; note in `log` that it was started."""
    if log:
        with open(log, "a") as file:
            file.write(f"{x}\\n")
    time.sleep(delay)
    return [{"i": i, "value": float(v)} for i, v in enumerate(seeding.rng(seed, "draw", x).normal(size=3))]


def odd_values(x):
    return pd.DataFrame({"y": [np.float32(0.1), 1 / 3, math.nan, -math.inf, 5e-324], "k": np.arange(5), "s": "text"})


def threads(x):
    return [{"torch": torch.get_num_threads(), "pid": os.getpid()}]


def failing(x):
    if x == 1:
        raise ValueError(f"no good: {x}")
    if x == 2:
        raise MissingDataError("the set is not at hand; make data DATASETS=it")
    return [{"y": x}]


def deadly(x, once=""):
    if x == 2 and not (once and os.path.exists(once)):
        if once:
            open(once, "w").close()
        time.sleep(0.5)
        os.kill(os.getpid(), signal.SIGKILL)
    return [{"y": x}]


def contradicting(x):
    return [{"x": x + 1}]


def untidy(x):
    return {"y": x}


def unwritable(x):
    return [{"y": object()}]
'''


@pytest.fixture
def experiments(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """The module above, written to a folder that this process and its workers import from."""
    name = "grid_experiments"
    folder = tmp_path / "modules"
    folder.mkdir()
    (folder / f"{name}.py").write_text(EXPERIMENTS)
    monkeypatch.syspath_prepend(str(folder))
    yield importlib.import_module(name)
    del sys.modules[name]
    forget()


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "cache"


def forget() -> None:
    """Let this process load a changed module of the same name, as a new process would."""
    from augury.grid import code

    for memory in (code._LOADED, code._RUNNING):
        for name in [name for name in memory if name.startswith("grid_experiments")]:
            del memory[name]
