"""LCNet as a deep ensemble (Klein, Falkner, Springenberg & Hutter, ICLR 2017, "Learning Curve
Prediction with Bayesian Neural Networks").

A network reads a configuration and answers with the parameters of a curve: where it ends, and basis
functions of time that lead there. Several networks that began differently say how sure that is. A
run is stopped if p(better than the incumbent) <= delta.

The paper samples networks by SGHMC and trains them on the target's curves so far. Here they are an
ensemble (Lakshminarayanan et al. 2017) that is trained on the *other* datasets, and a run's own
beginning is an input instead. The body of the paper was not at hand; ``docs/methods/lcnet.md``
lists every difference.

How to read this file: the estimator; the curve; the ensemble; what it reads.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from nassim.encodings import PADDING, TokenEncoder, words
from nassim.errors import InputError
from nassim.networks.threads import one_thread
from nassim.options import check_count
from nassim.records import Architecture, FloatArray, IntArray, Metric, Prefixes, Sources
from nassim.terminators.base import Estimator
from nassim.terminators.families import accuracy_scale

__all__ = ["Ensemble", "LCNet", "Runs", "basis_functions"]

WIDTH = 50  # units of each of the three hidden layers
BASES = 3
SHAPES = 8  # parameters of the basis functions
LEARNING_RATE = 1e-2
WEIGHT_DECAY = 1e-2
CLIP_NORM = 5.0
BATCH = 128  # values that each network learns from in a step
SAMPLE = 10_000  # values by which inputs are standardised
CLIP = 5.0  # standardised inputs are cut here: what no source came near says no more than that
INSIDE = 1e-4  # shares are read as if they were so far from 0 and 1, whose logits have no end
FIRST_LOG_VARIANCE = -6.0
DIGITS = 6  # predictions are rounded, so that other processors' last bits change no decision


class LCNet(Estimator):
    """Stop a run if the curves that an ensemble of networks predicts will not beat the incumbent.

    Parameters
    ----------
    delta
        Stop if p(better than the incumbent) <= delta.
    epochs
        ``"sparse"``, ``"every"``, or a tuple of epochs (see ``Estimator``).
    networks
        In the ensemble.
    steps
        Training steps; in each, every network learns from a batch of its own.

    Raises
    ------
    InputError
        if an option is out of its range, or curves have no bounds on both sides (a loss).
    """

    uses_sources = True
    needs_bounds = True
    quick_options: ClassVar[Mapping[str, object]] = {"networks": 2, "steps": 5}

    def __init__(
        self,
        delta: float = 0.05,
        epochs: str | int | tuple[int, ...] = "sparse",
        networks: int = 5,
        steps: int = 2000,
    ) -> None:
        super().__init__(delta, epochs)
        self.networks = check_count("networks", networks)
        self.steps = check_count("steps", steps)
        self._fitted: tuple[TokenEncoder, Metric, Ensemble] | None = None

    def fit(self, sources: Sources, seed: int) -> None:
        """Train the ensemble on values of the sources that follow a beginning.

        Raises
        ------
        InputError
            if no source has a run of two measured epochs, or sources are of several spaces.
        """
        low, width = accuracy_scale(sources.metric, "LCNet")
        tasks = [task for task in sources.tasks if (_measured(task.curves) > 1).any()]
        if not tasks:
            raise InputError(
                "LCNet was given no source dataset with a run of two measured epochs; it learns "
                "from other datasets only. Use a store with at least two datasets."
            )
        encoder = TokenEncoder.fit([a for task in tasks for a in task.architectures])
        parts = [
            Runs.of(
                _configurations(encoder, task.architectures, task.n_params, task.flops),
                (task.curves - low) / width,
                task.curves.shape[1],
            )
            for task in tasks
        ]
        rng = np.random.default_rng(seed)
        ensemble = Ensemble.fit(Runs.joined(parts), self.networks, self.steps, rng)
        self._fitted = encoder, sources.metric, ensemble

    def estimate(self, prefixes: Prefixes) -> FloatArray:
        """Mean and deviation of the value after the last epoch, (runs, 2); NaN where not every
        epoch of a run was measured."""
        if self._fitted is None:
            raise InputError("LCNet must be fitted on source datasets before it can estimate.")
        encoder, metric, ensemble = self._fitted
        if prefixes.metric != metric:
            raise InputError(
                f"Curves measure {prefixes.metric.name}; LCNet was fitted on curves of "
                f"{metric.name}. Expected sources and target of one store."
            )
        if prefixes.epoch == 0:
            raise InputError("Prefixes have 0 epochs; LCNet expects 1 or more.")
        low, width = accuracy_scale(metric, "LCNet")
        measured = np.flatnonzero(np.isfinite(prefixes.curves).all(axis=1))
        estimates = np.full((len(prefixes), 2), np.nan)
        if len(measured):
            configurations = _configurations(
                encoder, prefixes.architectures, prefixes.n_params, prefixes.flops
            )
            runs = Runs.of(
                configurations[measured],
                (prefixes.curves[measured] - low) / width,
                prefixes.max_epochs,
            )
            mean, deviation = ensemble.predict(runs, prefixes.epoch)
            estimates[measured] = np.stack([low + width * mean, width * deviation], axis=1)
        return estimates


# -- the curve -----------------------------------------------------------------------------------


def basis_functions(shapes: Tensor, t: Tensor) -> Tensor:
    """Vapour pressure, a logarithm and Hill's function, (..., BASES), all 0 at the end, t = 1.

    ``shapes`` (..., SHAPES) are in (-1, 1); ``t`` (...) are shares of the training, above 0.

    >>> basis_functions(torch.zeros(SHAPES), torch.tensor(1.0)).tolist()
    [0.0, 0.0, 0.0]
    """
    share = (shapes + 1) / 2
    a, b, c = share[..., 0], share[..., 1] / 10, share[..., 2] / 10
    vapour = torch.exp(-a - b / t - c * torch.log(t)) - torch.exp(-a - b)
    steep = torch.exp(6 * share[..., 4])
    logarithm = shapes[..., 3] * torch.log((1 + steep * t) / (1 + steep))
    half, power = torch.exp(-4 * share[..., 6]), torch.exp(2 * shapes[..., 7])
    hill = shapes[..., 5] * (1 / (1 + (half / t) ** power) - 1 / (1 + half**power))
    return torch.stack([vapour, logarithm, hill], -1)


# -- the ensemble --------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Ensemble:
    """Networks side by side: each array of weights has a row for each of them, in float64.

    ``mean`` and ``deviation`` (inputs,) are those of the inputs it was trained on.
    """

    weights: Mapping[str, Tensor]
    mean: FloatArray
    deviation: FloatArray

    @classmethod
    def fit(cls, runs: Runs, networks: int, steps: int, rng: np.random.Generator) -> Ensemble:
        """Minimise the negative log-likelihood of values that follow the beginnings of runs."""
        rows, epochs, _ = runs.draw(SAMPLE, rng)
        inputs = runs.inputs(rows, epochs)
        mean, deviation = _mean_and_deviation(inputs)
        ensemble = cls(_first_weights(networks, inputs.shape[1], rng), mean, deviation)
        weights = ensemble.weights.values()
        optimizer = torch.optim.AdamW(weights, weight_decay=WEIGHT_DECAY, fused=True)
        with one_thread():
            for step in range(steps):
                rows, epochs, asked = (
                    each.reshape(networks, BATCH) for each in runs.draw(networks * BATCH, rng)
                )
                y = torch.from_numpy(runs.curves[rows, asked - 1])
                now, t = (each / runs.max_epochs[rows] for each in (epochs, asked))
                value, variance = ensemble._curves(
                    runs.inputs(rows, epochs), runs.curves[rows, epochs - 1], now, t
                )
                loss = ((y - value) ** 2 / variance + torch.log(variance)).mean(dim=1).sum() / 2
                for group in optimizer.param_groups:
                    group["lr"] = LEARNING_RATE * (1 + math.cos(math.pi * step / steps)) / 2
                optimizer.zero_grad()
                loss.backward()
                torch.nn.utils.clip_grad_norm_(weights, CLIP_NORM)
                optimizer.step()
        return ensemble

    def predict(self, runs: Runs, epoch: int, t: float = 1.0) -> tuple[FloatArray, FloatArray]:
        """Mean and deviation, (runs,) each, of the values at ``t``, a share of the training that
        may be above 1, given the first ``epoch`` epochs."""
        rows, epochs = np.arange(len(runs)), np.full(len(runs), epoch)
        last = runs.curves[:, epoch - 1]
        now, then = epochs / runs.max_epochs, np.full(len(runs), t)
        with one_thread(), torch.inference_mode():
            # a network knows nothing of the others, so all are given the same
            values, variances = (
                each.numpy() for each in self._curves(runs.inputs(rows, epochs), last, now, then)
            )
        deviation = np.sqrt(variances.mean(axis=0) + values.var(axis=0))
        return np.round(values.mean(axis=0), DIGITS), np.round(deviation, DIGITS)

    def _curves(
        self, inputs: FloatArray, last: FloatArray, now: FloatArray, t: FloatArray
    ) -> tuple[Tensor, Tensor]:
        """Means and variances (networks, runs) of the values at ``t``, a share of the training,
        of runs whose value at ``now`` is ``last``; all (runs,), or (networks, runs)."""
        w = self.weights
        standard = ((inputs - self.mean) / self.deviation).clip(-CLIP, CLIP)
        h = torch.from_numpy(np.where(np.isnan(standard), 0.0, standard))
        for layer in ("first", "second", "third"):
            h = torch.tanh(h @ w[layer] + w[f"{layer}_bias"])
        out = h @ w["out"] + w["out_bias"]
        shapes, shares, end, drift = torch.split(out, [SHAPES, BASES, 1, 1], dim=-1)
        before, then, left = (torch.from_numpy(each) for each in (last, t, np.abs(t - now)))
        asymptote = torch.sigmoid(torch.logit(before) + end[..., 0])
        basis = basis_functions(torch.tanh(shapes), then)
        mean = asymptote + torch.tanh((torch.softmax(shares, -1) * basis).sum(-1))
        return mean, torch.exp(w["noise"]) + left * torch.exp(drift[..., 0])


def _first_weights(networks: int, inputs: int, rng: np.random.Generator) -> dict[str, Tensor]:
    sizes = {
        "first": (inputs, WIDTH),
        "second": (WIDTH, WIDTH),
        "third": (WIDTH, WIDTH),
        "out": (WIDTH, SHAPES + BASES + 2),
    }
    weights = {}
    for layer, size in sizes.items():
        bound = 1 / math.sqrt(size[0])
        weights[layer] = torch.from_numpy(rng.uniform(-bound, bound, (networks, *size)))
        weights[f"{layer}_bias"] = torch.zeros(networks, 1, size[1], dtype=torch.float64)
    weights["out_bias"][..., -1] = FIRST_LOG_VARIANCE
    weights["noise"] = torch.full((networks, 1), FIRST_LOG_VARIANCE, dtype=torch.float64)
    return {name: weight.requires_grad_() for name, weight in weights.items()}


# -- what it reads -------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Runs:
    """What an ensemble learns from and speaks of.

    ``configurations`` (runs, k), NaN where unknown; ``curves`` (runs, epochs) are shares in (0, 1),
    NaN where a run was not measured; ``max_epochs`` (runs,) are the lengths of full trainings.
    """

    configurations: FloatArray
    curves: FloatArray
    max_epochs: IntArray

    @classmethod
    def of(cls, configurations: FloatArray, shares: FloatArray, max_epochs: int) -> Runs:
        """Runs of one dataset; -inf, a run that failed, counts as not measured."""
        curves = np.where(np.isfinite(shares), shares, np.nan).clip(INSIDE, 1 - INSIDE)
        return cls(configurations, curves, np.full(len(curves), max_epochs))

    @classmethod
    def joined(cls, parts: Sequence[Runs]) -> Runs:
        """Runs of several datasets, whose curves may differ in length."""
        longest = max(part.curves.shape[1] for part in parts)
        curves = [
            np.pad(
                part.curves, ((0, 0), (0, longest - part.curves.shape[1])), constant_values=np.nan
            )
            for part in parts
        ]
        return cls(
            np.concatenate([part.configurations for part in parts]),
            np.concatenate(curves),
            np.concatenate([part.max_epochs for part in parts]),
        )

    def __len__(self) -> int:
        return len(self.curves)

    @cached_property
    def measured(self) -> IntArray:
        """Epochs (runs,) from the first one on that were all measured."""
        return _measured(self.curves)

    @cached_property
    def best(self) -> FloatArray:
        """The best value until each epoch, (runs, epochs)."""
        best: FloatArray = np.fmax.accumulate(self.curves, axis=1)
        return best

    def draw(self, count: int, rng: np.random.Generator) -> tuple[IntArray, IntArray, IntArray]:
        """Runs, epochs after which they are cut, and later ones that are asked for, (count,) each.

        Short beginnings are drawn as often as long ones: their number is uniform in its logarithm.
        """
        rows = rng.choice(np.flatnonzero(self.measured > 1), count)
        last = self.measured[rows]
        epochs = np.minimum(np.exp(rng.random(count) * np.log(last)).astype(np.intp), last - 1)
        return rows, epochs, rng.integers(epochs, last) + 1

    def inputs(self, rows: IntArray, epochs: IntArray) -> FloatArray:
        """What is read of ``rows`` (...) cut after ``epochs`` (...), (..., inputs): configuration,
        last value, its gain over the first and the middle one, its loss to the best, the epoch."""
        last = self.curves[rows, epochs - 1]
        best = self.best[rows, epochs - 1]
        beginning = [
            np.log(last / (1 - last)),
            last - self.curves[rows, 0],
            last - self.curves[rows, (epochs - 1) // 2],
            best - last,
            np.log(epochs),
            epochs / self.max_epochs[rows],
        ]
        return np.concatenate([self.configurations[rows], np.stack(beginning, -1)], axis=-1)


def _measured(curves: FloatArray) -> IntArray:
    """Epochs (runs,) from the first one on that were all measured."""
    counts: IntArray = np.isfinite(curves).cumprod(axis=1).sum(axis=1)
    return counts


def _configurations(
    encoder: TokenEncoder,
    architectures: Sequence[Architecture],
    n_params: IntArray,
    flops: IntArray,
) -> FloatArray:
    """(runs, k): how often each token occurs at each place of a word, and logarithms of parameters,
    multiply-adds and words; NaN if unknown."""
    tokens = encoder.encode(architectures)  # (runs, steps, places)
    counts = [
        (tokens[:, :, place, None] == np.arange(PADDING + 1, size)).sum(axis=1)
        for place, size in enumerate(encoder.sizes)
    ]
    lengths = np.array([len(words(architecture)) for architecture in architectures])
    sizes = np.stack([n_params, flops, lengths], axis=1).astype(np.float64)
    return np.concatenate([*counts, np.log(np.where(sizes > 0, sizes, np.nan))], axis=1)


def _mean_and_deviation(values: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Of what is known of each column; 0 and 1 where it is unknown or constant."""
    known = np.isfinite(values)
    count = np.maximum(known.sum(axis=0), 1)
    mean = np.where(known, values, 0.0).sum(axis=0) / count
    deviation = np.sqrt((np.where(known, values - mean, 0.0) ** 2).sum(axis=0) / count)
    return mean, np.where(deviation > 1e-9 * (1 + np.abs(mean)), deviation, 1.0)
