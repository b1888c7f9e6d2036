"""Bounding box: random search among the decisions that the best of the other datasets took.

After Perrone, Shen, Seeger, Archambeau & Jenatton (NeurIPS 2019, "Learning search spaces for
Bayesian optimization: another view of hyperparameter transfer learning", arXiv 1909.12552): a
smaller search space, learned from what was best before. Decisions of an architecture are names
rather than numbers, so the box is a set of values for each of them.
"""

from __future__ import annotations

import functools
from collections.abc import Callable

import numpy as np

from nassim.errors import InputError
from nassim.optimizers.base import Candidates, Optimizer, Search, decisions_of
from nassim.optimizers.pool import BestFirst, Pool
from nassim.optimizers.sources import fitted, source_values
from nassim.options import check_count
from nassim.records import Architecture, IntArray, Sources
from nassim.spaces.base import Space

__all__ = ["BoundingBox"]

_PATIENCE = 1_000  # draws in a row that were proposed before, or are no architectures


class BoundingBox(Optimizer):
    """Random search within the box; on a table, by the number of decisions outside of it.

    The box has, for each decision, the values that the ``best`` architectures of each source took.
    Of a table, candidates in the box come first, then those with one decision outside, and so on,
    in a random order among equals. Without a table, decisions are drawn from the box, and from the
    whole space once the box is exhausted.

    Parameters
    ----------
    best
        Architectures of each source that span the box.

    Raises
    ------
    InputError
        if ``best`` is no number of at least 1; from ``fit``, if there is no source, or its
        architectures have no decisions.

    >>> from nassim.checks.worlds import small_world
    >>> optimizer = BoundingBox(best=1)
    >>> optimizer.fit(small_world().sources, seed=0)
    >>> [values.tolist() for values in optimizer.box[:4]]
    [[0, 1], [0, 3], [0, 1], [4]]
    """

    uses_sources = True

    def __init__(self, best: int = 1) -> None:
        self.best = check_count("best", best)
        self._box: list[IntArray] | None = None

    @property
    def box(self) -> list[IntArray]:
        """The values of each decision that are in the box, ascending."""
        return fitted(self._box, "BoundingBox")

    def fit(self, sources: Sources, seed: int) -> None:
        tables = source_values(sources, "BoundingBox")
        winners = [a for table in tables for a in table.best_first()[: self.best]]
        self._box = [np.unique(column) for column in decisions_of(winners).T]

    def begin(self, candidates: Candidates, rng: np.random.Generator) -> Search:
        if candidates.space is not None:
            return _Draws(candidates, candidates.space, self.box, rng)
        decisions = decisions_of(candidates.architectures)
        if decisions.shape[1] != len(self.box):
            raise InputError(
                f"Candidates have {decisions.shape[1]} decisions, those of the sources "
                f"{len(self.box)}; expected one space. Restrict the store to one with the option "
                "space."
            )
        outside = [~np.isin(*both) for both in zip(decisions.T, self.box, strict=True)]
        order = np.sum(outside, axis=0) + rng.random(len(decisions))  # ties: by chance
        return BestFirst(Pool(candidates, (), 0, rng), -order)


class _Draws:
    listens = False

    def __init__(
        self, candidates: Candidates, space: Space, box: list[IntArray], rng: np.random.Generator
    ) -> None:
        self._candidates = candidates
        self._space = space
        self._box = box
        self._rng = rng
        self._asked: set[int] = set()
        self._ways: list[Callable[[], Architecture | None]] = [
            self._from_box,
            functools.partial(space.sample, rng),
        ]

    def ask(self, count: int) -> list[int]:
        asked: list[int] = []
        while len(asked) < count and (number := self._next()) is not None:
            self._asked.add(number)
            asked.append(number)
        return asked

    def tell(self, run: int, epoch: int, value: float) -> None:
        return

    def _next(self) -> int | None:
        """What was not proposed before; None if the space is exhausted too."""
        while self._ways:
            for _ in range(_PATIENCE):
                architecture = self._ways[0]()
                if architecture is None:
                    continue
                number = self._candidates.number(architecture)
                if number is not None and number not in self._asked:
                    return number
            self._ways.pop(0)
        return None

    def _from_box(self) -> Architecture | None:
        """A draw from the box; None if there is no such architecture."""
        decisions = tuple(int(self._rng.choice(values)) for values in self._box)
        try:
            return self._space.architecture(decisions)
        except InputError:  # a graph without a path, say
            return None
