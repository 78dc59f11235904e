"""What FI costs against the number of training points: closed forms, on synthetic problems."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from augury.influence.classifier import ClassifierInfluence
from augury.invariance.tables import gaussian_problem


def cost(classes: int, features: int, sizes: Sequence[int], C: float, repeats: int, seed: int) -> list[dict[str, Any]]:
    """Return the seconds that FI^util of all training points takes, the Hessian and its inverse included.

    The formula of n points costs O(n p^2 K^2), and the inverse O((p K)^3) whatever n.

    Parameters
    ----------
    classes, features : int
        K and p.
    sizes : sequence of int
        Numbers n of training points; 1,000 at most are validation points.
    C : float
        Inverse strength of the L2 penalty.
    repeats : int
        Times the measurement is repeated.
    seed : int

    Returns
    -------
    list of dict
        points (n), repeat, and seconds of a processor.
    """
    rows = []
    for n in sizes:
        problem = gaussian_problem(classes, features, n, seed, 0)
        model = problem.fit(C)
        for repeat in range(repeats):
            started = time.process_time()
            ClassifierInfluence(model, problem.X, problem.y).util(problem.X_val[:1000], problem.y_val[:1000])
            seconds = time.process_time() - started
            rows.append({"points": n, "repeat": repeat, "seconds": seconds})
    return rows
