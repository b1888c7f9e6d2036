from __future__ import annotations

import numpy as np
import pytest
import torch

from nassim.checks.oneshot import RECIPE, _images
from nassim.errors import InputError
from nassim.oneshot.base import Journal
from nassim.oneshot.data import SearchData, search_data
from nassim.oneshot.fewshot import FewShot, TrainedFewShot
from nassim.oneshot.run import run_one_shot
from nassim.oneshot.scoring import score
from nassim.oneshot.supernet import Supernet, build_supernet
from nassim.spaces import get_space

SPACE = get_space("nasbench201_3nodes")
PATHS = [SPACE.architecture(path) for path in ((3, 1, 2), (1, 3, 3), (3, 3, 3), (0, 4, 1))]


@pytest.fixture(scope="module")
def data() -> SearchData:
    return search_data(_images(), RECIPE)


def supernet() -> Supernet:
    return build_supernet(SPACE, channels=4, cells=1, classes=3, inputs=1)


def test_parts_start_as_the_supernet(data: SearchData) -> None:
    trained = TrainedFewShot(supernet(), decision=0)
    before = trained.score(PATHS, data)
    trained.split()
    after = trained.score(PATHS, data)
    assert before.loss.tolist() == after.loss.tolist()
    assert before.accuracy.tolist() == after.accuracy.tolist()


def test_an_architecture_is_scored_by_the_part_that_contains_it(data: SearchData) -> None:
    method = FewShot(steps=4, part_steps=3, batch_size=16, edge=1)
    trained = method.train(supernet(), data, np.random.default_rng(0), Journal())
    assert isinstance(trained, TrainedFewShot)
    assert len(trained.parts) == 5
    scores = trained.score(PATHS, data)
    for path, loss in zip(PATHS, scores.loss, strict=True):
        losses = [float(score(part, [path], data).loss[0]) for part in trained.parts]
        assert loss == losses[path.decisions[1]]
        assert len(set(losses)) == 5


def test_a_part_learns_its_operation_alone(data: SearchData) -> None:
    method = FewShot(steps=4, part_steps=3, batch_size=16, edge=0)
    trained = method.train(supernet(), data, np.random.default_rng(0), Journal())
    assert isinstance(trained, TrainedFewShot)
    name = "layers.0.edges.0.options.nor_conv_3x3.1.weight"
    start = trained.supernet.state_dict()[name]
    moved = [not torch.equal(part.state_dict()[name], start) for part in trained.parts]
    assert moved == [False, False, False, True, False]


def test_what_parts_see_is_counted() -> None:
    method = FewShot(steps=4, part_steps=2, batch_size=16)
    run = run_one_shot(method, SPACE, _images(), RECIPE, PATHS, PATHS[:1])
    assert run.steps == 4 + 5 * 2
    assert run.costs["images"] == run.steps * 16


def test_an_edge_that_is_not_there_is_refused(data: SearchData) -> None:
    with pytest.raises(InputError, match="edge is 3; expected 0 to 2"):
        FewShot(edge=3).train(supernet(), data, np.random.default_rng(0), Journal())
