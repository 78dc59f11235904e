import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from augury.augment.base import Augmentation, compose, identity, label_preserving, random_pick
from augury.augment.exhaustive import crop, translate
from augury.errors import ParameterError
from augury.seeding import torch_generator


def _flip(x, generator):
    return torch.where((torch.rand(len(x), generator=generator) < 0.5)[:, None, None, None], x.flip(2), x)


def _noise(x, generator):
    return x ^ torch.randint(0, 4, x.shape, generator=generator, dtype=torch.uint8)


def _resample(x, y, generator):
    """Draw 3 of every 2 points, with replacement: r differs from s."""
    chosen = torch.randint(len(x), (3 * len(x) // 2,), generator=generator)
    return x[chosen], y[chosen]


PARTS = [
    identity,
    label_preserving("flip", _flip),
    label_preserving("noise", _noise),
    Augmentation("resample", _resample),
    random_pick(translate(1)),
    random_pick(crop([1, 2]), original=False),
]
parts = st.sampled_from(PARTS)
seeds = st.integers(0, 2**32)


def sample(n=6, seed=0):
    x = torch.randint(0, 256, (n, 8, 8, 1), dtype=torch.uint8, generator=torch_generator(seed, "images"))
    x[:, 0, 0, 0] = torch.arange(n)  # so that no two images are alike
    return x, torch.arange(n)


def same(a, b):
    return torch.equal(a[0], b[0]) and torch.equal(a[1], b[1])


@settings(deadline=None, max_examples=60)
@given(chain=st.lists(parts, max_size=4), seed=seeds)
def test_compositions_are_augmentations(chain, seed):
    whole, (x, y) = compose(*chain), sample()
    before = x.clone()
    assert isinstance(whole, Augmentation)
    out_x, out_y = whole(x, y, torch_generator(seed))
    assert len(out_x) == len(out_y) and out_x.dtype == torch.uint8 and out_x.shape[1:] == x.shape[1:]
    assert set(out_y.tolist()) <= set(y.tolist())
    assert torch.equal(x, before)


@settings(deadline=None, max_examples=60)
@given(a=parts, b=parts, c=parts, seed=seeds)
def test_composition_is_associative_with_the_identity_as_unit(a, b, c, seed):
    left = compose(compose(a, b), c)(*sample(), torch_generator(seed))
    right = compose(a, compose(b, c))(*sample(), torch_generator(seed))
    assert same(left, right)
    alone = a(*sample(), torch_generator(seed))
    assert same(compose(identity, a)(*sample(), torch_generator(seed)), alone)
    assert same(compose(a, identity)(*sample(), torch_generator(seed)), alone)


def test_the_last_part_is_applied_first():
    zero = label_preserving("zero", lambda x, generator: torch.zeros_like(x))
    one = label_preserving("one", lambda x, generator: torch.ones_like(x))
    assert (compose(zero, one)(*sample(), torch_generator(0))[0] == 0).all()
    assert compose(zero, one).name == "zero o one" and compose().name == "identity"


@pytest.mark.parametrize("augmentation", PARTS[1:], ids=lambda a: a.name)
def test_the_generator_alone_decides(augmentation):
    first = augmentation(*sample(40), torch_generator(1))
    state = torch.get_rng_state()
    torch.rand(3)
    assert same(first, augmentation(*sample(40), torch_generator(1)))
    assert not same(first, augmentation(*sample(40), torch_generator(2)))
    torch.set_rng_state(state)
    augmentation(*sample(40), torch_generator(3))
    assert torch.equal(torch.get_rng_state(), state)


@settings(deadline=None, max_examples=30)
@given(seed=seeds, chain=st.lists(st.sampled_from([p for p in PARTS if p.name != "resample"]), max_size=3))
def test_label_preserving_parts_keep_the_labels_and_their_order(seed, chain):
    x, y = sample()
    assert torch.equal(compose(*chain)(x, y, torch_generator(seed))[1], y)
    soft = torch.eye(6)[y]
    assert torch.equal(compose(*chain)(x, soft, torch_generator(seed))[1], soft)


@pytest.mark.parametrize("original", [True, False])
def test_random_pick_is_uniform_over_the_copies_and_independent_between_points(original):
    transform, (x, y) = translate(1), sample(2)
    candidates = transform(x.numpy()).x.reshape(2, 4, 8, 8, 1)
    if original:
        candidates = np.concatenate([candidates, x.numpy()[:, None]], axis=1)
    picked, _ = random_pick(transform, original)(x.repeat(3000, 1, 1, 1), y.repeat(3000), torch_generator(5))
    hits = (picked.numpy().reshape(3000, 2, 1, 64) == candidates.reshape(1, 2, -1, 64)).all(-1)
    assert (hits.sum(-1) == 1).all()  # each picked image is one candidate of its own original
    choice = hits.argmax(-1)
    joint = np.zeros((4 + original, 4 + original))
    np.add.at(joint, (choice[:, 0], choice[:, 1]), 1)
    assert stats.chisquare(joint.ravel()).pvalue > 1e-3


def test_wrong_lengths_are_refused():
    x, y = sample()
    with pytest.raises(ParameterError, match="was given 6 samples and 5 labels"):
        identity(x, y[:5], torch_generator(0))
    with pytest.raises(ParameterError, match="'lossy' returned 3 samples and 6 labels"):
        label_preserving("lossy", lambda x, generator: x[::2])(x, y, torch_generator(0))
