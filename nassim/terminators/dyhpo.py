"""DyHPO: a deep-kernel Gaussian process decides which run goes on for one more epoch (Wistuba,
Kadra & Grabocka, "Supervising the Multi-Fidelity Race of Hyperparameter Configurations", NeurIPS
2022, arXiv 2202.09774).

A network reads architecture, epoch and the curve before it; a Gaussian process with an RBF kernel
on what comes out predicts the value after that epoch. Of all runs, new or paused, the one whose
next value has the highest expected improvement over the best value *at the same epoch* is trained
for one epoch. It learns from this search alone.

The body of the paper was not at hand. ``docs/methods/dyhpo.md`` lists every difference.

How to read this file: the terminator; its surrogate; the deep kernel.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from nassim.networks.threads import one_thread
from nassim.options import check_count
from nassim.records import Architecture, FloatArray, IntArray, Sources
from nassim.terminators.base import Session, Terminator, View
from nassim.terminators.stepwise import (
    Seen,
    StepwiseSession,
    architecture_features,
    budget_epochs,
    check_budget,
    thinned,
)

__all__ = ["DyHPO", "expected_improvement", "incumbents"]

SETTING_WIDTH = 64  # units that read architecture and epoch
KERNEL = 3  # epochs that a convolution over the curve looks at
CHANNELS = 4  # of the convolution
FEATURE_WIDTH = 128  # what the Gaussian process sees
LEARNING_RATE = 1e-2
BATCH = 64  # values of a training step
FIRST_VALUES = 10  # of new runs, before the kernel is trained for the first time
LEAST_NOISE = 1e-4  # variance, of standardised values
DIGITS = 9  # of expected improvements, so that other processors' last bits change no decision


class DyHPO(Terminator):
    """One more epoch of the run whose next value promises most, compared at equal epochs.

    Parameters
    ----------
    budget
        Share of the epochs of all full trainings that may be trained (ours), one full training at
        the least. The last epochs go to the run that is predicted to end best.
    iterations
        Training steps of the kernel after the first ten values.
    refinement
        Training steps each time it is refined.
    every
        Values from one refinement to the next (ours); 1 is the paper's.
    points
        Values that the Gaussian process reads, at the most (ours).

    Raises
    ------
    InputError
        if an option is out of its range.
    """

    reads_architectures = True
    quick_options: ClassVar[Mapping[str, object]] = {
        "iterations": 3,
        "refinement": 1,
        "budget": 0.08,
    }

    def __init__(
        self,
        budget: float = 0.1,
        iterations: int = 200,
        refinement: int = 20,
        every: int = 20,
        points: int = 256,
    ) -> None:
        self.budget = check_budget(budget)
        self.iterations = check_count("iterations", iterations)
        self.refinement = check_count("refinement", refinement, least=0)
        self.every = check_count("every", every)
        self.points = check_count("points", points)
        self._seed = 0

    def fit(self, sources: Sources, seed: int) -> None:
        """Learns nothing of other datasets; takes the seed of its chance."""
        self._seed = seed

    def begin(self, view: View) -> Session:
        runs = view.draw(view.n_candidates)
        surrogate = _Surrogate(self, [view.architectures[run] for run in runs], self._seed)
        epochs = budget_epochs(self.budget, len(runs), view.max_epochs)
        return StepwiseSession(view, runs, surrogate, epochs, step=1)


# -- the surrogate -------------------------------------------------------------------------------


def incumbents(seen: Seen) -> FloatArray:
    """The best value after each epoch, (max_epochs,); the best of all where none has come so far.

    >>> seen = Seen(np.array([[0.5, 0.6, np.nan], [0.7, np.nan, np.nan]]), np.array([2, 1]))
    >>> incumbents(seen)
    array([0.7, 0.6, 0.7])
    """
    best = np.where(np.isnan(seen.curves), -np.inf, seen.curves).max(axis=0)
    known: FloatArray = np.where(np.isfinite(best), best, seen.best)
    return known


def expected_improvement(mean: FloatArray, deviation: FloatArray, best: FloatArray) -> FloatArray:
    """E[max(0, value - best)] of Gaussian values, (runs,).

    >>> expected_improvement(np.array([0.5, 0.9]), np.array([0.1, 1e-6]), np.array([0.5, 0.7]))
    array([0.03989423, 0.2       ])
    """
    from scipy.special import ndtr

    z = (mean - best) / deviation
    density = np.exp(-0.5 * z**2) / math.sqrt(2 * math.pi)
    improvement: FloatArray = deviation * (z * ndtr(z) + density)
    return improvement


class _Surrogate:
    """Chooses by expected improvement; see ``nassim.terminators.stepwise.Surrogate``."""

    def __init__(self, options: DyHPO, architectures: Sequence[Architecture], seed: int) -> None:
        self._options = options
        self._rng = np.random.default_rng(seed)
        self._architectures = torch.from_numpy(architecture_features(architectures))
        self._kernel = _DeepKernel(self._architectures.shape[1] + 1, self._rng)
        self._optimizer = torch.optim.Adam(
            list(self._kernel.parameters()), lr=LEARNING_RATE, fused=True
        )
        self._next_training = FIRST_VALUES

    def choose(self, seen: Seen, free: IntArray) -> int:
        new = free[seen.trained[free] == 0]
        known = int(np.isfinite(seen.curves).sum())
        if len(new) and known < FIRST_VALUES:
            return int(new[0])
        if known == 0:
            return int(free[0])
        epochs = seen.trained[free] + 1
        mean, deviation = self._predict(seen, free, epochs)
        best = incumbents(seen)[epochs - 1]
        spread = float(np.nanstd(seen.curves)) or 1.0
        gains = np.round(expected_improvement(mean, deviation, best) / spread, DIGITS)
        leading = np.flatnonzero(gains == gains.max())  # all of them, if none promises anything
        z = np.round((mean - best)[leading] / deviation[leading], DIGITS)
        return int(free[leading[np.argmax(z)]])

    def predict_ends(self, seen: Seen) -> FloatArray:
        everyone = np.arange(len(seen.trained))
        if math.isnan(seen.best):
            return np.zeros(len(everyone))
        last = np.full(len(everyone), seen.max_epochs)
        return np.round(self._predict(seen, everyone, last)[0], DIGITS)

    def _predict(
        self, seen: Seen, places: IntArray, epochs: IntArray
    ) -> tuple[FloatArray, FloatArray]:
        """Mean and deviation of the values of runs after ``epochs``, from all that is known."""
        where, when = thinned(seen, self._options.points)
        values = seen.curves[where, when - 1]
        center, scale = float(values.mean()), float(values.std()) or 1.0
        standard = Seen((seen.curves - center) / scale, seen.trained)
        given = self._inputs(standard, where, when)
        targets = torch.from_numpy((values - center) / scale)
        with one_thread():
            self._learn(int(np.isfinite(seen.curves).sum()), given, targets)
            asked = self._inputs(standard, places, epochs)
            with torch.inference_mode():
                mean, variance = self._kernel.posterior(given, targets, asked)
        deviation = np.sqrt(np.maximum(variance.numpy(), 1e-12))
        return center + scale * mean.numpy(), scale * deviation

    def _learn(self, known: int, given: _Inputs, targets: Tensor) -> None:
        """Train the kernel, if it is due."""
        options = self._options
        if self._next_training > FIRST_VALUES:
            if known < self._next_training:
                return
            steps = options.refinement
        else:  # for the first time; before ten values only where there are no more new runs
            self._kernel.guess_length(given)
            steps = options.iterations
        for _ in range(steps):
            rows = torch.from_numpy(self._rng.permutation(len(targets))[:BATCH])
            loss = self._kernel.loss(tuple(part[rows] for part in given), targets[rows])
            self._optimizer.zero_grad()
            loss.backward()
            self._optimizer.step()
        self._next_training = max(known, FIRST_VALUES) + options.every

    def _inputs(self, seen: Seen, places: IntArray, epochs: IntArray) -> _Inputs:
        """What the kernel reads of values after ``epochs``: the curve ends one epoch before."""
        lengths = np.minimum(seen.trained[places], epochs - 1)
        longest = max(KERNEL, int(lengths.max()))
        curves = np.nan_to_num(seen.curves[places, :longest])
        if curves.shape[1] < longest:
            curves = np.pad(curves, ((0, 0), (0, longest - curves.shape[1])))
        curves[np.arange(longest) >= lengths[:, None]] = 0.0
        progress = torch.from_numpy(epochs / seen.max_epochs)[:, None]
        settings = torch.cat([self._architectures[torch.from_numpy(places)], progress], 1)
        return settings, torch.from_numpy(curves), torch.from_numpy(lengths)


# -- the deep kernel -----------------------------------------------------------------------------

# (n, features + 1) architecture and epoch; (n, epochs) curves, 0 past their ends; (n,) lengths
_Inputs = tuple[Tensor, ...]


class _DeepKernel(nn.Module):
    """A Gaussian process on features of a network; float64, all drawn from ``rng``."""

    def __init__(self, width: int, rng: np.random.Generator) -> None:
        super().__init__()
        # Built without memory, then drawn: PyTorch's own initialisation is one global generator.
        with torch.device("meta"):
            self.setting = nn.Linear(width, SETTING_WIDTH)
            self.convolution = nn.Linear(KERNEL, CHANNELS)
            self.joint = nn.Linear(SETTING_WIDTH + CHANNELS, FEATURE_WIDTH)
            self.mean, self.log_length, self.log_variance, self.log_noise = (
                nn.Parameter(torch.empty(())) for _ in range(4)
            )
        self.to_empty(device="cpu").double()
        with torch.no_grad():
            for layer in (self.setting, self.convolution, self.joint):
                bound = 1 / math.sqrt(layer.in_features)
                for parameter in (layer.weight, layer.bias):
                    drawn = rng.uniform(-bound, bound, tuple(parameter.shape))
                    parameter.copy_(torch.from_numpy(drawn))
            for number, start in (
                (self.mean, 0.0),
                (self.log_length, 0.0),
                (self.log_variance, 0.0),
                (self.log_noise, math.log(0.1)),
            ):
                number.fill_(start)

    def forward(self, inputs: _Inputs) -> Tensor:
        """Features (n, FEATURE_WIDTH)."""
        settings, curves, lengths = inputs
        windows = curves.unfold(1, KERNEL, 1)  # (n, windows, KERNEL)
        answers = self.convolution(windows)
        beyond = torch.arange(windows.shape[1]) > (lengths[:, None] - KERNEL).clamp(min=0)
        curve = answers.masked_fill(beyond[:, :, None], -math.inf).amax(dim=1)
        seen = functional.relu(self.setting(settings))
        features: Tensor = self.joint(torch.cat([seen, curve], 1))
        return features

    def guess_length(self, inputs: _Inputs) -> None:
        """Start with the median distance of features as the kernel's length."""
        with torch.no_grad():
            features = self(inputs)
            distances = _squared_distances(features, features)
            apart = distances[distances > 1e-12]
            if len(apart):
                self.log_length.fill_(0.5 * math.log(apart.median().item()))

    def loss(self, inputs: _Inputs, targets: Tensor) -> Tensor:
        """The negative logarithm of the marginal likelihood, by value and but for a constant."""
        factor, rest = self._factor(self(inputs), targets)
        solved = torch.linalg.solve_triangular(factor, rest[:, None], upper=False)
        total: Tensor = 0.5 * (solved**2).sum() + factor.diagonal().log().sum()
        return total / len(targets)

    def posterior(self, given: _Inputs, targets: Tensor, asked: _Inputs) -> tuple[Tensor, Tensor]:
        """Mean and variance, without noise, of the values that are asked for, (asked,) each."""
        features = self(given)
        factor, rest = self._factor(features, targets)
        across = self._covariance(features, self(asked))
        both = torch.cat([rest[:, None], across], 1)
        solved = torch.linalg.solve_triangular(factor, both, upper=False)
        mean = self.mean + solved[:, 1:].T @ solved[:, 0]
        return mean, self.log_variance.exp() - (solved[:, 1:] ** 2).sum(dim=0)

    def _factor(self, features: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        """Lower Cholesky factor of the covariance, and what the mean leaves over."""
        noise = self.log_noise.exp() + LEAST_NOISE
        covariance = self._covariance(features, features) + noise * torch.eye(
            len(features), dtype=features.dtype
        )
        return torch.linalg.cholesky(covariance), targets - self.mean

    def _covariance(self, features: Tensor, others: Tensor) -> Tensor:
        distances = _squared_distances(features, others)
        exponent = self.log_variance - 0.5 * distances * (-2 * self.log_length).exp()
        covariance: Tensor = exponent.exp()
        return covariance


def _squared_distances(features: Tensor, others: Tensor) -> Tensor:
    squares = (features**2).sum(dim=1)[:, None] + (others**2).sum(dim=1)
    return (squares - 2 * features @ others.T).clamp(min=0.0)
