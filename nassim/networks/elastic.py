"""Networks of the spaces ``elastic`` and ``elastic_tiny``: stages of inverted bottleneck blocks.

Differences from Cai et al. (2020), whose blocks are MobileNetV3's: activations are ReLUs
everywhere, there is no squeeze and excitation, pooled features meet the linear head at once, and
the stem has stride 1, because images are small. ``channels`` is the width of the stem (paper: 16).
"""

from __future__ import annotations

from fractions import Fraction
from typing import cast

import torch.nn.functional as F
from torch import Tensor, nn

from nassim.errors import InputError
from nassim.records import Architecture
from nassim.spaces import get_space
from nassim.spaces.elastic import Block, ElasticSpace

__all__ = ["ElasticBlock", "ElasticNetwork", "is_residual", "resized", "stem", "widths"]


class ElasticNetwork(nn.Module):
    """Images (n, inputs, height, width) to scores (n, classes).

    Raises
    ------
    InputError
        if ``cells`` is not 1: how many blocks a stage has is the architecture's.
    """

    def __init__(
        self, architecture: Architecture, *, channels: int, cells: int, classes: int, inputs: int
    ) -> None:
        super().__init__()
        space = get_space(architecture.space)
        if not isinstance(space, ElasticSpace):
            raise InputError(
                f"Architecture {architecture.id!r} is of space {space.name!r}; expected 'elastic' "
                "or 'elastic_tiny'."
            )
        cut = space.cut(architecture.decisions)
        self.share = Fraction(cut.resolution)
        self.stem = stem(inputs, channels, cells)
        self.stages = nn.ModuleList()
        width = channels
        for stage, outputs, blocks in zip(
            space.stages, widths(space, channels), cut.stages, strict=True
        ):
            made = nn.Sequential()
            for number, block in enumerate(blocks):
                made.append(ElasticBlock(block, width, outputs, stage.stride if not number else 1))
                width = outputs
            self.stages.append(made)
        self.head = nn.Linear(width, classes)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(resized(x, self.share))
        for stage in self.stages:
            x = stage(x)
        return cast(Tensor, self.head(x.mean(dim=(2, 3))))


class ElasticBlock(nn.Module):
    """(n, inputs, height, width) to (n, outputs, ...): wider, a depthwise convolution, narrower."""

    def __init__(self, block: Block, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        hidden = inputs * block.expansion
        self.expand = nn.Conv2d(inputs, hidden, 1, bias=False)
        self.expand_norm = nn.BatchNorm2d(hidden)
        self.depthwise = nn.Conv2d(
            hidden, hidden, block.kernel, stride, block.kernel // 2, groups=hidden, bias=False
        )
        self.depthwise_norm = nn.BatchNorm2d(hidden)
        self.project = nn.Conv2d(hidden, outputs, 1, bias=False)
        self.project_norm = nn.BatchNorm2d(outputs)
        self.residual = is_residual(inputs, outputs, stride)

    def forward(self, x: Tensor) -> Tensor:
        y = F.relu(self.expand_norm(self.expand(x)))
        y = F.relu(self.depthwise_norm(self.depthwise(y)))
        y = self.project_norm(self.project(y))
        return x + y if self.residual else cast(Tensor, y)


def is_residual(inputs: int, outputs: int, stride: int) -> bool:
    """Whether a block adds its input: where that has the shape of its output."""
    return inputs == outputs and stride == 1


def stem(inputs: int, channels: int, cells: int) -> nn.Sequential:
    """What images meet first. InputError if there are to be several cells a stage."""
    if cells != 1:
        raise InputError(
            f"Networks of elastic spaces were asked for with {cells} cells a stage; expected 1, "
            "for the number of their blocks is the architecture's."
        )
    conv = nn.Conv2d(inputs, channels, 3, padding=1, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(channels), nn.ReLU())


def widths(space: ElasticSpace, channels: int) -> list[int]:
    """The channels of each stage.

    >>> widths(cast(ElasticSpace, get_space("elastic")), 16)
    [24, 40, 80, 112, 160]
    """
    return [max(1, round(channels * stage.width)) for stage in space.stages]


def resized(x: Tensor, share: Fraction) -> Tensor:
    """Images whose sides are a share of these: each pixel is an average of those that it covers.

    >>> import torch
    >>> resized(torch.zeros(2, 3, 12, 12), Fraction(2, 3)).shape
    torch.Size([2, 3, 8, 8])
    """
    if share == 1:
        return x
    height, width = (max(1, round(size * share)) for size in x.shape[2:])
    return F.adaptive_avg_pool2d(x, (height, width))
