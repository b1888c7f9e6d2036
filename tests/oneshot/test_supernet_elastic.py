from __future__ import annotations

from typing import cast

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from nassim.errors import InputError
from nassim.oneshot.supernet import build_supernet
from nassim.oneshot.supernet_elastic import (
    ElasticSupernet,
    FirstChannelsNorm,
    SharedBlock,
    shrunk,
)
from nassim.spaces import get_space
from nassim.spaces.elastic import ElasticSpace, ElasticTinySpace, Stage

TINY = ElasticTinySpace()


class Deep(ElasticSpace):
    """Three values of each kind, in one stage that is small enough to test."""

    name = "elastic"
    resolutions = ("1/2", "1")
    depths = (1, 2, 3)
    kernels = (3, 5, 7)
    expansions = (1, 2, 4)
    stages = (Stage(1, 1),)


def _supernet(space: ElasticSpace = TINY, *, affine: bool = True) -> ElasticSupernet:
    """A supernet whose statistics, scales and matrices are not those that it begins with."""
    generator = torch.Generator().manual_seed(0)
    supernet = ElasticSupernet(
        space, channels=4, cells=1, classes=3, inputs=1, affine=affine, generator=generator
    )
    with torch.no_grad():
        for name, values in supernet.state_dict().items():
            if "norm" in name and values.dtype == torch.float32:
                values.uniform_(0.5, 1.5, generator=generator)
            if "matrices" in name:
                values.normal_(0, 0.1, generator=generator)
    return supernet


def _images(side: int = 8) -> Tensor:
    return torch.randn(5, 1, side, side, generator=torch.Generator().manual_seed(1))


def _blocks(supernet: ElasticSupernet) -> list[SharedBlock]:
    return [
        cast(SharedBlock, block)
        for stage in supernet.stages
        for block in cast(nn.ModuleList, stage)
    ]


@pytest.mark.parametrize("affine", [True, False])
@pytest.mark.parametrize("training", [True, False])
def test_each_architecture_is_its_own_network(affine: bool, training: bool) -> None:
    supernet = _supernet(affine=affine).train(training)
    rng = np.random.default_rng(0)
    for one in [TINY.largest, TINY.smallest, *(TINY.sample(rng) for _ in range(20))]:
        own = supernet.standalone(one)  # before statistics move
        assert torch.equal(supernet(_images(), one.decisions), own(_images()))


def test_three_values_of_each_kind_are_cut_out_too() -> None:
    space = Deep()
    supernet = _supernet(space).eval()
    x = _images()
    for kernel, expansion in [(0, 0), (1, 1), (2, 2), (0, 2), (2, 0)]:
        one = space.architecture((1, 0, kernel, expansion, 0, 0, 0, 0))
        weights = supernet.own(
            [
                supernet.get_parameter(name)
                for name in (
                    "stages.0.0.depthwise.weight",
                    *(f"stages.0.0.matrices.{size}" for size in (5, 3)[: 2 - kernel]),
                )
            ],
            (4 * space.expansions[expansion], 1, space.kernels[kernel], space.kernels[kernel]),
        )
        (block,) = _blocks(supernet)[:1]
        hidden = torch.relu(
            nn.functional.batch_norm(
                nn.functional.conv2d(supernet.stem(x), block.expand.weight[: len(weights)]),
                *(
                    cast(Tensor, values)[: len(weights)]
                    for values in (
                        block.expand_norm.running_mean,
                        block.expand_norm.running_var,
                        block.expand_norm.weight,
                        block.expand_norm.bias,
                    )
                ),
            )
        )
        ours = nn.functional.conv2d(
            hidden, weights, padding=space.kernels[kernel] // 2, groups=len(weights)
        )
        seen: list[Tensor] = []
        handle = block.depthwise_norm.register_forward_pre_hook(
            lambda _norm, inputs, seen=seen: seen.append(inputs[0])
        )
        supernet(x, one.decisions)
        handle.remove()
        assert torch.equal(seen[0], ours)


def test_kernels_are_centres_where_matrices_are_identities() -> None:
    kernels = torch.randn(4, 1, 7, 7)
    zeros = [torch.zeros(25, 25), torch.zeros(9, 9)]
    assert torch.equal(shrunk(kernels, zeros), kernels[:, :, 2:5, 2:5])
    assert torch.equal(shrunk(kernels, zeros[:1]), kernels[:, :, 1:6, 1:6])
    fresh = ElasticSupernet(TINY, channels=4, cells=1, classes=3, inputs=1)
    own = fresh.standalone(TINY.smallest).state_dict()["stages.0.0.depthwise.weight"]
    assert torch.equal(own, _blocks(fresh)[0].depthwise.weight[:4, :, 1:4, 1:4])


def test_a_matrix_is_applied_to_the_centre() -> None:
    kernels, matrix = torch.randn(2, 1, 5, 5).double(), torch.randn(9, 9).double()
    found = shrunk(kernels, [matrix])
    for kernel, one in zip(kernels, found, strict=True):
        centre = kernel[0, 1:4, 1:4].reshape(9)
        torch.testing.assert_close(one.reshape(9), (torch.eye(9).double() + matrix) @ centre)


def test_a_shallow_network_is_the_first_blocks() -> None:
    supernet = _supernet().eval()
    shallow, deep = (TINY.parse(f"1|{blocks}|k5e2") for blocks in ("k3e2", "k3e2,k5e2"))
    outputs: dict[str, list[Tensor]] = {shallow.id: [], deep.id: []}
    for one in (shallow, deep):
        first = _blocks(supernet)[0]
        handle = first.register_forward_hook(
            lambda _block, _inputs, output, one=one: outputs[one.id].append(output)
        )
        supernet(_images(), one.decisions)
        handle.remove()
    assert torch.equal(outputs[shallow.id][0], outputs[deep.id][0])
    assert len(outputs[shallow.id]) == 1


def test_what_is_not_run_has_no_gradient_or_none_but_zeros() -> None:
    supernet = _supernet()
    one = TINY.parse("2/3|k3e1|k5e2,k3e2")
    supernet(_images(), one.decisions).square().sum().backward()
    first, second, third, fourth = _blocks(supernet)
    assert all(weights.grad is None for weights in second.parameters())
    assert third.matrices["3"].grad is None
    assert fourth.matrices["3"].grad is not None
    assert first.matrices["3"].grad is not None
    for weights, beyond in (
        (first.expand.weight, first.expand.weight.grad[4:]),  # type: ignore[index]
        (first.project.weight, first.project.weight.grad[:, 4:]),  # type: ignore[index]
        (first.depthwise_norm.weight, first.depthwise_norm.weight.grad[4:]),  # type: ignore[index]
    ):
        assert beyond.numel() > 0
        assert not beyond.any()
        assert weights.grad is not None
        assert weights.grad.any()
    around = first.depthwise.weight.grad.clone()  # type: ignore[union-attr]
    assert around[:, :, 1:4, 1:4].any()
    around[:4, :, 1:4, 1:4] = 0
    assert not around.any()


def test_statistics_of_other_channels_stay() -> None:
    supernet = _supernet().train()
    before = {name: values.clone() for name, values in supernet.named_buffers()}
    supernet(_images(), TINY.parse("1|k3e1|k3e2").decisions)
    mean = "stages.0.0.expand_norm.running_mean"
    now = dict(supernet.named_buffers())
    assert torch.equal(now[mean][4:], before[mean][4:])
    assert not torch.equal(now[mean][:4], before[mean][:4])
    untouched = [name for name in now if name.startswith("stages.0.1.")]
    assert untouched
    assert all(torch.equal(now[name], before[name]) for name in untouched)


@pytest.mark.parametrize("momentum", [0.1, None])
@pytest.mark.parametrize("affine", [True, False])
def test_a_norm_of_the_first_channels_is_a_batch_norm_of_so_many(
    momentum: float | None, affine: bool
) -> None:
    ours = FirstChannelsNorm(6, momentum=momentum, affine=affine)
    theirs = nn.BatchNorm2d(4, momentum=momentum, affine=affine)
    for _batch in range(3):
        x = torch.randn(5, 4, 3, 3)
        assert torch.equal(ours(x), theirs(x))
    assert torch.equal(cast(Tensor, ours.running_mean)[:4], cast(Tensor, theirs.running_mean))
    assert torch.equal(cast(Tensor, ours.running_var)[:4], cast(Tensor, theirs.running_var))
    assert not cast(Tensor, ours.running_mean)[4:].any()
    assert torch.equal(ours.eval()(x), theirs.eval()(x))


@pytest.mark.parametrize("space", [TINY, Deep()], ids=["tiny", "deep"])
def test_sorted_channels_compute_the_same(space: ElasticSpace) -> None:
    supernet = _supernet(space).eval()
    before = supernet(_images(), space.largest.decisions)
    weights = _blocks(supernet)[0].expand.weight.clone()
    supernet.sort_channels(space.expansions[-1:])
    assert not torch.equal(weights, _blocks(supernet)[0].expand.weight)
    torch.testing.assert_close(
        supernet(_images(), space.largest.decisions), before, rtol=0, atol=1e-5
    )
    for block in _blocks(supernet):
        size = block.project.weight.abs().sum(dim=(0, 2, 3))
        assert torch.equal(size, size.sort(descending=True).values)


def test_channels_of_an_expansion_that_is_open_stay_among_themselves() -> None:
    space = Deep()
    supernet = _supernet(space).eval()
    middle = space.architecture((1, 0, 2, 1, 0, 0, 0, 0))  # twice the channels, of four times
    one = _blocks(supernet)[0]
    before, rows = supernet(_images(), middle.decisions), one.expand.weight.clone()
    supernet.sort_channels(space.expansions[1:])
    torch.testing.assert_close(supernet(_images(), middle.decisions), before, rtol=0, atol=1e-5)
    assert sorted(map(tuple, rows[:8].flatten(1).tolist())) == sorted(
        map(tuple, one.expand.weight[:8].flatten(1).tolist())
    )
    assert not torch.equal(rows[:8], one.expand.weight[:8])


def test_other_spaces_and_cells_are_refused() -> None:
    with pytest.raises(InputError, match="expected 'elastic' or 'elastic_tiny'"):
        ElasticSupernet(get_space("nasbench201_3nodes"), channels=4, cells=1, classes=3, inputs=1)
    with pytest.raises(InputError, match=r"2 cells a stage; expected 1"):
        build_supernet(TINY, channels=4, cells=2, classes=3, inputs=1)
