"""Where the paper's formulas disagree with each other: which of them augmented data bear out."""

from __future__ import annotations

import numpy as np
import pandas as pd

from augury.augment.base import compose, label_preserving
from augury.errors import ParameterError
from augury.penalties.linear import limit_ccp
from augury.penalties.moments import least_squares, moments
from augury.penalties.simulation import ablation, augmented_moments, distance, make_design

NEAR_ONE = 0.99  # stands for lambda -> 1 where data are drawn


def slips(n: int, seed: int, lam: float, N: int) -> pd.DataFrame:
    """Return how far N augmented rows are from the text's formulas where these disagree, and from those used here.

    Parameters
    ----------
    n, seed : int
        Of the design "non-zero means"; see `simulation.make_design`.
    lam : float in (0, 1)
        Not 1/2, where 1 / lambda and 1 / (1 - lambda) are the same.
    N : int
        Augmented rows.

    Returns
    -------
    DataFrame
        place, lambda, printed, off by, used, off by (used): distances relative to what the augmented data give, of
        coefficients, and of variances in Appendix B's row.

    Raises
    ------
    ParameterError
        If lambda is out of range or 1/2.
    """
    if not 0 < lam < 1 or lam == 0.5:
        raise ParameterError(f"lambda = {lam} must lie in (0, 1) and not be 1/2, to tell the formulas apart")
    X, y = make_design("non-zero means", n, seed)
    m, ratio = moments(X, y), lam / (1 - lam)
    dropout = ablation("IID", lam, m.mean)
    by_lambda = label_preserving("times (1 - lambda) / lambda", lambda x, generator: x / ratio)
    streams = {
        "1/(1-lambda)": dropout,
        "1/lambda": compose(by_lambda, dropout),
        "MADA": ablation("MADA", lam, m.mean),
        "near one": ablation("MADA", NEAR_ONE, m.mean),
    }
    found = {name: next(augmented_moments(X, y, a, [N], seed, "slips", name)) for name, a in streams.items()}
    fitted = {name: least_squares(each).beta for name, each in found.items()}
    limit, variance = limit_ccp(X, y).beta, (1 - lam) * m.variance

    def ridge(weight: float) -> np.ndarray:
        return np.linalg.solve(n * m.covariance + weight * np.diag(m.second), n * m.cross)

    theorem, text = ridge(n * ratio), "(X'X + n lambda/(1-lambda) D)^-1 X'y"
    dropped, near, spread = fitted["1/(1-lambda)"], fitted["near one"], found["MADA"].variance
    cases = [
        ("Theorem 2", lam, "(X'X + lambda/(1-lambda) D)^-1 X'y", ridge(ratio), text, theorem, dropped),
        ("Section 2.2", lam, "(X'X + lambda D)^-1 X'y", ridge(lam), text, theorem, dropped),
        (
            "Section 2.1",
            lam,
            "kept features times 1/lambda",
            fitted["1/lambda"],
            "times 1/(1-lambda)",
            dropped,
            theorem,
        ),
        ("Remark 1", NEAR_ONE, "V^-1 X'y", n * limit, "V^-1 X'y / n", limit, near),
        ("Appendix B", lam, "var = (1-lambda) v / n", variance / n, "var = (1-lambda) v", variance, spread),
    ]
    columns = ["place", "lambda", "printed", "off by", "used", "off by (used)"]
    rows = [(*case[:3], distance(case[3], case[6]), case[4], distance(case[5], case[6])) for case in cases]
    return pd.DataFrame(rows, columns=columns)
