"""Unbalanced ratios, redundant labels, test sets of their own, and what has no such task."""

import numpy as np
import pytest

from augury.active import pictures
from augury.active.pictures import load_task, ones_and_sevens, redundant, unbalanced
from augury.data import load
from augury.errors import ParameterError
from augury.seeding import rng


def test_unbalanced_digits_are_27500_in_the_papers_ratios():
    y = rng(0, "labels").permutation(np.repeat(np.arange(10), 5421))  # as many as the rarest digit of MNIST
    chosen = unbalanced(y, rng(0, "draw"))
    assert len(chosen) == 27_500 == len(set(chosen.tolist())) and (np.diff(chosen) > 0).all()
    shares = np.bincount(y[chosen]) / len(chosen)
    np.testing.assert_allclose(shares, [1 / 55] * 5 + [10 / 55] * 5)
    assert chosen.tolist() != unbalanced(y, rng(1, "draw")).tolist()


def test_fewer_digits_keep_the_ratios():
    task = load_task("digits", "digits-unbalanced", 0)
    counts = np.bincount(task.y)
    assert (counts[5:] == 10 * counts[0]).all() and (counts[:5] == counts[0]).all() and counts[0] >= 10
    whole = load("digits")
    assert np.array_equal(task.x_test, whole.test.x) and np.array_equal(task.y_test, whole.test.y)
    labels = {image.tobytes(): label for image, label in zip(whole.train.x, whole.train.y, strict=True)}
    assert [labels[image.tobytes()] for image in task.x] == task.y.tolist()
    with pytest.raises(ParameterError, match="no unbalanced task"):
        unbalanced(np.arange(10), rng(0, "draw"))


def test_redundant_digits_are_1_7_and_neither():
    assert redundant(np.arange(10)).tolist() == [2, 0, 2, 2, 2, 2, 2, 1, 2, 2]
    task, whole = load_task("digits", "digits-redundant", 0), load("digits")
    assert task.classes == ("1", "7", "neither") and np.array_equal(task.x, whole.train.x)
    assert [task.classes[label] for label in task.y] == [
        str(label) if label in (1, 7) else "neither" for label in whole.train.y
    ]
    counts = np.bincount(task.y_test, minlength=3)
    assert counts[0] == counts[1] == min(np.bincount(whole.test.y)[[1, 7]]) and counts[2] == 0


def test_ones_and_sevens_are_equally_many():
    y = np.array([1, 1, 1, 7, 3, 7, 0])
    for seed in range(5):
        assert sorted(y[ones_and_sevens(y, rng(seed, "test"))].tolist()) == [1, 1, 7, 7]


def test_a_plain_task_is_the_data_set_and_its_test_set_can_be_cut():
    task, whole = load_task("digits", "digits", 0), load("digits")
    assert np.array_equal(task.x, whole.train.x) and np.array_equal(task.y_test, whole.test.y)
    assert task.classes == whole.classes
    cut = load_task("digits", "digits", 0, 40)
    pixels = {image.tobytes() for image in whole.test.x}
    assert len(cut.y_test) == 40 and all(image.tobytes() in pixels for image in cut.x_test)
    assert not np.array_equal(cut.x_test, load_task("digits", "digits", 1, 40).x_test)
    assert np.array_equal(load_task("digits", "digits", 0, 10_000).y_test, whole.test.y)


def test_without_a_test_set_a_fifth_of_each_class_is_held_out(monkeypatch):
    whole = load("digits")
    monkeypatch.setattr(pictures, "load", lambda name: type(whole)(name, whole.train, None, whole.classes, "none"))
    pictures.load_task.cache_clear()
    task = load_task("untested", "untested", 3)
    pictures.load_task.cache_clear()
    assert len(task.y) + len(task.y_test) == len(whole.train.y)
    np.testing.assert_allclose(np.bincount(task.y_test), np.bincount(whole.train.y) / 5, atol=0.51)


@pytest.mark.parametrize(
    "dataset, task, said",
    [
        ("digits", "digits-rotated", "digits has no task 'digits-rotated'; digits have digits-unbalanced"),
        ("breast-cancer", "breast-cancer", "breast-cancer has no images"),
        ("imagenet", "imagenet", "imagenet"),
    ],
)
def test_what_is_no_task_is_refused(dataset, task, said):
    with pytest.raises(ParameterError, match=said):
        load_task(dataset, task, 0)
