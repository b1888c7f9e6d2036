"""Results of one combination of settings as arrays: what all tables of this track stand on.

Every function takes the tables of ``nassim.studies.results`` (``pyarrow.Table``). Results of
several files may be concatenated; rows of different settings (store, pool, accounting, ...) do not
belong in one table and are told apart by :func:`split_settings`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from nassim.errors import InputError
from nassim.ranking.intervals import bootstrap_interval, grand_mean, standard_error
from nassim.records import FloatArray, IntArray
from nassim.reports.text import duration, plural

__all__ = [
    "LEVEL",
    "BoolArray",
    "Grid",
    "Measure",
    "Pool",
    "Settings",
    "measure_of",
    "nanmean",
    "pool_of",
    "split_settings",
]

BoolArray = NDArray[np.bool_]

LEVEL = 0.95  # of intervals

_COMMANDS = {"termination": "terminate", "search": "search"}
_OWN_SETTINGS: dict[str, tuple[str, ...]] = {"termination": ("optimizer",), "search": ("budget",)}


@dataclass(frozen=True)
class Settings:
    """What the rows of one table have in common."""

    store: str
    store_sha: str
    space: str
    metric: str
    pool: str
    leave_out: str
    quality: str
    source_datasets: int | None
    source_architectures: int | None
    shuffled_sources: bool | None
    runs: str
    seed: int
    workers: int
    accounting: str
    leakage: str
    source: str
    time_unit: str  # of full and simulated "seconds": "seconds", or "epochs" without measured times
    optimizer: str = ""  # of a study of terminators
    budget: int = 0  # candidates that a search may start, of a study of optimizers

    @property
    def unit(self) -> str:
        """Of a regret: percentage points of accuracy, or the metric's own unit."""
        return "pp" if self.metric == "accuracy" else self.metric

    def time(self, amount: float) -> str:
        """An amount of simulated time in words."""
        return (
            duration(amount) if self.time_unit == "seconds" else f"{amount:,.0f} {self.time_unit}"
        )

    @property
    def leaks(self) -> bool:
        """Whether the search saw what a test should have kept."""
        return self.leakage != "none"


@dataclass(frozen=True, eq=False)
class Measure:
    """One quantity of M methods on T targets.

    ``cells`` and ``errors`` (M, T) are mean and standard error over seeds; ``mean``, ``low`` and
    ``high`` (M,) the mean over targets and its bootstrap interval. NaN: not measured.
    """

    cells: FloatArray
    errors: FloatArray
    mean: FloatArray
    low: FloatArray
    high: FloatArray

    def take(self, order: IntArray) -> Measure:
        """The same with the methods in another order."""
        return Measure(*(getattr(self, name)[order] for name in self.__dataclass_fields__))


def split_settings(results: pa.Table) -> list[pa.Table]:
    """The rows of each combination of settings, in the order in which they first appear."""
    names = _setting_columns(results)
    columns = [results.column(name).to_pylist() for name in names]
    rows: dict[tuple[object, ...], list[int]] = {}
    for row, key in enumerate(zip(*columns, strict=True)):
        rows.setdefault(key, []).append(row)
    return [results.take(pa.array(chosen)) for chosen in rows.values()]


class Grid:
    """Rows of one combination of settings as arrays (methods, targets, orders, model seeds).

    ``study`` is the one whose results are expected; None: of terminators or of optimizers.
    """

    def __init__(self, results: pa.Table, study: str | None = "termination") -> None:
        if results.num_rows == 0:
            raise InputError("The results have no rows; run 'nassim terminate' or 'search' first.")
        expected = tuple(_OWN_SETTINGS) if study is None else (study,)
        for found_study in _studies(results):
            if found_study not in expected:
                commands = " or ".join(f"'nassim {_COMMANDS[name]}'" for name in expected)
                raise InputError(
                    f"These are results of study {found_study!r}; expected those of {commands}."
                )
        names = _setting_columns(results)
        values = {}
        for name in names:
            found = list(dict.fromkeys(results.column(name).to_pylist()))
            if len(found) > 1:
                raise InputError(
                    f"The results mix {name} {found[0]!r} and {found[1]!r}, which do not belong "
                    "in one table; tell them apart with split_settings()."
                )
            values[name] = found[0]
        del values["study"]
        stores = dict.fromkeys(results.column("store").to_pylist())
        self.settings = Settings(store=" = ".join(stores), **values)
        self._results = results
        self.methods: tuple[str, ...] = tuple(dict.fromkeys(results.column("method").to_pylist()))
        self.targets: tuple[str, ...] = tuple(sorted(set(results.column("target").to_pylist())))
        self._order_seeds = sorted(set(results.column("order_seed").to_pylist()))
        self._model_seeds = sorted(set(results.column("model_seed").to_pylist()))
        axes = (
            ("method", self.methods),
            ("target", self.targets),
            ("order_seed", self._order_seeds),
            ("model_seed", self._model_seeds),
        )
        places = tuple(
            np.array([{value: at for at, value in enumerate(known)}[v] for v in column])
            for name, known in axes
            for column in [results.column(name).to_pylist()]
        )
        self._rows = np.full([len(known) for _, known in axes], -1)
        self._rows[places] = np.arange(results.num_rows)
        self._refuse_contradictions(places)

    def _refuse_contradictions(self, places: tuple[NDArray[np.intp], ...]) -> None:
        """The same search may stand in two files, but then with the same outcome."""
        kept = self._rows[places]
        for row in np.flatnonzero(kept != np.arange(len(kept))).tolist():
            first, second = (
                self._results.slice(at, 1).drop_columns(["nassim_version"]).to_pylist()[0]
                for at in (row, int(kept[row]))
            )
            different = [name for name in first if not _same(first[name], second[name])]
            if different:
                name = different[0]
                raise InputError(
                    f"Method {first['method']!r} on {first['target']!r}, order "
                    f"{first['order_seed']}, model seed {first['model_seed']} stands twice with "
                    f"different {name} ({first[name]!r} and {second[name]!r}): the files "
                    "come from different --seed or versions; report them one by one."
                )

    def values(self, column: str) -> FloatArray:
        """A column, (methods, targets, orders, model seeds), NaN where there is no row."""
        flat = np.array(self._results.column(column).to_pylist(), np.float64)
        answer: FloatArray = np.where(self._rows >= 0, flat[self._rows], np.nan)
        return answer

    def lists(self, column: str, length: int) -> FloatArray:
        """A column of lists, (methods, targets, orders, model seeds, length).

        A shorter list goes on with its last entry; NaN where there is no row.
        """
        found = self._results.column(column).to_pylist()
        flat = np.array([(row + row[-1:] * length)[:length] for row in found], np.float64)
        answer: FloatArray = np.where(self._rows[..., None] >= 0, flat[self._rows], np.nan)
        return answer

    def measure(
        self, column: str, level: float, seed: int, scale: IntArray | None = None
    ) -> Measure:
        """Means, errors and intervals of a column; ``scale`` (targets,) is multiplied first."""
        values = self.values(column)
        if scale is not None:
            values = values * scale[None, :, None, None]
        return measure_of(values, level, seed)

    def of_target(self, column: str) -> FloatArray:
        """The mean of a column on each target, (targets,)."""
        return np.array([np.nanmean(values) for values in np.moveaxis(self.values(column), 1, 0)])

    def of_method(self, column: str) -> BoolArray:
        """Whether a column holds for each method, (methods,)."""
        holds: BoolArray = np.nanmax(self.values(column), axis=(1, 2, 3)) > 0
        return holds

    @property
    def orders(self) -> IntArray:
        """The most orders on any target, (methods,)."""
        most: IntArray = (self._rows >= 0).any(axis=3).sum(axis=2).max(axis=1)
        return most

    @property
    def model_seeds(self) -> IntArray:
        """The most model seeds on any target, (methods,)."""
        most: IntArray = (self._rows >= 0).any(axis=2).sum(axis=2).max(axis=1)
        return most

    @cached_property
    def elapsed(self) -> FloatArray:
        """When each search ended, in full costs; with one worker, its cost."""
        return self.values("simulated_seconds") / self.values("full_seconds")

    def traces(self, m: int, t: int, costs: FloatArray) -> FloatArray:
        """Regret of the incumbent at each cost, (searches, G), inf before there is one."""
        rows = self._rows[m, t].ravel()
        rows = rows[rows >= 0]
        chosen = self._results.select(["trace_cost", "trace_regret_pp"]).take(pa.array(rows))
        at = chosen.column("trace_cost").to_pylist()
        regrets = chosen.column("trace_regret_pp").to_pylist()
        steps = np.full((len(rows), len(costs)), np.inf)
        for search, (when, regret) in enumerate(zip(at, regrets, strict=True)):
            known = np.searchsorted(when, costs * (1 + 1e-12), side="right")
            steps[search] = np.array([np.inf, *regret])[known]
        return steps

    def row(self, method: str, target: str, order: int | None, model: int | None) -> int:
        """The row of one search."""
        m, t = self.methods.index(method), self.targets.index(target)
        rows = self._rows[m, t]
        if order is not None:
            rows = rows[[o == order for o in self._order_seeds]]
        if model is not None:
            rows = rows[:, [k == model for k in self._model_seeds]]
        rows = rows[rows >= 0]
        if not len(rows):
            raise InputError(
                f"The results of {method!r} on {target!r} have no order {order} with model seed "
                f"{model}; they have {plural(int(self.orders[m]), 'order')} and "
                f"{plural(int(self.model_seeds[m]), 'model seed')}."
            )
        return int(rows[0])


@dataclass(frozen=True, eq=False)
class Pool:
    """The candidates of one target."""

    architectures: list[str]
    quality: FloatArray
    full_seconds: FloatArray
    curves: list[list[float]]


def pool_of(pool: pa.Table, results: pa.Table, target: str) -> Pool:
    """The candidates of a target that the results were made with.

    Pools of several files may stand below each other; the right one has as many candidates, and
    every pick with its regret.
    """
    columns = ["candidates", "pick", "regret_valid_pp"]
    rows = results.filter(pc.field("target") == target).select(columns).to_pydict()
    scale = 100.0 if results.column("metric")[0].as_py() == "accuracy" else 1.0
    names = pool.column("target").to_pylist()
    numbers = pool.column("candidate").to_pylist()
    starts = [row for row, number in enumerate(numbers) if number == 0 and names[row] == target]
    for start in starts:
        length = next(
            (k for k, number in enumerate(numbers[start:]) if number != k), len(numbers) - start
        )
        if length != rows["candidates"][0]:
            continue
        block = pool.slice(start, length)
        architectures = block.column("architecture").to_pylist()
        quality = np.array(block.column("quality").to_pylist(), np.float64)
        regret = dict(zip(architectures, (scale * (quality.max() - quality)).tolist(), strict=True))
        if all(
            math.isclose(regret.get(pick, math.inf), found, rel_tol=1e-6, abs_tol=1e-9)
            for pick, found in zip(rows["pick"], rows["regret_valid_pp"], strict=True)
        ):
            return Pool(
                architectures,
                quality,
                np.array(block.column("full_seconds").to_pylist(), np.float64),
                block.column("valid").to_pylist(),
            )
    raise InputError(
        f"The pool has no {rows['candidates'][0]} candidates of {target!r} with the picks of these "
        "results; expected the .pool.parquet that was written with them."
    )


def _studies(results: pa.Table) -> set[str]:
    if "study" not in results.schema.names:
        raise InputError("The results have no column 'study'; expected a results table.")
    return set(results.column("study").to_pylist())


def _setting_columns(results: pa.Table) -> list[str]:
    """Columns that must agree within one table; the store goes by its content, not its name."""
    own = {name for study in _studies(results) for name in _OWN_SETTINGS.get(study, ())}
    others = {name for columns in _OWN_SETTINGS.values() for name in columns} - own
    names = [name for name in Settings.__dataclass_fields__ if name not in {"store", *others}]
    for name in names:
        if name not in results.schema.names:
            raise InputError(f"The results have no column {name!r}; expected a results table.")
    return ["study", *names]


def measure_of(values: FloatArray, level: float, seed: int) -> Measure:
    """Of an array (methods, targets, orders, model seeds)."""
    intervals = [
        bootstrap_interval([_trimmed(cell) for cell in row], level=level, seed=seed)
        for row in values
    ]
    ends = np.array(intervals, np.float64).reshape(len(values), 2)
    return Measure(
        cells=nanmean(values.reshape(*values.shape[:2], math.prod(values.shape[2:])), axis=-1),
        errors=np.array(
            [[standard_error(_trimmed(cell)) for cell in row] for row in values]
        ).reshape(values.shape[:2]),
        mean=np.array([grand_mean(list(row)) for row in values]),
        low=ends[:, 0],
        high=ends[:, 1],
    )


def _trimmed(cell: FloatArray) -> FloatArray:
    """Without orders and model seeds that have no value at all."""
    kept = ~np.isnan(cell)
    trimmed: FloatArray = cell[kept.any(axis=1)][:, kept.any(axis=0)]
    return trimmed if trimmed.size else np.full((1, 1), np.nan)


def nanmean(values: FloatArray, axis: int) -> FloatArray:
    """Mean without NaN; NaN, and no warning, where there is nothing else."""
    kept = ~np.isnan(values)
    sums, counts = np.where(kept, values, 0.0).sum(axis=axis), kept.sum(axis=axis)
    with np.errstate(invalid="ignore"):
        means: FloatArray = sums / counts
    return means


def _same(one: object, other: object) -> bool:
    return one == other or (one != one and other != other)
