"""Verdicts follow from parts, and parts from adjusted p-values and stated conditions."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from augury.claims import VERDICTS, Claim, Part, Test, holm, missing, trend, trending, untied, within
from augury.errors import ParameterError


def outcome(p: float) -> Test:
    return Test("t", 1.0, p, 0.5, 0.1, 0.9, (5, 5), "difference of means")


def claim(*parts: Part) -> Claim:
    return Claim("1-subsampling/fig3/x", "words", "Figure 3", parts)


def test_holm_by_hand() -> None:
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.5, 0.9]) == [1.0, 1.0]
    assert holm([]) == []


def test_a_part_with_nothing_but_ties_is_not_run() -> None:
    tied, better = untied("a", [1.0, 2.0], [1.0, 2.0]), untied("b", [1.0, 2.0, 3.0] * 3, [1.0, 1.0, 1.0] * 3)
    assert not tied.run and tied.note == "equal in all 2 pairs"
    assert better.test is not None and better.test.n == (6,) and better.test.p == pytest.approx(0.5**6)
    assert claim(tied, better).holds == [None, True]


@settings(deadline=None)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=8))
def test_holm_rejects_what_stepping_down_rejects(p: list[float]) -> None:
    rejected = set()
    for step, i in enumerate(sorted(range(len(p)), key=lambda i: p[i])):
        if p[i] * (len(p) - step) > 0.05:
            break
        rejected.add(i)
    assert {i for i, q in enumerate(holm(p)) if q <= 0.05} == rejected


@pytest.mark.parametrize(
    "parts, holds, verdict",
    [
        ([], [], "not run"),
        ([missing("norb", "no data")], [None], "not run"),
        ([Part("a", outcome(0.01)), Part("b", outcome(0.02))], [True, True], "replicated"),
        ([Part("a", outcome(0.03)), Part("b", outcome(0.03))], [False, False], "not replicated"),
        ([Part("a", outcome(0.001)), Part("b", outcome(0.3))], [True, False], "partly"),
        ([Part("a", outcome(0.001)), missing("norb", "no data")], [True, None], "replicated"),
        ([Part("a", outcome(0.001), condition=False, note="rho <= 0.97")], [False], "not replicated"),
        ([Part("a", outcome(0.2), condition=True, note="rho <= 0.97")], [False], "not replicated"),
        ([within("a", 0.996, 0.995, 0.002), within("b", 0.9, 0.8, 0.01)], [True, False], "partly"),
    ],
)
def test_verdict(parts: list[Part], holds: list[bool | None], verdict: str) -> None:
    found = claim(*parts)
    assert found.holds == holds
    assert found.verdict == verdict and verdict in VERDICTS


def test_parts_without_a_test_do_not_count_for_holm() -> None:
    found = claim(Part("a", outcome(0.04)), within("b", 1, 1, 0), missing("c", "no data"))
    assert found.adjusted == [0.04, None, None]
    assert found.verdict == "replicated"


def test_as_dict_is_json_with_every_part() -> None:
    found = json.loads(json.dumps(claim(Part("a", outcome(0.01)), missing("c", "no data")).as_dict(), allow_nan=False))
    assert found["verdict"] == "replicated"
    assert [(p["name"], p["holds"], p["note"]) for p in found["parts"]] == [("a", True, ""), ("c", None, "no data")]
    assert found["parts"][0]["test"]["n"] == [5, 5] and found["parts"][0]["test"]["standardised"] is None


def test_table_shows_where_it_holds() -> None:
    table = claim(Part("a", outcome(0.001)), Part("b", outcome(0.3)), missing("c", "no data")).table()
    assert list(table["holds"]) == ["yes", "no", "not run"]
    assert table.loc[1, "p (Holm)"] == pytest.approx(0.3) and table.loc[0, "n"] == "5 + 5"
    assert table.loc[2, "note"] == "no data"


@pytest.mark.parametrize(
    "call",
    [
        lambda: Claim("nonsense", "words", "Figure 3"),
        lambda: Claim("a/B", "words", "Figure 3"),
        lambda: Claim("a/b", "", "Figure 3"),
        lambda: Claim("a/b", "words", "Figure 3", (Part("x"), Part("x"))),
        lambda: Claim("a/b", "words", "Figure 3", alpha=0),
        lambda: Part("", outcome(0.1)),
        lambda: Part("a", condition=True),
        lambda: within("a", float("nan"), 1, 1),
        lambda: within("a", 1, 1, -1),
        lambda: outcome(1.5),
    ],
)
def test_what_cannot_be_judged_is_refused(call) -> None:
    with pytest.raises(ParameterError):
        call()


def test_trending_is_pages_test_over_seeds_and_the_plain_order_of_a_single_run() -> None:
    falling = np.array([[3.0, 2.0, 1.0, 0.5], [4.0, 2.5, 2.0, 0.1], [3.0, 2.9, 1.0, 0.9]])
    part = trending("over seeds", falling, "decreasing")
    assert part.test == trend(falling, "decreasing") and part.condition is None
    assert trending("and more", falling, "decreasing", False, "a reason").condition is False
    single = trending("one", falling[:1], "decreasing", np.bool_(True), "a reason")
    assert single.test is None and single.condition is True
    assert single.note == "one deterministic run: 3 of 3 steps are decreasing; a reason"
    assert trending("one", [[3, 2, 2, 1]], "decreasing").condition is False
    assert trending("one", [[1, 2, 3]], "increasing").condition is True
    assert trending("one", [[1, 2, 3]], "increasing", False, "a reason").condition is False
