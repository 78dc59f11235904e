"""Curves, effects and paired samples of rows written by hand."""

import numpy as np
import pandas as pd
import pytest

from augury.trimming import real_analysis as analysis


def rows(noise=0):
    """Two seeds, two budgets, FI and two random draws; accuracies are chosen to be told apart."""
    found = []

    def add(seed, method, b, draw, **metrics):
        about = {"dataset": "d", "table": "t", "seed": seed, "noise": noise, "method": method, "b": b, "draw": draw}
        found.extend(about | {"metric": name.replace("_", " "), "value": value} for name, value in metrics.items())

    for seed, base in ((0, 0.80), (1, 0.60)):
        add(seed, "Base", 0, 0, test_accuracy=base, test_loss=1.0)
        for b, gain in ((2, 0.02), (4, 0.04)):
            about = {"class_1": 1.0, "confidence": 0.25} | ({"noisy": 2.0} if noise else {})
            add(seed, "FI", b, 0, test_accuracy=base + gain + 0.01 * seed, **about)
            for draw in (0, 1):
                add(seed, "Random", b, draw, test_accuracy=base - 0.01 * draw, **about)
    return pd.DataFrame(found)


@pytest.fixture
def both():
    return analysis.joined(pd.concat([rows(), rows(noise=3)]), rows())


def test_the_two_ways_of_fitting_and_clean_and_noisy_data_are_told_apart(both):
    count = both.groupby(["learner", "data"]).size().to_dict()
    assert count == {
        ("descent", "clean"): 40,
        ("descent", "noisy"): 52,
        ("optimum", "clean"): 40,
    }
    assert [name for name, _ in analysis.cases(both)] == ["t, descent", "t, optimum"]


def test_values_are_means_over_draws_by_seed_and_budget():
    expected = {"FI": [[0.82, 0.84], [0.63, 0.65]], "Random": [[0.795] * 2, [0.595] * 2], "Base": [[0.80], [0.60]]}
    for method, values in expected.items():
        np.testing.assert_allclose(analysis.by_budget(rows(), method), values)
    np.testing.assert_allclose(analysis.by_budget(rows(), "Base", "test loss"), [[1.0], [1.0]])


def test_comparisons_are_means_over_budgets_one_a_seed(both):
    clean = both[both["data"] == "clean"]
    for method, other in (("Base", [0.80, 0.60]), ("Random", [0.795, 0.595])):
        found = list(analysis.compared(clean, "FI", method))
        assert [name for name, _, _ in found] == ["t, descent", "t, optimum"]
        for _, fi, rival in found:
            assert fi == pytest.approx([0.83, 0.64]) and rival == pytest.approx(other)


def test_curves_begin_at_the_base_model_and_their_level_is_free_of_the_seeds(both):
    found = analysis.curves(both)
    one = found[(found["learner"] == "optimum") & (found["method"] == "FI")].set_index(["b", "seed"])
    assert one["accuracy"].to_dict() == pytest.approx(
        {(0, 0): 80, (0, 1): 60, (2, 0): 82, (2, 1): 63, (4, 0): 84, (4, 1): 65}
    )
    # The base models' mean is 70: what is left of the spread is that of the gains.
    assert one["level"].to_dict() == pytest.approx(
        {(0, 0): 70, (0, 1): 70, (2, 0): 72, (2, 1): 73, (4, 0): 74, (4, 1): 75}
    )
    assert found.groupby(["learner", "data", "method"]).size().to_dict() == {
        (learner, data, method): 6
        for learner, data in [
            ("descent", "clean"),
            ("descent", "noisy"),
            ("optimum", "clean"),
        ]
        for method in ("FI", "Random")
    }
    assert "Base" not in set(found["method"])


def test_effects_are_changes_in_points_and_shares_of_the_largest_trimming(both):
    found = analysis.effects(both).set_index(["learner", "data", "method"])
    fi = found.loc[("descent", "noisy", "FI")]
    assert fi[["base", "least b", "largest b", "all b"]].tolist() == pytest.approx([70, 2.5, 4.5, 3.5])
    assert fi["all b, std"] == pytest.approx(0.5**0.5, abs=1e-6)
    assert fi[["class 1", "noisy", "confidence"]].tolist() == pytest.approx([0.25, 0.5, 0.25])
    chance = found.loc[("optimum", "clean", "Random")]
    assert chance[["least b", "all b"]].tolist() == pytest.approx([-0.5, -0.5]) and pd.isna(chance["noisy"])
    assert len(found) == 6 and set(found["dataset"]) == {"d"}
