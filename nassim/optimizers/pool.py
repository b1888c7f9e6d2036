"""Searches that rank a pool: all candidates of a table, or a sample of a space.

What the simple transfer methods share of asking and telling; what they share of learning is in
``nassim.optimizers.sources``.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence

import numpy as np

from nassim.optimizers.base import Candidates, failed_as_worst
from nassim.records import Architecture, FloatArray, IntArray
from nassim.spaces.base import Space

__all__ = ["BestFirst", "Pool", "PoolSearch"]

_PATIENCE = 1_000  # draws in a row that are in the pool already: the space is all but exhausted


class Pool:
    """The architectures that a search ranks, each at a position from 0.

    Of a table these are all candidates, each at its number. Without a table they are
    ``architectures`` (such as what was good on other datasets) and ``sample`` others, drawn
    uniformly from the space; isomorphic ones are in it once. Nothing else is proposed then: a
    search ends when its pool is used up.

    >>> from nassim.spaces import get_space
    >>> space = get_space("nasbench201_3nodes")
    >>> elsewhere = [space.architecture((0, 0, 3)), space.architecture((0, 1, 3))]
    >>> pool = Pool(Candidates(space=space), elsewhere, 10, np.random.default_rng(0))
    >>> len(pool.architectures), pool.number(5), pool.number(0)
    (12, 0, 1)
    """

    def __init__(
        self,
        candidates: Candidates,
        architectures: Iterable[Architecture],
        sample: int,
        rng: np.random.Generator,
    ) -> None:
        self._candidates = candidates
        if candidates.space is None:
            self.architectures: Sequence[Architecture] = candidates.architectures
        else:
            self.architectures = _drawn(candidates.space, architectures, sample, rng)

    def number(self, position: int) -> int:
        """The number of the candidate at a position; without a table, it is named with this."""
        if self._candidates.space is None:
            return position
        number = self._candidates.number(self.architectures[position])
        assert number is not None  # any architecture has one where there is no table
        return number


def _drawn(
    space: Space, architectures: Iterable[Architecture], sample: int, rng: np.random.Generator
) -> list[Architecture]:
    pool = {architecture.canonical_id: architecture for architecture in architectures}
    size = len(pool) + sample
    misses = 0
    while len(pool) < size and misses < _PATIENCE:
        architecture = space.sample(rng)
        misses = misses + 1 if architecture.canonical_id in pool else 0
        pool.setdefault(architecture.canonical_id, architecture)
    return list(pool.values())


class PoolSearch(ABC):
    """Proposes one architecture of a pool after the other, as :meth:`choose` says."""

    listens = True

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._left = np.ones(len(pool.architectures), bool)
        self._positions: dict[int, int] = {}  # of what was proposed, by its number
        self._told: dict[int, float] = {}  # the latest value of each position

    @abstractmethod
    def choose(self, left: IntArray) -> int:
        """The position to propose next, one of ``left`` (ascending, not empty)."""

    def ask(self, count: int) -> list[int]:
        asked: list[int] = []
        while len(asked) < count and self._left.any():
            position = int(self.choose(np.flatnonzero(self._left)))
            self._left[position] = False
            number = self._pool.number(position)
            self._positions[number] = position
            asked.append(number)
        return asked

    def tell(self, run: int, epoch: int, value: float) -> None:
        self._told[self._positions[run]] = value

    def told(self) -> tuple[IntArray, FloatArray]:
        """Positions and values of what was told, (told,) each, in the order of the first reports.

        Where nothing was measured (-inf), the worst value of the others stands; if there is no
        other, nothing was told.
        """
        values = np.array(list(self._told.values()))
        if not np.isfinite(values).any():
            return np.zeros(0, np.intp), np.zeros(0)
        return np.array(list(self._told)), failed_as_worst(values)


class BestFirst(PoolSearch):
    """By descending score, (architectures of the pool,); the first among equals."""

    listens = False

    def __init__(self, pool: Pool, scores: FloatArray) -> None:
        super().__init__(pool)
        self._scores = scores

    def choose(self, left: IntArray) -> int:
        return int(left[self._scores[left].argmax()])
