"""Published numbers beside ours."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from augury.report import compare, published, rank_agreement


def ours(rows: pd.DataFrame, shift: float = 0.0, noise: float = 0.0) -> pd.DataFrame:
    """Five seeds of each policy around the published value."""
    rng = np.random.default_rng(0)
    names = rows.drop_duplicates("policy")
    return pd.DataFrame(
        {"policy": p, "round": r, "auc": v + shift + noise * rng.normal()}
        for p, v in zip(names["policy"], names["value"], strict=True)
        for r in range(5)
    )


def test_table_beside_ours_by_hand() -> None:
    theirs = pd.DataFrame({"policy": ["a", "b"], "value": [10.0, 9.0], "std": [0.5, np.nan]})
    mine = pd.DataFrame({"policy": ["b", "b", "a", "c"], "value": [8.0, 10.0, 7.0, 1.0]})
    table = compare(theirs, mine, "policy")
    assert list(table["policy"]) == ["a", "b", "c"]
    assert list(table["ours"]) == [7, 9, 1] and list(table["difference"][:2]) == [-3, 0]
    assert table["ours std"].iloc[1] == pytest.approx(2**0.5) and np.isnan(table["ours std"].iloc[0])
    assert list(table["published rank"][:2]) == [1, 2] and list(table["our rank"]) == [2, 1, 3]
    assert list(table["seeds"]) == [1, 2, 1]
    assert np.isnan(table["published"].iloc[2]) and np.isnan(table["published std"].iloc[1])


def test_same_order_correlates_fully() -> None:
    rows = published("1-subsampling", "Table 12")
    table = compare(rows, ours(rows, shift=-1), "policy", value="auc")
    assert np.allclose(table["difference"], -1) and (table["published rank"] == table["our rank"]).all()
    assert rank_agreement(table).effect == 1


def test_rank_agreement_is_spearmans() -> None:
    rows = published("1-subsampling", "Table 13")
    table = compare(rows, ours(rows, noise=2.0), "policy", value="auc")
    assert rank_agreement(table).effect == pytest.approx(stats.spearmanr(table["published"], table["ours"]).statistic)


def test_a_name_printed_twice_is_shown_twice_and_left_out_of_the_agreement() -> None:
    rows = published("1-subsampling", "Table 15")
    mine = ours(rows)
    extra = pd.DataFrame({"policy": ["Random Proportional Downweight"] * 5, "round": range(5), "auc": 997.2})
    table = compare(rows, pd.concat([mine, extra]), "policy", value="auc")
    twice = table[table["policy"] == "Random Proportional Update Downweight"]
    assert len(twice) == 2 and twice["ours"].nunique() == 1 and twice["note"].str.contains("twice").all()
    assert len(table) == 12 and table["policy"].iloc[-1] == "Random Proportional Downweight"
    assert rank_agreement(table).n == (9,)


def test_several_columns_name_a_row() -> None:
    rows = published("1-subsampling", "Table 1")
    mine = rows.assign(value=rows["value"] + 0.5).sample(frac=1, random_state=0)
    table = compare(rows, mine, ["dataset", "policy", "share"])
    assert list(table["published"]) == list(rows["value"]) and np.allclose(table["difference"], 0.5)
