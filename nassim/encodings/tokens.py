"""Architectures as sequences of words, each word a few tokens.

- ``nasnet``: 20 words of (input, operation), in the order of the blocks, the two of a block in a
  fixed order, because they commute; ``darts``: 16 such words;
- ``nasbench201``, ``nasbench201_3nodes``: 6 or 3 words of one operation, in the order of the edges;
- ``nasbench101``: a word for each vertex but the input, of its operation and, for each earlier
  vertex, whether it leads here; in the canonical order, so isomorphic cells have equal words;
- ``table``: the text itself, cut into words at commas and blanks outside of round brackets:
  ``[C(64,5,1), GAP(10)] lr=0.01`` has three words, the first of the tokens ``C 64 5 1``.

Which tokens exist is learned from the source architectures, apart for each place in a word.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nassim.errors import InputError
from nassim.records import Architecture
from nassim.spaces.darts import nodes
from nassim.spaces.nasnet import blocks

__all__ = ["PADDING", "UNKNOWN", "TokenEncoder", "words"]

PADDING = 0
UNKNOWN = 1

Word = tuple[str, ...]

# spaces of a normal and a reduction cell of (input, operation, input, operation)
_BLOCKS: dict[str, Callable[[tuple[int, ...], int], Sequence[tuple[int, int, int, int]]]] = {
    "darts": nodes,
    "nasnet": blocks,
}
_WORD = re.compile(r"(?:\([^()]*\)|[^\s,;|\[\]{}()])+")
_TOKEN = re.compile(r"[^\s,;:=()'\"]+")


def words(architecture: Architecture) -> tuple[Word, ...]:
    """The words of an architecture.

    >>> from nassim.spaces import get_space
    >>> words(get_space("table").parse("[C(64,5,1), GAP(10)] lr=0.01"))
    (('C', '64', '5', '1'), ('GAP', '10'), ('lr', '0.01'))
    >>> words(get_space("nasbench201").architecture((3, 0, 1, 0, 0, 1)))
    (('choice 3',), ('choice 0',), ('choice 1',), ('choice 0',), ('choice 0',), ('choice 1',))
    >>> words(get_space("nasbench101").parse("max3x3(0)|output(0,1)"))
    (('max3x3', 'yes'), ('output', 'yes', 'yes'))
    """
    decisions = architecture.decisions
    if architecture.space == "nasbench101":
        vertices = [_TOKEN.findall(word) for word in _WORD.findall(architecture.canonical_id)]
        return tuple(
            (operation, *("yes" if str(k) in inputs else "no" for k in range(vertex)))
            for vertex, (operation, *inputs) in enumerate(vertices, start=1)
        )
    if not decisions:
        found = (tuple(_TOKEN.findall(word)) for word in _WORD.findall(architecture.id))
        return tuple(word for word in found if word) or ((architecture.id,),)
    if architecture.space in _BLOCKS:
        read = _BLOCKS[architecture.space]
        halves = [
            half
            for cell in range(2)
            for in1, op1, in2, op2 in read(decisions, cell)
            for half in sorted([(in1, op1), (in2, op2)])
        ]
        return tuple((f"from {source}", f"choice {op}") for source, op in halves)
    return tuple((f"choice {value}",) for value in decisions)


@dataclass(frozen=True)
class TokenEncoder:
    """Turns any architecture of a space into ``steps`` words of ``width`` tokens.

    ``vocabularies`` has one mapping from token to number for each place in a word; 0 is padding
    and 1 an unknown token. A number that fewer than two source architectures mention stands for
    its magnitude (the nearest power of two), so that continuous settings can be learned from.
    """

    space: str
    steps: int
    vocabularies: tuple[dict[str, int], ...]

    @property
    def width(self) -> int:
        """Tokens of a word."""
        return len(self.vocabularies)

    @property
    def sizes(self) -> tuple[int, ...]:
        """Tokens that each place can hold, padding and unknown included."""
        return tuple(len(vocabulary) + 2 for vocabulary in self.vocabularies)

    @classmethod
    def fit(cls, architectures: Sequence[Architecture]) -> TokenEncoder:
        """Learn the vocabulary and the longest length from source architectures.

        Raises
        ------
        InputError
            if there are none, or they are of several spaces.

        >>> from nassim.spaces import get_space
        >>> space = get_space("nasbench201")
        >>> pool = [space.architecture((k,) * 6) for k in range(4)]  # operation 4 is never seen
        >>> encoder = TokenEncoder.fit(pool)
        >>> encoder.encode([space.architecture((0, 1, 2, 3, 4, 4))])[0].T
        array([[2, 3, 4, 5, 1, 1]])
        """
        spaces = sorted({architecture.space for architecture in architectures})
        if len(spaces) != 1:
            raise InputError(
                f"Source architectures are of spaces {', '.join(spaces) or '(none)'}; expected "
                "one space. Restrict the store to one with the option space."
            )
        texts = [words(a) for a in {a.id: a for a in architectures}.values()]
        width = max(len(word) for text in texts for word in text)
        vocabularies = []
        for place in range(width):
            mentions = Counter(
                token
                for text in texts
                for token in {word[place] for word in text if len(word) > place}
            )
            kept = {
                token if count > 1 or _magnitude(token) is None else str(_magnitude(token))
                for token, count in mentions.items()
            }
            vocabularies.append({token: k for k, token in enumerate(sorted(kept), start=2)})
        return cls(spaces[0], max(len(text) for text in texts), tuple(vocabularies))

    def encode(self, architectures: Sequence[Architecture]) -> NDArray[np.int64]:
        """(architectures, steps, width) token numbers, padded with 0.

        What is longer than every source architecture is cut.

        Raises
        ------
        InputError
            if an architecture is of another space than the sources.
        """
        encoded = np.full((len(architectures), self.steps, self.width), PADDING, np.int64)
        for row, architecture in enumerate(architectures):
            if architecture.space != self.space:
                raise InputError(
                    f"Architecture {architecture.id!r} is of space {architecture.space!r}; "
                    f"expected {self.space!r}, the space of the sources."
                )
            for step, word in enumerate(words(architecture)[: self.steps]):
                for place, token in enumerate(word[: self.width]):
                    encoded[row, step, place] = self._number(place, token)
        return encoded

    def _number(self, place: int, token: str) -> int:
        vocabulary = self.vocabularies[place]
        number = vocabulary.get(token)
        if number is None:
            number = vocabulary.get(str(_magnitude(token)), UNKNOWN)
        return number


def _magnitude(token: str) -> str | None:
    """``~2^k`` for a number, None for anything else.

    >>> _magnitude("0.001"), _magnitude("-300"), _magnitude("0"), _magnitude("relu")
    ('~2^-10', '-~2^8', '~0', None)
    """
    try:
        value = float(token)
    except ValueError:
        return None
    if not math.isfinite(value):
        return None
    if value == 0:
        return "~0"
    return f"{'-' if value < 0 else ''}~2^{round(math.log2(abs(value)))}"
