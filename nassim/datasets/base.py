"""Images in fixed splits, and the few steps that every dataset takes."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nassim.errors import InputError
from nassim.records import Dataset

__all__ = ["ImageData", "drop_duplicates", "image_data", "shuffled", "split"]

Pixels = NDArray[Any]  # uint8 or float32, (images, height, width, channels)
Labels = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class ImageData:
    """Images (n, height, width, channels) and labels (n,) of three disjoint splits."""

    record: Dataset
    x_train: Pixels
    y_train: Labels
    x_valid: Pixels
    y_valid: Labels
    x_test: Pixels
    y_test: Labels


def image_data(
    name: str,
    group: str,
    source: str,
    licence: str,
    parts: tuple[Pixels, Labels, Pixels, Labels, Pixels, Labels],
) -> ImageData:
    """Put splits and their provenance together; the record's hash covers all six arrays."""
    x_train, y_train, x_valid, y_valid, x_test, y_test = parts
    digest = hashlib.sha256()
    for array in parts:
        digest.update(f"{array.dtype.str}{array.shape}".encode())
        digest.update(np.ascontiguousarray(array).tobytes())
    record = Dataset(
        name=name,
        group=group,
        shape=tuple(int(size) for size in x_train.shape[1:]),
        classes=int(max(y.max() for y in (y_train, y_valid, y_test))) + 1,
        n_train=len(x_train),
        n_valid=len(x_valid),
        n_test=len(x_test),
        source=source,
        licence=licence,
        sha256=digest.hexdigest(),
        majority=float(np.bincount(y_valid).max(initial=0)) / max(1, len(y_valid)),
    )
    return ImageData(record, x_train, y_train, x_valid, y_valid, x_test, y_test)


def drop_duplicates(x: Pixels, y: Labels) -> tuple[Pixels, Labels]:
    """Keep the first of equal images, in the order given, so that no split can leak into another.

    >>> x, y = drop_duplicates(np.array([[1, 1], [0, 2], [1, 1]]), np.array([5, 6, 7]))
    >>> y.tolist()
    [5, 6]
    """
    flat = np.ascontiguousarray(x).reshape(len(x), -1)
    _, first = np.unique(flat, axis=0, return_index=True)
    keep = np.sort(first)
    return x[keep], y[keep]


def shuffled(n: int, seed: int = 0) -> NDArray[np.intp]:
    """A fixed order of ``n`` things: the ranks of uniform draws, which no release changes."""
    return np.argsort(np.random.default_rng(seed).random(n), kind="stable")


def split(
    x: Pixels, y: Labels, n_train: int, n_valid: int, n_test: int | None = None
) -> tuple[Pixels, Labels, Pixels, Labels, Pixels, Labels]:
    """Split by a fixed shuffle: the first images train, the next validate, the rest test.

    Raises
    ------
    InputError
        if there are too few images.
    """
    wanted = n_train + n_valid + (n_test or 1)
    if len(x) < wanted:
        raise InputError(f"{len(x)} images are too few to split; expected {wanted} or more.")
    order = shuffled(len(x))
    stop = len(x) if n_test is None else wanted
    train, valid, test = np.split(order[:stop], [n_train, n_train + n_valid])
    return x[train], y[train], x[valid], y[valid], x[test], y[test]
