"""Leave one dataset out, or one group: what is learned from, and what is searched.

A :class:`Fold` keeps three things apart. ``sources`` are the runs of the other datasets, which a
transfer method may learn from. ``table`` holds the target's validation curves and seconds, which
are replayed. ``sealed`` holds the target's test values, which nothing but the final bookkeeping of
a study looks at, after the search has ended; no method is ever handed a fold.
"""

from __future__ import annotations

import functools
import zlib
from collections import Counter
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from nassim.errors import InputError, unknown_name
from nassim.ranking.seeds import last_measured
from nassim.records import Architecture, Dataset, FloatArray, Metric, Sources, SourceTask
from nassim.simulator.sources import Quality, TableSource
from nassim.spaces import SPACES, get_space
from nassim.store import Store

__all__ = ["Fold", "FoldPlan", "Leakage", "Pool", "Sealed", "load_fold", "target_names"]

Pool = Literal["disjoint", "shared", "all"]
Leakage = Literal["none", "merged", "test-seen"]
LEAKAGE: dict[str, Leakage] = {"valid": "none", "merged": "merged", "test": "test-seen"}
MIN_CANDIDATES = 2


@dataclass(frozen=True)
class FoldPlan:
    """How the runs of a store become folds. Hashable, so that processes can share it.

    Parameters
    ----------
    store
        Path of the store.
    store_sha
        What the store contains (``Store.sha``); a changed store makes another fold.
    pool
        ``"disjoint"``: candidates that were trained on one dataset only, so that no source has
        seen them; ``"shared"``: candidates that every dataset has; ``"all"``: both.
    leave_out
        ``"dataset"``: the other datasets are sources; ``"group"``: only those of other groups.
    space, recipe
        Needed where a store has several.
    split
        The split that is searched on: ``"valid"``; ``"merged"`` and ``"test"`` leak and are
        marked so in every result.
    quality
        What a run is worth: its ``"max"`` or ``"final"`` value.
    size
        Draw at most so many candidates of a target.
    source_datasets, source_architectures
        Draw at most so many source datasets, and of each at most so many architectures with all
        their runs. A larger number draws the same ones, and more.
    shuffled_sources
        Exchange the results of each source among its architectures: what is learned from them is
        about nothing. A method that transfers must not lose by it what it would have without.
    pool_seed
        Of all that is drawn.
    """

    store: str
    store_sha: str
    pool: Pool = "disjoint"
    leave_out: Literal["dataset", "group"] = "dataset"
    space: str | None = None
    recipe: str | None = None
    split: str = "valid"
    quality: Quality = "max"
    size: int | None = None
    pool_seed: int = 0
    source_datasets: int | None = None
    source_architectures: int | None = None
    shuffled_sources: bool = False

    def __post_init__(self) -> None:
        for name, value, known in (
            ("pool", self.pool, get_args(Pool)),
            ("leave_out", self.leave_out, ("dataset", "group")),
            ("split", self.split, tuple(LEAKAGE)),
            ("quality", self.quality, get_args(Quality)),
        ):
            if value not in known:
                raise InputError(f"{name} is {value!r}; expected one of {', '.join(known)}.")
        if self.size is not None and self.size < MIN_CANDIDATES:
            raise InputError(f"size is {self.size}; expected at least {MIN_CANDIDATES} candidates.")
        for name in ("source_datasets", "source_architectures"):
            count = getattr(self, name)
            if count is not None and count < 1:
                raise InputError(f"{name} is {count}; expected 1 or more.")


@dataclass(frozen=True, eq=False)
class Sealed:
    """Test values of the candidates, (N,), higher is better, NaN where not measured."""

    test: FloatArray


@dataclass(frozen=True, eq=False)
class Fold:
    """One target with its sources; see the module."""

    target: Dataset
    sources: Sources
    table: TableSource
    sealed: Sealed
    metric: Metric
    space: str
    time_unit: str  # of the table's seconds: "seconds", or "epochs" where none were measured


def target_names(store: Store) -> list[str]:
    """Datasets of a store that have runs, in the order of their names."""
    return sorted(set(store.index().dataset.tolist()))


@functools.lru_cache(maxsize=16)
def load_fold(plan: FoldPlan, target: str) -> Fold:
    """The fold of one target.

    Raises
    ------
    InputError
        if the store has several spaces or recipes and none is chosen, has no curves in the split,
        or the pool has fewer than two candidates of the target.
    """
    runs = _load_runs(plan)
    store = runs.store
    groups = {dataset.name: dataset.group for dataset in store.datasets}
    names = sorted(set(runs.dataset.tolist()))
    if target not in names:
        raise unknown_name("target dataset", target, names)
    rows = _pool_rows(plan, runs, target, names)
    if plan.leave_out == "group":
        others = [name for name in names if groups[name] != groups[target]]
    else:
        others = [name for name in names if name != target]
    others = _drawn(others, plan.source_datasets, plan.pool_seed, target)
    datasets = {dataset.name: dataset for dataset in store.datasets}
    ids, candidate = np.unique(runs.architecture[rows], return_inverse=True)
    table = TableSource(
        datasets[target],
        [runs.architectures[text] for text in ids.tolist()],
        candidate,
        runs.curves[rows][:, : max(1, int(runs.lengths[rows].max()))],
        runs.seconds[rows][:, : max(1, int(runs.lengths[rows].max()))],
        runs.lengths[rows],
        runs.failed[rows],
        metric=store.metric,
        quality=plan.quality,
        n_params=runs.n_params[rows],
        flops=runs.flops[rows],
    )
    sources = Sources(
        tuple(_source_task(plan, runs, datasets[name]) for name in others), store.metric
    )
    test = store.metric.sign * runs.test[rows]
    sealed = Sealed(np.array([_mean(test[table.runs_of[c]]) for c in range(len(ids))]))
    return Fold(
        datasets[target], sources, table, sealed, store.metric, runs.space, _time_unit(runs, rows)
    )


@dataclass(frozen=True, eq=False)
class _Runs:
    store: Store
    space: str
    dataset: np.ndarray
    architecture: np.ndarray
    canonical: np.ndarray
    architectures: dict[str, Architecture]
    recipe: np.ndarray
    seed: np.ndarray
    curves: FloatArray
    seconds: FloatArray
    test: FloatArray
    lengths: np.ndarray
    failed: np.ndarray
    n_params: np.ndarray
    flops: np.ndarray


@functools.lru_cache(maxsize=2)
def _load_runs(plan: FoldPlan) -> _Runs:
    store = Store.open(plan.store)
    index = store.index()
    space = _only("space", plan.space, set(index.space.tolist()))
    of_space = index.space == space
    if plan.recipe is None:
        recipes: dict[str, set[str]] = {}
        for dataset, recipe in zip(
            index.dataset[of_space].tolist(), index.recipe[of_space].tolist(), strict=True
        ):
            recipes.setdefault(dataset, set()).add(recipe)
        for found in recipes.values():  # one recipe for each dataset needs no choice
            _only("recipe", None, found)
        keep = of_space
    else:
        recipe = _only("recipe", plan.recipe, set(index.recipe[of_space].tolist()))
        keep = of_space & (index.recipe == recipe)
    column = store.metric.column(plan.split)
    curves = store.curves(column)[keep]
    measured = np.isfinite(curves).sum(axis=1)
    lengths = index.epochs[keep].astype(np.intp)
    if len(curves) == 0 or not (measured > 0).any():
        raise InputError(
            f"Store {store.name!r} has no values in column {column!r}; {_other_splits(store)}"
        )
    texts = index.architecture[keep]
    canonical = index.canonical_id[keep]
    architectures: dict[str, Architecture] = {}
    known = get_space(space) if space in SPACES else get_space("table")
    for text, canonical_id in zip(texts.tolist(), canonical.tolist(), strict=True):
        if text not in architectures:
            decisions = known.decisions(text)
            architectures[text] = Architecture(space, decisions, text, canonical_id or text)
    return _Runs(
        store,
        space,
        index.dataset[keep],
        texts,
        np.where(canonical == "", texts, canonical),
        architectures,
        index.recipe[keep],
        index.seed[keep],
        curves.astype(np.float64),
        store.curves("epoch_seconds")[keep].astype(np.float64),
        last_measured(store.curves(store.metric.column("test"))[keep]),
        lengths,
        index.status[keep] != "ok",
        index.n_params[keep],
        index.flops[keep],
    )


def _pool_rows(plan: FoldPlan, runs: _Runs, target: str, names: list[str]) -> np.ndarray:
    """Rows of the target's candidates."""
    seen_on: dict[str, set[str]] = {}
    for dataset, canonical in zip(runs.dataset.tolist(), runs.canonical.tolist(), strict=True):
        seen_on.setdefault(canonical, set()).add(dataset)
    rows = np.flatnonzero(runs.dataset == target)
    count = np.array([len(seen_on[canonical]) for canonical in runs.canonical[rows].tolist()])
    if plan.pool == "disjoint":
        rows = rows[count == 1]
    elif plan.pool == "shared":
        rows = rows[count == len(names)]
    ids = np.unique(runs.architecture[rows])
    if len(ids) < MIN_CANDIDATES:
        sizes = Counter("disjoint" if n == 1 else "shared" for n in count.tolist())
        raise InputError(
            f"Pool {plan.pool!r} has {len(ids)} candidates on {target!r}; expected at least "
            f"{MIN_CANDIDATES}. The store has {sizes['disjoint']} runs of architectures that only "
            f"this dataset has and {sizes['shared']} of others: try --pool all."
        )
    if plan.size is not None and len(ids) > plan.size:
        rng = np.random.default_rng(plan.pool_seed)
        ids = np.sort(rng.choice(ids, plan.size, replace=False))
        rows = rows[np.isin(runs.architecture[rows], ids)]
    return rows


def _time_unit(runs: _Runs, rows: np.ndarray) -> str:
    """What an importer notes in the recipe of a table without times; else seconds."""
    recipes = sorted(set(runs.recipe[rows].tolist()))
    units = {str(runs.store.recipes[recipe].get("seconds", "measured")) for recipe in recipes}
    if "epochs" in units and len(units) > 1:
        raise InputError(
            f"Of the recipes {', '.join(recipes)} some have measured seconds and others count "
            "epochs; choose one with --recipe."
        )
    return "epochs" if units == {"epochs"} else "seconds"


def _source_task(plan: FoldPlan, runs: _Runs, dataset: Dataset) -> SourceTask:
    rows = np.flatnonzero(runs.dataset == dataset.name)
    known = np.unique(runs.architecture[rows]).tolist()
    kept = _drawn(known, plan.source_architectures, plan.pool_seed, dataset.name)
    rows = rows[np.isin(runs.architecture[rows], kept)]
    named = rows  # the architectures that the results are said to be of
    if plan.shuffled_sources:
        shuffling = np.random.default_rng([plan.pool_seed, zlib.crc32(dataset.name.encode()), 1])
        named = shuffling.permutation(rows)
    epochs = max(1, int(runs.lengths[rows].max()))
    table = TableSource(
        dataset,
        [runs.architectures[text] for text in runs.architecture[named].tolist()],
        np.arange(len(rows)),
        runs.curves[rows][:, :epochs],
        runs.seconds[rows][:, :epochs],
        runs.lengths[rows],
        runs.failed[rows],
        metric=runs.store.metric,
        quality=plan.quality,
    )
    past_end = np.arange(epochs) >= table.lengths[:, None]
    return SourceTask(
        dataset=dataset,
        architectures=table.architectures,
        seeds=runs.seed[rows],
        curves=np.where(past_end, np.nan, table.values),
        lengths=table.lengths,
        values=table.qualities,
        failed=table.failed,
        seconds=np.where(past_end, np.nan, runs.seconds[rows][:, :epochs]),
        n_params=runs.n_params[named],
        flops=runs.flops[named],
    )


def _drawn(names: list[str], most: int | None, seed: int, of: str) -> list[str]:
    """At most so many of these names, in their order; more of them are these and others."""
    if most is None:
        return names
    order = np.random.default_rng([seed, zlib.crc32(of.encode())]).permutation(len(names))
    return [names[place] for place in np.sort(order[:most])]


def _only(kind: str, chosen: str | None, found: set[str]) -> str:
    """The chosen one, or the only one."""
    if chosen is not None:
        if chosen not in found:
            raise unknown_name(kind, chosen, found)
        return chosen
    if len(found) != 1:
        raise InputError(
            f"The store has {len(found)} {kind}s ({', '.join(sorted(found)) or 'none'}); "
            f"choose one with --{kind}."
        )
    return next(iter(found))


def _other_splits(store: Store) -> str:
    merged = store.metric.column("merged")
    if np.isfinite(store.curves(merged)).any():
        return (
            f"it has {merged!r} (validation and test in one), which leaks the test set: "
            "search on it with --split merged, and every result will be marked."
        )
    return "nothing can be searched on; import validation values."


def _mean(values: FloatArray) -> float:
    finite = values[np.isfinite(values)]
    return float(finite.cumsum()[-1]) / len(finite) if len(finite) else float("nan")
