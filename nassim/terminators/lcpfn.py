"""LC-PFN: extrapolation of learning curves in one forward pass (Adriaensen et al., NeurIPS 2023,
"Efficient Bayesian Learning Curve Extrapolation using Prior-Data Fitted Networks").

A small transformer was trained on curves drawn from a prior, a sum of three parametric families
plus noise, to say how each of them goes on. What it says of a curve it has not seen approximates
the posterior predictive that Domhan et al. sample by MCMC. A run is stopped if
p(y_t > best completed run) <= delta for every epoch t that is left.

The weights are ``lcpfn.npz``, trained by ``analysis/train_lcpfn.py``; here is NumPy alone. The body
of the paper was not at hand: the prior follows the authors' public code, from which
``docs/methods/lcpfn.md`` lists every difference.

How to read this file: the estimator; the prior; the bar distribution; the network.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from nassim.errors import InputError
from nassim.records import FloatArray, Incumbent, IntArray, Prefixes, Sources
from nassim.terminators.base import Estimator
from nassim.terminators.families import FAMILIES, accuracy_scale

__all__ = [
    "LCPFN",
    "BarDistribution",
    "Network",
    "observed",
    "place",
    "sample_curves",
    "weight_shapes",
]

WEIGHTS = Path(__file__).with_name("lcpfn.npz")
LENGTH = 100  # epochs of the curves that it was trained on
WIDTH = 128  # of a point's embedding
LAYERS = 3
HEADS = 4
HIDDEN = 256  # units of a feed-forward layer
BUCKETS = 200  # of equal width between 0 and 1
DIGITS = 6  # estimates are rounded, so that other processors' last bits change no decision
CHUNK = 64  # runs that are read at a time


class LCPFN(Estimator):
    """Stop a run if the transformer says that none of its epochs will beat the incumbent.

    Parameters
    ----------
    delta
        Stop if p(better than the incumbent) <= delta.
    epochs
        ``"sparse"``, ``"every"``, or a tuple of epochs (see ``Estimator``).

    Raises
    ------
    InputError
        if an option is out of its range, or curves have no bounds on both sides (a loss).
    """

    needs_bounds = True

    def __init__(self, delta: float = 0.05, epochs: str | int | tuple[int, ...] = "sparse") -> None:
        super().__init__(delta, epochs)

    def fit(self, sources: Sources, seed: int) -> None:
        """Nothing is learned from other datasets, and nothing is left to chance."""
        accuracy_scale(sources.metric, "LCPFN")  # refuse before any search

    def predict(self, prefixes: Prefixes) -> tuple[IntArray, BarDistribution]:
        """What each run's curve will be, as a share in [0, 1].

        Returns
        -------
        ``(epochs, distribution)``: the epochs (k,) that are spoken of, the last one at the end,
        and the distribution of (runs, k) values; NaN where an epoch of a run was not measured.
        """
        low, width = accuracy_scale(prefixes.metric, "LCPFN")
        n, epoch = prefixes.curves.shape
        if epoch == 0:
            raise InputError("Prefixes have 0 epochs; LCPFN expects 1 or more.")
        scale = LENGTH / max(LENGTH, prefixes.max_epochs)
        known = _thinned(np.arange(1, epoch + 1), scale)
        left = _thinned(
            np.arange(min(epoch + 1, prefixes.max_epochs), prefixes.max_epochs + 1), scale
        )
        curves = (prefixes.curves[:, known - 1] - low) / width
        measured = np.flatnonzero(np.isfinite(prefixes.curves).all(axis=1))
        masses = np.full((n, len(left), BUCKETS), np.nan)
        masses[measured] = Network.load()(known * scale, curves[measured], left * scale).masses
        return left, BarDistribution(masses)

    def estimate(self, prefixes: Prefixes) -> FloatArray:
        """(runs, 4 + edges): the mean after the last epoch; the best value so far; the least value
        of the metric, and how far the greatest is above it; and for each edge of a bucket, the
        highest p(y_t > edge) of the epochs t that are left. NaN where an epoch was not measured."""
        low, width = accuracy_scale(prefixes.metric, "LCPFN")
        _, distribution = self.predict(prefixes)
        mean = low + width * distribution.mean()[:, -1]
        best = np.where(np.isnan(mean), np.nan, prefixes.curves.max(axis=1))
        scale = np.tile([low, width], (len(prefixes), 1))
        above = distribution.survival().max(axis=1)
        columns = np.round(mean, DIGITS)[:, None], best[:, None], scale, np.round(above, DIGITS)
        return np.concatenate(columns, axis=1)

    def probability(self, estimates: FloatArray, incumbent: Incumbent) -> FloatArray:
        """The highest p(y_t > m_max) of the epochs t that are left, (runs,).

        1 for a run that has been better already, NaN where not every epoch was measured.

        >>> evenly = np.linspace(1.0, 0.0, BUCKETS + 1)
        >>> estimates = np.array([[0.5, 0.2, 0.0, 1.0, *evenly], [0.5, 0.9, 0.0, 1.0, *evenly]])
        >>> LCPFN().probability(estimates, Incumbent(0.875, estimates[0])).round(9)
        array([0.125, 1.   ])
        """
        _, best, low, width = estimates[:, :4].T
        above = estimates[:, 4:]
        at = BUCKETS * ((incumbent.value - low) / width).clip(0.0, 1.0)
        bucket = np.minimum(np.nan_to_num(at), BUCKETS - 1).astype(np.intp)[:, None]
        left, right = (np.take_along_axis(above, bucket + k, axis=1)[:, 0] for k in (0, 1))
        p = left + (at - bucket[:, 0]) * (right - left)
        answer: FloatArray = np.where(best > incumbent.value, 1.0, p)
        return answer


def _thinned(epochs: IntArray, scale: float) -> IntArray:
    """The last epoch of each hundredth of a curve that is longer than those of the training."""
    hundredth = np.ceil(epochs * scale)
    last: IntArray = epochs[np.append(hundredth[1:] > hundredth[:-1], True)]
    return last


# -- the prior -----------------------------------------------------------------------------------


def sample_curves(count: int, rng: np.random.Generator) -> tuple[FloatArray, FloatArray]:
    """Curves (count, LENGTH) without noise, drawn from the prior, and the noise of each (count,).

    y(x) = w_1 pow3(x) + w_2 ilog2(x) + w_3 janoschek(x) with weights from U(0, 1); what leaves
    [0, 1] or does not end above its beginning is drawn again. The noise is a standard deviation.

    >>> curves, noise = sample_curves(3, np.random.default_rng(0))
    >>> curves.shape, noise.shape, bool((curves[:, -1] > curves[:, 0]).all())
    ((3, 100), (3,), True)
    """
    x = np.arange(1.0, LENGTH + 1)
    kept: list[FloatArray] = []
    while sum(map(len, kept)) < count:
        shape = 2 * count, 1
        parts = (
            FAMILIES["pow3"](
                x,
                (
                    rng.uniform(0.0, 1.25, shape),
                    rng.uniform(-0.6, 0.6, shape),
                    rng.lognormal(0.0, 2.0, shape),
                ),
            ),
            FAMILIES["ilog2"](x, (rng.uniform(0.0, 1.0, shape), rng.uniform(-0.5, 0.5, shape))),
            FAMILIES["janoschek"](
                x,
                (
                    rng.uniform(0.0, 1.0, shape),
                    rng.uniform(0.0, 2.0, shape),
                    rng.lognormal(-2.0, 1.0, shape),
                    rng.lognormal(0.0, 0.5, shape),
                ),
            ),
        )
        weights = rng.uniform(0.0, 1.0, (len(parts), *shape))
        curves = (weights * np.stack(parts)).sum(axis=0)
        inside = (curves.min(axis=1) >= 0) & (curves.max(axis=1) <= 1)
        kept.append(curves[inside & (curves[:, -1] > curves[:, 0])])
    return np.concatenate(kept)[:count], rng.lognormal(-4.0, 1.0, count)


def observed(curves: FloatArray, noise: FloatArray, rng: np.random.Generator) -> FloatArray:
    """The curves (n, epochs) with noise (n,), kept within [0, 1] as an accuracy is."""
    noisy: FloatArray = (curves + noise[:, None] * rng.standard_normal(curves.shape)).clip(0, 1)
    return noisy


# -- the bar distribution ------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class BarDistribution:
    """Distributions on [0, 1] that are constant within each of BUCKETS equal parts.

    ``masses`` (..., BUCKETS) are the probabilities of the parts.

    >>> even = BarDistribution(np.full(BUCKETS, 1 / BUCKETS))
    >>> float(even.mean().round(9)), float(even.quantile(0.9).round(9))
    (0.5, 0.9)
    """

    masses: FloatArray

    def mean(self) -> FloatArray:
        """(...)"""
        means: FloatArray = self.masses @ ((np.arange(BUCKETS) + 0.5) / BUCKETS)
        return means

    def survival(self) -> FloatArray:
        """p(y > edge), (..., BUCKETS + 1), of the edges between and around the parts."""
        above = np.cumsum(self.masses[..., ::-1], axis=-1)[..., ::-1]
        return np.concatenate([above, 0 * above[..., :1]], axis=-1).clip(0.0, 1.0)

    def quantile(self, share: float) -> FloatArray:
        """The value (...) that a share of the mass lies below."""
        below = 1 - self.survival()
        bucket = ((below <= share).sum(axis=-1) - 1).clip(0, BUCKETS - 1)[..., None]
        start, mass = (np.take_along_axis(a, bucket, axis=-1)[..., 0] for a in (below, self.masses))
        value: FloatArray = (bucket[..., 0] + (share - start) / mass) / BUCKETS
        return value

    def log_density(self, y: FloatArray) -> FloatArray:
        """ln p(y), (...), of values (...) in [0, 1]."""
        bucket = np.minimum((y * BUCKETS).astype(np.intp), BUCKETS - 1)[..., None]
        density: FloatArray = np.log(np.take_along_axis(self.masses, bucket, -1)[..., 0] * BUCKETS)
        return density


# -- the network ---------------------------------------------------------------------------------


def weight_shapes() -> dict[str, tuple[int, ...]]:
    """The shape of each array of weights, by its name; a matrix is (inputs, outputs)."""
    shapes: dict[str, tuple[int, ...]] = {
        "known": (3, WIDTH),
        "known_bias": (WIDTH,),
        "asked": (2, WIDTH),
        "asked_bias": (WIDTH,),
    }
    for k in range(LAYERS):
        shapes |= {
            f"{k}.attention_norm": (2, WIDTH),  # scale and shift
            f"{k}.query": (WIDTH, WIDTH),
            f"{k}.key": (WIDTH, WIDTH),
            f"{k}.value": (WIDTH, WIDTH),
            f"{k}.merge": (WIDTH, WIDTH),
            f"{k}.feed_norm": (2, WIDTH),
            f"{k}.up": (WIDTH, HIDDEN),
            f"{k}.up_bias": (HIDDEN,),
            f"{k}.down": (HIDDEN, WIDTH),
            f"{k}.down_bias": (WIDTH,),
        }
    return shapes | {"norm": (2, WIDTH), "out": (WIDTH, BUCKETS), "out_bias": (BUCKETS,)}


@dataclass(frozen=True, eq=False)
class Network:
    """The transformer: reads points of a curve, in any order, and says what others will be.

    Known points attend to each other, asked ones to the known; nothing else says where in a curve
    a point is. Layers are normalised at their beginning, and computed in float64.
    """

    weights: Mapping[str, FloatArray]
    header: Mapping[str, Any]  # how it was trained

    @classmethod
    @functools.cache
    def load(cls, path: Path = WEIGHTS) -> Network:
        """A network that was saved; the one that is part of the package unless told otherwise."""
        with np.load(path, allow_pickle=False) as arrays:
            header = json.loads(str(arrays["header"]))
            return cls({name: arrays[name].astype(np.float64) for name in weight_shapes()}, header)

    def save(self, path: Path) -> None:
        """Write the weights, in half precision, and the header."""
        arrays: dict[str, Any] = {
            name: array.astype(np.float16) for name, array in self.weights.items()
        }
        np.savez_compressed(path, header=np.array(json.dumps(dict(self.header))), **arrays)

    def __call__(self, x: FloatArray, y: FloatArray, asked: FloatArray) -> BarDistribution:
        """The distribution of (runs, asked) values after the epochs ``asked``, given the values
        ``y`` (runs, known) after the epochs ``x`` (known,), of curves of LENGTH epochs."""
        masses = np.empty((len(y), len(asked), BUCKETS))
        for at in range(0, len(y), CHUNK):
            masses[at : at + CHUNK] = self._masses(x, y[at : at + CHUNK], asked)
        return BarDistribution(masses)

    def _masses(self, x: FloatArray, y: FloatArray, asked: FloatArray) -> FloatArray:
        w = self.weights
        n, known = y.shape
        points = np.concatenate([np.broadcast_to(place(x), (n, known, 2)), y[:, :, None]], axis=2)
        questions = np.broadcast_to(place(asked) @ w["asked"], (n, len(asked), WIDTH))
        z = np.concatenate(
            [points @ w["known"] + w["known_bias"], questions + w["asked_bias"]], axis=1
        )
        for k in range(LAYERS):
            normal = _normal(z, w[f"{k}.attention_norm"])
            query = _heads(normal @ w[f"{k}.query"])
            key, value = (_heads(normal[:, :known] @ w[f"{k}.{name}"]) for name in ("key", "value"))
            weight = _softmax(query @ key.swapaxes(2, 3) / np.sqrt(WIDTH / HEADS))
            z = z + (weight @ value).swapaxes(1, 2).reshape(z.shape) @ w[f"{k}.merge"]
            up = _normal(z, w[f"{k}.feed_norm"]) @ w[f"{k}.up"] + w[f"{k}.up_bias"]
            z = z + np.maximum(up, 0.0) @ w[f"{k}.down"] + w[f"{k}.down_bias"]
        logits = _normal(z[:, known:], w["norm"]) @ w["out"] + w["out_bias"]
        return _softmax(logits)


def place(x: FloatArray) -> FloatArray:
    """Epochs (k,) as the network reads them, (k, 2): a share of LENGTH, and of its logarithm."""
    within = np.maximum(x, 1.0)  # the first hundredth of a longer curve may be less
    return np.stack([within / LENGTH, np.log(within) / np.log(LENGTH)], axis=-1)


def _normal(z: FloatArray, scale_and_shift: FloatArray) -> FloatArray:
    centred = z - z.mean(axis=-1, keepdims=True)
    deviation = np.sqrt((centred**2).mean(axis=-1, keepdims=True) + 1e-5)
    normal: FloatArray = centred / deviation * scale_and_shift[0] + scale_and_shift[1]
    return normal


def _heads(z: FloatArray) -> FloatArray:
    """(runs, points, WIDTH) as (runs, HEADS, points, WIDTH / HEADS)."""
    return z.reshape(*z.shape[:2], HEADS, WIDTH // HEADS).swapaxes(1, 2)


def _softmax(logits: FloatArray) -> FloatArray:
    masses = np.exp(logits - logits.max(axis=-1, keepdims=True))
    shares: FloatArray = masses / masses.sum(axis=-1, keepdims=True)
    return shares
