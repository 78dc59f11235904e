"""Stored features of a network, on images laid out as small NORB's are: 96 x 96 pixels, two cameras, no download."""

import numpy as np
import pandas as pd
import pytest

from augury import paths
from augury.data import Dataset, Split
from augury.report.parameters import read_notebook
from augury.subsampling import cnn, plans, sweep, task

NOTEBOOK = paths.root() / "notebooks" / "1-subsampling" / "policies.ipynb"
PARAMS = (read_notebook(NOTEBOOK)[1] or {}) | {
    "dataset": "small-norb",
    "classes": [0, 1],
    "n_train": 20,
    "features": "cnn",
    "epochs": 1,
    "network_epochs": 1,
    "network_batch": 16,
    "network_lr": 0.01,
    "network_weight_decay": 0.0,
    "scores": ["influence"],
    "rounds": 2,
    "points": [2, 10],
}


@pytest.fixture
def norb(monkeypatch):
    """Bright squares on the left (animals) or on the right (humans), and three further classes."""
    draw = np.random.default_rng(0)

    def split(n):
        y = np.arange(n) % 5
        x = draw.integers(0, 60, (n, 96, 96, 2), dtype=np.uint8)
        for image, label in zip(x, y, strict=True):
            image[30:60, 8 + 14 * label : 38 + 14 * label] += 150
        return Split(x, y)

    images = Dataset("small-norb", split(60), split(30), ("animal", "human", "plane", "truck", "car"), "made-up")
    task.binary_images.cache_clear()
    task.binary_task.cache_clear()
    monkeypatch.setattr(task, "load", lambda name: images)
    monkeypatch.setattr(cnn.data, "load", lambda name: images)
    yield images
    task.binary_images.cache_clear()
    task.binary_task.cache_clear()


def test_norb_s_path_runs_from_images_to_curves(norb):
    cells = plans.references(PARAMS).cells
    assert len(cells) == 9 and len({cell["stored"] for cell in cells}) == 3
    rows = pd.DataFrame([row for cell in cells if cell["selection"] != "vsv" for row in sweep.fixed_set(**cell)])
    assert set(rows["images"]) == {20, 20 + 20 * 4, 20 + 20}
    assert rows["accuracy"].between(0, 1).all()
    one = plans.policies(PARAMS).cells[1]
    assert [row["k"] for row in sweep.trajectory(**one)] == [2, 2, 10, 10]


def test_features_are_made_once(norb, monkeypatch):
    network = {key: PARAMS[key] for key in cnn.NETWORK}
    setting = plans.Setting.of(PARAMS | {"augmentation": "crop"})
    first = cnn.stored_features(setting, network)
    monkeypatch.setattr(cnn, "train_network", lambda *_: pytest.fail("trained again"))
    assert cnn.stored_features(setting, network) == first
    assert 0 <= first["network_accuracy"] <= 1
