"""What a notebook displays: a picture or a table with its caption."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd
from IPython.display import Image, Markdown, display


@dataclass(frozen=True)
class Sheet:
    """A table as it is printed: floats to `digits` decimals, or to the own number of a column in `columns`."""

    rows: pd.DataFrame
    digits: int = 3
    columns: Mapping[str, int] = field(default_factory=dict)

    def _text(self) -> pd.DataFrame:
        """Return the table as text; what is missing is a dash."""
        columns = {}
        for name in self.rows.columns:
            form = f"{{:.{self.columns.get(name, self.digits)}f}}".format if self._fractional(name) else str
            columns[name] = ["—" if pd.isna(value) else form(value) for value in self.rows[name]]
        return pd.DataFrame(columns, dtype=object)

    def _fractional(self, name: str) -> bool:
        return bool(pd.api.types.is_float_dtype(self.rows[name]))

    def _repr_html_(self) -> str:
        return str(self._text().to_html(index=False, border=0))

    def __repr__(self) -> str:
        return str(self._text().to_string(index=False))


@dataclass(frozen=True)
class Shown:
    """A picture or a table with its caption below; displays itself as the last value of a cell or by `display`."""

    body: Any
    caption: str

    def _ipython_display_(self) -> None:
        display(self.body)
        display(Markdown(self.caption))


def picture(path: Path, caption: str) -> Shown:
    """Return a saved png as the notebook shows it."""
    return Shown(Image(filename=str(path)), caption)
