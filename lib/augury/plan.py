"""What a study hands to the grid: an experiment and the cells it is to be run on, from parameters that it checks."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from augury.errors import ParameterError


@dataclass(frozen=True)
class Plan:
    """An experiment and its cells.

    Attributes
    ----------
    experiment
        A module-level function that takes one cell's settings as keyword arguments and returns tidy rows.
    cells
        Flat JSON-able settings, one mapping a cell, in the order in which they are to be started; the setting
        `dataset`, where present, names a data set of the registry, or several: see `sources`.
    """

    experiment: Callable[..., Sequence[Mapping[str, Any]]]
    cells: list[dict[str, Any]]


def sources(settings: Mapping[str, Any]) -> list[str]:
    """Return the data sets of the registry that a cell's settings name: `dataset` is "adult", or "one+another"."""
    named = settings.get("dataset")
    return named.split("+") if isinstance(named, str) else []


def require(params: Mapping[str, Any], rules: Mapping[str, tuple[bool, str]]) -> None:
    """Check a notebook's parameters before anything is computed.

    Parameters
    ----------
    params : mapping
        Values by name.
    rules : mapping
        For names in `params`: whether the value will do, and what it must be ("at least 1").

    Raises
    ------
    ParameterError
        If one will not do; the message names the first, its value and what it must be.
    """
    for name, (holds, rule) in rules.items():
        if not holds:
            raise ParameterError(f"parameter {name} = {params[name]!r} must be {rule}")
