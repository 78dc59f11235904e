"""The lowered LeNet against torch's own convolutions, in values, gradients and training."""

import pytest
import torch
import torch.nn.functional as F

from augury.errors import ModelError
from augury.models.lenet import LeNet, fit_lenet, lenet_features
from augury.models.lowered import conv_relu_pool, differentiable_tile, tile, toeplitz_index


def plain_logits(model: LeNet, x: torch.Tensor) -> torch.Tensor:
    """The textbook forward pass: convolution, ReLU, pooling, in that order, channels first."""
    z = x.permute(0, 3, 1, 2).to(model.conv1.weight.dtype) / 255
    z = F.max_pool2d(F.relu(model.conv1(z)), 2)
    z = F.max_pool2d(F.relu(model.conv2(z)), 2)
    return model.head(F.relu(model.dense2(F.relu(model.dense1(z.flatten(1))))))


def images(n: int, shape: tuple[int, int, int] = (28, 28, 1)) -> torch.Tensor:
    x = torch.randint(0, 256, (n, *shape), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    x[: n // 2, :14] = 0  # constant areas make ties in the pooling windows
    return x


@pytest.mark.parametrize("shape", [(28, 28, 1), (36, 28, 3)])
def test_values_and_gradients_equal_plain_convolutions(shape):
    model = LeNet(3, shape).double()
    with torch.no_grad():
        for layer in (model.conv1, model.conv2):
            layer.bias.normal_(0.1, 0.1, generator=torch.Generator().manual_seed(1))
    x, y = images(6, shape), torch.tensor([0, 1, 2, 0, 1, 2])
    ours, theirs = model(model.prepare(x)), plain_logits(model, x)
    torch.testing.assert_close(ours, theirs, rtol=1e-12, atol=1e-12)
    parameters = list(model.parameters())
    for a, b in zip(
        torch.autograd.grad(F.cross_entropy(ours, y), parameters),
        torch.autograd.grad(F.cross_entropy(theirs, y), parameters),
        strict=True,
    ):
        torch.testing.assert_close(a, b, rtol=1e-10, atol=1e-14)


def test_gradient_of_the_block_agrees_with_finite_differences():
    generator = torch.Generator().manual_seed(2)
    x = torch.randn(1, 8, 8, 2, dtype=torch.float64, generator=generator, requires_grad=True)
    weight = torch.randn(3, 2, 5, 5, dtype=torch.float64, generator=generator, requires_grad=True)
    bias = torch.randn(3, dtype=torch.float64, generator=generator, requires_grad=True)
    index = toeplitz_index(2, 3, 5, 2)
    assert torch.autograd.gradcheck(
        lambda x, w, b: conv_relu_pool(differentiable_tile(x, 5, 2), w, b, index, 2), (x, weight, bias)
    )


def test_tiles_are_the_patches_of_the_image():
    x = images(2)
    tiles = tile(x, 5, 4).view(2, 6, 6, 8, 8, 1)
    torch.testing.assert_close(tiles[1, 2, 3], x[1, 8:16, 12:20])


def test_training_takes_the_same_path_as_plain_pytorch():
    x, y = images(96), torch.arange(96) % 2
    ours, theirs = LeNet().double(), LeNet().double()
    losses = fit_lenet(ours, x, y, epochs=3, batch_size=40, generator=torch.Generator().manual_seed(3), micro_batch=16)
    optimiser = torch.optim.Adam(theirs.parameters(), lr=1e-3, eps=1e-7)
    generator, plain = torch.Generator().manual_seed(3), []
    for _ in range(3):
        total = 0.0
        for batch in torch.randperm(96, generator=generator).split(40):
            optimiser.zero_grad()
            loss = F.cross_entropy(plain_logits(theirs, x[batch]), y[batch])
            loss.backward()
            optimiser.step()
            total += loss.item() * len(batch)
        plain.append(total / 96)
    assert losses == pytest.approx(plain, rel=1e-10)
    torch.testing.assert_close(lenet_features(ours, x, 10), lenet_features(theirs, x), rtol=1e-8, atol=1e-10)


def test_initialisation_is_the_released_one():
    model = LeNet()
    weights = torch.cat([p.flatten() for p in model.parameters() if p.dim() > 1])
    assert weights.std().item() == pytest.approx(0.05, rel=0.02)
    assert abs(weights.mean().item()) < 1e-3
    assert all(bool((p == 0).all()) for p in model.parameters() if p.dim() == 1)
    same = zip(LeNet().parameters(), model.parameters(), strict=True)
    assert all(torch.equal(a, b) for a, b in same)
    assert not torch.equal(LeNet(seed=1).conv1.weight, model.conv1.weight)
    assert not torch.equal(LeNet(initialisation="torch").conv1.weight, model.conv1.weight)


def test_shapes_it_cannot_take_are_refused():
    with pytest.raises(ModelError, match="multiple of 8"):
        LeNet(shape=(30, 30, 1))
    with pytest.raises(ModelError, match="initialisation"):
        LeNet(initialisation="he")
