"""Random search: candidates in a random order, none twice."""

from __future__ import annotations

import numpy as np

from nassim.optimizers.base import Candidates, Optimizer, Search
from nassim.spaces.base import Space

__all__ = ["RandomSearch"]

_PATIENCE = 1_000  # draws in a row that were proposed before: the space is all but exhausted


class RandomSearch(Optimizer):
    """Uniform without replacement; without a table, uniform over the decisions of the space.

    >>> import numpy as np
    >>> from nassim.spaces import get_space
    >>> stored = Candidates([get_space("table").parse(name) for name in "abcde"])
    >>> search = RandomSearch().begin(stored, np.random.default_rng(0))
    >>> search.ask(2), search.ask(9)
    ([2, 4], [3, 0, 1])
    """

    def begin(self, candidates: Candidates, rng: np.random.Generator) -> Search:
        if candidates.space is not None:
            return _Draws(candidates, candidates.space, rng)
        return _Permutation(rng.permutation(len(candidates)).tolist())


class _Permutation:
    listens = False

    def __init__(self, order: list[int]) -> None:
        self._order = order
        self._position = 0

    def ask(self, count: int) -> list[int]:
        asked = self._order[self._position : self._position + count]
        self._position += len(asked)
        return asked

    def tell(self, run: int, epoch: int, value: float) -> None:
        return


class _Draws:
    listens = False

    def __init__(self, candidates: Candidates, space: Space, rng: np.random.Generator) -> None:
        self._candidates = candidates
        self._space = space
        self._rng = rng
        self._asked: set[int] = set()

    def ask(self, count: int) -> list[int]:
        asked: list[int] = []
        misses = 0
        while len(asked) < count and misses < _PATIENCE:
            number = self._candidates.number(self._space.sample(self._rng))
            if number is None or number in self._asked:
                misses += 1
                continue
            self._asked.add(number)
            asked.append(number)
            misses = 0
        return asked

    def tell(self, run: int, epoch: int, value: float) -> None:
        return
