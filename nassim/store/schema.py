"""The columns of a store, and the door through which runs enter it.

One row is one training run; a curve is a list of float32, one entry per epoch. An empty list
means that the quantity was never measured in this run; NaN, that it was not at that epoch.
"""

from __future__ import annotations

import hashlib
import itertools
import json
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from nassim.errors import DuplicateKeyError, InputError, StoreError
from nassim.records import STATUSES, Metric, Run, RunKey
from nassim.spaces import SPACES, get_space

__all__ = [
    "KEY_COLUMNS",
    "SCHEMA_VERSION",
    "SPLITS",
    "curve_columns",
    "digest",
    "fill",
    "list_parts",
    "runs_schema",
    "texts",
    "to_array",
    "to_runs",
    "to_table",
]

SCHEMA_VERSION = 1
KEY_COLUMNS = ("space", "architecture", "dataset", "recipe", "seed")
SPLITS = ("train", "valid", "test", "merged")
SECONDS = ("epoch_seconds", "evaluation_seconds")
TEXT_COLUMNS = (
    "space",
    "architecture",
    "canonical_id",
    "dataset",
    "recipe",
    "status",
    "reason",
    "device",
    "hardware",
    "versions",
    "created_at",
)

_LARGEST = {"seed": 2**63 - 1, "epochs": 2**31 - 1, "n_params": 2**63 - 1, "flops": 2**63 - 1}


def curve_columns(metric: Metric) -> tuple[str, ...]:
    """The list columns of a store, in the order of the schema.

    >>> from nassim.records import ACCURACY
    >>> curve_columns(ACCURACY)[:3]
    ('train_loss', 'train_accuracy', 'valid_accuracy')
    """
    return ("train_loss", *(metric.column(split) for split in SPLITS), *SECONDS)


def runs_schema(metric: Metric) -> pa.Schema:
    """The Arrow schema of a shard; no column has nulls."""
    curve = pa.list_(pa.field("element", pa.float32(), nullable=False))
    columns: list[tuple[str, pa.DataType]] = [
        ("space", pa.string()),
        ("architecture", pa.string()),
        ("canonical_id", pa.string()),
        ("dataset", pa.string()),
        ("recipe", pa.string()),
        ("seed", pa.int64()),
        ("status", pa.string()),
        ("reason", pa.string()),
        ("epochs", pa.int32()),
        *((name, curve) for name in curve_columns(metric)),
        ("n_params", pa.int64()),
        ("flops", pa.int64()),
        ("device", pa.string()),
        ("hardware", pa.string()),
        ("versions", pa.string()),
        ("created_at", pa.string()),
    ]
    return pa.schema([pa.field(name, kind, nullable=False) for name, kind in columns])


# --- from runs to a table -------------------------------------------------------------------


def to_table(runs: Sequence[Run], metric: Metric) -> pa.Table:
    """The table of these runs in canonical order (by key), every value checked.

    An empty ``canonical_id`` is filled in: by the space where it is one of nassim's, else with
    the architecture itself.

    Raises
    ------
    InputError
        if a value is not what the schema asks for; names run, column, epoch and value.
    DuplicateKeyError
        if two of the runs share a key.
    """
    for run in runs:
        _check_scalars(run)
    _check_duplicates(runs)
    runs = sorted(runs, key=lambda run: run.key)
    canonical_ids = _canonical_ids(runs)

    curves: dict[str, tuple[NDArray[np.int32], NDArray[np.float32]]] = {}
    for column in curve_columns(metric):
        curves[column] = _joined(runs, column, metric)
        _check_values(runs, column, *curves[column], metric)
    _check_measured(runs, curves, metric)

    arrays = []
    for field in runs_schema(metric):
        if field.name in curves:
            offsets, values = curves[field.name]
            array = pa.ListArray.from_arrays(
                to_array(offsets, pa.int32()), to_array(values, pa.float32()), type=field.type
            )
        elif field.name == "canonical_id":
            array = to_array(canonical_ids, field.type)
        else:
            array = to_array([getattr(run, field.name) for run in runs], field.type)
        arrays.append(array)
    return pa.Table.from_arrays(arrays, schema=runs_schema(metric))


def _check_scalars(run: Run) -> None:
    for name in TEXT_COLUMNS:
        text = getattr(run, name)
        if not isinstance(text, str):
            raise InputError(f"{_name(run)}: {name} is {text!r}; expected text.")
        if name in KEY_COLUMNS and not text:
            raise InputError(f"{_name(run)}: {name} is empty; expected a name.")
        try:
            text.encode()
        except UnicodeEncodeError as error:
            raise InputError(f"{_name(run)}: {name} {text!r} is not valid Unicode text.") from error
    for name, largest in _LARGEST.items():
        value = getattr(run, name)
        if isinstance(value, bool) or not isinstance(value, (int, np.integer)):
            raise InputError(f"{_name(run)}: {name} is {value!r}; expected an integer.")
        smallest = -largest - 1 if name == "seed" else 0
        if not smallest <= value <= largest:
            raise InputError(f"{_name(run)}: {name} is {value}; expected {smallest} to {largest}.")
    for split in run.scores:
        if split not in SPLITS:
            raise InputError(
                f"{_name(run)}: scores name the split {split!r}; expected {', '.join(SPLITS)}."
            )
    if run.status == "ok" and run.epochs == 0:
        raise InputError(
            f"{_name(run)}: status is 'ok' but it has 0 epochs; expected at least one, "
            f"or one of {', '.join(STATUSES[1:])} as its status."
        )
    if run.status != "ok" and not run.reason:
        raise InputError(
            f"{_name(run)}: status is {run.status!r} without a reason; say in reason why it ended."
        )


def _check_duplicates(runs: Sequence[Run]) -> None:
    seen: dict[RunKey, int] = {}
    for position, run in enumerate(runs):
        first = seen.setdefault(run.key, position)
        if first != position:
            raise DuplicateKeyError(
                f"{_name(run)} is given twice, as entries {first} and {position}; a key names "
                "one run: drop one, or give it another seed."
            )


def _canonical_ids(runs: Sequence[Run]) -> list[str]:
    known: dict[tuple[str, str], str] = {}
    for run in runs:
        point = (run.space, run.architecture)
        if point not in known:
            try:
                known[point] = canonical_id(*point) or run.canonical_id or run.architecture
            except InputError as error:
                raise InputError(f"{_name(run)}: {error}") from error
        if run.canonical_id not in ("", known[point]):
            raise InputError(
                f"{_name(run)}: canonical_id is {run.canonical_id!r}; "
                f"expected {known[point]!r}, or empty to have it filled in."
            )
    return [known[run.space, run.architecture] for run in runs]


def canonical_id(space: str, architecture: str) -> str:
    """The canonical id that the space gives, or ``""`` where the space has no say."""
    if space == "table" or space not in SPACES:
        return ""
    return get_space(space).parse(architecture).canonical_id


def _joined(
    runs: Sequence[Run], column: str, metric: Metric
) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """Offsets ``(runs + 1,)`` and the values of all runs end to end."""
    splits = {metric.column(split): split for split in SPLITS}
    curves: list[NDArray[np.float32]] = []
    for run in runs:
        found = run.scores.get(splits[column], ()) if column in splits else getattr(run, column)
        curve = np.asarray(found)
        if curve.size and curve.dtype.kind not in "fiu":
            raise InputError(
                f"{_name(run)}: {column} holds {curve.ravel().tolist()[0]!r}; expected numbers."
            )
        if curve.size and curve.shape != (run.epochs,):
            shape = len(curve) if curve.ndim == 1 else curve.shape
            raise InputError(
                f"{_name(run)}: {column} has {shape} entries; expected {run.epochs}, one an "
                "epoch (NaN where not measured), or none at all."
            )
        with np.errstate(over="ignore"):  # too large for float32: refused below as infinite
            curves.append(curve.astype(np.float32).ravel())
    offsets = np.zeros(len(runs) + 1, np.int64)
    np.cumsum([len(curve) for curve in curves], out=offsets[1:])
    if offsets[-1] > np.iinfo(np.int32).max:
        raise InputError(
            f"{offsets[-1]} values of {column} at once; append at most 2**31 - 1, in parts."
        )
    values = np.concatenate([*curves, np.zeros(0, np.float32)])
    values += np.float32(0.0)  # -0.0 becomes 0.0, so that equal runs are the same bytes
    values[np.isnan(values)] = np.nan  # and all NaN are one
    return offsets.astype(np.int32), values


def _check_values(
    runs: Sequence[Run],
    column: str,
    offsets: NDArray[np.int32],
    values: NDArray[np.float32],
    metric: Metric,
) -> None:
    for at, fault in range_faults(column, values, metric):
        row = int(np.searchsorted(offsets, at, side="right")) - 1
        epoch = at - int(offsets[row]) + 1
        raise InputError(f"{_name(runs[row])}: {column} at epoch {epoch} is {fault}")


def range_faults(
    column: str, values: NDArray[np.float32], metric: Metric
) -> Iterator[tuple[int, str]]:
    """Positions of values out of range, and what to say of them. NaN is always in range."""
    infinite = np.flatnonzero(np.isinf(values))
    for at in infinite:
        yield int(at), f"{values[at]}; expected a finite float32, or NaN where not measured."
    if column in SECONDS:
        low, high = 0.0, np.inf
        outside = values <= 0 if column == "epoch_seconds" else values < 0
        expected = "above 0" if column == "epoch_seconds" else "0 or more"
        way_out = f"{expected} seconds, or NaN where not measured"
    elif column == "train_loss":
        return
    else:
        low, high = metric.bounds
        outside = (values < low) | (values > high)
        way_out = f"{low:g} to {high:g}"
        if (low, high) == (0.0, 1.0) and np.any((values > 1) & (values <= 100)):
            way_out += "; it looks like a percentage: divide by 100 to store a share"
    for at in np.flatnonzero(outside & np.isfinite(values)):
        yield int(at), f"{values[at]:g}; expected {way_out}."


def _check_measured(
    runs: Sequence[Run],
    curves: dict[str, tuple[NDArray[np.int32], NDArray[np.float32]]],
    metric: Metric,
) -> None:
    """A run that ended well has something to show for it."""
    measured = np.zeros(len(runs), bool)
    for split in ("valid", "test", "merged"):
        measured |= has_finite(*curves[metric.column(split)])
    for run, shown in zip(runs, measured, strict=True):
        if run.status == "ok" and not shown:
            raise InputError(
                f"{_name(run)}: status is 'ok' but no epoch has a valid, test or merged "
                f"{metric.name}; expected at least one, or another status."
            )


def has_finite(offsets: NDArray[np.int32], values: NDArray[np.float32]) -> NDArray[np.bool_]:
    """For each list, whether any of its values is finite. Shape ``(lists,)``."""
    counts = np.zeros(len(values) + 1, np.int64)
    np.cumsum(np.isfinite(values), out=counts[1:])
    return counts[offsets[1:]] > counts[offsets[:-1]]


def _name(run: Run) -> str:
    return (
        f"Run (space {run.space!r}, architecture {run.architecture!r}, dataset {run.dataset!r}, "
        f"recipe {run.recipe!r}, seed {run.seed!r})"
    )


def to_array(values: Sequence[Any] | NDArray[Any], kind: pa.DataType) -> pa.Array:
    """Texts or numbers as an Arrow array, through its buffers: ``pa.array`` imports pandas."""
    if kind == pa.string():
        encoded = [value.encode() for value in values]
        offsets = np.cumsum([0, *(len(text) for text in encoded)])
        if offsets[-1] > np.iinfo(np.int32).max:
            raise InputError("More than 2 GiB of text at once; append the runs in parts.")
        buffers = [pa.py_buffer(offsets.astype(np.int32)), pa.py_buffer(b"".join(encoded))]
    else:
        width = "f4" if kind == pa.float32() else f"i{kind.bit_width // 8}"
        buffers = [pa.py_buffer(np.ascontiguousarray(values, width))]
    return pa.Array.from_buffers(kind, len(values), [None, *buffers])


# --- from a table to numbers and runs -------------------------------------------------------


def list_parts(array: pa.ListArray) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """Offsets ``(lists + 1,)`` from 0 and the values of a list array, without a copy.

    Through the buffers, since ``to_numpy`` would import pandas. A slice is respected.
    """
    if array.null_count or array.values.null_count:
        raise StoreError("A curve column has nulls; expected lists of numbers, empty or NaN.")
    if len(array) == 0:
        return np.zeros(1, np.int32), np.zeros(0, np.float32)
    offsets = np.frombuffer(array.buffers()[1], np.int32)[array.offset :][: len(array) + 1]
    start, stop = int(offsets[0]), int(offsets[-1])
    if start == stop:
        return offsets - offsets[0], np.zeros(0, np.float32)
    child = array.values
    values = np.frombuffer(child.buffers()[1], np.float32)[child.offset :][start:stop]
    return (offsets - offsets[0] if start else offsets), values


def fill(block: NDArray[np.float32], array: pa.ListArray) -> None:
    """Write lists into the rows of ``block`` ``(lists, width)``, NaN past their ends.

    Raises
    ------
    StoreError
        if a list is longer than the block is wide.
    """
    offsets, values = list_parts(array)
    rows, width = block.shape
    if values.size == rows * width and np.all(np.diff(offsets) == width):
        block[:] = values.reshape(rows, width)
        return
    lengths = np.diff(offsets)
    if lengths.size and lengths.max() > width:
        raise StoreError(
            f"A curve has {lengths.max()} entries where its runs have at most {width} epochs; "
            "'nassim verify' lists the faults."
        )
    block[:] = np.nan
    block[np.arange(width) < lengths[:, None]] = values


def texts(column: pa.ChunkedArray) -> NDArray[np.object_]:
    """A column of (dictionary-encoded) text as an array of ``str`` objects."""
    parts = [np.zeros(0, object)]
    for chunk in column.chunks:
        if chunk.null_count:
            raise StoreError("A text column has nulls; expected text, possibly empty.")
        encoded = pa.types.is_dictionary(chunk.type)
        try:
            words = np.array((chunk.dictionary if encoded else chunk).to_pylist(), object)
            parts.append(words[numbers(chunk.indices)] if encoded else words)
        except (UnicodeDecodeError, IndexError) as error:
            raise StoreError("A text column is damaged; 'nassim verify' lists faults.") from error
    return np.concatenate(parts)


def numbers(array: pa.Array | pa.ChunkedArray) -> NDArray[Any]:
    """An integer column as a numpy array, through its buffers."""
    if isinstance(array, pa.ChunkedArray):
        parts = [numbers(chunk) for chunk in array.chunks]
        return np.concatenate(parts) if parts else np.zeros(0, array.type.to_pandas_dtype())
    if array.null_count:
        raise StoreError("An integer column has nulls; expected integers.")
    sign = "i" if pa.types.is_signed_integer(array.type) else "u"
    kind = np.dtype(f"{sign}{array.type.bit_width // 8}")
    if len(array) == 0:
        return np.zeros(0, kind)
    return np.frombuffer(array.buffers()[1], kind)[array.offset :][: len(array)]


def to_runs(table: pa.Table, metric: Metric) -> list[Run]:
    """The runs of a table, in its order. Curves are read-only views of the table.

    A score that was never measured is absent from ``Run.scores``.
    """
    table = table.combine_chunks()
    columns: dict[str, list[Any]] = {}
    for field in runs_schema(metric):
        column = table.column(field.name)
        if field.name in TEXT_COLUMNS:
            columns[field.name] = texts(column).tolist()
        elif pa.types.is_list(field.type):
            columns[field.name] = [curve for chunk in column.chunks for curve in _split(chunk)]
        else:
            columns[field.name] = numbers(column).tolist()
    scores = [
        {split: curve for split, curve in zip(SPLITS, curves, strict=True) if len(curve)}
        for curves in zip(*(columns.pop(metric.column(split)) for split in SPLITS), strict=True)
    ]
    rows = zip(*columns.values(), strict=True)
    return [
        Run(**dict(zip(columns, row, strict=True)), scores=score)
        for row, score in zip(rows, scores, strict=True)
    ]


def _split(array: pa.ListArray) -> list[NDArray[np.float32]]:
    offsets, values = list_parts(array)
    return [values[start:stop] for start, stop in itertools.pairwise(offsets)]


def digest(runs: Sequence[Run]) -> int:
    """A number below 2**256 that stands for this set of runs, whatever their order.

    The sum of the SHA-256 of each run modulo 2**256: parts of a store add up to the whole, so
    the identity of a store depends neither on its shards nor on the order of appending.
    """
    total = 0
    for run in runs:
        texts_and_counts = {
            name: getattr(run, name)
            for name in (*TEXT_COLUMNS, "seed", "epochs", "n_params", "flops")
        }
        row = hashlib.sha256(json.dumps(texts_and_counts).encode())
        curves = [("train_loss", run.train_loss)]
        curves += [(split, run.scores[split]) for split in SPLITS if split in run.scores]
        curves += [(name, getattr(run, name)) for name in SECONDS]
        for name, curve in curves:
            row.update(f"\n{name} {len(curve)}\n".encode())
            row.update(np.ascontiguousarray(curve, "<f4").data)
        total += int.from_bytes(row.digest(), "big")
    return total % 2**256
