"""What every optimizer answers: ask and tell over the candidates of a target."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import ClassVar, Protocol

import numpy as np
from numpy.typing import NDArray

from nassim.errors import InputError
from nassim.records import Architecture, IntArray, Sources
from nassim.spaces import get_space
from nassim.spaces.base import Space

__all__ = [
    "Candidates",
    "Optimizer",
    "Remaining",
    "Search",
    "check_space",
    "choices_of",
    "decisions_of",
    "failed_as_worst",
    "space_of",
]


class Candidates:
    """What a search may propose, numbered from 0.

    In a table these are the stored architectures, and there are no others. Without a table
    (``space`` is given) any architecture of the space may be proposed: it gets the next number
    when :meth:`number` is first asked for it.

    >>> from nassim.spaces import get_space
    >>> space = get_space("nasbench201")
    >>> free = Candidates(space=space)
    >>> free.number(space.architecture((0,) * 6)), free.number(space.architecture((1,) * 6))
    (0, 1)
    >>> Candidates(free.architectures).number(space.architecture((2,) * 6)) is None
    True
    """

    def __init__(
        self, architectures: Sequence[Architecture] = (), *, space: Space | None = None
    ) -> None:
        self.space = space
        self._architectures = tuple(architectures)
        self._named: list[Architecture] = []
        self._numbers = {architecture.id: k for k, architecture in enumerate(architectures)}

    @property
    def architectures(self) -> tuple[Architecture, ...]:
        """All of a table; else those that have been named so far."""
        return self._architectures if self.space is None else tuple(self._named)

    def __len__(self) -> int:
        return len(self._architectures) + len(self._named)

    def __getitem__(self, number: int) -> Architecture:
        return (self._architectures or self._named)[number]

    def number(self, architecture: Architecture) -> int | None:
        """The number of an architecture; None if a table does not have it."""
        known = self._numbers.get(architecture.id)
        if known is None and self.space is not None:
            known = len(self._named)
            self._named.append(architecture)
            self._numbers[architecture.id] = known
        return known


class Remaining:
    """The candidates that a search has not proposed yet, and the way to them.

    A method that makes up its architectures is led from each of them to the nearest candidate that
    is left: by the share of decisions that differ (Hamming distance), the lowest number among
    equals. Without a table, that is the architecture itself.

    >>> from nassim.spaces import get_space
    >>> space = get_space("nasbench201")
    >>> stored = [space.architecture((op,) * 6) for op in (0, 1, 2)]
    >>> remaining = Remaining(Candidates(stored))
    >>> remaining.nearest(space.architecture((1, 1, 1, 1, 2, 0)))
    (1, 0.3333333333333333)
    >>> remaining.take(1)
    >>> remaining.nearest(space.architecture((1, 1, 1, 1, 2, 0)))
    (0, 0.8333333333333334)
    """

    def __init__(self, candidates: Candidates) -> None:
        self._candidates = candidates
        self._taken: set[int] = set()
        self._left = np.ones(len(candidates), bool)
        self._decisions: IntArray | None = None

    def take(self, number: int) -> None:
        """Note that a candidate is proposed."""
        self._taken.add(number)
        if self._candidates.space is None:
            self._left[number] = False

    @property
    def numbers(self) -> IntArray:
        """The candidates of a table that are left, (left,), in ascending order."""
        return np.flatnonzero(self._left)

    def nearest(self, architecture: Architecture) -> tuple[int, float] | None:
        """The nearest candidate that is left, and its distance in [0, 1].

        None if none is left; without a table, if this very architecture was taken before.
        """
        if self._candidates.space is not None:
            number = self._candidates.number(architecture)
            return None if number is None or number in self._taken else (number, 0.0)
        if not self._left.any():
            return None
        differs = (self._table_decisions() != np.array(architecture.decisions)).mean(axis=1)
        number = int(np.where(self._left, differs, np.inf).argmin())
        return number, float(differs[number])

    def _table_decisions(self) -> IntArray:
        if self._decisions is None:
            self._decisions = decisions_of(self._candidates.architectures)
        return self._decisions


def decisions_of(architectures: Sequence[Architecture]) -> IntArray:
    """Decision tuples, (architectures, decisions).

    Raises
    ------
    InputError
        if they have none, as those of a bare table of candidates.
    """
    lengths = {len(architecture.decisions) for architecture in architectures}
    if len(lengths) != 1 or lengths == {0}:
        raise InputError(
            f"Architectures of space {architectures[0].space!r} have no decisions of one length to "
            "compare; this method needs a search space such as 'nasnet'. Take 'random', or a store "
            "of such a space."
        )
    table: NDArray[np.int64] = np.array([architecture.decisions for architecture in architectures])
    return table


def space_of(candidates: Candidates) -> Space:
    """The space in which architectures are made up."""
    return candidates.space or get_space(candidates[0].space)


def choices_of(candidates: Candidates) -> tuple[int, ...]:
    """Values of each decision of what may be proposed; of an empty table, one of one.

    Raises
    ------
    InputError
        if they have no decisions.
    """
    if candidates.space is not None:
        return candidates.space.n_choices
    if not len(candidates):
        return (1,)
    decisions_of(candidates.architectures)
    return get_space(candidates[0].space).n_choices


def check_space(candidates: Candidates, space: str) -> None:
    """Refuse (InputError) candidates that are of another space than what was learned from."""
    if candidates.space is not None:
        found = candidates.space.name
    else:
        found = candidates[0].space if len(candidates) else space
    if found != space:
        raise InputError(
            f"Candidates are of space {found!r}; expected {space!r}, the space of the sources "
            "that this optimizer was fitted on."
        )


def failed_as_worst(values: NDArray[np.floating]) -> NDArray[np.float64]:
    """Values, (n,), with the worst of them in place of what failed (not finite).

    All 0 if nothing was measured.

    >>> failed_as_worst(np.array([0.5, -np.inf, 0.4]))
    array([0.5, 0.4, 0.4])
    """
    measured = np.isfinite(values)
    worst = values[measured].min() if measured.any() else 0.0
    return np.where(measured, values, worst).astype(np.float64)


class Search(Protocol):
    """One search in progress. It speaks of candidates by number; none is proposed twice.

    ``listens`` says whether the search wants to be told of results. A search may have ``notes``, a
    mapping of names to numbers, on what it did (such as the mean distance from what it made up to
    what the table had); they are written beside its results.
    """

    listens: bool

    def ask(self, count: int) -> list[int]:
        """Up to ``count`` candidates that were not asked for before; fewer when they run out."""

    def tell(self, run: int, epoch: int, value: float) -> None:
        """A run has reached an epoch. Were it to end here, it would be worth ``value``.

        Higher is better: the best (or last, as the study has it) validation value so far; -inf if
        nothing was measured yet, or the run failed. A later report of a run replaces its earlier
        one.
        """


class Optimizer(ABC):
    """Proposes candidates."""

    uses_sources = False  # whether ``fit`` learns from other datasets
    # options that make it cheap enough to be checked each time the tests run, if it is not
    quick_options: ClassVar[Mapping[str, object]] = {}

    def fit(self, sources: Sources, seed: int) -> None:
        """Learn from the other datasets: the only door for transfer. Nothing by default."""
        return

    @abstractmethod
    def begin(self, candidates: Candidates, rng: np.random.Generator) -> Search:
        """Start a search. Must not change the optimizer itself."""
