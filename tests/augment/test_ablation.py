"""Mean ablation and inverted dropout: their masks, their moments (Appendices B and C), and one batch for replicas."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from augury.augment.ablation import ablate_replicas, check_lambda, inverted_dropout, mean_ablation
from augury.augment.base import Augmentation, compose, identity
from augury.errors import ParameterError
from augury.seeding import torch_generator

SMALL = 1e-4  # p-values of the checks of chance; their seeds are fixed


def table(rows=7, k=3, seed=0):
    x = torch.randn(rows, k, dtype=torch.float64, generator=torch_generator(seed, "table"))
    return x @ torch.tensor([[1.0, 0.5, 0.0], [0.0, 1.0, -0.7], [0.0, 0.0, 2.0]]).double() + torch.tensor(
        [2.0, 0.0, -5]
    )


def both(lam, mean):
    return {"MADA": mean_ablation(lam, mean), "IID": inverted_dropout(lam)}


@pytest.mark.parametrize("name", ["MADA", "IID"])
@pytest.mark.parametrize("lam", [0.1, 0.5, 0.9])
def test_masks_are_independent_and_of_the_right_probability(name, lam):
    x = torch.full((40_000, 3), 2.0, dtype=torch.float64)
    out, _ = both(lam, torch.tensor([-1.0, 0.0, 7.0]))[name](x, torch.zeros(40_000), torch_generator(1, name))
    kept = (out == (2.0 if name == "MADA" else 2.0 / (1 - lam))).numpy()
    ablated = (out == (torch.tensor([-1.0, 0.0, 7.0]) if name == "MADA" else 0.0)).numpy()
    assert (kept ^ ablated).all()
    for column in kept.T:
        assert stats.binomtest(int(column.sum()), len(column), 1 - lam).pvalue > SMALL
    # all eight patterns of a row's masks, and of the masks of neighbouring rows, at the frequencies of independence
    for patterns in (kept, np.stack([kept[:-2:3, 0], kept[1:-1:3, 0], kept[2::3, 0]], axis=1)):
        counts = np.bincount(patterns @ [4, 2, 1], minlength=8)
        ones = np.array([bin(pattern).count("1") for pattern in range(8)])
        expected = len(patterns) * (1 - lam) ** ones * lam ** (3 - ones)
        assert stats.chisquare(counts, expected).pvalue > SMALL


@pytest.mark.parametrize("lam", [0.2, 0.7])
def test_moments_are_those_of_the_appendices(lam):
    x, number = table(), 200_000
    y = x @ torch.tensor([1.0, -2.0, 0.5]).double()
    mean, n = x.mean(0), len(x)
    centred, response = x - mean, y - y.mean()
    covariance, cross = centred.mT @ centred / n, centred.mT @ response / n
    v, second = covariance.diagonal(), covariance.diagonal() + mean**2
    expected = {
        "MADA": ((1 - lam) ** 2 * covariance + lam * (1 - lam) * v.diag(), (1 - lam) * cross),
        "IID": (covariance + lam / (1 - lam) * second.diag(), cross),
    }
    chosen = torch.randint(n, (number,), generator=torch_generator(2))
    for name, augmentation in both(lam, mean).items():
        rows, kept = augmentation(x[chosen], y[chosen], torch_generator(3, name))
        assert torch.equal(kept, y[chosen])  # the response is never ablated
        away, apart = rows - mean, (kept - y.mean())[:, None]
        products = torch.cat([away, away[:, :, None].mul(away[:, None]).flatten(1), away * apart], dim=1)
        gram, with_response = expected[name]
        truth = torch.cat([torch.zeros(3).double(), gram.flatten(), with_response])
        z = (products.mean(0) - truth) / (products.std(0) / number**0.5)
        assert z.abs().max() < stats.norm.isf(SMALL / 2 / len(truth))


@settings(deadline=None, max_examples=40)
@given(seed=st.integers(0, 2**32), lam=st.floats(0, 0.99), first=st.booleans())
def test_they_compose_as_augmentations(seed, lam, first):
    x, y = table(), torch.arange(7)
    part = list(both(lam, x.mean(0)).values())[first]
    before = x.clone()
    alone = part(x, y, torch_generator(seed))
    for whole in (compose(part, identity), compose(identity, part)):
        assert isinstance(whole, Augmentation)
        again = whole(x, y, torch_generator(seed))
        assert torch.equal(again[0], alone[0]) and torch.equal(again[1], y)
    assert torch.equal(x, before) and alone[0].shape == x.shape and alone[0].dtype == x.dtype
    generator = torch_generator(seed)
    twice = part(*part(x, y, generator), generator)
    assert torch.equal(compose(part, part)(x, y, torch_generator(seed))[0], twice[0])


def test_names_and_no_ablation():
    x, y = table(), torch.arange(7)
    assert mean_ablation(0.25, x.mean(0)).name == "MADA(0.25)" and inverted_dropout(0.5).name == "IID(0.5)"
    for augmentation in both(0.0, x.mean(0)).values():
        assert torch.equal(augmentation(x, y, torch_generator(0))[0], x)


def test_single_precision_stays_single():
    x, y = table().float(), torch.arange(7)
    for augmentation in both(0.5, table().mean(0)).values():
        assert augmentation(x, y, torch_generator(0))[0].dtype == torch.float32


@pytest.mark.parametrize("lam", [-0.1, 1.0, 2.0, float("nan")])
def test_lambda_out_of_range_is_refused(lam):
    for make in (
        lambda: mean_ablation(lam, torch.zeros(3)),
        lambda: inverted_dropout(lam),
        lambda: check_lambda([0, lam]),
    ):
        with pytest.raises(ParameterError, match=r"must lie in \[0, 1\)"):
            make()


def replicas(lambdas, scaled, seed=4, rows=50):
    x = table(rows)
    x = x - x.mean(0)
    lam = torch.tensor(lambdas, dtype=torch.float64)
    scale = 1 / (1 - lam) if scaled else torch.ones_like(lam)
    return x, ablate_replicas(x, lam, scale, torch_generator(seed))


def test_replicas_of_equal_lambda_have_equal_masks_and_growing_lambda_only_ablates_more():
    x, out = replicas([0.3, 0.0, 0.3, 0.6, 0.9], scaled=False)
    assert out.shape == (5, 50, 3) and torch.equal(out[0], out[2]) and torch.equal(out[1], x)
    kept = out != 0
    for less, more in ((1, 0), (0, 3), (3, 4)):
        assert not (kept[more] & ~kept[less]).any() and kept[more].sum() < kept[less].sum()


@pytest.mark.parametrize("scaled", [False, True])
def test_each_replica_sees_what_the_augmentation_gives(scaled):
    lambdas = [0.0, 0.35, 0.8]
    x, out = replicas(lambdas, scaled)
    before = x.clone()
    for lam, own in zip(lambdas, out, strict=True):
        augmentation = inverted_dropout(lam) if scaled else mean_ablation(lam, torch.zeros(3))
        expected, _ = augmentation(x, torch.zeros(50), torch_generator(4))
        torch.testing.assert_close(own, expected, rtol=1e-14, atol=0)
    assert torch.equal(x, before)
