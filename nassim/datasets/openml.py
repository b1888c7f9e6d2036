"""Image datasets of the literature, from OpenML (by ``sklearn.datasets.fetch_openml``).

A few hundred megabytes each, and some gigabytes of memory to read them, once: the images are
kept in the cache. They are used whole; a recipe's ``n_train``, ``n_valid`` and ``n_test`` cut them.
"""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.error import HTTPError

import numpy as np
from numpy.typing import NDArray

from nassim.datasets.base import ImageData, Labels, Pixels, image_data, shuffled
from nassim.datasets.download import busy, kept
from nassim.errors import DataUnavailableError

__all__ = ["cifar10", "cifar100", "fashion_mnist", "svhn"]


@dataclass(frozen=True)
class _Source:
    """A dataset of OpenML: ``n`` rows, of which the first ``n_first`` are meant for training.

    A row is an image (height, width, channels), or with ``planes`` (channels, height, width).
    """

    number: int
    n: int
    n_first: int
    shape: tuple[int, int, int]
    classes: int
    planes: bool = False
    may_flip: bool = True


def cifar10(cache: Path) -> ImageData:
    """CIFAR-10 (Krizhevsky 2009), 32x32 colour."""
    source = _Source(40927, 60_000, 50_000, (32, 32, 3), 10, planes=True)
    return _dataset("cifar10", "cifar", source, cache)


def cifar100(cache: Path) -> ImageData:
    """CIFAR-100 (Krizhevsky 2009), 32x32 colour."""
    source = _Source(41983, 60_000, 50_000, (32, 32, 3), 100, planes=True)
    return _dataset("cifar100", "cifar", source, cache)


def fashion_mnist(cache: Path) -> ImageData:
    """All of Fashion-MNIST (Xiao et al. 2017), 28x28; dataset ``fashion`` is a part of it."""
    source = _Source(40996, 70_000, 60_000, (28, 28, 1), 10)
    return _dataset("fashion_mnist", "fashion", source, cache)


def svhn(cache: Path) -> ImageData:
    """House numbers in street views, cropped to a digit (Netzer et al. 2011), 32x32 colour."""
    source = _Source(41081, 99_289, 73_257, (32, 32, 3), 10, may_flip=False)
    return _dataset("svhn", "svhn", source, cache)


N_VALID = 10_000  # images, of those that are meant for training


def _dataset(name: str, group: str, source: _Source, cache: Path) -> ImageData:
    """The last rows test; of the others, a fixed sample validates and the rest train."""
    file = cache / f"openml-{source.number}.npz"
    arrays = kept(file, lambda: _download(name, source, file))
    x, y = arrays["x"], arrays["y"]
    order = shuffled(source.n_first)
    train, valid = order[N_VALID:], order[:N_VALID]
    test = np.arange(source.n_first, source.n)
    return image_data(
        name,
        group,
        f"OpenML {source.number}",
        "not stated (see openml.org)",
        (x[train], y[train], x[valid], y[valid], x[test], y[test]),
        may_flip=source.may_flip,
    )


def _download(name: str, source: _Source, file: Path) -> dict[str, NDArray[Any]]:
    """Images (n, height, width, channels), uint8, and labels (n,), in OpenML's order."""
    from sklearn.datasets import fetch_openml

    try:
        with warnings.catch_warnings(), busy(f"{name} from OpenML"):
            warnings.simplefilter("ignore")  # of each retry; the error below says that it failed
            values, labels = fetch_openml(
                data_id=source.number,
                data_home=str(file.parent / "openml"),
                return_X_y=True,
                as_frame=False,
                parser="pandas",  # the other one reads number by number
                read_csv_kwargs={"dtype": None},  # what is nominal is sorted out in _labels
            )
        x, y = _images(np.asarray(values), source), _labels(np.asarray(labels), source)
    except (OSError, ValueError) as error:  # ValueError: what OpenML sent is not what it should be
        if isinstance(error, HTTPError):
            error.close()
        raise DataUnavailableError(
            f"Dataset {name!r} is not in {file.parent}, and www.openml.org/d/{source.number} could "
            f"not be read ({' '.join(str(error).split())}). Load it where there is a network and "
            f"put {file.name} into {file.parent}, or name another folder in $NASSIM_CACHE."
        ) from error
    return {"x": x, "y": y}


def _images(values: NDArray[Any], source: _Source) -> Pixels:
    expected = (source.n, math.prod(source.shape))
    if values.shape != expected:
        raise ValueError(f"its pixels have shape {values.shape}; expected {expected}")
    x = values.astype(np.uint8)
    if not np.array_equal(x, values):
        raise ValueError("its pixels are no whole numbers from 0 to 255")
    if source.planes:
        height, width, channels = source.shape
        return x.reshape(-1, channels, height, width).transpose(0, 2, 3, 1).copy()
    return x.reshape(-1, *source.shape)


def _labels(labels: NDArray[Any], source: _Source) -> Labels:
    """Classes are whole numbers, some in quotes and some from 1: sort them as numbers."""
    numbers = np.char.strip(labels.astype(str), "'\"").astype(np.float64).astype(np.int64)
    names, y = np.unique(numbers, return_inverse=True)
    if y.shape != (source.n,) or len(names) != source.classes:
        raise ValueError(f"{len(y)} labels of {len(names)} classes; expected {source.classes}")
    return y.astype(np.int64)
