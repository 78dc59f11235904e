"""Networks: every method runs, absent classes break nothing, the last layer is the network's, rows repeat."""

import numpy as np
import pandas as pd
import pytest
import torch

from augury.active import images
from augury.active.analysis import pictures
from augury.active.images import Learner, Training
from augury.active.pictures import Task, load_task
from augury.active.rounds import Sizes, start
from augury.active.scores import FI, METHODS, RANDOM, Known
from augury.errors import DataError, ModelError, ParameterError

TRAINING = {"epochs": 4, "batch_size": 16, "lr": 2e-3, "weight_decay": 1e-2, "dropout": 0.5}
CELL = {
    "dataset": "digits", "task": "digits-redundant", "seed": 1, "rounds": 2, "initial": 40, "pool": 60,
    "acquisition": 10, "candidates": "redrawn", "validation": 50, "test_points": 80, "share": 0.2, "passes": 4,
} | TRAINING  # fmt: skip
TIMED = ["seconds"]


@pytest.fixture
def learner() -> Learner:
    return Learner(load_task("digits", "digits", 0), Training(**TRAINING | {"epochs": 20}, passes=4), 0)


@pytest.mark.parametrize("method", METHODS)
def test_every_method_runs_and_repeats(method):
    rows = pd.DataFrame(images.experiment(**CELL, method=method))
    assert rows["labelled"].tolist() == [40, 50, 60] and rows["accuracy"].between(0, 1).all()
    again = pd.DataFrame(images.experiment(**CELL, method=method))
    pd.testing.assert_frame_equal(rows.drop(columns=TIMED), again.drop(columns=TIMED))


def test_methods_of_a_seed_start_alike_and_seeds_differ():
    first = {m: images.experiment(**CELL | {"rounds": 1}, method=m)[0]["accuracy"] for m in METHODS}
    assert len(set(first.values())) == 1
    longer = CELL | {"rounds": 1, "epochs": 15, "test_points": 0, "task": "digits"}
    ends = {seed: images.experiment(**longer | {"seed": seed}, method=RANDOM)[1]["accuracy"] for seed in (1, 2, 3)}
    assert len(set(ends.values())) > 1


def test_the_last_layer_is_that_of_the_network(learner):
    labelled, points = np.arange(30), np.arange(100, 140)
    model = learner.train(labelled, 0)
    last, features = model.last(), model.features(points)
    with torch.no_grad():
        logits = model.model.eval()(torch.from_numpy(learner.task.x[points])).numpy()
    np.testing.assert_allclose(last.decision(features), logits, atol=1e-5)
    assert features.shape == (40, 256) and features.dtype == np.float64
    np.testing.assert_allclose(last.C, 1 / (30 * 1e-2))
    right = (model.last().decision(model_features_of_test(model)).argmax(1) == learner.task.y_test).mean()
    assert model.accuracy() == pytest.approx(right, abs=1e-9)


def model_features_of_test(model: images.Trained) -> np.ndarray:
    own = model.learner.task
    swapped = Task(own.x_test, own.y_test, own.x, own.y, own.classes)
    return images.Trained(Learner(swapped, model.learner.training, 0), model.model, model.n).features(
        np.arange(len(own.y_test))
    )


def test_dropout_masks_come_from_the_generator_and_change_predictions(learner):
    model = learner.train(np.arange(60), 0)
    points = np.arange(100, 120)
    a, b = (model.dropped(points, np.random.default_rng(seed)) for seed in (0, 0))
    assert a.shape == (4, 20, 10) and np.array_equal(a, b)
    assert not np.allclose(a, model.dropped(points, np.random.default_rng(1)))
    assert not np.allclose(a[0], a[1])


@pytest.mark.parametrize("method", METHODS)
def test_classes_absent_from_the_labelled_points_break_nothing(learner, method):
    y = learner.task.y
    labelled = np.flatnonzero(np.isin(y, (1, 7)))[-60:]
    rest = np.setdiff1d(np.arange(len(y)), labelled)
    known = Known(learner.train(labelled, 0), y, labelled, rest[:200], 0, 1, 0.3)
    scores = METHODS[method](known, rest[200:230])
    assert scores.shape == (30,) and np.isfinite(scores).all() and np.ptp(scores) > 0


def test_colour_images_take_the_mixer():
    draw = np.random.default_rng(0)
    x = draw.integers(0, 256, (60, 8, 8, 3), dtype=np.uint8)
    task = Task(x, np.arange(60) % 3, x, np.arange(60) % 3, ("a", "b", "c"))
    learner = Learner(task, Training(**TRAINING, passes=3, mixer=(12, 2, 3, 2)), 0)
    begin = start(task.y, 3, Sizes(1, 20, 10, 5, "redrawn", 10), 0)
    model = learner.train(begin.labelled, 0)
    assert model.last().theta.shape == (3, 13) and model.dropped(np.arange(4), draw).shape == (3, 4, 3)
    known = Known(model, task.y, begin.labelled, begin.validation, 0, 1, 0.3)
    assert all(np.isfinite(METHODS[m](known, begin.unlabelled)).all() for m in METHODS)


def test_labels_outside_the_classes_are_refused(learner, monkeypatch):
    own = learner.task
    wrong = Task(own.x, own.y, own.x_test, own.y_test, own.classes[:9])
    monkeypatch.setattr(images, "load_task", lambda *_: wrong)
    with pytest.raises(DataError, match="outside its 9 classes"):
        images.experiment(**CELL, method=FI)


@pytest.mark.parametrize(
    "change, said",
    [
        ({"method": "Coreset"}, "called 'Coreset'"),
        ({"pool": 2_000}, "too few for 2000 candidates"),
        ({"acquisition": 61}, "61 points cannot be labelled out of 60"),
        ({"weight_decay": 0.0}, "weight_decay must be positive"),
        ({"task": "mnist-redundant"}, "no task 'mnist-redundant'"),
    ],
)
def test_what_is_out_of_range_is_refused(change, said):
    with pytest.raises((ParameterError, ModelError), match=said):
        images.experiment(**CELL | {"method": RANDOM} | change)


def test_the_pictured_images_are_the_first_that_fi_acquires():
    common = {name: CELL[name] for name in ("dataset", "task", "seed", "initial", "pool", "validation")} | TRAINING
    rows = pd.DataFrame(images.first_round(**common, shown=5))
    found = pictures(rows)
    task = load_task("digits", "digits-redundant", 1)
    begin = start(task.y, 3, Sizes(1, 40, 60, 5, "redrawn", 50), 1)
    learner = Learner(task, Training(**TRAINING, passes=1), 1)
    labelled = {}
    images.active_learning(
        FI,
        lambda points, j: labelled.setdefault(j, (points, learner.train(points, j)))[1],
        task.y, begin, Sizes(1, 40, 60, 5, "redrawn", 50), 1, 0.2,
    )  # fmt: skip
    acquired, model = labelled[1][0][40:], labelled[0][1]
    assert len(found) == 5
    for (image, label, probabilities), point in zip(found, acquired, strict=True):
        assert np.array_equal(image, task.x[point]) and label == task.classes[task.y[point]]
        assert list(probabilities.index) == ["1", "7", "neither"] and probabilities.sum() == pytest.approx(1)
        logits = model.last().decision(model.features(np.array([point])))[0]
        assert probabilities.to_numpy().argmax() == logits.argmax()
    assert rows.groupby("place")["FI"].first().is_monotonic_decreasing
