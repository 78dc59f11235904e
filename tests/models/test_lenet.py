"""LeNet in channels-last against torch's own layers in the textbook's order and layout."""

import pytest
import torch
import torch.nn.functional as F

from augury.errors import ModelError
from augury.models.lenet import LeNet
from augury.training.loop import extract, fit


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
@pytest.mark.parametrize(("dtype", "rtol"), [(torch.float64, 1e-10), (torch.float32, 1e-4)])
def test_values_and_gradients_equal_plain_convolutions(shape, dtype, rtol):
    plain = LeNet(3, shape).to(dtype)
    with torch.no_grad():
        for layer in (plain.conv1, plain.conv2):
            layer.bias.normal_(0.1, 0.1, generator=torch.Generator().manual_seed(1))
    model = LeNet(3, shape).to(dtype)
    model.load_state_dict(plain.state_dict())
    model.to(memory_format=torch.channels_last)
    x, y = images(6, shape), torch.tensor([0, 1, 2, 0, 1, 2])
    ours, theirs = model(x), plain_logits(plain, x)
    torch.testing.assert_close(ours, theirs, rtol=rtol, atol=rtol)
    for a, b in zip(
        torch.autograd.grad(F.cross_entropy(ours, y), list(model.parameters())),
        torch.autograd.grad(F.cross_entropy(theirs, y), list(plain.parameters())),
        strict=True,
    ):
        torch.testing.assert_close(a, b, rtol=rtol, atol=rtol * float(b.abs().max()))


def test_training_takes_the_same_path_as_plain_pytorch():
    x, y = images(96), torch.arange(96) % 2
    ours, theirs = LeNet().double(), LeNet().double()
    settings = {"epochs": 3, "batch_size": 40, "lr": 1e-3, "optimiser": "keras-adam", "mixed_precision": False}
    rows = fit(ours, x, y, generator=torch.Generator().manual_seed(3), **settings)
    optimiser = torch.optim.Adam(theirs.parameters(), lr=1e-3, eps=1e-7)
    generator, plain = torch.Generator().manual_seed(3), []
    for _ in range(3):
        total = 0.0
        order = torch.randperm(96, generator=generator)
        torch.randint(2**62, (), generator=generator)  # fit draws a seed for dropout after each shuffle
        for batch in order.split(40):
            optimiser.zero_grad()
            loss = F.cross_entropy(plain_logits(theirs, x[batch]), y[batch])
            loss.backward()
            optimiser.step()
            total += loss.item() * len(batch)
        plain.append(total / 96)
    assert [row["loss"] for row in rows] == pytest.approx(plain, rel=1e-7)
    for mine, other in zip(ours.parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(mine, other, rtol=1e-9, atol=1e-11)
    torch.testing.assert_close(extract(ours, x, 10), extract(theirs, x), rtol=1e-6, atol=1e-8)


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
    with pytest.raises(ModelError, match="multiples of 4"):
        LeNet(shape=(30, 30, 1))
    with pytest.raises(ModelError, match="initialisation"):
        LeNet(initialisation="he")
