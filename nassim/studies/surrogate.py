"""Surrogates of all datasets of a store, and the table that says how good they are."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from nassim.reports.text import aligned
from nassim.simulator.surrogate import About, Encoder, Surrogates
from nassim.simulator.surrogate_fit import fit_surrogate
from nassim.spaces import SPACES, get_space
from nassim.store import Store
from nassim.studies.folds import FoldPlan, load_fold, target_names

__all__ = ["fit_surrogates", "held_out_table"]


def fit_surrogates(
    plan: FoldPlan, *, seed: int = 0, progress: Callable[[int, int, str], None] | None = None
) -> Surrogates:
    """Fit a surrogate for each dataset of a store, on its own runs.

    Parameters
    ----------
    plan
        Which runs; its pool must be ``"all"`` for a fit on every architecture of a dataset.
    seed
        Of the trees and of the noise.
    progress
        Called with datasets done, datasets in all, and the next one's name.

    Raises
    ------
    InputError
        if the space has no decisions, or a dataset has fewer than ten complete architectures.
    """
    store = Store.open(plan.store)
    index = store.index()
    chosen = np.ones(len(index.dataset), bool)
    if plan.space is not None:
        chosen &= index.space == plan.space
    if plan.recipe is not None:
        chosen &= index.recipe == plan.recipe
    names = sorted(set(index.dataset[chosen].tolist())) or target_names(store)  # a fold says why
    folds = {name: load_fold(plan, name) for name in names}
    space = {fold.space for fold in folds.values()}.pop()  # a plan has one
    everywhere = [one for fold in folds.values() for one in fold.table.architectures]
    encoder = Encoder.fit(get_space(space if space in SPACES else "table"), everywhere)
    surrogates = {}
    for done, (name, fold) in enumerate(folds.items()):
        if progress is not None:
            progress(done, len(folds), name)
        surrogates[name] = fit_surrogate(
            fold.table, fold.sealed.test, encoder, fold.sources, seed, quality=plan.quality
        )
    time_units = {name: fold.time_unit for name, fold in folds.items()}
    about = About(
        store=store.name,
        store_sha=store.sha,
        space=space,
        recipe=plan.recipe or "",
        split=plan.split,
        quality=plan.quality,
        time_units=time_units,
        seed=seed,
    )
    return Surrogates(about, surrogates)


def held_out_table(surrogates: Surrogates) -> str:
    """A row a dataset; values of an accuracy in percentage points."""
    metric = surrogates.metric
    points = metric.bounds == (0.0, 1.0)
    scale, unit = (100.0, " (pp)") if points else (1.0, "")
    head = ("dataset", "architectures", "runs", "left out", "R2", "tau", "tau of top quarter")
    ends = ("tau, other datasets", "R2 test", "tau test", "R2 log s")
    errors = (f"noise{unit}", f"MAE first{unit}", f"MAE last{unit}")
    rows: list[tuple[str, ...]] = [(*head, *ends, *errors)]
    for name in surrogates.datasets:
        held = surrogates.held_out(name)
        shares = (held.r2, held.tau, held.tau_top, held.tau_other_datasets)
        others = (held.r2_test, held.tau_test, held.r2_seconds)
        sizes = (held.noise, held.mae[0], held.mae[-1])
        rows.append(
            (
                name,
                str(held.architectures),
                str(held.runs),
                f"{held.left_out:.0%}",
                *(_number(value) for value in (*shares, *others)),
                *(f"{scale * value:.2f}" for value in sizes),
            )
        )
    return "\n".join(aligned(rows))


def _number(value: float) -> str:
    return "-" if math.isnan(value) else f"{value:.2f}"
