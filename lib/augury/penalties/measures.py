"""The two penalties of Liu, Najmi and Sundararajan (2020) as measures of any model, from what its features contribute.

For a linear model the contributions are beta_j x_ij and the coefficients beta_j; for a network they are attributions
and average gradients (Sections 3.1 and 3.2). Both measures are per unit: means over the n rows, so that they compare
between sets of other sizes. Eq. (1) and eq. (4) are n times the first.
"""

from __future__ import annotations

import torch
from torch import Tensor

from augury.errors import ParameterError


def contribution_covariance(contributions: Tensor) -> Tensor:
    """Return sum_j var_i(c_ij) - var_i(sum_j c_ij), the contribution covariance penalty per unit: eq. (4) over n.

    Variances are the population's (divided by n); the sums run in float64.

    Parameters
    ----------
    contributions : Tensor of shape (..., n, k)
        c_ij, what feature j contributes to the response to row i, in the response's units.

    Returns
    -------
    Tensor of float64, shape (...)
        Negative where contributions reinforce each other.

    Raises
    ------
    ParameterError
        If the tensor has fewer than two axes, or no rows.
    """
    centred = _centred(contributions)
    return centred.square().mean(-2).sum(-1) - centred.sum(-1).square().mean(-1)


def contribution_covariance_pairwise(contributions: Tensor) -> Tensor:
    """Return the same as `contribution_covariance` from its definition, in O(k^2) terms: eq. (1) over n."""
    centred = _centred(contributions)
    covariance = centred.mT @ centred / centred.shape[-2]  # (..., k, k)
    return torch.diagonal(covariance, dim1=-2, dim2=-1).sum(-1) - covariance.sum((-2, -1))


def modified_l2(coefficients: Tensor, second_moments: Tensor) -> Tensor:
    """Return mean_i sum_j (v_j + mu_j^2) g_ij^2, the modified L2 penalty per unit: eq. (2), averaged over the rows.

    Parameters
    ----------
    coefficients : Tensor of shape (..., n, k)
        g_ij, row i's average gradient along feature j; for a linear model all rows equal beta.
    second_moments : Tensor of shape (k,)
        v_j + mu_j^2; ones where the features are standardised.

    Returns
    -------
    Tensor of float64, shape (...)

    Raises
    ------
    ParameterError
        If the shapes do not match, or there are no rows.
    """
    rows = _float64(coefficients)
    if second_moments.shape != rows.shape[-1:]:
        raise ParameterError(
            f"{rows.shape[-1]} features need as many second moments, not of shape {tuple(second_moments.shape)}"
        )
    return (rows.square() @ _moved(second_moments).to(rows.device)).mean(-1)


def _centred(contributions: Tensor) -> Tensor:
    rows = _float64(contributions)
    return rows - rows.mean(-2, keepdim=True)


def _float64(rows: Tensor) -> Tensor:
    if rows.dim() < 2 or rows.shape[-2] == 0:
        raise ParameterError(f"a penalty is measured over rows of features, (..., n, k), not {tuple(rows.shape)}")
    return _moved(rows)


def _moved(values: Tensor) -> Tensor:
    return (values.cpu() if values.device.type == "mps" else values).to(torch.float64)  # mps has no float64
