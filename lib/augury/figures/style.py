"""One style for every figure: type, axes, colours that all eyes tell apart, dashes."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any

import matplotlib as mpl
import seaborn as sns

# Okabe and Ito's colours (2008), told apart with every kind of colour vision; their yellow is left out as too light.
palette: dict[str, str] = {
    "blue": "#0072B2",
    "vermilion": "#D55E00",
    "green": "#009E73",
    "purple": "#CC79A7",
    "orange": "#E69F00",
    "sky": "#56B4E9",
    "black": "#222222",
    "grey": "#8C8C8C",
}
DASHES: tuple[Any, ...] = ("-", (0, (4, 1.5)), (0, (1, 1.2)), (0, (5, 1.2, 1, 1.2)))

Style = Mapping[str, Any]


def style() -> None:
    """Set the house style; call it once at the top of a notebook."""
    sns.set_theme(context="paper", style="ticks", palette=list(palette.values()))
    mpl.rcParams.update(
        {
            "figure.dpi": 110,
            "figure.constrained_layout.use": True,
            "font.size": 8.5,
            "axes.titlesize": 8.5,
            "axes.labelsize": 8.5,
            "xtick.labelsize": 7.5,
            "ytick.labelsize": 7.5,
            "legend.fontsize": 7.5,
            "legend.frameon": False,
            "legend.handlelength": 2.6,
            "axes.spines.top": False,
            "axes.spines.right": False,
            "axes.linewidth": 0.7,
            "axes.edgecolor": "#444444",
            "axes.grid": True,
            "axes.axisbelow": True,
            "grid.color": "#E6E6E6",
            "grid.linewidth": 0.6,
            "xtick.major.width": 0.7,
            "ytick.major.width": 0.7,
            "xtick.minor.size": 1.5,
            "ytick.minor.size": 1.5,
            "xtick.minor.width": 0.5,
            "ytick.minor.width": 0.5,
            "xtick.major.size": 3,
            "ytick.major.size": 3,
            "lines.linewidth": 1.3,
            "lines.markersize": 3.5,
            "image.cmap": "gray",
        }
    )


def line_styles(
    names: Sequence[str],
    colour: Callable[[str], Hashable] = str,
    dash: Callable[[str], Hashable] = lambda name: None,
) -> dict[str, dict[str, Any]]:
    """Return the colour and line style of each name.

    Names with an equal `colour(name)` share their colour, with an equal `dash(name)` their dashes; both are dealt out
    in the order of the names, so the same names always look the same.
    """
    colours = {group: i for i, group in enumerate(dict.fromkeys(colour(name) for name in names))}
    dashes = {group: i for i, group in enumerate(dict.fromkeys(dash(name) for name in names))}
    hues = list(palette.values())
    return {
        name: {
            "color": hues[colours[colour(name)] % len(hues)],
            "linestyle": DASHES[(dashes[dash(name)] + colours[colour(name)] // len(hues)) % len(DASHES)],
        }
        for name in names
    }


def ordered_styles(names: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Return the colour of each of many names that have an order, such as depths: from dark to light, all solid."""
    colours = mpl.colormaps["viridis"]
    return {
        name: {"color": colours(0.92 * i / max(1, len(names) - 1)), "linestyle": "-"} for i, name in enumerate(names)
    }
