"""Source datasets on one scale, and a linear model of architectures on it.

What the simple transfer methods share of learning; see ``docs/methods/simple_transfer.md``.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from nassim.encodings import FeatureEncoder
from nassim.errors import InputError
from nassim.ranking.correlation import ranks
from nassim.records import Architecture, FloatArray, Sources, SourceTask

__all__ = [
    "SCALES",
    "LinearModel",
    "ModelledSources",
    "SourceValues",
    "all_architectures",
    "fitted",
    "gaussian_ranks",
    "ranks_from_best",
    "source_values",
    "winsorised_normal",
    "zscore",
]

ALPHAS = tuple(10.0**k for k in range(-1, 5))  # penalties that cross-validation chooses from
DIGITS = 6  # of predictions, so that other processors' last bits change no decision

Scale = Callable[[FloatArray], FloatArray]
Learned = TypeVar("Learned")
_Name = tuple[str, str]  # space and canonical id: isomorphic architectures are the same one


# -- scales --------------------------------------------------------------------------------------


def zscore(values: FloatArray) -> FloatArray:
    """Mean 0 and standard deviation 1; zeros where all values are equal.

    >>> zscore(np.array([1.0, 3.0])), zscore(np.array([2.0, 2.0]))
    (array([-1.,  1.]), array([0., 0.]))
    """
    deviation = values.std()
    scaled: FloatArray = (values - values.mean()) / (deviation if deviation > 1e-12 else math.inf)
    return scaled


def gaussian_ranks(values: FloatArray) -> FloatArray:
    """Normal quantiles of the ranks, (rank - 1/2) / n; equal values share their mean rank.

    >>> gaussian_ranks(np.array([5.0, 9.0, 7.0])).round(2)
    array([-0.97,  0.97,  0.  ])
    """
    from scipy.special import ndtri

    quantiles: FloatArray = ndtri((ranks(values) - 0.5) / len(values))
    return quantiles


def winsorised_normal(values: FloatArray) -> FloatArray:
    """Normal quantiles of the empirical distribution function, as in a Gaussian copula.

    With F the share of values that are at most y, z = Phi^-1(F cut to [d, 1 - d]) and
    d = 1 / (4 n^(1/4) sqrt(pi ln n)) (Salinas et al. 2020).

    >>> winsorised_normal(np.array([0.9, 0.5, 0.7, 0.7])).round(2)
    array([ 1.37, -0.67,  0.67,  0.67])
    """
    from scipy.special import ndtri

    n = len(values)
    if n < 2:
        return np.zeros(n)  # ln 1 = 0
    margin = 1 / (4 * n**0.25 * math.sqrt(math.pi * math.log(n)))
    shares = np.searchsorted(np.sort(values), values, side="right") / n
    quantiles: FloatArray = ndtri(np.clip(shares, margin, 1 - margin))
    return quantiles


def unscaled(values: FloatArray) -> FloatArray:
    """The values themselves."""
    return values


SCALES: dict[str, Scale] = {"zscore": zscore, "rank": gaussian_ranks, "none": unscaled}


def ranks_from_best(values: FloatArray) -> FloatArray:
    """Ranks within each row of (datasets, n), 1 for the highest; equal values share their mean.

    >>> ranks_from_best(np.array([[0.9, 0.5, 0.9]]))
    array([[1.5, 3. , 1.5]])
    """
    return np.array([ranks(-row) for row in values])


# -- what is known of the sources ----------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class SourceValues:
    """The architectures of a source, each once, and how good they are, (architectures,)."""

    architectures: tuple[Architecture, ...]
    values: FloatArray

    @classmethod
    def of(cls, task: SourceTask, scale: Scale = unscaled) -> SourceValues:
        """The mean quality of each architecture over its runs, on a scale.

        Isomorphic architectures are one.
        """
        found: dict[_Name, tuple[Architecture, list[float]]] = {}
        for architecture, value in zip(task.architectures, task.values.tolist(), strict=True):
            found.setdefault(_name(architecture), (architecture, []))[1].append(value)
        means = np.array([np.mean(values) for _, values in found.values()])
        return cls(tuple(architecture for architecture, _ in found.values()), scale(means))

    def best_first(self) -> list[Architecture]:
        """From the best to the worst; the first among equals."""
        order = np.argsort(-self.values, kind="stable")
        return [self.architectures[k] for k in order]

    def completed(self, architectures: Sequence[Architecture], guesses: FloatArray) -> FloatArray:
        """(architectures,) what they are worth here, and a guess where they were not trained."""
        value_of = dict(zip(map(_name, self.architectures), self.values.tolist(), strict=True))
        return np.array(
            [
                value_of.get(_name(architecture), guess)
                for architecture, guess in zip(architectures, guesses.tolist(), strict=True)
            ]
        )


def source_values(sources: Sources, method: str, scale: Scale = unscaled) -> list[SourceValues]:
    """The values of each source.

    Raises
    ------
    InputError
        if there is no source, naming the method.
    """
    if not sources.tasks:
        raise InputError(
            f"{method} was given no source dataset, and has nothing else to learn from. Use a "
            "store with at least two datasets, or 'random'."
        )
    return [SourceValues.of(task, scale) for task in sources.tasks]


def fitted(learned: Learned | None, method: str) -> Learned:
    """What a method learned in ``fit``; an InputError if it was not fitted."""
    if learned is None:
        raise InputError(f"{method} must be fitted on source datasets before it can search.")
    return learned


def _name(architecture: Architecture) -> _Name:
    return architecture.space, architecture.canonical_id


# -- the model -----------------------------------------------------------------------------------


def all_architectures(tables: Sequence[SourceValues]) -> tuple[Architecture, ...]:
    """The architectures of all sources, one source after the other."""
    return tuple(architecture for table in tables for architecture in table.architectures)


@dataclass(frozen=True, eq=False)
class LinearModel:
    """Ridge regression on features of architectures, each standardised.

    ``rows`` (n, features) and ``targets`` (n,) are what it was fitted to; features have the means
    ``center`` and the deviations ``spread`` there. ``penalty`` was chosen by leave-one-out
    cross-validation; ``residual`` is the standard deviation of the errors on what it was fitted to.
    """

    rows: FloatArray
    targets: FloatArray
    center: FloatArray
    spread: FloatArray
    penalty: float
    coefficients: FloatArray
    intercept: float
    residual: float

    @classmethod
    def fit(cls, rows: FloatArray, targets: FloatArray) -> LinearModel:
        """The model of (n,) targets from (n, features) features.

        >>> model = LinearModel.fit(np.array([[0.0], [1.0], [2.0], [3.0]]), np.arange(4.0))
        >>> model.predict(np.array([[1.5]]))
        array([1.5])
        """
        from sklearn.linear_model import RidgeCV

        center, spread = rows.mean(axis=0), rows.std(axis=0)
        spread = np.where(spread > 0, spread, 1.0)
        if len(rows) < 3:  # too few to leave one out: the mean
            coefficients, intercept, penalty = np.zeros(rows.shape[1]), targets.mean(), 1.0
        else:
            model = RidgeCV(alphas=ALPHAS).fit((rows - center) / spread, targets)
            coefficients, intercept, penalty = model.coef_, model.intercept_, model.alpha_
        first = cls(
            *(rows, targets, center, spread, float(penalty), coefficients, float(intercept), 0.0)
        )
        residual = float((targets - first.predict(rows)).std())
        return dataclasses.replace(first, residual=residual)

    def predict(self, rows: FloatArray) -> FloatArray:
        """(n,) of (n, features)."""
        standard = (rows - self.center) / self.spread
        predicted: FloatArray = np.round(standard @ self.coefficients + self.intercept, DIGITS)
        return predicted

    def updated(self, rows: FloatArray, values: FloatArray, weight: float) -> LinearModel:
        """The model after some values of the target, each as heavy as ``weight`` of the sources'.

        A search tells first of what it believes in, not of a random sample, so the values (on any
        scale) are moved to the mean of what this model predicts of them, and scaled to the
        deviation that it expects: of its predictions and its residuals together.
        """
        from sklearn.linear_model import Ridge

        predicted = self.predict(rows)
        expected = math.hypot(float(predicted.std()), self.residual)
        targets = predicted.mean() + expected * zscore(values)
        model = Ridge(alpha=self.penalty, solver="cholesky").fit(
            (np.concatenate([self.rows, rows]) - self.center) / self.spread,
            np.concatenate([self.targets, targets]),
            np.repeat([1.0, weight], [len(self.rows), len(rows)]),
        )
        return dataclasses.replace(self, coefficients=model.coef_, intercept=model.intercept_)


@dataclass(frozen=True, eq=False)
class ModelledSources:
    """Each source with a linear model of its own, for architectures that it does not have."""

    tables: tuple[SourceValues, ...]
    encoder: FeatureEncoder
    models: tuple[LinearModel, ...]

    @classmethod
    def fit(cls, sources: Sources, method: str) -> ModelledSources:
        """Standardised qualities, and a model of those of each source.

        Raises
        ------
        InputError
            if there is no source, naming the method.
        """
        tables = source_values(sources, method, zscore)
        encoder = FeatureEncoder.fit(all_architectures(tables))
        models = (LinearModel.fit(encoder.encode(t.architectures), t.values) for t in tables)
        return cls(tuple(tables), encoder, tuple(models))

    @property
    def architectures(self) -> tuple[Architecture, ...]:
        """Those of all sources, one source after the other."""
        return all_architectures(self.tables)

    def values(self, architectures: Sequence[Architecture]) -> FloatArray:
        """(sources, architectures): the quality on a source, or what its model predicts."""
        rows = self.encoder.encode(architectures)
        return np.array(
            [
                table.completed(architectures, model.predict(rows))
                for table, model in zip(self.tables, self.models, strict=True)
            ]
        )
