"""Claims that something exists: the best of several tests, corrected for having looked at all of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from augury.claims.result import Test
from augury.errors import ParameterError


def best_of(tests: Mapping[str, Test]) -> Test:
    """Return the test with the smallest p-value, multiplied by the number of tests (Bonferroni), for "some ... is".

    Parameters
    ----------
    tests : mapping
        What was looked at, each with its test.

    Raises
    ------
    ParameterError
        If there is none.
    """
    if not tests:
        raise ParameterError("the best of no tests does not exist")
    name, best = min(tests.items(), key=lambda item: item[1].p)
    return replace(best, name=f"{best.name}; best of {len(tests)}: {name}", p=min(1.0, best.p * len(tests)))
