"""Networks of the DARTS space: counted and computed by hand."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from nassim.networks import build_network, count_multiply_adds, count_parameters
from nassim.networks import darts as networks
from nassim.networks.stacked import Place
from nassim.records import Architecture
from nassim.spaces import get_space
from nassim.spaces.darts import OPERATIONS, nodes

SPACE = get_space("darts")
SKIPS = "|".join(["0skip+1skip"] * 4)
MIXED = "0skip+1max3|0avg3+2skip|1skip+3max3|0skip+4skip"


def of(normal: str, reduction: str = "") -> Architecture:
    return SPACE.parse(f"{normal}||{reduction or normal}")


def build(architecture: Architecture, **changes: object) -> nn.Module:
    values: dict[str, object] = {"channels": 4, "cells": 1, "classes": 3, "input_shape": (8, 8, 1)}
    return build_network(architecture, **(values | changes))


@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize("shape", [(8, 8, 1), (5, 7, 3), (1, 1, 2)])
def test_shapes_and_gradients(operation: str, shape: tuple[int, int, int]) -> None:
    cell = "|".join(["0{0}+1{0}"] + [f"{k}{{0}}+{k + 1}{{0}}" for k in range(1, 4)])
    network = build(of(cell.format(operation)), input_shape=shape)
    scores = network(torch.randn(2, shape[2], *shape[:2]))
    assert scores.shape == (2, 3)
    scores.sum().backward()
    assert all(p.grad is not None for p in network.parameters())


@pytest.mark.parametrize(
    ("operation", "weights"),
    [
        ("max3", 0),
        ("avg3", 0),
        ("sep3", 2 * (4 * 9 + 16 + 8)),
        ("sep5", 2 * (4 * 25 + 16 + 8)),
        ("dil3", 4 * 9 + 16 + 8),
        ("dil5", 4 * 25 + 16 + 8),
    ],
)
def test_parameters_of_an_operation(operation: str, weights: int) -> None:
    """A separable convolution is applied twice, a dilated one once."""
    normal = SKIPS.replace("0skip", f"0{operation}", 1)
    with_it = build(of(normal, SKIPS), skeleton="N")
    assert count_parameters(with_it) - count_parameters(build(of(SKIPS), skeleton="N")) == weights


def test_a_network_counted_by_hand() -> None:
    network = build(of(SKIPS))
    stem = 9 * 4 + 8
    first = 2 * (4 * 4 + 8)  # two inputs aligned by 1x1 convolutions
    # its eight skips of the inputs are factorised reductions
    reduction = (4 * 8 + 16) + (16 * 8 + 16) + 8 * (8 * 8 + 16)
    last = (16 * 8 + 16) + (32 * 8 + 16)  # all four nodes are concatenated
    assert count_parameters(network) == stem + first + reduction + last + 32 * 3 + 3
    # a factorised reduction is half of the outputs twice, on a quarter of the places
    adds = (9 * 4 + 2 * 16) * 64 + (32 + 128) * 64 + 8 * 64 * 16 + (128 + 256) * 16 + 32 * 3
    assert count_multiply_adds(network, (8, 8, 1)) == adds


def test_dilation_reaches_further() -> None:
    for name, reach in (("dil3", 2), ("dil5", 4), ("sep3", 2), ("sep5", 4)):
        operation = networks.operation(name, 2, 1).eval()
        with torch.no_grad():
            for weights in operation.parameters():
                weights.fill_(1)  # so that no ReLU hides what is reached
        x = torch.zeros(1, 2, 13, 13)
        x[:, :, 6, 6] = 1
        touched = (operation(x) != operation(torch.zeros_like(x))).any(dim=1)[0]
        assert touched.any(dim=0).nonzero().flatten()[[0, -1]].tolist() == [6 - reach, 6 + reach]
        # a dilated convolution leaves out every second pixel
        assert bool(touched[6, 7]) == name.startswith("sep")


def test_a_cell_computes_what_its_text_says() -> None:
    place = Place(reduction=False, sources=(-1, -1), width=4, halve_first=False)
    cell = networks.Cell(nodes(of(MIXED).decisions, 0), place, 4, 4).eval()
    a, b = torch.randn(1, 4, 6, 6), torch.randn(1, 4, 6, 6)
    h0, h1 = cell.first(a.relu()), cell.second(b.relu())
    two = h0 + nn.functional.max_pool2d(h1, 3, 1, 1)
    three = nn.functional.avg_pool2d(h0, 3, 1, 1, count_include_pad=False) + two
    four = h1 + nn.functional.max_pool2d(three, 3, 1, 1)
    torch.testing.assert_close(cell(a, b), torch.cat([two, three, four, h0 + four], dim=1))


def test_a_reduction_halves_what_it_reads_from_the_inputs_alone() -> None:
    place = Place(reduction=True, sources=(-1, 0), width=8, halve_first=True)
    cell = networks.Cell(nodes(of(MIXED).decisions, 1), place, 4, 4)
    assert cell(torch.randn(2, 4, 18, 18), torch.randn(2, 4, 9, 9)).shape == (2, 32, 5, 5)


@pytest.mark.parametrize(("skeleton", "widths"), [("NRN", [16, 32, 32]), ("RN", [32, 32])])
def test_a_skeleton_orders_the_cells(skeleton: str, widths: list[int]) -> None:
    network = build(of(MIXED), skeleton=skeleton)
    assert [cell.channels for cell in network.cells] == widths
