"""Where methods that make up architectures get theirs: at random, or by a mutation of a parent."""

from __future__ import annotations

import numpy as np

from nassim.errors import InputError
from nassim.optimizers.base import Candidates, Remaining, space_of
from nassim.records import Architecture
from nassim.spaces.base import Space

__all__ = ["Proposals", "mutate"]

_PATIENCE = 1_000  # draws in a row that were proposed before: the space is all but exhausted
_MUTATIONS = 100  # of one parent that were proposed before: there may be no other


def mutate(space: Space, parent: Architecture, rng: np.random.Generator) -> Architecture:
    """Another architecture, of which one decision has another legal value.

    The decision is drawn uniformly, and so is its value among the others. Where a space refuses
    the result, another is drawn; where the result is the parent itself (a vertex that leads
    nowhere), one more decision is changed.

    >>> from nassim.spaces import get_space
    >>> space = get_space("nasbench201")
    >>> parent = space.architecture((0,) * 6)
    >>> mutate(space, parent, np.random.default_rng(0)).decisions
    (0, 0, 0, 0, 0, 3)
    """
    free = [position for position, choices in enumerate(space.n_choices) if choices > 1]
    if not free:
        raise InputError(
            f"Space {space.name!r} has no decision that could be another; expected a search space "
            "such as 'nasnet'. Take 'random', or a store of such a space."
        )
    decisions = list(parent.decisions)
    while True:
        position = free[int(rng.integers(len(free)))]
        shift = int(rng.integers(1, space.n_choices[position]))  # never 0, so the value changes
        changed = decisions.copy()
        changed[position] = (decisions[position] + shift) % space.n_choices[position]
        try:
            child = space.architecture(tuple(changed))
        except InputError:  # as a cell of 'nasbench101' without a path
            continue
        if child.id != parent.id:
            return child
        decisions = changed


class Proposals:
    """The proposals of one search: each is taken as it is made, and none is made twice.

    In a table, what was made up is led to the nearest candidate that is left; ``mean_distance`` is
    the mean share of decisions that differed.

    >>> from nassim.spaces import get_space
    >>> space = get_space("nasbench201")
    >>> stored = Candidates([space.architecture((op,) * 6) for op in range(3)])
    >>> proposals = Proposals(stored, np.random.default_rng(0))
    >>> [proposals.random(), proposals.child(0), proposals.random(), proposals.random()]
    [2, 0, 1, None]
    >>> round(proposals.mean_distance, 3)
    0.167
    """

    def __init__(self, candidates: Candidates, rng: np.random.Generator) -> None:
        self.remaining = Remaining(candidates)
        self._candidates = candidates
        self._rng = rng
        self._distances: list[float] = []

    @property
    def mean_distance(self) -> float:
        """From what was made up to what was proposed, in [0, 1]; 0 if nothing was made up."""
        return float(np.mean(self._distances)) if self._distances else 0.0

    def random(self) -> int | None:
        """A candidate drawn uniformly from those that are left; None if there is none."""
        space = self._candidates.space
        if space is None:
            left = self.remaining.numbers
            return self._take(int(self._rng.choice(left))) if len(left) else None
        for _ in range(_PATIENCE):
            found = self.remaining.nearest(space.sample(self._rng))
            if found is not None:
                return self._take(found[0])
        return None

    def child(self, parent: int) -> int | None:
        """A candidate near a mutation of a candidate; None if none is left.

        Without a table, mutations are drawn until one was not proposed before; where all near the
        parent were, the answer is a random one.
        """
        if self._candidates.space is None and not len(self.remaining.numbers):
            return None
        space = space_of(self._candidates)
        for _ in range(_MUTATIONS):
            found = self.remaining.nearest(mutate(space, self._candidates[parent], self._rng))
            if found is not None:
                self._distances.append(found[1])
                return self._take(found[0])
        return self.random()

    def _take(self, number: int) -> int:
        self.remaining.take(number)
        return number
