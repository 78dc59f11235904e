"""Theorem 1 where its premise holds and where it does not, the peers' measures, units, and what FI says of refits."""

import json

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.stats import spearmanr
from torch.func import grad, hessian, jacfwd, jacrev

from augury.errors import ParameterError
from augury.influence.classifier import ClassifierInfluence
from augury.invariance import analysis, plans, scores, theorem
from augury.invariance.tables import gaussian_problem, log_probabilities, table_problem
from augury.seeding import rng

PARAMS = {
    "shapes": [[5, 3], [2, 3]],
    "n": 40,
    "stretches": [1.0, 10.0],
    "datasets": ["two-gaussians"],
    "rows": 100,
    "validation": 40,
    "C": 1.0,
    "factors": [1.0, 10.0],
    "top": 0.1,
    "replicates": 3,
    "refits": 3,
    "step": 0.01,
    "labelled": 100,
    "sizes": [50, 100],
    "seed": 0,
}


def changes(classes, features, kind, stretch=30.0):
    return pd.DataFrame(theorem.theorem1(classes, features, 40, 1.0, kind, [stretch], 4, 0))


@pytest.mark.parametrize(("classes", "features"), [(5, 3), (4, 3), (3, 2)])
def test_where_the_metric_is_positive_definite_only_fi_is_invariant(classes, features):
    found = changes(classes, features, "diffeomorphism").groupby("measure").change
    assert found.max()["FI"] < 1e-8
    assert found.min()["Jacobian norm"] > 0.1 and found.min()["Cook's measure"] > 0.1


@pytest.mark.parametrize(("classes", "features"), [(2, 3), (3, 6)])
def test_below_full_rank_rotations_leave_fi_and_unequal_stretches_do_not(classes, features):
    assert changes(classes, features, "rotation").change.max() < 1e-8
    found = changes(classes, features, "diffeomorphism")
    fi = found[found.measure == "FI"]
    assert fi.change.min() > 0.1 and fi["rank"].mean() < 0.99 and not fi.full_rank.any()


def test_the_jacobian_is_that_of_a_diffeomorphism():
    J = theorem.reparameterisation("diffeomorphism", 4, 50.0, rng(0, "test"))
    np.testing.assert_allclose(np.linalg.svd(J)[1], np.geomspace(50, 1, 4), rtol=1e-10)
    Q = theorem.reparameterisation("rotation", 4, 50.0, rng(0, "test"))
    np.testing.assert_allclose(Q @ Q.T, np.eye(4), atol=1e-12)
    with pytest.raises(ParameterError, match="reparameterisation 'shear' is unknown"):
        theorem.reparameterisation("shear", 4, 1.0, rng(0))


def test_peers_measures_are_their_definitions():
    problem = gaussian_problem(3, 4, 30, 0, 0)
    model = problem.fit(1.0)
    influence = ClassifierInfluence(model, problem.X, problem.y)
    found = theorem.measures(influence, problem)
    shape, n = model.theta.shape, 30
    X, y = torch.tensor(problem.X), problem.y

    def logits(flat, x):
        T = flat.reshape(shape)
        return T[:, :-1] @ x + T[:, -1]

    def loss(flat, x, t):
        return -logits(flat, x).log_softmax(0)[t]

    flat = torch.tensor(model.theta.ravel())

    def total(th):  # the objective the model was fitted to
        weights = th.reshape(shape)[:, :-1]
        return sum(loss(th, x, int(t)) for x, t in zip(X, y, strict=True)) + weights.square().sum() / 2

    inverse = torch.linalg.pinv(hessian(total)(flat), hermitian=True, rtol=1e-12)
    for i in (0, 9, 21):
        t = int(y[i])
        M = jacrev(lambda at, t=t: grad(loss)(flat, at, t))(X[i])

        def follows(omega, i=i, M=M):  # probabilities of the moved point, to first order in the parameters
            return logits(flat - inverse @ M @ omega, X[i] + omega).softmax(0)

        jacobian = jacfwd(follows)(torch.zeros(4, dtype=torch.float64))
        assert found["Jacobian norm"][i] == pytest.approx(float(jacobian.norm()), rel=1e-8)
        # the displacement of the objective at parameters that moved by -(n H)^-1 M omega
        displaced = hessian(lambda omega, M=M: 2 * total(flat - inverse @ M @ omega))(torch.zeros(4).double())
        assert found["Cook's measure"][i] == pytest.approx(float(torch.linalg.eigvalsh(displaced)[-1]), rel=1e-7)
    assert n == influence.n


@pytest.mark.parametrize("kind", theorem.CHANGES)
@pytest.mark.parametrize("dataset", ["breast-cancer", "digits"])
def test_units_change_fi_and_leave_the_whitened_variant(dataset, kind):
    rows = pd.DataFrame(theorem.rescaling(dataset, kind, [1.0, 100.0], 120, 40, 1.0, 0.1, 2, 0))
    same, other = (rows[rows.factor == factor].groupby("measure") for factor in (1.0, 100.0))
    np.testing.assert_allclose(same["rank"].min(), 1, rtol=1e-6)
    np.testing.assert_allclose(same.fold.max(), 1, rtol=1e-6)
    assert other.fold.max()["FI, whitened"] == pytest.approx(1, abs=1e-4)
    assert other["rank"].min()["FI, whitened"] > 0.9999
    # one feature of 30 or 60 changes little; its whitened scores stay at rounding all the same
    least = 1e-4 if kind == "one feature" else 0.1
    assert other.fold.min()["FI"] > 1 + least and (kind == "one feature" or other["rank"].max()["FI"] < 0.999)


def test_units_are_what_they_say():
    one = theorem.units("one feature", 5, 7.0, rng(0))
    assert sorted(np.diag(one)) == [1, 1, 1, 1, 7]
    every = np.diag(theorem.units("all features", 500, 7.0, rng(0)))
    assert 1 / 7 <= every.min() < 0.2 and 5 < every.max() <= 7 and abs(np.log(every).mean()) < 0.2
    assert np.linalg.norm(theorem.units("all features", 3, 1.0, rng(0)) - np.eye(3)) == 0
    mapped = theorem.units("linear map", 5, 7.0, rng(0))
    assert np.linalg.svd(mapped)[1].max() <= 7.001 and np.abs(mapped - np.diag(np.diag(mapped))).max() > 0.01
    with pytest.raises(ParameterError, match="change of units 'two' is unknown"):
        theorem.units("two", 5, 7.0, rng(0))


def test_compared_counts_what_stays_on_top():
    old, new = np.array([4.0, 3, 2, 1]), np.array([4.0, 1, 6, 2])
    found = theorem._compared(old, new, 0.5)
    assert found["kept"] == 0.5 and found["rank"] == pytest.approx(spearmanr(old, new).statistic)
    assert found["fold"] == pytest.approx(np.median([1, 3, 3, 2]), rel=1e-12)


def columns(rows):
    return {name: np.array(values) for name, values in pd.DataFrame(rows).items()}


def test_utility_is_the_scores_of_the_training_points():
    found, problem = (
        columns(scores.utility("two-gaussians", 100, 50, 2.0, 3)),
        table_problem("two-gaussians", 100, 50, 3),
    )
    model, val = problem.fit(2.0), (problem.X_val, problem.y_val)
    influence, white = (ClassifierInfluence(model, problem.X, problem.y, whiten=whiten) for whiten in (False, True))
    np.testing.assert_allclose(found["FI"], influence.util(*val), rtol=1e-12)
    np.testing.assert_allclose(found["whitened"], white.util(*val), rtol=1e-12)
    np.testing.assert_allclose(found["IV"], influence.removal(*val), rtol=1e-12)
    probability = 1 / (1 + np.exp(-model.decision(problem.X)))  # of class 1
    own = np.where(problem.y == 1, probability, 1 - probability)
    np.testing.assert_allclose(found["loss"], -np.log(own), rtol=1e-10)
    np.testing.assert_array_equal(found["right"], own > 0.5)


def test_activity_is_the_pairs_aggregated_over_the_labelled_points():
    found, problem = columns(scores.activity("digits", 200, 30, 1.0, 3)), table_problem("digits", 200, 30, 3)
    model = problem.fit(1.0)
    influence, predicted = ClassifierInfluence(model, problem.X, problem.y), model.decision(problem.X_val).argmax(1)
    pairs = influence.pairs(problem.X_val, predicted)
    np.testing.assert_allclose(found["middle"], influence.active(problem.X_val), rtol=1e-10)
    np.testing.assert_allclose(found["mean"], pairs.sum(1) / 200, rtol=1e-10)
    np.testing.assert_allclose(found["median"], np.sort(pairs)[:, 99:101].mean(1), rtol=1e-10)
    P = model.probabilities(problem.X_val)
    np.testing.assert_allclose(found["entropy"], -(P * np.log(P)).sum(1), rtol=1e-10)
    np.testing.assert_array_equal(found["right"], predicted == problem.y_val)
    (row,) = scores.agreement("digits", 200, 30, 1.0, 3)
    for name, value in row.items():
        assert value == pytest.approx(spearmanr(found["middle"], found[name]).statistic)


@pytest.mark.parametrize("dataset", ["two-gaussians", "digits"])
def test_refits_bear_out_the_rate_that_fi_gives(dataset):
    found = pd.DataFrame(scores.refits(dataset, 100, 50, 1.0, 5, 1e-2, 0))
    np.testing.assert_allclose(found.actual, found.predicted, rtol=2e-3)


def test_tables_are_standardised_and_drawn_reproducibly():
    one, same = (table_problem("breast-cancer", 100, 50, 3) for _ in range(2))
    np.testing.assert_array_equal(one.X, same.X)
    np.testing.assert_allclose(one.X.mean(0), 0, atol=1e-10)
    np.testing.assert_allclose(one.X.std(0), 1)
    assert one.X.shape == (100, 30) and len(one.X_val) == 50 and one.classes == 2
    assert table_problem("digits", 100, 50, 0).classes == 10
    np.testing.assert_allclose(np.exp(log_probabilities(one.fit(1.0), one.X)).sum(1), 1)
    with pytest.raises(ParameterError, match="data set 'iris' is not among"):
        table_problem("iris", 100, 50, 0)
    with pytest.raises(ParameterError, match="9 rows of digits lack one of its 10 classes"):
        table_problem("digits", 9, 50, 0)


def test_synthetic_problems_have_every_class():
    for replicate in range(40):  # of 20 points in five classes, one draw in nine lacks one
        problem = gaussian_problem(5, 3, 20, 0, replicate)
        assert set(problem.y) == set(range(5)) and problem.X.shape == (20, 3)
    with pytest.raises(ParameterError, match="4 points of 5 classes"):
        gaussian_problem(5, 3, 4, 0, 0)


def test_cells_give_tidy_rows_that_json_can_hold():
    for plan in (plans.theorem1, plans.rescaling, plans.utility, plans.refits, plans.activity, plans.agreement):
        made = plan(PARAMS)
        assert json.loads(json.dumps(made.experiment(**made.cells[0]), allow_nan=False))
        assert {c.get("dataset", "two-gaussians") for c in made.cells} == {"two-gaussians"}
    made = plans.theorem1(PARAMS)
    rows = pd.concat([pd.DataFrame(made.experiment(**c)).assign(**(c | {"stretches": 0})) for c in made.cells])
    rows["shape"] = rows.apply(analysis.shape, axis=1)
    assert set(rows["shape"]) == {"5 classes, 3 features: G positive definite", "2 classes, 3 features: rank of G 1"}
    checks = analysis.invariant(rows, 1e-8)
    assert checks.holds.tolist() == [True, True, True, False]
    assert checks.part[3] == "2 classes, 3 features: rank of G 1, diffeomorphism"
    assert len(analysis.varying(rows, 0.01)) == 4 and analysis.varying(rows, 0.01).holds.all()
    assert not analysis.varying(rows, 1e9).holds.any()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"shapes": [[5, 3]]}, "shapes"),
        ({"shapes": [[2, 3]]}, "shapes"),
        ({"datasets": ["mnist"]}, "datasets"),
        ({"factors": [10.0, 1.0]}, "factors"),
        ({"stretches": [0.5, 2.0]}, "stretches"),
        ({"C": 0.0}, "C = 0.0 must be positive"),
        ({"top": 1.0}, "top"),
        ({"replicates": 2}, "replicates = 2 must be at least 3"),
        ({"labelled": 99}, "labelled = 99 must be at least 100"),
        ({"datasets": ["digits"], "rows": 199}, "rows = 199 must be at least 200"),
        ({"n": 39}, "n = 39 must be at least 20 and 8 times the 5 classes"),
    ],
)
def test_parameters_out_of_range_are_refused(change, message):
    with pytest.raises(ParameterError, match=message):
        plans.rescaling(PARAMS | change)


def test_deviations_name_stand_ins_only_where_there_are_any():
    assert any("stand in" in text for text in plans.measure_deviations(PARAMS | {"datasets": ["digits"]}))
    assert not any("stand in" in text for text in plans.measure_deviations(PARAMS | {"datasets": ["adult"]}))
    assert any("Adult" in text for text in plans.measure_deviations(PARAMS | {"datasets": ["adult"]}))
