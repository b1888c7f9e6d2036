from __future__ import annotations

import numpy as np
import pytest
import torch

from nassim.checks.oneshot import RECIPE, _images
from nassim.errors import InputError
from nassim.oneshot.base import Journal
from nassim.oneshot.bender import Bender, draw_mask
from nassim.oneshot.data import search_data
from nassim.oneshot.scoring import score_gates
from nassim.oneshot.supernet import build_supernet
from nassim.spaces import get_space

SMALL, LARGE = get_space("nasbench201_3nodes"), get_space("nasbench201")


@pytest.mark.parametrize("rate", [0.05, 0.2])
def test_an_edge_loses_all_as_often_as_the_rate_says(rate: float) -> None:
    """On four nodes, where hardly a mask is drawn anew."""
    rng = np.random.default_rng(0)
    masks = np.array([draw_mask(LARGE, rate, rng) for _ in range(2000)])
    assert masks.any(axis=2).mean() == pytest.approx(1 - rate, abs=0.02)
    assert masks[:, :, 1:].mean() == pytest.approx(1 - rate ** (1 / 4), abs=0.02)
    assert not masks[:, :, 0].any()


def test_a_path_is_left_however_much_is_dropped() -> None:
    rng = np.random.default_rng(0)
    for _ in range(200):
        (first, direct, second) = draw_mask(SMALL, 0.9, rng).any(axis=1)
        assert direct or (first and second)


def test_the_rate_ramps_and_nothing_is_dropped_at_first() -> None:
    masks: list[list[float]] = []
    supernet = build_supernet(SMALL, channels=4, cells=1, classes=3, inputs=1)
    supernet.layers[0].edges[1].register_forward_pre_hook(
        lambda _edge, inputs: masks.append(inputs[1].tolist())
    )
    journal = Journal()
    data = search_data(_images(), RECIPE)
    method = Bender(steps=40, batch_size=16, part_size=8, rate=0.5)
    method.train(supernet, data, np.random.default_rng(0), journal)
    kept = [sum(mask) for mask in masks[:80]]  # two parts a step
    assert kept[:2] == [4, 4]
    assert np.mean(kept[:20]) > np.mean(kept[60:]) + 0.5
    assert any(masks[2 * k] != masks[2 * k + 1] for k in range(40))  # a mask a part
    rates = [point.value for point in journal.points if point.name == "dropout_rate"]
    assert rates == pytest.approx([0.5 * 19 / 39, 0.5])


def test_a_dropped_operation_is_not_decayed() -> None:
    supernet = build_supernet(SMALL, channels=4, cells=1, classes=3, inputs=1)
    mask = torch.tensor([[0, 1, 0, 1, 0], [0, 1, 1, 1, 1], [0, 0, 0, 0, 1]]).float()
    x = torch.randn(4, 1, 8, 8, generator=torch.Generator().manual_seed(1))
    supernet(x, list(mask)).sum().backward()
    edge = supernet.layers[0].edges[0]
    assert edge.options["nor_conv_3x3"][1].weight.grad is not None
    assert edge.options["nor_conv_1x1"][1].weight.grad is None


def test_dropout_prepares_for_the_loss_of_operations() -> None:
    """The point of the method: without it, what is left of the network says little."""
    data = search_data(_images(), RECIPE)
    loss = {}
    for rate in (0.0, 0.5):
        losses = []
        for seed in range(3):
            supernet = build_supernet(
                SMALL,
                channels=4,
                cells=1,
                classes=3,
                inputs=1,
                generator=torch.Generator().manual_seed(seed),
            )
            method = Bender(steps=30, batch_size=16, part_size=8, rate=rate)
            method.train(supernet, data, np.random.default_rng(seed), Journal())
            losses.append(score_gates(supernet, (0, 3, 0), data)[1])
        loss[rate] = np.mean(losses)
    assert loss[0.5] < loss[0.0]


@pytest.mark.parametrize(
    ("options", "message"),
    [({"rate": 1.0}, "rate is 1.0"), ({"part_size": 24}, "part_size is 24")],
)
def test_options_out_of_range_are_refused(options: dict[str, float], message: str) -> None:
    with pytest.raises(InputError, match=message):
        Bender(**options)  # type: ignore[arg-type]
