"""The measures on tensors against the linear formulas, brute force and numpy's covariances, in float64."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from augury.errors import ParameterError
from augury.penalties import linear
from augury.penalties.measures import contribution_covariance, contribution_covariance_pairwise, modified_l2

seeds = st.integers(0, 2**32)


def problem(seed, n=25, k=4):
    draw = np.random.default_rng(seed)
    X = draw.normal(size=(n, k)) @ draw.normal(size=(k, k)) + draw.normal(size=k) * 3
    return X, draw.normal(size=(6, k))


@settings(deadline=None)
@given(seeds)
def test_on_linear_models_they_are_the_penalties_per_row(seed):
    X, beta = problem(seed)
    contributions = torch.from_numpy(beta[:, None] * X).view(2, 3, *X.shape)  # (2, 3, n, k)
    expected = linear.ccp(X, beta).reshape(2, 3) / len(X)
    for measure in (contribution_covariance, contribution_covariance_pairwise):
        found = measure(contributions)
        assert found.shape == (2, 3) and found.dtype == torch.float64
        np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-12 * (contributions**2).mean())
    coefficients = torch.from_numpy(beta)[:, None].expand(-1, len(X), -1)  # (6, n, k)
    found = modified_l2(coefficients, torch.from_numpy(X.var(0) + X.mean(0) ** 2))
    np.testing.assert_allclose(found, linear.ml2p(X, beta), rtol=1e-10)


@settings(deadline=None)
@given(seeds)
def test_on_any_contributions_they_are_the_definitions(seed):
    draw = np.random.default_rng(seed)
    c, second = draw.normal(size=(9, 3)) * [1, 5, 0.1] + 2, draw.uniform(0.5, 2, 3)
    covariance = np.cov(c.T, bias=True)
    pairs = -sum(covariance[a, b] for a in range(3) for b in range(3) if a != b)
    for measure in (contribution_covariance, contribution_covariance_pairwise):
        assert float(measure(torch.from_numpy(c))) == pytest.approx(pairs, rel=1e-9, abs=1e-12)
    rows = [sum(second[j] * c[i, j] ** 2 for j in range(3)) for i in range(9)]
    assert float(modified_l2(torch.from_numpy(c), torch.from_numpy(second))) == pytest.approx(np.mean(rows))


def test_they_are_per_unit_so_the_number_of_rows_does_not_count():
    c = torch.randn(10, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    for measure in (contribution_covariance, lambda c: modified_l2(c, torch.ones(4))):
        assert float(measure(c.repeat(7, 1))) == pytest.approx(float(measure(c)), rel=1e-12)


def test_single_precision_far_from_zero_loses_nothing_more():
    c = torch.randn(4000, 3, generator=torch.Generator().manual_seed(1)) + 1000
    covariance = np.cov(c.numpy().astype(np.float64).T, bias=True)
    expected = covariance.trace() - covariance.sum()
    assert float(contribution_covariance(c)) == pytest.approx(expected, rel=1e-9)
    assert float(contribution_covariance_pairwise(c)) == pytest.approx(expected, rel=1e-9)


def test_one_feature_or_one_row_has_no_covariance():
    c = torch.randn(8, 1, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    assert contribution_covariance(c) == 0 and contribution_covariance(torch.randn(1, 3)) == 0


def test_wrong_shapes_are_refused():
    for measure in (contribution_covariance, contribution_covariance_pairwise):
        with pytest.raises(ParameterError, match="rows of features"):
            measure(torch.ones(3))
        with pytest.raises(ParameterError, match="rows of features"):
            measure(torch.ones(2, 0, 3))
    with pytest.raises(ParameterError, match="3 features need as many second moments"):
        modified_l2(torch.ones(5, 3), torch.ones(4))
    with pytest.raises(ParameterError, match="rows of features"):
        modified_l2(torch.ones(3), torch.ones(3))
