"""What a notebook displays: a picture or a table with its caption."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from IPython.display import Image, Markdown, display

from augury.report.names import slug
from augury.report.recorded import Result


@dataclass(frozen=True)
class Sheet:
    """A table as it is printed: floats to `digits` decimals, or in powers of ten if smaller; a dash if missing."""

    rows: pd.DataFrame
    digits: int = 3

    def _cell(self, value: Any) -> str:
        if pd.isna(value):
            return "—"
        if not isinstance(value, float):
            return str(value)
        small = 0 < abs(value) < 10.0**-self.digits
        return f"{value:.1e}" if small else f"{value:.{self.digits}f}"

    def _text(self) -> pd.DataFrame:
        columns = {name: [self._cell(value) for value in self.rows[name]] for name in self.rows}
        return pd.DataFrame(columns, dtype=object)

    def _repr_html_(self) -> str:
        return str(self._text().to_html(index=False, border=0))

    def __repr__(self) -> str:
        return str(self._text().to_string(index=False))


@dataclass(frozen=True)
class Shown:
    """A picture or a table with its caption below; displays itself as the last value of a cell or by `display`."""

    body: Any  # None where there is but a line to say
    caption: str

    def _ipython_display_(self) -> None:
        if self.body is not None:
            display(self.body)
        display(Markdown(self.caption))


def picture(path: Path, caption: str) -> Shown:
    """Return a saved png as the notebook shows it."""
    return Shown(Image(filename=str(path)), caption)


def exhibit(result: Result, name: str) -> Shown | None:
    """Return a recorded figure, or a recorded table that has no picture; None if the run made none of that name."""
    entry, rows = result.artefact(name), result.rows(name)
    if entry is None or rows is None:
        return None
    caption = f"**{name}, recorded.** {entry['caption']} *({entry['note']})*"
    if f"{slug(name)}.png" in entry["files"]:
        return picture(result.folder / f"{slug(name)}.png", caption)
    return Shown(Sheet(rows, entry.get("digits", 3)), caption)
