"""Extrapolation of learning curves by MCMC (Domhan, Springenberg & Hutter, IJCAI 2015).

A curve is a weighted sum of eleven parametric families plus noise,
y_x = sum_k w_k f_k(x; theta_k) + e, e ~ N(0, sigma^2). Its posterior is sampled with an
affine-invariant ensemble of walkers (Goodman & Weare 2010), and a run is stopped if
p(y_T > best so far) <= delta.

The body of the paper was not at hand: families, default values, priors and sampler follow the
authors' public code, from which ``docs/methods/domhan.md`` lists every difference.

How to read this file: the estimator; its posterior; the sampler.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from nassim.errors import InputError
from nassim.options import check_count
from nassim.records import FloatArray, Incumbent, IntArray, Prefixes, Sources
from nassim.terminators.base import Estimator
from nassim.terminators.families import FAMILIES, Family, accuracy_scale, fit_family

__all__ = ["Domhan", "Posterior", "plateau", "stretch_moves"]

MOST = 100.0  # what a family may predict for the last epoch, of an accuracy in [0, 1]
BALL = 1e-6  # deviation of the walkers' first positions
FIRST_WEIGHT = 10.0  # of each family; only ratios matter
LEAST_NOISE = 1e-4  # of the first positions: a perfect fit has none, and its density no end
RISE, RISING = 0.05, 5  # a curve begins where so many points are so far above its first
STRETCH = 2.0  # a walker moves by a factor of 1/2 to 2
CHUNK = 16_384  # numbers in an array that is worked on at a time: they stay in the cache


class Domhan(Estimator):
    """Stop a run if sampled extrapolations of its curve will not beat the incumbent.

    Parameters
    ----------
    delta
        Stop if p(better than the incumbent) <= delta.
    epochs
        ``"sparse"``, ``"every"``, or a tuple of epochs (see ``Estimator``); never before the 5th.
    families
        ``"all"`` eleven, or names joined by ``+``, as in ``"mmf+loglog_linear+hill3+log_power"``.
    walkers, steps, burn_in, thin
        Of the sampler: each step moves every walker, the first ``burn_in`` steps are thrown away,
        and every ``thin``-th of the others is kept. The authors' code: 100, 2500, 500, 10.

    Raises
    ------
    InputError
        if an option is out of its range, or curves have no bounds on both sides (a loss).
    """

    from_epoch = 5  # the largest families have four parameters
    needs_bounds = True
    quick_options: ClassVar[Mapping[str, object]] = {
        "families": "loglog_linear+ilog2",
        "walkers": 14,
        "steps": 20,
        "burn_in": 10,
    }

    def __init__(
        self,
        delta: float = 0.05,
        epochs: str | int | tuple[int, ...] = "sparse",
        families: str = "all",
        walkers: int = 100,
        steps: int = 600,
        burn_in: int = 300,
        thin: int = 10,
    ) -> None:
        super().__init__(delta, epochs)
        self.families = _chosen(families)
        least = 2 * _dimensions(self.families)
        self.walkers = check_count("walkers", walkers, least)
        if walkers % 2:
            raise InputError(
                f"Option walkers is {walkers}; expected an even number, for two halves of them "
                "move in turn."
            )
        self.steps = check_count("steps", steps)
        self.burn_in = check_count("burn_in", burn_in, 0)
        self.thin = check_count("thin", thin)
        if burn_in + thin > steps:
            raise InputError(
                f"Options burn_in={burn_in} and thin={thin} leave nothing of steps={steps}; "
                "expected burn_in + thin of at most steps."
            )
        self._seed = 0

    def fit(self, sources: Sources, seed: int) -> None:
        """Nothing is learned from other datasets; the seed is that of the sampler."""
        accuracy_scale(sources.metric, "Domhan")  # refuse before any search
        self._seed = seed

    def posterior(self, prefixes: Prefixes) -> Posterior:
        """Samples of what each run's curve will be after its last epoch.

        All runs of a batch are sampled side by side, with the same random numbers: what is said of
        a run depends neither on the others nor on its name, and equal curves are equally good.
        """
        low, width = accuracy_scale(prefixes.metric, "Domhan")
        n, epoch = prefixes.curves.shape
        kept = -(-(self.steps - self.burn_in) // self.thin) * self.walkers
        values, noise = np.full((2, n, kept), np.nan)
        used = np.zeros((n, len(self.families)), bool)
        accepted = np.full(n, np.nan)
        reasons = np.full(n, "", object)
        measured: NDArray[np.bool_] = np.logical_and.reduce(np.isfinite(prefixes.curves), axis=1)
        reasons[~measured] = "not every epoch was measured"
        if epoch < self.from_epoch:
            reasons[measured] = f"fewer than {self.from_epoch} epochs"
            measured[:] = False
        curves = (prefixes.curves - low) / width
        starts = [
            _Start.fit(self.families, curve, prefixes.max_epochs) if known else None
            for curve, known in zip(curves, measured, strict=True)
        ]
        for run, start in enumerate(starts):
            if start is not None:
                used[run] = start.used
        reasons[measured & ~used.any(axis=1)] = "no family fits"
        rows = np.flatnonzero(used.any(axis=1))
        chunk = max(1, CHUNK // (epoch * self.walkers // 2 or 1))
        for at in range(0, len(rows), chunk):
            part = rows[at : at + chunk]
            samples, accepted[part] = self._sample([s for s in (starts[k] for k in part) if s])
            values[part], noise[part] = low + width * samples[0], width * samples[1]
        best = np.where(measured, prefixes.curves.max(axis=1, initial=-np.inf), np.nan)
        return Posterior(values, noise, best, used, accepted, tuple(reasons.tolist()))

    def _sample(self, starts: Sequence[_Start]) -> tuple[FloatArray, FloatArray]:
        """(2, runs, samples) values of the last epoch and noise, (runs,) accepted moves."""
        rng = np.random.default_rng([self._seed, len(starts[0].x)])
        density = _Density.of(self.families, starts)
        centre = np.stack([start.position for start in starts], axis=1)[:, :, None]
        moves = np.stack([start.moves for start in starts], axis=1)[:, :, None]
        around = centre + BALL * moves * rng.standard_normal((len(centre), 1, self.walkers))
        kept, accepted = stretch_moves(
            density,
            np.where(density(around)[0] > -np.inf, around, centre),
            moves[:, :, 0].sum(axis=0),
            rng,
            self.steps,
            self.burn_in,
            self.thin,
        )
        steps, _, n, walkers = kept.shape
        return kept.transpose(1, 2, 0, 3).reshape(2, n, steps * walkers), accepted

    def estimate(self, prefixes: Prefixes) -> FloatArray:
        """(runs, 1 + 2 samples): the best value so far, sampled values after the last epoch, and
        the noise of each. NaN where nothing could be fitted; :meth:`posterior` says why."""
        posterior = self.posterior(prefixes)
        return np.concatenate([posterior.best[:, None], posterior.values, posterior.noise], axis=1)

    def score(self, estimates: FloatArray) -> FloatArray:
        """The mean of the sampled values after the last epoch, (runs,)."""
        values, _noise = np.split(estimates[:, 1:], 2, axis=1)
        scores: FloatArray = values.mean(axis=1)
        return scores

    def probability(self, estimates: FloatArray, incumbent: Incumbent) -> FloatArray:
        """p(m > m_max): the mean of 1 - Phi((m_max - f) / sigma) over the samples, (runs,).

        1 for a run that has been better already, NaN where nothing could be fitted.

        >>> estimates = np.array([[0.5, 0.6, 0.7, 0.1, 0.1], [0.9, 0.6, 0.7, 0.1, 0.1]])
        >>> Domhan().probability(estimates, Incumbent(0.7, estimates[0])).round(4)
        array([0.3293, 1.    ])
        """
        from scipy.special import ndtr

        best, (values, noise) = estimates[:, 0], np.split(estimates[:, 1:], 2, axis=1)
        p = ndtr((values - incumbent.value) / noise).mean(axis=1)
        answer: FloatArray = np.where((best > incumbent.value) & ~np.isnan(p), 1.0, p)
        return answer


@dataclass(frozen=True, eq=False)
class Posterior:
    """What is believed of some runs after their last epoch.

    ``values`` and ``noise`` are (runs, samples), in the units of the curves; ``best`` (runs,) is
    the best value so far; ``used`` (runs, families) says which families could be fitted;
    ``accepted`` (runs,) is the share of moves that the sampler accepted. Where nothing could be
    fitted they are NaN (or false), and ``reasons`` says why; else it is empty.
    """

    values: FloatArray
    noise: FloatArray
    best: FloatArray
    used: NDArray[np.bool_]
    accepted: FloatArray
    reasons: tuple[str, ...]


def _chosen(names: str) -> tuple[Family, ...]:
    chosen = tuple(FAMILIES) if names == "all" else tuple(str(names).split("+"))
    unknown = [name for name in chosen if name not in FAMILIES]
    if unknown or len(set(chosen)) < len(chosen):
        raise InputError(
            f"Option families is {names!r}; expected 'all', or different ones of "
            f"{', '.join(FAMILIES)}, joined by '+'."
        )
    return tuple(FAMILIES[name] for name in chosen)


def _dimensions(families: Sequence[Family]) -> int:
    """Parameters and weight of each family, and the noise."""
    return sum(len(family.parameters) + 1 for family in families) + 1


# -- the posterior -------------------------------------------------------------------------------


def plateau(curve: FloatArray) -> int:
    """Epochs to leave out at the beginning of a curve (epochs,) that does not rise at first.

    The first epoch from which 5 values in a row are more than 0.05 above the first value is the
    new beginning, if there is a 6th value after it; nothing is left out otherwise.

    >>> plateau(np.array([0.1, 0.1, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7]))
    3
    """
    above = curve - curve[0] > RISE
    for epoch in range(len(curve) - RISING):
        if above[epoch : epoch + RISING].all():
            return epoch
    return 0


def _recency(count: int) -> FloatArray:
    """Weights 10^(i/n), i = 0 ... n - 1: the last values count almost ten times the first."""
    weights: FloatArray = 10.0 ** (np.arange(count) / count)
    return weights


def _supported(middle: FloatArray, end: FloatArray) -> NDArray[np.bool_]:
    """The prior of a family, by its values after epochs 2 and T: no fall, nothing absurd."""
    inside: NDArray[np.bool_] = (middle <= end) & (end >= 0) & (end <= MOST)  # false for NaN
    return inside


@dataclass(frozen=True, eq=False)
class _Start:
    """Where the walkers of one run begin: families fitted one by one, with equal weights.

    ``x`` (epochs + 2,) holds the epochs since the curve began, 2 and the last one; ``y`` and
    ``weights`` (epochs,) what was measured, with weight 0 before it began. ``position`` (D,) is a
    point (parameters of all families, weights, noise), whose coordinates ``moves`` are sampled.
    The others belong to families that do not fit this run: their weight stays 0.
    """

    x: FloatArray
    y: FloatArray
    weights: FloatArray
    used: NDArray[np.bool_]
    position: FloatArray
    moves: NDArray[np.bool_]

    @classmethod
    def fit(cls, families: Sequence[Family], curve: FloatArray, max_epochs: int) -> _Start:
        cut = plateau(curve)
        x, y, weights = (
            np.arange(1.0, len(curve) - cut + 1),
            curve[cut:],
            _recency(len(curve) - cut),
        )
        ends = np.array([2.0, max_epochs - cut])
        fitted = [fit_family(family, x, y, weights) for family in families]
        used = np.zeros(len(families), bool)
        parameters, moves, predicted = [], [], []
        with np.errstate(all="ignore"):  # an infinite power may well be part of a finite curve
            for k, (family, found) in enumerate(zip(families, fitted, strict=True)):
                if found is not None:
                    used[k] = bool(_supported(*family(ends, found.tolist())))
                parameters.append(found if found is not None and used[k] else family.defaults)
                moves.append(np.full(len(family.parameters), used[k]))
                if used[k]:
                    predicted.append(family(x, parameters[k]))
        noise = float((y - np.mean(predicted, axis=0)).std()) if predicted else 1.0
        return cls(
            x=np.concatenate([np.ones(cut), x, ends]),
            y=curve,
            weights=np.concatenate([np.zeros(cut), weights]),
            used=used,
            position=np.concatenate(
                [*parameters, FIRST_WEIGHT * used, [min(max(noise, LEAST_NOISE), 0.5)]]
            ),
            moves=np.concatenate([*moves, used, [True]]),
        )


@dataclass(frozen=True, eq=False)
class _Density:
    """The logarithm of the posterior's density, up to a constant, for several runs at once.

    ``x`` is (epochs + 2, runs, 1), ``y`` and ``weights`` (epochs, runs, 1). Called with positions
    (D, runs, walkers) it returns (runs, walkers), and the curve's last value and the noise there,
    (2, runs, walkers). Arrays are worked on entry by entry and summed over their first axis only,
    so that the results for a run are the same bits whatever runs are beside it.
    """

    families: tuple[Family, ...]
    x: FloatArray
    y: FloatArray
    weights: FloatArray

    @classmethod
    def of(cls, families: tuple[Family, ...], starts: Sequence[_Start]) -> _Density:
        x, y, weights = (
            np.stack(arrays, axis=1)[:, :, None]
            for arrays in zip(*((start.x, start.y, start.weights) for start in starts), strict=True)
        )
        return cls(families, x, y, weights)

    def __call__(self, positions: FloatArray) -> tuple[FloatArray, FloatArray]:
        noise = positions[-1]
        shares = positions[-1 - len(self.families) : -1]
        supported = (noise > 0) & (noise < 1) & (shares >= 0).all(axis=0)
        total = np.zeros((len(self.x), *noise.shape))
        at = 0
        with np.errstate(all="ignore"):
            for family, share in zip(self.families, shares / shares.sum(axis=0), strict=True):
                values = family(self.x, positions[at : at + len(family.parameters)])
                supported &= _supported(values[-2], values[-1])
                total += np.multiply(values, share, out=values)
                at += len(family.parameters)
            squares = np.add.reduce(self.weights * (total[:-2] - self.y) ** 2, axis=0)
            weight = np.add.reduce(self.weights, axis=0)
            density = -squares / (2 * noise**2) - weight * np.log(noise)
        density = np.where(supported & ~np.isnan(density), density, -np.inf)
        return density, np.stack([total[-1], noise])


# -- the sampler ---------------------------------------------------------------------------------


def stretch_moves(
    density: Callable[[FloatArray], tuple[FloatArray, FloatArray]],
    start: FloatArray,
    dimensions: IntArray,
    rng: np.random.Generator,
    steps: int,
    burn_in: int,
    thin: int,
) -> tuple[FloatArray, FloatArray]:
    """Samples from the densities of several problems by an affine-invariant ensemble each.

    A step moves one half of the walkers, then the other: X to Y = X' + z (X - X'), where X' is a
    random walker of the other half and z ~ 1 / sqrt(z) on [1/2, 2]; Y is accepted with probability
    min(1, z^(d - 1) density(Y) / density(X)). All problems use the same random numbers.

    Parameters
    ----------
    density
        Of positions (D, problems, walkers): the logarithm of their density (problems, walkers),
        -inf where there is none, and what to keep of them (k, problems, walkers).
    start
        (D, problems, walkers), an even number of walkers, all where the density is not 0.
    dimensions
        (problems,) coordinates in which the walkers of a problem differ, d.

    Returns
    -------
    ``(kept, accepted)``: (steps kept, k, problems, walkers) and the share of all moves (problems,).
    """
    half = start.shape[-1] // 2
    positions = [start[..., :half].copy(), start[..., half:].copy()]
    states = [density(part) for part in positions]
    kept = []
    accepted = np.zeros(start.shape[1])
    for step in range(steps):
        for this in (0, 1):
            z = ((STRETCH - 1) * rng.random(half) + 1) ** 2 / STRETCH
            partner = rng.integers(half, size=half)
            chance = np.log1p(-rng.random(half))  # of a number in (0, 1]
            here, (was, keep) = positions[this], states[this]
            other = positions[1 - this][..., partner]
            proposed = other + z * (here - other)
            now, new_keep = density(proposed)
            take = chance < (dimensions[:, None] - 1) * np.log(z) + now - was
            accepted += take.sum(axis=1)
            positions[this] = np.where(take, proposed, here)
            states[this] = np.where(take, now, was), np.where(take, new_keep, keep)
        if step >= burn_in and (step - burn_in) % thin == 0:
            kept.append(np.concatenate([states[0][1], states[1][1]], axis=-1))
    return np.stack(kept), accepted / (2 * half * steps)
