"""What the explorer shows of a store: reads its runs, and hands them to be drawn."""

from __future__ import annotations

import warnings

import numpy as np
from numpy.typing import NDArray

from nassim.errors import InputError
from nassim.reports.explorer import SPLITS, Explored
from nassim.store.lookup import at_end
from nassim.store.store import Store

__all__ = ["explored"]


def explored(
    store: Store,
    *,
    dataset: str | None = None,
    space: str | None = None,
    recipe: str | None = None,
) -> Explored:
    """The runs of a store, or those of one dataset, space or recipe.

    Raises
    ------
    UnknownNameError
        if the store has no such dataset, recipe or space.
    InputError
        if there are no runs, or no run has a measured value.
    """
    chosen = {"dataset": dataset, "space": space, "recipe": recipe}
    index = store.index(**chosen)
    if len(index) == 0:
        raise InputError(f"Store {store.name!r} has no such runs; there is nothing to explore.")
    scores = {
        split: store.curves(store.metric.column(split), **chosen) for split in (*SPLITS, "train")
    }
    measured = [split for split in SPLITS if np.isfinite(scores[split]).any()]
    if not measured:
        raise InputError(f"Store {store.name!r} has no measured {store.metric.name} in these runs.")
    split = measured[0]
    seconds = store.curves("epoch_seconds", **chosen)
    return Explored(
        name=store.name,
        sha=store.sha,
        metric=store.metric,
        split=split,
        datasets=tuple(each.name for each in store.datasets),
        space=index.space,
        recipe=index.recipe,
        architecture=index.architecture,
        dataset=index.dataset,
        seed=index.seed,
        status=index.status,
        reason=np.array(store.table(["reason"], **chosen).column(0).to_pylist(), object),
        curves=scores[split],
        numbers={
            "last": at_end(scores[split], index.epochs),
            "best": _best(scores[split], higher_is_better=store.metric.higher_is_better),
            "test": at_end(scores["test"], index.epochs),
            "train": at_end(scores["train"], index.epochs),
            "seconds": _sums(seconds),
            "parameters": np.where(index.n_params > 0, index.n_params, np.nan),
            "flops": np.where(index.flops > 0, index.flops, np.nan),
        },
    )


def _best(curves: NDArray[np.float32], *, higher_is_better: bool) -> NDArray[np.float32]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # rows without any value are NaN
        best: NDArray[np.float32] = (np.nanmax if higher_is_better else np.nanmin)(curves, axis=1)
    return best


def _sums(curves: NDArray[np.float32]) -> NDArray[np.float64]:
    """Over epochs; NaN where none was measured."""
    measured = np.isfinite(curves).any(axis=1)
    return np.where(measured, np.nansum(curves, axis=1, dtype=np.float64), np.nan)
