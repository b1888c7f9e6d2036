from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from nassim.datasets import DATASETS, ImageData, default_cache, load_dataset
from nassim.datasets.handwritten import noisy_mnist
from nassim.errors import UnknownNameError

# name: train, valid, test, height, classes, start of the hash
EXPECTED = {
    "animals": (1000, 2000, 4000, 28, 10, "9f3147c41339"),
    "digits": (297, 1000, 500, 8, 10, "aa1ad021b1ee"),
    "emoji": (1010, 1344, 1411, 32, 9, "1f33adb817f3"),
    "fashion": (1000, 2000, 4000, 28, 10, "ceadde628391"),
    "glyphs": (2059, 2054, 7745, 28, 26, "9704ca91e990"),
    "kuzushiji": (600, 400, 361, 28, 30, "5d75caab1c92"),
    "mnist": (1000, 2000, 4000, 28, 10, "a48930b592b2"),
    "noisy_mnist": (2800, 2000, 7000, 8, 10, "16e5c785d177"),
    "optdigits": (1000, 1400, 1423, 8, 10, "a6b560414479"),
    "photos": (1020, 1975, 3858, 32, 17, "d767f02224ef"),
}


def rows(images: np.ndarray) -> set[bytes]:
    return {image.tobytes() for image in images}


def test_every_dataset_is_expected_here_or_in_another_file() -> None:
    others = tuple(
        f"nassim.datasets.{file}:" for file in ("tabular", "text", "openml", "quickdraw")
    )
    images = {name for name, path in DATASETS.items() if not path.startswith(others)}
    assert set(EXPECTED) == images


@pytest.mark.parametrize("name", sorted(EXPECTED))
def test_sizes_hash_and_disjoint_splits(name: str, load: Callable[[str], ImageData]) -> None:
    data = load(name)
    record = data.record
    n_train, n_valid, n_test, height, classes, sha = EXPECTED[name]
    assert (record.n_train, record.n_valid, record.n_test) == (n_train, n_valid, n_test)
    assert record.shape[:2] == (height, height)
    assert record.classes == classes
    assert record.sha256.startswith(sha)
    assert record.source
    assert record.licence
    for images, labels in (
        (data.x_train, data.y_train),
        (data.x_valid, data.y_valid),
        (data.x_test, data.y_test),
    ):
        assert images.shape == (len(labels), *record.shape)
        assert images.dtype == np.uint8
        assert labels.dtype == np.int64
        assert set(labels) == set(range(classes))
    train, valid, test = rows(data.x_train), rows(data.x_valid), rows(data.x_test)
    assert len(train | valid | test) == n_train + n_valid + n_test


def test_digits_and_optdigits_share_no_image(load: Callable[[str], ImageData]) -> None:
    digits, optdigits = load("digits"), load("optdigits")
    every = [
        rows(np.concatenate([data.x_train, data.x_valid, data.x_test]))
        for data in (digits, optdigits)
    ]
    assert not every[0] & every[1]


def test_all_handwritten_digits_are_one_group(load: Callable[[str], ImageData]) -> None:
    names = ("digits", "optdigits", "mnist", "noisy_mnist")
    assert len({load(name).record.group for name in names}) == 1


def test_noise_has_the_deviation_that_was_asked_for() -> None:
    clean, noisy = (noisy_mnist(default_cache(), noise) for noise in (0.0, 0.3))
    # away from the ends of a byte, where nothing is cut
    difference = (noisy.x_train.astype(float) - clean.x_train)[clean.x_train == 85] / 85
    assert abs(difference.mean()) < 0.005
    assert difference.std() == pytest.approx(0.3, rel=0.02)
    assert np.array_equal(clean.y_test, noisy.y_test)


def test_unknown_dataset() -> None:
    with pytest.raises(UnknownNameError, match="Did you mean 'digits'"):
        load_dataset("digit")
