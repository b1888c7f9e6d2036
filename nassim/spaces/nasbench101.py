"""The NAS-Bench-101 cell space (Ying et al. 2019): graphs of up to seven vertices and nine edges.

Vertex 0 is the cell's input and the last one its output; each vertex between them has one of three
operations. What is not on a path from the input to the output is no part of a cell: it is removed,
and edges are counted, as the benchmark does, after that.
"""

from __future__ import annotations

import dataclasses
import functools
import itertools
import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from nassim.errors import InputError
from nassim.records import Architecture
from nassim.spaces.base import Space

__all__ = ["EDGES", "MAX_EDGES", "MAX_VERTICES", "OPERATIONS", "Graph", "NASBench101Space", "graph"]

OPERATIONS = ("conv3x3", "conv1x1", "max3x3")
MAX_VERTICES = 7
MAX_EDGES = 9
# (from, to), in the order of the decisions: the upper triangle, column by column
EDGES = tuple((source, to) for to in range(1, MAX_VERTICES) for source in range(to))

_BLOCK = 512  # graphs of seven vertices that are whole are one in a few hundred
_VERTEX = re.compile(r"(\w+)\((\d(?:,\d)*)\)")


class Graph(NamedTuple):
    """A cell without superfluous vertices; inner vertices are numbered from 1.

    ``operations[k]`` is that of vertex ``k + 1``, ``inputs[k]`` are the vertices, ascending, that
    lead to vertex ``k + 1``; the last of ``inputs`` are the output's.
    """

    inputs: tuple[tuple[int, ...], ...]
    operations: tuple[int, ...]

    @property
    def vertices(self) -> int:
        """How many there are, input and output included."""
        return len(self.inputs) + 1


class NASBench101Space(Space):
    """26 decisions: 21 bits, one for each possible edge, and five operations.

    Many decision tuples prune to one cell. An architecture holds the tuple that is pruned: its
    inner vertices come first, in their order, and what is not used is 0. Its text names the inputs
    of each vertex, and differs between isomorphic cells; their ``canonical_id`` is the same.

    ``vertices`` (2 to 7, input and output included; 0: any number) restricts what ``sample`` and
    ``every`` give, not what is an architecture. ``sample`` draws uniformly over the legal decision
    tuples (those with that many vertices after pruning). For a given number of vertices every
    text has as many tuples, so this is uniform over texts, and a class of isomorphic cells
    is drawn in proportion to its texts, at most ``(vertices - 2)!``. Without the option cells of
    four and five vertices prevail, because most larger ones have too many edges.
    ``sample_class`` is uniform over classes: texts are drawn uniformly, and one of n texts of its
    class is kept with probability 1/n (some 1, 1.3, 2 and 3 draws for 4 to 7 vertices).

    >>> space = NASBench101Space()
    >>> cell = space.parse("conv3x3(0)|max3x3(0,1)|output(0,2)")
    >>> cell.canonical_id
    'conv3x3(0)|max3x3(0,1)|output(0,2)'
    >>> bits = [int(edge in {(0, 2), (0, 5), (2, 5), (0, 6), (5, 6), (2, 4)}) for edge in EDGES]
    >>> space.architecture((*bits, 1, 0, 1, 1, 2)) == cell  # vertex 4 leads nowhere
    True
    >>> [len({c.canonical_id for c in NASBench101Space(k).every()}) for k in (2, 3, 4)]
    [1, 6, 84]

    Raises
    ------
    InputError
        if ``vertices`` is none of these numbers.
    """

    name = "nasbench101"
    n_choices = (2,) * len(EDGES) + (len(OPERATIONS),) * (MAX_VERTICES - 2)

    def __init__(self, vertices: int = 0) -> None:
        if type(vertices) is not int or vertices not in (0, *range(2, MAX_VERTICES + 1)):
            raise InputError(
                f"Option 'vertices' of space 'nasbench101' is {vertices!r}; expected 2 to "
                f"{MAX_VERTICES}, input and output included, or 0 for any number."
            )
        self.vertices = vertices

    def sample(self, rng: np.random.Generator) -> Architecture:
        """A cell drawn uniformly over legal decision tuples, see the class."""
        vertices = self.vertices or MAX_VERTICES
        choices = np.array(_choices(vertices))
        while True:
            pruned = _pruned(rng.integers(choices).tolist(), vertices)
            if pruned is not None and self.vertices in (0, pruned.vertices) and _is_small(pruned):
                return self.architecture(_decisions(pruned))

    def sample_class(self, rng: np.random.Generator) -> Architecture:
        """A cell drawn uniformly over classes of isomorphic ones, then over their texts.

        Raises
        ------
        InputError
            if the space has cells of all sizes, whose texts are not equally likely.
        """
        if not self.vertices:
            raise InputError(
                "Space 'nasbench101' has no law that is uniform over classes of isomorphic cells, "
                "but for a given number of vertices; expected one, as in "
                "'nasbench101:vertices=5', or a method that draws texts (law=strings)."
            )
        while True:
            for cell in self._drawn(rng):
                if rng.random() * len(set(_relabelled(cell))) < 1:
                    return self.architecture(_decisions(cell))

    def _drawn(self, rng: np.random.Generator) -> Iterator[Graph]:
        """Cells of ``vertices`` vertices, uniform over texts: those of a block of edges.

        Nothing is pruned where each vertex is entered and left, for edges lead upward.
        """
        edges = EDGES[: self.vertices * (self.vertices - 1) // 2]
        bits = rng.integers(2, size=(_BLOCK, len(edges)), dtype=np.int8)
        entered, left = (
            np.array([[edge[end] == vertex for edge in edges] for vertex in range(self.vertices)])
            for end in (1, 0)
        )
        n_edges = bits.sum(axis=1)
        whole = (bits @ entered[1:].T > 0).all(axis=1) & (bits @ left[:-1].T > 0).all(axis=1)
        for row in bits[whole & (n_edges <= MAX_EDGES)].tolist():
            inputs: list[list[int]] = [[] for _ in range(1, self.vertices)]
            for (source, to), bit in zip(edges, row, strict=True):
                if bit:
                    inputs[to - 1].append(source)
            operations = rng.integers(len(OPERATIONS), size=self.vertices - 2).tolist()
            yield Graph(tuple(map(tuple, inputs)), tuple(operations))

    def holds(self, architecture: Architecture) -> bool:
        """Whether it is a cell of ``vertices`` vertices."""
        return super().holds(architecture) and self.vertices in (
            0,
            graph(architecture.decisions).vertices,
        )

    def every(self) -> Iterator[Architecture]:
        """All cells of ``vertices`` vertices, once for each text.

        Raises
        ------
        InputError
            if there are too many, that is for more than five vertices.
        """
        vertices = self.vertices or MAX_VERTICES
        choices = _choices(vertices)
        self._check_listable(choices)
        pruned = (_pruned(values, vertices) for values in itertools.product(*map(range, choices)))
        return (
            self.architecture(_decisions(cell))
            for cell in pruned
            if cell is not None and cell.vertices == vertices and _is_small(cell)
        )

    def architecture(self, decisions: tuple[int, ...]) -> Architecture:
        """The cell of a decision tuple, pruned.

        Raises
        ------
        InputError
            if the tuple has the wrong length, a decision is out of range, no path leads from the
            input to the output, or more than nine edges are on such paths.
        """
        architecture = super().architecture(decisions)
        return dataclasses.replace(architecture, decisions=_decisions(graph(decisions)))

    def decisions(self, text: str) -> tuple[int, ...]:
        matches = [_VERTEX.fullmatch(part) for part in text.split("|")]
        vertices = [match.groups() for match in matches if match is not None]
        names = [name for name, _ in vertices]
        if (
            len(vertices) == len(matches) < MAX_VERTICES
            and names[-1] == "output"
            and set(names[:-1]) <= set(OPERATIONS)
        ):
            inputs = tuple(tuple(map(int, sources.split(","))) for _, sources in vertices)
            cell = Graph(inputs, tuple(OPERATIONS.index(name) for name in names[:-1]))
            decisions = _decisions(cell)
            pruned = _pruned(decisions, MAX_VERTICES)
            if pruned is not None and _text(pruned) == text:
                return decisions
        raise InputError(
            f"Architecture {text!r} is not of space 'nasbench101'; expected at most "
            f"{MAX_VERTICES - 2} vertices, each with one of {', '.join(OPERATIONS)} and its "
            "inputs, on a path to the output, as in 'conv3x3(0)|max3x3(0,1)|output(1,2)'."
        )

    def format(self, decisions: tuple[int, ...]) -> str:
        return _text(graph(decisions))

    def canonical(self, decisions: tuple[int, ...]) -> str:
        """The smallest cell that is isomorphic, as its text."""
        return _text(_smallest(graph(decisions)))


def graph(decisions: Sequence[int]) -> Graph:
    """The cell that a decision tuple prunes to.

    Raises
    ------
    InputError
        if no path leads from the input to the output, or too many edges are on such paths.
    """
    cell = _pruned(decisions, MAX_VERTICES)
    if cell is None:
        raise InputError(
            "A cell of space 'nasbench101' has no path from its input (vertex 0) to its output "
            f"(vertex {MAX_VERTICES - 1}); expected one."
        )
    if not _is_small(cell):
        raise InputError(
            f"A cell of space 'nasbench101' has {sum(map(len, cell.inputs))} edges after pruning; "
            f"expected at most {MAX_EDGES}."
        )
    return cell


def _choices(vertices: int) -> list[int]:
    """The choices of a cell's decisions if it had no more than so many vertices."""
    return [2] * (vertices * (vertices - 1) // 2) + [len(OPERATIONS)] * (vertices - 2)


def _pruned(decisions: Sequence[int], vertices: int) -> Graph | None:
    """The cell of the decisions (see ``_choices``); None if its output cannot be reached."""
    n_edges = vertices * (vertices - 1) // 2
    edges = [edge for edge, bit in zip(EDGES, decisions[:n_edges], strict=False) if bit]
    reached = {0}
    for source, to in edges:  # by target, so all edges to the source came before
        if source in reached:
            reached.add(to)
    needed = {vertices - 1}
    for source, to in sorted(edges, reverse=True):  # by source, the last first
        if to in needed:
            needed.add(source)
    kept = sorted(reached & needed)
    if not kept:
        return None
    new = {old: number for number, old in enumerate(kept)}
    inputs: list[list[int]] = [[] for _ in kept[1:]]
    for source, to in edges:
        if source in new and to in new:
            inputs[new[to] - 1].append(new[source])
    operations = tuple(decisions[n_edges + old - 1] for old in kept[1:-1])
    return Graph(tuple(map(tuple, inputs)), operations)


def _is_small(cell: Graph) -> bool:
    return sum(map(len, cell.inputs)) <= MAX_EDGES


def _decisions(cell: Graph) -> tuple[int, ...]:
    """The decision tuple whose first inner vertices are the cell's."""
    targets = [*range(1, cell.vertices - 1), MAX_VERTICES - 1]
    edges = {
        (source, to) for to, sources in zip(targets, cell.inputs, strict=True) for source in sources
    }
    unused = (0,) * (MAX_VERTICES - cell.vertices)
    return (*(int(edge in edges) for edge in EDGES), *cell.operations, *unused)


def _text(cell: Graph) -> str:
    names = [*(OPERATIONS[op] for op in cell.operations), "output"]
    return "|".join(
        f"{name}({','.join(map(str, sources))})"
        for name, sources in zip(names, cell.inputs, strict=True)
    )


@functools.cache
def _smallest(cell: Graph) -> Graph:
    """The smallest of all cells that are this one with its inner vertices in another order."""
    return min(_relabelled(cell))


def _relabelled(cell: Graph) -> Iterator[Graph]:
    """This cell with its inner vertices in each order that is possible; some come out equal."""
    output = cell.vertices - 1
    for order in itertools.permutations(range(1, output)):
        # order[k] is the old number of the vertex that becomes vertex k + 1
        new = {0: 0, output: output} | {old: k for k, old in enumerate(order, start=1)}
        inputs = tuple(
            tuple(sorted(new[source] for source in cell.inputs[old - 1]))
            for old in (*order, output)
        )
        if all(sources[-1] < to for to, sources in enumerate(inputs, start=1)):
            yield Graph(inputs, tuple(cell.operations[old - 1] for old in order))
