"""A learner on points in the plane, small enough for plain loops."""

import numpy as np
import pytest

from augury.active.tables import Table


@pytest.fixture
def plane() -> Table:
    """Two overlapping clouds: 80 points to learn from and 200 to test on."""
    draw = np.random.default_rng(3)

    def cloud(n: int) -> tuple[np.ndarray, np.ndarray]:
        y = draw.integers(0, 2, n)
        return draw.standard_normal((n, 2)) + 1.2 * y[:, None], y

    (X, y), (X_test, y_test) = cloud(80), cloud(200)
    return Table(X, y, X_test, y_test, weight_decay=0.05, rate=0.3, passes=12)
