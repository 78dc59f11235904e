"""The stream of augmented rows, the designs, the experiment's cells, the remarks' rows and the text's slips."""

import json

import numpy as np
import pandas as pd
import pytest
import torch

from augury.augment.base import Augmentation, identity
from augury.errors import ParameterError
from augury.penalties import linear, plans, remarks, simulation
from augury.penalties.moments import least_squares, moments
from augury.penalties.slips import slips

PARAMS = {
    "profile": "quick",
    "run": "",
    "designs": ["correlated", "diabetes"],
    "n": 50,
    "lambdas": [0.2, 0.8],
    "sizes": [1000, 3000, 10000],
    "replicates": 3,
    "seed": 0,
}


def collected(seen):
    """Return an augmentation that changes nothing and keeps what it is given."""

    def keep(x, y, generator):
        seen.append((x.clone(), y.clone()))
        return x, y

    return Augmentation("seen", keep)


@pytest.mark.parametrize("chunk", [64, simulation.CHUNK])
def test_streamed_moments_are_those_of_the_rows(monkeypatch, chunk):
    monkeypatch.setattr(simulation, "CHUNK", chunk)
    X, y = simulation.make_design("non-zero means", 40, 0)
    seen: list = []
    found = list(simulation.augmented_moments(X + 1e4, y, collected(seen), [100, 250, 1000], 0, "test"))
    rows, responses = (torch.cat(parts).numpy() for parts in zip(*seen, strict=True))
    assert len(rows) == 1000 and max(len(x) for x, _ in seen) <= chunk
    for m, size in zip(found, [100, 250, 1000], strict=True):
        whole = moments(rows[:size], responses[:size])
        assert m.n == size and m.response == pytest.approx(whole.response)
        for name in ("mean", "covariance", "cross"):
            np.testing.assert_allclose(getattr(m, name), getattr(whole, name), rtol=1e-9, atol=1e-9)
        np.testing.assert_allclose(least_squares(m).beta, linear.ols(rows[:size], responses[:size]).beta, rtol=1e-7)
    np.testing.assert_array_equal(np.unique(rows, axis=0), np.unique(X + 1e4, axis=0))  # every row is one of the data
    assert ((rows[:, None] == X + 1e4).all(-1).argmax(1) == (responses[:, None] == y).argmax(1)).all()


@pytest.mark.parametrize("name", simulation.AUGMENTATIONS)
def test_the_first_rows_of_a_stream_do_not_depend_on_how_it_is_read(monkeypatch, name):
    X, y = simulation.make_design("non-zero means", 40, 0)
    augment = simulation.ablation(name, 0.4, X.mean(0))
    whole = next(simulation.augmented_moments(X, y, augment, [500], 0, "test"))
    monkeypatch.setattr(simulation, "CHUNK", 37)
    parts = list(simulation.augmented_moments(X, y, augment, [101, 500, 700], 0, "test"))[1]
    np.testing.assert_allclose(parts.covariance, whole.covariance, rtol=1e-10, atol=1e-12)
    other = next(simulation.augmented_moments(X, y, augment, [500], 0, "other"))
    assert not np.allclose(other.covariance, whole.covariance, rtol=1e-4)


def test_without_ablation_the_stream_is_a_bootstrap_of_the_data():
    X, y = simulation.make_design("correlated", 30, 1)
    m = next(simulation.augmented_moments(X, y, identity, [200_000], 0, "test"))
    np.testing.assert_allclose(least_squares(m).beta, linear.ols(X, y).beta, atol=0.02)


def test_designs_are_what_their_names_say():
    designs = {name: simulation.make_design(name, 400, 0) for name in simulation.DESIGNS}
    for name, (X, y) in designs.items():
        assert X.dtype == y.dtype == np.float64 and len(X) == len(y) == (442 if name == "diabetes" else 400)
        assert (np.abs(X.mean(0)).max() < 1e-12) == (name not in ("non-zero means", "diabetes"))
    np.testing.assert_allclose(np.cov(designs["uncorrelated"][0].T, bias=True), np.eye(5), atol=1e-12)
    correlation = np.corrcoef(designs["correlated"][0].T)
    assert (np.abs(correlation[~np.eye(5, dtype=bool)] - 0.6) < 0.12).all()
    assert 0.998 < np.corrcoef(designs["twins"][0].T)[0, 1] < 1
    again = simulation.make_design("twins", 400, 0)
    np.testing.assert_array_equal(again[0], designs["twins"][0])
    assert not np.array_equal(simulation.make_design("twins", 400, 1)[0], again[0])


@pytest.mark.parametrize("name", simulation.AUGMENTATIONS)
def test_the_error_falls_towards_the_right_closed_form_alone(name):
    other = {"MADA": "IID", "IID": "MADA"}[name]
    X, y = simulation.make_design("correlated", 50, 0)
    rows = pd.DataFrame(simulation.convergence("correlated", name, 0.5, 50, [1000, 100_000], 4, 0))
    assert list(rows.columns) == ["replicate", "N", "error"] and len(rows) == 8
    small, large = rows[rows.N == 1000].error, rows[rows.N == 100_000].error
    assert large.max() < 0.05 and large.mean() < 0.2 * small.mean()
    right, wrong = (simulation.closed_form(each, X, y, 0.5).beta for each in (name, other))
    assert simulation.distance(right, wrong) > 0.4


def test_unknown_names_are_refused():
    with pytest.raises(ParameterError, match="uncorrelated, correlated"):
        simulation.make_design("square", 100, 0)
    with pytest.raises(ParameterError, match="at least 10"):
        simulation.make_design("correlated", 9, 0)
    with pytest.raises(ParameterError, match="MADA, IID"):
        simulation.ablation("cutout", 0.5, np.zeros(2))


def test_every_combination_is_one_cell_and_real_data_are_named():
    cells = plans.convergence(PARAMS).cells
    assert len(cells) == 2 * 2 * 2 == len({json.dumps(cell, sort_keys=True) for cell in cells})
    assert all((cell.get("dataset") == "diabetes") == (cell["design"] == "diabetes") for cell in cells)
    rows = simulation.convergence(**cells[-1])
    assert len(rows) == 9 and json.dumps(rows)


@pytest.mark.parametrize(
    ("wrong", "match"),
    [
        ({"designs": []}, "designs"),
        ({"designs": ["square"]}, "uncorrelated"),
        ({"designs": ["twins", "twins"]}, "different"),
        ({"n": 9}, "at least 10"),
        ({"lambdas": []}, "lambdas"),
        ({"lambdas": [0.0, 0.5]}, r"ascending in \(0, 1\)"),
        ({"lambdas": [0.5, 1.0]}, r"ascending in \(0, 1\)"),
        ({"lambdas": [0.5, 0.2]}, "ascending"),
        ({"sizes": [1000, 2000]}, "three or more"),
        ({"sizes": [10, 1000, 2000]}, "from 100"),
        ({"replicates": 1}, "at least 2"),
    ],
)
def test_parameters_out_of_range_are_refused(wrong, match):
    with pytest.raises(ParameterError, match=match):
        plans.convergence(PARAMS | wrong)


def test_deviations_name_the_stand_in_only_where_it_is_used():
    assert any("diabetes" in text for text in plans.linear_deviations(PARAMS))
    assert not any("diabetes" in text for text in plans.linear_deviations(PARAMS | {"designs": ["twins"]}))


def test_rates_are_the_slopes_of_each_replicate():
    settings = {"augmentation": "MADA", "design": "twins", "lam": 0.5}
    rows = [
        settings | {"replicate": r, "N": N, "error": 3 * N**-s} for r, s in enumerate((0.5, 0.2)) for N in (10, 99, 1e4)
    ]
    found = remarks.rates(pd.DataFrame(rows))
    np.testing.assert_allclose(found["slope"], [-0.5, -0.2])
    assert list(found.columns) == ["augmentation", "design", "lam", "replicate", "slope"]


def test_checks_hold_and_would_not_with_the_wrong_formulas(monkeypatch):
    arguments = (["correlated", "non-zero means"], 60, 0, [0.2, 0.7])
    found = remarks.checks(*arguments)
    assert found["holds"].all(), found[~found["holds"]]
    assert found["claim"].nunique() == 10 and not found.duplicated(["claim", "part"]).any()
    monkeypatch.setattr(linear, "beta_ccp", linear.beta_ml2p)
    monkeypatch.setitem(remarks.FITS, "contribution covariance", linear.beta_ml2p)
    wrong = remarks.checks(*arguments)
    failing = set(wrong[~wrong["holds"]]["claim"])
    assert failing == {
        "theorem1/objective",
        "remark1/single-regressions",
        "remark1/uncorrelated-no-penalty",
        "remark2/l2-shrinks-further",
        "remark2/means-far-from-zero",
        "remark2/zero-means-rescale",
    }


def test_rows_of_the_remarks():
    lambdas = [0.0, 0.5, 0.9]
    one = remarks.remark1(60, 0, lambdas)
    assert set(one.case) == {"uncorrelated", "correlated", "twins", "penalty of the fit"}
    X, y = simulation.make_design("correlated", 60, 0)
    part = one[one.case == "correlated"].pivot(index="lam", columns="series", values="value")
    np.testing.assert_allclose(part.loc[1.0], [np.polyfit(x, y, 1)[0] for x in X.T], rtol=1e-8)
    np.testing.assert_allclose(part.loc[0.0], linear.ols(X, y).beta, rtol=1e-8)
    two = remarks.remark2(60, 0, lambdas, [0.0, 2.0], 0.5)
    share = two[two.penalty == "modified L2"].set_index(["case", "x"])["value"]
    np.testing.assert_allclose(share["uncorrelated"], [1.0, 0.5, 0.1])
    np.testing.assert_allclose(share["mean moved"], [0.5, 1 / 6])
    assert (two[(two.penalty != "modified L2") & (two.case != "twins, together")].value - 1).abs().max() < 1e-9


def test_augmented_data_are_far_from_the_misprints_and_near_what_is_used():
    table = slips(200, 0, 0.3, 100_000)
    assert len(table) == 5 and (table["off by (used)"] < 0.1).all() and (table["off by"] > 0.5).all()
    X, y = simulation.make_design("non-zero means", 200, 0)
    # scaled by 1/lambda, inverted dropout tends to lambda / (1 - lambda) of the modified L2's coefficients
    assert table["off by"][2] == pytest.approx(1 - 0.3 / 0.7, abs=0.02)
    with pytest.raises(ParameterError, match="not be 1/2"):
        slips(200, 0, 0.5, 1000)
