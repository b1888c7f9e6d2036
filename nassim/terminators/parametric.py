"""A parametric curve through the beginning of a run, and where it ends: one point fit, no sampling.

The simplest use of learning-curve families (Domhan et al., IJCAI 2015; LCDB, Mohr et al. 2022):
least squares, extrapolated to the last epoch. The residuals say how far off the end may be.
``docs/methods/parametric.md`` has the equations.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import numpy as np

from nassim.errors import InputError
from nassim.options import check_count
from nassim.records import FloatArray, Incumbent, Prefixes, Sources
from nassim.terminators.base import Estimator
from nassim.terminators.families import FAMILIES, Family, accuracy_scale, fit_family

__all__ = ["Extrapolation", "Parametric"]

LEAST_DEVIATION = 1e-6  # of the prediction; a perfect fit has none
LEAST_SQUARES = 1e-12  # mean square error below which fits are equally perfect
UNDETERMINED = 1e-6  # share of the end's gradient that the curve so far says nothing about


class Parametric(Estimator):
    """Stop a run if a parametric curve through its beginning ends below the incumbent.

    Parameters
    ----------
    delta
        Stop if p(better than the incumbent) <= delta.
    epochs
        ``"sparse"``, ``"every"``, or a tuple of epochs (see ``Estimator``). A family says nothing
        before there are more epochs than it has parameters.
    family
        A name (pow3, pow4, exp4, mmf, janoschek, weibull, ilog2, vap, hill3, log_power,
        loglog_linear); ``"best"`` of all by Akaike's criterion, or ``"average"`` of all, weighted
        by it.
    restarts
        Starts of the fit that are drawn uniformly from [0, 1], beside the family's default.

    Raises
    ------
    InputError
        if an option is out of its range, or curves have no bounds on both sides (a loss).
    """

    needs_bounds = True
    quick_options: ClassVar[Mapping[str, object]] = {"family": "ilog2", "restarts": 0}

    def __init__(
        self,
        delta: float = 0.05,
        epochs: str | int | tuple[int, ...] = "sparse",
        family: str = "pow3",
        restarts: int = 3,
    ) -> None:
        if family not in (*FAMILIES, "best", "average"):
            raise InputError(
                f"Option family is {family!r}; expected 'best', 'average', or one of "
                f"{', '.join(FAMILIES)}."
            )
        self.families = (FAMILIES[family],) if family in FAMILIES else tuple(FAMILIES.values())
        self.from_epoch = 1 + min(len(each.parameters) for each in self.families)
        super().__init__(delta, epochs)
        self.family = family
        self.restarts = check_count("restarts", restarts, 0)
        self._seed = 0

    def fit(self, sources: Sources, seed: int) -> None:
        """Nothing is learned from other datasets; the seed is that of the fits' random starts."""
        accuracy_scale(sources.metric, "Parametric")  # refuse before any search
        self._seed = seed

    def extrapolate(self, prefixes: Prefixes) -> Extrapolation:
        """Where the curves end. A run's depends on its own values only, not on its name."""
        low, width = accuracy_scale(prefixes.metric, "Parametric")
        n = len(prefixes)
        values, deviations, freedom, best = np.full((4, n), np.nan)
        families, reasons = [""] * n, [""] * n
        for run, curve in enumerate((prefixes.curves - low) / width):
            if not np.isfinite(curve).all():
                reasons[run] = "not every epoch was measured"
                continue
            best[run] = prefixes.curves[run].max()
            ends = list(self._ends(curve, prefixes.max_epochs))
            if not ends:
                few = prefixes.epoch < self.from_epoch
                reasons[run] = f"fewer than {self.from_epoch} epochs" if few else "no fit"
                continue
            criterion = np.array([end.criterion for end in ends])
            families[run] = ends[int(criterion.argmin())].family
            weights = np.exp((criterion.min() - criterion) / 2)
            if self.family != "average":
                weights = (np.arange(len(ends)) == criterion.argmin()).astype(np.float64)
            weights /= weights.sum()
            each = np.array([end[:3] for end in ends])  # (families, 3)
            value, _, freedom[run] = (weights[:, None] * each).sum(axis=0)
            variance = (weights * (each[:, 1] ** 2 + (each[:, 0] - value) ** 2)).sum()
            values[run] = low + width * np.clip(value, 0.0, 1.0)
            deviations[run] = width * max(float(np.sqrt(variance)), LEAST_DEVIATION)
        return Extrapolation(values, deviations, freedom, best, tuple(families), tuple(reasons))

    def _ends(self, curve: FloatArray, max_epochs: int) -> Iterator[_End]:
        """What each family says of a curve (epochs,), those left out that say nothing."""
        x = np.arange(1.0, len(curve) + 1)
        for family in self.families:
            if len(x) <= len(family.parameters):
                continue
            found = fit_family(family, x, curve, starts=self._starts(family, x, curve))
            end = None if found is None else _end(family, x, curve, found, max_epochs)
            if end is not None:
                yield end

    def _starts(self, family: Family, x: FloatArray, curve: FloatArray) -> list[Sequence[float]]:
        rng = np.random.default_rng(self._seed)  # the same for every run
        drawn = rng.random((self.restarts, len(family.parameters))).tolist()
        starts = [family.defaults, *drawn]
        if family.name == "pow4":  # from pow3, whose curves it contains (b = 0)
            pow3 = FAMILIES["pow3"]
            found = fit_family(pow3, x, curve, starts=self._starts(pow3, x, curve))
            if found is not None and found[1] > 0 and found[2] != 0:
                c, a, alpha = found.tolist()
                with np.errstate(over="ignore"):
                    factor = float(np.float64(a) ** (-1 / alpha))
                if np.isfinite(factor):
                    starts.append((c, factor, 0.0, alpha))
        return starts

    def estimate(self, prefixes: Prefixes) -> FloatArray:
        """(runs, 4): the value after the last epoch, its standard deviation, degrees of freedom,
        the best value so far. NaN where there is no fit; :meth:`extrapolate` says why."""
        found = self.extrapolate(prefixes)
        return np.stack([found.values, found.deviations, found.freedom, found.best], axis=1)

    def probability(self, estimates: FloatArray, incumbent: Incumbent) -> FloatArray:
        """p(m > m_max) of Student's t distribution around the extrapolated value, (runs,).

        1 for a run that has been better already, NaN where there is no fit.

        >>> estimates = np.array([[0.7, 0.1, 1.0, 0.5], [0.7, 0.1, 1.0, 0.9]])
        >>> Parametric().probability(estimates, Incumbent(0.8, estimates[0]))
        array([0.25, 1.  ])
        """
        from scipy.special import stdtr

        value, deviation, freedom, best = estimates.T
        p = stdtr(freedom, (value - incumbent.value) / deviation)
        answer: FloatArray = np.where((best > incumbent.value) & ~np.isnan(p), 1.0, p)
        return answer


@dataclass(frozen=True, eq=False)
class Extrapolation:
    """Where some runs are believed to end, all (runs,), in the units of their curves.

    ``values`` after the last epoch, with standard ``deviations`` and degrees of ``freedom``; the
    ``best`` value so far; the best ``families``. NaN and an empty name where nothing can be said,
    and ``reasons`` says why; else that is empty.
    """

    values: FloatArray
    deviations: FloatArray
    freedom: FloatArray
    best: FloatArray
    families: tuple[str, ...]
    reasons: tuple[str, ...]


class _End(NamedTuple):
    """What one family says of one run."""

    value: float
    deviation: float
    freedom: int
    criterion: float  # Akaike's: the lower, the better
    family: str


def _end(
    family: Family, x: FloatArray, y: FloatArray, parameters: FloatArray, max_epochs: int
) -> _End | None:
    """The prediction of a fitted curve, or None where it is no number, or anything may follow.

    To first order the prediction is a weighted sum of the values so far, u y: a deviation s of
    each of them makes one of s |u| in the prediction, beside that of the last value itself.
    """
    everywhere = np.append(x, float(max_epochs))
    n, k = len(x), len(parameters)
    with np.errstate(all="ignore"):
        curve = family(everywhere, parameters.tolist())
        steps = 1e-6 * np.maximum(np.abs(parameters), 1e-3)
        moved = parameters + np.diag(steps)
        lowered = parameters - np.diag(steps)
        slopes = np.stack(
            [
                (family(everywhere, up) - family(everywhere, down)) / (2 * step)
                for up, down, step in zip(moved, lowered, steps, strict=True)
            ]
        )  # (parameters, epochs + 1)
        sizes = np.sqrt((slopes[:, :n] ** 2).sum(axis=1, keepdims=True))
        slopes = slopes / np.where(sizes > 0, sizes, 1.0)
    if not (np.isfinite(curve).all() and np.isfinite(slopes).all()):
        return None
    influence = np.linalg.lstsq(slopes[:, :n], slopes[:, n], rcond=None)[0]
    unexplained = np.abs(slopes[:, :n] @ influence - slopes[:, n]).max()
    if unexplained > UNDETERMINED * max(1.0, float(np.abs(slopes[:, n]).max())):
        return None
    mean_square = float(((curve[:n] - y) ** 2).mean())
    deviation = np.sqrt(mean_square * n / (n - k) * (1 + (influence**2).sum()))
    criterion = n * np.log(max(mean_square, LEAST_SQUARES)) + 2 * (k + 1)
    return _End(float(curve[n]), float(deviation), n - k, float(criterion), family.name)
