"""A notebook's section: its parameters, its rows, and what it records of them."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.figure import Figure

from augury import data, figures, grid, paths
from augury.claims import Claim
from augury.errors import NotebookError, ParameterError
from augury.grid import records
from augury.grid.code import code_hash
from augury.grid.keys import cell_key, identity
from augury.plan import Plan, sources
from augury.report import provenance
from augury.report.names import slug
from augury.report.parameters import read_notebook
from augury.report.published import works
from augury.report.recorded import Result, named_datasets, replace_text, results, verdict_row
from augury.report.shown import Sheet, Shown, exhibit, picture

SEEDS = ("round", "seed", "replicate")


class Section:
    """What a notebook computes and records.

    Parameters
    ----------
    id : str
        The notebook below notebooks/, without ending: "1-subsampling/policies".
    namespace : mapping
        The notebook's `globals()`, after its parameters are set.

    Attributes
    ----------
    params : dict
        The parameters of the notebook's parameters cell with their values; `profile` and `run` among them.
    folder : Path
        Where results go: figures/<profile>/<id>[/<run>].

    Raises
    ------
    NotebookError
        If there is no such notebook, or it has no parameters cell.
    ParameterError
        If a parameter is not set or not JSON-able, or there is no `profile` or `run`.
    """

    def __init__(self, id: str, namespace: Mapping[str, Any]) -> None:
        self._started = time.perf_counter()
        self._waiting = 0.0
        self.id = id
        _, names = read_notebook(paths.root() / "notebooks" / f"{id}.ipynb")
        if names is None:
            raise NotebookError(f"{id} needs a cell tagged parameters")
        if absent := [name for name in {"profile": None, "run": None, **dict.fromkeys(names)} if name not in namespace]:
            raise ParameterError(f"{id} does not set {', '.join(absent)}: run its parameters cell first")
        try:
            self.params: dict[str, Any] = json.loads(json.dumps({name: namespace[name] for name in names}))
        except TypeError as error:
            raise ParameterError(f"the parameters of {id} must be what JSON can hold: {error}") from error
        self.profile, self.run_label = str(namespace["profile"]), str(namespace["run"])
        self.folder = paths.figures() / self.profile / id / self.run_label
        self._artefacts: dict[str, dict[str, Any]] = {}
        self._claims: dict[str, Claim] = {}
        self._deviations: dict[str, None] = {}
        self._code: dict[str, str] = {}
        self._cells: dict[Path, float] = {}
        self._data: dict[str, str] = {}

    def run(self, plan_function: Callable[[dict[str, Any]], Plan]) -> pd.DataFrame:
        """Return the rows of the study's plan for this notebook's parameters: cached cells are read, others run.

        Raises
        ------
        MissingDataError, GridError, ParameterError
            As `grid.run`.
        """
        start = time.perf_counter()
        plan = plan_function(self.params)
        rows = grid.run(plan)
        self._note(plan)
        self._waiting += time.perf_counter() - start
        return rows

    def _note(self, plan: Plan) -> None:
        """Remember what the rows rest on: code, data, and how long each cell took when it was computed."""
        name, code = identity(plan.experiment), code_hash(plan.experiment)
        self._code[name] = code
        folder = paths.cache().resolve()
        for settings in plan.cells:
            place = records.path(folder, name, cell_key(name, settings, code))
            record = records.read(place)
            self._cells[place] = float(record["seconds"]) if record else 0.0
            for dataset in sources(settings):
                self._data.setdefault(dataset, data.digest(dataset))

    def deviation(self, text: str) -> None:
        """List something this notebook does differently from the paper, for the report."""
        self._deviations[text] = None

    def figure(
        self, fig: Figure, name: str, rows: pd.DataFrame, caption: str, *, published: str = "", ours: str = ""
    ) -> Shown:
        """Save a figure as png and svg, its rows as csv, and return what the notebook displays.

        Parameters
        ----------
        fig : Figure
            Drawn from `rows` alone; it is closed.
        name : str
            As in the paper: "Figure 3"; a picture of our own has a name of our own.
        rows : DataFrame
        caption : str
            Data set, profile and number of seeds are added.
        published, ours : str
            The number the artefact comes down to, if it is one, for the report.
        """
        note = self._about(name, rows)
        figures.save(fig, self.folder / slug(name), rows, footer=f"{name} ({note})")
        plt.close(fig)
        self._keep(name, ("png", "svg", "csv"), caption, note, published, ours)
        return picture(self.folder / f"{slug(name)}.png", f"**{name}.** {caption} *({note})*")

    def table(
        self,
        rows: pd.DataFrame,
        name: str,
        caption: str,
        digits: int = 3,
        *,
        published: str = "",
        ours: str = "",
    ) -> Shown:
        """Save a table as csv and return what the notebook displays, floats to `digits` decimals; see `figure`."""
        note = self._about(name, rows)
        figures.save_rows(rows, self.folder / f"{slug(name)}.csv")
        self._keep(name, ("csv",), caption, note, published, ours, digits=digits)
        return Shown(Sheet(rows, digits), f"**{name}.** {caption} *({note})*")

    def _keep(
        self,
        name: str,
        endings: tuple[str, ...],
        caption: str,
        note: str,
        published: str,
        ours: str,
        **further: int,
    ) -> None:
        for other in self._artefacts:
            if other != name and slug(other) == slug(name):
                raise ParameterError(f"{name!r} and {other!r} would be saved to the same files")
        files = [f"{slug(name)}.{ending}" for ending in endings]
        text = {"caption": caption, "note": note, "published": published, "ours": ours}
        self._artefacts[name] = {"name": name, "files": files, **text, **further}

    def _datasets(self, rows: pd.DataFrame) -> list[str]:
        if "dataset" in rows:
            return list(dict.fromkeys(name for own in rows["dataset"].unique() for name in sources({"dataset": own})))
        return list(self._data) or named_datasets(self.params)

    def _about(self, name: str, rows: pd.DataFrame) -> str:
        """Return the data sets, the profile and the number of seeds of an artefact, for its caption."""
        theirs = {d for w in works() for a in w.artefacts if a.notebook == self.id and a.name == name for d in a.data}
        text = (
            _described(self._datasets(rows), theirs)
            + f"; profile: {self.profile}"
            + (f", run {self.run_label}" if self.run_label else "")
        )
        seeds = next((column for column in SEEDS if column in rows), None)
        number = rows[seeds].nunique() if seeds else 0
        return text + (f"; {number} {seeds}{'s' if number > 1 else ''}" if seeds else "")

    def claim(self, claim: Claim) -> Shown:
        """Record a claim and return its parts and verdict as the notebook displays them.

        Raises
        ------
        ParameterError
            If a claim with its id is already recorded, or the id does not begin with the paper's.
        """
        if claim.id in self._claims:
            raise ParameterError(f"the claim {claim.id} is recorded twice")
        if claim.id.split("/")[0] != self.id.split("/")[0]:
            raise ParameterError(f"the claim {claim.id} does not belong to {self.id.split('/')[0]}")
        self._claims[claim.id] = claim
        table = claim.table()
        if not table.empty:
            table = table.drop(columns=[c for c in table if (table[c].isna() | (table[c] == "")).all()])
        return Shown(Sheet(table, 4), f"**{claim.verdict}**: {claim.text} ({claim.source})")

    def _recorded(self, profile: str) -> list[Result]:
        # The committed results, wherever this run's own go.
        return results(paths.root() / "figures", profile, self.id)

    def shown(self, *names: str, profile: str = "laptop") -> list[Shown]:
        """Return recorded figures and tables for display: each name of every run that has it, or a line that none has.

        Parameters
        ----------
        names : str
            As in `figure` and `table`.
        profile : str
        """
        found: list[Shown] = []
        for name in names:
            own = [one for result in self._recorded(profile) if (one := exhibit(result, name))]
            found += own or [Shown(None, f"**{name}**: not recorded yet.")]
        return found

    def verdicts(self, profile: str = "laptop") -> pd.DataFrame:
        """Return the recorded verdicts under a profile, one row a claim and run; empty if none are recorded."""
        rows = [verdict_row(claim) | {"run": r.run} for r in self._recorded(profile) for claim in r.claims]
        return pd.DataFrame(rows, columns=["claim", "verdict", "holds", "run"])

    def finish(self) -> pd.DataFrame:
        """Write claims.json and manifest.json and return the verdicts.

        What an earlier run of this notebook left in the folder under names that are no longer made is removed.

        Returns
        -------
        DataFrame
            claim, verdict, holds ("5 of 6": parts that hold of those that were run).
        """
        claims = [claim.as_dict() for claim in self._claims.values()]
        rest = time.perf_counter() - self._started - self._waiting
        manifest = {
            "section": self.id,
            "run": self.run_label,
            "profile": self.profile,
            "parameters": self.params,
            "data": dict(sorted(self._data.items())),
            "code": dict(sorted(self._code.items())),
            **provenance.commit(),
            "packages": provenance.packages(),
            "machine": provenance.machine(),
            "cells": len(self._cells),
            "seconds": {"cells": round(sum(self._cells.values()), 1), "rest": round(rest, 1)},
            "finished": datetime.now(UTC).strftime("%Y-%m-%d"),
            "deviations": list(self._deviations),
            "artefacts": list(self._artefacts.values()),
        }
        self.folder.mkdir(parents=True, exist_ok=True)
        self._sweep()
        for file, content in (("claims.json", claims), ("manifest.json", manifest)):
            text = json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
            replace_text(self.folder / file, text)
        return pd.DataFrame([verdict_row(claim) for claim in claims], columns=["claim", "verdict", "holds"])

    def _sweep(self) -> None:
        manifest = self.folder / "manifest.json"
        if manifest.exists():
            before = json.loads(manifest.read_text(encoding="utf-8"))["artefacts"]
            made = {file for artefact in self._artefacts.values() for file in artefact["files"]}
            for file in {file for artefact in before for file in artefact["files"]} - made:
                (self.folder / Path(file).name).unlink(missing_ok=True)


def _described(ours: Sequence[str], theirs: set[str]) -> str:
    """Return the data sets of an artefact as text, and which of them are not among the paper's."""
    known = data.names()  # what a notebook's parameters name need not be registered
    parts = {d: data.entry(d).part_of if d in known else "" for d in ours if theirs and d not in theirs}
    others = [name for name, whole in parts.items() if whole not in theirs]
    listed = [f"{d} (part of {parts[d]})" if d in parts and d not in others else d for d in ours]
    if not listed:
        return "no data set"
    remark = (
        "" if not others else ", not the paper's" if others == list(ours) else f"; not the paper's: {', '.join(others)}"
    )
    return f"data: {', '.join(listed)}{remark}"
