"""What two stores have in common and where they differ: run by run, not file by file.

A run is the same in both if every result is: status, sizes, and all curves but the measured
seconds. When and on what it was trained is not compared: a store that was trained again on
another day is the same store. A quantity that was never measured is one that is NaN throughout.

How to read this file: what is found; the comparison; its parts; as text.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nassim.errors import InputError
from nassim.records import Dataset, FloatArray, IntArray, RunKey
from nassim.reports.text import aligned, decimals, plural, wrapped
from nassim.store.lookup import at_end
from nassim.store.schema import SECONDS, curve_columns, texts
from nassim.store.store import Store

__all__ = ["ChangedRun", "DatasetDiff", "StoreDiff", "diff", "diff_text", "verdict"]

WIDTH = 120
SHOWN = 10  # runs that came out differently


@dataclass(frozen=True)
class ChangedRun:
    """A run of both stores that came out differently.

    ``columns`` are those that differ; ``status`` and ``ends``, the last validation values (NaN
    where there is none), are of the first and the second store.
    """

    key: RunKey
    columns: tuple[str, ...]
    status: tuple[str, str]
    ends: tuple[float, float]


@dataclass(frozen=True)
class DatasetDiff:
    """How many runs on one dataset only one store has, and how many both have.

    ``same`` counts those with the same results, ``other_seconds`` those of them whose measured
    seconds differ.
    """

    dataset: str
    only_first: int
    only_second: int
    same: int
    other_seconds: int
    changed: int


@dataclass(frozen=True)
class StoreDiff:
    """The comparison of two stores; ``descriptions`` are sentences on datasets and recipes."""

    descriptions: tuple[str, ...]
    datasets: tuple[DatasetDiff, ...]
    changed: tuple[ChangedRun, ...]

    @property
    def equal(self) -> bool:
        """Whether both hold the same runs with the same results, described alike."""
        return not self.descriptions and all(
            each.only_first == each.only_second == each.changed == 0 for each in self.datasets
        )


def diff(first: Store, second: Store) -> StoreDiff:
    """Compare two stores; reads all of both.

    >>> import tempfile
    >>> from nassim.records import Dataset, Run
    >>> def store_of(*seeds, value=0.75):
    ...     store = Store.create(tempfile.mkdtemp() + "/mine")
    ...     scores = {"valid": np.array([0.5, value], np.float32)}
    ...     runs = [Run("table", "small", "digits", "r", k, epochs=2, scores=scores) for k in seeds]
    ...     store.append(runs, datasets=[Dataset("digits", "digits")], recipes={"r": {}})
    ...     return store
    >>> (found,) = diff(store_of(0, 1), store_of(1, 2, 3)).datasets
    >>> found.only_first, found.only_second, found.same, found.changed
    (1, 2, 1, 0)
    >>> [run.ends for run in diff(store_of(0), store_of(0, value=0.625)).changed]
    [(0.75, 0.625)]

    Raises
    ------
    InputError
        if they do not measure the same.
    """
    if first.metric != second.metric:
        raise InputError(
            f"Store {str(first.path)!r} measures {first.metric.name} and {str(second.path)!r} "
            f"{second.metric.name}; expected two stores of one metric."
        )
    keys = first.index().keys(), second.index().keys()
    places = {key: row for row, key in enumerate(keys[1])}
    common = [(row, places[key]) for row, key in enumerate(keys[0]) if key in places]
    rows = np.array(common, np.intp).reshape(-1, 2).T
    changed, other_seconds = _changes(first, second, rows)
    differ = np.array([bool(columns) for columns in changed], bool)
    at = np.array([keys[0][row].dataset for row in rows[0]], object)
    seen = [np.array([key.dataset for key in each], object) for each in keys]
    return StoreDiff(
        tuple(_descriptions(first, second)),
        tuple(
            DatasetDiff(
                name,
                only_first=int((seen[0] == name).sum() - (at == name).sum()),
                only_second=int((seen[1] == name).sum() - (at == name).sum()),
                same=int((~differ & (at == name)).sum()),
                other_seconds=int((~differ & other_seconds & (at == name)).sum()),
                changed=int((differ & (at == name)).sum()),
            )
            for name in sorted({*seen[0], *seen[1]})
        ),
        tuple(_changed_runs(first, second, rows, changed)),
    )


# -- its parts -----------------------------------------------------------------------------------


def _changes(
    first: Store, second: Store, rows: IntArray
) -> tuple[list[tuple[str, ...]], NDArray[np.bool_]]:
    """Of each of these ``rows`` (2, runs): the columns that differ, and whether seconds do."""
    indices = first.index(), second.index()
    differs: dict[str, NDArray[np.bool_]] = {}
    for name in ("status", "canonical_id", "epochs", "n_params", "flops"):
        values = [getattr(index, name)[each] for index, each in zip(indices, rows, strict=True)]
        differs[name] = values[0] != values[1]
    reasons = [
        texts(store.table(["reason"]).column(0))[each]
        for store, each in zip((first, second), rows, strict=True)
    ]
    differs["reason"] = reasons[0] != reasons[1]
    for name in curve_columns(first.metric):
        ours, theirs = first.curves(name)[rows[0]], second.curves(name)[rows[1]]
        differs[name] = ~_same_rows(ours, theirs)
    other_seconds = np.logical_or.reduce([differs.pop(name) for name in SECONDS])
    return (
        [tuple(name for name, each in differs.items() if each[k]) for k in range(rows.shape[1])],
        other_seconds,
    )


def _same_rows(first: FloatArray, second: FloatArray) -> NDArray[np.bool_]:
    """Whether each row is the same numbers in both; NaN, which ends a curve, equals NaN."""
    width = max(first.shape[1], second.shape[1])
    a, b = (
        np.pad(each, ((0, 0), (0, width - each.shape[1])), constant_values=np.nan)
        for each in (first, second)
    )
    same: NDArray[np.bool_] = ((a == b) | (np.isnan(a) & np.isnan(b))).all(axis=1)
    return same


def _changed_runs(
    first: Store, second: Store, rows: IntArray, changed: Sequence[tuple[str, ...]]
) -> list[ChangedRun]:
    keys = first.index().keys()
    ends = [_last_values(store, each) for store, each in zip((first, second), rows, strict=True)]
    status = [store.index().status[each] for store, each in zip((first, second), rows, strict=True)]
    return [
        ChangedRun(
            keys[rows[0][k]],
            columns,
            (str(status[0][k]), str(status[1][k])),
            (float(ends[0][k]), float(ends[1][k])),
        )
        for k, columns in enumerate(changed)
        if columns
    ]


def _last_values(store: Store, rows: IntArray) -> FloatArray:
    """Validation values after the last epoch (rows,), NaN where it was not measured."""
    curves = store.curves(store.metric.column("valid"))[rows]
    return at_end(curves, store.index().epochs[rows]).astype(np.float64)


def _descriptions(first: Store, second: Store) -> list[str]:
    """Sentences on what is said differently of a dataset or a recipe, or in one store only."""
    said = []
    datasets = [{each.name: each for each in store.datasets} for store in (first, second)]
    for kind, (ours, theirs) in (
        ("dataset", ([*datasets[0]], [*datasets[1]])),
        ("recipe", ([*first.recipes], [*second.recipes])),
    ):
        for which, names in (
            ("first", sorted(set(ours) - set(theirs))),
            ("second", sorted(set(theirs) - set(ours))),
        ):
            if names:
                kinds = kind if len(names) == 1 else f"{kind}s"
                said.append(f"Only the {which} store has {kinds} {', '.join(map(repr, names))}.")
    for name in sorted(datasets[0].keys() & datasets[1].keys()):
        differ = _disagreements(datasets[0][name], datasets[1][name])
        if differ:
            said.append(f"Dataset {name!r} differs: {'; '.join(differ)}.")
    for name in sorted(first.recipes.keys() & second.recipes.keys()):
        if first.recipes[name] != second.recipes[name]:
            said.append(f"Recipe {name!r} is {first.recipes[name]} and {second.recipes[name]}.")
    return said


def _disagreements(first: Dataset, second: Dataset) -> list[str]:
    """What both know of a dataset, with other values; of a hash, the beginning is enough."""
    ours, theirs = dataclasses.asdict(first), dataclasses.asdict(second)
    for each in (ours, theirs):
        each["sha256"] = each["sha256"][:12]
    return [
        f"{name} {ours[name]!r} and {theirs[name]!r}"
        for name in ours
        if ours[name] and theirs[name] and ours[name] != theirs[name]
    ]


# -- as text -------------------------------------------------------------------------------------


def diff_text(found: StoreDiff) -> str:
    """A row a dataset, what is described differently, and runs that came out differently.

    >>> print(diff_text(StoreDiff((), (DatasetDiff("digits", 1, 2, 3, 0, 0),), ())))
    runs    only in first  only in second  the same  other seconds  other results
    digits              1               2         3              0              0
    """
    header = ("runs", "only in first", "only in second", "the same", "other seconds")
    rows = [[*header, "other results"]]
    for each in found.datasets:
        counts = (each.only_first, each.only_second, each.same, each.other_seconds, each.changed)
        rows.append([each.dataset, *(f"{count:,}" for count in counts)])
    lines = aligned(rows) if found.datasets else ["Neither store has a run."]
    if found.descriptions:
        lines += ["", *(line for said in found.descriptions for line in wrapped(said, WIDTH))]
    if found.changed:
        lines += ["", *(line for run in found.changed[:SHOWN] for line in _changed(run))]
        left = len(found.changed) - SHOWN
        lines += [f"(+{plural(left, 'more run')})"] if left > 0 else []
    return "\n".join(lines)


def _changed(run: ChangedRun) -> list[str]:
    first, second = (decimals(value, 4) for value in run.ends)
    values = f"{first} and {second}"
    if run.status != ("ok", "ok"):
        values += f" (status {run.status[0]} and {run.status[1]})"
    said = f"{run.key.dataset}, seed {run.key.seed}: {values}; {', '.join(run.columns)} differ"
    return wrapped(f"{said}; {run.key.architecture}", WIDTH)


def verdict(found: StoreDiff) -> str:
    """One sentence.

    >>> verdict(StoreDiff((), (), ()))
    'The stores hold the same results.'
    """
    if found.equal:
        return "The stores hold the same results."
    counts = (
        (sum(each.only_first for each in found.datasets), "run", "only in the first"),
        (sum(each.only_second for each in found.datasets), "run", "only in the second"),
        (len(found.changed), "run", "with other results"),
        (len(found.descriptions), "difference", "in datasets and recipes"),
    )
    parts = [f"{plural(count, noun)} {what}" for count, noun, what in counts if count]
    return f"The stores differ: {', '.join(parts)}."
