"""Every test runs on one thread, without a display, and away from the user's own data, cells and figures."""

from __future__ import annotations

import os

import pytest
from hypothesis import settings

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
