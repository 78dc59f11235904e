"""Replicas trained together against networks trained one after another by torch's own layers and optimiser."""

import copy

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from augury.augment.ablation import ablate_replicas
from augury.errors import ModelError, ParameterError
from augury.models.mlp import MLP
from augury.models.replica import alone
from augury.seeding import torch_generator
from augury.training.replicas import History, cross_entropy, fit_replicas, squared_error

LAM = torch.tensor([0.0, 0.1, 0.3, 0.6, 0.6], dtype=torch.float64)
SCALE = torch.tensor([1.0, 1.0, 1.0, 1.0, 2.5], dtype=torch.float64)
SETTINGS = {"epochs": 40, "batch_size": 32, "lr": 0.01, "patience": 3}


def task(classes: bool) -> tuple[torch.Tensor, ...]:
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(150, 6, dtype=torch.float64, generator=generator)
    score = x[:, 0] + torch.sin(2 * x[:, 1]) + 0.8 * torch.randn(150, dtype=torch.float64, generator=generator)
    y = (score > 0).long() if classes else score
    return x[:110], y[:110], x[110:], y[110:]


def augment(x: torch.Tensor, running: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    return ablate_replicas(x, LAM[running], SCALE[running], generator)


def train(model: MLP, classes: bool, **changed: object) -> History:
    x, y, x_held, y_held = task(classes)
    loss = cross_entropy if classes else squared_error
    settings = SETTINGS | {"loss": loss, "augment": augment, "generator": torch_generator(7, "replicas")} | changed
    return fit_replicas(model, x, y, validation=(x_held, y_held), **settings)


def train_alone(net: torch.nn.Module, r: int, classes: bool) -> tuple[torch.nn.Module, list[float], int]:
    """The textbook's loop for one network: its best epoch's weights, its validation losses, its best epoch."""
    x, y, x_held, y_held = task(classes)
    generator = torch_generator(7, "replicas")
    optimiser = torch.optim.Adam(net.parameters(), lr=0.01)

    def loss_of(inputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        out = net(inputs)
        return F.cross_entropy(out, targets) if classes else F.mse_loss(out[:, 0], targets)

    best, curve, stale = None, [], 0
    for _ in range(40):
        for batch in torch.randperm(len(x), generator=generator).split(32):
            draws = torch.rand(len(batch), 6, dtype=torch.float64, generator=generator)
            optimiser.zero_grad()
            loss_of(torch.where(draws < LAM[r], 0.0, x[batch]) * SCALE[r], y[batch]).backward()
            optimiser.step()
        with torch.no_grad():
            found = loss_of(x_held, y_held).item()
        stale = 0 if not curve or found < min(curve) else stale + 1
        curve.append(found)
        if stale == 0:
            best = {name: value.clone() for name, value in net.state_dict().items()}
        if stale == 3:
            break
    assert best is not None
    net.load_state_dict(best)
    return net, curve, int(np.argmin(curve)) + 1


@pytest.mark.parametrize("classes", [True, False])
@pytest.mark.parametrize("hidden_layers", [0, 2])
def test_each_replica_ends_where_it_would_have_ended_alone(classes, hidden_layers):
    model = MLP(6, 2 if classes else 1, hidden_layers, [0] * 5, width=8).double()
    start = copy.deepcopy(model)
    history = train(model, classes)
    lengths = set()
    for r in range(5):
        net, curve, best_epoch = train_alone(alone(start, r), r, classes)
        mine = history.validation_losses[:, r]
        assert mine[~mine.isnan()].tolist() == pytest.approx(curve, rel=1e-9)
        assert history.best_epoch[r] == best_epoch
        x_held = task(classes)[2]
        torch.testing.assert_close(model(x_held)[r], net(x_held), rtol=1e-8, atol=1e-10)
        lengths.add(len(curve))
    assert len(lengths) > 1 or hidden_layers == 0  # they did stop at different times


def test_a_stopped_replica_leaves_the_batch():
    sizes: list[int] = []

    def counted(x: torch.Tensor, running: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        sizes.append(len(running))
        return augment(x, running, generator)

    done: list[tuple[int, int]] = []
    model = MLP(6, 2, 2, [0] * 5, width=8).double()
    history = train(model, True, augment=counted, progress=lambda epoch, left: done.append((epoch, left)))
    running = (~history.losses.isnan()).sum(1).tolist()
    assert sizes[::4] == running  # 110 samples in batches of 32
    assert running[-1] < running[0] == 5
    assert [left for _, left in done] == [*running[1:], 0 if len(running) < 40 else done[-1][1]]


def test_validation_rows_are_augmented_on_demand_alone():
    seen: list[int] = []

    def counted(x: torch.Tensor, running: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        seen.append(len(x))
        return augment(x, running, generator)

    plain, ablated = (MLP(6, 1, 1, [0] * 5, width=8).double() for _ in range(2))
    first = train(plain, False, augment=counted, epochs=1)
    assert seen == [32, 32, 32, 14]
    second = train(ablated, False, augment=counted, epochs=1, augment_validation=True)
    assert seen[4:] == [32, 32, 32, 14, 40]
    assert torch.equal(first.losses, second.losses)
    changed = first.validation_losses[0] != second.validation_losses[0]
    assert changed.tolist() == [False, True, True, True, True]  # lambda = 0 ablates nothing


def test_without_augmentation_replicas_of_one_seed_are_one_network():
    model = MLP(6, 1, 1, [3, 3, 4], width=8).double()
    history = train(model, False, augment=None)
    first, same, other = model.weights[0]
    torch.testing.assert_close(first, same, rtol=1e-9, atol=1e-12)
    assert not torch.allclose(first, other)
    torch.testing.assert_close(history.losses[:, 0], history.losses[:, 1], rtol=1e-9, atol=0, equal_nan=True)


def nan_for_the_second(outputs: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    losses = squared_error(outputs, y)
    return losses if len(losses) == 1 else torch.cat([losses[:1], losses[1:] * torch.nan])


@pytest.mark.parametrize(
    ("changed", "error", "message"),
    [
        ({"epochs": 0}, ParameterError, "at least 1"),
        ({"patience": 0}, ParameterError, "patience 0"),
        ({"loss": nan_for_the_second}, ModelError, r"replicas \[1, 2, 3, 4\] was never finite: lower lr"),
    ],
)
def test_bad_settings_are_refused(changed, error, message):
    with pytest.raises(error, match=message):
        train(MLP(6, 1, 1, [0] * 5, width=8).double(), False, **changed)


def test_features_that_are_not_finite_are_refused():
    model, x, y = MLP(1, 1, 0, [0]), torch.tensor([[1.0], [torch.inf]]), torch.zeros(2)
    with pytest.raises(ParameterError, match="not finite"):
        fit_replicas(
            model, x, y, validation=(x, y), loss=squared_error, generator=torch.Generator(), augment=None, **SETTINGS
        )
