from __future__ import annotations

from fractions import Fraction

import pytest
import torch

from nassim.errors import InputError
from nassim.networks import build_network, count_multiply_adds, count_parameters
from nassim.networks.elastic import ElasticNetwork, resized
from nassim.spaces import get_space

TINY, WHOLE = get_space("elastic_tiny"), get_space("elastic")


def _network(text: str, channels: int = 8) -> ElasticNetwork:
    one = TINY.parse(text)
    network = build_network(one, channels=channels, cells=1, classes=10, input_shape=(12, 12, 1))
    assert isinstance(network, ElasticNetwork)
    return network


def _block_weights(inputs: int, outputs: int, kernel: int, expansion: int) -> int:
    hidden = inputs * expansion
    norms = 2 * (hidden + hidden + outputs)
    return inputs * hidden + kernel**2 * hidden + hidden * outputs + norms


def test_weights_are_those_of_the_blocks() -> None:
    stem, head = 9 * 8 + 2 * 8, 16 * 10 + 10
    blocks = _block_weights(8, 8, 3, 2) + _block_weights(8, 8, 5, 1) + _block_weights(8, 16, 5, 2)
    assert count_parameters(_network("1|k3e2,k5e1|k5e2")) == stem + blocks + head


def test_multiply_adds_count_the_pixels_that_are_left() -> None:
    one = _network("1|k3e1|k3e1")
    stem, head = 9 * 8 * 144, 16 * 10
    first = 8 * 8 * 144 + 9 * 8 * 144 + 8 * 8 * 144
    second = 8 * 8 * 144 + 9 * 8 * 36 + 8 * 16 * 36  # its depthwise convolution halves the image
    assert count_multiply_adds(one, (12, 12, 1)) == stem + first + second + head
    small = _network("2/3|k3e1|k3e1")
    in_cells = stem + first + second
    assert count_multiply_adds(small, (12, 12, 1)) == in_cells * 4 // 9 + head


@pytest.mark.parametrize("text", ["1|k5e2,k5e2|k5e2,k5e2", "2/3|k3e1|k3e1"])
def test_every_weight_has_a_part_in_the_scores(text: str) -> None:
    network = _network(text)
    network(torch.randn(4, 1, 12, 12)).square().sum().backward()
    assert all(
        weights.grad is not None and bool((weights.grad != 0).any())
        for weights in network.parameters()
    )


def test_a_block_adds_its_input_where_shapes_are_equal() -> None:
    network = _network("1|k3e1,k3e1|k3e1,k3e1").eval()
    residual = [block.residual for stage in network.stages for block in stage]  # type: ignore[union-attr]
    assert residual == [True, True, False, True]
    x = torch.randn(2, 8, 12, 12)
    block = network.stages[0][1]  # type: ignore[index]
    torch.nn.init.zeros_(block.project_norm.weight)
    assert torch.equal(block(x), x)


def test_the_paper_s_largest_network_runs() -> None:
    network = build_network(
        WHOLE.architecture(tuple(n - 1 for n in WHOLE.n_choices)),
        channels=16,
        cells=1,
        classes=10,
        input_shape=(32, 32, 3),
    )
    assert network(torch.zeros(2, 3, 32, 32)).shape == (2, 10)


def test_pixels_are_averages_of_what_they_cover() -> None:
    x = torch.arange(6.0).reshape(1, 1, 1, 6).expand(1, 1, 6, 6)
    assert resized(x, Fraction(1)) is x
    assert torch.equal(resized(x, Fraction(1, 3))[0, 0, 0], torch.tensor([1.0, 4.0]))
    assert resized(x[:, :, :1, :1], Fraction(1, 3)).shape == (1, 1, 1, 1)


def test_cells_are_refused() -> None:
    with pytest.raises(InputError, match=r"2 cells a stage; expected 1"):
        build_network(
            TINY.parse("1|k3e1|k3e1"), channels=8, cells=2, classes=2, input_shape=(8, 8, 1)
        )


def test_architectures_of_other_spaces_are_refused() -> None:
    other = get_space("nasbench201_3nodes").architecture((3, 0, 0))
    with pytest.raises(InputError, match="expected 'elastic' or 'elastic_tiny'"):
        ElasticNetwork(other, channels=8, cells=1, classes=2, inputs=1)
