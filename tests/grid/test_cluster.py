"""A Dask scheduler with two worker processes on loopback."""

import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest
from distributed import Client, LocalCluster

from augury.errors import GridError
from augury.grid import Plan, run


@pytest.fixture
def cluster(experiments: ModuleType) -> Iterator[LocalCluster]:
    """Two workers, started after `experiments` was put where they can import it."""
    with LocalCluster(
        n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None, silence_logs=logging.CRITICAL
    ) as cluster:
        yield cluster


def pids(cluster: LocalCluster) -> dict[str, int]:
    with Client(cluster, set_as_default=False) as client:
        return client.run(os.getpid)


def test_a_worker_killed_in_the_middle_loses_nothing_and_does_nothing_twice(
    cluster: LocalCluster, experiments: ModuleType, cache: Path, tmp_path: Path
) -> None:
    log, victim = tmp_path / "log", next(iter(pids(cluster).values()))
    killed_at = []

    def kill() -> None:
        while not log.exists() or len(log.read_text().split()) < 8:
            time.sleep(0.01)
        os.kill(victim, signal.SIGKILL)
        killed_at.append(len(list(cache.rglob("*.json"))))

    killer = threading.Thread(target=kill)
    killer.start()
    cells = [{"x": x, "delay": 0.1, "log": str(log)} for x in range(40)]
    rows = run(Plan(experiments.draw, cells), scheduler=cluster.scheduler_address, cache=cache)
    killer.join()
    assert killed_at[0] < 40, "it was killed too late to show anything"
    assert victim not in pids(cluster).values()
    assert rows["x"].tolist() == [x for x in range(40) for _ in range(3)]
    assert len(list(cache.rglob("*.json"))) == 40 and not list(cache.rglob("*.tmp"))
    started = [int(x) for x in log.read_text().split()]
    assert set(started) == set(range(40))
    assert len(started) <= 41, "more was begun again than the one cell that the killed worker had in hand"
    here = run(Plan(experiments.draw, [cell | {"log": ""} for cell in cells]), jobs=1, cache=cache, progress=False)
    assert rows["value"].tolist() == here["value"].tolist()


def test_failures_come_back_and_workers_that_cannot_run_the_code_are_named(
    cluster: LocalCluster, experiments: ModuleType, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    address = cluster.scheduler_address
    monkeypatch.setenv("AUGURY_SCHEDULER", address)
    with pytest.raises(GridError, match="(?s)1 of 2 cells failed.*ValueError: no good: 1"):
        run(Plan(experiments.failing, [{"x": 0}, {"x": 1}]), cache=cache)

    unknown = tmp_path / "unknown"
    unknown.mkdir()
    (unknown / "grid_unknown.py").write_text("def f(x):\n    return [{'y': x}]\n")
    sys.path.insert(0, str(unknown))  # after the workers were started
    try:
        module = __import__("grid_unknown")
        with pytest.raises(GridError, match="(?s)2 of 2 workers cannot run grid_unknown:f.*No module named"):
            run(Plan(module.f, [{"x": 0}]), cache=cache)
    finally:
        sys.path.remove(str(unknown))

    source = Path(experiments.__file__ or "")
    source.write_text(source.read_text().replace("size=3", "size=4"))
    with pytest.raises(GridError, match="2 of 2 workers .*(?s:.*)has other code loaded"):
        run(Plan(experiments.failing, [{"x": 3}]), cache=cache)


def test_no_scheduler_is_said_plainly(
    experiments: ModuleType, cache: Path, monkeypatch: pytest.MonkeyPatch, unused_port: int
) -> None:
    monkeypatch.setattr("augury.grid.cluster.PATIENCE", 1)
    for address in (f"tcp://127.0.0.1:{unused_port}", "nonsense://here"):
        with pytest.raises(GridError, match="no Dask scheduler answers"):
            run(Plan(experiments.draw, [{"x": 0}]), scheduler=address, cache=cache)


@pytest.fixture
def unused_port() -> int:
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
