"""The papers' own numbers and artefacts, and ours beside them."""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import pandas as pd

from augury import paths
from augury.claims import Test, spearman
from augury.errors import ParameterError


@dataclass(frozen=True)
class Artefact:
    """A table, figure, theorem ... of a work: its name there, its section, our notebook, and the paper's data sets."""

    name: str
    section: str
    notebook: str
    title: str
    data: tuple[str, ...]


@dataclass(frozen=True)
class Work:
    """One of the works that are replicated, with its artefacts in their order."""

    id: str
    title: str
    authors: str
    venue: str
    artefacts: tuple[Artefact, ...]

    @property
    def notebooks(self) -> tuple[str, ...]:
        """The notebooks of the artefacts, in their order; those not planned by name are left out."""
        return tuple(dict.fromkeys(a.notebook for a in self.artefacts if a.notebook))


def _folder() -> Path:
    return paths.root() / "data" / "published"


@lru_cache
def _works(path: Path) -> tuple[Work, ...]:
    listed = tomllib.loads(path.read_text(encoding="utf-8"))["works"]
    return tuple(
        Work(**{**work, "artefacts": tuple(Artefact(**{**a, "data": tuple(a["data"])}) for a in work["artefacts"])})
        for work in listed
    )


def works() -> tuple[Work, ...]:
    """Return the works that data/published/artefacts.toml lists."""
    return _works(_folder() / "artefacts.toml")


def work(paper: str) -> Work:
    """Return the work with the id `paper`.

    Raises
    ------
    ParameterError
        If there is none.
    """
    for candidate in works():
        if candidate.id == paper:
            return candidate
    raise ParameterError(f"no work is called {paper!r}; there are {', '.join(w.id for w in works())}")


@lru_cache
def _numbers(path: Path) -> pd.DataFrame:
    rows = pd.read_csv(path)
    return rows.astype({"rank": "Int64"}) if "rank" in rows else rows


def published(paper: str, artefact: str | None = None) -> pd.DataFrame:
    """Return the numbers a paper prints, one a row, as it prints them (misprints too: see `note`).

    Parameters
    ----------
    paper : str
        E.g. "1-subsampling".
    artefact : str, optional
        E.g. "Table 12"; by default all.

    Returns
    -------
    DataFrame
        artefact, metric, value, std, unit, note and the columns that tell the paper's rows apart; columns empty
        throughout are left out.

    Raises
    ------
    ParameterError
        If the paper is unknown, or no number of the artefact is recorded.
    """
    path = _folder() / f"{work(paper).id}.csv"
    rows = _numbers(path) if path.exists() else pd.DataFrame({"artefact": []})
    if artefact is not None:
        rows = rows[rows["artefact"] == artefact]
    if rows.empty:
        raise ParameterError(f"no published number of {artefact or 'any artefact'} is recorded in {path.name}")
    return rows.dropna(axis="columns", how="all").reset_index(drop=True)


def find(paper: str, **settings: Any) -> str | None:
    """Return the one artefact whose published rows all have these settings, e.g. dataset="mnist"; None if none has.

    Raises
    ------
    ParameterError
        If a setting is not a column of the published numbers, or several artefacts have them.
    """
    rows = published(paper)
    if unknown := settings.keys() - set(rows.columns):
        raise ParameterError(f"the published numbers have no column {', '.join(sorted(unknown))}")
    fits = pd.Series(True, index=rows.index)
    for name, value in settings.items():
        fits &= rows[name] == value
    names = [name for name, group in fits.groupby(rows["artefact"], sort=False) if group.all()]
    if len(names) > 1:
        raise ParameterError(f"{settings} fits several artefacts: {', '.join(map(str, names))}")
    return str(names[0]) if names else None


def compare(
    paper_rows: pd.DataFrame, ours: pd.DataFrame, on: str | Sequence[str], value: str = "value"
) -> pd.DataFrame:
    """Return published numbers beside ours.

    Parameters
    ----------
    paper_rows : DataFrame
        From `published`.
    ours : DataFrame
        One row a seed, with the columns `on` and `value`, the latter in the paper's unit.
    on : str or sequence of str
        The columns that name a row, e.g. "policy".
    value : str
        Our column.

    Returns
    -------
    DataFrame
        `on`, published, published std, ours, ours std, seeds, difference (ours - published), published rank, our
        rank (1 = largest mean), and note if any; in the published order, then what only we have. Where a paper prints
        a name twice, ours stands beside both.
    """
    keys = [on] if isinstance(on, str) else list(on)
    means = ours.groupby(keys, sort=False)[value].agg(["mean", "std", "count"]).reset_index()
    means.columns = pd.Index([*keys, "ours", "ours std", "seeds"])
    means["our rank"] = means["ours"].rank(ascending=False, method="min")
    wanted = [*keys, *(name for name in ("value", "std", "rank", "note") if name in paper_rows)]
    theirs = paper_rows[wanted].rename(columns={"value": "published", "std": "published std", "rank": "published rank"})
    if "published rank" not in theirs:
        theirs = theirs.assign(**{"published rank": theirs["published"].rank(ascending=False, method="min")})
    known = set(theirs[keys].itertuples(index=False, name=None))
    only_ours = means[[key not in known for key in means[keys].itertuples(index=False, name=None)]]
    table = pd.concat([theirs.merge(means, on=keys, how="left"), only_ours], ignore_index=True)
    table["difference"] = table["ours"] - table["published"]
    numbers = ["published", "published std", "ours", "ours std", "seeds", "difference", "published rank", "our rank"]
    table = table.reindex(columns=[*keys, *numbers, *(["note"] if "note" in table else [])])
    return table.astype(dict.fromkeys(["seeds", "published rank", "our rank"], "Int64"))


def rank_agreement(table: pd.DataFrame) -> Test:
    """Return the rank correlation between published values and ours over the rows of `compare` that have both.

    Rows that the paper prints twice under one name are left out: it is not known which was meant.
    """
    both = table.dropna(subset=["published", "ours"])
    keys = list(table.columns[: list(table.columns).index("published")])
    both = both[~both.duplicated(keys, keep=False)]
    return spearman(both["published"], both["ours"])
