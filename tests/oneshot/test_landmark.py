from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from nassim.checks.oneshot import RECIPE, _images
from nassim.errors import InputError
from nassim.oneshot.base import Journal, OneShot, Trained
from nassim.oneshot.data import SearchData, search_data
from nassim.oneshot.landmark import Landmark, ordered_pairs, rank_loss
from nassim.oneshot.run import run_one_shot
from nassim.oneshot.spos import SPOS, sampler
from nassim.oneshot.supernet import Supernet, build_supernet
from nassim.records import Architecture, Landmarks
from nassim.spaces import get_space

SPACE = get_space("nasbench201_3nodes")
PATHS = tuple(SPACE.architecture(path) for path in ((3, 3, 3), (1, 2, 4), (4, 1, 0)))
KNOWN = Landmarks(PATHS, np.array([0.6, 0.9, 0.3]))
SIZES = {"steps": 10, "batch_size": 16}


@pytest.fixture(scope="module")
def data() -> SearchData:
    return search_data(_images(), RECIPE, landmarks=KNOWN)


def supernet() -> Supernet:
    return build_supernet(SPACE, channels=4, cells=1, classes=3, inputs=1)


def trained(method: OneShot, data: SearchData) -> tuple[Trained, Journal]:
    journal = Journal()
    return method.train(supernet(), data, np.random.default_rng(0), journal), journal


def same(first: Trained, second: Trained) -> bool:
    one, other = first.state_dict(), second.state_dict()
    return all(torch.equal(one[name], other[name]) for name in one)


def test_pairs_are_of_the_better_and_the_worse() -> None:
    best, middle, worst = PATHS[1], PATHS[0], PATHS[2]
    assert ordered_pairs(KNOWN) == [(best, middle), (best, worst), (middle, worst)]
    tied = Landmarks(PATHS, np.array([0.6, 0.6, 0.3]))
    assert ordered_pairs(tied) == [(PATHS[0], worst), (PATHS[1], worst)]
    assert ordered_pairs(Landmarks()) == []


def test_landmarks_that_order_nothing_are_refused() -> None:
    with pytest.raises(InputError, match=r"All 3 landmarks have the accuracy 0\.5"):
        ordered_pairs(Landmarks(PATHS, np.full(3, 0.5)))


@pytest.mark.parametrize(("low", "high"), [(0.2, 0.9), (0.0, 0.1)])
def test_the_right_order_costs_nothing_and_the_wrong_one_is_mended(low: float, high: float) -> None:
    better, worse = Tensor([low]).requires_grad_(), Tensor([high]).requires_grad_()
    assert rank_loss(better, worse).item() == 0
    assert torch.autograd.grad(rank_loss(better, worse), [better, worse]) == (0, 0)
    assert rank_loss(worse, better).item() == pytest.approx(high - low)
    # a step down this gradient lowers the loss of the better one, and raises that of the worse
    assert torch.autograd.grad(rank_loss(worse, better), [worse, better]) == (1, -1)


@pytest.mark.parametrize("options", [{"weight": 0.0}, {"warmup": 0.99}])
def test_without_its_loss_it_is_spos(options: dict[str, float], data: SearchData) -> None:
    method, notes = trained(Landmark(landmarks=3, **options, **SIZES), data)
    spos, spos_notes = trained(SPOS(**SIZES), data)
    assert same(method, spos)
    assert notes.points == spos_notes.points
    assert not same(trained(Landmark(landmarks=3, **SIZES), data)[0], spos)


def test_without_landmarks_it_is_spos(data: SearchData) -> None:
    alone = dataclasses.replace(data, landmarks=Landmarks())
    method, _ = trained(Landmark(landmarks=0, **SIZES), alone)
    assert same(method, trained(SPOS(**SIZES), alone)[0])


def test_what_is_known_decides_where_it_goes(data: SearchData) -> None:
    turned = dataclasses.replace(data, landmarks=Landmarks(PATHS, -KNOWN.values))
    method = Landmark(landmarks=3, **SIZES)
    assert not same(trained(method, data)[0], trained(method, turned)[0])


def test_the_order_of_landmarks_is_learned(data: SearchData) -> None:
    """Told that the constant cell is the best of two: SPOS would never say so."""
    odd = Landmarks((SPACE.architecture((0, 0, 0)), PATHS[0]), np.array([0.9, 0.1]))
    told = dataclasses.replace(data, landmarks=odd)
    method = Landmark(landmarks=2, steps=60, batch_size=16, weight=20.0)

    def lack(one: Trained) -> float:
        losses = one.score(odd.architectures, told).loss
        return float(losses[0] - losses[1])

    assert (
        lack(trained(method, told)[0]) < 0 < lack(trained(SPOS(steps=60, batch_size=16), told)[0])
    )


def test_the_weight_rises_after_the_warm_up() -> None:
    method = Landmark(weight=10.0, warmup=0.2, steps=100)
    weights = [method._weight(step) for step in range(1, 101)]
    assert weights[:20] == [0.0] * 20
    assert weights == sorted(weights)
    assert weights[20] > 0
    assert weights[59] == pytest.approx(5)
    assert weights[-1] == pytest.approx(10)


def test_the_loss_of_the_worse_is_noted(data: SearchData) -> None:
    _, journal = trained(Landmark(landmarks=3, steps=50, batch_size=16), data)
    found = {point.name: point.value for point in journal.points}
    assert found.keys() == {"rank_loss", "loss_of_better", "loss_of_worse", "train_loss"}
    lack = max(0.0, found["loss_of_better"] - found["loss_of_worse"])
    assert found["rank_loss"] == pytest.approx(lack, abs=1e-6)


def test_each_step_sees_a_pair_too() -> None:
    method = Landmark(landmarks=3, warmup=0.5, **SIZES)
    run = run_one_shot(method, SPACE, _images(), RECIPE, PATHS, PATHS[:1], landmarks=KNOWN)
    assert run.costs["images"] == 16 * (10 + 2 * 5)


def test_as_many_landmarks_as_were_asked_for() -> None:
    def run(method: OneShot, architectures: tuple[Architecture, ...] = PATHS) -> None:
        known = KNOWN.first(2)
        run_one_shot(method, SPACE, _images(), RECIPE, architectures, (), landmarks=known)

    with pytest.raises(InputError, match="2 landmarks are given; expected 3, as many as Landmark"):
        run(Landmark(landmarks=3, **SIZES))
    with pytest.raises(InputError, match="expected 0, as many as SPOS"):
        run(SPOS(**SIZES))


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"landmarks": 1}, "landmarks is 1; expected 0"),
        ({"landmarks": 2.5}, r"landmarks is 2\.5"),
        ({"weight": -1.0}, r"weight is -1\.0"),
        ({"warmup": 1.0}, r"warmup is 1\.0"),
        ({"law": "odd"}, "law is 'odd'"),
    ],
)
def test_an_option_out_of_range_is_refused(options: dict[str, float], complaint: str) -> None:
    with pytest.raises(InputError, match=complaint):
        Landmark(**options)  # type: ignore[arg-type]


def test_cross_entropy_is_what_pairs_are_compared_by(data: SearchData) -> None:
    """The gradient of a step is that of L + lambda * rank loss, at the very step."""
    net = supernet().train()
    method = Landmark(landmarks=3, warmup=0.0, steps=1, batch_size=16, weight=3.0)
    rng = np.random.default_rng(0)
    (of_pairs,) = rng.spawn(1)
    pairs = ordered_pairs(KNOWN)
    journal = Journal()
    before = {name: value.detach().clone() for name, value in net.named_parameters()}
    method.train(net, data, np.random.default_rng(0), journal)
    again = supernet().train()
    path = sampler(SPACE, "classes")(rng).decisions
    x, y = next(data.weight_batches(16, rng))
    better, worse = pairs[int(of_pairs.integers(len(pairs)))]
    losses = [
        F.cross_entropy(again(x, one), y) for one in (path, better.decisions, worse.decisions)
    ]
    loss = losses[0] + 3 * F.relu(losses[1] - losses[2])
    loss.backward()
    recipe = data.recipe
    for name, parameter in again.named_parameters():
        moved = dict(net.named_parameters())[name]
        if parameter.grad is None:
            assert torch.equal(moved, before[name])
            continue
        gradient = parameter.grad + recipe.weight_decay * before[name]
        gradient = gradient * (1 + recipe.momentum) if recipe.nesterov else gradient
        torch.testing.assert_close(moved.detach(), before[name] - 0.1 * gradient)
