"""Curves, stages and times from rows made by hand; the settings of the tables; plans and their checks."""

import re

import numpy as np
import pandas as pd
import pytest

from augury import claims, data
from augury.active import analysis, plans, settings
from augury.active.scores import METHODS
from augury.errors import MissingDataError, ParameterError
from augury.report import published

TABLES = {
    "datasets": ["breast-cancer", "digits-3-8"], "rounds": [2, 2], "initial": [16, 16], "pool": [40, 40],
    "acquisition": [5, 5], "weight_decay": [0.01, 0.02], "candidates": "redrawn", "validation": 30, "seeds": 2,
    "rate": 0.5, "passes": 5, "share": 0.2,
}  # fmt: skip
IMAGES = {
    "datasets": ["digits", "digits-redundant"], "rounds": [1, 1], "initial": [30, 31], "pool": [40, 41],
    "acquisition": [5, 6], "test_points": [90, 50], "candidates": "redrawn", "validation": 30, "seeds": 2,
    "shapley": ["digits"], "pictured": "digits-redundant", "shown": 3, "ranks": [1], "epochs": 2, "batch_size": 16,
    "lr": 1e-3, "weight_decay": 1e-2, "dropout": 0.5, "passes": 3, "share": 0.2, "mixer": [8, 1, 3, 4],
}  # fmt: skip
PUBLISHED = {name: published("2-influence", name) for name in ("Table 4", "Table 5", "Table 6", "Table 7")}


def rows() -> pd.DataFrame:
    """Two seeds of six rounds on digits and on its redundant variant; FI gains a point a round, others half of it."""
    found = []
    for task, base in (("digits", 0.5), ("digits-redundant", 0.2)):
        for method in METHODS:
            for seed in (1, 0):
                for j in range(7):
                    slope = (0.02 if task != "digits" else 0.01) if method == "FI" else 0.005
                    row = {"dataset": "digits", "task": task, "method": method, "seed": seed, "round": j}
                    row |= {"labelled": 10 + 5 * j, "accuracy": base + seed / 10 + slope * j}
                    row |= {
                        "seconds": None if j == 0 else {"FI": 2.0, "FI subsampled": 0.4}.get(method, 1.0) * (1 + seed)
                    }
                    row |= {"confidence": None if j == 0 else 0.9 - j / 10 - seed / 100}
                    row |= {"agreement": 0.5 + seed / 10 if j and method == "FI" else None}
                    found.append(row)
    return pd.DataFrame(found)


def test_stages_are_means_over_thirds_in_the_order_of_the_seeds():
    own = rows()
    np.testing.assert_allclose(analysis.stage(own, "digits", "FI", "start"), [0.5, 0.6])
    np.testing.assert_allclose(analysis.stage(own, "digits", "FI", "early"), [0.515, 0.615])
    np.testing.assert_allclose(analysis.stage(own, "digits", "FI", "late"), [0.555, 0.655])
    for last, third in {1: 1, 2: 1, 3: 1, 4: 1, 5: 2, 14: 5, 12: 4}.items():
        short = pd.DataFrame({"task": "t", "method": "FI", "seed": 0, "round": range(last + 1)})
        short["accuracy"] = short["round"] / 100
        assert analysis.stage(short, "t", "FI", "late")[0] == pytest.approx(
            np.arange(last - third + 1, last + 1).mean() / 100
        )
        assert analysis.stage(short, "t", "FI", "early")[0] == pytest.approx(np.arange(1, third + 1).mean() / 100)


def test_cases_gains_and_the_table_of_stages():
    own = rows()
    found = list(analysis.cases(own, "late", "FI", ["IV", "BALD"]))
    assert [(case.name, case.task, case.other) for case in found] == [
        (f"{t}, {m}", t, m) for t in ("digits", "digits-redundant") for m in ("IV", "BALD")
    ]
    np.testing.assert_allclose(found[0].ours - found[0].theirs, [0.0275, 0.0275])
    assert [case.name for case in analysis.cases(own, "late", "FI", ["IV"])] == ["digits", "digits-redundant"]
    np.testing.assert_allclose(analysis.gains(own, "digits-redundant", "late"), 0.0825)
    table = analysis.stages(own).set_index(["task", "method"])
    assert len(table) == 14 and table.loc[("digits", "FI"), "late (%)"] == pytest.approx(60.5)
    assert table.loc[("digits", "FI"), "std of late"] == pytest.approx(10 / np.sqrt(2))


def test_a_margin_is_half_of_the_gain_but_never_above_a_point():
    chance = np.array([0.5, 0.6])
    assert analysis.margin(chance + [0.004, 0.008], chance) == pytest.approx(0.003)
    assert analysis.margin(chance + 0.1, chance) == 0.01
    assert analysis.margin(chance - 0.01, chance) == pytest.approx(-0.005)
    assert analysis.margin(np.array([0.1 + 0.2, 0.6]), np.array([0.3, 0.6])) == 0  # its sum is not, for rounding


def test_the_reach_of_a_test_is_where_it_begins_to_hold():
    text = analysis.reach(3, 6)
    last, alone = (float(found) for found in re.findall(r"\d+\.\d", text))
    assert (last, alone) == (1.7, 4.4)
    for sizes, parts in ((last, 1), (alone, 6)):
        for slack, holds in ((0.06, True), (-0.06, False)):
            sample = np.array([-1.0, 0.0, 1.0]) + sizes + slack  # of standard deviation 1
            assert (claims.difference(sample, 0.0).p <= 0.05 / parts) == holds
    assert analysis.reach(5, 1) == "with 5 runs a part holds from a mean of 1.0 standard deviations on"


def test_curves_leave_out_shapley_unless_asked_for():
    shown = analysis.curves(rows())
    assert "Shapley" not in set(shown["method"]) and shown["accuracy"].max() == pytest.approx(66)
    assert set(analysis.curves(rows(), ["FI", "Shapley"])["method"]) == {"FI", "Shapley"}
    assert "round" not in shown  # a figure's note counts seeds


def test_times_are_means_a_round_and_ratios_of_sums():
    own = rows()
    times = analysis.times(own).set_index(["dataset", "method", "seed"])["value"]
    assert times["digits", "FI", 0] == 2 and times["digits", "FI", 1] == 4 and len(times) == 14
    assert analysis.seconds(own, "digits", "FI").tolist() == [12, 24]
    table = analysis.approximation(own).set_index("task")
    assert table.loc["digits", "share of time"] == pytest.approx(0.2)
    assert table.loc["digits", "rank correlation"] == pytest.approx(0.55)
    assert table.loc["digits", "accuracy lost late"] == pytest.approx(2.75)
    np.testing.assert_allclose(analysis.confidence(own, "digits", "IV"), [0.8, 0.79])


def test_the_published_times_meet_ours_under_one_name():
    letters = rows().assign(dataset="emnist-letters-10k", task="emnist-letters-10k")
    names = set(analysis.times(letters)["dataset"])
    assert names <= set(published("2-influence", "Table 7")["dataset"]) and len(names) == 1


def test_times_in_short_are_of_the_first_data_set_with_both():
    times = pd.DataFrame(
        {
            "dataset": ["mnist", "mnist", "mnist", "cifar-10"], "method": ["FI", "IV", "Entropy", "FI"],
            "published": [19.0, 13.0, None, 372.0], "ours": [1.2345, 0.5, 0.1, 7.0],
        }
    )  # fmt: skip
    assert analysis.in_short(times, "published") == "FI 19 s, IV 13 s"
    assert analysis.in_short(times, "ours") == "FI 1.23 s, IV 0.5 s"
    assert analysis.in_short(times.assign(published=None), "ours") == ""
    assert analysis.largest_ratio(PUBLISHED["Table 7"]) == 3


@pytest.mark.parametrize("classes, side", [(10, 28), (26, 28), (3, 8)])
def test_the_network_has_the_outputs_of_table_6(classes: int, side: int):
    first = pd.DataFrame({"dataset": "letters", "class": list(map(str, range(classes))), "height": side, "width": side})
    table = analysis.architecture(first, PUBLISHED["Table 6"]).set_index("layer")
    assert table.index.tolist() == ["conv1", "conv2", "dropout", "dense", "head"]
    same = table["our output"] == table["published output"]
    assert same[["conv1", "conv2"]].all() == (side == 28) and same["dense"]
    assert table.loc["conv1", "published output"] == "32 x 14 x 14" and table.loc["head", "published output"] == ""
    assert table.loc["head", "our output"] == str(classes) and table.loc["head", "parameters"] == 257 * classes
    assert set(table["dataset"]) == {"letters"}


def test_settings_stand_beside_the_papers():
    params = {"datasets": ["adult", "toxicity", "digits-3-8"], "rounds": [12, 8, 3], "initial": [300, 180, 16]}
    params |= {"pool": [5000, 5000, 40], "acquisition": [500, 500, 5]}
    table = settings.compared(params, PUBLISHED["Table 4"])
    assert len(table) == 15
    printed = table.dropna()
    assert (printed["published"] == printed["ours"]).all() and set(printed["task"]) == {"adult", "toxicity"}
    assert set(table["dataset"]) == {"adult", "toxicity-jigsaw-wiki+toxicity-jigsaw-mixed", "digits"}
    images = settings.compared(IMAGES, PUBLISHED["Table 5"]).set_index(["task", "attribute"])["ours"]
    assert images["digits", "classes"] == 10 and images["digits-redundant", "classes"] == 3
    assert images["digits-redundant", "acquisition"] == 6
    letters = settings.compared(IMAGES | {"datasets": ["emnist-letters-10k"]}, PUBLISHED["Table 5"])
    assert letters.set_index("attribute")["published"].to_dict() == {
        "classes": 37, "rounds": 10, "initial pool": 600, "unlabelled pool": 2000, "acquisition": 100
    }  # fmt: skip


def test_deviations_name_every_cut_and_stand_in():
    laptop = TABLES | {"datasets": ["adult", "toxicity"], "rounds": [12, 8], "initial": [300, 180], "seeds": 3}
    laptop |= {"pool": [5000, 5000], "acquisition": [500, 500]}
    printed = PUBLISHED["Table 4"]
    text = "\n".join(settings.table_deviations(laptop, printed, 3))
    assert "instead of" not in text.replace("instead of MiniLM", "") and "stand in" not in text
    assert "drawn anew" in text and "rate 0.5, 5 masks" in text
    fewer = laptop | {"pool": [400, 5000], "seeds": 2, "candidates": "fixed"}
    text = "\n".join(settings.table_deviations(fewer, printed, 3))
    assert "2 runs instead of 3" in text and "what is left of one pool" in text
    assert "adult: rounds, initial pool, candidates and acquisitions 12, 300, 400, 500 instead of 12, 300, 5000" in text
    assert "breast-cancer and digits-3-8 stand in" in "\n".join(settings.table_deviations(TABLES, printed, 3))
    mixed = IMAGES | {"datasets": ["emnist-letters-10k", "cifar-10"]}
    text = "\n".join(settings.image_deviations(mixed, PUBLISHED["Table 5"], 3))
    assert (
        "paper prints 37" in text
        and "10,000 of the images" in text
        and "width 8, depth 1, kernel 3 and patch 4" in text
        and "redundant" not in text
        and "drawn from the training pool" not in text
    )
    text = "\n".join(settings.image_deviations(IMAGES, PUBLISHED["Table 5"], 3))
    assert "8 x 8" in text and "IV and Shapley are drawn from the training pool" in text and "ConvMixer" not in text


def test_only_variants_need_a_remark_and_only_beside_methods_that_validate():
    assert settings.remark("digits-unbalanced", "IV").startswith("IV validates")
    assert settings.remark("digits-redundant", "Shapley").startswith("Shapley validates")
    assert settings.remark("digits", "IV") == settings.remark("digits-unbalanced", "BALD") == ""


def test_plans_have_a_cell_for_each_data_set_method_and_seed():
    cells = plans.tabular(TABLES).cells
    assert len(cells) == 2 * 2 * 6 and len({tuple(sorted(map(str, cell.items()))) for cell in cells}) == len(cells)
    assert {(cell["table"], cell["weight_decay"]) for cell in cells} == {("breast-cancer", 0.01), ("digits-3-8", 0.02)}
    plan = plans.pictorial(IMAGES)
    assert len(plan.cells) == 2 * (7 + 6) and "mixer" not in plan.cells[0]
    own = [cell for cell in plan.cells if cell["task"] == "digits-redundant"]
    assert {(c["dataset"], c["initial"], c["pool"], c["acquisition"], c["test_points"]) for c in own} == {
        ("digits", 31, 41, 6, 50)
    }
    assert [row["round"] for row in plan.experiment(**plan.cells[3])] == [0, 1]
    colours = plans.pictorial(IMAGES | {"datasets": ["cifar-10", "digits-redundant"], "shapley": ["cifar-10"]})
    assert colours.cells[0]["mixer"] == [8, 1, 3, 4] and "mixer" not in colours.cells[-1]
    svhn = IMAGES | {"datasets": ["svhn-10k", "mnist"], "shapley": ["mnist"], "pictured": "svhn-10k"}
    for make in (plans.pictorial, plans.first_round, plans.approximated):
        assert all(("mixer" in cell) == (cell["task"] == "svhn-10k") for cell in make(svhn).cells)
    plan = plans.first_round(IMAGES)
    [cell] = plan.cells
    assert cell["task"] == "digits-redundant" and cell["pool"] == 41 and len(plan.experiment(**cell)) == 3 * 3


@pytest.mark.parametrize("name", ["digits", "mnist", "emnist-letters-10k", "cifar-10", "cifar-100-8k", "svhn-10k"])
def test_a_coloured_task_has_three_channels_and_any_other_one(name: str):
    try:
        images = data.load(name).train.x
    except MissingDataError:
        pytest.skip(f"{name} is not at hand")
    assert images.shape[3] == (3 if settings.coloured(name) else 1)


@pytest.mark.parametrize(
    "name, value",
    [
        ("datasets", []), ("datasets", ["digits-3-8", "digits-3-8"]), ("datasets", ["mnist", "adult"]), ("rounds", [2]),
        ("initial", [16, 0]), ("acquisition", [5, 41]), ("weight_decay", [0.01]), ("weight_decay", [0.01, 0.0]),
        ("candidates", "refilled"), ("validation", 0), ("seeds", 1), ("rate", 1.0), ("passes", 0), ("share", 0.0),
    ],
)  # fmt: skip
def test_parameters_of_tables_out_of_range_are_refused(name, value):
    plans.check_tables(TABLES)
    with pytest.raises(ParameterError, match=f"parameter {name}"):
        plans.check_tables(TABLES | {name: value})


@pytest.mark.parametrize(
    "name, value",
    [
        ("datasets", ["digits", "adult"]), ("datasets", ["cifar-10-redundant", "digits"]), ("test_points", [5]),
        ("shapley", ["mnist"]), ("shapley", []), ("pictured", "mnist"), ("lr", 0.0), ("weight_decay", 0.0),
        ("dropout", 0.0), ("dropout", 1.0), ("mixer", [8, 1, 3]), ("epochs", 0), ("batch_size", 0), ("shown", 0),
        ("ranks", [2, 1]), ("acquisition", [41, 5]), ("seeds", 1), ("shown", 42),
        ("datasets", ["small-norb", "digits"]),
    ],
)  # fmt: skip
def test_parameters_of_images_out_of_range_are_refused(name, value):
    plans.check_images(IMAGES)
    with pytest.raises(ParameterError, match=f"parameter {name}"):
        plans.check_images(IMAGES | {name: value})
