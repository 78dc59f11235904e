"""Real notebooks in real kernels: what ends well, and every way in which one does not."""

import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbformat
import pytest

from augury.run import runner
from augury.run.budget import Budget
from augury.run.notebooks import discover
from augury.run.outcome import Outcome
from augury.run.profiles import plan_jobs

SLOW = "1-a/slow"


def write_all(house: Any) -> None:
    """One notebook for each way to end."""
    where = "import os\nprint(os.getcwd(), os.environ['AUGURY_JOBS'], os.environ['OMP_NUM_THREADS'])\n"
    where += "print(os.environ['AUGURY_SCHEDULER'])"
    house.notebook("1-a/good", where, figure=True, artefacts=["Figure 7 or Figure 1"])
    house.notebook("1-a/fails", "print('before')", "def f():\n    return 1 / 0\n\nf()", "print('never')")
    missing = "from augury.errors import MissingDataError\nraise MissingDataError('no mnist; make data DATASETS=mnist')"
    house.notebook("1-a/missing", missing)
    house.notebook("1-a/exits", "import sys\nsys.exit(0)", "print('never')")
    house.notebook("1-a/exits-last", "import sys\nsys.exit(0)", figure=True)
    house.notebook("1-a/makes-nothing", "print(n)", artefacts=["Figure 1"])
    house.notebook("1-a/half", figure=True, artefacts=["Figure 1", "Table 2"])
    house.notebook("1-a/neither", figure=True, artefacts=["Figure 7 or Figure 8"])
    house.notebook("1-a/dies", "import os\nos.kill(os.getpid(), 9)")
    house.notebook("1-a/empty", parameters=None)
    house.notebook(SLOW, "import time\ntime.sleep(300)")
    index = "import time\nfrom pathlib import Path\nPath('index.txt').write_text(str(time.time()))"
    house.notebook("0-index", index, parameters=None)
    # What an earlier run made must not pass for what this one did not make.
    left = house.figures / "quick" / "1-a" / "makes-nothing"
    left.mkdir(parents=True)
    (left / "figure-1.csv").write_text("n\n3\n")
    (left / "manifest.json").write_text('{"artefacts": [{"name": "Figure 1", "files": ["figure-1.csv"]}]}')


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory, new_house: Any) -> Iterator[tuple[Any, dict[str, Outcome]]]:
    house = new_house(tmp_path_factory.mktemp("root"))
    write_all(house)
    with pytest.MonkeyPatch.context() as patch:
        for name, value in house.environment.items():
            patch.setenv(name, value)
        patch.setattr(runner, "GRACE", 1)
        outcomes = runner.run_jobs(plan_jobs(discover()), Budget(2, 1), timeout=20, scheduler="tcp://here:1")
    assert [outcome.job.name for outcome in outcomes][-1] == "0-index"
    yield house, {outcome.job.name: outcome for outcome in outcomes}


Ran = tuple[Any, dict[str, Outcome]]


def test_a_good_notebook_is_done_in_its_folder_on_its_share(ran: Ran) -> None:
    house, outcomes = ran
    assert (outcomes["1-a/good"].status, outcomes["1-a/good"].reason) == ("done", "")
    assert house.outputs(house.build / "quick/1-a/good.ipynb").split() == [
        str(house.notebooks / "1-a"),
        "1",
        "1",
        "tcp://here:1",
    ]
    assert (house.figures / "quick/1-a/good/figure-1.csv").read_text() == "n\n3\n"


def test_a_failing_cell_is_told_in_full_and_the_others_finish(ran: Ran) -> None:
    outcome = ran[1]["1-a/fails"]
    assert (outcome.status, outcome.reason) == ("FAILED", "ZeroDivisionError: division by zero")
    assert "cell [3]:\ndef f():" in outcome.details and "Traceback" in outcome.details
    assert "----> 2     return 1 / 0" in outcome.details and "\x1b" not in outcome.details
    assert sum(o.status == "done" for o in ran[1].values()) == 2  # good and the index


@pytest.mark.parametrize(
    ("id", "status", "reason"),
    [
        ("1-a/missing", "not run", "no mnist; make data DATASETS=mnist"),
        ("1-a/exits", "FAILED", "cell [2] left the notebook by sys.exit"),
        ("1-a/exits-last", "FAILED", "cell [3] left the notebook by sys.exit"),
        ("1-a/makes-nothing", "FAILED", "it did not make Figure 1"),
        ("1-a/half", "FAILED", "it did not make Table 2"),
        ("1-a/neither", "FAILED", "it did not make Figure 7 or Figure 8"),
        ("1-a/dies", "FAILED", "its kernel died: killed from outside, out of memory, or a crash in a compiled library"),
        ("1-a/empty", "FAILED", "it holds no code, so it showed nothing"),
        (SLOW, "FAILED", "a cell took longer than 20 s; allow more with --timeout"),
        ("0-index", "done", ""),
    ],
)
def test_every_other_end_is_called_by_its_name(ran: Ran, id: str, status: str, reason: str) -> None:
    assert (ran[1][id].status, ran[1][id].reason) == (status, reason)


def test_the_index_starts_when_all_others_have_ended(ran: Ran) -> None:
    house, outcomes = ran
    started = float((house.notebooks / "index.txt").read_text())
    copies = [path for path in (house.build / "quick/1-a").glob("*.ipynb")]
    assert len(copies) == len(outcomes) - 1
    assert all(path.stat().st_mtime < started for path in copies)


def test_only_whole_copies_are_promoted(ran: Ran) -> None:
    folder = ran[0].build / "quick"
    done = {path.relative_to(folder).as_posix() for path in folder.rglob("*.ipynb") if ".failed" not in path.name}
    assert done == {"1-a/good.ipynb", "0-index.ipynb"}
    failed = nbformat.read(folder / "1-a/fails.failed.ipynb", as_version=4)
    assert list((folder / ".running").iterdir()) == []
    assert any("division by zero" in str(cell.get("outputs")) for cell in failed.cells)


def test_times_of_what_was_done_are_kept_for_the_next_estimate(ran: Ran) -> None:
    times = json.loads((ran[0].build / "quick/times.json").read_text())
    assert times.keys() == {"1-a/good", "0-index"} and all(seconds > 0.5 for seconds in times.values())


def test_runs_of_a_profile_get_their_parameters_and_their_own_places(house: Any) -> None:
    house.notebook("1-a/b", "print(n, C, sets, run)", figure=True)
    house.profile("laptop", "1-a/b: {C: 2, runs: [{run: x, n: 5}, {run: y, sets: [c]}]}")
    jobs = plan_jobs(discover(), "laptop", given={"C": 0.5})
    assert [outcome.status for outcome in runner.run_jobs(jobs, Budget(1, 1), 60)] == ["done", "done"]
    folder = house.build / "laptop/1-a"
    assert house.outputs(folder / "b@x.ipynb").split("\n")[0] == "5 0.5 ['a', 'b'] x"
    assert house.outputs(folder / "b@y.ipynb").split("\n")[0] == "3 0.5 ['c'] y"
    assert (house.figures / "laptop/1-a/b/x/figure-1.csv").read_text() == "n\n5\n"
    assert (house.figures / "laptop/1-a/b/y/figure-1.csv").read_text() == "n\n3\n"


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return "zombie" not in Path(f"/proc/{pid}/status").read_text() if Path(f"/proc/{pid}").exists() else True


def test_ending_the_runner_ends_its_kernels(house: Any, augury_command: Any) -> None:
    note = house.root / "pid"
    cell = f"import os, time\nopen({str(note)!r}, 'w').write(str(os.getpid()))\ntime.sleep(300)"
    house.notebook("1-a/b", cell)
    process = augury_command("run")
    deadline = time.monotonic() + 60
    while not (note.exists() and note.read_text()):
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.05)
    pid = int(note.read_text())
    process.terminate()
    _, said = process.communicate(timeout=40)
    assert process.returncode == 130 and "the same command goes on from here" in said
    deadline = time.monotonic() + 20
    while alive(pid):
        assert time.monotonic() < deadline, "the kernel outlived the runner"
        time.sleep(0.05)
    assert not list((house.build / "quick").rglob("*.ipynb"))
