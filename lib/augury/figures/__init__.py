"""Figures: one style, panels, curves with bands, histograms and images, saved with the rows they are drawn from."""

from augury.figures.drawing import curves, histogram, images, mean_interval, points, references
from augury.figures.panels import Panel, curve_panels, legend, panels
from augury.figures.saving import save, save_rows
from augury.figures.style import line_styles, ordered_styles, palette, style

__all__ = [
    "Panel",
    "curve_panels",
    "curves",
    "histogram",
    "images",
    "legend",
    "line_styles",
    "ordered_styles",
    "mean_interval",
    "palette",
    "panels",
    "points",
    "references",
    "save",
    "save_rows",
    "style",
]
