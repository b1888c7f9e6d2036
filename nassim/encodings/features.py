"""Architectures as named numbers, for models that are linear in them.

- ``nasnet``, ``darts``: of each cell, how often it uses each operation, how often a block (a node)
  pairs two operations, and the mean number of its inputs;
- ``feedforward``: which value each decision has, and for sizes and rates also its place among
  them;
- ``nasbench101``: which vertex has which operation and which edges there are, in the canonical
  order; how often each operation is used;
- other spaces of decisions, ``nasbench201`` too: which value each decision has;
- ``table``: how often each token stands at each place of a word (see
  :func:`nassim.encodings.words`), and the number of words.

Isomorphic architectures have equal features in ``nasbench101`` and ``feedforward``; in ``nasnet``
and ``darts`` the two halves of a block commute.
"""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from nassim.encodings.tokens import words
from nassim.errors import InputError
from nassim.records import Architecture, FloatArray
from nassim.spaces import darts, get_space, nasnet
from nassim.spaces.feedforward import VALUES, Settings

__all__ = ["FeatureEncoder", "features"]


@functools.lru_cache(maxsize=10_000)  # every fold and every search asks for the same ones
def features(architecture: Architecture) -> Mapping[str, float]:
    """The features of an architecture that are not 0.

    >>> space = get_space("feedforward")
    >>> list(features(space.parse("svd:32:trained|0x8:relu:plain:drop0|lr0.3")))[:3]
    ['embedding 1', 'embedding_size 1', 'order of embedding_size']
    >>> features(get_space("nasbench101").parse("conv1x1(0)|output(0,1)"))["conv1x1"]
    1
    """
    if not architecture.decisions:
        return _of_words(architecture)
    return _OF_SPACE.get(architecture.space, _of_decisions)(architecture)


@dataclass(frozen=True)
class FeatureEncoder:
    """Turns architectures of a space into rows of numbers; ``names`` are the columns.

    Columns are the features of the architectures that it was fitted to. What none of them has,
    nothing can be learned of.
    """

    space: str
    names: tuple[str, ...]

    @classmethod
    def fit(cls, architectures: Sequence[Architecture]) -> FeatureEncoder:
        """Collect the features.

        Raises
        ------
        InputError
            if there are none, or they are of several spaces.

        >>> space = get_space("nasbench201_3nodes")
        >>> pool = [space.architecture((0, 1, op)) for op in (0, 3)]
        >>> encoder = FeatureEncoder.fit(pool)
        >>> encoder.names
        ('decision 1 is 0', 'decision 2 is 1', 'decision 3 is 0', 'decision 3 is 3')
        >>> encoder.encode([space.architecture((0, 4, 3))])
        array([[1., 0., 0., 1.]])
        """
        spaces = sorted({architecture.space for architecture in architectures})
        if len(spaces) != 1:
            raise InputError(
                f"Source architectures are of spaces {', '.join(spaces) or '(none)'}; expected "
                "one space. Restrict the store to one with the option space."
            )
        names = {name for architecture in architectures for name in features(architecture)}
        return cls(spaces[0], tuple(sorted(names)))

    def encode(self, architectures: Sequence[Architecture]) -> FloatArray:
        """(architectures, features) numbers; 0 for what an architecture does not have.

        Raises
        ------
        InputError
            if an architecture is of another space than those that it was fitted to.
        """
        column = {name: k for k, name in enumerate(self.names)}
        encoded = np.zeros((len(architectures), len(self.names)))
        for row, architecture in enumerate(architectures):
            if architecture.space != self.space:
                raise InputError(
                    f"Architecture {architecture.id!r} is of space {architecture.space!r}; "
                    f"expected {self.space!r}, the space of the sources."
                )
            for name, value in features(architecture).items():
                if name in column:
                    encoded[row, column[name]] = value
        return encoded


def _of_nasnet(architecture: Architecture) -> Mapping[str, float]:
    cells = [nasnet.blocks(architecture.decisions, cell) for cell in range(2)]
    return _of_cells(cells, nasnet.OPERATIONS)


def _of_darts(architecture: Architecture) -> Mapping[str, float]:
    cells = [darts.nodes(architecture.decisions, cell) for cell in range(2)]
    return _of_cells(cells, darts.OPERATIONS)


def _of_cells(
    cells: Sequence[Sequence[tuple[int, int, int, int]]], operations: Sequence[str]
) -> Mapping[str, float]:
    """Of a normal and a reduction cell of (input, operation, input, operation)."""
    counts: Counter[str] = Counter()
    means = {}
    for name, cell in zip(("normal", "reduction"), cells, strict=True):
        inputs = 0
        for in1, op1, in2, op2 in cell:
            first, second = operations[min(op1, op2)], operations[max(op1, op2)]
            counts.update(f"{name} {what}" for what in (first, second, f"{first}+{second}"))
            inputs += in1 + in2
        means[f"{name} mean input"] = inputs / (2 * len(cell))
    return {**counts, **means}


def _of_nasbench101(architecture: Architecture) -> Mapping[str, float]:
    counts: Counter[str] = Counter()
    for vertex, (operation, *leads) in enumerate(words(architecture), start=1):
        counts.update([operation, f"vertex {vertex} is {operation}"])
        counts.update(
            f"edge {source}-{vertex}" for source, is_edge in enumerate(leads) if is_edge == "yes"
        )
    return counts


def _of_feedforward(architecture: Architecture) -> Mapping[str, float]:
    found: dict[str, float] = {}
    decisions = get_space("feedforward").decisions(architecture.canonical_id)
    for name, values, chosen in zip(Settings._fields, VALUES, decisions, strict=True):
        found[f"{name} {chosen}"] = 1.0
        if chosen and all(isinstance(value, (int, float)) for value in values):
            found[f"order of {name}"] = float(chosen)
    return found


def _of_decisions(architecture: Architecture) -> Mapping[str, float]:
    return {f"decision {k} is {value}": 1.0 for k, value in enumerate(architecture.decisions, 1)}


def _of_words(architecture: Architecture) -> Mapping[str, float]:
    found = words(architecture)
    counts = Counter(f"{token!r} at {place}" for word in found for place, token in enumerate(word))
    return {**counts, "words": len(found)}


_OF_SPACE: dict[str, Callable[[Architecture], Mapping[str, float]]] = {
    "darts": _of_darts,
    "feedforward": _of_feedforward,
    "nasbench101": _of_nasbench101,
    "nasnet": _of_nasnet,
}
