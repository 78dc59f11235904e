"""Drawing into axes, from rows only: curves with bands, levels, points, histograms, and grids of images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from numpy.typing import ArrayLike
from scipy import stats

from augury.errors import ParameterError
from augury.figures.style import DASHES, Style, palette


def mean_interval(rows: pd.DataFrame, by: Sequence[str], value: str, level: float = 0.95) -> pd.DataFrame:
    """Return mean and t interval of `value` over the rows (seeds) of each group.

    Returns
    -------
    DataFrame
        The columns `by`, then mean, std, low, high, n; groups in the order in which they appear. With one row in a
        group std, low and high are missing.
    """
    groups = rows.groupby(list(by), sort=False, dropna=False)[value]
    table = groups.agg(mean="mean", std="std", n="count").reset_index()
    half = stats.t.ppf((1 + level) / 2, (table["n"] - 1).clip(lower=1)) * table["std"] / np.sqrt(table["n"])
    return table.assign(low=table["mean"] - half, high=table["mean"] + half)[[*by, "mean", "std", "low", "high", "n"]]


def curves(
    ax: Axes, rows: pd.DataFrame, x: str, y: str, hue: str, styles: Mapping[str, Style], level: float = 0.95
) -> None:
    """Draw the mean of `y` over seeds against `x`, one line for each value of `hue`, with its interval as a band.

    A line whose points rest on one seed each has no band.
    """
    table = mean_interval(rows, [hue, x], y, level)
    for name, look in styles.items():
        line = table[table[hue] == name].sort_values(x)
        if line.empty:
            continue
        drawn: dict[str, Any] = {"label": name, "marker": "o", "markersize": 2.2, **look}
        ax.plot(line[x], line["mean"], **drawn)
        if (line["n"] > 1).any():
            ax.fill_between(line[x], line["low"], line["high"], color=look["color"], alpha=0.16, linewidth=0)


def references(ax: Axes, levels: Mapping[str, float], styles: Mapping[str, Style] | None = None) -> None:
    """Draw a dotted horizontal line for each level, such as the accuracy without augmentation."""
    looks = list(palette.values())[::-1]
    for i, (name, level) in enumerate(levels.items()):
        look = (styles or {}).get(name, {"color": looks[i % len(looks)], "linestyle": DASHES[2]})
        ax.axhline(level, label=name, linewidth=1.0, zorder=1.5, **look)


def points(ax: Axes, x: ArrayLike, y: ArrayLike, label: str = "", **look: Any) -> None:
    """Draw single points, or a cloud of them (as pixels in the svg where they are many)."""
    cloud = np.size(np.asarray(x)) > 50
    base: dict[str, Any] = {
        "s": 7 if cloud else 30,
        "alpha": 0.5 if cloud else 1.0,
        "linewidths": 0,
        "color": palette["blue"],
    }
    ax.scatter(x, y, label=label or None, rasterized=cloud, zorder=3, **(base | look))


def histogram(ax: Axes, values: ArrayLike, bins: int = 40, log_count: bool = True, **look: Any) -> None:
    """Draw how often values occur; counts on a log scale unless told otherwise, since the tails matter."""
    base: dict[str, Any] = {"color": palette["blue"], "alpha": 0.8, "linewidth": 0}
    ax.hist(np.asarray(values, np.float64), bins=bins, log=log_count, **(base | look))


def images(
    grid: Sequence[Sequence[np.ndarray]],
    row_labels: Sequence[str],
    titles: Sequence[Sequence[str]] = (),
    size: float = 0.62,
) -> Figure:
    """Draw rows of images, each row with its label.

    Parameters
    ----------
    grid : rows of uint8 images of shape (H, W), (H, W, 1) or (H, W, 3)
    row_labels : one a row
    titles : a short text above each image, such as its class
    size : side of an image in inches

    Raises
    ------
    ParameterError
        If labels or titles do not match the images.
    """
    if len(row_labels) != len(grid) or (titles and [len(t) for t in titles] != [len(row) for row in grid]):
        raise ParameterError("give one label for each row of images and, if any, one title for each image")
    wide = max(len(row) for row in grid)
    high = size * (1.22 if titles else 1.0)
    layout = ConstrainedLayoutEngine(w_pad=0.01, h_pad=0.01, wspace=0.02, hspace=0.02)
    fig, axes = plt.subplots(
        len(grid), wide, figsize=(size * wide + 1.0, high * len(grid)), squeeze=False, layout=layout
    )
    for ax in axes.flat:
        ax.set_axis_off()
    for i, row in enumerate(grid):
        for j, image in enumerate(row):
            axes[i, j].imshow(np.squeeze(image), vmin=0, vmax=255, interpolation="nearest")
            if titles:
                axes[i, j].set_title(titles[i][j], fontsize=6.5, pad=2)
        axes[i, 0].text(-0.15, 0.5, row_labels[i], transform=axes[i, 0].transAxes, ha="right", va="center", fontsize=8)
    return fig
