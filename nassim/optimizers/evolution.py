"""Regularized evolution (Real, Aggarwal, Huang & Le, AAAI 2019, arXiv 1802.01548).

The search that found AmoebaNet: a population of fixed size in order of age. Each cycle draws a
sample of it, mutates the best of the sample, and lets the *oldest* die, even if it is the best:
only what is re-discovered by training again stays, not what was lucky once.

Where this differs from the paper:

- population 20 and sample 5 instead of 100 and 25: budgets here are 33 to 100 evaluations, which
  the paper's first population would use up at random.
- A mutation changes one decision, drawn uniformly, to another of its values. In the NASNet space
  half of the decisions are inputs and half operations, as with the paper's two mutations; its
  third one, no change at all (0.05), is left out, since a table gives the same answer twice.
- In a table, a child is led to the nearest candidate that is left. The mean distance is noted;
  where it is large (200 architectures of 40 decisions), children are hardly like their parents,
  and this is hardly more than random search: a property of the table, not of evolution.
- Several workers: an architecture joins the population, as the youngest, when it is first reported;
  while the population is not full, proposals are random.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from typing import ClassVar

import numpy as np

from nassim.errors import InputError
from nassim.optimizers.base import Candidates, Optimizer, Search
from nassim.optimizers.proposals import Proposals
from nassim.options import check_count

__all__ = ["Evolution"]


class Evolution(Optimizer):
    """Regularized evolution: mutate the best of a sample, let the oldest die.

    Parameters
    ----------
    population
        Architectures alive. 20 is ours (paper: 100).
    sample
        How many of them, drawn with replacement, compete to be the parent. 5 is ours (paper: 25).

    Raises
    ------
    InputError
        if an option is below 1, or the sample is larger than the population.

    >>> from nassim.spaces import get_space
    >>> space = get_space("nasbench201")
    >>> free = Candidates(space=space)
    >>> search = Evolution(population=2, sample=2).begin(free, np.random.default_rng(0))
    >>> for run in search.ask(2):
    ...     search.tell(run, 1, [0.1, 0.9][run])
    >>> _ = search.ask(1)
    >>> [architecture.decisions for architecture in free.architectures][1:]
    [(0, 0, 0, 4, 3, 4), (0, 0, 0, 4, 3, 2)]
    """

    quick_options: ClassVar[Mapping[str, object]] = {"population": 6, "sample": 3}

    def __init__(self, population: int = 20, sample: int = 5) -> None:
        self.population = check_count("population", population)
        self.sample = check_count("sample", sample)
        if sample > population:
            raise InputError(
                f"Option sample is {sample}, of a population of {population}; expected at most "
                "the population."
            )

    def begin(self, candidates: Candidates, rng: np.random.Generator) -> Search:
        return _Evolving(self, candidates, rng)


class _Evolving:
    listens = True

    def __init__(
        self, options: Evolution, candidates: Candidates, rng: np.random.Generator
    ) -> None:
        self._options = options
        self._rng = rng
        self._proposals = Proposals(candidates, rng)
        self._alive: deque[int] = deque()  # the oldest first
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
            if len(self._alive) > self._options.population:
                self._alive.popleft()
        self._value[run] = value

    def _next(self) -> int | None:
        if len(self._alive) < self._options.population:
            return self._proposals.random()
        drawn = self._rng.integers(len(self._alive), size=self._options.sample)
        parent = max((self._alive[k] for k in drawn.tolist()), key=self._value.__getitem__)
        return self._proposals.child(parent)
