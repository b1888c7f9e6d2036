"""The NAS-Bench-201 cell space (Dong & Yang 2020): four nodes, six edges, five operations.

Text and order of the edges are the benchmark's: ``|op~0|+|op~0|op~1|+|op~0|op~1|op~2|``.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from nassim.errors import InputError
from nassim.spaces.base import Space

__all__ = ["EDGES", "OPERATIONS", "NASBench201Space"]

OPERATIONS = ("none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3")
EDGES = ((0, 1), (0, 2), (1, 2), (0, 3), (1, 3), (2, 3))  # (from, to), in the order of the text

_TEXT = re.compile(r"\|(\w+)~0\|\+\|(\w+)~0\|(\w+)~1\|\+\|(\w+)~0\|(\w+)~1\|(\w+)~2\|")


class NASBench201Space(Space):
    """Six decisions, the operation of each edge.

    >>> space = NASBench201Space()
    >>> architecture = space.architecture((3, 0, 1, 0, 0, 1))  # conv, then two identities
    >>> architecture.id
    '|nor_conv_3x3~0|+|none~0|skip_connect~1|+|none~0|none~1|skip_connect~2|'
    >>> architecture.canonical_id == space.architecture((0, 0, 0, 3, 0, 0)).canonical_id
    True
    """

    name = "nasbench201"
    n_choices = (len(OPERATIONS),) * len(EDGES)

    def decisions(self, text: str) -> tuple[int, ...]:
        match = _TEXT.fullmatch(text)
        if match is None or any(name not in OPERATIONS for name in match.groups()):
            raise InputError(
                f"Architecture {text!r} is not of space 'nasbench201'; expected "
                f"'|op~0|+|op~0|op~1|+|op~0|op~1|op~2|' with op one of {', '.join(OPERATIONS)}."
            )
        return tuple(OPERATIONS.index(name) for name in match.groups())

    def format(self, decisions: tuple[int, ...]) -> str:
        names = [
            f"{OPERATIONS[op]}~{source}" for op, (source, _) in zip(decisions, EDGES, strict=True)
        ]
        return f"|{names[0]}|+|{'|'.join(names[1:3])}|+|{'|'.join(names[3:])}|"

    def canonical(self, decisions: tuple[int, ...]) -> str:
        """The function of the cell: zero edges dropped, identities resolved, sums flattened."""
        return functional_class(decisions, EDGES)


def functional_class(decisions: Sequence[int], edges: Sequence[tuple[int, int]]) -> str:
    """A text that is equal for cells that compute the same function up to their weights.

    ``none`` is an exact zero and ``skip_connect`` an exact identity, so zero terms vanish,
    an identity passes the terms of its input on, and a sum is a multiset of terms.

    >>> functional_class((1, 1, 1, 0, 0, 0), EDGES)  # nothing reaches the output
    '0'
    """
    terms: dict[int, list[str]] = {0: ["x"]}
    for op, (source, to) in zip(decisions, edges, strict=True):
        inputs, name = terms[source], OPERATIONS[op]
        node = terms.setdefault(to, [])
        if name == "none" or not inputs:
            continue
        if name == "skip_connect":
            node += inputs
        else:
            node.append(f"{name}({'+'.join(sorted(inputs))})")
    return "+".join(sorted(terms[max(terms)])) or "0"
