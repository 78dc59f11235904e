"""Runs one notebook in a process of its own: `python -m augury.run.worker job.json`.

A process for each notebook, because papermill changes the working directory of the whole process, and because a
notebook that takes its process down must not take the others with it.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

START_TIMEOUT = 120  # seconds for a kernel to answer; a busy machine is slow to start one


def _note_cells(place: Path) -> type:
    """Return papermill's engine, which also leaves in `place` how many cells have been started, and of how many."""
    from papermill.engines import NBClientEngine

    class Engine(NBClientEngine):
        @classmethod
        def execute_managed_notebook(cls, nb_man: Any, kernel_name: str, **kwargs: Any) -> Any:
            started = nb_man.cell_start

            def cell_start(cell: Any, cell_index: int | None = None, **kwargs: Any) -> None:
                fresh = place.with_suffix(".tmp")
                fresh.write_text(json.dumps({"cell": (cell_index or 0) + 1, "cells": len(nb_man.nb.cells)}))
                os.replace(fresh, place)
                started(cell, cell_index, **kwargs)

            nb_man.cell_start = cell_start
            return super().execute_managed_notebook(nb_man, kernel_name, **kwargs)

    return Engine


def main() -> int:
    """Execute the notebook that the job file given as the only argument describes.

    Returns
    -------
    0 if papermill was content; else 1, with one line about the cause on standard output where the notebook itself
    does not tell.
    """
    job = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    import papermill
    from nbclient.exceptions import CellTimeoutError, DeadKernelError
    from papermill.engines import papermill_engines
    from papermill.exceptions import PapermillExecutionError

    papermill_engines.register("augury", _note_cells(Path(job["cells"])))
    try:
        papermill.execute_notebook(
            job["notebook"],
            job["output"],
            parameters=job["parameters"],
            engine_name="augury",
            kernel_name="python3",
            language="python",
            cwd=job["cwd"],
            start_timeout=START_TIMEOUT,
            execution_timeout=job["timeout"],
            progress_bar=False,
        )
    except PapermillExecutionError:
        return 1  # the executed notebook holds the error in full
    except DeadKernelError:
        print("its kernel died: killed from outside, out of memory, or a crash in a compiled library")
        return 1
    except CellTimeoutError:
        print(f"a cell took longer than {job['timeout']} s; allow more with --timeout")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
