"""Figures of several panels with one legend."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from augury.errors import ParameterError
from augury.figures.drawing import curves, points, references
from augury.figures.style import Style, line_styles, palette


@dataclass(frozen=True)
class Panel:
    """One panel of a figure: its axes, its part of the rows, and the values of `row` and `column` it stands for."""

    ax: Axes
    rows: pd.DataFrame
    key: tuple[Any, ...]


def panels(
    rows: pd.DataFrame,
    *,
    row: str = "",
    column: str = "",
    x_label: str = "",
    y_label: str = "",
    title: Callable[..., str] | None = None,
    size: tuple[float, float] = (2.45, 1.85),
    share_x: bool = True,
    share_y: bool = False,
) -> tuple[Figure, list[Panel]]:
    """Lay out one panel for each value of `row` and `column`, in the order in which they appear in the rows.

    Parameters
    ----------
    rows : DataFrame
    row, column : str
        Columns of `rows` that tell the panels apart; empty for one row or column of panels.
    x_label, y_label : str
        Written at the outer panels, with their unit.
    title : callable, optional
        Takes the values of `row` and `column` that are used and returns the panel's title, which is lettered (a), (b)
        where there are several panels; by default the values themselves.
    size : tuple of float
        Width and height of one panel in inches.
    share_x, share_y : bool
        Whether all panels have the same limits.

    Raises
    ------
    ParameterError
        If there are no rows.
    """
    if rows.empty:
        raise ParameterError("there are no rows to draw")
    names = [name for name in (row, column) if name]
    down = list(rows[row].unique()) if row else [None]
    across = list(rows[column].unique()) if column else [None]
    width, height = size
    fig, axes = plt.subplots(
        len(down),
        len(across),
        figsize=(width * len(across) + 0.4, height * len(down) + 0.5),
        squeeze=False,
        sharex=share_x,
        sharey=share_y,
        layout="constrained",
    )
    found: list[Panel] = []
    for i, r in enumerate(down):
        for j, c in enumerate(across):
            key = tuple(value for name, value in ((row, r), (column, c)) if name)
            part = rows
            for name, value in zip(names, key, strict=True):
                part = part[part[name] == value]
            if part.empty:
                axes[i, j].set_axis_off()
                continue
            text = title(*key) if title else ", ".join(map(str, key))
            letter = f"({chr(ord('a') + len(found))}) " if 1 < len(down) * len(across) <= 26 else ""
            axes[i, j].set_title(letter + text)
            found.append(Panel(axes[i, j], part, key))
    for ax in axes[-1]:
        ax.set_xlabel(x_label)
    for ax in axes[:, 0]:
        ax.set_ylabel(y_label)
    return fig, found


def legend(fig: Figure, columns: int = 4) -> None:
    """Put one legend for all panels below them, each name once, in at most `columns` columns that fit the figure."""
    entries: dict[str, Any] = {}
    for ax in fig.axes:
        for handle, name in zip(*ax.get_legend_handles_labels(), strict=True):
            entries.setdefault(name, handle)
    place: dict[str, Any] = {"loc": "outside lower center", "borderaxespad": 0.1}
    for n in range(min(columns, len(entries)), 0, -1):
        box = fig.legend(list(entries.values()), list(entries), ncols=n, **place)
        if n == 1 or box.get_window_extent().width <= fig.bbox.width:
            return
        box.remove()


def curve_panels(
    rows: pd.DataFrame,
    x: str,
    y: str,
    hue: str,
    column: str,
    levels: pd.DataFrame | None = None,
    *,
    row: str = "",
    x_label: str,
    y_label: str,
    styles: Mapping[str, Style] | None = None,
) -> Figure:
    """Draw mean curves with bands, one panel for each value of `column` (and `row`), with dotted levels and one legend.

    Parameters
    ----------
    rows : DataFrame
        One row a seed, with the columns `x`, `y`, `hue`, `column` and, if any, `row`.
    levels : DataFrame, optional
        Columns `column`, name, `x` and `y`. A level at an end of the axis is a dotted line, any
        other a single point.
    x_label, y_label : str
        With their units.
    styles : mapping, optional
        The look of each value of `hue`; dealt out in order by default.
    """
    looks = styles or line_styles(list(rows[hue].unique()))
    ends = (rows[x].min(), rows[x].max())
    fig, found = panels(rows, row=row, column=column, x_label=x_label, y_label=y_label)
    for panel in found:
        curves(panel.ax, panel.rows, x, y, hue, looks)
        if levels is None:
            continue
        here = levels[levels[column] == panel.key[-1]]
        lines = here[here[x].isin(ends)]
        references(panel.ax, dict(zip(lines["name"], lines[y], strict=True)))
        for spot in here[~here[x].isin(ends)].to_dict("records"):
            points(panel.ax, [spot[x]], [spot[y]], label=spot["name"], color=palette["black"])
    legend(fig, columns=6 if len(looks) > 8 else 4)
    return fig
