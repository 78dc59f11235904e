"""Cells in worker processes on this machine (joblib's loky)."""

from __future__ import annotations

import warnings
from collections.abc import Iterator

from joblib import Parallel, delayed, parallel_config
from joblib.externals.loky import get_reusable_executor
from joblib.externals.loky.process_executor import TerminatedWorkerError

from augury.grid.cells import Outcome, Task, compute, failed
from augury.grid.code import module_hashes

ATTEMPTS = 3  # of a run whose workers die without finishing a single cell in between

_pool: dict[str, str] = {}  # the modules that living workers have loaded, with their hashes


def processes(tasks: list[Task], jobs: int) -> Iterator[Outcome]:
    """Compute `tasks`, all of one experiment, in `jobs` > 1 processes; yield each outcome as it comes.

    Tasks are started in their order. When a worker is killed, the tasks that were not finished are started again,
    unless that has brought nothing `ATTEMPTS` times running.
    """
    waiting = {task.place: task for task in tasks}
    attempts = 0
    while waiting and attempts < ATTEMPTS:
        before = len(waiting)
        try:
            for outcome in _pass(list(waiting.values()), jobs):
                del waiting[outcome.place]
                yield outcome
        except TerminatedWorkerError as error:
            # The whole pool is gone. Cells it had stored will be found again, the rest is started anew.
            attempts = attempts + 1 if len(waiting) == before else 0
            reason = str(error).split(".")[0]
            warnings.warn(f"{reason}; {len(waiting)} cells are started again", stacklevel=2)
    for task in waiting.values():
        yield failed(task, f"its workers died {ATTEMPTS} times in a row: too little memory for so many at once?")


def _pass(tasks: list[Task], jobs: int) -> Iterator[Outcome]:
    hashes = module_hashes(tasks[0].experiment)
    if any(_pool.get(module, found) != found for module, found in hashes.items()):
        get_reusable_executor().shutdown(wait=True)  # idle workers from an earlier run still hold the old code
        _pool.clear()
    _pool.update(hashes)
    with parallel_config(backend="loky", n_jobs=jobs, inner_max_num_threads=1):
        parallel = Parallel(batch_size=1, pre_dispatch="n_jobs", return_as="generator_unordered")
        yield from parallel(delayed(compute)(task) for task in tasks)
