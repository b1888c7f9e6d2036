"""Images or features in fixed splits, and the few steps that every dataset takes."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nassim.errors import InputError
from nassim.records import Dataset

__all__ = [
    "Data",
    "FeatureData",
    "ImageData",
    "distinct_texts",
    "drop_duplicates",
    "feature_data",
    "image_data",
    "shuffled",
    "split",
    "split_groups",
    "split_up_to",
]

Pixels = NDArray[Any]  # uint8 or float32, (images, height, width, channels)
Labels = NDArray[np.int64]
Texts = NDArray[Any]  # str, (documents,): a text, or a row of a table as it is in the file
Features = NDArray[np.float32]  # (documents, features)
Parts = tuple[Texts, Labels, Texts, Labels, Texts, Labels]  # training, validation, test


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


@dataclass(frozen=True, eq=False)
class FeatureData:
    """Features (n, features), float32, and labels (n,) of three disjoint splits.

    ``by_column`` says how they are brought to one scale before training: each column to mean 0
    and deviation 1, or (where zeros and the columns' scales have a meaning, as in TF-IDF) all by
    one factor.
    """

    record: Dataset
    x_train: Features
    y_train: Labels
    x_valid: Features
    y_valid: Labels
    x_test: Features
    y_test: Labels
    by_column: bool


Data = ImageData | FeatureData


def image_data(
    name: str,
    group: str,
    source: str,
    licence: str,
    parts: tuple[Pixels, Labels, Pixels, Labels, Pixels, Labels],
    may_flip: bool = True,
) -> ImageData:
    """Put splits and their provenance together; the record's hash covers all six arrays."""
    digest = hashlib.sha256()
    for array in parts:
        digest.update(f"{array.dtype.str}{array.shape}".encode())
        digest.update(np.ascontiguousarray(array).tobytes())
    shape = tuple(int(size) for size in parts[0].shape[1:])
    record = _record(name, group, source, licence, shape, parts, digest.hexdigest())
    return ImageData(record, *parts, may_flip)


def feature_data(
    name: str,
    group: str,
    source: str,
    licence: str,
    parts: Parts,
    fit: Callable[[Texts], Callable[[Texts], Features]],
    *,
    by_column: bool,
    names: Iterable[str] = (),
) -> FeatureData:
    """Make features of texts; ``fit`` sees those of the training split alone.

    ``names`` are those of the features, where there was a choice. The record's hash covers texts,
    labels and names, not the features, whose last digits are up to the machine.
    """
    digest = hashlib.sha256()
    for texts, labels in zip(parts[::2], parts[1::2], strict=True):
        for text, label in zip(texts, labels, strict=True):
            digest.update(f"{label} {len(text)} {text}".encode())
    for feature in names:
        digest.update(f"{len(feature)} {feature}".encode())
    transform = fit(parts[0])
    x_train, x_valid, x_test = (transform(texts) for texts in parts[::2])
    shape = (int(x_train.shape[1]),)
    record = _record(name, group, source, licence, shape, parts, digest.hexdigest())
    return FeatureData(
        *(record, x_train, parts[1], x_valid, parts[3], x_test, parts[5]), by_column=by_column
    )


def _record(
    name: str,
    group: str,
    source: str,
    licence: str,
    shape: tuple[int, ...],
    parts: tuple[Any, Labels, Any, Labels, Any, Labels],
    sha256: str,
) -> Dataset:
    n_train, n_valid, n_test = (len(labels) for labels in parts[1::2])
    return Dataset(
        name=name,
        group=group,
        shape=shape,
        classes=int(max(labels.max() for labels in parts[1::2])) + 1,
        n_train=n_train,
        n_valid=n_valid,
        n_test=n_test,
        source=source,
        licence=licence,
        sha256=sha256,
        majority=float(np.bincount(parts[3]).max(initial=0)) / max(1, len(parts[3])),
    )


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


def distinct_texts(
    rows: Iterable[tuple[str, str]], known: Iterable[str] = ()
) -> tuple[Texts, NDArray[Any]]:
    """Texts, the first of equal ones, and the names of their classes; none that is ``known``.

    Texts count as equal whatever their white space, of which a blank is left.

    >>> texts, names = distinct_texts([("a  b", "x"), ("c", "y"), ("a b", "z"), (" ", "x")], ["c"])
    >>> texts.tolist(), names.tolist()
    (['a b'], ['x'])
    """
    found: dict[str, str] = {}
    seen = {"", *known}
    for row, name in rows:
        text = " ".join(row.split())
        if text not in seen:
            found.setdefault(text, name)
    return np.array([*found], object), np.array([*found.values()], object)


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


def split_up_to(
    x: Pixels, y: Labels, n_train: int, n_valid: int, n_test: int
) -> tuple[Pixels, Labels, Pixels, Labels, Pixels, Labels]:
    """``split``, but 40 : 30 : 30 where there are too few for these numbers."""
    n = len(x)
    n_train, n_valid = min(n_train, round(0.4 * n)), min(n_valid, round(0.3 * n))
    return split(x, y, n_train, n_valid, min(n_test, n - n_train - n_valid))
