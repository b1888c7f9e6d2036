"""Average rank: the best architecture on average over the other datasets.

Ranks, not accuracies: an easy dataset, or one whose accuracies are far apart, counts no more than
another.
"""

from __future__ import annotations

import numpy as np

from nassim.encodings import FeatureEncoder
from nassim.optimizers.base import Candidates, Optimizer, Search
from nassim.optimizers.pool import BestFirst, Pool
from nassim.optimizers.sources import (
    LinearModel,
    SourceValues,
    all_architectures,
    fitted,
    ranks_from_best,
    source_values,
    zscore,
)
from nassim.options import check_count
from nassim.records import Sources

__all__ = ["AverageRank"]


class AverageRank(Optimizer):
    """Propose by the mean rank over the sources, the best first; equal values share their rank.

    Where an architecture was not trained on a source, ridge regression on the standardised
    qualities of all sources stands in. In a disjoint pool, this is all there is: the order is that
    of ``ridge``.

    Parameters
    ----------
    sample
        Without a table, architectures of the space that are ranked, besides the sources'.

    Raises
    ------
    InputError
        if ``sample`` is no number of at least 1; from ``fit``, if there is no source.

    >>> from nassim.checks.planted import planted_tasks
    >>> target, *others = planted_tasks(n=50, overlap=50, epochs=2)
    >>> optimizer = AverageRank()
    >>> optimizer.fit(Sources(tuple(others)), seed=0)
    >>> search = optimizer.begin(Candidates(target.architectures), np.random.default_rng(0))
    >>> bool(target.values[search.ask(10)].mean() > target.values.mean())
    True
    """

    uses_sources = True

    def __init__(self, sample: int = 2000) -> None:
        self.sample = check_count("sample", sample)
        self._learned: tuple[list[SourceValues], FeatureEncoder, LinearModel] | None = None

    def fit(self, sources: Sources, seed: int) -> None:
        tables = source_values(sources, "AverageRank", zscore)
        architectures = all_architectures(tables)
        encoder = FeatureEncoder.fit(architectures)
        targets = np.concatenate([table.values for table in tables])
        self._learned = tables, encoder, LinearModel.fit(encoder.encode(architectures), targets)

    def begin(self, candidates: Candidates, rng: np.random.Generator) -> Search:
        tables, encoder, model = fitted(self._learned, "AverageRank")
        pool = Pool(candidates, all_architectures(tables), self.sample, rng)
        guesses = model.predict(encoder.encode(pool.architectures))
        values = np.array([table.completed(pool.architectures, guesses) for table in tables])
        return BestFirst(pool, -ranks_from_best(values).mean(axis=0))
