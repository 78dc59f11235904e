"""The registry of the repository is whole, and a broken one is refused."""

import re

import pytest

from augury import data, paths
from augury.data import embedded, readers
from augury.errors import DataError

GOOD = "0" * 64
WANTED = {
    *("mnist", "fashion-mnist", "emnist-letters", "cifar-10", "cifar-100", "svhn", "small-norb"),
    *("adult", "bank", "celeba-attributes", "heloc", "telco", "toxicity-davidson"),
    *("digits", "breast-cancer", "diabetes"),
}


def test_every_data_set_of_the_works_is_registered():
    assert set(data.names()) >= WANTED


@pytest.mark.parametrize("name", data.names())
def test_entries_are_whole(name):
    entry = data.entry(name)
    assert entry.kind in ("images", "table", "text")
    for text in (entry.title, entry.licence, entry.citation, entry.homepage):
        assert text.strip() == text != ""
    assert entry.homepage.startswith(("http://", "https://"))
    assert set(entry.splits) in ({"train"}, {"train", "test"}) and all(count > 0 for count in entry.splits.values())
    assert len(set(entry.classes)) == len(entry.classes)
    assert bool(entry.sources) != bool(entry.embedded)
    if entry.embedded:
        assert entry.embedded in embedded.GENERATORS
    for source in entry.sources:
        assert source.reader in readers.READERS
        assert source.size > 0 and all(file.size > 0 for file in source.files)
        if source.kind == "packed":
            assert not any(file.url for file in source.files)
    assert re.fullmatch(r"[0-9a-f]{64}" if entry.recorded else r"files-[0-9a-f]{64}", data.digest(name))
    # Only where no copy was at hand may the arrays' own digest be missing, and then there is one source.
    assert entry.recorded or [source.kind for source in entry.sources] == ["upstream"]


def test_digests_and_generators_are_each_used_once():
    digests = [data.digest(name) for name in data.names()]
    assert len(set(digests)) == len(digests)
    assert {data.entry(name).embedded for name in data.names()} - {""} == set(embedded.GENERATORS)


def test_one_path_is_one_file():
    """Data sets may share a file, never a path with two contents."""
    contents: dict[str, set[str]] = {}
    for name in data.names():
        for source in data.entry(name).sources:
            for file in source.files:
                contents.setdefault(file.path, set()).add(file.sha256)
    assert all(len(found) == 1 for found in contents.values())


def test_the_readme_of_the_data_names_every_data_set():
    text = (paths.root() / "data" / "README.md").read_text()
    assert [name for name in data.names() if f"`{name}`" not in text] == []


def file_entry(**changes: object) -> str:
    values = {"path": "a/b", "sha256": GOOD, "size": 1} | changes
    return "{ " + ", ".join(f"{key} = {value!r}" for key, value in values.items()) + " }"


@pytest.mark.parametrize(
    ("sources", "cause"),
    [
        (f"[x.upstream]\nreader = 'idx'\nfiles = [{file_entry(path='../a')}]", "not a plain relative path"),
        (f"[x.upstream]\nreader = 'idx'\nfiles = [{file_entry(path='/etc/passwd')}]", "not a plain relative path"),
        (f"[x.upstream]\nreader = 'idx'\nfiles = [{file_entry(path='')}]", "not a plain relative path"),
        (f"[x.upstream]\nreader = 'idx'\nfiles = [{file_entry(sha256=GOOD[1:])}]", "malformed sha256"),
        (f"[x.upstream]\nreader = 'idx'\nfiles = [{file_entry(sha256='Z' * 64)}]", "malformed sha256"),
        ("[x.upstream]\nreader = 'idx'\nfiles = [{ path = 'a' }]", "lacks the key 'sha256'"),
        ("[x.upstream]\nreader = idx", "not valid TOML"),
    ],
)
def test_a_broken_registry_is_refused(registry, sources, cause):
    registry.write("x", "{ train = 1 }", sources)
    with pytest.raises(DataError, match=cause):
        data.names()


def test_no_registry(tmp_path, monkeypatch):
    monkeypatch.setenv("AUGURY_ROOT", str(tmp_path))
    with pytest.raises(DataError, match=r"datasets\.toml is not there"):
        data.names()
