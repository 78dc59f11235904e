"""What a study hands to the grid: an experiment and the cells it is to be run on."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Plan:
    """An experiment and its cells.

    Attributes
    ----------
    experiment
        A module-level function that takes one cell's settings as keyword arguments and returns tidy rows.
    cells
        Flat JSON-able settings, one mapping a cell, in the order in which they are to be started; the setting
        `dataset`, where present, names a data set of the registry.
    """

    experiment: Callable[..., Sequence[Mapping[str, Any]]]
    cells: list[dict[str, Any]]
