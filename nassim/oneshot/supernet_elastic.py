"""The supernet of the elastic spaces: the largest network, of which all others are parts.

- Depth: the first blocks of a stage. Expansion: the first channels within a block.
- Kernel: of the next larger kernel the centre, times a matrix T of its own for each block and
  size, common to all channels. What is learned is T - I, so that weight decay draws T to the
  identity, where it begins, and not to zero (paper: T itself, which decays like other weights).

Given the decisions of one architecture it computes what that architecture's own network computes
with weights cut out so, number for number, and so do the gradients. Blocks and matrices that are
not run have no gradient. Weights are whole tensors of the largest block, as in the authors' code:
what a block that is run has beyond the first channels, or around the centre, has a gradient of
zeros, and so is moved by decay and an old momentum; its batch-norm statistics stay.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import ClassVar, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nassim.errors import InputError
from nassim.networks.elastic import ElasticBlock, ElasticNetwork, is_residual, resized, stem, widths
from nassim.networks.initialise import initialise
from nassim.oneshot.mixed import Gates, without_scales
from nassim.oneshot.supernet import Supernet
from nassim.records import Architecture
from nassim.spaces.base import Space
from nassim.spaces.elastic import Block, ElasticSpace

__all__ = ["ElasticSupernet", "FirstChannelsNorm", "SharedBlock", "matrix_sizes", "shrunk"]


class ElasticSupernet(Supernet):
    """Images (n, inputs, height, width) and the decisions of one architecture to scores.

    >>> from nassim.spaces import get_space
    >>> space = get_space("elastic_tiny")
    >>> supernet = ElasticSupernet(space, channels=4, cells=1, classes=10, inputs=1)
    >>> one = space.parse("2/3|k3e1,k5e2|k5e1")
    >>> x = torch.randn(2, 1, 12, 12, generator=torch.Generator().manual_seed(0))
    >>> torch.equal(supernet(x, one.decisions), supernet.standalone(one)(x))
    True

    Raises
    ------
    InputError
        if it is another space, or ``cells`` is not 1.
    """

    edgewise: ClassVar[bool] = False
    drawable: ClassVar[bool] = True
    shrinkable: ClassVar[bool] = True
    space: ElasticSpace

    def __init__(
        self,
        space: Space,
        *,
        channels: int,
        cells: int,
        classes: int,
        inputs: int,
        affine: bool = True,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        if not isinstance(space, ElasticSpace):
            raise InputError(
                f"This is no supernet of space {space.name!r}; expected 'elastic' or "
                "'elastic_tiny'."
            )
        self.space = space
        self.sizes = {"channels": channels, "cells": cells, "classes": classes, "inputs": inputs}
        self.operations = tuple(sorted((*space.places("kernel"), *space.places("expansion"))))
        self.stem = stem(inputs, channels, cells)
        self.stages = nn.ModuleList()
        width = channels
        for stage, outputs in zip(space.stages, widths(space, channels), strict=True):
            blocks = nn.ModuleList()
            for number in range(space.max_depth):
                stride = stage.stride if not number else 1
                blocks.append(SharedBlock(space, width, outputs, stride, affine=affine))
                width = outputs
            self.stages.append(blocks)
        self.head = nn.Linear(width, classes)
        initialise(self, generator or torch.Generator().manual_seed(0))

    def forward(self, x: Tensor, gates: Gates) -> Tensor:
        cut = self.space.cut(tuple(gate for gate in gates if isinstance(gate, int)))
        x = self.stem(resized(x, Fraction(cut.resolution)))
        for stage, blocks in zip(self.stages, cut.stages, strict=True):
            # a stage may have more blocks than are run
            for shared, block in zip(cast(nn.ModuleList, stage), blocks, strict=False):
                x = shared(x, block)
        return cast(Tensor, self.head(x.mean(dim=(2, 3))))

    def network(self, architecture: Architecture) -> ElasticNetwork:
        return ElasticNetwork(architecture, **self.sizes)

    def shared_names(self, architecture: Architecture) -> dict[str, tuple[str, ...]]:
        here = self.state_dict()
        cut = self.space.cut(architecture.decisions)
        names: dict[str, tuple[str, ...]] = {}
        for name in self.network(architecture).state_dict():
            parts = [name]
            if name.endswith("depthwise.weight"):
                _, stage, number, _ = name.split(".", 3)
                kernel = cut.stages[int(stage)][int(number)].kernel
                place = name.removesuffix("depthwise.weight")
                sizes = matrix_sizes(self.space.kernels, kernel)
                parts += [f"{place}matrices.{size}" for size in sizes]
            if name in here:  # without ``affine`` batch norms have no scale and shift
                names[name] = tuple(parts)
        return names

    def own(self, parts: Sequence[Tensor], shape: Sequence[int]) -> Tensor:
        first = parts[0]
        if len(parts) > 1:
            return shrunk(first[: shape[0]], parts[1:])
        return first[tuple(slice(size) for size in shape)]

    def sort_channels(self, expansions: Sequence[int]) -> None:
        """Put the channels within each block into an order that computes the same: largest first.

        A channel is as large as the sum of magnitudes of the weights that read it. Channels that
        these ``expansions`` have stay among them, whatever the order, and none joins.
        """
        for stage in self.stages:
            for block in cast(nn.ModuleList, stage):
                cast(SharedBlock, block).sort_channels(expansions)


class SharedBlock(nn.Module):
    """:class:`nassim.networks.elastic.ElasticBlock` of the largest kernel and expansion.

    It is run as a smaller one.
    """

    def __init__(
        self, space: ElasticSpace, inputs: int, outputs: int, stride: int, *, affine: bool
    ) -> None:
        super().__init__()
        largest = ElasticBlock(
            Block(space.kernels[-1], space.expansions[-1]), inputs, outputs, stride
        )
        hidden = largest.expand.out_channels
        self.expand, self.depthwise = largest.expand, largest.depthwise
        self.project = largest.project
        self.expand_norm = FirstChannelsNorm(hidden)
        self.depthwise_norm = FirstChannelsNorm(hidden)
        self.project_norm = nn.BatchNorm2d(outputs)
        if not affine:
            without_scales(self)
        self.kernels = space.kernels
        # T - I, of each kernel but the largest
        sizes = matrix_sizes(space.kernels, space.kernels[0])
        self.matrices = nn.ParameterDict(
            {str(size): torch.zeros(size**2, size**2) for size in sizes}
        )
        self.inputs, self.stride = inputs, stride
        self.residual = is_residual(inputs, outputs, stride)

    def forward(self, x: Tensor, block: Block) -> Tensor:
        hidden = self.inputs * block.expansion
        sizes = matrix_sizes(self.kernels, block.kernel)
        matrices = [self.matrices[str(size)] for size in sizes]
        kernels = shrunk(self.depthwise.weight[:hidden], matrices)
        y = F.relu(self.expand_norm(F.conv2d(x, self.expand.weight[:hidden])))
        y = F.conv2d(y, kernels, None, self.stride, block.kernel // 2, groups=hidden)
        y = F.relu(self.depthwise_norm(y))
        # contiguous, as the block's own would be: the order of a sum may depend on it
        y = self.project_norm(F.conv2d(y, self.project.weight[:, :hidden].contiguous()))
        return x + cast(Tensor, y) if self.residual else cast(Tensor, y)

    @torch.no_grad()
    def sort_channels(self, expansions: Sequence[int]) -> None:
        """See :meth:`ElasticSupernet.sort_channels`."""
        size = self.project.weight.abs().sum(dim=(0, 2, 3))
        ends = sorted({*(self.inputs * expansion for expansion in expansions), len(size)})
        order = torch.cat(
            [
                start + size[start:end].argsort(descending=True, stable=True)
                for start, end in zip([0, *ends], ends, strict=False)
            ]
        )
        for layer in (self.expand, self.depthwise):
            layer.weight.copy_(layer.weight[order])
        self.project.weight.copy_(self.project.weight[:, order])
        for norm in (self.expand_norm, self.depthwise_norm):
            for values in (norm.weight, norm.bias, norm.running_mean, norm.running_var):
                if values is not None:
                    values.copy_(values[order])


class FirstChannelsNorm(nn.BatchNorm2d):
    """A batch norm of so many channels or fewer; the others' statistics stay as they are."""

    def forward(self, x: Tensor) -> Tensor:
        count = x.shape[1]
        share = 0.0 if self.momentum is None else self.momentum
        if self.training:
            batches = cast(Tensor, self.num_batches_tracked)
            batches.add_(1)
            if self.momentum is None:  # the plain average over batches
                share = 1 / float(batches)
        mean, variance, weight, bias = (
            None if values is None else values[:count]
            for values in (self.running_mean, self.running_var, self.weight, self.bias)
        )
        return F.batch_norm(x, mean, variance, weight, bias, self.training, share, self.eps)


def matrix_sizes(kernels: Sequence[int], kernel: int) -> list[int]:
    """The sizes that the largest of some kernels is made smaller to, one by one, down to one.

    >>> matrix_sizes((3, 5, 7), 3), matrix_sizes((3, 5, 7), 7)
    ([5, 3], [])
    """
    return [size for size in reversed(kernels[:-1]) if size >= kernel]


def shrunk(weight: Tensor, matrices: Sequence[Tensor]) -> Tensor:
    """Kernels (channels, 1, size, size) made smaller by two pixels with each T - I.

    >>> kernels = torch.arange(50.0).reshape(2, 1, 5, 5)
    >>> torch.equal(shrunk(kernels, [torch.zeros(9, 9)]), kernels[:, :, 1:4, 1:4])
    True
    """
    for matrix in matrices:
        centre = weight[:, :, 1:-1, 1:-1]
        flat = centre.reshape(len(centre), -1)
        weight = (flat + flat @ matrix.T).reshape(centre.shape)
    return weight
