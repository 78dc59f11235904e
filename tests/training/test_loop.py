import math
from functools import partial

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from augury.errors import ModelError, ParameterError
from augury.models.resnet import ResNetV2
from augury.seeding import torch_generator
from augury.training import loop
from augury.training.loop import evaluate, extract, fit, one_cycle


def blobs(n=60, seed=0):
    """Three well separated classes in 4 dimensions."""
    y = torch.arange(n) % 3
    noise = torch.randn(n, 4, generator=torch_generator(seed, "blobs"))
    return 3 * F.one_hot(y, 4).float() + noise, y


def stripes(n=48, seed=0):
    """Small uint8 images, striped along rows (class 0) or columns (class 1), under noise."""
    y = torch.arange(n) % 2
    stripe = torch.tensor([60, 190]).repeat(4)
    clean = torch.where((y == 0)[:, None, None], stripe[:, None].expand(n, 8, 8), stripe.expand(n, 8, 8))
    noise = torch.randint(-50, 50, (n, 8, 8), generator=torch_generator(seed, "stripes"))
    return (clean + noise).to(torch.uint8)[..., None], y


def mlp(seed=0, dropout=0.0, double=False):
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Dropout(dropout), nn.Linear(8, 3))
    return model.double() if double else model


def tiny_resnet():
    return ResNetV2(2, 1, units=(1, 1), widths=(4, 8), stem=(4, 3, 1))


def weights(model):
    return torch.cat([tensor.flatten().double() for tensor in model.state_dict().values()])


run = partial(fit, epochs=4, batch_size=16, lr=1e-2)


def test_one_epoch_on_images_learns():
    x, y = stripes()
    model = tiny_resnet()
    model.calibrate(x)
    before = evaluate(model, x, y)["validation_loss"]
    rows = fit(model, x, y, epochs=1, batch_size=8, lr=1e-2, generator=torch_generator(0))
    assert len(rows) == 1 and set(rows[0]) == {"epoch", "loss"}
    assert evaluate(model, x, y)["validation_loss"] < before


@pytest.mark.parametrize("optimiser", ["adam", "adamw", "sgd"])
@pytest.mark.parametrize("schedule", ["constant", "one-cycle"])
def test_training_reaches_the_classes(optimiser, schedule):
    x, y = blobs()
    model = mlp()
    rows = run(
        model, x, y, epochs=40, lr=3e-2, optimiser=optimiser, schedule=schedule,
        generator=torch_generator(0), validation=blobs(seed=1),
    )  # fmt: skip
    assert rows[-1]["validation_accuracy"] > 0.9 and rows[-1]["loss"] < rows[0]["loss"] / 2
    assert [row["epoch"] for row in rows] == list(range(1, 41))


def test_one_full_batch_step_is_the_textbooks():
    x, y = blobs()
    model, twin = mlp(double=True), mlp(double=True)
    fit(model, x.double(), y, epochs=1, batch_size=60, lr=0.1, optimiser="sgd", generator=torch_generator(0))
    F.cross_entropy(twin(x.double()), y).backward()
    for ours, theirs in zip(model.parameters(), twin.parameters(), strict=True):
        torch.testing.assert_close(ours, theirs - 0.1 * 1.9 * theirs.grad)  # Nesterov's first step: 1 + momentum


def test_the_generator_alone_decides():
    x, y = blobs()
    state = torch.get_rng_state()
    runs = {}
    for seed in (1, 1, 2):
        model = mlp(dropout=0.5)
        run(model, x, y, generator=torch_generator(seed))
        torch.rand(seed)  # the global state has no say
        runs.setdefault(seed, []).append(weights(model))
    assert torch.equal(*runs[1]) and not torch.equal(runs[1][0], runs[2][0])
    torch.set_rng_state(state)
    run(mlp(dropout=0.5), x, y, generator=torch_generator(3))
    assert torch.equal(torch.get_rng_state(), state)


def test_whole_weights_equal_repeated_samples():
    x, y = blobs()
    counts = torch.arange(60) % 4
    weighted, repeated = mlp(double=True), mlp(double=True)
    every = x.double().repeat_interleave(counts, 0), y.repeat_interleave(counts)
    settings = {"epochs": 6, "batch_size": 1000, "lr": 0.05, "optimiser": "sgd"}
    a = fit(weighted, x.double(), y, sample_weight=counts, generator=torch_generator(0), **settings)
    b = fit(repeated, *every, generator=torch_generator(9), **settings)
    torch.testing.assert_close(weights(weighted), weights(repeated), rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose([row["loss"] for row in a], [row["loss"] for row in b], rtol=1e-6)
    plain = mlp(double=True)
    fit(plain, x.double(), y, generator=torch_generator(0), **settings)
    assert (weights(plain) - weights(weighted)).abs().max() > 1e-3


def test_scaled_weights_change_nothing():
    x, y = blobs()
    a, b = mlp(), mlp()
    run(a, x, y, generator=torch_generator(0))
    run(b, x, y, sample_weight=np.full(60, 8.0), generator=torch_generator(0))
    assert torch.equal(weights(a), weights(b))


class Interrupted(Exception):
    pass


@pytest.mark.parametrize("patience", [None, 3])
@pytest.mark.parametrize("stops", [(1,), (2, 3), (1, 2, 3, 4)])
def test_an_interrupted_run_ends_as_an_undisturbed_one(tmp_path, stops, patience):
    (x, y), validation = blobs(), blobs(seed=1)
    settings = {"validation": validation, "patience": patience, "schedule": "one-cycle", "epochs": 5}

    undisturbed, generator = mlp(dropout=0.3), torch_generator(0)
    rows = run(undisturbed, x, y, generator=generator, **settings)

    def stop(at, row):
        if row["epoch"] == at:
            raise Interrupted

    file = tmp_path / "sub" / "fit.pt"
    for at in stops:
        with pytest.raises(Interrupted):
            run(
                mlp(dropout=0.3),
                x,
                y,
                generator=torch_generator(0),
                checkpoint=file,
                progress=partial(stop, at),
                **settings,
            )
    seen = []
    resumed, last = mlp(dropout=0.3), torch_generator(0)
    again = run(resumed, x, y, generator=last, checkpoint=file, progress=seen.append, **settings)
    assert again == rows and seen == rows[stops[-1] :]
    assert torch.equal(weights(resumed), weights(undisturbed))
    assert torch.equal(last.get_state(), generator.get_state())

    finished = mlp(dropout=0.3)
    assert run(finished, x, y, generator=torch_generator(0), checkpoint=file, progress=seen.append, **settings) == rows
    assert torch.equal(weights(finished), weights(undisturbed)) and len(seen) == len(rows) - stops[-1]
    assert [path.name for path in file.parent.iterdir()] == ["fit.pt"]


def test_a_checkpoint_of_another_run_is_refused(tmp_path):
    (x, y), file = blobs(), tmp_path / "fit.pt"
    run(mlp(), x, y, generator=torch_generator(0), checkpoint=file)
    other = x.clone()
    other[7, 2] += 1
    for model, data, settings, seed in (
        (mlp(), x, {"lr": 1e-3}, 0), (mlp(), other, {}, 0), (mlp(1), x, {}, 0), (mlp(), x, {}, 1),
        (mlp(), x, {"schedule": "one-cycle"}, 0), (mlp(), x, {"sample_weight": np.arange(60)}, 0),
    ):  # fmt: skip
        with pytest.raises(ParameterError, match="fit.pt belongs to a run with other settings"):
            run(model, data, y, generator=torch_generator(seed), checkpoint=file, **settings)


def test_a_damaged_checkpoint_is_not_used(tmp_path):
    (x, y), file = blobs(), tmp_path / "fit.pt"
    first = mlp()
    rows = run(first, x, y, generator=torch_generator(0), checkpoint=file)
    for content in (file.read_bytes()[:-200], b"", b"not a checkpoint"):
        file.write_bytes(content)
        again = mlp()
        with pytest.warns(UserWarning, match="damaged"):
            assert run(again, x, y, generator=torch_generator(0), checkpoint=file) == rows
        assert torch.equal(weights(again), weights(first))


def test_an_interrupted_write_leaves_the_older_checkpoint(tmp_path, monkeypatch):
    (x, y), file = blobs(), tmp_path / "fit.pt"
    run(mlp(), x, y, generator=torch_generator(0), checkpoint=file)
    before = file.read_bytes()

    def full_disk(state, path):
        path.write_bytes(b"half")
        raise OSError("no space left on device")

    monkeypatch.setattr(loop.torch, "save", full_disk)
    with pytest.raises(OSError, match="no space"):
        loop._save(file, {})
    assert file.read_bytes() == before and len(list(tmp_path.iterdir())) == 1


def test_early_stopping_restores_the_best_epoch():
    x, y = blobs(30)
    x_val, y_val = blobs(30, seed=1)
    noisy = y.clone()
    noisy[::3] = (noisy[::3] + 1) % 3  # a third of the labels are wrong, so the validation loss turns up again
    kept = []
    model = mlp()
    rows = run(
        model, x, noisy, epochs=300, lr=5e-2, validation=(x_val, y_val), patience=4,
        generator=torch_generator(0), progress=lambda row: kept.append(weights(model)),
    )  # fmt: skip
    losses = [row["validation_loss"] for row in rows]
    best = int(np.argmin(losses))
    assert best + 4 + 1 == len(rows) < 300
    assert torch.equal(weights(model), kept[best]) and not torch.equal(kept[best], kept[-1])
    assert evaluate(model, x_val, y_val)["validation_loss"] == pytest.approx(losses[best])


def test_schedules():
    assert [one_cycle(t) for t in (0, 0.1, 0.2)] == [0, 0.5, 1]
    assert one_cycle(0.6) == pytest.approx(0.5) and one_cycle(1) == pytest.approx(0)
    x, y = blobs()
    frozen, twin = mlp(), mlp()
    run(frozen, x, y, schedule=lambda done: 0.0, optimiser="sgd", generator=torch_generator(0))
    assert torch.equal(weights(frozen), weights(twin))
    shares = []
    run(mlp(), x, y, epochs=2, schedule=lambda done: shares.append(done) or 1.0, generator=torch_generator(0))
    assert shares == [(i + 0.5) / 8 for i in range(8)]  # 4 batches an epoch, each in the middle of its step


def test_losses_other_than_classes():
    x, _ = blobs()
    target = x @ torch.tensor([1.0, -2.0, 0.5, 0.0])

    def squared(out, y):
        return (out[:, 0] - y) ** 2

    model = nn.Linear(4, 1)
    rows = run(
        model, x, target, epochs=200, lr=0.05, loss=squared, validation=(x, target), generator=torch_generator(0)
    )
    assert rows[-1]["validation_loss"] < 1e-3 and "validation_accuracy" not in rows[-1]


def test_evaluate_is_the_mean_over_all_samples():
    x, y = blobs(50)
    model = mlp(dropout=0.5).train()
    row = evaluate(model, x, y, batch_size=16)
    out = model.eval()(x).detach()
    assert row["validation_loss"] == pytest.approx(float(F.cross_entropy(out, y)), rel=1e-6)
    assert row["validation_accuracy"] == float((out.argmax(1) == y).double().mean())
    model.train()
    evaluate(model, x, y)
    assert model.training


def test_extract_depends_on_the_image_alone():
    x, y = stripes(30)
    model = tiny_resnet()
    run(model, x, y, generator=torch_generator(0))
    features = extract(model, x.numpy(), batch_size=7)
    assert features.shape == (30, 8) and features.dtype == np.float32 and model.training
    np.testing.assert_allclose(features[11], extract(model, x[11:12])[0], rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(features @ model.head.weight.detach().numpy().T + model.head.bias.detach().numpy(),
                               model.eval()(x).detach(), rtol=1e-4, atol=1e-5)  # fmt: skip


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"epochs": 0}, "epochs 0"),
        ({"batch_size": 0}, "batch_size 0"),
        ({"patience": 2}, "validation"),
        ({"patience": 0, "validation": blobs()}, "patience 0"),
        ({"optimiser": "lbfgs"}, "adam, adamw, keras-adam, sgd"),
        ({"schedule": "steps"}, "constant, one-cycle"),
        ({"sample_weight": np.ones(59)}, "60 finite numbers"),
        ({"sample_weight": -np.ones(60)}, "60 finite numbers"),
        ({"sample_weight": np.zeros(60)}, "60 finite numbers"),
        ({"sample_weight": np.full(60, math.nan)}, "60 finite numbers"),
        ({"y": blobs(59)[1]}, "60 and 59"),
    ],
)
def test_bad_settings_are_refused(change, message):
    x, y = blobs()
    with pytest.raises(ParameterError, match=message):
        run(**{"model": mlp(), "x": x, "y": y, "generator": torch_generator(0)} | change)


def test_divergence_is_an_error():
    x, y = blobs()
    with pytest.raises(ModelError, match="lower lr"):
        run(mlp(), x, y, optimiser="sgd", lr=1e30, epochs=20, generator=torch_generator(0))
