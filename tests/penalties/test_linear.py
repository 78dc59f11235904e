"""The closed forms and penalties against expectations over all masks, minimisation, peers and the paper's remarks."""

import itertools

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize
from sklearn.linear_model import LinearRegression

from augury.errors import ModelError, ParameterError
from augury.penalties import linear
from augury.penalties.moments import Linear, moments

FITS = [linear.beta_ccp, linear.beta_ml2p]
lambdas = st.floats(0.01, 0.99)


@st.composite
def problems(draw, most=5):
    """Draw up to `most` correlated features of various scales and means, and a response that depends on them."""
    k = draw(st.integers(1, most))
    generator = np.random.default_rng(draw(st.integers(0, 2**32)))
    n = draw(st.integers(k + 3, 40))
    mixed = generator.normal(size=(n, k)) @ generator.normal(size=(k, k))
    X = mixed * 10 ** generator.uniform(-1, 1, k) + generator.normal(size=k) * draw(st.sampled_from([0.0, 1.0, 10.0]))
    assume(np.linalg.cond((X - X.mean(0)) / X.std(0)) < 1e3)
    return X, X @ generator.normal(size=k) + generator.normal(size=n) + 5


def over_all_masks(X, y, lam, ablate):
    """Return every row under every mask, with its probability: the augmented distribution itself."""
    rows, responses, weights = [], [], []
    for mask in itertools.product([0, 1], repeat=X.shape[1]):
        kept = np.array(mask)
        rows.append(ablate(X, kept))
        responses.append(y)
        weights.append(np.full(len(X), lam ** (1 - kept).sum() * (1 - lam) ** kept.sum() / len(X)))
    return np.concatenate(rows), np.concatenate(responses), np.concatenate(weights)


@settings(deadline=None, max_examples=60)
@given(problems(), lambdas)
def test_theorem_1_least_squares_over_all_mean_ablated_rows(problem, lam):
    X, y = problem
    rows, responses, weights = over_all_masks(X, y, lam, lambda X, kept: np.where(kept, X, X.mean(0)))
    peer = LinearRegression().fit(rows, responses, weights)
    found = linear.beta_ccp(X, y, lam)
    np.testing.assert_allclose(found.beta, peer.coef_, rtol=1e-5, atol=1e-8 * np.abs(peer.coef_).max())
    np.testing.assert_allclose(found.intercept, peer.intercept_, rtol=1e-5, atol=1e-5 * np.abs(y).max())


@settings(deadline=None, max_examples=60)
@given(problems(), lambdas)
def test_theorem_2_least_squares_over_all_rows_under_inverted_dropout(problem, lam):
    X, y = problem
    rows, responses, weights = over_all_masks(X, y, lam, lambda X, kept: X * kept / (1 - lam))
    peer = LinearRegression().fit(rows, responses, weights)
    found = linear.beta_ml2p(X, y, lam)
    np.testing.assert_allclose(found.beta, peer.coef_, rtol=1e-5, atol=1e-8 * np.abs(peer.coef_).max())
    np.testing.assert_allclose(found.intercept, peer.intercept_, rtol=1e-5, atol=1e-5 * np.abs(y).max())


def test_closed_forms_as_printed_with_the_n_restored():
    draw = np.random.default_rng(0)
    X, y = draw.normal(size=(30, 4)) @ draw.normal(size=(4, 4)) + [1, 0, -3, 2], draw.normal(size=30)
    Xc, yc, lam = X - X.mean(0), y - y.mean(), 0.3
    V, D = np.diag(X.var(0)), np.diag(X.var(0) + X.mean(0) ** 2)
    ccp = np.linalg.inv((1 - lam) * Xc.T @ Xc + 30 * lam * V) @ Xc.T @ yc
    ml2p = np.linalg.inv(Xc.T @ Xc + 30 * lam / (1 - lam) * D) @ Xc.T @ yc
    np.testing.assert_allclose(linear.beta_ccp(X, y, lam).beta, ccp, rtol=1e-10)
    np.testing.assert_allclose(linear.beta_ml2p(X, y, lam).beta, ml2p, rtol=1e-10)


@settings(deadline=None, max_examples=60)
@given(problems())
def test_ols_is_the_peers_and_the_limit_at_zero(problem):
    X, y = problem
    peer, found = LinearRegression().fit(X, y), linear.ols(X, y)
    np.testing.assert_allclose(found.beta, peer.coef_, rtol=1e-6, atol=1e-9 * np.abs(peer.coef_).max())
    np.testing.assert_allclose(found.intercept, peer.intercept_, rtol=1e-6, atol=1e-6)
    for fit in FITS:
        np.testing.assert_array_equal(fit(X, y, 0.0).beta, found.beta)


@pytest.mark.parametrize("fit", FITS)
def test_lambdas_are_solved_together_as_one_by_one(fit):
    draw = np.random.default_rng(1)
    X, y, lambdas = draw.normal(size=(20, 3)) + 2, draw.normal(size=20), [0.0, 0.2, 0.9]
    whole = fit(X, y, lambdas)
    assert whole.beta.shape == (3, 3) and whole.intercept.shape == (3,)
    for i, lam in enumerate(lambdas):
        one = fit(X, y, lam)
        assert one.beta.shape == (3,) and np.ndim(one.intercept) == 0
        np.testing.assert_allclose(whole.beta[i], one.beta, rtol=1e-12)
        np.testing.assert_allclose(whole.intercept[i], one.intercept, rtol=1e-12)
    assert fit(X, y, []).beta.shape == (0, 3)


@settings(deadline=None, max_examples=25)
@given(problems(most=3), st.floats(0.05, 0.95))
def test_the_objectives_are_least_at_the_closed_forms(problem, lam):
    X, y = problem
    X = X / X.std(0)  # so that the minimiser meets a problem of one scale
    for fit, objective in ((linear.beta_ccp, linear.ccp_objective), (linear.beta_ml2p, linear.ml2p_objective)):
        found = fit(X, y, lam)

        def value(theta, objective=objective):
            return float(objective(X, y, Linear(theta[0], theta[1:]), lam)) / len(y)

        start = np.append(found.intercept, found.beta)
        least = minimize(value, start + 0.5, method="BFGS", jac="3-point", options={"gtol": 1e-9})
        np.testing.assert_allclose(least.x, start, atol=1e-4 * (1 + np.abs(start).max()))
        nearby = start + 1e-3 * np.random.default_rng(0).normal(size=(200, len(start)))
        above = objective(X, y, Linear(nearby[:, 0], nearby[:, 1:]), lam)
        assert above.shape == (200,) and (above >= objective(X, y, found, lam)).all()


@settings(deadline=None)
@given(problems())
def test_remark_1_both_forms_of_the_penalty_are_the_definition(problem):
    X, _ = problem
    beta = np.random.default_rng(0).normal(size=(3, X.shape[1]))
    contributions = beta[:, None] * X  # (3, n, k)
    k = X.shape[1]
    for i, c in enumerate(contributions):
        covariance = np.cov(c.T, bias=True).reshape(k, k)
        expected = -len(X) * sum(covariance[a, b] for a in range(k) for b in range(k) if a != b)
        scale = 1e-10 * len(X) * np.abs(covariance).sum()
        assert linear.ccp(X, beta)[i] == pytest.approx(expected, rel=1e-8, abs=scale)
        assert linear.ccp_pairwise(X, beta)[i] == pytest.approx(expected, rel=1e-8, abs=scale)
        assert linear.ccp(X, beta[i]) == pytest.approx(linear.ccp(X, beta)[i], rel=1e-9, abs=scale)
    expected = ((X.var(0) + X.mean(0) ** 2) * beta**2).sum(1)
    np.testing.assert_allclose(linear.ml2p(X, beta), expected, rtol=1e-10)


@settings(deadline=None)
@given(problems())
def test_remark_1_the_limit_is_one_regression_a_feature(problem):
    X, y = problem
    single = [np.polyfit(x, y, 1)[0] for x in X.T]
    np.testing.assert_allclose(linear.limit_ccp(X, y).beta, single, rtol=1e-6, atol=1e-9)
    near = linear.beta_ccp(X, y, 1 - 1e-9)
    scale = np.abs(np.array(single) * X.std(0)).max()
    np.testing.assert_allclose(near.beta * X.std(0), single * X.std(0), atol=1e-6 * scale)
    assert near.intercept == pytest.approx(float(linear.limit_ccp(X, y).intercept), abs=1e-6 * np.abs(X).max() * 1e3)


def orthogonal(seed, n=20, k=4):
    draw = np.random.default_rng(seed).normal(size=(n, k))
    return np.linalg.qr(draw - draw.mean(0))[0] * np.sqrt(n) * [1.0, 0.3, 5.0, 2.0]


@settings(deadline=None)
@given(st.integers(0, 2**32), lambdas)
def test_remarks_no_penalty_without_correlation_but_ridge_shrinks(seed, lam):
    X = orthogonal(seed)
    y = np.random.default_rng(seed).normal(size=20) + X @ [1, 2, -1, 0.5]
    plain = linear.ols(X, y).beta
    np.testing.assert_allclose(linear.beta_ccp(X, y, lam).beta, plain, rtol=1e-9)
    assert abs(linear.ccp(X, plain)) < 1e-10 * (plain**2 @ X.var(0)) * 20
    np.testing.assert_allclose(linear.beta_ml2p(X, y, lam).beta, (1 - lam) * plain, rtol=1e-9)
    one = X[:, :1]
    np.testing.assert_allclose(linear.beta_ccp(one, y, lam).beta, linear.ols(one, y).beta, rtol=1e-9)


@settings(deadline=None)
@given(st.integers(0, 2**32), st.floats(0.05, 0.95))
def test_remark_1_reinforcing_contributions_are_rewarded_and_cancelling_ones_punished(seed, correlation):
    draw = np.random.default_rng(seed)
    factor = np.linalg.cholesky(np.full((3, 3), correlation) + (1 - correlation) * np.eye(3))
    X = orthogonal(seed, k=4)[:, :3] / orthogonal(seed)[:, :3].std(0) @ factor.T
    sizes = draw.uniform(0.5, 2, 3)
    assert linear.ccp(X, sizes) < 0 < linear.ccp(X[:, :2], sizes[:2] * [1, -1])


@settings(deadline=None)
@given(st.integers(0, 2**32), lambdas)
def test_remarks_twins_share_equally_and_only_the_modified_l2_shrinks_them_together(seed, lam):
    draw = np.random.default_rng(seed)
    x, other = draw.normal(size=(2, 30))
    X, y = np.stack([x, x, other], axis=1), 2 * x + other + 0.1 * draw.normal(size=30)
    y = y - y.mean()
    X = X - X.mean(0)
    ccp, ml2p = (fit(X, y, lam).beta for fit in FITS)
    assert ccp[0] == pytest.approx(ccp[1], rel=1e-6) and ml2p[0] == pytest.approx(ml2p[1], rel=1e-6)
    # By hand, in the twins' sum and the other's coefficient: a twin's own square is not penalised, so half of the
    # twins' square is given back and they grow with lambda, were it not for what they share with the other.
    (own, shared), (_, rest) = np.cov(x, other, bias=True)
    curvature = [[own * (1 - lam / 2), shared * (1 - lam)], [shared * (1 - lam), rest]]
    total, third = np.linalg.solve(curvature, X[:, 1:].T @ y / 30)
    assert [ccp[:2].sum(), ccp[2]] == pytest.approx([total, third], rel=1e-6)
    assert ml2p[:2].sum() == pytest.approx((1 - lam) * total, rel=1e-6)
    shares = np.linspace(-1, 2, 301)
    penalty = linear.ccp(X, np.stack([shares, 1 - shares, np.zeros(301)], axis=1))
    assert shares[penalty.argmin()] == pytest.approx(0.5)


@settings(deadline=None)
@given(problems(), lambdas)
def test_remark_2_with_zero_means_the_fits_differ_by_the_scale_alone(problem, lam):
    X, y = problem
    X = X - X.mean(0)
    ccp, ml2p = linear.beta_ccp(X, y, lam).beta, linear.beta_ml2p(X, y, lam).beta
    np.testing.assert_allclose(ml2p, (1 - lam) * ccp, rtol=1e-6, atol=1e-10 * np.abs(ccp).max())


@settings(deadline=None)
@given(problems(), lambdas, st.floats(-20, 20))
def test_remark_2_a_mean_matters_to_the_modified_l2_alone(problem, lam, shift):
    X, y = problem
    moved = X + shift * X.std(0)
    scale = np.abs(linear.ols(X, y).beta * X.std(0)).max()
    ccp = (linear.beta_ccp(moved, y, lam).beta - linear.beta_ccp(X, y, lam).beta) * X.std(0)
    assert np.abs(ccp).max() < 1e-7 * scale
    centred = X - X.mean(0)
    share = linear.beta_ml2p(centred[:, :1] + shift * X.std(0)[0], y, lam).beta / linear.ols(X[:, :1], y).beta
    assert share[0] == pytest.approx(1 / (1 + lam / (1 - lam) * (1 + shift**2)), rel=1e-6)


@pytest.mark.parametrize("constant", [0.0, 0.1, -7.3e5])
def test_constant_features_get_zero_at_every_lambda(constant):
    draw = np.random.default_rng(2)
    X, y = draw.normal(size=(50, 2)) + 3, draw.normal(size=50)
    padded, lambdas = np.insert(X, 1, constant, axis=1), [0.0, 1e-6, 0.5, 0.99]
    for fit in FITS:
        found, plain = fit(padded, y, lambdas), fit(X, y, lambdas)
        assert (found.beta[:, 1] == 0).all()
        np.testing.assert_allclose(found.beta[:, [0, 2]], plain.beta, rtol=1e-12)
        np.testing.assert_allclose(found.intercept, plain.intercept, rtol=1e-10)
    assert linear.limit_ccp(padded, y).beta[1] == 0
    alone = linear.ols(np.full((5, 2), constant), np.arange(5.0))
    assert (alone.beta == 0).all() and alone.intercept == 2.0


def test_without_a_unique_solution_least_squares_is_refused_and_the_penalties_solve_it():
    draw = np.random.default_rng(3)
    a, b = draw.normal(size=(2, 12))
    dependent, few = np.stack([a, b, a - 2 * b + 4], axis=1), draw.normal(size=(4, 6))
    for X in (dependent, few):
        y = draw.normal(size=len(X))
        with pytest.raises(ModelError, match="linearly dependent.*drop features, add rows, or take a larger lambda"):
            linear.ols(X, y)
        for fit in FITS:
            with pytest.raises(ModelError, match="linearly dependent"):
                fit(X, y, [0.5, 0.0])
            assert np.isfinite(fit(X, y, 0.01).beta).all()


def test_features_of_any_scale_are_solved():
    draw = np.random.default_rng(4)
    X, y = draw.normal(size=(60, 3)) @ draw.normal(size=(3, 3)), draw.normal(size=60)
    scale = np.array([1e-9, 1.0, 1e9])
    for fit in (*FITS, lambda X, y, lam: linear.ols(X, y)):
        np.testing.assert_allclose(fit(X * scale, y, 0.4).beta * scale, fit(X, y, 0.4).beta, rtol=1e-8)


@pytest.mark.parametrize(
    ("X", "y", "match"),
    [
        (np.ones((1, 2)), [1.0], "n >= 2"),
        (np.ones((0, 2)), [], "n >= 2"),
        (np.ones((4, 0)), np.ones(4), "k >= 1"),
        (np.ones((4, 2)), np.ones(3), r"not \(4, 2\) and \(3,\)"),
        (np.ones(4), np.ones(4), "shape"),
        (np.ones((4, 2)), np.ones((4, 1)), "shape"),
        ([[1.0], [np.nan]], [1.0, 2.0], "not finite"),
        ([[1.0], [2.0]], [1.0, np.inf], "not finite"),
    ],
)
def test_what_is_no_data_set_is_refused(X, y, match):
    calls = [linear.ols, linear.limit_ccp, moments, lambda X, y: linear.beta_ccp(X, y, 0.5)]
    for call in (*calls, lambda X, y: linear.ml2p_objective(X, y, Linear(np.zeros(()), np.zeros(2)), 0.5)):
        with pytest.raises(ParameterError, match=match):
            call(X, y)


@pytest.mark.parametrize("lam", [-0.1, 1.0, np.nan, [0.2, 1.5]])
@pytest.mark.parametrize("fit", FITS)
def test_lambda_out_of_range_is_refused(fit, lam):
    with pytest.raises(ParameterError, match=r"\[0, 1\)"):
        fit(np.arange(8.0).reshape(4, 2), np.arange(4.0), lam)


def test_lambdas_of_two_axes_are_refused():
    with pytest.raises(ParameterError, match=r"shape \(1, 2\)"):
        linear.beta_ccp(np.arange(6.0).reshape(6, 1), np.arange(6.0), [[0.1, 0.2]])
