"""Checks of options that several scores take."""

from __future__ import annotations

import operator

from augury.errors import ParameterError


def whole(value: int, largest: int, what: str, why: str = "") -> int:
    """Return a whole number of 1 to `largest`, NumPy's as well, as an int.

    Raises
    ------
    ParameterError
        If it is none; the message names `what` and tells `why` it is bounded.
    """
    try:
        number = 0 if isinstance(value, bool) else operator.index(value)
    except TypeError:
        number = 0
    if not 1 <= number <= largest:
        raise ParameterError(f"{what} is 1 to {largest}{why and f' ({why})'}, a whole number, not {value!r}")
    return number


def check_rtol(rtol: float | None) -> None:
    """Refuse a share of the largest singular value that is none.

    Raises
    ------
    ParameterError
        If it is not in [0, 1).
    """
    if rtol is not None and not 0 <= rtol < 1:
        raise ParameterError(f"rtol is in [0, 1), a share of the largest singular value, not {rtol}")
