"""Large-Scale Evolution (Real et al., ICML 2017, arXiv 1703.01041): pairwise tournaments.

A worker draws two of the population, kills the worse, and puts a mutated copy of the better in its
place. The best never dies, unlike in regularized evolution, its successor. This is also the search
that TAPAS simulates on a predictor.

Where this differs from the paper:

- population 20 instead of 1,000: budgets here are 33 to 100 evaluations.
- A mutation changes one decision, drawn uniformly, to another of its values. The paper's act on
  layers of any network (insert, remove, widen, change a filter or a stride, add a skip) and on the
  learning rate; children inherit weights. Tables have neither.
- In a table, a child is led to the nearest candidate that is left; the mean distance is noted.
- Several workers: an architecture joins the population when it is first reported. Until as many as
  the population have been proposed, proposals are random; so they are while fewer than two are
  alive. The paper starts from a thousand copies of one trivial network instead.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import numpy as np

from nassim.optimizers.base import Candidates, Optimizer, Search
from nassim.optimizers.proposals import Proposals
from nassim.options import check_count

__all__ = ["Tournament"]


class Tournament(Optimizer):
    """Large-Scale Evolution: of two of the population, the worse dies, the better has a child.

    Parameters
    ----------
    population
        Architectures alive. 20 is ours (paper: 1,000).

    Raises
    ------
    InputError
        if the population is below 2.

    >>> from nassim.spaces import get_space
    >>> free = Candidates(space=get_space("nasbench201"))
    >>> search = Tournament(population=2).begin(free, np.random.default_rng(0))
    >>> for run in search.ask(2):
    ...     search.tell(run, 1, [0.1, 0.9][run])
    >>> _ = search.ask(1)
    >>> [architecture.decisions for architecture in free.architectures][1:]
    [(0, 0, 0, 4, 3, 4), (0, 0, 0, 4, 3, 2)]
    """

    quick_options: ClassVar[Mapping[str, object]] = {"population": 6}

    def __init__(self, population: int = 20) -> None:
        self.population = check_count("population", population, least=2)

    def begin(self, candidates: Candidates, rng: np.random.Generator) -> Search:
        return _Tournaments(self.population, candidates, rng)


class _Tournaments:
    listens = True

    def __init__(self, population: int, candidates: Candidates, rng: np.random.Generator) -> None:
        self._rng = rng
        self._proposals = Proposals(candidates, rng)
        self._at_random = population  # proposals still to be drawn at random
        self._alive: list[int] = []
        self._value: dict[int, float] = {}

    @property
    def notes(self) -> Mapping[str, float]:
        """The mean distance from a mutation to the candidate that was proposed for it."""
        return {"mean_distance": self._proposals.mean_distance}

    def ask(self, count: int) -> list[int]:
        asked = (self._next() for _ in range(count))
        return [number for number in asked if number is not None]

    def tell(self, run: int, epoch: int, value: float) -> None:
        if run not in self._value:
            self._alive.append(run)
        self._value[run] = value

    def _next(self) -> int | None:
        if self._at_random > 0 or len(self._alive) < 2:
            self._at_random -= 1
            return self._proposals.random()
        pair = [self._alive[k] for k in self._rng.choice(len(self._alive), 2, replace=False)]
        worse, better = sorted(pair, key=self._value.__getitem__)
        self._alive.remove(worse)
        return self._proposals.child(better)
