import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from augury.errors import ModelError
from augury.models.resnet import PRESETS, Pointwise, ResNetV2, Unit, resnet
from augury.seeding import torch_generator


def images(n=4, side=32, channels=3, seed=0):
    shape = (n, side, side, channels)
    return torch.randint(0, 256, shape, dtype=torch.uint8, generator=torch_generator(seed, "images"))


def macs(model, x):
    with FlopCounterMode(display=False) as counter:
        model(x)
    return counter.get_total_flops() / 2 / len(x)


@pytest.mark.parametrize(("name", "features"), [("small", 128), ("resnet56v2", 256), ("resnet50v2", 2048)])
def test_shapes(name, features):
    model = resnet(name).eval()
    x = images(2)
    assert model.features(x).shape == (2, features) == (2, model.n_features)
    assert model(x).shape == (2, 10)


def test_resnet56v2_has_as_many_parameters_as_keras_says():
    model = resnet("resnet56v2")
    biases = sum(c.out_channels for c in model.modules() if isinstance(c, nn.Conv2d))  # Keras' convolutions have them
    assert sum(p.numel() for p in model.parameters()) + biases == 1_663_338


def test_small_is_small():
    assert macs(resnet("small").eval(), images(2)) <= 1e7


def test_depth_of_the_presets():
    """Convolutions on the way to the classes, and the dense layer: the number in the name."""
    for name, depth in (("resnet56v2", 56), ("resnet50v2", 50)):
        convs = 1 + sum(len(unit.convs) for unit in resnet(name).blocks)
        assert convs + 1 == depth, name


@pytest.mark.parametrize("middle", [None, 4])
@pytest.mark.parametrize(("out", "stride"), [(8, 1), (8, 2), (12, 1), (12, 2)])
def test_unit_is_the_published_one(out, stride, middle):
    """x_{l+1} = h(x_l) + F(x_l), with F = W . relu(bn(W . relu(bn(x)))), in plain functions."""
    unit = Unit(8, out, stride, middle).double()
    for seed, parameter in enumerate(unit.parameters()):
        nn.init.normal_(parameter, generator=torch_generator(seed))
    x = torch.randn(3, 8, 6, 6, dtype=torch.float64, generator=torch_generator(1))

    def preactivate(z, norm):
        mean, var = z.mean((0, 2, 3), keepdim=True), z.var((0, 2, 3), unbiased=False, keepdim=True)
        scaled = (z - mean) / torch.sqrt(var + norm.eps)
        return torch.relu(scaled * norm.weight[:, None, None] + norm.bias[:, None, None])

    first = z = preactivate(x, unit.norms[0])
    for i, conv in enumerate(unit.convs):
        z = preactivate(z, unit.norms[i]) if i else z
        z = F.conv2d(z, conv.weight, stride=stride if i == 0 else 1, padding=conv.weight.shape[-1] // 2)
    straight = out == 8 and stride == 1
    shortcut = x if straight else F.conv2d(first, unit.projection.weight, stride=stride)
    kept = x.clone()
    torch.testing.assert_close(unit(x), z + shortcut)
    assert torch.equal(x, kept)  # the ReLU in place touches no input
    assert straight == (unit.projection is None)


@pytest.mark.parametrize("width_in", [2, 4, 16])
def test_gradients_of_strided_pointwise_convolutions_are_right_channels_last(width_in):
    conv = Pointwise(width_in, 8, 2).to(memory_format=torch.channels_last)
    nn.init.normal_(conv.weight, generator=torch_generator(1))
    x = torch.randn(8, width_in, 8, 8, generator=torch_generator(0)).contiguous(memory_format=torch.channels_last)
    twin = conv.weight.detach().double().requires_grad_()
    expected = F.conv2d(x.double(), twin, stride=2)
    expected.square().sum().backward()
    out = conv(x)
    out.square().sum().backward()
    torch.testing.assert_close(out.double(), expected, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(conv.weight.grad.double(), twin.grad, rtol=1e-4, atol=1e-3)


def test_calibration_standardises_channels():
    x = images(50)
    x[..., 1] //= 3
    x[..., 2] = 7
    model = resnet("small")
    model.calibrate(x)
    flat = x.double().reshape(-1, 3)
    np.testing.assert_allclose(model.mean.double(), flat.mean(0), rtol=1e-6)
    np.testing.assert_allclose(model.std[:2].double(), flat.std(0, correction=0)[:2], rtol=1e-6)
    assert model.std[2] == 1
    seen = []
    model.stem.register_forward_hook(lambda m, inputs, out: seen.append(inputs[0]))
    model(x)
    assert seen[0].shape == (50, 3, 32, 32) and seen[0].is_contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(seen[0][:, :2].mean((0, 2, 3)), torch.zeros(2), atol=1e-4, rtol=0)
    torch.testing.assert_close(seen[0][:, :2].std((0, 2, 3)), torch.ones(2), atol=1e-4, rtol=0)


def test_seed_decides_the_weights_and_global_state_is_left_alone():
    state = torch.get_rng_state()
    first, again, other = resnet("small", seed=1), resnet("small", seed=1), resnet("small", seed=2)
    x = images()
    assert torch.equal(first(x), again(x)) and not torch.equal(first(x), other(x))
    assert torch.equal(torch.get_rng_state(), state)


def test_initial_weights_have_hes_variance():
    weight = resnet("resnet56v2").blocks[-1].convs[1].weight
    expected = 2 / (9 * 128)
    assert abs(weight.var() / expected - 1) < 0.02


def test_floats_and_bytes_give_the_same_and_gradients_reach_the_pixels():
    model = resnet("small", channels=1).eval()
    x = images(channels=1)
    pixels = x.float().requires_grad_()
    torch.testing.assert_close(model(pixels), model(x))
    model(pixels).sum().backward()
    assert pixels.grad.abs().sum() > 0


def test_other_sides_and_channels():
    model = resnet("small", n_classes=2, channels=2).eval()
    assert model(images(3, side=96, channels=2)).shape == (3, 2)
    assert model(images(3, side=28, channels=2)).shape == (3, 2)


def test_bad_settings_are_refused():
    with pytest.raises(ModelError, match="small, resnet56v2, resnet50v2"):
        resnet("resnet18")
    with pytest.raises(ModelError, match="same stages"):
        ResNetV2(units=(1, 1), widths=(8,))
    assert list(PRESETS) == ["small", "resnet56v2", "resnet50v2"]
