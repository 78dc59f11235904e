"""A paper's claim, the parts it is tested in, and its verdict."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from augury.claims.ranks import sign_test, trend
from augury.claims.result import Alternative, Test
from augury.errors import ParameterError

VERDICTS = ("replicated", "partly", "not replicated", "not run")


@dataclass(frozen=True)
class Part:
    """One of the cases a claim is made for, such as a data set with an augmentation.

    Attributes
    ----------
    name : str
        E.g. "mnist translate".
    test : Test, optional
        The test over seeds; none where nothing is random (a single deterministic value).
    condition : bool, optional
        What must be true besides the test, or, without a test, instead of it.
    note : str
        States the condition with its values and tolerance, or why the part was not run.

    A part without test and condition was not run.
    """

    name: str
    test: Test | None = None
    condition: bool | None = None
    note: str = ""

    def __post_init__(self) -> None:
        if not self.name:
            raise ParameterError("a part of a claim needs a name")
        if self.condition is not None and not self.note:
            raise ParameterError(f"part {self.name!r} has a condition: state it, with its tolerance, in the note")
        if self.condition is not None:
            object.__setattr__(self, "condition", bool(self.condition))  # NumPy's truth values are not JSON's

    @property
    def run(self) -> bool:
        """Whether there is anything to judge."""
        return self.test is not None or self.condition is not None


def missing(name: str, reason: str) -> Part:
    """Return a part that was not run, with the reason."""
    return Part(name, note=reason)


def within(name: str, value: float, target: float, tolerance: float) -> Part:
    """Return a part that holds if |value - target| <= tolerance: for numbers without statistical freedom.

    Raises
    ------
    ParameterError
        If the tolerance is negative or a number is not finite.
    """
    if not (math.isfinite(value) and math.isfinite(target) and tolerance >= 0):
        raise ParameterError(f"{value} cannot be compared with {target} within {tolerance}")
    holds = abs(value - target) <= tolerance
    return Part(name, condition=bool(holds), note=f"{value:.6g}, stated {target:.6g}, tolerance {tolerance:.3g}")


def trending(name: str, values: ArrayLike, alternative: str, condition: bool | None = None, note: str = "") -> Part:
    """Return a part that holds if values rise (or fall) along ordered conditions, by Page's test over seeds.

    Where there is a single seed, because nothing is random, the part holds if the order is strict.

    Parameters
    ----------
    name : str
    values : array_like of shape (n_seeds, n_conditions)
    alternative : {"increasing", "decreasing"}
    condition, note
        What must be true besides, as in `Part`.

    Raises
    ------
    ParameterError
        As `trend`.
    """
    data = np.asarray(values, np.float64)
    if data.shape[:1] != (1,):
        return Part(name, trend(data, alternative), condition, note)
    steps = np.diff(data[0]) if alternative == "increasing" else -np.diff(data[0])
    text = f"one deterministic run: {int((steps > 0).sum())} of {len(steps)} steps are {alternative}"
    return Part(
        name, condition=(steps > 0).all() and condition is not False, note="; ".join(filter(None, [text, note]))
    )


def untied(name: str, a: ArrayLike, b: ArrayLike, alternative: Alternative = "greater") -> Part:
    """Return a part that holds if `a` is above `b` in most pairs, by the sign test; not run where every pair is a tie.

    Raises
    ------
    ParameterError
        As `sign_test`.
    """
    test = sign_test(a, b, alternative)
    return Part(name, test) if test.n[0] else missing(name, f"equal in all {np.size(a)} pairs")


def holm(p: Sequence[float]) -> list[float]:
    """Return p-values adjusted after Holm (1979), which bounds the chance of any false rejection."""
    values = np.asarray(p, np.float64)
    order = np.argsort(values, kind="stable")
    steps = np.maximum.accumulate(values[order] * np.arange(len(values), 0, -1))
    adjusted = np.empty_like(values)
    adjusted[order] = np.minimum(steps, 1.0)
    return [float(value) for value in adjusted]


@dataclass(frozen=True)
class Claim:
    """A claim of a paper, with the parts it is tested in.

    Attributes
    ----------
    id : str
        E.g. "1-subsampling/fig3/influence-beats-random".
    text : str
        The paper's words in short.
    source : str
        Where it is made, naming the artefacts it is about: "Section 5.1, Figure 3, Tables 3-20".
    parts : tuple of Part
        A part with a test holds if its p-value, adjusted after Holm over the parts of this claim, is at most `alpha`
        and its condition, if any, is true; one without holds if its condition is true.
    alpha : float
    data : tuple of str
        The data sets it is tested on, where those are not all of its notebook's.
    """

    id: str
    text: str
    source: str
    parts: tuple[Part, ...] = ()
    alpha: float = 0.05
    data: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "parts", tuple(self.parts))
        object.__setattr__(self, "data", tuple(self.data))
        if not re.fullmatch(r"[a-z0-9.-]+(/[a-z0-9.-]+)+", self.id):
            raise ParameterError(f"a claim's id is like 1-subsampling/fig3/influence-beats-random, not {self.id!r}")
        if not (self.text and self.source):
            raise ParameterError(f"claim {self.id} needs its text and its source")
        names = [part.name for part in self.parts]
        if len(set(names)) < len(names):
            raise ParameterError(f"claim {self.id} has two parts of the same name")
        if not 0 < self.alpha < 1:
            raise ParameterError(f"claim {self.id}: alpha lies between 0 and 1, not at {self.alpha}")

    @property
    def adjusted(self) -> list[float | None]:
        """The Holm-adjusted p-value of each part; None without a test."""
        values = iter(holm([part.test.p for part in self.parts if part.test]))
        return [next(values) if part.test else None for part in self.parts]

    @property
    def holds(self) -> list[bool | None]:
        """Whether each part holds; None where it was not run."""
        return [
            (p is None or p <= self.alpha) and part.condition is not False if part.run else None
            for part, p in zip(self.parts, self.adjusted, strict=True)
        ]

    @property
    def verdict(self) -> str:
        """One of `VERDICTS`: "replicated" if every part that was run holds, "partly" if some do."""
        run = [holds for holds in self.holds if holds is not None]
        if not run:
            return "not run"
        return "replicated" if all(run) else "partly" if any(run) else "not replicated"

    def as_dict(self) -> dict[str, Any]:
        """Return the claim with its verdict as JSON can hold it."""
        parts = [
            {
                "name": part.name,
                "holds": holds,
                "p_adjusted": p,
                "test": part.test.as_dict() if part.test else None,
                "condition": part.condition,
                "note": part.note,
            }
            for part, p, holds in zip(self.parts, self.adjusted, self.holds, strict=True)
        ]
        head = {"id": self.id, "text": self.text, "source": self.source, "verdict": self.verdict, "alpha": self.alpha}
        return {**head, "data": list(self.data), "parts": parts}

    def table(self) -> pd.DataFrame:
        """Return one row a part: effect, interval, Hedges' g, p, adjusted p, n, and whether it holds."""
        rows = []
        for part, p, holds in zip(self.parts, self.adjusted, self.holds, strict=True):
            row: dict[str, Any] = {"part": part.name, "holds": {True: "yes", False: "no", None: "not run"}[holds]}
            if test := part.test:
                n = " + ".join(map(str, test.n))
                row |= {"effect": test.effect, "low": test.low, "high": test.high, "g": test.standardised}
                row |= {"p": test.p, "p (Holm)": p, "n": n, "test": test.name, "measure": test.measure}
            rows.append(row | {"note": part.note})
        return pd.DataFrame(rows)
