"""S1 to S4 in a tiny form: cells of NAS-Bench-201 whose edges offer few operations.

Zela et al., "Understanding and Robustifying Differentiable Architecture Search", ICLR 2020, made
four spaces on which DARTS fails by choosing operations without weights. Here they have the nodes
and edges of NAS-Bench-201's cell, four nodes or the first three, and its operations.

- S2, S3, S4 are the paper's but for the convolution, which is ``nor_conv_3x3`` (paper: a separable
  one): ``skip_connect`` or it; ``none`` beside the two; ``noise`` or it.
- ``noise`` is drawn from a standard normal for every value of its input, which it ignores.
- S1 has two operations an edge, in the paper the two that a search on the full space liked best.
  Here they are ours, of the same kinds: mostly a skip and a convolution, once a pooling and a skip,
  and two convolutions on the last edge.
- Decisions count the options of their own edge: 0 is ``skip_connect`` in S2, ``noise`` in S4.
"""

from __future__ import annotations

from collections.abc import Sequence

from nassim.spaces.nasbench201 import NASBench201Space

__all__ = [
    "S1Space",
    "S1ThreeNodeSpace",
    "S2Space",
    "S2ThreeNodeSpace",
    "S3Space",
    "S3ThreeNodeSpace",
    "S4Space",
    "S4ThreeNodeSpace",
    "most_convolutions",
]

# of two convolutions the larger, and rather a pooling than an operation that does nothing
_BY_WORK = ("nor_conv_3x3", "nor_conv_1x1", "avg_pool_3x3", "skip_connect", "noise", "none")


class S1Space(NASBench201Space):
    """Two operations an edge, not the same on all.

    >>> S1Space().architecture((0, 1, 0, 1, 0, 1)).id
    '|skip_connect~0|+|nor_conv_1x1~0|skip_connect~1|+|avg_pool_3x3~0|skip_connect~1|nor_conv_3x3~2|'
    """

    name = "s1_tiny"
    options = (
        ("skip_connect", "nor_conv_3x3"),
        ("skip_connect", "nor_conv_1x1"),
        ("skip_connect", "nor_conv_3x3"),
        ("skip_connect", "avg_pool_3x3"),
        ("skip_connect", "nor_conv_3x3"),
        ("nor_conv_1x1", "nor_conv_3x3"),
    )
    n_choices = (2,) * 6


class S1ThreeNodeSpace(NASBench201Space):
    """The first three edges of S1."""

    name = "s1_tiny_3nodes"
    options = S1Space.options[:3]
    n_choices = (2,) * 3


class S2Space(NASBench201Space):
    """A skip connection or a convolution.

    >>> space = S2Space()
    >>> len(list(space.every())), len({one.canonical_id for one in space.every()})
    (64, 32)
    """

    name = "s2_tiny"
    options = (("skip_connect", "nor_conv_3x3"),) * 6
    n_choices = (2,) * 6


class S2ThreeNodeSpace(NASBench201Space):
    """S2 on three nodes."""

    name = "s2_tiny_3nodes"
    options = S2Space.options[:3]
    n_choices = (2,) * 3


class S3Space(NASBench201Space):
    """A skip connection, a convolution or nothing."""

    name = "s3_tiny"
    options = (("none", "skip_connect", "nor_conv_3x3"),) * 6
    n_choices = (3,) * 6


class S3ThreeNodeSpace(NASBench201Space):
    """S3 on three nodes."""

    name = "s3_tiny_3nodes"
    options = S3Space.options[:3]
    n_choices = (3,) * 3


class S4Space(NASBench201Space):
    """Noise or a convolution.

    >>> S4Space().canonical((1, 0, 0, 0, 1, 0))  # a convolution of what a convolution makes
    'noise+noise+nor_conv_3x3(nor_conv_3x3(x))'
    """

    name = "s4_tiny"
    options = (("noise", "nor_conv_3x3"),) * 6
    n_choices = (2,) * 6


class S4ThreeNodeSpace(NASBench201Space):
    """S4 on three nodes."""

    name = "s4_tiny_3nodes"
    options = S4Space.options[:3]
    n_choices = (2,) * 3


def most_convolutions(space: NASBench201Space) -> tuple[int, ...]:
    """The decisions with the largest convolution of each edge, or what an edge has instead.

    >>> most_convolutions(S1Space())
    (1, 1, 1, 1, 1, 1)
    """
    return tuple(_best(names) for names in space.options)


def _best(names: Sequence[str]) -> int:
    return min(range(len(names)), key=lambda op: _BY_WORK.index(names[op]))
