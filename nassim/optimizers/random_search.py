"""Random search: the candidates in a random order, without replacement."""

from __future__ import annotations

import numpy as np

from nassim.optimizers.base import Optimizer, Search
from nassim.records import Architecture

__all__ = ["RandomSearch"]


class RandomSearch(Optimizer):
    """Uniform without replacement.

    >>> import numpy as np
    >>> search = RandomSearch().begin((None,) * 5, np.random.default_rng(0))
    >>> search.ask(2), search.ask(9)
    ([2, 4], [3, 0, 1])
    """

    def begin(self, architectures: tuple[Architecture, ...], rng: np.random.Generator) -> Search:
        return _Permutation(rng.permutation(len(architectures)).tolist())


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
