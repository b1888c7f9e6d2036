"""Quantile Thompson sampling: a Gaussian copula of all sources, and draws from it.

Salinas, Shen & Perrone (ICML 2020, "A quantile-based approach for hyperparameter transfer
learning", arXiv 1909.13595). The qualities of each source become normal quantiles of their
empirical distribution, so that only their order matters; one regression predicts them; the next
architecture is the best in a draw from mean and deviation.

The body of the paper was not at hand. ``docs/methods/simple_transfer.md`` lists the differences.
"""

from __future__ import annotations

import numpy as np

from nassim.encodings import FeatureEncoder
from nassim.optimizers.base import Candidates, Optimizer, Search
from nassim.optimizers.pool import Pool, PoolSearch
from nassim.optimizers.sources import (
    LinearModel,
    all_architectures,
    fitted,
    source_values,
    winsorised_normal,
)
from nassim.options import check_count, check_number
from nassim.records import Architecture, FloatArray, IntArray, Sources

__all__ = ["Copula"]

HELD_OUT = 10  # one value in so many measures the deviation


class Copula(Optimizer):
    """Propose the best of a draw from N(prediction, deviation²), anew at each proposal.

    The deviation is that of the errors on a tenth of the values, held out at random; the model that
    predicts is then fitted to all.

    Parameters
    ----------
    update
        Whether values of the target are learned from too (ours), as normal quantiles among
        themselves.
    weight
        With ``update``, how many source values one of the target is as heavy as (ours).
    sample
        Without a table, architectures of the space that are ranked, besides the sources'.

    Raises
    ------
    InputError
        if an option is out of its range; from ``fit``, if there is no source.
    """

    uses_sources = True

    def __init__(self, update: bool = False, weight: float = 10.0, sample: int = 2000) -> None:
        self.update = update
        self.weight = check_number("weight", weight, above=0)
        self.sample = check_count("sample", sample)
        self._learned: (
            tuple[tuple[Architecture, ...], FeatureEncoder, LinearModel, float] | None
        ) = None

    def fit(self, sources: Sources, seed: int) -> None:
        tables = source_values(sources, "Copula", winsorised_normal)
        architectures = all_architectures(tables)
        encoder = FeatureEncoder.fit(architectures)
        rows = encoder.encode(architectures)
        targets = np.concatenate([table.values for table in tables])
        deviation = _held_out_deviation(rows, targets, np.random.default_rng(seed))
        self._learned = architectures, encoder, LinearModel.fit(rows, targets), deviation

    def begin(self, candidates: Candidates, rng: np.random.Generator) -> Search:
        elsewhere, encoder, model, deviation = fitted(self._learned, "Copula")
        pool = Pool(candidates, elsewhere, self.sample, rng)
        weight = self.weight if self.update else None
        return _Draws(pool, encoder.encode(pool.architectures), model, deviation, weight, rng)


def _held_out_deviation(rows: FloatArray, targets: FloatArray, rng: np.random.Generator) -> float:
    """Root mean squared error on a part; where it would be empty, the deviation of all values."""
    n = len(targets)
    if n < HELD_OUT:
        return float(targets.std())
    held_out, kept = np.split(rng.permutation(n), [n // HELD_OUT])
    model = LinearModel.fit(rows[kept], targets[kept])
    errors = targets[held_out] - model.predict(rows[held_out])
    return float(np.sqrt((errors**2).mean()))


class _Draws(PoolSearch):
    def __init__(
        self,
        pool: Pool,
        rows: FloatArray,
        model: LinearModel,
        deviation: float,
        weight: float | None,
        rng: np.random.Generator,
    ) -> None:
        super().__init__(pool)
        self.listens = weight is not None
        self._rows = rows
        self._model = model
        self._deviation = deviation
        self._weight = weight
        self._rng = rng

    def choose(self, left: IntArray) -> int:
        model = self._model
        positions, values = self.told()
        if self._weight is not None and len(positions):
            quantiles = winsorised_normal(values)
            model = model.updated(self._rows[positions], quantiles, self._weight)
        noise = self._deviation * self._rng.standard_normal(len(left))
        return int(left[(model.predict(self._rows[left]) + noise).argmax()])
