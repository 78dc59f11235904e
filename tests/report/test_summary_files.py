"""REPORT.md and the README's map follow from what is recorded, and the committed ones are in step."""

from pathlib import Path

import pandas as pd
import pytest

from augury.claims import Claim, Part, Test, missing, within
from augury.errors import AuguryError
from augury.report import Section, readme_map, verdicts, works, write_report
from augury.report.markdown import duration, joint, table, tally
from augury.report.readme import BEGIN, END, map_table, with_map
from augury.report.summary import report

REPOSITORY = Path(__file__).resolve().parents[2]


def record(profile: str = "laptop", run: str = "mnist", p: float = 0.001) -> None:
    """Record a table and two claims without computing anything."""
    namespace = {"profile": profile, "run": run, "dataset": "mnist", "rounds": 5, "augmentations": []}
    section = Section("1-subsampling/policies", namespace)
    section.table(pd.DataFrame({"auc": [995.4]}), "Table 12", "Areas.", published="995.416", ours="995.3 ± 0.2")
    section.table(pd.DataFrame({"auc": [1.0]}), "Table 13", "Areas.")
    section.table(pd.DataFrame({"rho": [1.0]}), "Order of the policies", "Of our own.")
    test = Test("Welch t, greater", 4.0, p, 0.5, 0.2, 0.8, (5, 5), "difference of means", standardised=1.5)
    parts = (Part("mnist translate", test), missing("norb translate", "its files | not at hand"))
    section.claim(Claim("1-subsampling/fig3/beats", "influence beats random", "Figure 3, Tables 12 and 14", parts))
    section.claim(Claim("1-subsampling/tab12/value", "the value", "Table 12", (within("mnist", 1.0, 2.0, 0.5),)))
    section.deviation("seeds cut to five")
    section.finish()


def rows_of(text: str, name: str) -> list[list[str]]:
    """Return the cells of the table rows that begin with `name`."""
    lines = [line for line in text.splitlines() if line.startswith(f"| {name} |")]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines]


def test_nothing_recorded_is_not_run_everywhere(repository: Path) -> None:
    text = report()
    for work in works():
        assert f". {work.title}\n" in text
        for artefact in work.artefacts:
            assert all(row[-2] == "not run" for row in rows_of(text, artefact.name))
    assert len(rows_of(text, "Table 12")) == 1 and "mnist" in rows_of(text, "Table 12")[0][3]


def test_recorded_artefacts_have_their_numbers_verdict_and_files(repository: Path) -> None:
    record()
    text = report()
    (row,) = rows_of(text, "Table 12")
    link = "[csv](laptop/1-subsampling/policies/mnist/table-12.csv)"
    assert row == ["Table 12", "D.2", "laptop, mnist", "mnist", "995.416", "995.3 ± 0.2", "partly", link]
    (other,) = rows_of(text, "Table 13")
    assert other[3] == "mnist, not the paper's" and other[6] == "recorded"  # Table 13 is CIFAR10's; no claim names it
    (own,) = rows_of(text, "Order of the policies")
    assert own[1] == "policies"
    assert rows_of(text, "Table 14")[0][6] == "not run"  # a claim names it, but it was not made
    assert "| Efficient Augmentation via Data Subsampling | 2 of 35 | 1 replicated, 1 not replicated |" in text
    assert (repository / "figures" / link.split("(")[1].strip(")")).exists()


def test_claims_show_their_parts(repository: Path) -> None:
    record()
    text = report()
    (claim,) = rows_of(text, "`fig3/beats`")
    assert claim[3:] == [
        "laptop, mnist",
        "mnist",
        "**replicated**",
        "1 of 1",
        "[1-subsampling/policies](../notebooks/1-subsampling/policies.ipynb)",
    ]
    (part,) = rows_of(text, "mnist translate")
    assert part[1:8] == ["yes", "0.5", "0.2 to 0.8 (95 %)", "1.5", "0.001", "0.001", "5 + 5"]
    assert "| norb translate | not run |" in text and "its files \\| not at hand" in text
    assert "1, stated 2, tolerance 0.5" in text and "*Deviation: seeds cut to five*" in text


def test_a_claim_on_fewer_data_sets_names_its_own(repository: Path) -> None:
    namespace = {"profile": "laptop", "run": "", "dataset": "mnist", "rounds": 5, "augmentations": []}
    section = Section("1-subsampling/policies", namespace)
    section.claim(Claim("1-subsampling/fig3/beats", "better", "Figure 3", (missing("a", "b"),), data=("small-norb",)))
    section.finish()
    (claim,) = rows_of(report(), "`fig3/beats`")
    assert claim[4] == "small-norb"


def test_runs_and_profiles_stand_one_below_the_other(repository: Path) -> None:
    record(run="mnist")
    record(run="mnist-frozen", p=0.5)
    record(profile="paper", run="")
    record(profile="quick", run="")
    rows = rows_of(report(), "Table 12")
    assert [row[2] for row in rows] == ["laptop, mnist", "laptop, mnist-frozen", "paper"]
    assert [row[6] for row in rows] == ["partly", "not replicated", "partly"]


def test_verdicts_of_all_runs_make_one_table(repository: Path) -> None:
    assert verdicts().empty
    record(run="mnist")
    record(run="cifar-10", p=0.5)
    found = verdicts()
    beats = found[found["claim"].str.endswith("beats")].set_index("where")
    assert len(found) == 4 and beats["verdict"].to_dict() == {
        "laptop, cifar-10": "not replicated",
        "laptop, mnist": "replicated",
    }


def test_report_is_deterministic_and_written_whole(repository: Path) -> None:
    record()
    first = write_report().read_bytes()
    assert write_report().read_bytes() == first == report().encode()
    assert [path.name for path in (repository / "figures").glob("*") if path.is_file()] == ["REPORT.md"]


def test_map_has_a_row_for_every_notebook(repository: Path) -> None:
    text = map_table()
    assert "| Figures 3, 9-10, Tables 3-20 | [1-subsampling/policies](notebooks/1-subsampling/policies.ipynb) |" in text
    assert "`make figures PROFILE=laptop ONLY=1-subsampling/policies`" in text
    assert text.count("to come") == sum(len(work.notebooks) for work in works()) - 1 + 2
    assert "](../notebooks/1-subsampling/policies.ipynb)" in map_table("../")
    record()
    row = next(line for line in map_table().splitlines() if "[1-subsampling/policies]" in line)
    assert row.endswith("| 1 s | mnist: 1 replicated, 1 not replicated |")


def test_map_is_renewed_between_its_markers(repository: Path) -> None:
    readme = repository / "README.md"
    readme.write_text(f"before\n\n{BEGIN}\nold\n{END}\n\nafter\n")
    readme_map()
    text = readme.read_text()
    assert text.startswith("before\n") and text.endswith("\nafter\n") and "old" not in text and map_table() in text
    assert with_map(text) == text


@pytest.mark.parametrize("text", ["", BEGIN, END, f"{END}{BEGIN}", f"{BEGIN}{BEGIN}{END}", f"{BEGIN}{END}{END}"])
def test_a_readme_without_markers_is_refused(repository: Path, text: str) -> None:
    with pytest.raises(AuguryError, match="README.md needs the lines"):
        with_map(text)


def test_committed_report_is_in_step(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AUGURY_FIGURES")
    monkeypatch.setenv("AUGURY_ROOT", str(REPOSITORY))
    committed = (REPOSITORY / "figures" / "REPORT.md").read_text(encoding="utf-8")
    assert committed == report(), "run: make report"


def test_readme_is_in_step(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AUGURY_ROOT", str(REPOSITORY))
    text = (REPOSITORY / "README.md").read_text(encoding="utf-8")
    assert with_map(text) == text, "run: make report"


def test_small_words() -> None:
    times = {0.2: "1 s", 35: "35 s", 59.6: "1 min", 3599: "1 h 0 min", 6600: "1 h 50 min", 240: "4 min"}
    assert {seconds: duration(seconds) for seconds in times} == times
    assert tally(["partly", "replicated", "partly"]) == "1 replicated, 2 partly" and tally([]) == ""
    assert joint(["replicated", "not run"]) == "replicated" and joint(["not run"]) == "not run"
    assert joint(["replicated", "not replicated"]) == "partly"
    assert table(["a"], [["x|y\nz"]]) == "| a |\n| --- |\n| x\\|y z |"
