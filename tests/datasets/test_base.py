from __future__ import annotations

import numpy as np
import pytest

from nassim.datasets.base import drop_duplicates, image_data, shuffled, split, split_groups
from nassim.errors import InputError


def test_shuffle_never_changes() -> None:
    assert shuffled(6).tolist() == [3, 2, 1, 0, 4, 5]


def test_drop_duplicates_keeps_the_first_and_the_order() -> None:
    x = np.array([[[3]], [[1]], [[3]], [[2]]], np.uint8)
    kept, labels = drop_duplicates(x, np.array([7, 8, 9, 6]))
    assert kept.ravel().tolist() == [3, 1, 2]
    assert labels.tolist() == [7, 8, 6]


def test_too_few_images_to_split() -> None:
    with pytest.raises(InputError, match="5 images are too few to split; expected 7"):
        split(np.zeros((5, 2, 2, 1)), np.zeros(5, np.int64), 4, 2)


def test_the_hash_covers_images_labels_and_split() -> None:
    x, y = np.arange(12, dtype=np.uint8).reshape(3, 2, 2, 1), np.array([0, 1, 1])

    def sha(order: list[int], labels: np.ndarray) -> str:
        a, b, c = ([k] for k in order)
        parts = (x[a], labels[a], x[b], labels[b], x[c], labels[c])
        return image_data("x", "x", "", "", parts).record.sha256

    hashes = {sha([0, 1, 2], y), sha([1, 0, 2], y), sha([0, 2, 1], y), sha([0, 1, 2], 1 - y)}
    assert len(hashes) == 4
    assert sha([0, 1, 2], y) == sha([0, 1, 2], y.copy())


def test_groups_are_whole_and_every_split_is_shuffled() -> None:
    groups = np.repeat(np.arange(20), 10)
    x, y = np.arange(200), groups * 3
    x_train, y_train, x_valid, y_valid, x_test, y_test = split_groups(x, y, groups, 5, 4)
    sizes = [len(set(labels)) for labels in (y_train, y_valid, y_test)]
    assert sizes == [5, 4, 11]
    assert len(set(y_train) | set(y_valid) | set(y_test)) == 20
    assert sorted([*x_train, *x_valid, *x_test]) == list(range(200))
    assert (np.diff(groups[x_train]) != 0).mean() > 0.5  # no group after the other
    assert (y_test == groups[x_test] * 3).all()
