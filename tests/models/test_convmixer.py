"""ConvMixer against plain sums, its parameters counted by hand, its gradients in single and double precision."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from augury.errors import ModelError
from augury.models.convmixer import ConvMixer
from augury.seeding import torch_generator
from augury.training.loop import evaluate, fit


def images(n=4, side=8, channels=3):
    return torch.randint(0, 256, (n, side, side, channels), dtype=torch.uint8, generator=torch_generator(0, "images"))


def small(**settings):
    return ConvMixer(**({"classes": 3, "dim": 6, "depth": 2, "kernel": 3} | settings))


def count(classes, dim, depth, kernel, patch, channels):
    embedding = dim * (channels * patch**2 + 1) + 2 * dim
    mixer = dim * (kernel**2 + 1) + 2 * dim + dim * (dim + 1) + 2 * dim
    return embedding + depth * mixer + classes * (dim + 1)


@pytest.mark.parametrize(
    ("settings", "channels"), [((10, 256, 8, 5, 2), 3), ((4, 16, 3, 4, 4), 1)], ids=["default", "small"]
)
def test_parameters_counted_by_hand(settings, channels):
    model = ConvMixer(*settings, channels=channels)
    assert sum(p.numel() for p in model.parameters()) == count(*settings, channels)


def plain(model, x):
    """The published network written out, channels first, every depthwise kernel by itself."""

    def norm(z, layer):
        if layer.training:
            mean, var = z.mean((0, 2, 3)), z.var((0, 2, 3), unbiased=False)
        else:
            mean, var = layer.running_mean, layer.running_var
        z = (z - mean[:, None, None]) / torch.sqrt(var[:, None, None] + layer.eps)
        return z * layer.weight[:, None, None] + layer.bias[:, None, None]

    def gelu(z):
        return z * (1 + torch.erf(z / 2**0.5)) / 2

    z = x.double().permute(0, 3, 1, 2).contiguous() / 255
    p = model.patch
    cut = z.unfold(2, p, p).unfold(3, p, p)  # (n, C, H / p, W / p, p, p)
    z = torch.einsum("nchwij,dcij->ndhw", cut, model.embedding.weight) + model.embedding.bias[:, None, None]
    h = norm(gelu(z), model.norm)
    for mixer in model.mixers:
        side = mixer.depthwise.weight.shape[-1]
        padded = F.pad(h, (side // 2,) * 4)
        parts = padded.unfold(2, side, 1).unfold(3, side, 1)  # (n, dim, H, W, side, side)
        z = torch.einsum("ndhwij,dij->ndhw", parts, mixer.depthwise.weight[:, 0])
        h = h + norm(gelu(z + mixer.depthwise.bias[:, None, None]), mixer.norm1)
        z = torch.einsum("nchw,dc->ndhw", h, mixer.pointwise.weight[:, :, 0, 0])
        h = norm(gelu(z + mixer.pointwise.bias[:, None, None]), mixer.norm2)
    return h.mean((2, 3))


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize(("kernel", "patch"), [(3, 2), (5, 1), (3, 4)])
def test_values_are_those_of_the_published_network(kernel, patch, training):
    model, x = small(kernel=kernel, patch=patch).double().train(training), images()
    for i, layer in enumerate(layer for layer in model.modules() if isinstance(layer, nn.BatchNorm2d)):
        for tensor in (layer.weight.data, layer.bias.data, layer.running_mean):
            tensor.normal_(generator=torch_generator(i))
    expected = plain(model, x)
    torch.testing.assert_close(model.features(x), expected)
    model.eval()
    torch.testing.assert_close(model(x), plain(model, x) @ model.head.weight.T + model.head.bias)
    assert model.features(x).shape == (4, 6)


@pytest.mark.parametrize(("dim", "patch", "channels"), [(4, 1, 3), (6, 2, 3), (16, 2, 1), (16, 1, 1)])
def test_single_precision_channels_last_gradients_equal_double_in_plain_sums(dim, patch, channels):
    """Narrow layers in this layout are where convolutions of some builds have gone wrong."""
    single, y = small(dim=dim, patch=patch, channels=channels), torch.tensor([0, 1, 2, 0])
    double = small(dim=dim, patch=patch, channels=channels).double()
    single.to(memory_format=torch.channels_last)
    x = images(channels=channels)
    expected = torch.autograd.grad(F.cross_entropy(double.head(plain(double, x)), y), list(double.parameters()))
    found = torch.autograd.grad(F.cross_entropy(single(x), y), list(single.parameters()))
    for a, b in zip(found, expected, strict=True):
        torch.testing.assert_close(a.double(), b, rtol=1e-2, atol=1e-3 * float(b.abs().max()))
        assert (b != 0).any()


def test_dropout_lies_before_the_classes():
    model, x = small(dropout=0.5, dim=32).eval(), images(40)
    plain_features = model.features(x)
    model.dropout.train()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        dropped = model.features(x)
    kept = dropped != 0
    assert float(kept.float().mean()) == pytest.approx(0.5, abs=0.05)
    torch.testing.assert_close(dropped[kept], 2 * plain_features[kept])
    model.eval()
    torch.testing.assert_close(model(x), model.head(plain_features))


def test_learns():
    y = torch.arange(64) % 2
    x = images(64) // 2
    x[y == 1, :4] += 100
    model = small(classes=2, dim=12)
    fit(model, x, y, epochs=15, batch_size=16, lr=1e-2, generator=torch_generator(0))
    assert evaluate(model, x, y)["validation_accuracy"] == 1


def test_seed_decides_the_weights_and_global_state_is_left_alone():
    state = torch.get_rng_state()
    first, again, other = (small(seed=seed).eval()(images()) for seed in (1, 1, 2))
    assert torch.equal(first, again) and not torch.equal(first, other)
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize("settings", [{"classes": 0}, {"depth": 0}, {"kernel": 0}, {"patch": 0}, {"dropout": 1.0}])
def test_sizes_it_cannot_have_are_refused(settings):
    with pytest.raises(ModelError, match="ConvMixer takes"):
        small(**settings)


def test_images_that_cannot_be_cut_are_refused():
    with pytest.raises(ModelError, match="8 x 8 cannot be cut into patches of side 3"):
        small(patch=3)(images())
