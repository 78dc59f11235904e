"""The experiment end to end on digits: curves, ends, updates, weights, and its areas."""

import numpy as np
import pandas as pd
import pytest

from augury.errors import DataError, ParameterError
from augury.subsampling import analysis, features, sweep
from augury.subsampling.features import Setting
from augury.subsampling.policies import POLICIES
from augury.subsampling.task import binary_images, binary_task

SETTINGS = {
    "dataset": "digits",
    "classes": [3, 8],
    "n_train": 60,
    "seed": 0,
    "augmentation": "translate",
    "features": "pixels",
}


def run(**choice):
    default = {"score": "loss", "selection": "random", "update": False, "downweight": False, "round": 0}
    return pd.DataFrame(sweep.trajectory(**(default | choice), points=[1, 5, 59], **SETTINGS))


def test_the_task_holds_every_copy_of_every_point():
    task = binary_task("digits", (3, 8), 60, 0, "translate", "cardinal")
    assert len(task.x) == 60 and task.y.sum() == 30
    assert np.bincount(task.index).tolist() == [4] * 60
    assert len(task.x_test) == 5 * task.n_clean == len(task.y_test)
    x, y, index = task.training_set(np.array([7, 2]))
    assert index.tolist() == [2] * 4 + [7] * 4 and len(x) == 68
    assert y[60:].tolist() == [task.y[2]] * 4 + [task.y[7]] * 4
    moved = np.roll(task.x[2], 2, axis=0)[2:-2, 2:-2]  # one of the copies is the original moved by two pixels
    assert any((copy[2:-2, 2:-2] == moved).all() for copy in x[60:64])


def test_too_many_points_are_refused():
    with pytest.raises(ParameterError, match="choose fewer"):
        binary_images("digits", (3, 8), 5000, 0)


def test_a_trajectory_returns_every_point_under_both_weightings():
    rows = run()
    assert set(rows["policy"]) == {"Random Proportional", "Random Proportional Downweight"}
    for _, part in rows.groupby("policy"):
        assert part["k"].tolist() == [1, 5, 59]
        assert part["images"].tolist() == [60 + 4 * k for k in (1, 5, 59)]
    assert rows["accuracy"].between(0.5, 1).all()
    pd.testing.assert_frame_equal(rows, run())
    assert not rows["accuracy"].equals(run(round=1)["accuracy"])


def test_deterministic_choices_are_the_highest_scores():
    setting = Setting.of(SETTINGS)
    data, model = sweep.plain_fit(setting)
    top = np.argsort(-sweep.training_scores(setting, data, model, "influence"))[:5]
    chosen = features.featurise(setting, top)
    expected = sweep.classify(setting, chosen, downweight=False).accuracy(chosen.Z_test, chosen.y_test)
    rows = run(score="influence", selection="deterministic")
    assert rows[(rows["k"] == 5) & ~rows["downweighted"]]["accuracy"].item() == expected


def test_updating_changes_the_later_choices_only():
    plain, updated = (run(selection="deterministic", update=u) for u in (False, True))
    plain = plain[~plain["downweighted"]]
    assert set(updated["policy"]) == {"Deterministic Proportional Update"}
    assert updated["accuracy"].iloc[0] == plain["accuracy"].iloc[0]
    assert updated["accuracy"].tolist() != plain["accuracy"].tolist()


def test_every_policy_ends_at_the_same_model_when_all_points_are_augmented():
    setting = Setting.of(SETTINGS)
    everything = np.random.default_rng(0).permutation(60)
    for down in (False, True):
        ends = []
        for start in (None, np.full(28 * 28 + 1, 0.01)):
            data = features.featurise(setting, everything)
            ends.append(sweep.classify(setting, data, down, start))
        np.testing.assert_allclose(ends[0].theta, ends[1].theta, atol=1e-6)
        full = pd.DataFrame(sweep.fixed_set("all", **SETTINGS))
        expected = full[full["downweighted"] == down]["accuracy"].item()
        assert ends[0].accuracy(data.Z_test, data.y_test) == expected


def test_virtual_support_vectors_are_where_the_margin_is():
    setting = Setting.of(SETTINGS)
    found = sweep.support_vectors(setting)
    assert 2 <= len(found) < 60
    row = sweep.fixed_set("vsv", **SETTINGS)[0]
    assert row["policy"] == "VSV" and row["k"] == len(found) and row["images"] == 60 + 4 * len(found)


def test_refitted_features_depend_on_the_set_alone():
    setting = Setting.of(SETTINGS | {"features": "lenet", "refit_features": True, "epochs": 2})
    a, b, c = (features.featurise(setting, np.array(s)) for s in ([3, 9], [9, 3], [9, 4]))
    np.testing.assert_array_equal(a.Z_test, b.Z_test)
    assert not np.array_equal(a.Z_test, c.Z_test)
    assert a.Z.shape == (68, 84)


def test_scores_before_and_after_are_given_for_every_point():
    rows = pd.DataFrame(sweep.score_points(**SETTINGS))
    assert rows["point"].tolist() == list(range(60)) and rows["label"].sum() == 30
    assert (rows.filter(regex="loss|influence") >= 0).all(axis=None)


def test_curves_join_both_ends_and_areas_follow_the_trapezoid():
    kinds = [(p.selection, p.update, p.downweight) for p in POLICIES if not p.downweight or p.update]
    parts = []
    for selection, update, downweight in kinds:
        score = "none" if selection == "baseline" else "loss"
        part = run(score=score, selection=selection, update=update, downweight=downweight)
        parts.append(part.assign(score=score, round=0, augmentation="translate"))
    ends = pd.concat(
        [pd.DataFrame(sweep.fixed_set(s, **SETTINGS)).assign(selection=s) for s in ("none", "all")]
    ).assign(augmentation="translate")
    curves = analysis.curves(pd.concat(parts), ends)
    assert set(curves["policy"]) == {p.name for p in POLICIES}
    for _, part in curves.groupby("policy"):
        assert part["k"].tolist() == [0, 1, 5, 59, 60]
        a = part["accuracy"].to_numpy()
        area = (a[0] + a[1]) / 2 + 2 * (a[1] + a[2]) + 27 * (a[2] + a[3]) + (a[3] + a[4]) / 2
        areas = analysis.auc(part)
        assert areas["auc"].item() == pytest.approx(area * 1000 / 60)
    table = analysis.budgets(curves, [5 / 60])
    assert table["policy"].tolist() == ["No augmentation", "Baseline", "Best policy", "Full augmentation"]
    means = curves[(curves["k"] == 5) & (curves["policy"] != "Baseline")].groupby("policy")["accuracy"].mean()
    assert table["mean"][2] == pytest.approx(100 * means.max())
    with pytest.raises(ParameterError, match="add 6 to points"):
        analysis.budgets(curves, [0.1])


@pytest.mark.parametrize(
    ("wrong", "match"),
    [
        ({"features": "vgg"}, "unknown"),
        ({"refit_features": True}, "features = 'lenet'"),
        ({"points": [5, 1]}, "ascend"),
        ({"points": [1, 60]}, "between 0 and n_train"),
        ({"score": "margin"}, "choose from loss, influence"),
    ],
)
def test_wrong_parameters_are_named(wrong, match):
    settings = {"score": "loss", "points": [1]} | SETTINGS | wrong
    with pytest.raises(ParameterError, match=match):
        sweep.trajectory(selection="random", update=False, downweight=False, round=0, **settings)


def test_stored_features_are_found_by_their_digest_and_checked(tmp_path, monkeypatch):
    monkeypatch.setenv("AUGURY_CACHE", str(tmp_path))
    arrays = tuple(np.arange(6, dtype=np.float32).reshape(3, 2) + i for i in range(3))
    name = features.store_features(arrays)
    for read, written in zip(features.read_features(name), arrays, strict=True):
        np.testing.assert_array_equal(read, written)
    path = tmp_path / "features" / f"{name}.npz"
    np.savez(path, *(a + 1 for a in arrays))
    with pytest.raises(DataError, match="damaged"):
        features.read_features(name)
    path.unlink()
    with pytest.raises(DataError, match="not in the cache"):
        features.read_features(name)
