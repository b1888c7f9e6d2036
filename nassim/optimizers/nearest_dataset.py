"""Nearest dataset: what was best on the source that ranks the target's first runs as it does.

Which dataset is the nearest is asked of the target's own evaluations (a rank correlation), not of
a description of the datasets.
"""

from __future__ import annotations

import numpy as np

from nassim.optimizers.base import Candidates, Optimizer, Search
from nassim.optimizers.pool import Pool, PoolSearch
from nassim.optimizers.sources import (
    ModelledSources,
    fitted,
    ranks_from_best,
)
from nassim.options import check_count
from nassim.ranking.correlation import spearman
from nassim.records import FloatArray, IntArray, Sources

__all__ = ["NearestDataset"]


class NearestDataset(Optimizer):
    """Propose the best remaining architecture of the source that agrees best with the target.

    Agreement is Spearman's correlation of the values told so far with those on the source. Until
    there are ``evaluations`` of them, or if none is defined (all values equal), the best on average
    over the sources is proposed. Where an architecture was not trained on a source, ridge
    regression on this source stands in.

    Parameters
    ----------
    evaluations
        Runs of the target that are told of before a source is chosen; it is chosen anew at each
        proposal. 5 is ours.
    sample
        Without a table, architectures of the space that are ranked, besides the sources'.

    Raises
    ------
    InputError
        if an option is no number of at least 1; from ``fit``, if there is no source.
    """

    uses_sources = True

    def __init__(self, evaluations: int = 5, sample: int = 2000) -> None:
        self.evaluations = check_count("evaluations", evaluations)
        self.sample = check_count("sample", sample)
        self._learned: ModelledSources | None = None

    def fit(self, sources: Sources, seed: int) -> None:
        self._learned = ModelledSources.fit(sources, "NearestDataset")

    def begin(self, candidates: Candidates, rng: np.random.Generator) -> Search:
        learned = fitted(self._learned, "NearestDataset")
        pool = Pool(candidates, learned.architectures, self.sample, rng)
        return _Search(pool, learned.values(pool.architectures), self.evaluations)


class _Search(PoolSearch):
    def __init__(self, pool: Pool, values: FloatArray, evaluations: int) -> None:
        super().__init__(pool)
        self._values = values  # (sources, architectures of the pool)
        self._average: FloatArray = -ranks_from_best(values).mean(axis=0)
        self._evaluations = evaluations

    def choose(self, left: IntArray) -> int:
        return int(left[self._scores()[left].argmax()])

    def _scores(self) -> FloatArray:
        positions, told = self.told()
        if len(positions) < self._evaluations:
            return self._average
        agreements = np.array([spearman(told, values[positions]) for values in self._values])
        if np.isnan(agreements).all():
            return self._average
        nearest: FloatArray = self._values[np.nanargmax(agreements)]
        return nearest
