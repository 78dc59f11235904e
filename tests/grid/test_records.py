"""Records keep every bit, or say that they do not."""

import errno
import json
import math
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from augury.errors import GridError
from augury.grid import records

floats = st.floats(allow_nan=True, allow_infinity=True, allow_subnormal=True)
values = st.none() | st.booleans() | st.integers() | floats | st.text()


def same(a: object, b: object) -> bool:
    if isinstance(a, float) and isinstance(b, float):
        return (math.isnan(a) and math.isnan(b)) or (a == b and math.copysign(1, a) == math.copysign(1, b))
    return type(a) is type(b) and a == b


@given(st.lists(st.dictionaries(st.text(min_size=1), values, max_size=4), max_size=4))
def test_rows_come_back_bit_for_bit(rows: list[dict[str, object]]) -> None:
    found = records.decode(records.encode({"rows": records.tidy(rows, {})}))["rows"]
    assert len(found) == len(rows)
    for ours, theirs in zip(found, rows, strict=True):
        assert ours.keys() == theirs.keys()
        assert all(same(ours[name], theirs[name]) for name in theirs)


@given(st.data())
def test_any_changed_or_missing_byte_is_noticed(source: st.DataObject) -> None:
    content = records.encode({"rows": [{"y": 0.1, "s": "text"}], "seconds": 1.5})
    place = source.draw(st.integers(0, len(content) - 1))
    byte = source.draw(st.integers(0, 255).filter(lambda b: b != content[place]))
    for damaged in (content[:place], content[:place] + bytes([byte]) + content[place + 1 :]):
        with pytest.raises((ValueError, KeyError, TypeError)):
            records.decode(damaged)


def test_a_record_is_plain_json(tmp_path: Path) -> None:
    place = tmp_path / "a" / "b.json"
    records.store(place, records.encode({"rows": [{"y": 1}]}))
    assert json.loads(place.read_text())["record"] == {"rows": [{"y": 1}]}


def test_full_disk_leaves_the_old_record_and_no_half_of_the_new(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = tmp_path / "b.json"
    records.store(place, b"old")

    def full(handle: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(GridError, match="b.json cannot be written: No space left"):
        records.store(place, b"new")
    assert place.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [place]
