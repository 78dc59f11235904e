"""The algebra of FI against p x p pseudo-inverses, its limits, and what it is invariant under, in float64."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import ortho_group, trim_mean

from augury.errors import ModelError, ParameterError
from augury.influence.measure import directions, influence_measure, middle_mean, sqrt_probability_rows


def factor(draw, *shape):
    """Return S of random logits' derivatives at random probabilities; shape is (..., K, p)."""
    logits = draw.normal(size=shape[:-1])
    return sqrt_probability_rows(draw.normal(size=shape), logits - np.logaddexp.reduce(logits, axis=-1)[..., None])


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10**6), classes=st.integers(2, 6), p=st.integers(1, 8))
def test_is_the_pseudo_inverse_of_the_p_by_p_metric(seed, classes, p):
    draw = np.random.default_rng(seed)
    S, dL = factor(draw, 4, classes, p), draw.normal(size=(4, p))
    G = S.swapaxes(-1, -2) @ S
    rank = min(classes - 1, p)
    values = np.linalg.eigvalsh(G)[:, ::-1]
    expected = np.einsum("ni,nij,nj->n", dL, np.linalg.pinv(G, rcond=1e-11, hermitian=True), dL)
    clear = values[:, rank - 1] > 1e-6 * values[:, 0]  # beyond that the p x p matrix has lost the digits
    np.testing.assert_allclose(influence_measure(dL, S)[clear], expected[clear], rtol=1e-7)


def test_rows_are_the_scores_weighted_by_the_probabilities():
    draw = np.random.default_rng(0)
    A, logits = draw.normal(size=(5, 3)), draw.normal(size=5)
    P = np.exp(logits) / np.exp(logits).sum()
    G = sum(P[c] * np.outer(A[c] - P @ A, A[c] - P @ A) for c in range(5))
    S = sqrt_probability_rows(A, np.log(P))
    np.testing.assert_allclose(S.T @ S, G, rtol=1e-12)
    np.testing.assert_allclose(np.sqrt(P) @ S, 0, atol=1e-14)  # so the rank is at most K - 1


def test_leading_axes_broadcast():
    draw = np.random.default_rng(1)
    S, dL = factor(draw, 6, 3, 4), draw.normal(size=(2, 6, 4))
    found = influence_measure(dL, S)
    assert found.shape == (2, 6)
    assert found[1, 4] == pytest.approx(influence_measure(dL[1, 4], S[4]), rel=1e-12)


def test_keeps_directions_that_a_p_by_p_matrix_loses():
    # a third class of probability 1e-20: its direction has sigma about 1e-10, whose square is below epsilon
    A = np.array([[1.0, 0.0], [0.0, 0.0], [0.0, 1.0]])
    log_p = np.log([0.5, 0.5, 1e-20])
    S, dL = sqrt_probability_rows(A, log_p), np.array([0.0, 1.0])
    assert influence_measure(dL, S) == pytest.approx(1e20, rel=1e-6)
    assert influence_measure(dL, S, rtol=1e-8) < 1e-10
    assert dL @ np.linalg.pinv(S.T @ S) @ dL < 1e-10


@pytest.mark.parametrize("p", [3, 4, 6])
@pytest.mark.parametrize("faint", [1.0, 30.0, 100.0, 300.0])
def test_with_the_probabilities_no_direction_is_lost_however_faint_its_class(p, faint):
    draw = np.random.default_rng(3)
    A, dL, log_p = draw.normal(size=(4, p)), draw.normal(size=p), np.array([-2 * faint, 0.0, -0.3, -faint])
    log_p -= np.logaddexp.reduce(log_p)
    y = np.linalg.pinv((A - A[1])[[0, 2, 3]]).T @ dL  # G = D' C D with C^-1 = diag(1 / P) + 11' / P_1
    expected = (y**2 / np.exp(log_p)[[0, 2, 3]]).sum() + y.sum() ** 2 / np.exp(log_p[1])
    S = sqrt_probability_rows(A, log_p)
    for factor, logs in ((S, log_p), (np.stack([S, 2 * S]), np.stack([log_p, log_p]))):
        found = directions(factor, log_p=logs)
        np.testing.assert_allclose(
            found.measure(dL @ found.vectors), expected / ([1, 4] if factor.ndim == 3 else 1), rtol=1e-9
        )
    cut = directions(S, 1e-8, log_p)
    assert (cut.measure(dL @ cut.vectors) < expected / 1e6) == (faint >= 30)


def test_dependent_directions_are_cut_with_the_probabilities_as_without():
    A = np.array([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 0.0], [0.0, 1.0, 0.0]])  # two classes move alike
    S = sqrt_probability_rows(A, log_p := np.log([0.5, 0.3, 0.2 - 1e-40, 1e-40]))
    plain, found = directions(S), directions(S, log_p=log_p)
    np.testing.assert_array_equal(plain.inverse, found.inverse)
    np.testing.assert_array_equal(plain.vectors, found.vectors)


def test_a_kth_singular_value_is_rounding_whatever_its_size():
    # linear maps of the features leave noise far above the tolerance; two classes have rank 1
    draw = np.random.default_rng(2)
    S, dL = factor(draw, 2, 4), draw.normal(size=4)
    noisy = S * (1 + 1e-11 * draw.normal(size=S.shape))
    assert influence_measure(dL, noisy) == pytest.approx(influence_measure(dL, S), rel=1e-9)


def test_where_the_metric_vanishes_the_limit_is_taken():
    nothing = np.zeros((3, 4))
    assert influence_measure(np.zeros(4), nothing) == 0
    assert influence_measure(np.eye(4)[3], nothing) == np.inf
    # the limits along vanishing probabilities: S falls as sqrt(s); dL falls as s where the label is right
    S, dL = np.outer([1.0, -1.0], [2.0, 1.0]), np.array([1.0, 3.0])
    right = [influence_measure(s * dL, np.sqrt(s) * S) for s in (1e-10, 1e-100, 1e-290)]
    wrong = [influence_measure(dL, np.sqrt(s) * S) for s in (1e-10, 1e-100, 1e-290)]
    assert right == sorted(right, reverse=True) and right[-1] < 1e-280
    assert wrong == sorted(wrong) and wrong[-1] > 1e280


def test_a_subnormal_metric_counts_as_none_and_a_tiny_one_does_not():
    S = np.outer([1.0, -1.0], [1.0, 0.0])
    assert influence_measure(np.array([1.0, 0.0]), 1e-310 * S) == np.inf
    assert influence_measure(np.array([0.0, 0.0]), 1e-310 * S) == 0
    assert influence_measure(np.array([1e-200, 0.0]), 1e-200 * S) == pytest.approx(0.5)


def test_zero_slopes_add_nothing_whatever_the_metric():
    found = directions(np.zeros((2, 3)))
    assert found.measure(np.zeros(2)) == 0 and found.measure(np.array([0.0, 1e-300])) == np.inf


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10**6))
def test_where_the_metric_is_positive_definite_no_linear_map_changes_it(seed):
    draw = np.random.default_rng(seed)
    S, dL = factor(draw, 5, 3), draw.normal(size=3)  # five classes, three dimensions
    J = ortho_group.rvs(3, random_state=seed) @ np.diag(np.exp(draw.uniform(-2, 2, 3)))
    assert influence_measure(dL @ J, S @ J) == pytest.approx(influence_measure(dL, S), rel=1e-8)


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10**6))
def test_below_full_rank_orthogonal_maps_and_one_scale_leave_it_and_a_stretch_does_not(seed):
    draw = np.random.default_rng(seed)
    S, dL = factor(draw, 3, 6), draw.normal(size=6)  # rank 2 of 6
    value = influence_measure(dL, S)
    Q = ortho_group.rvs(6, random_state=seed)
    assert influence_measure(dL @ Q, S @ Q) == pytest.approx(value, rel=1e-9)
    assert influence_measure(7 * dL @ Q, 7 * S @ Q) == pytest.approx(value, rel=1e-9)
    stretch = np.ones(6)
    stretch[0] = 10.0
    assert abs(influence_measure(dL * stretch, S * stretch) / value - 1) > 1e-4
    inside = draw.normal(size=3) @ S  # unless dL lies in the row space of S
    assert influence_measure(inside * stretch, S * stretch) == pytest.approx(influence_measure(inside, S), rel=1e-7)


@pytest.mark.parametrize("n", [1, 4, 9, 10, 55])
def test_the_middle_mean_is_scipys_trimmed_mean(n):
    values = np.random.default_rng(n).standard_cauchy((3, n))
    np.testing.assert_allclose(middle_mean(values), trim_mean(values, 0.1, axis=1), rtol=1e-12)
    for few in (1e-12, 1e-3):  # the median is left
        assert middle_mean(np.arange(float(n)), few) == pytest.approx((n - 1) / 2)
    assert middle_mean(np.r_[np.ones(19), np.inf][None]) == 1  # an infinite tenth is left out


def test_bad_input_is_refused():
    with pytest.raises(ModelError, match=r"dL of shape \(..., p\)"):
        influence_measure(np.ones(3), np.ones((2, 4)))
    with pytest.raises(ModelError, match=r"dL of shape \(..., p\)"):
        influence_measure(np.ones((3, 4)), np.ones((2, 2, 4)))
    for rtol in (-1e-9, 1.0, np.nan):
        with pytest.raises(ParameterError, match=r"rtol is in \[0, 1\), a share"):
            influence_measure(np.ones(4), np.ones((2, 4)), rtol=rtol)
    with pytest.raises(ModelError, match="finite dL"):
        influence_measure(np.array([np.nan]), np.ones((2, 1)))
    with pytest.raises(ModelError, match="not finite"):
        influence_measure(np.ones(1), np.full((2, 1), np.inf))
    with pytest.raises(ParameterError, match="of 0 values is empty"):
        middle_mean(np.ones((2, 0)))
    with pytest.raises(ParameterError, match="of 0 values"):
        middle_mean(np.float64(1.0))
    with pytest.raises(ParameterError, match="share in"):
        middle_mean(np.ones(3), 0.0)
