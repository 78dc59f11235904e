"""The one-dimensional counter-example: the text's model against autograd and refits, the samples, and the cells."""

import json

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

from augury.errors import ParameterError
from augury.influence.network import NetworkInfluence
from augury.invariance import analysis, counterexample, plans
from augury.models.logistic import fit_logistic

PARAMS = {"n": 100, "outliers": 4, "budgets": [2, 8], "replicates": 4, "seed": 0}


class OneSlope(nn.Module):
    """Logits (0, beta x)."""

    def __init__(self, beta):
        super().__init__()
        self.beta = nn.Parameter(torch.tensor([beta], dtype=torch.float64))

    def forward(self, x):
        return torch.cat([torch.zeros_like(x), self.beta * x], 1)


@pytest.mark.parametrize("centre", [0.0, 8.0])
def test_scores_of_the_texts_model_are_those_of_the_generic_version(centre):
    sample = counterexample.draw_sample(centre, 60, 4, 0, 0)
    model = counterexample.fit_slope(sample.x, sample.y)
    generic = NetworkInfluence(
        OneSlope(model.beta), sample.x[:, None], sample.y, l2=1 / (counterexample.C * len(sample.x))
    )
    found = counterexample.slope_scores(model, sample)
    val = sample.x_val[:, None], sample.y_val
    np.testing.assert_allclose(found["FI"], generic.util(*val), rtol=1e-8)
    np.testing.assert_allclose(found["IV"], generic.removal(*val), rtol=1e-10)


def test_the_slope_is_the_optimum():
    sample = counterexample.draw_sample(0.0, 60, 4, 1, 0)
    model = counterexample.fit_slope(sample.x, sample.y)
    best = model.losses(sample.x[:, None], sample.y).mean()
    for step in (-1e-3, 1e-3):
        other = counterexample.Slope(model.beta + step)
        assert other.losses(sample.x[:, None], sample.y).mean() > best
    assert model.accuracy(np.array([[1.0], [-1.0]]), np.array([1, 0])) == float(model.beta > 0)


def test_on_positive_x_the_sign_of_iv_is_the_class():
    for replicate in range(10):
        sample = counterexample.draw_sample(8.0, 60, 4, 0, replicate)
        assert (sample.x > 0).all()
        negative = counterexample.scores(sample, intercept=False)["IV"] < 0
        assert np.array_equal(negative, sample.y == 1) or np.array_equal(negative, sample.y == 0)


def test_samples_are_moved_not_drawn_anew():
    near, far = (counterexample.draw_sample(centre, 40, 3, 0, 2) for centre in (0.0, 8.0))
    np.testing.assert_allclose(near.x + 8, far.x)
    np.testing.assert_array_equal(near.y, far.y)
    assert near.outlier.sum() == 6 and sorted(near.y[near.outlier]) == [0, 0, 0, 1, 1, 1]
    assert (near.x[near.outlier & (near.y == 1)] < -2).all() and (near.x[near.outlier & (near.y == 0)] > 2).all()
    assert len(near.x) == len(near.x_val) == 40 and len(near.x_test) == 1_000


def test_trimming_takes_the_most_negative_iv_and_the_largest_fi():
    values = np.array([3.0, -1.0, 2.0, -5.0])
    assert counterexample.trimmed(values, "IV", 2).tolist() == [False, True, False, True]
    assert counterexample.trimmed(values, "FI", 2).tolist() == [True, False, True, False]


@pytest.mark.parametrize(
    ("case", "centre"), [("x > 0, no intercept", 8.0), ("no intercept", 0.0), ("with intercept", 0.0)]
)
def test_a_row_is_what_trimming_does_by_hand(case, centre):
    sample, budget = counterexample.draw_sample(centre, 100, 5, 0, 1), 10
    found = {r["method"]: r for r in counterexample.trimming(case, 100, 5, budget, 2, 0) if r["replicate"] == 1}
    values = counterexample.scores(sample, case == "with intercept")
    sides = (values["IV"] < 0) == ((sample.y == 1) == (sample.x > 0))
    for method, order in (("IV", np.argsort(values["IV"])), ("FI", np.argsort(values["FI"])[::-1])):
        gone, rest, row = order[:budget], order[budget:], found[method]
        assert row["class_1"] == sum(sample.y[gone] == 1) / budget
        assert row["outliers_trimmed"] == sum(sample.outlier[gone]) / budget
        assert row["sign_by_class"] == max(sides.sum(), 100 - sides.sum()) / 100
        if case == "with intercept":
            w, b = fit_logistic(sample.x[rest, None], sample.y[rest], counterexample.C).theta
        else:
            w, b = counterexample.fit_slope(sample.x[rest], sample.y[rest]).beta, 0.0
        logit = w * sample.x_test + b
        assert row["loss"] == pytest.approx(np.logaddexp(0, np.where(sample.y_test == 1, -logit, logit)).mean())
        assert row["accuracy"] == np.mean((logit > 0) == (sample.y_test == 1))
        whole = counterexample.fitted(sample.x, sample.y, case == "with intercept")
        assert row["loss"] != pytest.approx(whole.losses(sample.x_test[:, None], sample.y_test).mean())


def test_cells_give_tidy_rows_that_json_can_hold():
    for plan in (plans.trimming(PARAMS), plans.points(PARAMS)):
        for cell in plan.cells:
            assert json.loads(json.dumps(plan.experiment(**cell), allow_nan=False))
    plan = plans.trimming(PARAMS)
    rows = pd.concat([pd.DataFrame(plan.experiment(**c)).assign(**c) for c in plan.cells])
    assert len(rows) == 3 * 2 * 4 * 2
    found = analysis.outcomes(rows)
    assert set(found.outcome) == set(analysis.OUTCOMES.values())
    larger = found[found.outcome == analysis.OUTCOMES["one_class"]].value
    assert larger.between(0.5, 1).all()
    names = [name for name, iv, fi in analysis.pairs(rows) if (iv.replicate.values == fi.replicate.values).all()]
    assert len(names) == 6 and names[0] == "x > 0, no intercept, b = 2"
    assert analysis.one_class(rows[rows.case == "x > 0, no intercept"]) == 16


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"n": 99}, "n = 99 must be at least 100"),
        ({"outliers": 26}, "outliers = 26 must be"),
        ({"budgets": [5, 2]}, "budgets"),
        ({"budgets": [21]}, "budgets"),
        ({"replicates": 1}, "replicates = 1 must be at least 2"),
    ],
)
def test_parameters_out_of_range_are_refused(change, message):
    with pytest.raises(ParameterError, match=message):
        plans.trimming(PARAMS | change)


def test_unknown_cases_are_refused():
    with pytest.raises(ParameterError, match="case 'other' is unknown; choose from x > 0"):
        counterexample.points("other", 40, 2, 4, 0)
    with pytest.raises(ParameterError, match="leave too few"):
        counterexample.trimming("no intercept", 40, 2, 39, 1, 0)
