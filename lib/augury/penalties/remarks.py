"""What follows from the closed forms: the penalties' objectives, limits and consequences (Remarks 1 and 2)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pandas as pd
from scipy.optimize import minimize

from augury.penalties import linear
from augury.penalties.moments import Linear
from augury.penalties.simulation import distance, make_design

FITS = {"contribution covariance": linear.beta_ccp, "modified L2": linear.beta_ml2p}
NEAR_ONE = 1 - 1e-8


def rates(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the slope of log error against log N of each replicate, by least squares.

    Parameters
    ----------
    rows : DataFrame
        What `simulation.convergence` returns, with the settings.

    Returns
    -------
    DataFrame
        augmentation, design, lam, replicate, slope: -1/2 where the error falls as N^(-1/2), 0 where it does not fall.
    """
    groups = rows.groupby(["augmentation", "design", "lam", "replicate"], sort=False)
    fitted = groups.apply(lambda part: np.polyfit(np.log(part["N"]), np.log(part["error"]), 1)[0], include_groups=False)
    return fitted.rename("slope").reset_index()


def remark1(n: int, seed: int, lambdas: Sequence[float]) -> pd.DataFrame:
    """Return what the contribution covariance penalty does as lambda grows.

    Returns
    -------
    DataFrame
        case, lam, series, value. Of the designs "uncorrelated", "correlated" and "twins": the coefficients, one series
        a feature, those of the single-variable regressions (`limit_ccp`) at lambda = 1. Of the case "penalty of the
        fit": the penalty over n sum_j var(beta_j x_j), one series a design; below 1, and negative where it rewards.
    """
    rows: list[dict[str, Any]] = []
    for case in ("uncorrelated", "correlated", "twins"):
        X, y = make_design(case, n, seed)
        beta = np.vstack([linear.beta_ccp(X, y, lambdas).beta, linear.limit_ccp(X, y).beta])
        for j, path in enumerate(beta.T):
            named = {"case": case, "series": f"feature {j + 1}"}
            rows += [named | {"lam": lam, "value": value} for lam, value in zip([*lambdas, 1.0], path, strict=True)]
    for name in ("cancelling", "uncorrelated", "reinforcing"):
        X, y = make_design(name, n, seed)
        beta = linear.beta_ccp(X, y, lambdas).beta
        penalty = linear.ccp(X, beta) / (n * beta**2 @ X.var(0))
        named = {"case": "penalty of the fit", "series": name}
        rows += [named | {"lam": lam, "value": value} for lam, value in zip(lambdas, penalty, strict=True)]
    return pd.DataFrame(rows)


def remark2(n: int, seed: int, lambdas: Sequence[float], means: Sequence[float], lam: float) -> pd.DataFrame:
    """Return where the two penalties part: how much of its least-squares value a coefficient keeps under each.

    Returns
    -------
    DataFrame
        case, penalty, x, value: the share kept of the first of the uncorrelated features, and of the two twins
        together, at x = lambda; and of an uncorrelated feature, at one `lam`, whose mean is x standard deviations.
    """
    rows: list[dict[str, Any]] = []
    for case, design, features in (("uncorrelated", "uncorrelated", 1), ("twins, together", "twins", 2)):
        X, y = make_design(design, n, seed)
        whole = linear.ols(X, y).beta[:features].sum()
        for penalty, fit in FITS.items():
            kept = fit(X, y, lambdas).beta[:, :features].sum(1) / whole
            named = {"case": case, "penalty": penalty}
            rows += [named | {"x": x, "value": value} for x, value in zip(lambdas, kept, strict=True)]
    for penalty, fit in FITS.items():
        named = {"case": "mean moved", "penalty": penalty}
        rows += [named | {"x": x, "value": moved_share(fit, n, seed, x, lam)} for x in means]
    return pd.DataFrame(rows)


def moved_share(fit: Callable[..., Linear], n: int, seed: int, mean: float, lam: float) -> float:
    """Return the share of its least-squares coefficient that a feature keeps whose mean is moved to `mean`."""
    X, y = make_design("uncorrelated", n, seed)
    X = X + mean * np.eye(X.shape[1])[0]
    return float(fit(X, y, lam).beta[0] / linear.ols(X, y).beta[0])


def minimised(objective: Callable[..., np.ndarray], X: np.ndarray, y: np.ndarray, lam: float) -> Linear:
    """Return where a penalised objective is least, found by BFGS from zero, without its closed form or gradient.

    Parameters
    ----------
    objective : callable
        `linear.ccp_objective` or `linear.ml2p_objective`.
    """

    def value(theta: np.ndarray) -> float:
        return float(objective(X, y, Linear(theta[0], theta[1:]), lam)) / len(y)

    found = minimize(value, np.zeros(X.shape[1] + 1), method="BFGS", jac="3-point", options={"gtol": 1e-9}).x
    return Linear(found[0], found[1:])


def _row(claim: str, part: str, value: float, target: float, tolerance: float) -> dict[str, Any]:
    """Return a check that holds if |value - target| <= tolerance."""
    note = f"{value:.3g}, stated {target:.3g}, tolerance {tolerance:.1g}"
    return {"claim": claim, "part": part, "holds": bool(abs(value - target) <= tolerance), "note": note}


def _sign(claim: str, part: str, what: str, values: np.ndarray) -> dict[str, Any]:
    """Return a check that holds if all values are below zero; `what` says what they are."""
    note = f"{what}: at most {values.max():.3g}, stated negative"
    return {"claim": claim, "part": part, "holds": bool(values.max() < 0), "note": note}


def checks(designs: Sequence[str], n: int, seed: int, lambdas: Sequence[float]) -> pd.DataFrame:
    """Put the statements that leave nothing to chance to the test: objectives, limits, and both remarks.

    Parameters
    ----------
    designs : sequence of str
        For the objectives, the limit and the two forms of the penalty.
    n, seed : int
        See `simulation.make_design`.
    lambdas : sequence of float in (0, 1)

    Returns
    -------
    DataFrame
        claim (short key), part, holds, and a note with the value, what is stated, and the tolerance. Distances are
        relative to the norm of the coefficients; penalties are per row, in units of y^2.
    """
    rows = []
    for name in designs:
        X, y = make_design(name, n, seed)
        for key, fit, objective in (
            ("theorem1/objective", linear.beta_ccp, linear.ccp_objective),
            ("theorem2/objective", linear.beta_ml2p, linear.ml2p_objective),
        ):
            apart = [distance(minimised(objective, X, y, lam).beta, fit(X, y, lam).beta) for lam in lambdas]
            rows.append(_row(key, name, max(apart), 0.0, 1e-5))
        apart_limit = distance(linear.beta_ccp(X, y, NEAR_ONE).beta, linear.limit_ccp(X, y).beta)
        rows.append(_row("remark1/single-regressions", name, apart_limit, 0.0, 1e-6))
        beta = linear.beta_ccp(X, y, lambdas).beta
        gap = np.abs(linear.ccp(X, beta) - linear.ccp_pairwise(X, beta)).max() / len(y)
        rows.append(_row("remark1/forms-equal", name, gap, 0.0, 1e-10))
    return pd.DataFrame(rows + _reward(n, seed, lambdas) + _twins(n, seed, lambdas) + _apart(n, seed, lambdas))


def _reward(n: int, seed: int, lambdas: Sequence[float]) -> list[dict[str, Any]]:
    """Return the checks of Remark 1 on the penalty's size: none without correlation, a reward for reinforcement."""
    X, y = make_design("uncorrelated", n, seed)
    beta, plain = linear.beta_ccp(X, y, lambdas).beta, linear.ols(X, y).beta
    largest = np.abs(linear.ccp(X, beta)).max() / n
    X, y = make_design("reinforcing", n, seed)
    reward = linear.ccp(X, linear.beta_ccp(X, y, lambdas).beta) / n
    return [
        _row("remark1/uncorrelated-no-penalty", "penalty", largest, 0.0, 1e-10),
        _row("remark1/uncorrelated-no-penalty", "distance to least squares", distance(beta, plain), 0.0, 1e-10),
        _sign("remark1/reinforcing-reward", "reinforcing", "penalty", reward),
    ]


def _twins(n: int, seed: int, lambdas: Sequence[float]) -> list[dict[str, Any]]:
    """Return the checks of both remarks on two almost perfectly correlated features."""
    X, y = make_design("twins", n, seed)
    spread, plain = X.std(0), linear.ols(X, y).beta[:2].sum()
    shares = np.linspace(-1, 2, 301)
    together = np.stack([shares, 1 - shares, np.zeros_like(shares)], axis=1) / spread  # contributions sum to 1
    least = shares[linear.ccp(X, together).argmin()]
    equal, l2 = "remark1/twins-equal-contribution", "remark2/l2-shrinks-further"
    rows = [_row(equal, "share of the first where the penalty is least", least, 0.5, 0.01)]
    totals = {}
    for penalty, fit in FITS.items():
        beta = fit(X, y, lambdas).beta
        contribution = beta[:, :2] * spread[:2]
        worst = np.abs(contribution[:, 0] / contribution.sum(1) - 0.5).max()
        rows.append(_row(equal, f"share of the first in the fit, {penalty}", 0.5 + worst, 0.5, 0.02))
        totals[penalty] = beta[:, :2].sum(1) / plain - 1
    return [
        *rows,
        _sign(l2, "modified L2 shrinks", "growth of the twins' coefficients together", totals["modified L2"]),
        _sign(l2, "contribution covariance does not", "their shrinkage", -totals["contribution covariance"]),
    ]


def _apart(n: int, seed: int, lambdas: Sequence[float]) -> list[dict[str, Any]]:
    """Return the checks of Remark 2 on where the penalties part, and where they differ by a factor only."""
    means, key = (0.0, 0.5, 1.0, 2.0, 4.0), "remark2/means-far-from-zero"
    kept = {
        p: np.array([[moved_share(fit, n, seed, m, lam) for m in means] for lam in lambdas]) for p, fit in FITS.items()
    }
    X, y = make_design("correlated", n, seed)
    ablated, dropped = linear.beta_ccp(X, y, lambdas).beta, linear.beta_ml2p(X, y, lambdas).beta
    scaled = distance((1 - np.asarray(lambdas))[:, None] * ablated, dropped)
    falls = np.diff(kept["modified L2"], axis=1).ravel()
    stays = np.abs(kept["contribution covariance"] - 1).max()
    return [
        _sign(key, "modified L2", "change of the share kept, from mean to larger mean", falls),
        _row(key, "contribution covariance", 1 + stays, 1.0, 1e-10),
        _row("remark2/zero-means-rescale", "beta_ml2p against (1 - lambda) beta_ccp", scaled, 0.0, 1e-10),
    ]
