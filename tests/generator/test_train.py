from __future__ import annotations

import dataclasses
import time

import numpy as np
import pytest
import torch

from nassim.datasets import ImageData, load_dataset
from nassim.generator import Recipe
from nassim.generator import train as module
from nassim.generator.images import to_device
from nassim.generator.train import train
from nassim.records import ACCURACY, Run
from nassim.spaces import get_space
from nassim.store.schema import to_table

SPACE = get_space("nasbench201")
CONV = SPACE.architecture((3, 0, 1, 0, 0, 1))
QUICK = Recipe(
    "quick", epochs=3, batch_size=32, channels=4, n_train=64, n_valid=100, n_test=50, shift=1
)
CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def digits() -> ImageData:
    return load_dataset("digits")


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


def curves(run: Run) -> list[np.ndarray]:
    return [run.train_loss, *(run.scores[split] for split in ("train", "valid", "test"))]


def test_a_run_has_whole_curves(digits: ImageData) -> None:
    run = train(CONV, digits, QUICK, seed=0)
    assert (run.status, run.reason, run.epochs) == ("ok", "", 3)
    assert run.key == ("nasbench201", CONV.id, "digits", QUICK.id, 0)
    assert np.isfinite(run.scores["valid"]).all()
    assert np.isnan(run.scores["test"]).tolist() == [True, True, False]
    assert (run.epoch_seconds > 0).all()
    assert (run.evaluation_seconds > 0).all()
    assert run.n_params > 0
    assert run.flops > 0
    assert "1 thread, process time" in run.device
    assert "torch" in run.versions
    to_table([run], ACCURACY)  # a store takes it


def test_another_optimizer_gives_other_curves_and_learns(digits: ImageData) -> None:
    recipe = dataclasses.replace(QUICK, optimizer="adamw", learning_rate=0.01, epochs=6)
    adam, sgd = train(CONV, digits, recipe, seed=0), train(CONV, digits, QUICK, seed=0)
    assert adam.status == "ok"
    assert adam.recipe != sgd.recipe
    assert adam.train_loss[0] != sgd.train_loss[0]
    assert adam.train_loss[-1] < adam.train_loss[0]


def test_training_leaves_floating_point_arithmetic_as_it_was(digits: ImageData) -> None:
    train(CONV, digits, QUICK, seed=0)
    tiny = np.array([np.finfo(np.float64).smallest_normal])
    assert (tiny / 2 > 0).all()  # a subnormal number, not flushed to zero


def test_the_same_seed_gives_the_same_curves_bit_by_bit(digits: ImageData) -> None:
    recipe = dataclasses.replace(QUICK, flip=True, cutout=3)
    first = train(CONV, digits, recipe, seed=7)
    torch.manual_seed(99)  # of no influence
    again = train(CONV, digits, recipe, seed=7)
    other = train(CONV, digits, recipe, seed=8)
    for a, b in zip(curves(first), curves(again), strict=True):
        assert a.tobytes() == b.tobytes()
    assert not np.array_equal(first.train_loss, other.train_loss)


def test_networks_learn(digits: ImageData) -> None:
    recipe = dataclasses.replace(QUICK, epochs=8, n_train=288)
    run = train(CONV, digits, recipe, seed=0)
    assert run.train_loss[-1] < 0.6 * run.train_loss[0]
    assert run.scores["valid"][-1] > 0.6


def test_every_second_epoch_is_validated_and_the_last(digits: ImageData) -> None:
    recipe = dataclasses.replace(QUICK, epochs=5, valid_every=2, test_every=3)
    run = train(CONV, digits, recipe, seed=0)
    assert np.isfinite(run.scores["valid"]).tolist() == [False, True, False, True, True]
    assert np.isfinite(run.evaluation_seconds).tolist() == [False, True, False, True, True]
    assert np.isfinite(run.scores["test"]).tolist() == [False, False, True, False, True]


def test_divergence_is_recorded(digits: ImageData) -> None:
    recipe = dataclasses.replace(QUICK, learning_rate=1e30)
    run = train(CONV, digits, recipe, seed=0)
    assert run.status == "diverged"
    assert "train loss is nan at epoch" in run.reason
    assert run.epochs < 3
    assert len(run.train_loss) == run.epochs
    to_table([run], ACCURACY)


def test_a_run_that_takes_too_long_is_recorded(digits: ImageData) -> None:
    recipe = dataclasses.replace(QUICK, epochs=1000, limit_seconds=0.1)
    start = time.process_time()
    run = train(CONV, digits, recipe, seed=0)
    assert time.process_time() - start < 5
    assert run.status == "timeout"
    assert "limit_seconds is 0.1" in run.reason
    assert run.epochs < 1000
    assert run.epochs == len(run.scores["valid"])
    to_table([run], ACCURACY)


@pytest.mark.parametrize(
    ("error", "status", "reason"),
    [
        (RuntimeError("no such kernel\nand a trace"), "error", "RuntimeError: no such kernel"),
        (MemoryError(), "oom", "MemoryError"),
        (torch.OutOfMemoryError("CUDA out of memory. Tried"), "oom", "CUDA out of memory. Tried"),
        (
            RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried"),
            "oom",
            "RuntimeError: DefaultCPUAllocator: can't allocate memory: you tried",
        ),
    ],
)
def test_an_error_is_recorded(
    digits: ImageData,
    monkeypatch: pytest.MonkeyPatch,
    error: Exception,
    status: str,
    reason: str,
) -> None:
    def fail(*arguments: object) -> float:
        raise error

    monkeypatch.setattr(module, "_accuracy", fail)
    run = train(CONV, digits, QUICK, seed=0)
    assert (run.status, run.reason, run.epochs) == (status, reason, 0)
    to_table([run], ACCURACY)


def test_an_interrupt_is_no_record(digits: ImageData, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*arguments: object) -> float:
        raise KeyboardInterrupt

    monkeypatch.setattr(module, "_accuracy", interrupt)
    with pytest.raises(KeyboardInterrupt):
        train(CONV, digits, QUICK, seed=0)


# --- schedules ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("schedule", "rates"),
    [
        ("constant", [0.4, 0.4, 0.4, 0.4]),
        ("cosine", [0.4, 0.2 + 0.2 / 2**0.5, 0.2, 0.2 - 0.2 / 2**0.5]),
        ("step", [0.4, 0.4, 0.04, 0.004]),
    ],
)
def test_learning_rates(schedule: str, rates: list[float]) -> None:
    recipe = Recipe("a", learning_rate=0.4, schedule=schedule)
    assert [module._learning_rate(recipe, k, 4) for k in range(4)] == pytest.approx(rates)


# --- images -------------------------------------------------------------------------------------


def numbered(n: int = 40, height: int = 6, width: int = 5) -> ImageData:
    """Images with every pixel of all images different."""
    pixels = np.arange(n * height * width, dtype=np.float32).reshape(n, height, width, 1)
    labels = np.arange(n) % 4
    record = dataclasses.replace(load_dataset("digits").record, n_train=n, classes=4)
    return ImageData(record, pixels, labels, pixels, labels, pixels, labels)


def test_an_epoch_holds_each_image_once_unchanged_without_augmentation() -> None:
    recipe = Recipe("a", batch_size=10)
    data = to_device(numbered(), recipe, CPU)
    x, y = data.epoch(recipe, np.random.default_rng(0))
    order = x[:, 0, 0, 0].argsort()
    torch.testing.assert_close(x[order].permute(0, 2, 3, 1), data.padded)
    assert torch.equal(y[order], data.y_train)
    assert order.tolist() != sorted(order.tolist())
    assert x.is_contiguous(memory_format=torch.channels_last)


def test_incomplete_batches_are_left_out() -> None:
    recipe = Recipe("a", batch_size=16)
    x, y = to_device(numbered(), recipe, CPU).epoch(recipe, np.random.default_rng(0))
    assert len(x) == len(y) == 32


def test_shifts_reach_every_offset_and_no_further() -> None:
    recipe = Recipe("a", batch_size=40, shift=1)
    data = to_device(numbered(), recipe, CPU)
    rng = np.random.default_rng(0)
    seen = set()
    for _ in range(10):
        x, _y = data.epoch(recipe, rng)
        for image in x[:, 0]:
            match = (data.padded[..., 0] == image[2, 2]).nonzero()
            number, row, column = match[0].tolist()
            top, left = row - 2, column - 2
            window = data.padded[number, top : top + 6, left : left + 5, 0]
            assert torch.equal(window, image)
            seen.add((top, left))
    assert seen == {(top, left) for top in range(3) for left in range(3)}


def test_half_of_the_images_are_flipped() -> None:
    recipe = Recipe("a", batch_size=40, flip=True)
    data = to_device(numbered(), recipe, CPU)
    x, _ = data.epoch(recipe, np.random.default_rng(0))
    flipped = x[:, 0, 0, 0] > x[:, 0, 0, -1]
    assert 5 < int(flipped.sum()) < 35
    restored = torch.where(flipped[:, None, None, None], x.flip(3), x)
    torch.testing.assert_close(
        restored[restored[:, 0, 0, 0].argsort()].permute(0, 2, 3, 1), data.padded
    )


def test_images_whose_mirror_image_is_another_thing_are_not_flipped() -> None:
    letters = dataclasses.replace(numbered(), may_flip=False)
    data = to_device(letters, Recipe("a", batch_size=40, flip=True), CPU)
    x, _ = data.epoch(Recipe("a", batch_size=40, flip=True), np.random.default_rng(0))
    assert (x[:, 0, 0, 0] < x[:, 0, 0, -1]).all()


def test_cutout_sets_a_square_to_the_mean() -> None:
    recipe = Recipe("a", batch_size=40, cutout=3)
    data = to_device(numbered(), recipe, CPU)
    x, _ = data.epoch(recipe, np.random.default_rng(0))
    holes = (x[:, 0] == 0).sum(dim=(1, 2))
    assert int(holes.max()) == 9  # whole squares, and parts of squares at the border
    assert int(holes.min()) >= 4
    assert len(set(holes.tolist())) > 1


def test_large_images_are_averaged_down_and_small_ones_left() -> None:
    data = numbered(height=8, width=4)
    half = to_device(data, Recipe("a", batch_size=8, resolution=4), CPU)
    assert half.shape == (4, 4, 1)
    x = data.x_valid.reshape(40, 4, 2, 4, 1).mean(axis=2)
    x = (x - data.x_train.mean()) / (half.x_valid.numpy().std() and 1)
    spread = x.reshape(-1) - x.mean()
    got = half.x_valid.numpy().reshape(-1)
    np.testing.assert_allclose(np.corrcoef(spread, got)[0, 1], 1.0, rtol=1e-6)
    assert to_device(data, Recipe("a", batch_size=8, resolution=9), CPU).shape == (8, 4, 1)


def test_training_images_have_mean_zero_and_deviation_one_and_valid_their_scale() -> None:
    data = numbered()
    shifted = dataclasses.replace(data, x_valid=data.x_valid + 100)
    recipe = Recipe("a", batch_size=8)
    images = to_device(shifted, recipe, CPU)
    assert float(images.padded.mean()) == pytest.approx(0, abs=1e-5)
    assert float(images.padded.std()) == pytest.approx(1, abs=1e-5)
    gap = (images.x_valid - images.padded).numpy()
    np.testing.assert_allclose(gap, 100 / data.x_train.std(ddof=1), rtol=1e-4)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU")
def test_a_gpu_learns_the_same(digits: ImageData) -> None:
    recipe = dataclasses.replace(QUICK, epochs=8, n_train=288)
    gpu = train(CONV, digits, recipe, seed=0, device="cuda")
    cpu = train(CONV, digits, recipe, seed=0)
    assert gpu.status == "ok"
    assert abs(float(gpu.scores["valid"][-1] - cpu.scores["valid"][-1])) < 0.15
