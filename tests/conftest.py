"""Every test runs on one thread, without a display, and away from the user's own data, cells and figures."""

import os

import pytest

# Read when torch and NumPy are first imported, so before any fixture.
os.environ.update(OMP_NUM_THREADS="1", MKL_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1", MPLBACKEND="Agg")


@pytest.fixture(autouse=True)
def own_folders(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path_factory.mktemp("augury")
    for name in ("CACHE", "DATA", "FIGURES"):
        monkeypatch.setenv(f"AUGURY_{name}", str(folder / name.lower()))
