"""The best of several tests."""

import numpy as np
import pytest

from augury import claims
from augury.errors import ParameterError


def test_the_smallest_p_pays_for_the_search():
    draw = np.random.default_rng(0)
    samples = {f"k = {k}": draw.normal(shift, 1, 8) for k, shift in ((1, 0.0), (10, 2.0), (50, 1.0))}
    tests = {name: claims.difference(values, 0.0) for name, values in samples.items()}
    best = claims.best_of(tests)
    name, smallest = min(tests.items(), key=lambda item: item[1].p)
    assert best.p == pytest.approx(3 * smallest.p) and best.effect == smallest.effect
    assert best.name.endswith(f"best of 3: {name}")
    assert claims.best_of({"one": claims.difference([0.0, 0.1, -0.2], 1.0)}).p <= 1


def test_under_the_null_it_rarely_rejects():
    draw = np.random.default_rng(1)
    rejected = [
        claims.best_of({str(i): claims.difference(draw.normal(size=6), 0.0) for i in range(5)}).p <= 0.05
        for _ in range(400)
    ]
    assert np.mean(rejected) < 0.08


def test_nothing_to_choose_from_is_an_error():
    with pytest.raises(ParameterError, match="no tests"):
        claims.best_of({})
