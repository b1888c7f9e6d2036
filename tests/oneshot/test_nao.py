from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from nassim.checks.oneshot import RECIPE, _images
from nassim.errors import InputError
from nassim.oneshot import nao
from nassim.oneshot.base import Journal
from nassim.oneshot.data import SearchData, search_data
from nassim.oneshot.nao import NAO, TrainedNAO
from nassim.oneshot.scoring import Scores
from nassim.oneshot.supernet import Supernet, build_supernet
from nassim.optimizers.epd import EncoderPredictorDecoder, Strings
from nassim.records import Architecture, FloatArray
from nassim.spaces import get_space

SPACE = get_space("nasbench201_3nodes")
EVERY = list(SPACE.every())


@pytest.fixture(scope="module")
def data() -> SearchData:
    return search_data(_images(), RECIPE, architecture_share=0.5)


def supernet() -> Supernet:
    return build_supernet(SPACE, channels=4, cells=1, classes=3, inputs=1)


def trained(method: NAO, data: SearchData, net: Supernet | None = None) -> Any:
    journal = Journal()
    answer = method.train(net or supernet(), data, np.random.default_rng(0), journal)
    assert isinstance(answer, TrainedNAO)
    return answer, journal


def pool_of(one: TrainedNAO) -> list[Architecture]:
    return [SPACE.architecture(tuple(row)) for row in one.pool.tolist()]


def convolutions(pool: Sequence[Architecture]) -> FloatArray:
    """What a planted truth says: the more 3x3 convolutions, the better."""
    return np.array([one.decisions.count(3) / 3 for one in pool])


def test_the_pool_climbs_a_planted_truth(data: SearchData, monkeypatch: pytest.MonkeyPatch) -> None:
    def planted(_net: Any, pool: Sequence[Architecture], *_: Any) -> FloatArray:
        return convolutions(pool)

    monkeypatch.setattr(nao, "_accuracies", planted)
    method = NAO(steps=5, round_steps=1, batch_size=10, pool=16, renewed=8, top=4, fit_steps=100)
    one, journal = trained(method, data)
    means = [point.value for point in journal.points if point.name == "pool_accuracy"]
    assert len(means) == 5
    assert means[0] < 0.3  # a fifth of all operations are such
    assert convolutions(pool_of(one)).mean() > means[0] + 0.2
    pairs = [point.value for point in journal.points if point.name == "pairs_in_order"]
    assert np.mean(pairs) > 0.6  # of architectures that the predictor had not been told of


def test_the_worst_make_room_for_what_no_pool_had(
    data: SearchData, monkeypatch: pytest.MonkeyPatch
) -> None:
    pools: list[list[Architecture]] = []

    def planted(_net: Any, pool: Sequence[Architecture], *_: Any) -> FloatArray:
        pools.append([*pool])
        return convolutions(pool)

    monkeypatch.setattr(nao, "_accuracies", planted)
    method = NAO(steps=4, round_steps=1, batch_size=10, pool=10, renewed=4, top=3, fit_steps=60)
    one, journal = trained(method, data)
    pools.append(pool_of(one))
    renewed = [int(point.value) for point in journal.points if point.name == "renewed"]
    assert len(renewed) == 4
    assert max(renewed) <= 4
    assert sum(renewed) >= 2
    met = set(pools[0])
    assert len(met) == 10
    for (before, after), new in zip(pairwise(pools), renewed, strict=True):
        order = np.argsort(-convolutions(before), kind="stable")
        assert after[: 10 - new] == [before[k] for k in order[: 10 - new]]
        assert not met & {*after[10 - new :]}
        met |= {*after}
    assert len(met) == 10 + sum(renewed)


def test_paths_of_the_pool_alone_are_trained(data: SearchData) -> None:
    net = supernet()
    run: list[tuple[int, ...]] = []

    def note(module: Supernet, inputs: tuple[Tensor, Any]) -> None:
        if torch.is_grad_enabled():
            run.append(tuple(inputs[1]))

    net.register_forward_pre_hook(note)
    method = NAO(steps=12, round_steps=12, batch_size=10, pool=4, renewed=1, top=2, fit_steps=2)
    one, _ = trained(method, data, net)
    kept = {architecture.decisions for architecture in pool_of(one)[:3]}
    assert len(run) == 12
    assert len({*run} | kept) <= 4


def test_the_pool_is_scored_on_images_that_no_weight_saw(data: SearchData) -> None:
    def batches() -> Any:
        while True:
            yield data.scoring_x, data.scoring_y

    net, pool = supernet(), EVERY[3::31]
    state = {name: value.clone() for name, value in net.state_dict().items()}
    found = nao._accuracies(net, pool, batches(), data.calibration)
    expected = TrainedNAO(net, network(), pool, 1).score(pool, data, "batch").accuracy
    assert found.tolist() == pytest.approx(expected.tolist())
    assert all(torch.equal(state[name], value) for name, value in net.state_dict().items())


def network() -> EncoderPredictorDecoder:
    return EncoderPredictorDecoder(Strings.of(SPACE), 8, np.random.default_rng(0))


def test_the_pick_is_of_the_pool_liked_and_then_scored() -> None:
    pool = EVERY[60:70]
    one = TrainedNAO(supernet(), network(), pool, best=3)
    liked = np.argsort(-one.predict(pool), kind="stable")[:3]
    accuracy = np.linspace(0, 1, len(EVERY))  # the last of all has the best score
    scores = Scores(accuracy, 1 - accuracy)
    assert one.pick(EVERY, scores) == pool[max(liked)]


def test_a_pick_may_be_the_same_function_or_of_all() -> None:
    twin, other = SPACE.architecture((0, 3, 0)), SPACE.architecture((2, 3, 0))
    assert twin.canonical_id == other.canonical_id  # the first edge leads nowhere
    one = TrainedNAO(supernet(), network(), [twin], best=1)
    few = [SPACE.architecture((3, 3, 3)), other, SPACE.architecture((1, 1, 1))]
    scores = Scores(np.array([0.9, 0.1, 0.8]), np.zeros(3))
    assert one.pick(few, scores) == other
    elsewhere = [few[0], few[2]]
    likes = one.predict(elsewhere)
    assert one.pick(elsewhere, Scores(np.zeros(2), np.zeros(2))) == elsewhere[likes.argmax()]


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"steps": 10}, "round_steps is 300; expected 10 at most"),
        ({"pool": 12}, "renewed is 12; expected 11 at most"),
        ({"top": 25}, "top is 25; expected 24 at most"),
        ({"alpha": 1.5}, r"alpha is 1\.5"),
        ({"fit_steps": 0}, "fit_steps is 0"),
        ({"law": "odd"}, "law is 'odd'"),
    ],
)
def test_an_option_out_of_range_is_refused(options: dict[str, Any], complaint: str) -> None:
    with pytest.raises(InputError, match=complaint):
        NAO(**options)


def test_a_pool_larger_than_the_space_is_refused(data: SearchData) -> None:
    with pytest.raises(InputError, match="pool is 126, but 1000 draws found no more than 125"):
        trained(NAO(law="strings", pool=126, batch_size=10), data)
