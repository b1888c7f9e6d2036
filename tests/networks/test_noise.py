from __future__ import annotations

import copy

import pytest
import torch

from nassim.checks.conditions import global_chance
from nassim.datasets.base import image_data
from nassim.errors import InputError
from nassim.generator.recipe import Recipe
from nassim.generator.train import train
from nassim.networks import build_network
from nassim.networks.nasbench201 import NASBench201Network
from nassim.networks.noise import Noise
from nassim.spaces import get_space

X = torch.randn(64, 4, 8, 8, generator=torch.Generator().manual_seed(1))


def noise_of(seed: int) -> Noise:
    noise = Noise()
    noise.seed.fill_(seed)
    return noise


def test_it_is_standard_normal_whatever_comes_in() -> None:
    drawn = noise_of(1)(X)
    assert drawn.shape == X.shape
    assert torch.equal(drawn, noise_of(1)(1e3 * X))
    assert abs(float(drawn.mean())) < 4 / drawn.numel() ** 0.5
    assert float(drawn.std()) == pytest.approx(1, abs=0.02)
    correlation = torch.corrcoef(torch.stack([drawn.flatten(), X.flatten()]))[0, 1]
    assert abs(float(correlation)) < 4 / drawn.numel() ** 0.5


def test_each_call_in_training_draws_anew_and_each_seed_draws_its_own() -> None:
    one, other = noise_of(1), noise_of(2)
    draws = [one(X), one(X), other(X)]
    assert len({float(draw.sum()) for draw in draws}) == 3
    assert int(one.calls) == 2


def test_a_copy_draws_the_same_and_evaluation_draws_one_thing() -> None:
    one = noise_of(1)
    one(X)
    other = noise_of(7)
    other.load_state_dict(one.state_dict())
    assert torch.equal(one(X), other(X))
    assert torch.equal(copy.deepcopy(one)(X), one(X))
    before = int(one.calls)
    one.eval()
    assert torch.equal(one(X), other.eval()(X))
    assert torch.equal(one(X), one(X))
    assert int(one.calls) == before


def test_the_layout_of_the_input_does_not_matter() -> None:
    one = noise_of(1).eval()
    assert torch.equal(one(X), one(X.to(memory_format=torch.channels_last)))


def test_no_gradient_passes_and_no_global_chance_is_used() -> None:
    with global_chance(3) as used:
        x = X.clone().requires_grad_()
        assert not noise_of(1)(x).requires_grad
    assert not used


def test_edges_of_a_network_draw_different_noise() -> None:
    cell = get_space("s4_tiny_3nodes").architecture((0, 0, 0))
    network = build_network(cell, channels=4, cells=1, classes=3, input_shape=(8, 8, 1))
    noises = [module for module in network.modules() if isinstance(module, Noise)]
    assert len({int(module.seed) for module in noises}) == len(noises) == 9
    again = build_network(
        cell,
        channels=4,
        cells=1,
        classes=3,
        input_shape=(8, 8, 1),
        generator=torch.Generator().manual_seed(1),
    )
    assert noises[0].seed != next(m for m in again.modules() if isinstance(m, Noise)).seed


@pytest.mark.parametrize("decisions", [(0, 0, 0), (1, 1, 0), (1, 1, 1)])
def test_a_stand_alone_network_is_trained_alike_each_time(decisions: tuple[int, ...]) -> None:
    rng = torch.Generator().manual_seed(0)
    parts = []
    for n in (40, 20, 20):
        labels = torch.arange(n) % 3
        images = torch.randn(n, 8, 8, 1, generator=rng)
        images[torch.arange(n), 2 * labels] += 2
        parts += [images.numpy(), labels.numpy()]
    data = image_data("patches", "made", "made up", "none", tuple(parts))
    recipe = Recipe("short", epochs=3, batch_size=10, channels=4)
    cell = get_space("s4_tiny_3nodes").architecture(decisions)
    first, second = (train(cell, data, recipe, seed) for seed in (0, 0))
    assert first.status == "ok", first.reason
    assert first.train_loss.tolist() == second.train_loss.tolist()
    assert first.scores["test"].tolist()[-1] == second.scores["test"].tolist()[-1]
    assert train(cell, data, recipe, 1).train_loss.tolist() != first.train_loss.tolist()


def test_a_cell_of_another_kind_of_space_is_refused() -> None:
    cell = get_space("nasbench101").parse("output(0)")
    with pytest.raises(InputError, match="expected one of NAS-Bench-201's"):
        NASBench201Network(cell, channels=4, cells=1, classes=3, inputs=1)
