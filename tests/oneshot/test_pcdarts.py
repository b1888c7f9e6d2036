from __future__ import annotations

import pytest
import torch

from nassim.errors import InputError
from nassim.oneshot.mixed import MixedOp
from nassim.oneshot.partial import first_channels
from nassim.oneshot.pcdarts import PartialMixture, use_parts
from nassim.oneshot.supernet import build_supernet, mixed_op
from nassim.spaces import get_space

IMAGES = torch.randn(3, 8, 5, 5, generator=torch.Generator().manual_seed(0))


def kept(edge: MixedOp, parts: int) -> int:
    """Values of images that an edge keeps for its gradient."""
    sizes: list[int] = []

    def pack(tensor: torch.Tensor) -> torch.Tensor:
        sizes.append(tensor.numel() if tensor.dim() == 4 and len(tensor) == len(IMAGES) else 0)
        return tensor

    edge.parts = parts
    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        edge(IMAGES.clone().requires_grad_(), torch.full((5,), 0.2))
    return sum(sizes)


@pytest.mark.parametrize("affine", [True, False])
@pytest.mark.parametrize("training", [True, False])
def test_all_channels_are_the_operation_itself(affine: bool, training: bool) -> None:
    one, other = mixed_op(8, affine=affine), mixed_op(8, affine=affine)
    other.load_state_dict(one.state_dict())
    for name in one.options:
        a, b = one.options[name].train(training), other.options[name].train(training)
        assert torch.allclose(first_channels(a, IMAGES), b(IMAGES), atol=1e-6)
    for key, value in one.state_dict().items():
        assert torch.allclose(value, other.state_dict()[key], atol=1e-6)


def test_what_passes_by_is_the_input_and_only_first_weights_learn() -> None:
    edge = mixed_op(8)
    edge.parts = 2
    gate = torch.tensor([0.1, 0.2, 0.3, 0.3, 0.1])
    y = edge(IMAGES, gate)
    assert torch.allclose(y[:, 1::2], IMAGES[:, 4:])  # shuffled; weights sum to 1
    assert not torch.allclose(y[:, ::2], IMAGES[:, :4])
    y[:, ::2].square().sum().backward()
    gradient = edge.options["nor_conv_3x3"][1].weight.grad
    assert gradient[:4, :4].abs().min() > 0
    assert gradient[4:].abs().max() == gradient[:, 4:].abs().max() == 0


def test_partial_channels_keep_less_for_the_gradient() -> None:
    edge = mixed_op(8)
    assert kept(edge, 4) < 0.6 * kept(edge, 1)


def test_edges_into_a_node_share_a_weight_of_one() -> None:
    supernet = build_supernet(
        get_space("nasbench201"), channels=4, cells=1, classes=3, inputs=1, affine=False
    )
    mixture = PartialMixture(supernet, torch.zeros(6, 5), torch.tensor([5.0, 0, 1, 3, 3, 3]))
    edges = mixture.gates().sum(dim=1)
    p = float(torch.sigmoid(torch.tensor(-1.0)))
    assert edges.tolist() == pytest.approx([1, p, 1 - p, 1 / 3, 1 / 3, 1 / 3])


def test_parts_divide_the_channels() -> None:
    supernet = build_supernet(
        get_space("nasbench201_3nodes"), channels=4, cells=1, classes=3, inputs=1, affine=False
    )
    with pytest.raises(InputError, match="a divisor of the supernet's 4 channels"):
        use_parts(supernet, 3)
