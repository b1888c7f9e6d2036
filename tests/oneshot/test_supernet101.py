"""The supernet of NAS-Bench-101: the same numbers as its cells, and methods that can train it."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from nassim.checks.oneshot import RECIPE, _images
from nassim.errors import InputError
from nassim.networks import build_network
from nassim.oneshot.base import Journal, check_space
from nassim.oneshot.data import SearchData, search_data
from nassim.oneshot.enas import ENAS
from nassim.oneshot.fairnas import FairNAS, _paths
from nassim.oneshot.fewshot import FewShot, TrainedFewShot
from nassim.oneshot.run import run_one_shot
from nassim.oneshot.scoring import score
from nassim.oneshot.supernet import Supernet, build_supernet, joined
from nassim.spaces import get_space
from nassim.spaces.nasbench101 import EDGES, graph

LARGE = get_space("nasbench101")


def build(vertices: int, **options: bool) -> Supernet:
    space = get_space(f"nasbench101:vertices={vertices}")
    return build_supernet(space, channels=4, cells=1, classes=3, inputs=1, **options)


def images(n: int = 6) -> torch.Tensor:
    return torch.randn(n, 1, 8, 8, generator=torch.Generator().manual_seed(1))


@pytest.fixture(scope="module")
def data() -> SearchData:
    return search_data(_images(), RECIPE)


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("vertices", range(2, 8))
def test_a_cell_is_its_own_network(vertices: int, training: bool) -> None:
    """Outputs, gradients and the statistics that are collected, bit for bit."""
    supernet, rng = build(vertices).train(training), np.random.default_rng(vertices)
    for _ in range(4):
        architecture = supernet.space.sample(rng)
        own = supernet.standalone(architecture)
        names = supernet.shared_names(architecture)
        assert names.keys() == own.state_dict().keys()
        supernet.zero_grad(set_to_none=True)
        outputs, expected = supernet(images(), architecture.decisions), own(images())
        assert torch.equal(outputs, expected)
        outputs.square().sum().backward()
        expected.square().sum().backward()
        here = dict(supernet.named_parameters())
        used = {part for parts in names.values() for part in parts}
        for name, parameter in own.named_parameters():
            gradients = [here[part].grad for part in names[name]]
            assert torch.equal(joined(gradients), parameter.grad)  # type: ignore[arg-type]
        assert {name for name, one in here.items() if one.grad is not None} == used & here.keys()
        state = supernet.state_dict()
        for name, value in own.state_dict().items():
            assert torch.equal(joined([state[part] for part in names[name]]), value)


def test_the_stand_alone_network_is_that_of_full_trainings() -> None:
    """Shapes and names of ``build_network``, whose weights it could load."""
    supernet = build(5)
    architecture = supernet.space.sample(np.random.default_rng(0))
    network = build_network(
        architecture, channels=4, cells=1, classes=3, input_shape=(8, 8, 1)
    ).train()
    network.load_state_dict(supernet.standalone(architecture).state_dict())
    assert torch.equal(network(images()), supernet(images(), architecture.decisions))


def test_each_source_has_a_part_of_its_own() -> None:
    supernet = build(4).eval()
    both, second = (LARGE.parse(f"conv3x3(0)|conv1x1(0,1)|output({ends})") for ends in ("1,2", "2"))
    before = [supernet(images(), one.decisions) for one in (both, second)]
    with torch.no_grad():
        supernet.state_dict()["layers.0.parts.1.weight"].add_(1)
    after = [supernet(images(), one.decisions) for one in (both, second)]
    assert not torch.equal(before[0], after[0])
    assert torch.equal(before[1], after[1])


def test_batch_norms_of_operations_can_be_without_scale() -> None:
    norms = {
        name: module.affine
        for name, module in build(4, affine=False).named_modules()
        if isinstance(module, nn.BatchNorm2d)
    }
    assert {name for name, affine in norms.items() if not affine} == {
        name for name in norms if ".operations." in name
    }
    architecture = LARGE.parse("conv3x3(0)|conv1x1(0,1)|output(1,2)")
    supernet = build(4, affine=False).eval()
    own = supernet.standalone(architecture)
    assert torch.equal(own(images()), supernet(images(), architecture.decisions))


def test_what_it_cannot_run_is_refused() -> None:
    supernet = build(4)
    weights = [torch.ones(2)] * 26
    with pytest.raises(InputError, match="weights of operations; expected the decisions of one"):
        supernet(images(), weights)
    large = get_space("nasbench101:vertices=5").sample(np.random.default_rng(0))
    with pytest.raises(InputError, match=r"cell of 5 vertices .* supernet of cells of 4"):
        supernet(images(), large.decisions)
    with pytest.raises(InputError, match="no path from its input"):
        supernet(images(), (0,) * 26)


def test_methods_that_go_edge_by_edge_are_refused() -> None:
    for method in (FairNAS(), FewShot()):
        check_space(method, LARGE)
    with pytest.raises(InputError, match=r"ENAS draws .* 'nasbench101'.* fewshot, .*spos"):
        run_one_shot(ENAS(), LARGE, _images(), RECIPE, [], [])


def test_paths_of_a_fair_step_share_edges_and_run_each_operation_once() -> None:
    supernet, rng = build(5), np.random.default_rng(0)
    seen = set()
    for _ in range(10):
        paths = _paths(supernet, rng)
        cells = [graph(path) for path in paths]
        assert len({cell.inputs for cell in cells}) == 1
        assert {cell.vertices for cell in cells} == {5}
        for operations in zip(*(cell.operations for cell in cells), strict=True):
            assert sorted(operations) == [0, 1, 2]
        assert all(path[len(EDGES) + 3 :] == (0, 0) for path in paths)
        seen.add(cells[0].inputs)
    assert len(seen) > 1


def test_few_shot_splits_at_the_operation_of_a_vertex(data: SearchData) -> None:
    method = FewShot(steps=4, part_steps=3, batch_size=16, edge=1)
    trained = method.train(build(4), data, np.random.default_rng(0), Journal())
    assert isinstance(trained, TrainedFewShot)
    assert len(trained.parts) == 3
    cells = [LARGE.parse(f"conv1x1(0)|{name}(0,1)|output(1,2)") for name in ("max3x3", "conv3x3")]
    losses = [score(trained.parts[option], cells, data).loss for option in (2, 0)]  # type: ignore[arg-type]
    assert trained.score(cells, data).loss.tolist() == [losses[0][0], losses[1][1]]
    assert losses[0][1] != losses[1][1]
    with pytest.raises(InputError, match="edge is 2; expected 0 to 1"):
        FewShot(edge=2).train(build(4), data, np.random.default_rng(0), Journal())


def test_no_law_over_classes_without_a_number_of_vertices() -> None:
    with pytest.raises(InputError, match="expected one, as in 'nasbench101:vertices=5'"):
        LARGE.sample_class(np.random.default_rng(0))
