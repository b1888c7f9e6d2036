"""Freeze-thaw Bayesian optimisation: a Gaussian process of curves decides which run goes on.

The surrogate is that of Swersky, Snoek & Adams 2014 ("Freeze-Thaw Bayesian Optimization", arXiv
1406.3896): values of a curve are correlated by (beta / (t + t' + beta))^alpha, which decays
towards an asymptote. The acquisition is that of ifBO (Rakotoarison et al., ICML 2024, arXiv
2404.16795): the probability of improvement over a random threshold, after a random number of
epochs. At each decision one run, new or paused, is trained for one step.

The bodies of the papers were not at hand. ``docs/methods/freeze_thaw.md`` lists every difference.

How to read this file: the terminator; its surrogate; the Gaussian process.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace

import numpy as np

from nassim.options import check_count
from nassim.records import ACCURACY, Architecture, FloatArray, IntArray, Metric, Sources
from nassim.terminators.base import Session, Terminator, View
from nassim.terminators.stepwise import (
    Seen,
    StepwiseSession,
    architecture_features,
    budget_epochs,
    check_budget,
    thinned,
)

__all__ = ["FreezeThaw", "freeze_thaw_kernel"]

EXPONENTS = (-4.0, -1.0)  # of 10, of the step from the best value towards the highest possible one
FIRST_FIT = 8  # values from which the kernel is fitted; then at 16, 32, ...
SWEEPS = 2  # over the settings of the kernel in a fit
PRIOR_DEVIATION = (
    0.1  # of values, as a share of what is missing to the highest; counts as one value
)
DIGITS = 9  # of a standardised gain, so that other processors' last bits change no decision


class FreezeThaw(Terminator):
    """One more step of the run that is likeliest to beat a random threshold at a random horizon.

    Parameters
    ----------
    budget
        Share of the epochs of all full trainings that may be trained (ours), one full training at
        the least. The last epochs go to the run that is predicted to end best.
    step
        Epochs that are trained after each decision.
    points
        Values that the Gaussian process reads, at the most (ours).

    Raises
    ------
    InputError
        if an option is out of its range.
    """

    reads_architectures = True

    def __init__(self, budget: float = 0.1, step: int = 1, points: int = 256) -> None:
        self.budget = check_budget(budget)
        self.step = check_count("step", step)
        self.points = check_count("points", points)
        self._metric = ACCURACY
        self._seed = 0

    def fit(self, sources: Sources, seed: int) -> None:
        """Learns nothing; takes the seed of its chance, and the metric."""
        self._metric, self._seed = sources.metric, seed

    def begin(self, view: View) -> Session:
        runs = view.draw(view.n_candidates)
        architectures = [view.architectures[run] for run in runs]
        rng = np.random.default_rng(self._seed)
        surrogate = _Surrogate(architectures, view.max_epochs, self._metric, self.points, rng)
        epochs = budget_epochs(self.budget, len(runs), view.max_epochs)
        return StepwiseSession(view, runs, surrogate, epochs, self.step)


# -- the surrogate -------------------------------------------------------------------------------


class _Surrogate:
    """Chooses by MFPI-random; see ``nassim.terminators.stepwise.Surrogate``."""

    def __init__(
        self,
        architectures: Sequence[Architecture],
        max_epochs: int,
        metric: Metric,
        points: int,
        rng: np.random.Generator,
    ) -> None:
        self._kernel = _Kernel(_squared_distances(architectures), max_epochs, _Setting())
        self._highest = max(metric.sign * bound for bound in metric.bounds)
        self._points = points
        self._rng = rng
        self._next_fit = FIRST_FIT

    def choose(self, seen: Seen, free: IntArray) -> int:
        horizon = int(self._rng.integers(1, seen.max_epochs + 1))
        share = 10.0 ** float(self._rng.uniform(*EXPONENTS))
        if math.isnan(seen.best):
            return int(free[0])
        threshold = seen.best + share * self._missing(seen)
        return int(free[np.argmax(self.gains(seen, free, horizon, threshold))])

    def gains(self, seen: Seen, free: IntArray, horizon: int, threshold: float) -> FloatArray:
        """(mean - threshold) / deviation of the values that runs have ``horizon`` epochs later.

        The probability of improvement is Phi of it, so the highest is the likeliest.
        """
        epochs = np.minimum(seen.trained[free] + horizon, seen.max_epochs)
        mean, deviation = self._posterior(seen).predict(free, epochs)
        gains: FloatArray = np.round((mean - threshold) / deviation, DIGITS)
        return gains

    def predict_ends(self, seen: Seen) -> FloatArray:
        everyone = np.arange(len(seen.trained))
        if math.isnan(seen.best):
            return np.zeros(len(everyone))
        epochs = np.full(len(everyone), seen.max_epochs)
        return np.round(self._posterior(seen).predict(everyone, epochs)[0], DIGITS)

    def _missing(self, seen: Seen) -> float:
        """From the best value to the highest possible; to the worst one where there is none."""
        if math.isfinite(self._highest):
            return self._highest - seen.best
        return seen.best - float(np.nanmin(seen.curves))

    def _posterior(self, seen: Seen) -> _Posterior:
        places, epochs = thinned(seen, self._points)
        values = seen.curves[places, epochs - 1]
        prior = (PRIOR_DEVIATION * self._missing(seen)) ** 2 + 1e-12
        known = int(np.isfinite(seen.curves).sum())
        if known >= self._next_fit:
            self._kernel = _fitted(self._kernel, places, epochs, values, prior)
            self._next_fit = 2 * known
        return _Posterior.of(self._kernel, places, epochs, values, prior)


# -- the Gaussian process ------------------------------------------------------------------------


def freeze_thaw_kernel(t: FloatArray, other: FloatArray, alpha: float, beta: float) -> FloatArray:
    """Correlation of two values of a curve, beta^alpha / (t + t' + beta)^alpha, (len(t), len(t')).

    It is positive semi-definite, a mixture of decaying exponentials exp(-lambda (t + t')).

    >>> freeze_thaw_kernel(np.array([0.0, 1.0, 4.0]), np.array([0.0, 4.0]), alpha=1.0, beta=2.0)
    array([[1.        , 0.33333333],
           [0.66666667, 0.28571429],
           [0.33333333, 0.2       ]])
    """
    correlation: FloatArray = (beta / (t[:, None] + other[None, :] + beta)) ** alpha
    return correlation


@dataclass(frozen=True)
class _Setting:
    """Of the kernel; each is one of its ``GRID``, and the first guess is the default.

    ``length``: of the RBF over architectures, in median distances. ``own``: share of a run's
    curve that its architecture says nothing about. ``asymptote``: share of the variance that
    stays, against what decays. ``noise``: variance of a value beside the curve's.
    """

    length: float = 1.0
    own: float = 0.3
    asymptote: float = 0.3
    alpha: float = 1.0
    beta: float = 2.0
    noise: float = 1e-2


GRID: dict[str, tuple[float, ...]] = {
    "length": (0.3, 1.0, 3.0),
    "own": (0.03, 0.1, 0.3, 0.7, 1.0),
    "asymptote": (0.03, 0.1, 0.3, 0.7),
    "alpha": (0.5, 1.0, 2.0),
    "beta": (0.5, 2.0, 8.0, 32.0),
    "noise": (1e-4, 1e-3, 1e-2, 1e-1),
}


class _Kernel:
    """((1 - own) RBF + own [same run]) x (asymptote + (1 - asymptote) freeze-thaw).

    Both factors are tables, of runs (N, N) and of epochs, so that a covariance is looked up.
    """

    def __init__(self, distances: FloatArray, max_epochs: int, setting: _Setting) -> None:
        self._distances = distances
        self._max_epochs = max_epochs
        self.setting = setting
        near = np.exp(-0.5 * distances / setting.length**2)
        self.runs: FloatArray = (1 - setting.own) * near + setting.own * np.eye(len(distances))
        t = np.arange(max_epochs + 1.0)
        decay = freeze_thaw_kernel(t, t, setting.alpha, setting.beta)
        self.epochs: FloatArray = setting.asymptote + (1 - setting.asymptote) * decay

    def with_setting(self, setting: _Setting) -> _Kernel:
        return _Kernel(self._distances, self._max_epochs, setting)

    def covariance(
        self, places: IntArray, epochs: IntArray, others: IntArray, other_epochs: IntArray
    ) -> FloatArray:
        """(points, others), without noise."""
        between = self.runs[places][:, others]
        covariance: FloatArray = between * self.epochs[epochs][:, other_epochs]
        return covariance


@dataclass(frozen=True, eq=False)
class _Posterior:
    """A Gaussian process that has seen some values; its mean and variance are estimated too."""

    kernel: _Kernel
    places: IntArray
    epochs: IntArray
    factor: FloatArray  # lower Cholesky factor of the covariance
    weights: FloatArray
    mean: float
    variance: float
    evidence: float  # logarithm of the marginal likelihood, but for a constant

    @classmethod
    def of(
        cls,
        kernel: _Kernel,
        places: IntArray,
        epochs: IntArray,
        values: FloatArray,
        prior: float,
    ) -> _Posterior:
        """From ``values`` (points,); ``prior`` is a variance that counts as one value."""
        from scipy.linalg import cho_solve, cholesky

        covariance = kernel.covariance(places, epochs, places, epochs)
        covariance[np.diag_indices_from(covariance)] += kernel.setting.noise
        factor = cholesky(covariance, lower=True, check_finite=False)
        both = np.stack([values, np.ones(len(values))], axis=1)
        solved = cho_solve((factor, True), both, check_finite=False)
        mean = float(solved[:, 0].sum() / solved[:, 1].sum())
        weights = solved[:, 0] - mean * solved[:, 1]
        n = len(values)
        variance = float((values - mean) @ weights + prior) / (n + 1)
        evidence = -0.5 * (n + 1) * math.log(variance) - float(np.log(factor.diagonal()).sum())
        return cls(kernel, places, epochs, factor, weights, mean, variance, evidence)

    def predict(self, places: IntArray, epochs: IntArray) -> tuple[FloatArray, FloatArray]:
        """Mean and deviation of the curves of runs at epochs, (runs,) each, without noise."""
        from scipy.linalg import solve_triangular

        across = self.kernel.covariance(self.places, self.epochs, places, epochs)
        explained = solve_triangular(self.factor, across, lower=True, check_finite=False)
        variance = self.kernel.epochs[epochs, epochs] - (explained**2).sum(axis=0)
        deviation = np.sqrt(self.variance * np.maximum(variance, 1e-9))
        return self.mean + across.T @ self.weights, deviation


def _fitted(
    kernel: _Kernel, places: IntArray, epochs: IntArray, values: FloatArray, prior: float
) -> _Kernel:
    """The kernel of highest marginal likelihood that is found by changing one setting at a time.

    Settings come from a grid, so that other processors' last bits do not lead elsewhere.
    """
    best = _Posterior.of(kernel, places, epochs, values, prior)
    for _ in range(SWEEPS):
        for name in (field.name for field in fields(_Setting)):
            for value in GRID[name]:
                setting = replace(best.kernel.setting, **{name: value})
                if setting == best.kernel.setting:
                    continue
                other = kernel.with_setting(setting)
                found = _Posterior.of(other, places, epochs, values, prior)
                if found.evidence > best.evidence + 1e-6:
                    best = found
    return best.kernel


def _squared_distances(architectures: Sequence[Architecture]) -> FloatArray:
    """(N, N) between features; the median of those that are not 0 is 1."""
    features = architecture_features(architectures)
    squares = (features**2).sum(axis=1)
    distances = np.maximum(squares[:, None] + squares - 2 * features @ features.T, 0.0)
    apart = distances[distances > 1e-9]
    scaled: FloatArray = distances / np.median(apart) if len(apart) else distances
    return scaled
