"""Table 6's network: its dimensions, its parameters counted by hand, its values and gradients in float64."""

import pytest
import torch
import torch.nn.functional as F

from augury.errors import ModelError
from augury.models.cnn import DigitCNN
from augury.seeding import torch_generator
from augury.training.loop import evaluate, fit


def images(n=3, shape=(28, 28, 1)):
    return torch.randint(0, 256, (n, *shape), dtype=torch.uint8, generator=torch_generator(0, "images"))


def test_dimensions_are_those_of_the_table():
    model, sizes = DigitCNN(10).eval(), []
    for layer in (model.conv1, model.conv2, model.dense, model.head):
        layer.register_forward_hook(lambda layer, inputs, out: sizes.append(tuple(out.shape[1:])))
    assert model(images()).shape == (3, 10)
    assert sizes == [(32, 14, 14), (64, 7, 7), (256,), (10,)]


@pytest.mark.parametrize(
    ("classes", "shape", "count"),
    [
        (10, (28, 28, 1), 32 * 10 + 64 * (32 * 9 + 1) + 256 * (64 * 7 * 7 + 1) + 10 * 257),
        (37, (28, 28, 1), 32 * 10 + 64 * (32 * 9 + 1) + 256 * (64 * 7 * 7 + 1) + 37 * 257),
        (3, (8, 9, 2), 32 * 19 + 64 * (32 * 9 + 1) + 256 * (64 * 2 * 3 + 1) + 3 * 257),
    ],
)
def test_parameters_counted_by_hand(classes, shape, count):
    model = DigitCNN(classes, shape=shape)
    assert sum(p.numel() for p in model.parameters()) == count
    assert model.eval()(images(2, shape)).shape == (2, classes)


def test_values_are_those_of_plain_functions():
    model, x = DigitCNN(4).double().eval(), images()
    z = x.permute(0, 3, 1, 2).double().contiguous() / 255
    for conv in (model.conv1, model.conv2):
        z = F.conv2d(z, conv.weight, conv.bias, stride=2, padding=1).clamp_min(0)
    z = (z.reshape(3, -1) @ model.dense.weight.T + model.dense.bias).clamp_min(0)
    torch.testing.assert_close(model.features(x), z)
    torch.testing.assert_close(model(x), z @ model.head.weight.T + model.head.bias)
    assert (z == 0).any() and (z > 0).any()


def test_gradients_equal_finite_differences():
    """Every layer's, along a random direction, in the layout that training gives the weights."""
    model, x, y = DigitCNN(3, shape=(8, 8, 1)).double().eval(), images(5, (8, 8, 1)), torch.tensor([0, 1, 2, 0, 1])
    model.to(memory_format=torch.channels_last)
    gradients = torch.autograd.grad(F.cross_entropy(model(x), y), list(model.parameters()))
    for i, (parameter, gradient) in enumerate(zip(model.parameters(), gradients, strict=True)):
        direction = 1e-6 * torch.randn(parameter.shape, dtype=torch.float64, generator=torch_generator(i))
        with torch.no_grad():
            parameter.add_(direction)
            above = F.cross_entropy(model(x), y)
            parameter.sub_(2 * direction)
            below = F.cross_entropy(model(x), y)
            parameter.add_(direction)
        assert float((gradient * direction).sum()) == pytest.approx(float(above - below) / 2, rel=1e-5)


def test_single_precision_channels_last_equals_double():
    single, x, y = DigitCNN(10), images(16), torch.arange(16) % 10
    double = DigitCNN(10).double()
    double.load_state_dict(single.state_dict())
    single.to(memory_format=torch.channels_last)
    for a, b in zip(
        torch.autograd.grad(F.cross_entropy(single.eval()(x), y), list(single.parameters())),
        torch.autograd.grad(F.cross_entropy(double.eval()(x), y), list(double.parameters())),
        strict=True,
    ):
        torch.testing.assert_close(a.double(), b, rtol=1e-3, atol=1e-4 * float(b.abs().max()))


def test_dropout_lies_between_the_convolutions_and_the_dense_layer():
    model, seen = DigitCNN(10, dropout=0.25).train(), []
    model.dense.register_forward_hook(lambda layer, inputs, out: seen.append(inputs[0]))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model(images(20))
        model.eval()(images(20))
    dropped, plain = seen
    kept = dropped[plain > 0] != 0
    assert float(kept.float().mean()) == pytest.approx(0.75, abs=0.01)
    torch.testing.assert_close(dropped[plain > 0][kept], plain[plain > 0][kept] / 0.75)


def test_learns():
    y = torch.arange(64) % 2
    x = images(64, (8, 8, 1)) // 2
    x[y == 1, :4] += 100
    model = DigitCNN(2, shape=(8, 8, 1))
    fit(model, x, y, epochs=8, batch_size=16, lr=1e-3, generator=torch_generator(0))
    assert evaluate(model, x, y)["validation_accuracy"] == 1


def test_seed_decides_the_weights_and_global_state_is_left_alone():
    state = torch.get_rng_state()
    first, again, other = (DigitCNN(10, seed=seed).eval()(images()) for seed in (1, 1, 2))
    assert torch.equal(first, again) and not torch.equal(first, other)
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize("settings", [{"classes": 0}, {"dropout": 1.0}, {"dropout": -0.1}, {"shape": (28, 0, 1)}])
def test_sizes_it_cannot_have_are_refused(settings):
    with pytest.raises(ModelError, match="DigitCNN takes"):
        DigitCNN(**({"classes": 10} | settings))
