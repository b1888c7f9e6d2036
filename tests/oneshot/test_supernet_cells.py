"""Supernets of cells: whole paths, parts of weights, mixtures on edges that are no decisions."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from nassim.checks.oneshot import RECIPE, SPACES, _images, check_standalone, one_shot_factory
from nassim.errors import ContractError, InputError
from nassim.networks import nasnet as nasnet_networks
from nassim.oneshot import ONE_SHOT
from nassim.oneshot.base import check_space, serves
from nassim.oneshot.mixed import MixedOp
from nassim.oneshot.mixture import Mixture, mixture_loss
from nassim.oneshot.partial import first_channels
from nassim.oneshot.pcdarts import PartialMixture, use_parts
from nassim.oneshot.run import run_one_shot
from nassim.oneshot.supernet import Supernet, build_supernet, joined, supernet_of
from nassim.oneshot.supernet_cells import DARTSSupernet, NASNetSupernet, PartedConv
from nassim.records import Architecture
from nassim.spaces import darts, get_space

NAMES = ("darts", "nasnet")


def build(name: str, **changes: object) -> Supernet:
    values: dict[str, object] = {"channels": 4, "cells": 1, "classes": 3, "inputs": 1}
    return build_supernet(get_space(name), **(values | changes))  # type: ignore[arg-type]


def images(*shape: int) -> torch.Tensor:
    return torch.randn(*(shape or (4, 1, 8, 8)), generator=torch.Generator().manual_seed(1))


def some(name: str) -> list[Architecture]:
    space, rng = get_space(name), np.random.default_rng(0)
    return [*map(space.parse, SPACES[name][:2]), *(space.sample(rng) for _ in range(4))]


def gradients_differ(supernet: Supernet, architecture: Architecture, x: torch.Tensor) -> list[str]:
    """Names of parameters whose gradient is not that of the stand-alone network."""
    own = supernet.standalone(architecture)
    supernet.zero_grad(set_to_none=True)
    outputs, own_outputs = supernet(x, architecture.decisions), own(x)
    assert torch.equal(outputs, own_outputs)
    outputs.square().sum().backward()
    own_outputs.square().sum().backward()
    left = {name: p.grad for name, p in supernet.named_parameters()}
    wrong = []
    for name, ours in supernet.shared_names(architecture).items():
        if name in dict(own.named_parameters()):
            parts, expected = [left.pop(part) for part in ours], own.get_parameter(name).grad
            if expected is None:  # an input that no block reads
                same = all(part is None for part in parts)
            else:
                same = torch.equal(joined(parts), expected)
            if not same:
                wrong.append(name)
    return [*wrong, *(name for name, gradient in left.items() if gradient is not None)]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    ("skeleton", "shape"), [("NRN", (4, 1, 8, 8)), ("NRRN", (3, 2, 7, 9)), ("RN", (4, 1, 8, 8))]
)
@pytest.mark.parametrize("training", [True, False])
def test_a_path_is_the_stand_alone_network(
    name: str, skeleton: str, shape: tuple[int, ...], training: bool
) -> None:
    supernet = build(name, skeleton=skeleton, inputs=shape[1]).train(training)
    for architecture in some(name):
        assert gradients_differ(supernet, architecture, images(*shape)) == []


@pytest.mark.parametrize("name", NAMES)
def test_every_weight_of_the_network_is_shared(name: str) -> None:
    supernet = build(name)
    for architecture in some(name):
        names = supernet.shared_names(architecture)
        own = supernet.network(architecture).state_dict()
        assert names.keys() == own.keys()
        here = supernet.state_dict()
        for key, ours in names.items():
            assert joined([here[part] for part in ours]).shape == own[key].shape
        parts = [part for ours in names.values() for part in ours]
        assert len(parts) == len(set(parts))  # no tensor stands for two


def test_equal_halves_are_two_operations() -> None:
    """As in the stand-alone network: one set of weights for both would have other gradients."""
    space = get_space("nasnet")
    cell = "0sep3+0sep3|2sep5+2sep5|3sep3+3sep3|4skip+4skip|5sep5+5sep5"
    architecture = space.parse(f"{cell}||{cell}")
    supernet = build("nasnet")
    assert gradients_differ(supernet, architecture, images()) == []
    one, other = (
        supernet.get_parameter(f"cells.0.operations.{half}.0.sep3.depthwise.weight")
        for half in (0, 1)
    )
    assert not torch.equal(one, other)
    assert not torch.equal(one.grad, other.grad)


def test_parts_are_cut_from_one_convolution() -> None:
    whole = torch.nn.Conv2d(10, 3, 1, bias=False)
    parted = PartedConv([2, 3, 5], 3)
    with torch.no_grad():
        for part, weight in zip(parted.parts, whole.weight.split([2, 3, 5], dim=1), strict=True):
            part.weight.copy_(weight)
    x = images(2, 10, 4, 4)
    assert torch.equal(parted(x, [0, 1, 2]), whole(x))
    without = torch.cat([x[:, :2], torch.zeros(2, 3, 4, 4), x[:, 5:]], dim=1)
    used = torch.cat([x[:, :2], x[:, 5:]], dim=1)
    assert torch.allclose(parted(used, [0, 2]), whole(without), atol=1e-6)
    parted(used, [0, 2]).sum().backward()
    assert parted.parts[1].weight.grad is None


def test_the_check_rejects_shared_halves(monkeypatch: pytest.MonkeyPatch) -> None:
    """A culprit: both halves of a block run the weights of the first."""
    kept = NASNetSupernet.forward

    def forward(self: NASNetSupernet, x: torch.Tensor, gates: tuple[int, ...]) -> torch.Tensor:
        own = [list(cell.operations) for cell in self.cells]
        for cell in self.cells:
            for block in range(5):
                cell.operations[2 * block + 1] = cell.operations[2 * block]
        try:
            return kept(self, x, gates)
        finally:
            for cell, operations in zip(self.cells, own, strict=True):
                cell.operations = torch.nn.ModuleList(operations)

    monkeypatch.setattr(NASNetSupernet, "forward", forward)
    with pytest.raises(ContractError):
        check_standalone(one_shot_factory("spos:steps=1:batch_size=8"), "nasnet")


# --- mixtures ---------------------------------------------------------------------------------


def test_a_mixture_of_one_operation_an_edge_is_the_cell() -> None:
    supernet = build("darts", affine=False).eval()
    for architecture in some("darts"):
        weights = torch.zeros(28, 8)
        for edge, option in supernet.chosen(architecture):
            weights[edge, option] = 1
        mixed = supernet(images(), weights.unbind())
        assert torch.equal(mixed, supernet(images(), architecture.decisions))
        assert torch.equal(mixed, supernet.standalone(architecture)(images()))


def test_a_node_is_the_weighted_sum_of_all_edges() -> None:
    supernet = build("darts", skeleton="N", affine=False).eval()
    cell = supernet.cells[0]
    weights = torch.softmax(torch.randn(28, 8, generator=torch.Generator().manual_seed(3)), 1)
    a, b = images(2, 4, 6, 6), images(2, 4, 6, 6).flip(0)
    states = [cell.first(a.relu()), cell.second(b.relu())]
    for node in range(2, 6):
        total = torch.zeros(2, 4, 6, 6)
        for edge, (source, to) in enumerate(darts.EDGES):
            if to == node:
                for option, name in enumerate(supernet.options[edge]):
                    if name != "none":
                        made = cell.edges[edge].options[name](states[source])
                        total += weights[edge, option] * made
        states.append(total)
    torch.testing.assert_close(cell(a, b, weights[:14].unbind()), torch.cat(states[2:], dim=1))


def test_the_strongest_two_edges_of_a_node_stay_and_never_none() -> None:
    supernet = build("darts", skeleton="N")
    assert isinstance(supernet, DARTSSupernet)
    weights = torch.full((28, 8), 0.01)
    weights[:, 0] = 0.9  # none is the strongest everywhere
    for edge, option, weight in ((5, 4, 0.4), (8, 1, 0.3), (6, 7, 0.2), (7, 2, 0.1)):
        weights[edge, option] = weight  # node 4 reads 0, 1, 2, 3 by edges 5 to 8
    cell = darts.nodes(supernet.discretise(weights).decisions, 0)
    assert darts.EDGES[5:9] == ((0, 4), (1, 4), (2, 4), (3, 4))
    assert cell[2] == (0, darts.OPERATIONS.index("sep3"), 3, darts.OPERATIONS.index("skip"))
    assert [node[::2] for node in cell] == [(0, 1), (0, 1), (0, 3), (0, 1)]  # of equals the first


def test_what_a_cell_is_chosen_by_is_what_it_discretises_to() -> None:
    supernet = build("darts", skeleton="N")
    for architecture in some("darts"):
        weights = torch.full((28, 8), 0.1)
        chosen = supernet.chosen(architecture)
        assert len(chosen) == 16
        for edge, option in chosen:
            weights[edge, option] = 0.2
        assert supernet.discretise(weights) == architecture


def test_alphas_of_both_cells_have_a_gradient() -> None:
    supernet = build("darts", affine=False)
    mixture = Mixture(supernet, torch.zeros(28, 8))
    mixture_loss(supernet, mixture.gates(), (images(), torch.tensor([0, 1, 2, 0]))).backward()
    assert mixture.alphas.grad is not None
    assert (mixture.alphas.grad != 0).any(dim=1).all()
    assert mixture.skips() == mixture.discretise().id.count("skip")


@pytest.mark.parametrize("stride", [1, 2])
def test_partial_channels_of_all_are_the_operation(stride: int) -> None:
    supernet = build("darts", channels=6, skeleton="R", affine=False)
    edge = supernet.cells[0].edges[0 if stride == 2 else 13]
    x = images(2, 12, 7, 7)
    for name, option in edge.options.items():
        assert torch.allclose(first_channels(option, x), option(x), atol=1e-6), name
        assert first_channels(option, x[:, :5]).shape[1] == 5


def test_edges_of_both_cells_share_a_weight_of_one_a_node() -> None:
    supernet = build("darts", affine=False)
    use_parts(supernet, 2)
    mixture = PartialMixture(supernet, torch.zeros(28, 8), torch.arange(28.0))
    into = mixture.gates().detach().sum(dim=1)
    assert [round(float(part.sum()), 5) for part in into.split([2, 3, 4, 5] * 2)] == [1.0] * 8
    assert supernet(images(), mixture.gates().detach().unbind()).shape == (4, 3)
    assert all(m.parts == 2 for m in supernet.modules() if isinstance(m, MixedOp))


# --- who runs where ---------------------------------------------------------------------------


def methods_of(name: str) -> set[str]:
    from nassim.loading import load

    return {m for m, path in ONE_SHOT.items() if serves(supernet_of(get_space(name)), load(path))}


def test_which_methods_run_where() -> None:
    paths = {"spos", "fairnas", "fewshot", "enas", "landmark", "nao"}
    assert methods_of("nasnet") == paths
    mixing = {"darts", "pcdarts", "dartsplus", "robustdarts", "asap", "sdarts"}
    assert methods_of("darts") == paths | mixing
    assert methods_of("nasbench201") == set(ONE_SHOT) - {"ofa"}
    assert methods_of("elastic_tiny") == paths | {"ofa"}
    assert "enas" not in methods_of("nasbench101")


@pytest.mark.parametrize(
    ("method", "name", "problem"),
    [
        ("darts", "nasnet", "DARTS weighs all operations at once.*expected one of enas, fairnas"),
        ("gdas", "darts", "GDAS weighs or draws the operations of each decision.*'darts'"),
        ("fairdarts", "darts", "FairDARTS"),
        ("enas", "nasbench101:vertices=4", "ENAS draws each decision by itself.*'nasbench101'"),
    ],
)
def test_other_methods_are_refused(method: str, name: str, problem: str) -> None:
    with pytest.raises(InputError, match=problem):
        check_space(one_shot_factory(method)(), get_space(name))


@pytest.mark.parametrize("name", NAMES)
def test_a_run_scores_under_the_skeleton_of_the_recipe(name: str) -> None:
    import dataclasses

    recipe = dataclasses.replace(RECIPE, skeleton="R")
    pool = some(name)[:3]
    method = one_shot_factory("spos:steps=2:batch_size=16")()
    run = run_one_shot(method, get_space(name), _images(), recipe, pool, pool[:1])
    assert run.steps == 2
    assert run.scores.accuracy.shape == (3,)
    assert run.pick in pool


@pytest.mark.parametrize("name", NAMES)
def test_another_space_is_refused(name: str) -> None:
    other = get_space("nasbench201")
    with pytest.raises(InputError, match=f"no supernet of space 'nasbench201'; expected '{name}'"):
        supernet_of(get_space(name))(other, channels=4, cells=1, classes=3, inputs=1)


def test_the_stand_alone_network_of_nasnet_is_as_before() -> None:
    """Names of weights are part of what was stored and of what seeds mean."""
    network = build("nasnet").network(some("nasnet")[0])
    assert isinstance(network, nasnet_networks.NASNetNetwork)
    first = list(network.state_dict())
    assert first[:2] == ["stem.0.weight", "stem.1.weight"]
    assert first[-1] == "head.bias"
