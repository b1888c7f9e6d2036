"""Networks of NAS-Bench-201 (Dong & Yang 2020): three stages, joined by residual reductions."""

from __future__ import annotations

from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor, nn

from nassim.errors import InputError
from nassim.networks.noise import Noise
from nassim.records import Architecture
from nassim.spaces import get_space
from nassim.spaces.nasbench201 import EDGES, NASBench201Space

__all__ = ["Cell", "NASBench201Network", "ResidualReduction", "operation"]


class NASBench201Network(nn.Module):
    """Images (n, inputs, height, width) to scores; the paper has 16 channels and 5 cells.

    Cells of three nodes, the paper's without the last one, are built alike, and so are those of
    spaces whose edges offer other operations (:mod:`nassim.spaces.restricted`).
    """

    def __init__(
        self, architecture: Architecture, *, channels: int, cells: int, classes: int, inputs: int
    ) -> None:
        super().__init__()
        names = _names(architecture)
        self.stem = nn.Sequential(_conv(inputs, channels, 3), nn.BatchNorm2d(channels))
        layers: list[nn.Module] = []
        for stage in range(3):
            width = channels * 2**stage
            if stage > 0:
                layers.append(ResidualReduction(width // 2, width))
            layers += [Cell(names, width) for _ in range(cells)]
        self.layers = nn.Sequential(*layers)
        self.norm = nn.BatchNorm2d(4 * channels)
        self.head = nn.Linear(4 * channels, classes)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.norm(self.layers(self.stem(x))))
        scores: Tensor = self.head(x.mean(dim=(2, 3)))
        return scores


class Cell(nn.Module):
    """Three or four nodes; each is the sum of its incoming edges, the last is the output.

    ``names`` are the operations of the edges.
    """

    def __init__(self, names: Sequence[str], width: int) -> None:
        super().__init__()
        edges = EDGES[: len(names)]
        self.n_nodes = 1 + max(to for _, to in edges)
        # an edge "none" adds an exact zero, so it is left out
        self.edges = [
            (source, to) for name, (source, to) in zip(names, edges, strict=True) if name != "none"
        ]
        self.operations = nn.ModuleList(operation(name, width) for name in names if name != "none")

    def forward(self, x: Tensor) -> Tensor:
        nodes: list[Tensor | None] = [x, *(None for _ in range(self.n_nodes - 1))]
        for apply, (source, to) in zip(self.operations, self.edges, strict=True):
            value = nodes[source]
            if value is None:  # nothing reaches the source: it is zero
                value = x.new_zeros(x.shape)
            term: Tensor = apply(value)
            node = nodes[to]
            nodes[to] = term if node is None else node + term
        output = nodes[-1]
        return x.new_zeros(x.shape) if output is None else output


class ResidualReduction(nn.Module):
    """A basic residual block that halves the image and doubles the channels."""

    def __init__(self, inputs: int, width: int) -> None:
        super().__init__()
        self.residual = nn.Sequential(
            *_relu_conv(inputs, width, 3, stride=2), *_relu_conv(width, width, 3)
        )
        self.shortcut = nn.Sequential(
            # ceil: an odd image is halved as the convolution halves it
            nn.AvgPool2d(2, 2, ceil_mode=True),
            _conv(inputs, width, 1),
        )

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.residual(x) + self.shortcut(x)
        return y


def operation(name: str, width: int) -> nn.Module:
    """An operation other than ``none`` on images of so many channels."""
    if name == "skip_connect":
        return nn.Identity()
    if name == "noise":
        return Noise()
    if name == "avg_pool_3x3":
        return nn.AvgPool2d(3, stride=1, padding=1, count_include_pad=False)
    return nn.Sequential(*_relu_conv(width, width, 1 if name == "nor_conv_1x1" else 3))


def _names(architecture: Architecture) -> tuple[str, ...]:
    """The operation of each edge."""
    space = get_space(architecture.space)
    if not isinstance(space, NASBench201Space):
        raise InputError(
            f"Architecture {architecture.id!r} is of space {space.name!r}; expected one of "
            "NAS-Bench-201's."
        )
    return space.names(architecture.decisions)


def _relu_conv(inputs: int, width: int, kernel: int, stride: int = 1) -> list[nn.Module]:
    return [nn.ReLU(), _conv(inputs, width, kernel, stride), nn.BatchNorm2d(width)]


def _conv(inputs: int, outputs: int, kernel: int, stride: int = 1) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, kernel, stride, padding=kernel // 2, bias=False)
