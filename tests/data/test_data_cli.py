"""`augury data`: what it prints and what it returns."""

import gzip
import struct

import pytest

from augury import data

LABELS = gzip.compress(b"\0\0\x08\x01" + struct.pack(">I", 4) + bytes([0, 1, 1, 0]), mtime=0)


@pytest.fixture
def three(registry, server, answer, line):
    """A set that can be had, one that cannot, and one that can only be had by hand, in this order."""
    server.answers["/good"] = answer(LABELS)

    def entry(name, url):
        sources = f'[{name}.upstream]\nreader = "idx"\nfiles = [{line(f"{name}/y.gz", LABELS, url, role="train/y")}]'
        head = (
            f'[{name}]\ntitle = "T"\nkind = "images"\nlicence = "CC0 {name}"\ncitation = "C"\nhomepage = "https://h"\n'
        )
        return head + "laptop = true\nsplits = { train = 4 }\n" + sources + "\n"

    registry.write("first", "{ train = 1 }", "")
    text = entry("gone", server.url + "/gone") + entry("good", server.url + "/good") + entry("manual", "")
    (registry.folder / "root-1" / "data" / "datasets.toml").write_text(text)
    return registry


def test_goes_on_after_a_failure_and_returns_it(three, capsys):
    assert data.main(["--quiet"]) == 1
    shown = capsys.readouterr()
    assert "FAILED: data set 'gone'" in shown.err and "HTTP 404" in shown.err
    assert "left out: data set 'manual'" in shown.err
    assert "1 of 3 data sets could not be had" in shown.err
    states = {line.split()[0]: line for line in shown.out.splitlines()}
    assert "ready" in states["good"] and "not here" in states["gone"] and "by hand" in states["manual"]
    assert "CC0 good" in states["good"]
    assert "good/y.gz" in three.files() and not any(name.startswith(("gone", "manual")) for name in three.files())


def test_what_was_asked_for_by_name_must_be_had(three, capsys):
    assert data.main(["good", "--quiet"]) == 0
    assert data.main(["manual", "--quiet"]) == 1
    assert "FAILED: data set 'manual'" in capsys.readouterr().err


def test_unknown_names_are_refused_before_anything_is_fetched(three, capsys):
    with pytest.raises(SystemExit) as caught:
        data.main(["good", "goood"])
    assert caught.value.code == 2
    assert "did you mean good?" in capsys.readouterr().err
    assert three.files() == []


def test_list_fetches_nothing(three, capsys):
    assert data.main(["--list"]) == 0
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == ["name", "gone", "good", "manual"]
    assert three.files() == []


def test_progress_bars_unless_quiet(three, capsys):
    assert data.main(["good"]) == 0
    assert "good/y.gz: 100%" in capsys.readouterr().err


def test_verify_compares_what_is_at_hand(three, registry, capsys):
    assert data.main(["--verify"]) == 0
    assert data.main(["--verify", "good"]) == 1
    assert "nothing at hand; make data DATASETS=good" in capsys.readouterr().out
    data.main(["good", "--quiet"])
    capsys.readouterr()
    assert data.main(["--verify", "good"]) == 0
    printed = capsys.readouterr().out.split()
    assert printed[:2] == ["good", "upstream"] and printed[-2:] == ["not", "recorded"]
    text = (registry.folder / "root-1" / "data" / "datasets.toml").read_text()
    for count, digest, verdict, code in ((2, printed[2], "equal", 0), (3, "0" * 64, "DIFFERS", 1)):
        registry.write("first", "{ train = 1 }", "")
        changed = text.replace('licence = "CC0 good"', f'licence = "CC0 good"\ndigest = "{digest}"')
        (registry.folder / f"root-{count}" / "data" / "datasets.toml").write_text(changed)
        assert data.main(["--verify", "good"]) == code
        assert verdict in capsys.readouterr().out
