"""The measurement of FI's cost: its rows, and what it refuses."""

import pytest

from augury.errors import ParameterError
from augury.invariance import plans
from augury.invariance.cost import cost

PARAMS = {
    "shapes": [[5, 3], [2, 3]], "n": 40, "stretches": [1.0, 3.0], "datasets": ["breast-cancer"], "rows": 100,
    "validation": 30, "C": 1.0, "factors": [1.0, 3.0], "top": 0.1, "replicates": 3, "refits": 2, "step": 0.01,
    "labelled": 100, "sizes": [50, 100], "seed": 0,
}  # fmt: skip


@pytest.mark.parametrize("classes", [2, 3])
def test_every_size_is_timed_so_often(classes):
    rows = cost(classes, 4, [60, 120], 1.0, 3, 0)
    assert [(row["points"], row["repeat"]) for row in rows] == [(n, r) for n in (60, 120) for r in range(3)]
    assert all(row["seconds"] > 0 for row in rows)


def test_sizes_are_checked():
    assert len(plans.costs(PARAMS).cells) == 2
    for sizes in ([100], [100, 50], [10, 100]):
        with pytest.raises(ParameterError, match="sizes"):
            plans.costs(PARAMS | {"sizes": sizes})
