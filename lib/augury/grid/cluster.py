"""Cells on the workers of a Dask scheduler: other machines, GPUs, a batch system's nodes."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from typing import Any

from augury.errors import GridError
from augury.grid.cells import Outcome, Task, compute, failed

PATIENCE = 30  # seconds to wait for the scheduler, and for its first worker


def distributed(tasks: list[Task], address: str) -> Iterator[Outcome]:
    """Compute `tasks`, all of one experiment, on the workers of a Dask scheduler; yield each outcome as it comes.

    Tasks are started in their order. The scheduler hands the tasks of a worker that dies to the others.

    Raises
    ------
    GridError
        If there is no scheduler, it has no workers, or they cannot run the experiment or would run other code.
    """
    from distributed import Client, as_completed

    try:
        client = Client(address, timeout=PATIENCE, set_as_default=False)
    except (OSError, ValueError) as error:
        raise GridError(f"no Dask scheduler answers at {address!r}: {error}") from error
    with client:
        try:
            client.wait_for_workers(1, timeout=PATIENCE)
        except TimeoutError:
            raise GridError(f"the Dask scheduler at {address!r} has no workers; start some with: dask worker") from None
        _check(client, tasks[0])
        # A key of its own for each submission, or the scheduler would hand out what an earlier run left behind.
        futures = {
            client.submit(compute, task, pure=False, priority=-position): task for position, task in enumerate(tasks)
        }
        for future in as_completed(list(futures), loop=client.loop):
            task = futures.pop(future)
            if future.status == "finished":
                yield future.result()
            else:
                cause = future.exception() if future.status == "error" else "the connection to the scheduler was lost"
                yield failed(task, f"no worker finished it: {cause}")
            future.release()


def _check(client: Any, task: Task) -> None:
    """Raise unless every worker can import the experiment and would run this code.

    A task whose module a worker cannot import may otherwise be tried for ever, in silence.
    """
    module, name, code = task.experiment.__module__, task.experiment.__qualname__, task.code

    def probe() -> str:  # defined here, so that it travels by value: the worker may lack the package
        try:
            experiment = getattr(importlib.import_module(module), name)
            same = importlib.import_module("augury.grid.code").loaded_hash(experiment) == code
        except Exception as error:
            return f"cannot import it ({type(error).__name__}: {error}); install augury in {sys.executable}"
        return "" if same else "has other code loaded; update its checkout and restart it"

    answers = client.run(probe, on_error="return")
    wrong = {worker: answer for worker, answer in answers.items() if answer != ""}
    if wrong:
        listing = "\n".join(f"  {worker} {answer}" for worker, answer in sorted(wrong.items()))
        raise GridError(f"{len(wrong)} of {len(answers)} workers cannot run {module}:{name}:\n{listing}")
