"""Each test of a claim against scipy, a closed form, its own inversion, or all permutations counted by brute force."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from augury.claims import (
    difference,
    equivalence,
    one_sample,
    proportion,
    sign_test,
    spearman,
    trend,
    variance_ratio,
)
from augury.errors import ParameterError

A = np.array([0.912, 0.935, 0.921, 0.941, 0.917, 0.930])
B = np.array([0.904, 0.918, 0.925, 0.902, 0.911, 0.915])
ALTERNATIVES = ("greater", "less", "two-sided")


@pytest.mark.parametrize("alternative", ALTERNATIVES)
def test_difference_is_welch(alternative: str) -> None:
    ours, peer = difference(A, B[:5], alternative=alternative), stats.ttest_ind(A, B[:5], equal_var=False)
    low, high = peer.confidence_interval(0.95)
    one_sided = stats.ttest_ind(A, B[:5], equal_var=False, alternative=alternative)
    assert (ours.statistic, ours.p) == pytest.approx((one_sided.statistic, one_sided.pvalue), rel=1e-10)
    assert (ours.low, ours.high, ours.n) == (pytest.approx(low, rel=1e-9), pytest.approx(high, rel=1e-9), (6, 5))
    assert ours.effect == pytest.approx(A.mean() - B[:5].mean(), rel=1e-12)


@pytest.mark.parametrize("alternative", ALTERNATIVES)
def test_difference_is_paired_t(alternative: str) -> None:
    ours, peer = difference(A, B, paired=True, alternative=alternative), stats.ttest_rel(A, B, alternative=alternative)
    low, high = stats.ttest_rel(A, B).confidence_interval(0.95)
    assert (ours.statistic, ours.p) == pytest.approx((peer.statistic, peer.pvalue), rel=1e-10)
    assert (ours.low, ours.high) == pytest.approx((low, high), rel=1e-9)
    assert ours.n == (6,)


@pytest.mark.parametrize("alternative", ALTERNATIVES)
def test_one_sample_is_the_t_test_against_a_value(alternative: str) -> None:
    ours, peer = one_sample(A, 0.92, alternative), stats.ttest_1samp(A, 0.92, alternative=alternative)
    assert (ours.statistic, ours.p) == pytest.approx((peer.statistic, peer.pvalue), rel=1e-10)
    assert ours.effect == pytest.approx(A.mean() - 0.92)


def test_null_shifts_the_test_but_not_the_effect() -> None:
    shifted, moved = difference(A, B, null=-0.01), difference(A + 0.01, B)
    assert (shifted.p, shifted.statistic) == pytest.approx((moved.p, moved.statistic), rel=1e-9)
    assert shifted.effect == pytest.approx(A.mean() - B.mean())


def test_hedges_g_by_hand() -> None:
    # Two samples of three: difference 1, pooled sd 1, df 4.
    # The factor is Gamma(2) / (sqrt(2) Gamma(3/2)) = 2 / sqrt(2 pi).
    assert difference([2, 3, 4], [1, 2, 3]).standardised == pytest.approx(2 / math.sqrt(2 * math.pi))
    # Differences 0, 1, 2, df 2: the factor is Gamma(1) / (1 Gamma(1/2)) = 1 / sqrt(pi).
    assert difference([1, 3, 5], [1, 2, 3], paired=True).standardised == pytest.approx(1 / math.sqrt(math.pi))


def test_hedges_g_is_unbiased() -> None:
    rng = np.random.default_rng(0)
    samples = rng.normal(size=(20000, 2, 4)) + np.array([0.8, 0.0])[:, None]
    found = np.array([difference(a, b).standardised for a, b in samples[:4000]])
    assert found.mean() == pytest.approx(0.8, abs=4 * found.std() / math.sqrt(len(found)))


def test_samples_without_spread_have_a_limit() -> None:
    constant = [0.1 + 0.2] * 5
    equal, above = difference(constant, [0.3] * 5), difference(constant, [0.2] * 5)
    assert (equal.statistic, equal.p, equal.standardised) == (0, 0.5, 0)
    assert (above.statistic, above.p, above.standardised) == (math.inf, 0, math.inf)
    assert above.as_dict()["statistic"] == "inf"
    assert difference([0.2] * 5, constant).p == 1
    assert equivalence(constant, 0.3, margin=0.01).p == 0


@pytest.mark.parametrize("paired", [True, False])
@pytest.mark.parametrize("margin", [0.02, 0.03, 0.001])
def test_equivalence_is_two_one_sided_tests(paired: bool, margin: float) -> None:
    ours = equivalence(A, B, margin, paired=paired)
    test = stats.ttest_rel if paired else lambda a, b, **k: stats.ttest_ind(a, b, equal_var=False, **k)
    above, below = test(A + margin, B, alternative="greater"), test(A - margin, B, alternative="less")
    assert ours.p == pytest.approx(max(above.pvalue, below.pvalue), rel=1e-9)
    assert (ours.p < 0.05) == (-margin < ours.low and ours.high < margin)
    assert ours.level == pytest.approx(0.9)


@pytest.mark.parametrize("alternative", ALTERNATIVES)
def test_independent_variances_are_brown_forsythe(alternative: str) -> None:
    rng = np.random.default_rng(1)
    a, b = rng.normal(size=12), 2 * rng.normal(size=9)
    peer = stats.levene(a, b, center="median")
    ours = variance_ratio(a, b, alternative=alternative)
    assert ours.statistic**2 == pytest.approx(peer.statistic, rel=1e-9)
    smaller = {"two-sided": peer.pvalue, "less": peer.pvalue / 2, "greater": 1 - peer.pvalue / 2}
    assert ours.p == pytest.approx(smaller[alternative], rel=1e-9)
    assert ours.effect == pytest.approx(a.var(ddof=1) / b.var(ddof=1))
    # The F interval is inverted: at its ends the classical variance test is exactly at 5 %.
    for end, tail in ((ours.low, stats.f.sf), (ours.high, stats.f.cdf)):
        assert tail(ours.effect / end, 11, 8) == pytest.approx(0.025, rel=1e-6)


def test_paired_variances_are_the_correlation_of_sum_and_difference() -> None:
    rng = np.random.default_rng(2)
    common = rng.normal(size=15)
    a, b = common + 0.3 * rng.normal(size=15), common + rng.normal(size=15)
    ours = variance_ratio(a, b, paired=True, alternative="two-sided")
    assert ours.p == pytest.approx(stats.pearsonr(a + b, a - b).pvalue, rel=1e-8)
    assert variance_ratio(a, b, paired=True).p == pytest.approx(
        stats.pearsonr(a + b, a - b, alternative="less").pvalue, rel=1e-8
    )
    # A ratio at an end of the interval is just not rejected.
    for end in (ours.low, ours.high):
        assert variance_ratio(a, math.sqrt(end) * b, paired=True, alternative="two-sided").p == pytest.approx(0.05)


def test_variances_have_limits() -> None:
    constant = [0.1 + 0.2] * 4
    assert variance_ratio(constant, [0.5] * 4).p == 1
    assert variance_ratio(constant, [0.5] * 4).as_dict()["high"] == "inf"
    for paired in (True, False):
        less = variance_ratio(constant, [1, 2, 4, 9], paired=paired)
        assert less.effect == 0 and less.p < 0.05
        assert variance_ratio([1, 2, 4, 9], constant, paired=paired).p > 0.95
    twice = variance_ratio([1, 2, 4], [2, 4, 8], paired=True)
    assert (twice.statistic, twice.p) == (-math.inf, 0)


@pytest.mark.parametrize("alternative", ALTERNATIVES)
def test_sign_test_counts_by_hand(alternative: str) -> None:
    ours = sign_test([2, 2, 2, 2, 0, 1], [1, 1, 1, 1, 1, 1], alternative)
    heads = [sum(flips) for flips in itertools.product((0, 1), repeat=5)]
    extreme = {"greater": lambda h: h >= 4, "less": lambda h: h <= 4, "two-sided": lambda h: h in (0, 1, 4, 5)}
    assert ours.p == pytest.approx(np.mean([extreme[alternative](h) for h in heads]))
    assert (ours.effect, ours.n) == (0.8, (5,))


def test_sign_test_of_ties_alone_is_no_evidence() -> None:
    ours = sign_test([1, 1], [1, 1])
    assert (ours.p, ours.effect, ours.low, ours.high, ours.n) == (1, 0.5, 0, 1, (0,))


def test_proportion_has_wilson_interval() -> None:
    ours = proportion(7, 10, 0.5)
    z2, share = stats.norm.ppf(0.975) ** 2, 0.7
    centre = (share + z2 / 20) / (1 + z2 / 10)
    half = math.sqrt(z2) / (1 + z2 / 10) * math.sqrt(share * 0.3 / 10 + z2 / 400)
    assert (ours.low, ours.high) == pytest.approx((centre - half, centre + half), rel=1e-9)
    assert ours.p == pytest.approx(sum(math.comb(10, k) for k in range(7, 11)) / 2**10)


rhos = np.array([1 - 6 * sum((i - j) ** 2 for i, j in enumerate(p)) / 210 for p in itertools.permutations(range(6))])


@settings(deadline=None)
@given(st.permutations(range(6)), st.sampled_from(ALTERNATIVES))
def test_spearman_is_exact_for_few_pairs(y: list[int], alternative: str) -> None:
    ours = spearman(range(6), y, alternative)
    assert ours.effect == pytest.approx(stats.spearmanr(range(6), y).statistic)
    extreme = {
        "greater": rhos >= ours.effect - 1e-9,
        "less": rhos <= ours.effect + 1e-9,
        "two-sided": np.abs(rhos) >= abs(ours.effect) - 1e-9,
    }
    assert ours.p == pytest.approx(extreme[alternative].mean())


@pytest.mark.parametrize("alternative", ALTERNATIVES)
def test_spearman_with_ties_is_scipys(alternative: str) -> None:
    rng = np.random.default_rng(3)
    x = rng.integers(0, 8, 40)
    y = x + rng.integers(0, 12, 40)
    ours, peer = spearman(x, y, alternative), stats.spearmanr(x, y, alternative=alternative)
    assert (ours.effect, ours.p) == pytest.approx((peer.statistic, peer.pvalue), rel=1e-9)


def test_spearman_interval_covers() -> None:
    rng = np.random.default_rng(4)
    r = 0.6  # of the normal copula; its rank correlation is 6/pi asin(r/2)
    target = 6 / math.pi * math.asin(r / 2)
    draws = rng.multivariate_normal([0, 0], [[1, r], [r, 1]], size=(1500, 30))
    tests = [spearman(d[:, 0], d[:, 1]) for d in draws]
    assert np.mean([t.low <= target <= t.high for t in tests]) == pytest.approx(0.95, abs=0.02)


def test_perfect_correlation_has_a_point_interval() -> None:
    ours = spearman(range(5), [1, 4, 9, 16, 25])
    assert (ours.effect, ours.low, ours.high) == (1, 1, 1)
    assert ours.p == pytest.approx(1 / math.factorial(5))


def test_trend_is_page_by_brute_force() -> None:
    data = np.array([[1.0, 3.0, 2.0], [0.1, 0.2, 0.9], [5.0, 4.0, 6.0]])
    ours = trend(data)
    scores = [sum((j + 1) * rank for j, rank in enumerate(p)) for p in itertools.permutations((1, 2, 3))]
    found = sum((j + 1) * r for row in stats.rankdata(data, axis=1) for j, r in enumerate(row))
    sums = [sum(combination) for combination in itertools.product(scores, repeat=3)]
    assert ours.statistic == found
    assert ours.p == pytest.approx(np.mean(np.array(sums) >= found))
    assert ours.effect == pytest.approx(np.mean([stats.spearmanr(row, range(3)).statistic for row in data]))


def test_falling_trend_mirrors_a_rising_one() -> None:
    data = np.random.default_rng(5).normal(size=(6, 5)) + np.arange(5)
    rising, falling = trend(data), trend(-data, "decreasing")
    assert (rising.p, rising.effect) == pytest.approx((falling.p, -falling.effect))
    assert rising.p < 0.001 < 0.99 < trend(data, "decreasing").p
    assert trend(np.ones((3, 4))).effect == 0 and trend(np.ones((3, 4))).p > 0.4


@pytest.mark.parametrize(
    "call",
    [
        lambda: difference([1.0], [1.0, 2.0]),
        lambda: difference([1.0, math.nan], [1.0, 2.0]),
        lambda: difference([1.0, 2.0], [1.0, 2.0, 3.0], paired=True),
        lambda: difference([1.0, 2.0], math.inf),
        lambda: difference([1.0, 2.0], [1.0, 2.0], alternative="more"),
        lambda: equivalence(A, B, 0.0),
        lambda: variance_ratio([1, 2], [1, 2, 3]),
        lambda: sign_test([], []),
        lambda: spearman([1, 2, 3], [1, 2, 3]),
        lambda: spearman([1, 1, 1, 1], [1, 2, 3, 4]),
        lambda: spearman(range(5), [2, 1, 3, 5, 4], "more"),
        lambda: trend([1, 2, 3]),
        lambda: trend([[1, 2], [2, 3]]),
        lambda: trend(np.ones((2, 3)), "up"),
        lambda: proportion(4, 3),
        lambda: proportion(1, 3, 1.2),
    ],
)
def test_samples_no_test_can_use_are_refused(call) -> None:
    with pytest.raises(ParameterError):
        call()
