"""The cells of the notebook on real data, the settings of Table 3, and what the parameters must be."""

import inspect

import pandas as pd
import pytest

from augury.errors import ParameterError
from augury.report import published
from augury.trimming import real, real_plans

PARAMS = {
    "datasets": ["two-gaussians", "breast-cancer"], "seeds": 2, "sizes": [60, 50, 40], "budgets": [2, 5], "draws": 2,
    "noisy_rows": 6, "epochs": 2, "batch": 16, "neighbours": 3, "optimiser": ["SGD", "Adam"], "lr": [0.1, 0.2],
    "weight_decay": [0.3, 0.4], "noisy_optimiser": ["SGD", "SGD"], "noisy_lr": [0.1, 0.5],
}  # fmt: skip
PAPER = PARAMS | {
    "datasets": ["adult", "bank", "celeba-attributes", "toxicity"], "sizes": [5000, 4200, 4200],
    "optimiser": ["SGD", "SGD", "Adam", "Adam"], "lr": [0.01, 0.01, 1e-4, 0.01],
    "weight_decay": [0.01, 0.01, 1e-6, 0.01], "noisy_optimiser": ["SGD", "SGD", "SGD", "Adam"], "noisy_lr": [0.01] * 4,
}  # fmt: skip


@pytest.mark.parametrize("plan, run", [(real_plans.descent, real.descend), (real_plans.newton, real.solve)])
def test_plans_have_a_cell_for_each_table_noise_and_seed_and_shapley_on_one_clean_table(plan, run):
    found = plan(PARAMS)
    assert found.experiment is run
    keys = [(cell["table"], cell["noise"], cell["seed"]) for cell in found.cells]
    assert sorted(keys) == sorted((t, n, s) for t in PARAMS["datasets"] for n in (0, 6) for s in (0, 1))
    for cell in found.cells:
        assert cell["neighbours"] == (3 if cell["table"] == "two-gaussians" and not cell["noise"] else 0)
    methods = set(pd.DataFrame(found.experiment(**found.cells[0]))["method"])
    assert methods == {"Base", "FI", "IV", "FI reversed", "Random", "KNN-Shapley"}
    shapley = {cell["table"] for cell in plan(PAPER).cells if cell["neighbours"]}
    assert shapley == {"bank"}


@pytest.mark.parametrize("plan", [real_plans.descent, real_plans.newton])
def test_cells_of_real_tables_name_their_data_and_fit_the_experiment(plan):
    found = plan(PAPER)
    for cell in found.cells:
        inspect.signature(found.experiment).bind(**cell)
    toxic = [cell for cell in found.cells if cell["table"] == "toxicity"]
    assert {cell["dataset"] for cell in toxic} == {"toxicity-jigsaw-wiki+toxicity-jigsaw-mixed"}


def test_regressions_are_fitted_as_the_parameters_say():
    clean = {"two-gaussians": ("SGD", 0.1, 0.3), "breast-cancer": ("Adam", 0.2, 0.4)}
    noisy = {"two-gaussians": ("SGD", 0.1, 0.3), "breast-cancer": ("SGD", 0.5, 0.4)}
    for plan in (real_plans.descent, real_plans.newton):
        for cell in plan(PARAMS).cells:
            expected = (noisy if cell["noise"] else clean)[cell["table"]]
            assert cell["weight_decay"] == expected[2]
            if plan is real_plans.descent:
                assert (cell["optimiser"], cell["lr"], cell["epochs"], cell["batch"]) == (*expected[:2], 2, 16)


def test_table_3_stands_beside_what_is_used():
    printed = published("2-influence", "Table 3")
    rows = real_plans.table_3(PAPER, printed)
    legible = rows[~rows["published"].isin(["not given", "not legible in the copy of the text that was at hand"])]
    assert (legible["published"] == legible["ours"]).all()
    assert legible.groupby("data").size().to_dict() == {"clean": 12, "noisy": 3}
    assert len(rows) == 4 * 2 * 5 and rows.groupby("published").size()["not given"] == 16
    found = rows.set_index(["table", "data", "setting"])[["published", "ours"]]
    assert found.loc[("celeba-attributes", "clean", "weight decay")].tolist() == ["1e-06", "1e-06"]
    assert found.loc[("celeba-attributes", "noisy", "learning rate"), "ours"] == "0.01"
    own = real_plans.table_3(PARAMS, printed)
    assert set(own["published"]) == {"not the paper's data"} and set(own["dataset"]) == set(PARAMS["datasets"])


def test_descents_that_change_with_the_noise_are_found_by_their_settings():
    assert real_plans.changed_descents(PAPER) == {
        "celeba-attributes, descent": "the descent changes with the noise, from Adam at 0.0001 to SGD at 0.01"
    }
    assert set(real_plans.changed_descents(PARAMS)) == {"breast-cancer, descent"}
    for name, value in (("noisy_optimiser", ["Adam", "Adam"]), ("noisy_lr", [0.3, 0.2])):
        same = PARAMS | {"noisy_optimiser": ["SGD", "Adam"], "noisy_lr": [0.1, 0.2]}
        assert not real_plans.changed_descents(same)
        assert set(real_plans.changed_descents(same | {name: value})) == {"two-gaussians, descent"}


@pytest.mark.parametrize(
    "name, value",
    [
        ("datasets", []), ("datasets", ["adult", "adult"]), ("datasets", ["mnist"]), ("sizes", [60, 50]),
        ("sizes", [60, 50, 0]), ("budgets", []), ("budgets", [5, 2]), ("budgets", [0, 5]), ("budgets", [60]),
        ("noisy_rows", 0), ("noisy_rows", 61), ("seeds", 1), ("draws", 0), ("epochs", 0), ("batch", 0),
        ("neighbours", 0), ("optimiser", ["SGD"]), ("noisy_optimiser", ["SGD", "LBFGS"]), ("lr", [0.1, 0.0]),
        ("noisy_lr", [0.1]), ("weight_decay", [0.0, 0.1]),
    ],
)  # fmt: skip
def test_parameters_out_of_range_are_refused(name, value):
    with pytest.raises(ParameterError, match=f"parameter {name} = "):
        real_plans.descent(PARAMS | {name: value})


def test_deviations_speak_of_the_tables_at_hand():
    small, paper = " ".join(real_plans.real_deviations(PARAMS)), " ".join(real_plans.real_deviations(PAPER))
    assert "two-gaussians, breast-cancer: small embedded tables" in small and "60 training and 40 test" in small
    assert "Bank" not in small and "TF-IDF" not in small
    assert "test pool" not in small.replace("the test pool at hand", "") and "test pool at hand" in paper
    for word in ("6,098 rows", "4,394 rows", "ends far from the optimum", "does not settle"):
        assert word in paper
    for word in ("53 columns", "104,163 random rows", "TF-IDF", "6 training rows instead of 500"):
        assert word in paper
    assert "embedded" not in paper and "instead of 5,000" not in paper
