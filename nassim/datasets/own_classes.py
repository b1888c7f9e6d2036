"""The classes of own data: numbered, counted, and dealt to the splits."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nassim.datasets.base import Labels, shuffled
from nassim.errors import InputError

__all__ = ["class_numbers", "split_classes"]

_MIN_CLASS = 5  # samples: with fewer, a split may lack the class
_NAMED = 5  # classes in a message


def class_numbers(labels: Sequence[NDArray[Any]], where: str) -> list[Labels]:
    """Labels (whole numbers or texts) as 0 to k-1, in sorted order over all of them.

    ``labels`` are those of the training, validation and test split, or of data to be split.
    Texts that are whole numbers are sorted as numbers.

    >>> class_numbers([np.array(["10", "9", "10"]), np.array(["9"]), np.array(["9"])], "a file")
    [array([1, 0, 1]), array([0]), array([0])]

    Raises
    ------
    InputError
        if there is one class only, or a class has too few samples to train (and be split).
    """
    every = np.concatenate(labels)
    if every.dtype.kind == "U" and all(re.fullmatch(r"0|-?[1-9]\d{0,17}", v) for v in every):
        every = every.astype(np.int64)
    names, y = np.unique(every, return_inverse=True)
    if len(names) < 2:
        raise InputError(f"{where} has one class, {str(names[0])!r}; expected two or more.")
    parts = np.split(y.astype(np.int64), np.cumsum([len(part) for part in labels])[:-1])
    least, samples = (1, "training samples") if len(parts) > 1 else (_MIN_CLASS, "samples")
    counts = np.bincount(parts[0], minlength=len(names))
    few = [f"{str(names[k])!r} ({counts[k]})" for k in np.flatnonzero(counts < least)]
    if few:
        more = f" and {len(few) - _NAMED} more" if len(few) > _NAMED else ""
        raise InputError(
            f"{where} has too few {samples} of class {', '.join(few[:_NAMED])}{more}; "
            f"expected {least} or more of each."
        )
    return parts


def split_classes(
    x: NDArray[Any], y: Labels
) -> tuple[NDArray[Any], Labels, NDArray[Any], Labels, NDArray[Any], Labels]:
    """Split 60 : 20 : 20 within each class, by a fixed shuffle.

    >>> y = np.repeat([0, 1], [5, 10])
    >>> _, y_train, _, y_valid, _, y_test = split_classes(np.arange(15), y)
    >>> [np.bincount(labels).tolist() for labels in (y_train, y_valid, y_test)]
    [[3, 6], [1, 2], [1, 2]]
    """
    order = shuffled(len(x))
    share = np.empty(len(x))  # of its class that comes before a sample, in the shuffled order
    for label in np.unique(y):
        own = y[order] == label
        share[own] = (np.arange(own.sum()) + 0.5) / own.sum()
    part = np.digitize(share, [0.6, 0.8])
    train, valid, test = (order[part == k] for k in range(3))
    return x[train], y[train], x[valid], y[valid], x[test], y[test]
