"""Names of artefacts, alone and in lists."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from augury.report.names import condense, expand, mentions, slug


@pytest.mark.parametrize(
    "text, names",
    [
        ("Figure 3", ["Figure 3"]),
        ("Tables 3-5 and Figure 9", ["Table 3", "Table 4", "Table 5", "Figure 9"]),
        ("Figures 3, 9 and 10; Table 1", ["Figure 3", "Figure 9", "Figure 10", "Table 1"]),
        ("Section 5.1, Tables 12 to 14", ["Table 12", "Table 13", "Table 14", "Section 5.1"]),
        ("Appendix B, Appendix D.1", ["Appendix B", "Appendix D.1"]),
        ("Sections 3 and 5.1, Figure 3", ["Figure 3", "Section 3", "Section 5.1"]),
        ("Appendices C, D.2", ["Appendix C", "Appendix D.2"]),
        ("Theorem 1", ["Theorem 1"]),
        ("the text", []),
    ],
)
def test_expand(text: str, names: list[str]) -> None:
    assert expand(text) == names


def test_mentions_whole_names_only() -> None:
    assert mentions("Section 5.1, Tables 3-20", "Table 12")
    assert not mentions("Table 12", "Table 1") and not mentions("Table 1", "Table 12")
    assert not mentions("Section 5.1", "Section 5")
    assert mentions("the stress analysis, Stress analysis", "Stress analysis")
    assert not mentions("Figure 3", "Stress analysis")


def test_condense() -> None:
    names = ["Section 1", "Table 1", "Figure 3", "Figure 9", "Figure 10", "Stress analysis", "Appendix B"]
    assert condense(names) == "Section 1, Table 1, Figures 3, 9-10, Stress analysis, Appendix B"


@settings(deadline=None)
@given(st.sets(st.tuples(st.sampled_from(["Table", "Figure"]), st.integers(1, 40)), min_size=1))
def test_condense_loses_nothing(pairs: set[tuple[str, int]]) -> None:
    names = [f"{kind} {number}" for kind, number in pairs]
    assert sorted(expand(condense(names))) == sorted(names)


def test_slug() -> None:
    assert slug("Figure 3") == "figure-3"
    assert slug("AUC, translate (loss)") == "auc-translate-loss"
