from __future__ import annotations

import itertools

import pytest
import torch

from nassim.errors import InputError
from nassim.oneshot.base import check_space
from nassim.oneshot.gdas import GDAS
from nassim.oneshot.spos import SPOS
from nassim.oneshot.supernet import NASBench201Supernet, Supernet, build_supernet
from nassim.spaces import get_space

SMALL, LARGE = get_space("nasbench201_3nodes"), get_space("nasbench201")


def build(space: str = "nasbench201_3nodes", **options: bool) -> Supernet:
    return build_supernet(get_space(space), channels=4, cells=1, classes=3, inputs=1, **options)


def images(n: int = 4) -> torch.Tensor:
    return torch.randn(n, 1, 8, 8, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("affine", [True, False])
@pytest.mark.parametrize(
    "decisions", [*itertools.product((0, 1, 3), repeat=3), (4, 2, 4), (4, 3, 2, 0, 1, 3)]
)
def test_one_hot_is_the_stand_alone_network(decisions: tuple[int, ...], affine: bool) -> None:
    space = SMALL if len(decisions) == 3 else LARGE
    supernet = build(space.name, affine=affine).eval()
    architecture = space.architecture(decisions)
    own = supernet.standalone(architecture)
    weights = torch.eye(5)
    outputs = supernet(images(), decisions)
    assert torch.equal(outputs, own(images()))
    assert torch.equal(outputs, supernet(images(), [weights[op] for op in decisions]))


def test_a_mixture_is_the_weighted_sum() -> None:
    supernet = build().eval()
    edge = supernet.layers[0].edges[0]
    x = torch.randn(2, 4, 5, 5, generator=torch.Generator().manual_seed(2))
    gate = torch.tensor([0.5, 0.25, 0.0, 0.25, 0.0], requires_grad=True)
    mixed = edge(x, gate)
    assert torch.allclose(mixed, 0.25 * x + 0.25 * edge(x, 3))
    mixed.sum().backward()
    assert gate.grad is not None
    assert gate.grad[1] == pytest.approx(float(x.sum()), abs=1e-4)
    assert edge.options["nor_conv_1x1"][1].weight.grad is None  # of weight 0: not run


def test_what_is_not_used_has_no_gradient() -> None:
    supernet = build()
    supernet(images(), (3, 0, 2)).sum().backward()
    used = {
        name
        for name, parameter in supernet.named_parameters()
        if ".options." in name and parameter.grad is not None
    }
    assert used
    assert {tuple(name.split(".")[3:6:2]) for name in used} == {
        ("0", "nor_conv_3x3"),
        ("2", "nor_conv_1x1"),
    }


def test_another_space_is_refused() -> None:
    with pytest.raises(InputError, match="no supernet of space 'feedforward'"):
        build("feedforward")


def test_a_method_that_a_supernet_cannot_serve_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(NASBench201Supernet, "edgewise", False)
    check_space(SPOS(), SMALL)
    with pytest.raises(InputError, match=r"GDAS .* 'nasbench201_3nodes' .* fewshot, .*spos"):
        check_space(GDAS(), SMALL)
    monkeypatch.undo()
    check_space(GDAS(), SMALL)
