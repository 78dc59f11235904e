"""The command line: augury run, compute, list, report, data."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from augury.errors import AuguryError

PATIENCE = {"quick": 900}  # seconds that a cell of a notebook may take, by profile
LONG = 7 * 24 * 3600


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="augury", description="Run the notebooks of the repository and their parts.")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--profile", default="quick", help="quick (the default), laptop or paper")
    grid = argparse.ArgumentParser(add_help=False)
    grid.add_argument("--jobs", type=int, metavar="N", help="worker processes in all (default: one a core)")
    grid.add_argument("--scheduler", metavar="ADDRESS", help="Dask scheduler whose workers compute the cells")
    grid.add_argument(
        "-p", dest="parameters", action="append", default=[], metavar="NAME=VALUE", help="set a parameter; repeatable"
    )

    run = commands.add_parser("run", parents=[common, grid], help="run notebooks; figures, tables and verdicts appear")
    run.add_argument("--only", metavar="PATTERN", help="a notebook, a folder, a run of a notebook, or a pattern")
    run.add_argument("--at-once", type=int, default=1, metavar="M", help="notebooks at once; they share the jobs")
    run.add_argument("--timeout", type=int, metavar="SECONDS", help="for one notebook cell (quick: 900)")
    run.add_argument("--store", action="store_true", help="write the outputs into notebooks/ (quick profile)")

    compute = commands.add_parser(
        "compute", parents=[common, grid], help="compute a section's cells into the cache, without Jupyter"
    )
    compute.add_argument("section", metavar="SECTION", help="as --only of augury run")

    commands.add_parser("list", parents=[common], help="list the notebooks, what they make and how long it took")
    commands.add_parser("report", help="write figures/REPORT.md and the map in README.md from recorded results")
    commands.add_parser("data", add_help=False, help="fetch, list and verify the data sets")
    return parser


def _run(options: argparse.Namespace) -> int:
    from rich.console import Console

    from augury.run import budget, notebooks, profiles, runner, screen, stored

    share = budget.share(options.jobs, options.at_once)
    given = profiles.parse(options.parameters)
    jobs = profiles.plan_jobs(notebooks.discover(), options.profile, options.only, given)
    if options.store and (options.profile != profiles.QUICK or given):
        raise AuguryError("--store keeps the outputs of the notebooks' own parameters: no --profile and no -p with it")
    timeout = options.timeout or PATIENCE.get(options.profile, LONG)
    outcomes = runner.run_jobs(jobs, share, timeout, options.scheduler)
    if options.store:
        for outcome in outcomes:
            if outcome.status == "done":
                stored.store(outcome.job, runner.executed(outcome.job))
    screen.summary(outcomes, Console(file=sys.stderr))
    print(f"executed copies, of failures too (.failed.ipynb): {runner.build(options.profile)}", file=sys.stderr)
    return int(any(outcome.status != "done" for outcome in outcomes))


def _compute(options: argparse.Namespace) -> int:
    from rich.console import Console

    from augury.run import compute, notebooks, profiles, screen

    given = profiles.parse(options.parameters)
    jobs = profiles.plan_jobs(notebooks.discover(), options.profile, options.section, given)
    outcomes = compute.compute_jobs(jobs, options.jobs, options.scheduler)
    screen.summary(outcomes, Console(file=sys.stderr))
    return int(any(outcome.status != "done" for outcome in outcomes))


def _list(options: argparse.Namespace) -> int:
    from rich.console import Console
    from rich.table import Table

    from augury.run import notebooks, profiles, runner, screen

    took = runner.times(options.profile)
    table = Table()
    for column in ("notebook", "artefacts", "last took"):
        table.add_column(
            column, justify="right" if column == "last took" else "left", overflow="fold", no_wrap=column == "notebook"
        )
    for job in profiles.plan_jobs(notebooks.discover(), options.profile):
        time = screen.clock(took[job.name]) if job.name in took else ""
        table.add_row(job.name, ", ".join(job.notebook.artefacts), time)
    Console().print(table)
    return 0


def _report(options: argparse.Namespace) -> int:
    from augury import report

    print(report.write_report())
    print(report.readme_map())
    return 0


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line.

    Returns
    -------
    0 if all went well; 1 if something failed or was not run, while all else was finished; 2 if what was asked for is
    wrong, and nothing was started; 130 if it was interrupted.
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    if arguments[:1] == ["data"]:
        from augury.data.cli import main as data

        return data(arguments[1:])
    options = _parser().parse_args(arguments)
    commands = {"run": _run, "compute": _compute, "list": _list, "report": _report}
    try:
        return commands[options.command](options)
    except AuguryError as error:
        print(f"augury {options.command}: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("stopped; finished cells are kept, the same command goes on from here", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())
