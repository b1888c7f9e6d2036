from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from nassim.errors import InputError, UnknownNameError
from nassim.networks import build_network, count_multiply_adds, count_parameters
from nassim.networks import nasnet as nasnet_networks
from nassim.networks.initialise import draw_uniform
from nassim.networks.stacked import Place
from nassim.records import Architecture
from nassim.spaces import get_space, nasbench201, nasnet

NASNET, NB201 = get_space("nasnet"), get_space("nasbench201")
NB201_SMALL, NB101 = get_space("nasbench201_3nodes"), get_space("nasbench101")
# the first block reads both inputs, each other one the block before it, twice
CHAIN = "|".join(["0{0}+1{0}", *(f"{k}{{0}}+{k}{{0}}" for k in range(2, 6))])


def build(architecture: Architecture, **changes: object) -> nn.Module:
    values: dict[str, object] = {"channels": 4, "cells": 1, "classes": 3, "input_shape": (8, 8, 1)}
    return build_network(architecture, **(values | changes))


def nasnet_of(normal: str, reduction: str = "") -> Architecture:
    return NASNET.parse(f"{normal}||{reduction or normal}")


@pytest.mark.parametrize("operation", nasnet.OPERATIONS)
@pytest.mark.parametrize("shape", [(8, 8, 1), (7, 9, 3), (5, 5, 1), (1, 1, 2)])
@pytest.mark.parametrize("cells", [1, 2])
def test_nasnet_shapes_and_gradients(
    operation: str, shape: tuple[int, int, int], cells: int
) -> None:
    network = build(nasnet_of(CHAIN.format(operation)), cells=cells, input_shape=shape)
    scores = network(torch.randn(2, shape[2], *shape[:2]))
    assert scores.shape == (2, 3)
    scores.sum().backward()
    assert all(p.grad is not None for p in network.parameters())


@pytest.mark.parametrize("operation", nasbench201.OPERATIONS)
@pytest.mark.parametrize("shape", [(8, 8, 1), (7, 9, 3), (5, 5, 1)])
def test_nasbench201_shapes(operation: str, shape: tuple[int, int, int]) -> None:
    code = nasbench201.OPERATIONS.index(operation)
    network = build(NB201.architecture((code,) * 6), input_shape=shape)
    assert network(torch.randn(2, shape[2], *shape[:2])).shape == (2, 3)


def parameters_of(operation: str) -> int:
    """Of a network with one such operation more in the normal cells than with skips alone."""
    skips = CHAIN.format("skip")
    with_one = skips.replace("0skip", f"0{operation}")
    difference = count_parameters(build(nasnet_of(with_one, skips)))
    return difference - count_parameters(build(nasnet_of(skips)))


@pytest.mark.parametrize(
    ("operation", "weights"),
    # one normal cell of 4 channels and one of 8: depthwise + pointwise + batch norm
    [
        ("sep3", (4 * 9 + 16 + 8) + (8 * 9 + 64 + 16)),
        ("sep5", (4 * 25 + 16 + 8) + (8 * 25 + 64 + 16)),
        ("avg3", 0),
        ("max3", 0),
        ("skip", 0),
    ],
)
def test_nasnet_parameters_of_an_operation(operation: str, weights: int) -> None:
    assert parameters_of(operation) == weights


def test_nasnet_network_counted_by_hand() -> None:
    # a chain of skips has one loose end, so all widths are 4, then 8
    network = build(nasnet_of(CHAIN.format("skip")))
    stem = 9 * 4 + 8
    first = 2 * (4 * 4 + 8)  # two inputs aligned by 1x1 convolutions
    reduction = 2 * (4 * 8 + 16) + 2 * (8 * 8 + 16)  # its skips of inputs 0, 1 halve
    last = (4 * 8 + 16) + (8 * 8 + 16)
    head = 8 * 3 + 3
    assert count_parameters(network) == stem + first + reduction + last + head
    adds = 9 * 4 * 64 + 2 * 16 * 64 + (2 * 32 * 64 + 2 * 64 * 16) + (32 + 64) * 16 + 24
    assert count_multiply_adds(network, (8, 8, 1)) == adds


@pytest.mark.parametrize(
    ("cell", "loose"),
    [
        (CHAIN.format("skip"), [6]),
        ("0skip+1skip|0skip+1skip|0skip+1skip|0skip+1skip|0skip+1skip", [2, 3, 4, 5, 6]),
        ("0skip+1skip|2skip+2skip|0skip+1skip|4skip+1skip|0skip+2skip", [3, 5, 6]),
    ],
)
def test_loose_ends_are_concatenated(cell: str, loose: list[int]) -> None:
    network = build(nasnet_of(cell))
    first = network.cells[0]
    assert first.loose == loose
    output = first(torch.randn(2, 4, 8, 8), torch.randn(2, 4, 8, 8))
    assert output.shape == (2, 4 * len(loose), 8, 8)


@pytest.mark.parametrize(
    ("skeleton", "strides", "widths"),
    [("NRN", [1, 1, 2, 1, 1], [4, 4, 8, 8, 8]), ("RN", [2, 1, 1], [8, 8, 8]), ("R", [2], [8])],
)
def test_a_skeleton_orders_the_cells(skeleton: str, strides: list[int], widths: list[int]) -> None:
    network = build(nasnet_of(CHAIN.format("max3")), cells=2, skeleton=skeleton)
    assert [cell.operations[0].stride for cell in network.cells] == strides
    assert [cell.channels for cell in network.cells] == widths  # a chain has one loose end
    assert network(torch.randn(2, 1, 7, 9)).shape == (2, 3)


def test_other_spaces_have_one_skeleton() -> None:
    with pytest.raises(InputError, match="'nasbench201' have one skeleton; 'RN' was given"):
        build(NB201.architecture((3,) * 6), skeleton="RN")


def test_a_reduction_halves_only_what_it_reads_from_the_inputs() -> None:
    cell = nasnet_networks.Cell(
        nasnet.blocks(
            nasnet_of("0sep3+1max3|2sep3+0avg3|3skip+1skip|2max3+4sep5|5avg3+0sep5").decisions, 1
        ),
        Place(reduction=True, sources=(-1, -1), width=8, halve_first=False),
        first_inputs=4,
        second_inputs=4,
    )
    output = cell(torch.randn(2, 4, 8, 8), torch.randn(2, 4, 8, 8))
    assert output.shape[2:] == (4, 4)


@pytest.mark.parametrize("seed", range(5))
def test_isomorphic_cells_have_equal_sizes(seed: int) -> None:
    architecture = NASNET.sample(np.random.default_rng(seed))
    swapped = "||".join(
        "|".join("+".join(reversed(block.split("+"))) for block in cell.split("|"))
        for cell in architecture.id.split("||")
    )
    other = NASNET.parse(swapped)
    assert other.id != architecture.id
    assert other.canonical_id == architecture.canonical_id
    networks = [build(one) for one in (architecture, other)]
    assert len({count_parameters(network) for network in networks}) == 1
    assert len({count_multiply_adds(network, (8, 8, 1)) for network in networks}) == 1


def test_nasnet_cell_computes_what_its_text_says() -> None:
    cell = nasnet_networks.Cell(
        nasnet.blocks(
            nasnet_of("0skip+1max3|2skip+1avg3|3skip+3skip|4max3+0skip|5skip+5skip").decisions, 0
        ),
        Place(reduction=False, sources=(-1, -1), width=4, halve_first=False),
        first_inputs=4,
        second_inputs=4,
    ).eval()
    a, b = torch.randn(1, 4, 6, 6), torch.randn(1, 4, 6, 6)
    h0, h1 = cell.first(a.relu()), cell.second(b.relu())
    two = h0 + nn.functional.max_pool2d(h1, 3, 1, 1)
    three = two + nn.functional.avg_pool2d(h1, 3, 1, 1, count_include_pad=False)
    five = nn.functional.max_pool2d(2 * three, 3, 1, 1) + h0
    torch.testing.assert_close(cell(a, b), 2 * five)


def test_nasbench201_cell_computes_what_its_text_says() -> None:
    # conv 0->1, identity 1->2 and 0->3, average 2->3
    decisions = (3, 0, 1, 1, 0, 4)
    cell = build(NB201.architecture(decisions)).layers[0].eval()
    x = torch.randn(1, 4, 6, 6)
    conv = cell.operations[0](x)
    expected = x + nn.functional.avg_pool2d(conv, 3, 1, 1, count_include_pad=False)
    torch.testing.assert_close(cell(x), expected)


def test_nasbench201_cell_without_a_path_is_zero() -> None:
    cell = build(NB201.architecture((3, 3, 3, 0, 0, 0))).layers[0]
    assert not cell(torch.randn(1, 4, 6, 6)).any()


@pytest.mark.parametrize(
    ("operation", "parameters", "multiply_adds"),
    [("none", 73306, 7.78304e6), ("nor_conv_3x3", 1531546, 220.11968e6)],
)
def test_nasbench201_has_the_published_sizes(
    operation: str, parameters: int, multiply_adds: float
) -> None:
    code = nasbench201.OPERATIONS.index(operation)
    shape = (32, 32, 3)
    network = build_network(
        NB201.architecture((code,) * 6), channels=16, cells=5, classes=10, input_shape=shape
    )
    assert count_parameters(network) == parameters
    assert count_multiply_adds(network, shape) == multiply_adds


def test_nasbench201_cell_of_three_nodes_computes_what_its_text_says() -> None:
    cell = build(NB201_SMALL.architecture((3, 1, 4))).layers[0].eval()
    x = torch.randn(1, 4, 6, 6)
    conv = cell.operations[0](x)
    expected = x + nn.functional.avg_pool2d(conv, 3, 1, 1, count_include_pad=False)
    torch.testing.assert_close(cell(x), expected)


def test_nasbench201_network_of_three_nodes_is_that_of_four_with_a_copied_node() -> None:
    """An isomorphic cell of the larger space, drawn from the same seed, is the same network."""
    for decisions in ((3, 2, 4), (0, 3, 3), (2, 1, 0), (4, 0, 3)):
        small = build(NB201_SMALL.architecture(decisions)).eval()
        large = build(NB201.architecture((*decisions, 0, 0, 1))).eval()
        x = torch.randn(2, 1, 8, 8)
        torch.testing.assert_close(small(x), large(x))
        assert count_parameters(small) == count_parameters(large)


@pytest.mark.parametrize("decisions", [(0, 0, 0), (3, 0, 0), (0, 0, 2)])
def test_nasbench201_cell_of_three_nodes_without_a_path_is_zero(decisions: tuple[int, ...]) -> None:
    cell = build(NB201_SMALL.architecture(decisions)).layers[0].eval()
    assert not cell(torch.zeros(1, 4, 6, 6)).any()
    assert decisions[2] or not cell(torch.randn(1, 4, 6, 6)).any()


@pytest.mark.parametrize("shape", [(8, 8, 1), (7, 9, 3), (1, 1, 2)])
@pytest.mark.parametrize("vertices", range(2, 8))
@pytest.mark.parametrize("cells", [1, 2])
def test_nasbench101_shapes_and_gradients(
    shape: tuple[int, int, int], vertices: int, cells: int
) -> None:
    space = get_space(f"nasbench101:vertices={vertices}")
    network = build(space.sample(np.random.default_rng(0)), cells=cells, input_shape=shape)
    scores = network(torch.randn(2, shape[2], *shape[:2]))
    assert scores.shape == (2, 3)
    scores.sum().backward()
    assert all(p.grad is not None for p in network.parameters())


def test_nasbench101_cell_computes_what_its_text_says() -> None:
    text = "conv3x3(0)|max3x3(0,1)|conv1x1(1,2)|output(0,2,3)"
    cell = build(NB101.parse(text)).layers[1].eval()
    assert list(cell.projections) == ["1", "2"]
    x = torch.randn(1, 4, 6, 6)
    one = cell.operations[0](cell.projections["1"](x))
    two = nn.functional.max_pool2d(cell.projections["2"](x) + one, 3, 1, 1)
    three = cell.operations[2](one + two)
    expected = cell.output(torch.cat([x, two, three], dim=1))
    torch.testing.assert_close(cell(x), expected)


def test_nasbench101_network_counted_by_hand() -> None:
    network = build(NB101.parse("conv3x3(0)|max3x3(0,1)|output(0,2)"))

    def conv(inputs: int, width: int, kernel: int = 1) -> int:
        return inputs * width * kernel**2 + 2 * width

    def cell(inputs: int, width: int) -> int:
        projections = 2 * conv(inputs, width)
        return projections + conv(width, width, 3) + conv(inputs + width, width)

    cells = cell(4, 4) + cell(4, 8) + cell(8, 16)
    assert count_parameters(network) == conv(1, 4, 3) + cells + 16 * 3 + 3


def test_isomorphic_cells_of_nasbench101_are_one_network() -> None:
    """The second has vertices 1 and 2 of the first exchanged; so have its weights."""
    first = build(NB101.parse("conv3x3(0)|conv1x1(0)|max3x3(0,2)|output(1,3)"))
    second = build(NB101.parse("conv1x1(0)|conv3x3(0)|max3x3(0,1)|output(2,3)"))
    exchanged = {"projections.1.": "projections.2.", "operations.0.": "operations.1."}
    exchanged |= {right: left for left, right in exchanged.items()}

    def renamed(name: str) -> str:
        for old, new in exchanged.items():
            if old in name:
                return name.replace(old, new)
        return name

    weights = {renamed(name): value for name, value in first.state_dict().items()}
    second.load_state_dict(weights)
    x = torch.randn(2, 1, 8, 8)
    torch.testing.assert_close(first(x), second(x))
    assert first.layers[1].operations[0][0].kernel_size == (3, 3)


def test_weights_come_from_the_generator_alone() -> None:
    architecture = NASNET.sample(np.random.default_rng(0))

    def weights(seed: int) -> torch.Tensor:
        network = build(architecture, generator=torch.Generator().manual_seed(seed))
        return torch.cat([p.detach().flatten() for p in network.parameters()])

    torch.manual_seed(1)
    first = weights(0)
    torch.manual_seed(2)
    assert torch.equal(first, weights(0))
    assert not torch.equal(first, weights(1))


def test_counting_leaves_the_network_as_it_was() -> None:
    network = build(NASNET.sample(np.random.default_rng(0)))
    before = {name: value.clone() for name, value in network.state_dict().items()}
    count_multiply_adds(network, (8, 8, 1))
    assert network.training
    assert all(torch.equal(before[name], value) for name, value in network.state_dict().items())


def test_a_space_without_networks() -> None:
    with pytest.raises(UnknownNameError, match=r"'table'.*nasbench201, .*nasnet"):
        build(Architecture("table", (), "x", "x"))


@pytest.mark.parametrize("name", ["channels", "cells", "classes"])
def test_numbers_below_one(name: str) -> None:
    with pytest.raises(InputError, match=f"{name} 0; expected 1 or more"):
        build(NASNET.sample(np.random.default_rng(0)), **{name: 0})


def test_weights_are_drawn_uniformly_within_the_inverse_root_of_their_inputs() -> None:
    network = nn.Linear(100, 400)
    draw_uniform(network, np.random.default_rng(0))
    assert 0.099 < network.weight.max().item() < 0.1
    assert -0.1 < network.weight.min().item() < -0.099
    assert not network.bias.any()
