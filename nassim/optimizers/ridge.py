"""Ridge regression on accuracies that are standardised by dataset.

The bar for every method that transfers: no network, no tuning, no evaluation of the target.
Raw accuracies would teach which datasets are easy; standardised ones, which architectures are good.
"""

from __future__ import annotations

from typing import Literal

import numpy as np

from nassim.encodings import FeatureEncoder
from nassim.errors import unknown_name
from nassim.optimizers.base import Candidates, Optimizer, Search
from nassim.optimizers.pool import BestFirst, Pool, PoolSearch
from nassim.optimizers.sources import (
    SCALES,
    LinearModel,
    all_architectures,
    fitted,
    source_values,
)
from nassim.options import check_count, check_number
from nassim.records import Architecture, FloatArray, IntArray, Sources

__all__ = ["Ridge"]


class Ridge(Optimizer):
    """Propose by the prediction of a linear model of the other datasets.

    Parameters
    ----------
    normalise
        What is done to the qualities of each source before they are pooled: ``"zscore"``,
        ``"rank"`` (Gaussian ranks), or ``"none"``.
    update
        Whether values of the target are learned from too, at each proposal.
    weight
        With ``update``, how many source values one of the target is as heavy as (ours).
    sample
        Without a table, architectures of the space that are ranked, besides the sources'.

    Raises
    ------
    InputError
        if an option is out of its range; from ``fit``, if there is no source, with ``update`` too:
        a linear model of the first few values would be another method.

    >>> from nassim.checks.planted import planted_tasks
    >>> target, *others = planted_tasks(n=50, epochs=2)
    >>> optimizer = Ridge()
    >>> optimizer.fit(Sources(tuple(others)), seed=0)
    >>> search = optimizer.begin(Candidates(target.architectures), np.random.default_rng(0))
    >>> bool(target.values[search.ask(10)].mean() > target.values.mean())
    True
    """

    uses_sources = True

    def __init__(
        self,
        normalise: Literal["zscore", "rank", "none"] = "zscore",
        update: bool = False,
        weight: float = 10.0,
        sample: int = 2000,
    ) -> None:
        if normalise not in SCALES:
            raise unknown_name("option normalise", normalise, SCALES)
        self.normalise = normalise
        self.update = update
        self.weight = check_number("weight", weight, above=0)
        self.sample = check_count("sample", sample)
        self._learned: tuple[tuple[Architecture, ...], FeatureEncoder, LinearModel] | None = None

    def fit(self, sources: Sources, seed: int) -> None:
        tables = source_values(sources, "Ridge", SCALES[self.normalise])
        architectures = all_architectures(tables)
        encoder = FeatureEncoder.fit(architectures)
        targets = np.concatenate([table.values for table in tables])
        model = LinearModel.fit(encoder.encode(architectures), targets)
        self._learned = architectures, encoder, model

    def begin(self, candidates: Candidates, rng: np.random.Generator) -> Search:
        elsewhere, encoder, model = fitted(self._learned, "Ridge")
        pool = Pool(candidates, elsewhere, self.sample, rng)
        rows = encoder.encode(pool.architectures)
        if self.update:
            return _Updated(pool, rows, model, self.weight)
        return BestFirst(pool, model.predict(rows))


class _Updated(PoolSearch):
    def __init__(self, pool: Pool, rows: FloatArray, model: LinearModel, weight: float) -> None:
        super().__init__(pool)
        self._rows = rows
        self._model = model
        self._weight = weight

    def choose(self, left: IntArray) -> int:
        model = self._model
        positions, values = self.told()
        if len(positions):
            model = model.updated(self._rows[positions], values, self._weight)
        return int(left[model.predict(self._rows[left]).argmax()])
