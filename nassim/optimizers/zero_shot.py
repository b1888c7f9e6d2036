"""Zero-shot: a sequence of architectures of which one is good on every source.

Sequential model-free hyperparameter tuning (A-SMFO, Wistuba, Schilling & Schmidt-Thieme, 2015,
"Sequential model-free hyperparameter tuning"). The next architecture is the one with which the best
rank so far, averaged over the sources, becomes the smallest: one that is good where those before it
are not. The target is never listened to.

The body of the paper was not at hand. ``docs/methods/simple_transfer.md`` lists the differences.
"""

from __future__ import annotations

import numpy as np

from nassim.optimizers.base import Candidates, Optimizer, Search
from nassim.optimizers.pool import Pool, PoolSearch
from nassim.optimizers.sources import ModelledSources, fitted, ranks_from_best
from nassim.options import check_count
from nassim.records import FloatArray, IntArray, Sources

__all__ = ["ZeroShot"]


class ZeroShot(Optimizer):
    """Propose greedily what adds most to the best ranks on the sources so far.

    Where an architecture was not trained on a source, ridge regression on this source stands in.
    When nothing that is left can improve a best rank, the rest is ranked anew.

    Parameters
    ----------
    sample
        Without a table, architectures of the space that are ranked, besides the sources'.

    Raises
    ------
    InputError
        if ``sample`` is no number of at least 1; from ``fit``, if there is no source.
    """

    uses_sources = True

    def __init__(self, sample: int = 2000) -> None:
        self.sample = check_count("sample", sample)
        self._learned: ModelledSources | None = None

    def fit(self, sources: Sources, seed: int) -> None:
        self._learned = ModelledSources.fit(sources, "ZeroShot")

    def begin(self, candidates: Candidates, rng: np.random.Generator) -> Search:
        learned = fitted(self._learned, "ZeroShot")
        pool = Pool(candidates, learned.architectures, self.sample, rng)
        return _Greedy(pool, learned.values(pool.architectures))


class _Greedy(PoolSearch):
    listens = False

    def __init__(self, pool: Pool, values: FloatArray) -> None:
        super().__init__(pool)
        self._values = values  # (sources, architectures of the pool)
        self._ranks = ranks_from_best(values)
        self._best: FloatArray = np.full((len(values), 1), np.inf)  # the best rank of each so far

    def choose(self, left: IntArray) -> int:
        ranks = self._ranks[:, left]
        if (ranks >= self._best).all():
            ranks = self._ranks[:, left] = ranks_from_best(self._values[:, left])
            self._best = np.full((len(ranks), 1), np.inf)
        chosen = int(np.minimum(ranks, self._best).mean(axis=0).argmin())
        self._best = np.minimum(self._best, ranks[:, [chosen]])
        return int(left[chosen])
