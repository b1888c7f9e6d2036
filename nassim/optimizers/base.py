"""What every optimizer answers: ask and tell over the candidates of a target."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import ClassVar, Protocol

import numpy as np

from nassim.records import Architecture, Sources

__all__ = ["Optimizer", "Search"]


class Search(Protocol):
    """One search in progress. Candidates are numbers, 0 to n - 1; none is asked for twice.

    ``listens`` says whether the search wants to be told of results.
    """

    listens: bool

    def ask(self, count: int) -> list[int]:
        """Up to ``count`` candidates that were not asked for before; fewer when they run out."""

    def tell(self, run: int, epoch: int, value: float) -> None:
        """A run has reached an epoch with this validation value (higher is better)."""


class Optimizer(ABC):
    """Proposes candidates."""

    uses_sources = False  # whether ``fit`` learns from other datasets
    # options that make it cheap enough to be checked each time the tests run, if it is not
    quick_options: ClassVar[Mapping[str, object]] = {}

    def fit(self, sources: Sources, seed: int) -> None:
        """Learn from the other datasets: the only door for transfer. Nothing by default."""
        return

    @abstractmethod
    def begin(self, architectures: tuple[Architecture, ...], rng: np.random.Generator) -> Search:
        """Start a search. Must not change the optimizer itself."""
