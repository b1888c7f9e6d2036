"""Hyperband (Li et al. 2018): brackets of successive halving, from the boldest to the most careful.

With s_max = floor(log_eta R), bracket s = s_max, ..., 0 starts
n = ceil((s_max + 1) / (s + 1) eta^s) runs at
r = R eta^-s epochs; rung i trains floor(n eta^-i) runs until r eta^i (the rounding of the
JMLR paper, ``rounding="floor"``). Syne Tune rounds the rungs up (``rounding="ceil"``). R is the
full length of a training here, so the last rung of every bracket is a full training; where
r eta^i is no whole number it is rounded to the nearest.
"""

from __future__ import annotations

import math
from typing import Literal

from nassim.errors import InputError
from nassim.terminators.base import Session, Terminator, View, check_eta
from nassim.terminators.successive_halving import HalvingSession, Rung

__all__ = ["Hyperband", "hyperband_brackets"]


class Hyperband(Terminator):
    """All brackets once; candidates that they do not ask for are never seen, unless it repeats.

    Parameters
    ----------
    eta
        One run in ``eta`` survives a rung.
    rounding
        How the sizes of later rungs are rounded, ``"floor"`` or ``"ceil"``.
    repeat
        Whether to start again with the boldest bracket until the candidates have run out.
    """

    def __init__(
        self,
        eta: float = 3,
        rounding: Literal["floor", "ceil"] = "floor",
        repeat: bool = False,
    ) -> None:
        self.eta = check_eta(eta)
        if rounding not in ("floor", "ceil"):
            raise InputError(f"Option rounding is {rounding!r}; expected 'floor' or 'ceil'.")
        self.rounding = rounding
        self.repeat = bool(repeat)

    def begin(self, view: View) -> Session:
        brackets = hyperband_brackets(view.max_epochs, self.eta, self.rounding)
        if self.repeat:
            starts = sum(rungs[0][0] for rungs in brackets)
            brackets *= math.ceil(view.n_candidates / starts)
        return HalvingSession(view, brackets)


def hyperband_brackets(
    max_epochs: int, eta: float = 3, rounding: Literal["floor", "ceil"] = "floor"
) -> list[list[Rung]]:
    """The rungs of every bracket.

    >>> [rungs[0] for rungs in hyperband_brackets(81)]
    [(81, 1), (34, 3), (15, 9), (8, 27), (5, 81)]
    >>> hyperband_brackets(81)[1]
    [(34, 3), (11, 9), (3, 27), (1, 81)]
    """
    s_max = 0
    while eta ** (s_max + 1) <= max_epochs:
        s_max += 1
    turn = math.floor if rounding == "floor" else math.ceil
    brackets = []
    for s in range(s_max, -1, -1):
        n = math.ceil((s_max + 1) / (s + 1) * eta**s)
        rungs = {
            round(max_epochs * eta ** (i - s)): max(1, turn(n / eta**i)) for i in range(s, -1, -1)
        }
        brackets.append([(count, epoch) for epoch, count in sorted(rungs.items())])
    return brackets
