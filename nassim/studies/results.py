"""The results table: one row for each method x target x seed. Reports read nothing else.

Three Parquet files stand beside each other: ``results.parquet`` (this schema; the same bytes on
every machine for the same seed and store), ``results.pool.parquet`` (the candidates of each target
with their curves, for drawing) and ``results.timings.parquet`` (the real seconds of the methods'
own computing, which differ from run to run).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from nassim.errors import InputError
from nassim.writing import write_whole

__all__ = [
    "POOL_SCHEMA",
    "RESULTS_SCHEMA",
    "SEARCH_SCHEMA",
    "TIMINGS_SCHEMA",
    "Study",
    "companion",
    "read_study",
    "read_table",
    "study_kind",
    "to_table",
    "write_table",
]

# Columns that files of earlier versions do not have; there they are null.
LATER = ("source_datasets", "source_architectures", "shuffled_sources", "given")

_KEYS = [
    ("target", pa.string()),
    ("method", pa.string()),
    ("order_seed", pa.int32()),
    ("model_seed", pa.int32()),
]

_STAMP = [
    ("study", pa.string()),  # termination | search | oneshot
    ("store", pa.string()),
    ("store_sha", pa.string()),
    ("space", pa.string()),
    ("metric", pa.string()),
    ("pool", pa.string()),  # disjoint | shared | all
    ("leave_out", pa.string()),  # dataset | group
    ("quality", pa.string()),  # max | final: what a run is worth
    ("source_datasets", pa.int32()),  # drawn of each fold's; null: all
    ("source_architectures", pa.int32()),  # drawn of each source; null: all
    ("shuffled_sources", pa.bool_()),  # results exchanged among architectures
    ("runs", pa.string()),  # drawn | first: which training seed is replayed
    ("seed", pa.int64()),  # of the study: orders and fits come from it
]

RESULTS_SCHEMA = pa.schema(
    [
        *_STAMP,
        *_KEYS,
        ("optimizer", pa.string()),
        ("options", pa.string()),  # JSON, the method's options that were given
        ("learns", pa.bool_()),  # from the other datasets
        ("workers", pa.int32()),  # simulated
        ("accounting", pa.string()),  # continue | restart
        ("candidates", pa.int32()),
        ("regret_valid_pp", pa.float64()),  # percentage points; the metric's unit if unbounded
        ("regret_test_pp", pa.float64()),  # NaN where the test was not measured
        ("random_regret_pp", pa.float64()),  # full trainings in the same order at the same cost
        ("cost_fraction", pa.float64()),  # of training every candidate fully
        ("time_unit", pa.string()),  # of the next two: seconds, or epochs where none were measured
        ("simulated_seconds", pa.float64()),  # on the virtual clock
        ("full_seconds", pa.float64()),  # of training every candidate fully, one after the other
        ("epochs_charged", pa.int64()),
        ("started", pa.int32()),  # runs that were trained at all, or refused at epoch 0
        ("evaluations", pa.int32()),  # runs that were trained to their end
        ("killed_best", pa.bool_()),  # the best candidate was not trained to its end
        ("pick", pa.string()),
        ("leakage", pa.string()),  # none | merged | test-seen
        ("source", pa.string()),  # tabular | surrogate (R2, tau)
        ("nassim_version", pa.string()),
        # anytime curve: after trace_cost[k] x full_seconds on the virtual clock, the incumbent's
        # regret is trace_regret_pp[k]; before the first entry there is no incumbent. With one
        # simulated worker this is the share of the full cost that has been spent.
        ("trace_cost", pa.list_(pa.float64())),
        ("trace_regret_pp", pa.list_(pa.float64())),
        # epochs trained of each candidate, in the order of the pool file
        ("epochs_trained", pa.list_(pa.int32())),
    ]
)

SEARCH_SCHEMA = pa.schema(
    [
        *_STAMP,
        *_KEYS,
        ("optimizer", pa.string()),
        ("terminator", pa.string()),
        ("options", pa.string()),  # JSON, the optimizer's options that were given
        ("learns", pa.bool_()),  # from the other datasets
        ("workers", pa.int32()),  # simulated
        ("accounting", pa.string()),  # continue | restart
        ("budget", pa.int32()),  # candidates that may be started
        ("candidates", pa.int32()),  # 0 where the whole space is searched, on a surrogate
        ("regret_valid_pp", pa.float64()),  # percentage points; the metric's unit if unbounded
        ("regret_test_pp", pa.float64()),  # NaN where the test was not measured
        # of training every candidate fully; on a surrogate, of ``budget`` mean trainings
        ("cost_fraction", pa.float64()),
        ("time_unit", pa.string()),  # of the seconds: seconds, or epochs where none were measured
        ("simulated_seconds", pa.float64()),  # on the virtual clock
        ("full_seconds", pa.float64()),  # of training every candidate fully, one after the other
        ("epochs_charged", pa.int64()),
        ("started", pa.int32()),
        ("evaluations", pa.int32()),  # runs that were trained to their end
        ("pick", pa.string()),
        ("leakage", pa.string()),  # none | merged | test-seen
        ("source", pa.string()),  # tabular | surrogate
        ("surrogate_r2", pa.float64()),  # held out, of the target's; null for a table
        ("surrogate_tau", pa.float64()),
        ("nassim_version", pa.string()),
        # [k - 1]: of the best of the first k candidates that were started; before one of them was
        # trained to its end, the mean regret of a guess
        ("regret_at_pp", pa.list_(pa.float64())),
        ("test_regret_at_pp", pa.list_(pa.float64())),
        ("trace_cost", pa.list_(pa.float64())),  # the anytime curve, as above
        ("trace_regret_pp", pa.list_(pa.float64())),
        ("proposed", pa.list_(pa.int32())),  # numbers of the pool file, as they were started
        ("notes", pa.string()),  # JSON, what the optimizer noted of its search
    ]
)

POOL_SCHEMA = pa.schema(
    [
        ("target", pa.string()),
        ("candidate", pa.int32()),
        ("architecture", pa.string()),
        ("quality", pa.float64()),  # higher is better
        ("full_seconds", pa.float64()),
        ("n_params", pa.int64()),
        ("valid", pa.list_(pa.float64())),  # higher is better, of the first recorded run
    ]
)

TIMINGS_SCHEMA = pa.schema(
    [*_KEYS[:2], _KEYS[3], ("fit_seconds", pa.float64()), ("search_seconds", pa.float64())]
)


@dataclass(frozen=True, eq=False)
class Study:
    """A finished comparison: its three tables."""

    results: pa.Table
    pool: pa.Table
    timings: pa.Table

    @property
    def kind(self) -> str:
        """``termination`` or ``search``."""
        return "search" if "terminator" in self.results.schema.names else "termination"

    def write(self, path: str | Path) -> list[Path]:
        """Write the three files and return their paths; each appears whole or not at all."""
        return [
            write_table(table, target)
            for table, target in (
                (self.pool, companion(path, "pool")),
                (self.timings, companion(path, "timings")),
                (self.results, path),
            )
        ]


def write_table(table: pa.Table, path: str | Path) -> Path:
    """Write one file, which appears whole or not at all, and return its path.

    Raises
    ------
    InputError
        if it cannot be written.
    """
    path = Path(path)
    payload = pa.BufferOutputStream()
    pq.write_table(table, payload, compression="zstd")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, memoryview(payload.getvalue()))
    except OSError as error:
        raise InputError(
            f"Results cannot be written to {str(path)!r} ({error.strerror}); "
            "name another place with --out."
        ) from error
    return path


def companion(path: str | Path, kind: str) -> Path:
    """The file beside a results file.

    >>> companion("out/results.parquet", "pool").as_posix()
    'out/results.pool.parquet'
    """
    path = Path(path)
    return path.with_name(f"{path.stem}.{kind}.parquet")


def read_study(path: str | Path) -> Study:
    """Read the three files of a study of terminators or of optimizers.

    Raises
    ------
    InputError
        if a file is missing, is no Parquet, or is no results table.
    """
    path = Path(path)
    schema = SEARCH_SCHEMA if study_kind(path) == "search" else RESULTS_SCHEMA
    return Study(
        read_table(path, schema),
        read_table(companion(path, "pool"), POOL_SCHEMA),
        read_table(companion(path, "timings"), TIMINGS_SCHEMA),
    )


def study_kind(path: str | Path) -> str | None:
    """Which study wrote a file (``termination``, ``search``, ``rank``); None where it is not known,
    or nothing can be read."""
    try:
        first = pq.ParquetFile(path).read(columns=["study"]).column("study")
    except (pa.ArrowException, OSError, KeyError):
        return None
    return str(first[0].as_py()) if len(first) else None


def to_table(rows: list[dict[str, Any]], schema: pa.Schema) -> pa.Table:
    """Rows as a table of exactly this schema."""
    columns = {name: [row[name] for row in rows] for name in schema.names}
    return pa.table([pa.array(columns[field.name], field.type) for field in schema], schema=schema)


def read_table(path: str | Path, schema: pa.Schema) -> pa.Table:
    """Read one file of results; columns that are not of the schema are passed over, and those of
    ``LATER`` that are missing are null.

    Raises
    ------
    InputError
        if the file is missing, is no Parquet, or lacks a column.
    """
    path = Path(path)
    try:
        table = pq.ParquetFile(path).read()
    except FileNotFoundError as error:
        raise InputError(
            f"There is no file {str(path)!r}; expected what 'nassim terminate --out' or another "
            "study wrote."
        ) from error
    except (pa.ArrowException, OSError) as error:
        raise InputError(f"{str(path)!r} is no Parquet file that can be read ({error}).") from error
    missing = [name for name in schema.names if name not in table.schema.names]
    for name in LATER:
        if name in missing:
            missing.remove(name)
            table = table.append_column(name, pa.nulls(len(table), schema.field(name).type))
    if missing:
        raise InputError(
            f"{str(path)!r} is no results table of nassim: column {missing[0]!r} is missing."
        )
    return table.select(schema.names).cast(schema)
