"""The simulations: disjoint seeded samples, a planted harmful point, the rows, and what is refused."""

import numpy as np
import pandas as pd
import pytest

from augury.data import load
from augury.errors import ParameterError
from augury.trimming import analysis, plans, simulated
from augury.trimming.experiment import Sample, experiment, refit
from augury.trimming.learners import Linear, Network
from augury.trimming.selection import METHODS
from augury.trimming.simulated import picture, sample

SIZES = [40, 30, 50]
NETWORK = {"width": 4, "steps": 30, "lr": 0.02, "l2": 1e-2, "damping": 1.0}
PARAMS = {
    "budgets": [2, 5], "draws": 2, "linear_seeds": 3, "linear_sizes": SIZES, "C": 100.0, "network_seeds": 2,
    "network_sizes": SIZES, **NETWORK, "shown_seed": 1, "resolution": 6,
}  # fmt: skip


@pytest.mark.parametrize("dataset", simulated.DATASETS)
def test_samples_are_disjoint_seeded_and_of_the_pools(dataset):
    drawn = sample(dataset, 3, SIZES)
    sizes = [len(part[1]) for part in (drawn.train, drawn.validation, *drawn.tests.values())]
    assert sizes == [*SIZES, 20_000]
    whole = load(dataset)
    labels = [
        {tuple(x): label for x, label in zip(part.x.to_numpy(), part.y, strict=True)}
        for part in (whole.train, whole.test)
    ]
    seen: set[tuple[float, ...]] = set()
    parts = (drawn.train, drawn.validation, drawn.tests["test"])
    for (X, y), known in zip(parts, [labels[0]] * 2 + [labels[1]], strict=True):
        places = [tuple(x) for x in X]
        assert [known[place] for place in places] == y.tolist()
        assert len(set(places)) == len(places) and not seen & set(places)
        seen |= set(places)
    same, other = sample(dataset, 3, SIZES), sample(dataset, 4, SIZES)
    for equal, again in ((True, same), (False, other)):
        assert np.array_equal(drawn.train[0], again.train[0]) is equal
        assert np.array_equal(drawn.tests["test"][0], again.tests["test"][0]) is equal


def with_outlier(dataset: str) -> Sample:
    """A sample whose training point 17 lies far on the other class's side."""
    drawn = sample(dataset, 0, [60, 100, 100])
    X, y = (array.copy() for array in drawn.train)
    X[17], y[17] = (9.0, -9.0) if dataset == "two-gaussians" else (0.0, 2.0), 1
    return Sample((X, y), drawn.validation, drawn.tests)


@pytest.mark.parametrize(
    "dataset, learner", [("two-gaussians", Linear(100.0)), ("two-moons", Network(0, 8, 300, 0.02, 1e-3, 0.1))]
)
def test_a_planted_mislabelled_outlier_is_among_the_first_to_go(dataset, learner):
    chosen, _, _ = refit(with_outlier(dataset), learner, ["FI", "IV"], [5], 0, 0)
    assert [t.method for t in chosen] == ["FI", "IV"]
    assert chosen[0].removed[0] == 17 and 17 in chosen[1].removed


def test_trimming_the_outlier_mends_the_linear_model():
    rows = pd.DataFrame(experiment(with_outlier("two-gaussians"), Linear(100.0), [1], 0, 0)).assign(seed=0)
    base, fi = (analysis.values(rows, method, 1, "pool accuracy")[0] for method in ("Base", "FI"))
    assert fi > base
    assert analysis.values(rows, "FI", 1, "confidence")[0] < 0.1


def test_rows_name_each_method_budget_draw_and_metric_once():
    rows = pd.DataFrame(simulated.linear("two-gaussians", 1, SIZES, [2, 5], 3, 100.0))
    assert not rows.duplicated(["method", "b", "draw", "metric"]).any()
    assert set(rows["method"]) == {"Base", *METHODS} and not rows["value"].isna().any()
    everywhere = {f"{part} {measure}" for part in ("test", "pool", "validation") for measure in ("accuracy", "loss")}
    for (method, b, _), own in rows.groupby(["method", "b", "draw"]):
        assert set(own["metric"]) == everywhere | (set() if method == "Base" else {"class 1", "confidence"})
        assert b == 0 if method == "Base" else b in (2, 5)
    assert rows.groupby("method")["draw"].nunique().to_dict() == {"Base": 1} | dict.fromkeys(METHODS, 1) | {"Random": 3}
    again = pd.DataFrame(simulated.linear("two-gaussians", 1, SIZES, [2, 5], 3, 100.0))
    other = pd.DataFrame(simulated.linear("two-gaussians", 2, SIZES, [2, 5], 3, 100.0))
    assert rows.equals(again) and not np.allclose(rows["value"], other["value"])


def test_measures_are_those_of_a_model_fitted_by_hand():
    drawn = sample("two-gaussians", 5, SIZES)
    chosen, _, _ = refit(drawn, Linear(100.0), ["FI", "IV"], [5], 0, 5)
    rows = pd.DataFrame(simulated.linear("two-gaussians", 5, SIZES, [5], 1, 100.0)).assign(seed=5)
    X, y = drawn.train
    base = Linear(100.0).fit((X, y), np.ones((1, 40))).models[0]
    for trimming in chosen:
        rest = np.setdiff1d(np.arange(40), trimming.removed)
        model = Linear(100.0).fit((X[rest], y[rest]), np.ones((1, 35))).models[0]
        found = {metric: analysis.values(rows, trimming.method, 5, metric)[0] for metric in rows["metric"].unique()}
        for part, points in {**drawn.tests, "validation": drawn.validation}.items():
            assert found[f"{part} accuracy"] == model.accuracy(*points)
            assert found[f"{part} loss"] == pytest.approx(model.losses(*points).mean(), rel=1e-6)
        assert found["class 1"] == y[trimming.removed].sum()
        own = np.exp(-base.losses(X, y))[trimming.removed].mean()
        assert found["confidence"] == pytest.approx(own, rel=1e-6)


def test_a_network_cell_has_the_rows_of_a_linear_one():
    linear = pd.DataFrame(simulated.linear("two-moons", 0, SIZES, [2], 2, 100.0))
    network = pd.DataFrame(simulated.network("two-moons", 0, SIZES, [2], 2, **NETWORK))
    keys = ["method", "b", "draw", "metric"]
    assert network[keys].equals(linear[keys])
    again = pd.DataFrame(simulated.network("two-moons", 0, SIZES, [2], 2, **NETWORK))
    pd.testing.assert_frame_equal(network, again)


def test_a_picture_holds_the_points_and_the_models_that_trimming_gives():
    drawn = sample("two-gaussians", 1, SIZES)
    rows = pd.DataFrame(picture(drawn, Linear(100.0), 4, 7, 1))
    chosen, base, refits = refit(drawn, Linear(100.0), ["FI", "IV"], [4], 0, 1)
    sizes = {"training set": 40, "trimmed by FI": 40, "trimmed by IV": 40, "test set": 50, "grid": 49}
    assert rows["panel"].value_counts(sort=False).to_dict() == sizes
    for trimming in chosen:
        own = rows[rows["panel"] == f"trimmed by {trimming.method}"].reset_index(drop=True)
        assert set(np.flatnonzero(own["series"] == "trimmed")) == set(trimming.removed)
        np.testing.assert_allclose(own[["x1", "x2"]], drawn.train[0], atol=1e-5)
    grid = rows[rows["panel"] == "grid"]
    places = grid[["x1", "x2"]].to_numpy()
    both = np.concatenate([drawn.train[0], drawn.tests["test"][0]])
    assert (places.min(0) < both.min(0)).all() and (places.max(0) > both.max(0)).all()
    decisions = np.concatenate([base.decision(places), refits.decision(places)])
    np.testing.assert_allclose(grid[list(simulated.PICTURED)].to_numpy().T, decisions, atol=1e-3)
    found = analysis.accuracies(rows)
    assert found["no trimming"] == pytest.approx(100 * base.models[0].accuracy(*drawn.tests["test"]))
    for x1, x2, logits in analysis.boundaries(rows).values():
        assert logits.shape == (7, 7) and (np.diff(x1) > 0).all() and (np.diff(x2) > 0).all()
    row = grid.iloc[9]
    x1, x2, logits = analysis.boundaries(rows)["FI"]
    assert logits[list(x2).index(row["x2"]), list(x1).index(row["x1"])] == row["FI"]


@pytest.mark.parametrize(
    "call, said",
    [
        (lambda: sample("three-moons", 0, SIZES), "'three-moons'; choose one of two-gaussians, two-moons"),
        (lambda: sample("two-moons", 0, [0, 10, 10]), "must be positive"),
        (lambda: sample("two-moons", 0, [19_000, 1_001, 10]), "at most 20000 points"),
        (lambda: sample("two-moons", 0, [10, 10, 20_001]), "20000 for testing"),
        (lambda: simulated.linear("two-gaussians", 0, SIZES, [40], 1, 1.0), "40 of 40 points"),
        (lambda: simulated.linear("two-gaussians", 0, SIZES, [-1], 1, 1.0), "-1 of 40 points"),
        (lambda: simulated.linear_picture("two-gaussians", 0, SIZES, 4, 1, 1.0), "resolution of at least 2"),
    ],
)
def test_what_is_out_of_range_is_refused(call, said):
    with pytest.raises(ParameterError, match=said):
        call()


def test_plans_have_one_cell_a_seed_and_pictures_one_of_the_largest_budget():
    linear, network = plans.linear(PARAMS), plans.network(PARAMS)
    assert [cell["seed"] for cell in linear.cells] == [0, 1, 2] and [c["seed"] for c in network.cells] == [0, 1]
    for plan in (linear, network):
        assert plan.experiment(**plan.cells[0])
    for plan in (plans.linear_picture(PARAMS), plans.network_picture(PARAMS)):
        [cell] = plan.cells
        assert cell["b"] == 5 and cell["seed"] == 1
        rows = pd.DataFrame(plan.experiment(**cell))
        assert len(rows) == 3 * 40 + 50 + 36
        shown = analysis.places(rows.assign(**{name: cell[name] for name in ("dataset", "seed", "b")}))
        assert len(shown) == len(rows) and "sizes" not in shown


@pytest.mark.parametrize(
    "name, value",
    [
        ("budgets", []), ("budgets", [5, 2]), ("budgets", [0, 5]), ("budgets", [40]), ("draws", 0), ("linear_seeds", 1),
        ("network_seeds", 1), ("linear_sizes", [40, 30]), ("network_sizes", [40, 30, 0]), ("C", 0.0), ("lr", 0.0),
        ("width", 0), ("steps", 0), ("l2", -1e-3), ("damping", -1.0), ("shown_seed", -1), ("resolution", 1),
    ],
)  # fmt: skip
def test_parameters_out_of_range_are_refused(name, value):
    with pytest.raises(ParameterError, match=f"parameter {name}"):
        plans.check_simulated(PARAMS | {name: value})


def test_deviations_say_how_many_seeds_are_missing():
    found = plans.simulated_deviations(PARAMS)
    assert "3 seeds of the linear model instead of 30" in found
    assert "random trimming (2 draws a seed) and the claims on it are our addition" in " ".join(found)
    assert not any(
        "seeds of" in text for text in plans.simulated_deviations(PARAMS | {"linear_seeds": 30, "network_seeds": 20})
    )
