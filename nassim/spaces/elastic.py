"""Networks that are cut out of a larger one: the space of Once-for-All, and a tiny form of it.

Cai et al., "Once-for-All: Train One Network and Specialize it for Efficient Deployment", ICLR 2020.
A network has stages of inverted bottleneck blocks. Chosen are the side of the images that it
computes on, the depth of each stage, and the kernel and the expansion of each block.

- ``elastic`` has the paper's depths, kernels, expansions, widths and strides. Images may have four
  sides, the paper's 128, 160, 192 and 224 of 224 pixels, as shares of what a network is given
  (paper: also those between).
- ``elastic_tiny`` is ours, for images of some 12 pixels: 800 architectures.
- Decisions on blocks that a stage is too shallow for are 0. A draw of decisions is uniform over
  depths, then over the rest, as the paper draws.
"""

from __future__ import annotations

import dataclasses
import itertools
import re
from collections.abc import Iterator
from typing import NamedTuple

from nassim.errors import InputError
from nassim.records import Architecture
from nassim.spaces.base import Space

__all__ = ["Block", "Cut", "ElasticSpace", "ElasticTinySpace", "Stage"]

_BLOCK = re.compile(r"k(\d+)e(\d+)")


class Stage(NamedTuple):
    """Blocks of one width: that of the stem times ``width``. The first block has the stride."""

    width: float
    stride: int


class Block(NamedTuple):
    """A block's kernel, a number of pixels, and how many times its input's channels it has."""

    kernel: int
    expansion: int


class Cut(NamedTuple):
    """What an architecture is: ``resolution`` is a share of the images' side, as a text."""

    resolution: str
    stages: tuple[tuple[Block, ...], ...]


class ElasticSpace(Space):
    """The resolution, and of each stage the depth, and of each block the kernel and expansion.

    Of all choices a larger number is the larger one.

    >>> space = ElasticTinySpace()
    >>> one = space.architecture((1, 1, 0, 1, 1, 0, 0, 1, 1, 1, 1))
    >>> one.id  # the second stage has one block, so decisions on another one mean nothing
    '1|k3e2,k5e1|k5e2'
    >>> one.decisions
    (1, 1, 0, 1, 1, 0, 0, 1, 1, 0, 0)
    >>> len(list(space.every()))
    800
    """

    name = "elastic"
    resolutions: tuple[str, ...] = ("4/7", "5/7", "6/7", "1")
    depths: tuple[int, ...] = (2, 3, 4)
    kernels: tuple[int, ...] = (3, 5, 7)
    expansions: tuple[int, ...] = (3, 4, 6)
    stages: tuple[Stage, ...] = (
        Stage(24 / 16, 2),
        Stage(40 / 16, 2),
        Stage(80 / 16, 2),
        Stage(112 / 16, 1),
        Stage(160 / 16, 2),
    )

    def __init__(self) -> None:
        block = (len(self.kernels), len(self.expansions))
        stage = (len(self.depths), *block * self.max_depth)
        self.n_choices = (len(self.resolutions), *stage * len(self.stages))

    @property
    def max_depth(self) -> int:
        """Blocks of the deepest stage."""
        return self.depths[-1]

    @property
    def largest(self) -> Architecture:
        """The architecture that all others are cut out of, at full resolution."""
        return self.architecture(tuple(choices - 1 for choices in self.n_choices))

    @property
    def smallest(self) -> Architecture:
        """The architecture that has the least of everything."""
        return self.architecture((0,) * self.n_decisions)

    def places(self, what: str) -> tuple[int, ...]:
        """The decisions on ``resolution``, ``depth``, ``kernel`` or ``expansion``.

        >>> ElasticTinySpace().places("kernel")
        (2, 4, 7, 9)
        """
        if what == "resolution":
            return (0,)
        if what == "depth":
            return tuple(self._starts)
        offset = {"kernel": 1, "expansion": 2}[what]
        return tuple(
            start + offset + 2 * block for start in self._starts for block in range(self.max_depth)
        )

    @property
    def _starts(self) -> range:
        """The first decision of each stage, on its depth; those on its blocks follow in pairs."""
        return range(1, self.n_decisions, 1 + 2 * self.max_depth)

    def cut(self, decisions: tuple[int, ...]) -> Cut:
        """What decisions mean; blocks that are not there are left out."""
        stages = []
        for start in self._starts:
            depth, *rest = decisions[start : start + self._starts.step]
            pairs = zip(rest[::2], rest[1::2], strict=True)
            blocks = [Block(self.kernels[k], self.expansions[e]) for k, e in pairs]
            stages.append(tuple(blocks[: self.depths[depth]]))
        return Cut(self.resolutions[decisions[0]], tuple(stages))

    def architecture(self, decisions: tuple[int, ...]) -> Architecture:
        """The architecture of a decision tuple; what means nothing is 0.

        Raises
        ------
        InputError
            if the tuple has the wrong length or a decision is out of range.
        """
        architecture = super().architecture(decisions)
        return dataclasses.replace(architecture, decisions=self._of_cut(self.cut(decisions)))

    def every(self) -> Iterator[Architecture]:
        """All architectures, each once.

        Raises
        ------
        InputError
            if there are too many to list.
        """
        self._check_listable(self.n_choices)
        tuples = itertools.product(*map(range, self.n_choices))
        return (
            self.architecture(decisions)
            for decisions in tuples
            if decisions == self._of_cut(self.cut(decisions))
        )

    def decisions(self, text: str) -> tuple[int, ...]:
        resolution, *stages = text.split("|")
        try:
            blocks = [[self._block(part) for part in stage.split(",")] for stage in stages]
            found = Cut(resolution, tuple(map(tuple, blocks)))
            if len(stages) == len(self.stages):
                return self._of_cut(found)
        except ValueError:  # a value that is none of the space's
            pass
        depths, kernels, expansions = (
            "/".join(map(str, values)) for values in (self.depths, self.kernels, self.expansions)
        )
        raise InputError(
            f"Architecture {text!r} is not of space {self.name!r}; expected the resolution (one of "
            f"{', '.join(self.resolutions)}) and {len(self.stages)} stages of {depths} blocks "
            f"'k<kernel>e<expansion>' with kernels {kernels} and expansions {expansions}, as in "
            f"{self.smallest.id!r}."
        )

    def format(self, decisions: tuple[int, ...]) -> str:
        cut = self.cut(decisions)
        stages = (",".join(f"k{k}e{e}" for k, e in blocks) for blocks in cut.stages)
        return "|".join((cut.resolution, *stages))

    def canonical(self, decisions: tuple[int, ...]) -> str:
        return self.format(decisions)

    def _of_cut(self, cut: Cut) -> tuple[int, ...]:
        """Its decisions. ValueError where a value is none of the space's."""
        decisions = [self.resolutions.index(cut.resolution)]
        for blocks in cut.stages:
            decisions.append(self.depths.index(len(blocks)))
            for kernel, expansion in blocks:
                decisions += [self.kernels.index(kernel), self.expansions.index(expansion)]
            decisions += [0, 0] * (self.max_depth - len(blocks))
        return tuple(decisions)

    def _block(self, text: str) -> Block:
        match = _BLOCK.fullmatch(text)
        if match is None:
            raise ValueError(text)
        block = Block(int(match[1]), int(match[2]))
        if text != f"k{block.kernel}e{block.expansion}":  # as k03e1
            raise ValueError(text)
        return block


class ElasticTinySpace(ElasticSpace):
    """Two stages of one or two blocks, of which the second halves the images (ours)."""

    name = "elastic_tiny"
    resolutions = ("2/3", "1")
    depths = (1, 2)
    kernels = (3, 5)
    expansions = (1, 2)
    stages = (Stage(1, 1), Stage(2, 2))
