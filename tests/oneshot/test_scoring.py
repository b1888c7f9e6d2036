from __future__ import annotations

import numpy as np
import pytest
import torch

from nassim.checks.oneshot import RECIPE, _images
from nassim.errors import InputError
from nassim.oneshot.base import Journal, Trained
from nassim.oneshot.batchnorm import BN_MODES, scoring_mode
from nassim.oneshot.data import SearchData, search_data
from nassim.oneshot.fairnas import _paths
from nassim.oneshot.scoring import score
from nassim.oneshot.spos import SPOS, sampler
from nassim.oneshot.supernet import Supernet, build_supernet
from nassim.spaces import get_space

SPACE = get_space("nasbench201_3nodes")
CONV, OTHER = SPACE.architecture((3, 1, 2)), SPACE.architecture((2, 3, 3))


@pytest.fixture(scope="module")
def data() -> SearchData:
    return search_data(_images(), RECIPE, architecture_share=0.4)


@pytest.fixture(scope="module")
def supernet(data: SearchData) -> Supernet:
    net = build_supernet(SPACE, channels=4, cells=1, classes=3, inputs=1)
    SPOS(steps=120, batch_size=16).train(net, data, np.random.default_rng(0), Journal())
    return net


def test_parts_are_disjoint_and_without_test_images(data: SearchData) -> None:
    parts = [part.padded[:, 1:-1, 1:-1].flatten(1) for part in (data.weights, data.architecture)]
    assert [len(part) for part in parts] == [36, 24]
    assert torch.cdist(*parts).min() > 0
    assert len(data.scoring_y) == 40
    for part in (data.weights, data.architecture):
        assert len(part.y_test) == len(part.x_test) == len(part.y_valid) == 0


def test_the_whole_training_part_goes_to_the_weights_by_default() -> None:
    assert len(search_data(_images(), RECIPE).weights.y_train) == 60


def test_recalibrated_statistics_are_those_of_the_scored_path(
    supernet: Supernet, data: SearchData
) -> None:
    before = {name: value.clone() for name, value in supernet.state_dict().items()}
    with scoring_mode(supernet, "recal", CONV.decisions, data.calibration):
        assert not supernet.training
        x = data.calibration
        stem = supernet.stem[0](x)
        assert torch.allclose(supernet.stem[1].running_mean, stem.mean(dim=(0, 2, 3)), atol=1e-5)
    assert supernet.training
    after = supernet.state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before)


@pytest.mark.parametrize("mode", BN_MODES)
def test_a_score_does_not_depend_on_others(mode: str, supernet: Supernet, data: SearchData) -> None:
    one = score(supernet, [CONV], data, mode)  # type: ignore[arg-type]
    both = score(supernet, [OTHER, CONV, CONV], data, mode)  # type: ignore[arg-type]
    assert both.loss[1] == both.loss[2] == one.loss[0]
    assert both.accuracy[1] == one.accuracy[0]
    assert both.loss[0] != both.loss[1]


def test_modes_differ_and_an_unknown_one_is_refused(supernet: Supernet, data: SearchData) -> None:
    losses = {float(score(supernet, [CONV], data, mode).loss[0]) for mode in BN_MODES}
    assert len(losses) == 3
    with pytest.raises(InputError, match="expected one of recal, batch, running"):
        score(supernet, [CONV], data, "none")  # type: ignore[arg-type]


def test_a_trained_supernet_is_better_than_chance(supernet: Supernet, data: SearchData) -> None:
    scores = score(supernet, [CONV, OTHER], data)
    assert scores.accuracy.min() > 0.6
    assert Trained(supernet).pick([OTHER, CONV], scores) in (OTHER, CONV)


@pytest.mark.parametrize(("law", "key"), [("strings", "id"), ("classes", "canonical_id")])
def test_visits_are_uniform(law: str, key: str) -> None:
    """Chi-squared of visits: far within its range under the law, far out under the other."""
    draw, rng = sampler(SPACE, law), np.random.default_rng(0)
    drawn = [draw(rng) for _ in range(6000)]

    def per_degree(name: str) -> float:
        known = sorted({getattr(one, name) for one in SPACE.every()})
        times = np.array([0.0] * len(known))
        for one in drawn:
            times[known.index(getattr(one, name))] += 1
        expected = len(drawn) / len(known)
        return float(((times - expected) ** 2 / expected).sum() / (len(known) - 1))

    other = "canonical_id" if key == "id" else "id"
    assert per_degree(key) < 1.5
    assert per_degree(other) > 5


def test_fair_paths_run_each_operation_once(supernet: Supernet) -> None:
    paths = _paths(supernet, np.random.default_rng(0))
    assert len(paths) == 5
    for column in zip(*paths, strict=True):
        assert sorted(column) == [0, 1, 2, 3, 4]
