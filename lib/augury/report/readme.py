"""The map in README.md: artefact, notebook, command, time, verdict."""

from __future__ import annotations

from pathlib import Path

from augury import paths
from augury.errors import AuguryError
from augury.report import markdown as md
from augury.report.names import condense
from augury.report.published import Work, works
from augury.report.recorded import PROFILES, Result, replace_text, results

BEGIN, END = "<!-- map: written by `make report` -->", "<!-- end of map -->"


def _verdict(recorded: list[Result]) -> str:
    parts = [(result.run, md.tally(c["verdict"] for c in result.claims) or "recorded") for result in recorded]
    return "; ".join(f"{run}: {text}" if run else text for run, text in parts) or "not run"


def _row(work: Work, notebook: str, base: str) -> list[str]:
    artefacts = condense([artefact.name for artefact in work.artefacts if artefact.notebook == notebook])
    if not notebook or not (paths.root() / "notebooks" / f"{notebook}.ipynb").exists():
        return [artefacts, notebook or "—", "to come", "—", "not run"]
    found = {profile: results(paths.root() / "figures", profile, notebook) for profile in PROFILES}
    profile = next((profile for profile, recorded in found.items() if recorded), PROFILES[0])
    recorded = found[profile]
    time = md.duration(sum(result.seconds for result in recorded)) if recorded else "—"
    link = md.link(notebook, f"{base}notebooks/{notebook}.ipynb")
    return [artefacts, link, f"`make figures PROFILE={profile} ONLY={notebook}`", time, _verdict(recorded)]


def map_table(base: str = "") -> str:
    """Return the map as Markdown: a table for each work, a row for each of its notebooks.

    Links begin with `base`, the way from the page to the repository's root: "../" for a notebook in notebooks/.

    Times are for two cores and from nothing; cells that notebooks share are computed once.
    """
    header = ["artefacts", "notebook", "command", "time on two cores", "verdicts"]
    tables = []
    for work in works():
        notebooks = [*work.notebooks, *([""] if any(not a.notebook for a in work.artefacts) else [])]
        rows = [_row(work, notebook, base) for notebook in notebooks]
        tables.append(f"**{work.title}** ({work.authors}, {work.venue})\n\n{md.table(header, rows)}")
    return "\n\n".join(tables)


def with_map(text: str) -> str:
    """Return the text of a README with the map between its markers renewed.

    Raises
    ------
    AuguryError
        If the markers are not there, once each and in order.
    """
    head, begin, rest = text.partition(BEGIN)
    _, end, tail = rest.partition(END)
    if not (begin and end) or BEGIN in rest or END in tail or END in head:
        raise AuguryError(f"README.md needs the lines {BEGIN} and {END}, once each and in this order")
    return f"{head}{BEGIN}\n\n{map_table()}\n\n{END}{tail}"


def readme_map() -> Path:
    """Renew the map in README.md from the recorded results and return the file's path.

    Raises
    ------
    AuguryError
        As `with_map`.
    """
    path = paths.root() / "README.md"
    return replace_text(path, with_map(path.read_text(encoding="utf-8")))
