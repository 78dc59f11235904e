"""Saving figures and rows so that equal ones give equal bytes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import matplotlib as mpl
import pandas as pd
from matplotlib.figure import Figure

DPI = 160  # of saved pngs
FLOAT = "%.10g"  # of saved rows: beyond that, machines differ


def save(fig: Figure, stem: Path, rows: pd.DataFrame, footer: str = "") -> list[Path]:
    """Write a figure as png and svg and its rows as csv: `stem` with each ending; equal figures give equal bytes.

    Parameters
    ----------
    fig : Figure
    stem : Path
        Without ending; its folder is made.
    rows : DataFrame
        What the figure was drawn from.
    footer : str
        Written small below the figure: data set, profile, number of seeds.
    """
    stem.parent.mkdir(parents=True, exist_ok=True)
    fig.dpi = DPI
    fig.canvas.draw()
    # Laid out for good: when the output is cropped, a legend would move unless it is tied to the figure's transform.
    fig.set_layout_engine("none")
    for entry in fig.legends:
        entry.set_bbox_to_anchor((0, 0, 1, 1), fig.transFigure)
    if footer:
        fig.text(1.0, -0.008, footer, ha="right", va="top", fontsize=6.5, color="#666666")
    # Dates and versions would make every file differ; the salt makes the svg's identifiers the same each time.
    with mpl.rc_context({"svg.hashsalt": "augury"}):
        options: dict[str, Any] = {"bbox_inches": "tight", "pad_inches": 0.06}
        fig.savefig(f"{stem}.png", dpi=DPI, metadata={"Software": None}, **options)
        fig.savefig(f"{stem}.svg", metadata={"Date": None, "Creator": None}, **options)
    save_rows(rows, Path(f"{stem}.csv"))
    return [Path(f"{stem}.{ending}") for ending in ("png", "svg", "csv")]


def save_rows(rows: pd.DataFrame, path: Path) -> Path:
    """Write rows as csv, floats to ten digits."""
    path.parent.mkdir(parents=True, exist_ok=True)
    rows.to_csv(path, index=False, float_format=FLOAT, lineterminator="\n")
    return path
