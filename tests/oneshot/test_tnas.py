"""T-NAS: its meta-gradient is exact, its tasks are honest, and it learns to adapt."""

from __future__ import annotations

import functools
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from nassim.datasets import ImageData
from nassim.datasets.base import image_data
from nassim.errors import InputError
from nassim.oneshot.tnas import (
    CANDIDATES,
    ClassPool,
    Episodes,
    FewShotResult,
    Supernet,
    TNASOptions,
    adapted,
    class_pools,
    draw_episodes,
    query_loss,
    task_loss,
    train_tnas,
)

QUICK = TNASOptions(
    ways=3,
    queries=4,
    channels=4,
    inner_steps=2,
    test_steps=4,
    outer_rate_w=0.01,
    outer_rate_theta=0.01,
    steps=40,
)


@functools.cache
def striped() -> ImageData:
    """Classes are directions and widths of stripes, at any offset, in noise."""
    rng = np.random.default_rng(0)
    rows, columns = np.mgrid[:8, :8] / 8
    waves = [(1, 0), (0, 1), (1, 1), (1, -1), (2, 0), (0, 2), (2, 2), (2, -2), (2, 1), (1, 2)]
    labels = np.repeat(np.arange(len(waves)), 60)
    x = np.empty((len(labels), 8, 8, 1), np.float32)
    for image, label in zip(x, labels, strict=True):
        a, b = waves[label]
        shift = rng.random()
        image[..., 0] = np.sin(2 * np.pi * (a * rows + b * columns + shift))
        image[..., 0] += 0.2 * rng.standard_normal((8, 8))
    part = np.tile(np.arange(3), len(labels) // 3)
    pieces = [array[part == k] for k in range(3) for array in (x, labels)]
    return image_data("striped", "striped", "made up", "none", tuple(pieces))  # type: ignore[arg-type]


@functools.cache
def pools() -> tuple[ClassPool, ClassPool]:
    return class_pools(striped(), 4, np.random.default_rng(0))


@functools.cache
def result(options: TNASOptions = QUICK) -> FewShotResult:
    """Remembered, so do not change it."""
    return train_tnas(*pools(), options, test_tasks=60)


# -- tasks ---------------------------------------------------------------------------------------


def test_classes_of_the_meta_test_are_others() -> None:
    train, test = pools()
    assert len(train.labels) == 6
    assert sorted(train.labels + test.labels) == list(range(10))
    assert torch.cat(train.images).mean().item() == pytest.approx(0, abs=1e-5)
    with pytest.raises(InputError, match="are in both pools"):
        train_tnas(train, train, QUICK)


def test_images_are_of_their_class_and_split() -> None:
    data = striped()
    data = replace(data, x_test=data.x_test[5:], y_test=data.y_test[5:])  # a split of its own size
    train, test = class_pools(data, 4, np.random.default_rng(0))
    for label, images in zip(train.labels, train.images, strict=True):
        assert len(images) == (data.y_train == label).sum() + (data.y_valid == label).sum()
    for label, images in zip(test.labels, test.images, strict=True):
        assert len(images) == (data.y_test == label).sum()


def test_support_and_query_share_no_image_and_all_classes() -> None:
    train, _ = pools()
    options = replace(QUICK, shots=5)
    episodes = draw_episodes(train, 6, options, np.random.default_rng(0))
    known = {image.numpy().tobytes(): k for k, some in enumerate(train.images) for image in some}
    drawn = set()
    for support, labels, query, asked in zip(*episodes, strict=True):
        assert torch.bincount(labels).tolist() == [5] * 3
        assert torch.bincount(asked).tolist() == [4] * 3
        images = [image.numpy().tobytes() for image in (*support, *query)]
        assert len(set(images)) == len(images) == 27
        # one class of the pool for each label, the same in support and query
        pairs = {
            (label, known[image])
            for label, image in zip([*labels.tolist(), *asked.tolist()], images, strict=True)
        }
        assert len(pairs) == len({k for _, k in pairs}) == 3
        drawn.add(tuple(k for _, k in sorted(pairs)))
    assert len(drawn) > 1


@pytest.mark.parametrize("change", [{"ways": 7}, {"queries": 60}])
def test_a_pool_that_is_too_small_is_refused(change: dict[str, int]) -> None:
    with pytest.raises(InputError, match="lower ways, shots or queries"):
        draw_episodes(pools()[0], 1, replace(QUICK, **change), np.random.default_rng(0))  # type: ignore[arg-type]


# -- gradients -----------------------------------------------------------------------------------


def problem() -> tuple[Supernet, dict[str, Tensor], Tensor, Episodes]:
    """A supernet at some w and theta, and two tasks, in float64."""
    supernet = Supernet((CANDIDATES,) * 3, inputs=1, size=8, channels=3, ways=3)
    rng = np.random.default_rng(0)
    w = {
        name: (weight + 0.1 * torch.from_numpy(rng.standard_normal(weight.shape))).requires_grad_()
        for name, weight in supernet.initial(rng)[0].items()
    }
    theta = torch.from_numpy(rng.standard_normal((3, len(CANDIDATES)))).requires_grad_()
    drawn = draw_episodes(pools()[0], 2, QUICK, rng)
    episodes = Episodes(
        *(drawn.support_x.double(), drawn.support_y, drawn.query_x.double(), drawn.query_y)
    )
    return supernet, w, theta, episodes


@pytest.mark.parametrize("inner", ["simultaneous", "alternate"])
def test_the_second_order_gradient_is_exact(inner: str) -> None:
    supernet, w, theta, episodes = problem()
    options = replace(QUICK, inner=inner, inner_rate_w=0.3, inner_rate_theta=2.0)  # type: ignore[arg-type]
    everything = {**w, "theta": theta}

    def gradients(options: TNASOptions) -> dict[str, Tensor]:
        loss = query_loss(supernet, w, theta, episodes, options)
        return dict(zip(everything, torch.autograd.grad(loss, everything.values()), strict=True))

    exact, first_order = gradients(options), gradients(replace(options, first_order=True))
    for name in ("stem", "0.1.nor_conv_3x3", "1.2.nor_conv_1x1", "head", "bias", "theta"):
        direction = torch.from_numpy(
            np.random.default_rng(1).standard_normal(everything[name].shape)
        )
        losses = []
        for step in (1e-5, -1e-5):
            moved = {key: value.detach().clone() for key, value in everything.items()}
            moved[name] += step * direction
            for value in moved.values():
                value.requires_grad_()
            moved_theta = moved.pop("theta")
            losses.append(query_loss(supernet, moved, moved_theta, episodes, options).item())
        expected = (losses[0] - losses[1]) / 2e-5
        assert (exact[name] * direction).sum().item() == pytest.approx(expected, rel=1e-5), name
        # so the test can tell them apart
        other = (first_order[name] * direction).sum().item()
        assert other != pytest.approx(expected, rel=1e-3), name


@pytest.mark.parametrize("inner", ["simultaneous", "alternate"])
def test_adaptation_lowers_the_loss_on_its_own_support(inner: str) -> None:
    supernet, w, theta, episodes = problem()
    x, y = episodes.support_x, episodes.support_y
    options = replace(QUICK, inner=inner)  # type: ignore[arg-type]
    each_w, each_theta = adapted(supernet, w, theta, x, y, options, 5, first_order=True)
    before = task_loss(supernet, *_shared(w, theta), x, y)
    after = task_loss(supernet, each_w, each_theta, x, y)
    assert (after < 0.8 * before).all()
    assert not torch.equal(each_theta[0], each_theta[1])  # each task its own


def _shared(w: dict[str, Tensor], theta: Tensor) -> tuple[dict[str, Tensor], Tensor]:
    return {k: v.expand(2, *v.shape) for k, v in w.items()}, theta.expand(2, *theta.shape)


def test_orders_of_inner_updates_differ_and_tasks_do_not_mix() -> None:
    supernet, w, theta, episodes = problem()
    x, y = episodes.support_x, episodes.support_y
    one, other = (
        adapted(supernet, w, theta, x, y, replace(QUICK, inner=inner), 2, first_order=True)[1]  # type: ignore[arg-type]
        for inner in ("simultaneous", "alternate")
    )
    assert not torch.allclose(one, other)
    alone = adapted(supernet, w, theta, x[1:], y[1:], QUICK, 2, first_order=True)[1]
    torch.testing.assert_close(alone[0], one[1])


def test_a_fixed_cell_is_the_mixture_where_theta_leaves_nothing_else() -> None:
    supernet, w, _, episodes = problem()
    cell = ("nor_conv_3x3", "avg_pool_3x3", "skip_connect")
    sharp = torch.tensor([[50.0 * (name == chosen) for name in CANDIDATES] for chosen in cell])
    assert supernet.decode(sharp) == cell
    fixed = replace(supernet, choices=tuple((name,) for name in cell))
    every, x = _shared(w, sharp.double()), episodes.query_x
    torch.testing.assert_close(
        fixed(every[0], torch.zeros(2, 3, 1, dtype=torch.float64), x), supernet(*every, x)
    )


# -- learning ------------------------------------------------------------------------------------


def test_meta_training_helps_on_classes_it_never_saw() -> None:
    start = result(replace(QUICK, steps=0))
    trained = result()
    assert trained.mean > start.mean + 0.1
    assert trained.interval.low > 1 / 3 + 0.15  # chance is a third
    assert trained.interval.low < trained.mean < trained.interval.high
    assert np.abs(trained.theta).max() > 0.05
    assert len(trained.cells) == len(trained.accuracy) == 60


def test_the_same_seed_gives_the_same_result() -> None:
    options = replace(QUICK, steps=3)
    first, second = (train_tnas(*pools(), options, test_tasks=5, seed=7) for _ in range(2))
    other = train_tnas(*pools(), options, test_tasks=5, seed=8)
    assert np.array_equal(first.losses, second.losses)
    assert np.array_equal(first.theta, second.theta)
    assert np.array_equal(first.accuracy, second.accuracy)
    assert first.cells == second.cells
    assert not np.array_equal(first.losses, other.losses)


def test_first_order_learns_otherwise() -> None:
    second, first = (result(replace(QUICK, steps=3, first_order=value)) for value in (False, True))
    assert second.losses[0] == pytest.approx(first.losses[0], rel=1e-5)  # same start and tasks
    assert second.losses[2] != first.losses[2]


@pytest.mark.parametrize("cell", ["mixed", ("nor_conv_3x3", "nor_conv_1x1", "skip_connect")])
def test_a_frozen_theta_never_moves(cell: str | tuple[str, ...]) -> None:
    trained = result(replace(QUICK, steps=3, cell=cell))  # type: ignore[arg-type]
    assert not trained.theta.any()  # as it began, bit for bit
    assert len(set(trained.cells)) == 1
    assert np.ptp(trained.losses) > 0  # the weights do move
    if not isinstance(cell, str):
        assert trained.cell == cell


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"inner": "joint"}, "'simultaneous' or 'alternate'"),
        ({"cell": ("nor_conv_3x3",)}, "a tuple of 3 operations"),
        ({"cell": "fixed"}, "expected 'learned', 'mixed'"),
        ({"ways": 1}, "ways is 1; expected 2 or more"),
    ],
)
def test_options_that_make_no_sense_are_refused(change: dict[str, object], match: str) -> None:
    with pytest.raises(InputError, match=match):
        replace(QUICK, **change)  # type: ignore[arg-type]


def test_pools_that_make_no_sense_are_refused() -> None:
    rng = np.random.default_rng(0)
    with pytest.raises(InputError, match="multiple of 4"):
        class_pools(striped(), 4, rng, size=10)
    with pytest.raises(InputError, match="at least 2 there"):
        class_pools(striped(), 9, rng)
