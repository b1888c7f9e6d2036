"""Extrapolation by the curves of previous builds (Chandrashekaran & Lane 2017, "Speeding up
Hyper-parameter Optimization by Extrapolation of Learning Curves using Previous Builds", ECML PKDD).

A complete curve h_j that was seen before is stretched and shifted until it fits the values so far:
(a_j, b_j) = argmin of sum over t <= l of (a h_j(t) + b - y_t)². It then predicts a_j m_j + b_j,
m_j being its quality. The mean over the curves that fit best and their spread make a Gaussian,
p(m > m_max) follows, and a run is stopped if p <= delta.

The body of the paper was not at hand. ``docs/methods/chandrashekaran.md`` lists every difference.
"""

from __future__ import annotations

import math
from typing import Literal

import numpy as np

from nassim.errors import InputError
from nassim.options import check_count
from nassim.records import FloatArray, Metric, Prefixes, Sources
from nassim.terminators.base import Estimator, Judge, TargetJudge, View

__all__ = ["Chandrashekaran", "affine_fits"]

STEEPEST = 5.0  # a is in [0, STEEPEST]: no curve is turned upside down
KEPT = 0.25  # share of the curves, the best-fitting, that predict
FLAT = 1e-9  # a curve whose deviation is below this share of its size does not move
TIE = 1e-9  # errors that differ by this share are the same
DIGITS = 9  # of an estimate, so that other processors' last bits change no decision
CHUNK = 256  # runs at a time


class Chandrashekaran(Estimator):
    """Stop a run if the complete curves that resemble it say that it will not beat the incumbent.

    Parameters
    ----------
    delta
        Stop if p(better than the incumbent) <= delta.
    epochs
        ``"sparse"``, ``"every"``, or a tuple of epochs (see ``Estimator``). The first is never
        used: one value says nothing of a stretch and a shift.
    train_on
        ``"target"``: compare with the runs of the target that were completed before.
        ``"sources"``: with all runs of the other datasets.
    curves
        With ``train_on="target"``, completed runs before the first run is stopped.

    Raises
    ------
    InputError
        if an option is out of its range.
    """

    from_epoch = 2

    def __init__(
        self,
        delta: float = 0.05,
        epochs: str | int | tuple[int, ...] = "sparse",
        train_on: Literal["target", "sources"] = "target",
        curves: int = 5,
    ) -> None:
        super().__init__(delta, epochs)
        if train_on not in ("target", "sources"):
            raise InputError(f"Option train_on is {train_on!r}; expected 'target' or 'sources'.")
        self.train_on = train_on
        self.uses_sources = train_on == "sources"
        self.curves = check_count("curves", curves)
        self._metric: Metric | None = None
        self._curves: list[FloatArray] = []  # of each dataset, (runs, epochs)
        self._qualities: list[FloatArray] = []

    def fit(self, sources: Sources, seed: int) -> None:
        """Keep the curves of the sources; does nothing if it learns on the target.

        Raises
        ------
        InputError
            if there is no source dataset.
        """
        if self.train_on == "target":
            return
        if not sources.tasks:
            raise InputError(
                "Chandrashekaran was given no source dataset. Use a store with at least two "
                "datasets, or train_on=target."
            )
        self._learn(sources)

    def judge(self, view: View) -> Judge:
        if self.train_on == "sources":
            return super().judge(view)
        return TargetJudge(view, self.trained_on, self.curves, again=True)

    def estimate(self, prefixes: Prefixes) -> FloatArray:
        """Mean and deviation of the quality of each run, (runs, 2); NaN where a run has an epoch
        that was not measured, or there is no complete curve."""
        if self._metric is None and self.train_on == "sources":
            raise InputError(
                "Chandrashekaran must be fitted on source datasets before it can estimate."
            )
        if self._metric not in (None, prefixes.metric):
            raise InputError(
                f"Curves measure {prefixes.metric.name}; Chandrashekaran was fitted on other "
                "curves. Expected sources and target of one store."
            )
        estimates = np.full((len(prefixes), 2), np.nan)
        references, qualities = self._references(prefixes.epoch)
        measured = np.flatnonzero(np.isfinite(prefixes.curves).all(axis=1))
        if prefixes.epoch >= self.from_epoch and len(references):
            for at in range(0, len(measured), CHUNK):
                rows = measured[at : at + CHUNK]
                fits = affine_fits(prefixes.curves[rows], references)
                slack = TIE * (prefixes.curves[rows] ** 2).mean(axis=1)
                estimates[rows] = _mean_and_deviation(*fits, qualities, slack)
        return estimates

    def trained_on(self, completed: Sources) -> Chandrashekaran:
        if self.train_on == "sources":
            return self
        twin = Chandrashekaran(self.delta, self.epochs, "target", self.curves)
        twin._learn(completed)
        return twin

    def _learn(self, sources: Sources) -> None:
        self._metric = sources.metric
        complete = [~task.failed & np.isfinite(task.values) for task in sources.tasks]
        pairs = list(zip(sources.tasks, complete, strict=True))
        self._curves = [task.curves[kept] for task, kept in pairs]
        self._qualities = [task.values[kept] for task, kept in pairs]

    def _references(self, epoch: int) -> tuple[FloatArray, FloatArray]:
        """Complete curves that were measured until ``epoch``, cut there, (curves, epoch), and
        their qualities."""
        curves: list[FloatArray] = [np.zeros((0, epoch))]
        qualities: list[FloatArray] = [np.zeros(0)]
        for every, values in zip(self._curves, self._qualities, strict=True):
            cut = every[:, :epoch]
            if cut.shape[1] == epoch:
                known = np.isfinite(cut).all(axis=1)
                curves.append(cut[known])
                qualities.append(values[known])
        return np.concatenate(curves), np.concatenate(qualities)


def affine_fits(
    curves: FloatArray, references: FloatArray
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Least-squares a, b and mean squared error of ``curves = a references + b``.

    Parameters
    ----------
    curves
        (runs, l).
    references
        (J, l). One that does not move has a = 0.

    Returns
    -------
    a, b, error
        (runs, J) each, a in [0, STEEPEST].

    >>> h = np.array([[0.2, 0.4, 0.5]])
    >>> a, b, error = affine_fits(0.5 * h + 0.1, h)
    >>> a.round(6), b.round(6), error.round(6)
    (array([[0.5]]), array([[0.1]]), array([[0.]]))
    """
    curves, references = np.asarray(curves, np.float64), np.asarray(references, np.float64)
    mean, centre = curves.mean(axis=1), references.mean(axis=1)
    y, h = curves - mean[:, None], references - centre[:, None]
    variance = (h**2).mean(axis=1)
    moves = variance > (FLAT * np.abs(references).max(axis=1)) ** 2
    products = y @ h.T / curves.shape[1]
    a = np.where(moves, products / np.where(moves, variance, 1.0), 0.0).clip(0.0, STEEPEST)
    b = mean[:, None] - a * centre
    error = (y**2).mean(axis=1)[:, None] - 2 * a * products + a**2 * variance
    return a, b, np.maximum(error, 0.0)


def _mean_and_deviation(
    a: FloatArray, b: FloatArray, error: FloatArray, qualities: FloatArray, slack: FloatArray
) -> FloatArray:
    """(runs, 2) of what the best-fitting curves predict, each weighing the same.

    The variance is that of the predictions plus the mean squared error of the fits. Curves whose
    errors differ by ``slack`` (runs,), or by rounding, fit equally well.
    """
    n = error.shape[1]
    worst = np.partition(error, math.ceil(KEPT * n) - 1, axis=1)[:, math.ceil(KEPT * n) - 1]
    kept = error <= (worst * (1 + TIE) + slack)[:, None]
    count = kept.sum(axis=1)
    predictions = a * qualities + b
    mean = np.where(kept, predictions, 0.0).sum(axis=1) / count
    spread = np.where(kept, (predictions - mean[:, None]) ** 2 + error, 0.0).sum(axis=1) / count
    return np.round(np.stack([mean, np.sqrt(spread)], axis=1), DIGITS)
