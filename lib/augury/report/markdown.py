"""Small pieces of Markdown."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from augury.claims import VERDICTS


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a Markdown table; bars and line ends within cells are made harmless."""
    lines = [header, ["---"] * len(header), *rows]
    plain = ([cell.replace("|", "\\|").replace("\n", " ") for cell in line] for line in lines)
    return "\n".join(f"| {' | '.join(line)} |" for line in plain)


def link(text: str, target: str) -> str:
    """Return a link."""
    return f"[{text}]({target})"


def duration(seconds: float) -> str:
    """Return a time in words: "1 h 50 min", "4 min", "35 s"."""
    if seconds < 59.5:
        return f"{max(seconds, 1):.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes // 60} h {minutes % 60} min" if minutes >= 60 else f"{minutes} min"


def tally(verdicts: Iterable[str]) -> str:
    """Return how often each verdict occurs: "7 replicated, 1 partly"."""
    counts = Counter(verdicts)
    return ", ".join(f"{counts[verdict]} {verdict}" for verdict in VERDICTS if counts[verdict])


def joint(verdicts: Sequence[str]) -> str:
    """Return one verdict for several claims: theirs if they agree, else "partly"; those not run do not count."""
    run = {verdict for verdict in verdicts if verdict != "not run"}
    return run.pop() if len(run) == 1 else "partly" if run else "not run"
