"""What every search space answers."""

from __future__ import annotations

import functools
import itertools
import math
from abc import ABC, abstractmethod
from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import ClassVar

import numpy as np

from nassim.errors import InputError
from nassim.records import Architecture

__all__ = ["Space"]

_LISTABLE = 1_000_000  # decision tuples: some tens of seconds


class Space(ABC):
    """A search space: tuples of small integers, one per decision, and their text.

    ``n_choices[k]`` is the number of values of decision ``k``: a decision is legal where
    ``0 <= value < n_choices[k]``. ``input_sizes`` names the sizes of one input of its networks,
    and ``has_skeleton`` says whether the order of their cells can be chosen.
    """

    name: str
    n_choices: tuple[int, ...]
    input_sizes: tuple[str, ...] = ("height", "width", "channels")
    has_skeleton: ClassVar[bool] = False

    @property
    def n_decisions(self) -> int:
        return len(self.n_choices)

    def sample(self, rng: np.random.Generator) -> Architecture:
        """An architecture drawn uniformly over decision tuples."""
        return self.architecture(tuple(int(rng.integers(choices)) for choices in self.n_choices))

    def every(self) -> Iterator[Architecture]:
        """All architectures, each text once, in the order of the decision tuples.

        Raises
        ------
        InputError
            if there are too many to list.
        """
        self._check_listable(self.n_choices)
        return map(self.architecture, itertools.product(*map(range, self.n_choices)))

    def sample_class(self, rng: np.random.Generator) -> Architecture:
        """An architecture drawn uniformly over classes of isomorphic ones, then over their texts.

        Raises
        ------
        InputError
            if there is no law to draw from: here, where there are too many to list.
        """
        texts = self._classes[int(rng.integers(len(self._classes)))]
        return texts[int(rng.integers(len(texts)))]

    @functools.cached_property
    def _classes(self) -> list[list[Architecture]]:
        members: dict[str, list[Architecture]] = defaultdict(list)
        for architecture in self.every():
            members[architecture.canonical_id].append(architecture)
        return list(members.values())

    def holds(self, architecture: Architecture) -> bool:
        """Whether options of the space leave it in: ``sample`` may give it."""
        return architecture.space == self.name

    def _check_listable(self, n_choices: Sequence[int]) -> None:
        if math.prod(n_choices) > _LISTABLE:
            raise InputError(
                f"Space {self.name!r} has {math.prod(n_choices):.1g} decision tuples, too many to "
                f"list; expected at most {_LISTABLE:,}. Draw a sample of it."
            )

    def architecture(self, decisions: tuple[int, ...]) -> Architecture:
        """The architecture of a decision tuple.

        Raises
        ------
        InputError
            if the tuple has the wrong length or a decision is out of range.
        """
        if len(decisions) != self.n_decisions:
            raise InputError(
                f"{len(decisions)} decisions were given for space {self.name!r}; "
                f"expected {self.n_decisions}."
            )
        for position, (value, choices) in enumerate(zip(decisions, self.n_choices, strict=True)):
            if not 0 <= value < choices:
                raise InputError(
                    f"Decision {position} of space {self.name!r} is {value}; "
                    f"expected 0 to {choices - 1}."
                )
        return Architecture(self.name, decisions, self.format(decisions), self.canonical(decisions))

    def parse(self, text: str) -> Architecture:
        """The architecture of a canonical text (the inverse of ``Architecture.id``).

        Raises
        ------
        InputError
            if the text is not one of this space's.
        """
        return self.architecture(self.decisions(text))

    def check_input(self, shape: tuple[int, ...], of: str = "an input") -> None:
        """Refuse a shape (InputError) that no network of this space reads.

        >>> from nassim.spaces import get_space
        >>> get_space("nasnet").check_input((8, 8, 1))
        """
        if len(shape) != len(self.input_sizes):
            raise InputError(
                f"Networks of space {self.name!r} read ({', '.join(self.input_sizes)}); {of} has "
                f"shape {shape}. Take another space for such data, or other data."
            )

    def pruned(self, decisions: tuple[int, ...]) -> tuple[int, ...]:
        """Decisions of the same function without what leads from nothing or nowhere.

        The decisions themselves, where a space has nothing like it.
        """
        return decisions

    @abstractmethod
    def decisions(self, text: str) -> tuple[int, ...]:
        """The decision tuple of a canonical text."""

    @abstractmethod
    def format(self, decisions: tuple[int, ...]) -> str:
        """The canonical text of a decision tuple."""

    @abstractmethod
    def canonical(self, decisions: tuple[int, ...]) -> str:
        """A text that all isomorphic duplicates of an architecture share."""
