"""The whole MNIST sweep with frozen features on two cores: seconds and peak memory, from an empty cache."""

import resource
import time

from augury import grid, paths
from augury.report.parameters import read_notebook
from augury.subsampling import plans

NOTEBOOK = paths.root() / "notebooks" / "1-subsampling" / "policies.ipynb"
PARAMS = (read_notebook(NOTEBOOK)[1] or {}) | {
    "dataset": "mnist",
    "n_train": 1000,
    "points": [1, 10, 50, 100, 250, 500, 750],
}


def test_cost_of_the_frozen_sweep(tmp_path, capsys):
    start = time.perf_counter()
    for plan in (plans.references(PARAMS), plans.policies(PARAMS)):
        rows = grid.run(plan, jobs=2, cache=tmp_path, progress=False)
    assert rows["policy"].nunique() == 11
    seconds = time.perf_counter() - start
    memory = max(resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    with capsys.disabled():
        print(f"\nMNIST sweep, frozen features (3 augmentations x 2 scores x 11 policies x 5 rounds): {seconds:.0f} s")
        print(f"  largest process: {memory / 2**20:.2f} GiB")
