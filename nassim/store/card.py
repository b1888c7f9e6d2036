"""The quality card of a store: reads its curves, and hands them to be counted."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from nassim.reports.card.records import Card
from nassim.reports.card.tables import Recorded, card_table
from nassim.store.store import RunIndex, Store

__all__ = ["card"]


def card(store: Store, *, gap: float = 0.001) -> Card:
    """The card of a store, a part for each dataset and recipe; reads each curve once.

    ``gap`` is the difference, in the store's metric, that the power calculator is asked about.

    Raises
    ------
    InputError
        if the gap is not a number above 0.
    """
    return card_table(store.name, store.sha, store.metric, _recorded(store), gap=gap)


def _recorded(store: Store) -> Iterator[Recorded]:
    """What the store recorded, one dataset in memory at a time."""
    numbers = _numbers(store.index())
    for dataset in store.datasets:
        index = store.index(dataset=dataset.name)
        scores = {
            split: store.curves(store.metric.column(split), dataset=dataset.name)
            for split in ("valid", "merged", "test")
        }
        seconds = sum(
            np.nansum(store.curves(column, dataset=dataset.name), axis=1, dtype=np.float64)
            for column in ("epoch_seconds", "evaluation_seconds")
        )
        architecture = np.array([numbers[key] for key in _architectures(index)], np.int64)
        for recipe in sorted(set(index.recipe)):
            rows: NDArray[np.intp] = np.flatnonzero(index.recipe == recipe)
            yield Recorded(
                dataset,
                recipe,
                architecture[rows],
                index.seed[rows],
                index.status[rows],
                index.epochs[rows],
                {split: curves[rows] for split, curves in scores.items()},
                np.asarray(seconds)[rows],
            )


def _numbers(index: RunIndex) -> dict[tuple[str, str], int]:
    """A number for each architecture of a store, in canonical order."""
    return {key: number for number, key in enumerate(dict.fromkeys(_architectures(index)))}


def _architectures(index: RunIndex) -> list[tuple[str, str]]:
    return list(zip(index.space.tolist(), index.architecture.tolist(), strict=True))
