"""Best elsewhere: what was best on one dataset is trained on another.

The row that a method which transfers must beat, and the simplest such method: no model, no score of
what no source has trained.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from nassim.optimizers.base import Candidates, Optimizer, Remaining, Search
from nassim.optimizers.random_search import RandomSearch
from nassim.optimizers.sources import SourceValues, fitted, source_values
from nassim.records import Architecture, Sources

__all__ = ["BestElsewhere"]


class BestElsewhere(Optimizer):
    """Propose the best architecture of each source, then the second best of each, and so on.

    Sources take turns in a random order, so that many searches say what the best architecture of
    *some* other dataset is worth. Where it is no candidate, the nearest one that is left takes its
    place (see :class:`nassim.optimizers.base.Remaining`); ``notes`` of a search has the mean
    distance. When all sources' architectures have had their turn, the rest is in a random order.

    Raises
    ------
    InputError
        from ``fit``, if there is no source; in a search, if architectures that are no candidates
        have no decisions that tell which one is near.

    >>> from nassim.checks.worlds import small_world
    >>> world = small_world()
    >>> optimizer = BestElsewhere()
    >>> optimizer.fit(world.sources, seed=0)
    >>> candidates = Candidates(world.target.architectures)
    >>> search = optimizer.begin(candidates, np.random.default_rng(0))
    >>> search.ask(3), search.notes
    ([14, 12, 19], {'mean_distance': 0.31666666666666665})
    """

    uses_sources = True

    def __init__(self) -> None:
        self._tables: list[SourceValues] | None = None

    def fit(self, sources: Sources, seed: int) -> None:
        self._tables = source_values(sources, "BestElsewhere")

    def begin(self, candidates: Candidates, rng: np.random.Generator) -> Search:
        tables = fitted(self._tables, "BestElsewhere")
        return _Turns(
            candidates, [tables[k].best_first() for k in rng.permutation(len(tables))], rng
        )


class _Turns:
    listens = False

    def __init__(
        self,
        candidates: Candidates,
        rankings: list[list[Architecture]],
        rng: np.random.Generator,
    ) -> None:
        self.notes: dict[str, float] = {}
        self._candidates = candidates
        self._known = {(a.space, a.canonical_id): k for k, a in enumerate(candidates.architectures)}
        self._remaining = Remaining(candidates)
        self._turns = _in_turn(rankings)
        self._distances: list[float] = []
        self._asked: set[int] = set()
        self._rest = RandomSearch().begin(candidates, rng)

    def ask(self, count: int) -> list[int]:
        asked: list[int] = []
        while len(asked) < count and (number := self._next()) is not None:
            self._asked.add(number)
            self._remaining.take(number)
            asked.append(number)
        return asked

    def tell(self, run: int, epoch: int, value: float) -> None:
        return

    def _next(self) -> int | None:
        for architecture in self._turns:
            found = self._instead_of(architecture)
            if found is not None:
                self._distances.append(found[1])
                self.notes["mean_distance"] = float(np.mean(self._distances))
                return found[0]
        while rest := self._rest.ask(1):
            if rest[0] not in self._asked:
                return rest[0]
        return None

    def _instead_of(self, architecture: Architecture) -> tuple[int, float] | None:
        """The same architecture, or the nearest that is left, and its distance.

        None if the same one was proposed before, or nothing is left.
        """
        same = self._known.get((architecture.space, architecture.canonical_id))
        if same is None:
            return self._remaining.nearest(architecture)
        return None if same in self._asked else (same, 0.0)


def _in_turn(rankings: list[list[Architecture]]) -> Iterator[Architecture]:
    """The first of each ranking, then the second of each; isomorphic ones once."""
    seen: set[str] = set()
    for place in range(max(map(len, rankings))):
        for ranking in rankings:
            if place < len(ranking) and ranking[place].canonical_id not in seen:
                seen.add(ranking[place].canonical_id)
                yield ranking[place]
