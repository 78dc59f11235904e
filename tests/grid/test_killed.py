"""A run that is killed twice ends with the bytes of one that was left alone."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import ModuleType

from augury.grid import Plan, missing, run

CELLS = 12
SCRIPT = """
import sys
from pathlib import Path

import grid_experiments
from augury.grid import Plan, run

if __name__ == "__main__":
    cells = [{"x": x, "delay": 0.4} for x in range(int(sys.argv[2]))]
    rows = run(Plan(grid_experiments.draw, cells), jobs=2, cache=Path(sys.argv[1]))
    rows.to_csv(sys.argv[3], index=False)
"""


def contents(cache: Path) -> dict[str, str]:
    """Return what the records hold but for the time it took."""
    found = {}
    for place in cache.rglob("*.json"):
        record = json.loads(place.read_bytes())["record"]
        assert record.pop("seconds") > 0
        found[place.name] = json.dumps(record)
    return found


def test_killed_twice_in_the_middle_and_finished(experiments: ModuleType, tmp_path: Path) -> None:
    script, cache, calm = tmp_path / "script.py", tmp_path / "cache", tmp_path / "calm"
    script.write_text(SCRIPT)
    path = os.pathsep.join([str(Path(experiments.__file__ or "").parent), *sys.path])

    def start(folder: Path, result: Path) -> subprocess.Popen[bytes]:
        command = [sys.executable, str(script), str(folder), str(CELLS), str(result)]
        return subprocess.Popen(
            command, env=os.environ | {"PYTHONPATH": path}, start_new_session=True, stderr=subprocess.DEVNULL
        )

    for enough, kill in ((2, os.killpg), (5, os.kill)):  # first with all its workers, then without them
        process = start(cache, tmp_path / "never.csv")
        deadline = time.monotonic() + 90
        while len(list(cache.rglob("*.json"))) < enough:
            assert process.poll() is None and time.monotonic() < deadline
            time.sleep(0.02)
        kill(process.pid, signal.SIGKILL)
        assert process.wait(10) == -signal.SIGKILL
        assert len(list(cache.rglob("*.json"))) < CELLS, "it was killed too late to show anything"
    before = {place: place.stat().st_mtime_ns for place in cache.rglob("*.json")}
    assert start(cache, tmp_path / "killed.csv").wait(90) == 0
    assert {place: place.stat().st_mtime_ns for place in before} == before, "a finished cell was computed again"

    plan = Plan(experiments.draw, [{"x": x, "delay": 0.4} for x in range(CELLS)])
    run(plan, jobs=1, cache=calm).to_csv(tmp_path / "calm.csv", index=False)
    assert (tmp_path / "killed.csv").read_bytes() == (tmp_path / "calm.csv").read_bytes()
    assert contents(cache) == contents(calm)
    assert missing(plan, cache) == []
