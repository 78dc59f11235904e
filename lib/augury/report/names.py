"""Names of artefacts: "Tables 3-20, Figure 9" taken apart and put together again."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import groupby

KINDS = ("Table", "Figure", "Section", "Appendix", "Theorem", "Remark", "Algorithm", "Lemma", "Definition")
_LIST = re.compile(rf"\b({'|'.join(KINDS[:2] + KINDS[4:])})s?\s+(\d+(?:\s*(?:-|–|,|and|to)\s*\d+)*)")
_SPOT = r"(?:[A-Z](?:\.\d+)*|\d+(?:\.\d+)*)\b"
_PLACES = re.compile(rf"\b(Section|Appendi)(?:s|x|ces)?\s+({_SPOT}(?:\s*(?:,|and)\s*{_SPOT})*)")


def expand(text: str) -> list[str]:
    """Return every artefact a text names: "Tables 3-5 and Figure 9" gives Table 3, Table 4, Table 5, Figure 9."""
    found: dict[str, None] = {}
    for kind, numbers in _LIST.findall(text):
        for first, last in re.findall(r"(\d+)(?:\s*(?:-|–|to)\s*(\d+))?", numbers):
            found |= {f"{kind} {n}": None for n in range(int(first), int(last or first) + 1)}
    for kind, spots in _PLACES.findall(text):
        found |= {f"{'Appendix' if kind == 'Appendi' else kind} {spot}": None for spot in re.findall(_SPOT, spots)}
    return list(found)


def mentions(text: str, artefact: str) -> bool:
    """Return whether `text` names the artefact, alone or in a list."""
    if re.search(r"\d", artefact):
        return artefact in expand(text)
    return re.search(rf"\b{re.escape(artefact)}\b", text) is not None


def condense(names: Sequence[str]) -> str:
    """Return names in short, in the order in which their kinds appear: "Table 1, Figures 3, 9-10"."""
    numbered = {name: re.fullmatch(r"(\w+) (\d+)", name) for name in names}
    kinds: dict[str, list[int] | None] = {}
    for name, match in numbered.items():
        if match:
            numbers = kinds.setdefault(match[1], [])
            assert numbers is not None  # a kind is one word and a number; whole names are kept apart
            numbers.append(int(match[2]))
        else:
            kinds[name] = None
    parts = []
    for kind, numbers in kinds.items():
        if numbers is None:
            parts.append(kind)
            continue
        runs = [[n for _, n in run] for _, run in groupby(enumerate(sorted(numbers)), lambda pair: pair[1] - pair[0])]
        text = ", ".join(f"{run[0]}-{run[-1]}" if len(run) > 1 else str(run[0]) for run in runs)
        parts.append(f"{kind}{'s' if len(numbers) > 1 else ''} {text}")
    return ", ".join(parts)


def slug(name: str) -> str:
    """Return the name of an artefact's files: "Figure 3" gives figure-3."""
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")
