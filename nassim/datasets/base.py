"""Images in fixed splits, and the few steps that every dataset takes."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nassim.errors import InputError
from nassim.records import Dataset

__all__ = ["ImageData", "drop_duplicates", "image_data", "shuffled", "split", "split_groups"]

Pixels = NDArray[Any]  # uint8 or float32, (images, height, width, channels)
Labels = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class ImageData:
    """Images (n, height, width, channels) and labels (n,) of three disjoint splits.

    ``may_flip``: an image and its mirror image are of one class (not so for letters), so that a
    recipe's ``flip`` applies.
    """

    record: Dataset
    x_train: Pixels
    y_train: Labels
    x_valid: Pixels
    y_valid: Labels
    x_test: Pixels
    y_test: Labels
    may_flip: bool = True


def image_data(
    name: str,
    group: str,
    source: str,
    licence: str,
    parts: tuple[Pixels, Labels, Pixels, Labels, Pixels, Labels],
    may_flip: bool = True,
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
    )
    return ImageData(record, x_train, y_train, x_valid, y_valid, x_test, y_test, may_flip)


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


def split_groups(
    x: Pixels, y: Labels, groups: NDArray[np.int64], n_train: int, n_valid: int
) -> tuple[Pixels, Labels, Pixels, Labels, Pixels, Labels]:
    """Split so that the images of one group (of a font, say) are in one split, whole.

    ``groups`` numbers each image's group, (n,); ``n_train`` and ``n_valid`` count groups, and
    the rest is for the test. Groups are dealt, and images ordered, by fixed shuffles.

    >>> x, y, groups = np.arange(6), np.zeros(6, np.int64), np.array([0, 0, 1, 1, 2, 2])
    >>> x_train, _, x_valid, _, x_test, _ = split_groups(x, y, groups, 1, 1)
    >>> sorted(x_train.tolist()), sorted(x_valid.tolist()), sorted(x_test.tolist())
    ([4, 5], [2, 3], [0, 1])
    """
    place = np.empty(int(groups.max()) + 1, np.int64)
    place[shuffled(len(place))] = np.arange(len(place))
    order = shuffled(len(x))
    part = np.digitize(place[groups[order]], [n_train, n_train + n_valid])
    train, valid, test = (order[part == k] for k in range(3))
    return x[train], y[train], x[valid], y[valid], x[test], y[test]
