"""Last value: a run will end as it stands. The baseline that every estimator must beat."""

from __future__ import annotations

from typing import Literal

import numpy as np

from nassim.errors import InputError
from nassim.records import FloatArray, Incumbent, Prefixes
from nassim.terminators.base import Estimator

__all__ = ["LastValue"]


class LastValue(Estimator):
    """Stop a run whose value is below what the incumbent had after the same epoch.

    Parameters
    ----------
    statistic
        ``"last"`` compares the values at the epoch, ``"best"`` the best so far.

    Without a noise model p is 0, 1/2 (a tie) or 1, so ``delta`` below 1/2 keeps ties.

    >>> import numpy as np
    >>> from nassim.records import Incumbent
    >>> estimator = LastValue()
    >>> estimator.probability(np.array([[0.3], [0.5]]), Incumbent(0.9, np.array([0.4])))
    array([0., 1.])
    """

    def __init__(
        self,
        statistic: Literal["last", "best"] = "last",
        delta: float = 0.45,
        epochs: str | int | tuple[int, ...] = "sparse",
    ) -> None:
        super().__init__(delta, epochs)
        if statistic not in ("last", "best"):
            raise InputError(f"Option statistic is {statistic!r}; expected 'last' or 'best'.")
        self.statistic = statistic

    def estimate(self, prefixes: Prefixes) -> FloatArray:
        curves = prefixes.curves
        value = curves[:, -1:] if self.statistic == "last" else curves.max(axis=1, keepdims=True)
        return np.where(np.isfinite(value), value, np.nan)  # -inf: nothing was measured so far

    def probability(self, estimates: FloatArray, incumbent: Incumbent) -> FloatArray:
        difference = estimates[:, 0] - incumbent.estimate[0]
        p: FloatArray = (np.sign(difference) + 1) / 2
        return p
