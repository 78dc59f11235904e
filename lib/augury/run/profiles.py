"""From a profile and the command line to jobs: which notebooks run, with which parameters."""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import yaml

from augury.errors import ParameterError
from augury.run.notebooks import Notebook, folder, known, matches

QUICK = "quick"  # the notebooks' own defaults: a profile without a file

KINDS = {bool: "truth value", int: "whole number", float: "real number", str: "text", tuple: "list", dict: "mapping"}


@dataclass(frozen=True)
class Job:
    """One run of a notebook.

    Attributes
    ----------
    notebook : Notebook
    profile : str
    run : str
        Label of this run; empty where the notebook is run once.
    changes : dict
        The parameters whose values differ from the notebook's own.
    """

    notebook: Notebook
    profile: str
    run: str
    changes: dict[str, Any]

    @property
    def name(self) -> str:
        """The notebook's id, followed by the run's label if it has one."""
        return self.notebook.id + (f"/{self.run}" if self.run else "")

    @property
    def parameters(self) -> dict[str, Any]:
        """All parameters with the values they have in this run."""
        return (self.notebook.parameters or {}) | self.changes


def value(text: str) -> Any:
    """Return what `text` means as a Python literal or in YAML, else the text itself."""
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        try:
            return yaml.safe_load(text)
        except yaml.YAMLError:
            return text


def parse(assignments: Sequence[str]) -> dict[str, Any]:
    """Return the parameters given as `name=value`.

    Raises
    ------
    ParameterError
        If one is not of that form, or is given twice.
    """
    found: dict[str, Any] = {}
    for assignment in assignments:
        name, equals, text = assignment.partition("=")
        if not equals or not name.isidentifier():
            raise ParameterError(f"a parameter is given as name=value, not {assignment!r}")
        if name in found:
            raise ParameterError(f"the parameter {name} is given twice")
        found[name] = value(text)
    return found


def fit(name: str, given: Any, default: Any, where: str) -> Any:
    """Return a parameter's value as the notebook expects it: a whole number where its own is real becomes real.

    Raises
    ------
    ParameterError
        If its kind differs from that of the notebook's own value.
    """
    if default is None or given is None:
        return given
    if isinstance(default, float) and isinstance(given, int) and not isinstance(given, bool):
        return float(given)
    if isinstance(default, (list, tuple)) and isinstance(given, (list, tuple)):
        return list(given)
    if type(given) is not type(default):
        kind = KINDS.get(type(default), type(default).__name__)
        raise ParameterError(f"{where}: {name} is a {kind} such as {default!r}, not {given!r}")
    return given


def _checked(notebook: Notebook, given: Mapping[str, Any], where: str) -> dict[str, Any]:
    names = notebook.parameters
    if names is None:
        if given:
            raise ParameterError(f"{where}: it has no cell tagged parameters, so {', '.join(given)} cannot be set")
        return {}
    if unknown := sorted(given.keys() - names.keys()):
        raise ParameterError(f"{where}: unknown parameter {', '.join(unknown)}; it knows {', '.join(names)}")
    return {name: fit(name, given[name], names[name], where) for name in given}


def read_profile(profile: str) -> dict[str, Any] | None:
    """Return what a profile's file says of each notebook; None for quick, which needs no file.

    Raises
    ------
    ParameterError
        If there is no such profile, or its file is not a mapping of notebooks.
    """
    place = folder() / "profiles"
    path = place / f"{profile}.yaml"
    if not re.fullmatch(r"[\w-]+", profile) or not path.exists():
        if profile == QUICK:
            return None
        profiles = sorted({QUICK, *(path.stem for path in place.glob("*.yaml"))})
        raise known(profiles, "profile", profile)
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    except yaml.YAMLError as error:
        raise ParameterError(f"{path.name} is not valid YAML: {error}") from error
    if not isinstance(content, dict) or not all(isinstance(entry, dict | None) for entry in content.values()):
        raise ParameterError(f"{path.name} must give parameters (name: value) for each notebook")
    return {id: entry or {} for id, entry in content.items()}


def _runs(entry: Mapping[str, Any], where: str) -> list[dict[str, Any]]:
    """Return the parameters of each run of a profile's entry; what stands beside `runs` holds for all of them."""
    common = {name: value for name, value in entry.items() if name != "runs"}
    if "runs" not in entry:
        return [common]
    runs = entry["runs"]
    if not isinstance(runs, list) or not runs or not all(isinstance(run, dict) for run in runs):
        raise ParameterError(f"{where}: runs is a list of parameters (name: value)")
    labels = [run.get("run") for run in runs]
    if len(set(labels)) < len(labels) or not all(re.fullmatch(r"\w[\w.-]*", str(label or "")) for label in labels):
        raise ParameterError(f"{where}: each run needs a label of its own, such as run: mnist, not {labels}")
    return [common | run for run in runs]


def plan_jobs(
    notebooks: Sequence[Notebook], profile: str = QUICK, only: str | None = None, given: Mapping[str, Any] | None = None
) -> list[Job]:
    """Return the jobs of a profile in order, checked as far as can be before anything runs.

    Parameters
    ----------
    notebooks : sequence of Notebook
        All of them, in reading order.
    profile : str
        Notebooks that it does not list are not part of it, unless they have no parameters (the index).
    only : str, optional
        A notebook, a run of one ("1-subsampling/policies/mnist"), a folder, or a pattern with * and ?.
    given : mapping, optional
        Parameters that go before the profile's, in every selected notebook that has parameters.

    Raises
    ------
    ParameterError
        If a profile, notebook or parameter is unknown, a value has the wrong kind, or nothing is selected.
    """
    given = dict(given or {})
    if "profile" in given:
        raise ParameterError("the profile is chosen with --profile, so that results go where they belong")
    entries = read_profile(profile)
    by_id = {notebook.id: notebook for notebook in notebooks}
    for id in entries or {}:
        if id not in by_id:
            raise ParameterError(f"{profile}.yaml: {known(list(by_id), 'notebook', id)}")
    jobs = []
    for notebook in notebooks:
        listed = entries is None or notebook.id in entries
        if not listed and notebook.parameters is not None:
            continue
        where = f"{profile}.yaml, {notebook.id}"
        for own in _runs((entries or {}).get(notebook.id, {}), where):
            if profile != QUICK and notebook.parameters is not None:
                own = {"profile": profile} | own
            jobs.append(Job(notebook, profile, str(own.get("run", "")), _checked(notebook, own, where)))
    chosen = [job for job in jobs if only is None or matches(job.name, only) or matches(job.notebook.id, only)]
    if not chosen:
        raise known([job.name for job in jobs], f"notebook of the profile {profile}", only or "*")
    ready = []
    for job in chosen:
        takes = job.notebook.parameters is not None or len(chosen) == 1
        changes = job.changes | (_checked(job.notebook, given, job.notebook.id) if takes else {})
        own = job.notebook.parameters or {}
        changes = {name: v for name, v in changes.items() if v != own[name] or type(v) is not type(own[name])}
        ready.append(Job(job.notebook, profile, str(changes.get("run", "")), changes))
    if len({job.name for job in ready}) < len(ready):
        raise ParameterError("two runs of a notebook would have the same label, and overwrite each other's results")
    return ready
