"""Any table of learning curves: CSV or Parquet, one row an epoch or one row a run.

Our columns (all others are left out, and named in the report):

=================  ==================================================================
dataset            what was trained on
architecture       what was trained; in space ``table`` any text
epoch              from 1 (only where a row is an epoch)
valid_accuracy     shares in [0, 1]; also ``train_``, ``test_`` and ``merged_accuracy``
train_loss         any finite number
seconds            above 0: of this epoch, or of the whole run where a row is a run
seed               an integer, 0 if there is no such column
n_params, flops    whole numbers
space, recipe      texts, ``table`` if there is no such column
status, reason     ``ok``, ``diverged``, ``oom``, ``timeout``, ``error``, and why
group              datasets of one group are related
=================  ==================================================================

Three shapes are read. **Long**: a row is an epoch, there is a column ``epoch``. **Wide**: a row
is a run, its epochs are columns (``wide={"valid_accuracy": "acc_{epoch}"}``). **Final**: a row
is a run of which only the end was kept (``set={"epoch": 200}``); the epochs before are NaN.
Where a row is a run, a plain score column is what was measured after the run's last epoch.

Rows are numbered as a spreadsheet shows them: the header of a CSV file is row 1. In a Parquet
file, which has no header row, the first row is row 1.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet as pq
from numpy.typing import NDArray

from nassim.errors import DuplicateKeyError, InputError, unknown_name
from nassim.records import ACCURACY, STATUSES, Dataset, Metric, Run
from nassim.spaces import SPACES, get_space
from nassim.store.importers.base import Imported, Split, one_line

__all__ = ["METRICS", "read"]

METRICS = {
    "accuracy": ACCURACY,
    "error": Metric("error", higher_is_better=False, bounds=(0.0, 1.0)),
    "perplexity": Metric("perplexity", higher_is_better=False, bounds=(0.0, np.inf)),
}
SPLITS = ("train", "valid", "test", "merged")
LABELS = ("dataset", "architecture", "space", "recipe", "status", "reason", "group")
COUNTS = ("seed", "n_params", "flops")
DEFAULTS = {"space": "table", "recipe": "table", "status": "ok"}
NOT_MEASURED = ("", "-", "nan", "na", "n/a", "null", "none")  # in any case
EPOCH_ZERO = ("refuse", "first", "untrained")
MOST_EPOCHS = 100_000
MOST_VALUES = 2**31 - 1  # of one curve over all runs


def read(
    path: str | Path,
    *,
    map: Mapping[str, str] | None = None,
    wide: Mapping[str, str] | None = None,
    pattern: str | None = None,
    set: Mapping[str, object] | None = None,
    key: Sequence[str] = (),
    scale: float = 1.0,
    metric: str = "accuracy",
    epoch_zero: str = "refuse",
) -> Imported:
    """Read a table; the options are called as on the command line.

    Parameters
    ----------
    path
        a ``.csv`` (also ``.csv.gz``, ``.tsv``) or Parquet file.
    map
        our column -> theirs, where a name differs (``--map theirs=ours``).
    wide
        our curve -> the pattern of their columns: ``{"valid_accuracy": "acc_{epoch}"}``.
    pattern
        short for ``wide={"valid_accuracy": pattern}``.
    set
        our column -> a constant, where the file lacks the column (``--set dataset=cifar10``).
        ``epoch`` says after which epoch the rows of a final table were measured.
    key
        their columns that belong to a candidate (``lr``): each is appended to the
        architecture's text as ``lr=0.001``. Space ``table`` only.
    scale
        scores are multiplied by this: 0.01 turns percentages into shares.
    metric
        ``accuracy``, ``error`` (shares) or ``perplexity``; names the curve columns.
    epoch_zero
        what an epoch 0 is: ``refuse`` it, the ``first`` epoch (theirs count from 0, ours from
        1), or the ``untrained`` network (left out).

    Raises
    ------
    InputError
        for anything that is not as described; names the file, row, column and value.
    DuplicateKeyError
        if two rows say the same of the same run.
    """
    if metric not in METRICS:
        raise unknown_name("metric", metric, METRICS)
    options = _Options(
        METRICS[metric],
        dict(map or {}),
        dict(wide or {}),
        {ours: str(value) for ours, value in (set or {}).items()},
        (key,) if isinstance(key, str) else tuple(key),
        scale,
        epoch_zero,
    )
    if pattern is not None:
        valid = options.metric.column("valid")
        if valid in options.wide:
            raise InputError(
                f"Both --pattern {pattern} and --wide {valid}={options.wide[valid]} are given; "
                "give one."
            )
        options = replace(options, wide={valid: pattern, **options.wide})
    options.check()
    table = _Table(_open(Path(path)), options)
    return _long(table) if options.shape == "long" else _one_row_a_run(table)


@dataclass(frozen=True)
class _Options:
    metric: Metric
    map: dict[str, str]
    wide: dict[str, str]
    set: dict[str, str]
    key: tuple[str, ...]
    scale: float
    epoch_zero: str

    @property
    def scores(self) -> dict[str, str]:
        """Our score column -> split."""
        return {self.metric.column(split): split for split in SPLITS}

    @property
    def curves(self) -> tuple[str, ...]:
        return (*self.scores, "train_loss", "seconds")

    @property
    def columns(self) -> tuple[str, ...]:
        return (*LABELS, *COUNTS, "epoch", *self.curves)

    @property
    def shape(self) -> str:
        if self.wide:
            return "wide"
        return "final" if "epoch" in self.set else "long"

    def check(self) -> None:
        for flag, names in (("--map", self.map), ("--wide", self.wide), ("--set", self.set)):
            for ours in names:
                allowed = self.curves if flag == "--wide" else self.columns
                if ours not in allowed:
                    usage = {"--map": "theirs=ours"}.get(flag, "ours=...")
                    raise unknown_name(f"column for {flag} {usage}", ours, allowed)
        for ours, pattern in self.wide.items():
            if pattern.count("{epoch}") != 1:
                raise InputError(
                    f"Pattern {pattern!r} for {ours} must hold '{{epoch}}' once, "
                    "as in 'acc_{epoch}'."
                )
        if self.wide and "epoch" in {*self.map, *self.set}:
            raise InputError(
                "A wide table has its epochs in the names of its columns; "
                "leave out --map or --set for 'epoch'."
            )
        for ours in self.set:
            if ours in self.map or ours in self.wide:
                raise InputError(f"Column {ours!r} is both set and mapped; give one of the two.")
        for ours in self.map:
            if ours in self.wide:
                raise InputError(f"Column {ours!r} is both mapped and wide; give one of the two.")
        if not isinstance(self.scale, (int, float)) or not 0 < self.scale < np.inf:
            raise InputError(f"--scale is {self.scale!r}; expected a number above 0, as in 0.01.")
        if self.epoch_zero not in EPOCH_ZERO:
            raise unknown_name("reading of epoch 0", self.epoch_zero, EPOCH_ZERO)


# --- the file -------------------------------------------------------------------------------


@dataclass(frozen=True)
class _File:
    """A table as it lies on disk; in a CSV file every column is text."""

    name: str
    columns: dict[str, pa.Array]
    n_rows: int
    first_row: int
    is_text: bool

    def row(self, at: int) -> str:
        return f"{self.name}, row {at + self.first_row}"


def _open(path: Path) -> _File:
    if not path.is_file():
        what = "is a folder" if path.is_dir() else "does not exist"
        raise InputError(f"{path} {what}; expected a CSV or Parquet file.")
    try:
        with path.open("rb") as file:
            head = file.read(1 << 16)
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}; check its rights.") from error
    if not head.strip():
        raise InputError(f"{path} is empty; expected a header and rows.")
    is_text = head[:4] != b"PAR1" and path.suffix.lower() not in (".parquet", ".pq")
    if is_text:
        _check_text(path, head)
    try:
        table = _read_csv(path) if is_text else pq.ParquetFile(path).read()
        table.validate(full=True)  # texts are UTF-8
        names = table.schema.names
        columns = [_plain(column) for column in table.columns]
    except UnicodeDecodeError as error:
        raise InputError(f"The header of {path} is not UTF-8; save the file as UTF-8.") from error
    except (pa.ArrowException, OSError, ValueError, TypeError) as error:
        kind = "CSV (UTF-8, one header line, commas)" if is_text else "Parquet"
        way_out = "save it again, or unpack it" if is_text else "is it complete?"
        raise InputError(
            f"{path} cannot be read as {kind}: {one_line(error)}; {way_out}"
        ) from error
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise InputError(f"{path} has two columns named {twice[0]!r}; rename or drop one.")
    if not table.num_rows:
        raise InputError(f"{path} has columns but no rows; expected at least one.")
    return _File(
        path.name,
        dict(zip(names, columns, strict=True)),
        table.num_rows,
        2 if is_text else 1,
        is_text,
    )


def _check_text(path: Path, head: bytes) -> None:
    if head[:2] in (b"\xff\xfe", b"\xfe\xff"):
        raise InputError(f"{path} is UTF-16; save it as UTF-8.")
    if head[:4] == b"PK\x03\x04":
        raise InputError(f"{path} is a zip archive; unpack it and import the file inside.")
    if b"\0" in head and path.suffix != ".gz":
        raise InputError(f"{path} is binary; expected a CSV file (UTF-8 text) or a Parquet file.")


def _read_csv(path: Path) -> pa.Table:
    parse = pa.csv.ParseOptions(
        delimiter="\t" if ".tsv" in path.suffixes else ",", newlines_in_values=True
    )
    with pa.csv.open_csv(path, parse_options=parse) as reader:
        names = reader.schema.names
    # numbers are read by us, from text: a reader that guesses types hides what was wrong
    convert = pa.csv.ConvertOptions(
        column_types=dict.fromkeys(names, pa.string()), strings_can_be_null=False
    )
    return pa.csv.read_csv(path, parse_options=parse, convert_options=convert)


def _plain(column: pa.ChunkedArray) -> pa.Array:
    """One array, without dictionary."""
    kind = column.type
    if pa.types.is_dictionary(kind):
        column = column.cast(kind.value_type)
    array = column.combine_chunks()
    return array if isinstance(array, pa.Array) else pa.concat_arrays(array.chunks)


# --- columns, by our names ------------------------------------------------------------------


@dataclass(frozen=True)
class _Labels:
    """A text column: ``values[codes[row]]``."""

    codes: NDArray[np.int64]
    values: list[str]


class _Table:
    """A file seen through the options: our columns, checked cell by cell."""

    def __init__(self, file: _File, options: _Options) -> None:
        self.file = file
        self.options = options
        self.used: list[str] = []  # their columns
        self.theirs: dict[str, str] = {}  # our column -> what it is called in the report
        self.trained = np.ones(file.n_rows, bool)  # false for an untrained network, left out
        for ours, theirs in options.map.items():
            if theirs not in file.columns:
                raise self._missing(theirs, f"named by --map {theirs}={ours}")
        for theirs in options.key:
            if theirs not in file.columns:
                raise self._missing(theirs, "named by --key")
        for ours in options.set:
            if ours in file.columns:
                raise InputError(
                    f"{file.name} has a column {ours!r}, and --set gives it too; leave out --set."
                )

    def has(self, ours: str) -> bool:
        return ours in self.options.map or ours in self.options.set or ours in self.file.columns

    def raw(self, ours: str) -> tuple[str, pa.Array]:
        """The name to show in messages, and the column as it is."""
        if ours in self.options.set:
            return f"--set {ours}", pa.repeat(self.options.set[ours], self.file.n_rows)
        theirs = self.options.map.get(ours, ours)
        if theirs not in self.file.columns:
            raise self._missing(theirs, "", ours)
        self.used.append(theirs)
        self.theirs[ours] = theirs
        return theirs, self.file.columns[theirs]

    def labels(self, ours: str) -> _Labels:
        """A text column; the default where there is none or a cell is empty."""
        default = DEFAULTS.get(ours, "")
        if not self.has(ours) and ours not in ("dataset", "architecture"):
            return _Labels(np.zeros(self.file.n_rows, np.int64), [default])
        name, values = self.raw(ours)
        text = self._text(name, values)
        if ours in ("dataset", "architecture"):
            at = _first(pc.equal(text, ""))
            if at is not None:
                raise InputError(
                    f"{self.file.row(at)}, column {name!r} is empty; expected the name of the "
                    f"{ours}."
                )
        encoded = text.dictionary_encode()
        values_ = [value or default for value in encoded.dictionary.to_pylist()]
        return _Labels(_numpy(encoded.indices, np.int64), values_)

    def architectures(self) -> _Labels:
        """The architectures, with the columns named by ``--key`` appended."""
        key = self.options.key
        if not key:
            return self.labels("architecture")
        parts = []
        if self.has("architecture"):
            named = self.labels("architecture")
            parts.append(pa.array(named.values).take(pa.array(named.codes)))
        for theirs in key:
            self.used.append(theirs)
            text = self._text(theirs, self.file.columns[theirs])
            at = _first(pc.equal(text, ""))
            if at is not None:
                raise InputError(
                    f"{self.file.row(at)}, column {theirs!r} is empty; expected a value, "
                    "since --key makes it a part of the architecture's name."
                )
            parts.append(pc.binary_join_element_wise(f"{theirs}=", text, ""))
        self.theirs["architecture"] = " + ".join([self.theirs.get("architecture", ""), *key])
        encoded = pc.binary_join_element_wise(*parts, " ").dictionary_encode()
        return _Labels(_numpy(encoded.indices, np.int64), encoded.dictionary.to_pylist())

    def integers(self, ours: str, low: int, high: int = 2**63 - 1) -> NDArray[np.int64]:
        """A column of whole numbers; an empty cell is 0, which means not known."""
        if not self.has(ours):
            return np.zeros(self.file.n_rows, np.int64)
        name, values = self.raw(ours)
        return self._integers(name, values, low, high, ours)

    def epochs(self) -> NDArray[np.int64]:
        """The epoch of each row, ours; 0 where the network is untrained."""
        name, values = self.raw("epoch")
        epochs = self._integers(name, values, 0, 2**31 - 2, "epoch", required=True)
        zero = _first_true(epochs == 0)
        if zero is not None:
            if self.options.epoch_zero == "refuse":
                raise self._epoch_zero(f"{self.file.row(zero)}, column {name!r} is 0")
            if self.options.epoch_zero == "first":
                epochs = epochs + 1
        self.trained = epochs > 0
        return epochs

    def epoch_of_the_end(self) -> NDArray[np.int64]:
        """After which epoch each row of a final table was measured."""
        name, values = self.raw("epoch")
        epochs = self._integers(name, values, 1, MOST_EPOCHS, "epoch", required=True)
        if epochs.sum() > MOST_VALUES:
            raise InputError(
                f"{self.file.name} has {len(epochs)} runs of up to {epochs.max()} epochs: too many "
                "to hold; is --set epoch right?"
            )
        return epochs

    def scores(self, name: str, values: pa.Array) -> NDArray[np.float64]:
        """Scores in the metric's own units and bounds; NaN is not measured."""
        found = self._finite(name, values) * self.options.scale
        low, high = self.options.metric.bounds
        at = _first_true((found < low) | (found > high))
        if at is not None:
            value, hint = found[at], "correct the cell, or leave it empty if not measured"
            share = (low, high) == (0.0, 1.0)
            if share and 1 < value <= 100 and self.options.scale == 1.0:
                hint = "it looks like a percentage: divide by 100, or pass --scale 0.01"
            elif self.options.scale != 1.0:
                hint = f"that is after --scale {self.options.scale:g}; is the scale right?"
            raise InputError(
                f"{self.file.row(at)}, column {name!r} is {value:g}; expected "
                f"{self.options.metric.name} within {low:g} to {high:g}; {hint}."
            )
        return found

    def losses(self, name: str, values: pa.Array) -> NDArray[np.float64]:
        return self._finite(name, values)

    def seconds(self, name: str, values: pa.Array) -> NDArray[np.float64]:
        found = self._finite(name, values)
        at = _first_true((found.astype(np.float32) <= 0) & self.trained)
        if at is not None:
            raise InputError(
                f"{self.file.row(at)}, column {name!r} is {found[at]:g}; expected seconds above "
                "0; correct the cell, or drop the column: one epoch then counts as one unit."
            )
        return found

    def curve(self, ours: str, name: str, values: pa.Array) -> NDArray[np.float64]:
        """Any of the columns that make a curve."""
        if ours in self.options.scores:
            return self.scores(name, values)
        return self.seconds(name, values) if ours == "seconds" else self.losses(name, values)

    def wide(self, ours: str, pattern: str) -> NDArray[np.float64]:
        """A curve spread over columns. Shape ``(runs, epochs)``."""
        before, after = pattern.split("{epoch}")
        expression = re.compile(rf"{re.escape(before)}([0-9]{{1,9}}){re.escape(after)}")
        matches = [expression.fullmatch(name) for name in self.file.columns]
        columns = sorted((int(match[1]), match[0]) for match in matches if match)
        if not columns:
            raise InputError(
                f"{self.file.name} has no column of the pattern {pattern!r}; its columns are: "
                f"{_listed(self.file.columns)}."
            )
        self.used += [name for _, name in columns]
        self.theirs[ours] = pattern
        if columns[0][0] == 0:
            if self.options.epoch_zero == "refuse":
                raise self._epoch_zero(f"{self.file.name} has a column {columns[0][1]!r}: epoch 0")
            if self.options.epoch_zero == "first":
                columns = [(epoch + 1, name) for epoch, name in columns]
            else:
                columns = columns[1:]
        for expected, (epoch, name) in enumerate(columns, start=1):
            if epoch != expected:
                raise InputError(
                    f"{self.file.name} has a column {name!r} where epoch {expected} was expected "
                    f"next in the pattern {pattern!r}; epochs must have no gaps: add the column, "
                    "empty where not measured."
                )
        curves = [self.curve(ours, name, self.file.columns[name]) for _, name in columns]
        return np.column_stack(curves) if curves else np.zeros((self.file.n_rows, 0))

    def unused(self) -> list[str]:
        return [name for name in self.file.columns if name not in self.used]

    # cells

    def _text(self, name: str, values: pa.Array) -> pa.Array:
        kind = values.type
        if pa.types.is_null(kind):
            return pa.repeat("", len(values))
        readable = (
            pa.types.is_string(kind)
            or pa.types.is_large_string(kind)
            or pa.types.is_integer(kind)
            or pa.types.is_floating(kind)
            or pa.types.is_boolean(kind)
        )
        if not readable:
            raise InputError(f"{self.file.name}, column {name!r} holds {kind}; expected text.")
        return pc.utf8_trim_whitespace(pc.fill_null(values.cast(pa.string()), ""))

    def _numbers(self, name: str, values: pa.Array) -> pa.Array:
        """float64 (or int64 where all cells are whole), null where a cell is empty."""
        kind = values.type
        is_text = pa.types.is_string(kind) or pa.types.is_large_string(kind)
        if is_text and (self.file.is_text or name.startswith("--set")):
            text = pc.utf8_trim_whitespace(values)
            missing = pc.is_in(pc.utf8_lower(text), value_set=pa.array(NOT_MEASURED))
            text = pc.if_else(missing, pa.scalar(None, text.type), text)
            try:
                return text.cast(pa.int64())
            except pa.ArrowInvalid:
                pass
            try:
                return text.cast(pa.float64())
            except pa.ArrowInvalid:
                at = _first_unreadable(text)
                raise self._not_a_number(at, name, text[at].as_py()) from None
        if pa.types.is_integer(kind):
            return values.cast(pa.int64(), safe=kind != pa.uint64())
        if pa.types.is_floating(kind) or pa.types.is_decimal(kind):
            return values.cast(pa.float64(), safe=False)
        if values.null_count == len(values):
            return pa.nulls(len(values), pa.float64())
        at = _first(pc.is_valid(values)) or 0
        raise self._not_a_number(at, name, values[at].as_py(), f" (the column holds {kind})")

    def _not_a_number(self, at: int, name: str, value: object, remark: str = "") -> InputError:
        return InputError(
            f"{self.file.row(at)}, column {name!r} is {value!r}{remark}; expected a number; "
            "correct the cell, or leave it empty if it was not measured."
        )

    def _finite(self, name: str, values: pa.Array) -> NDArray[np.float64]:
        found = _numpy(self._numbers(name, values), np.float64)
        with np.errstate(over="ignore"):
            at = _first_true(np.isinf(found.astype(np.float32)))
        if at is not None:
            raise InputError(
                f"{self.file.row(at)}, column {name!r} is {found[at]:g}; expected a finite number; "
                "leave the cell empty, and say in a column 'status' why the run failed."
            )
        return found

    def _integers(
        self, name: str, values: pa.Array, low: int, high: int, ours: str, required: bool = False
    ) -> NDArray[np.int64]:
        numbers = self._numbers(name, values)
        at = _first(pc.is_null(numbers, nan_is_null=True))
        if at is not None and (required or ours == "seed"):
            raise InputError(
                f"{self.file.row(at)}, column {name!r} is empty; expected a whole number ({ours})."
            )
        if pa.types.is_floating(numbers.type):
            found = np.nan_to_num(_numpy(numbers, np.float64), nan=0.0)
            # beyond 2**53 a float no longer tells neighbours apart
            at = _first_true((found != np.round(found)) | (np.abs(found) > 2**53))
            if at is not None:
                raise InputError(
                    f"{self.file.row(at)}, column {name!r} is {found[at]:g}; expected a whole "
                    f"number ({ours}), not in thousands or millions."
                )
            integers = found.astype(np.int64)
        else:
            integers = _numpy(pc.fill_null(numbers, 0), np.int64)
        outside = _first_true((integers < low) | (integers > high))
        if outside is not None:
            raise InputError(
                f"{self.file.row(outside)}, column {name!r} is {integers[outside]}; expected "
                f"{ours} from {low} to {high}."
            )
        return np.asarray(integers, np.int64)

    # messages

    def _missing(self, theirs: str, why: str, ours: str = "") -> InputError:
        names = list(self.file.columns)
        near = _near(theirs, names)
        message = f"{self.file.name} has no column {theirs!r}{', ' + why if why else ''}"
        if ours:
            hint = f"pass --map {near or 'THEIRS'}={ours}"
            if ours == "epoch":
                hint += (
                    ", --pattern 'acc_{epoch}' if epochs are columns, or --set epoch=200 if a row "
                    "is what was measured after epoch 200"
                )
            elif ours not in self.options.curves:
                hint += f", or --set {ours}=VALUE if all rows share one"
            message += f"; {hint}"
        question = f" Did you mean {near!r}?" if near else ""
        return InputError(f"{message}.{question} Its columns are: {_listed(names)}.")

    def _epoch_zero(self, found: str) -> InputError:
        return InputError(
            f"{found}; epochs count from 1: pass --epoch-zero first if it was measured after the "
            "first epoch, or --epoch-zero untrained if before any training (it is left out)."
        )


# --- from columns to runs -------------------------------------------------------------------


@dataclass(frozen=True)
class _Keys:
    """What makes the rows' runs: labels and counts of each row."""

    labels: dict[str, _Labels]
    counts: dict[str, NDArray[np.int64]]
    canonical_ids: dict[tuple[str, str], tuple[str, str]]

    def text(self, ours: str, row: int) -> str:
        labels = self.labels[ours]
        return labels.values[int(labels.codes[row])]

    def of(self, row: int) -> str:
        parts = ("space", "architecture", "dataset", "recipe")
        named = ", ".join(f"{ours} {self.text(ours, row)!r}" for ours in parts)
        return f"{named}, seed {self.counts['seed'][row]}"


def _keys(table: _Table) -> _Keys:
    labels = {
        ours: table.architectures() if ours == "architecture" else table.labels(ours)
        for ours in LABELS
    }
    counts = {
        "seed": table.integers("seed", -(2**63)),
        "n_params": table.integers("n_params", 0),
        "flops": table.integers("flops", 0),
    }
    for ours, allowed, what in (("status", STATUSES, "status"), ("space", tuple(SPACES), "space")):
        for code, value in enumerate(labels[ours].values):
            if value not in allowed:
                at = _first_true(labels[ours].codes == code) or 0
                error = unknown_name(what, value, allowed)
                raise InputError(f"{table.file.row(at)}, column {ours!r}: {error}")
    return _Keys(labels, counts, _parsed(table, labels))


def _parsed(table: _Table, labels: dict[str, _Labels]) -> dict[tuple[str, str], tuple[str, str]]:
    """(space, architecture as written) -> (id, canonical id)."""
    spaces, architectures = labels["space"], labels["architecture"]
    pairs, rows = np.unique(
        spaces.codes * len(architectures.values) + architectures.codes, return_index=True
    )
    parsed = {}
    for pair, row in zip(pairs.tolist(), rows.tolist(), strict=True):
        space = spaces.values[pair // len(architectures.values)]
        text = architectures.values[pair % len(architectures.values)]
        if table.options.key and space != "table":
            raise InputError(
                f"--key {table.options.key[0]} changes the architectures' texts, which space "
                f"{space!r} must parse; leave it out, or import into space 'table'."
            )
        try:
            architecture = get_space(space).parse(text)
        except InputError as error:
            raise InputError(f"{table.file.row(row)}, column 'architecture': {error}") from error
        parsed[space, text] = architecture.id, architecture.canonical_id
    return parsed


def _groups(keys: _Keys) -> NDArray[np.int64]:
    """The number of each row's run; rows of one run share it."""
    group = np.unique(keys.counts["seed"], return_inverse=True)[1].astype(np.int64)
    for ours in ("space", "architecture", "dataset", "recipe"):
        labels = keys.labels[ours]
        mixed = group * len(labels.values) + labels.codes  # below rows**2
        group = np.unique(mixed, return_inverse=True)[1].astype(np.int64)
    return group


def _long(table: _Table) -> Imported:
    """A row is an epoch."""
    options = table.options
    scores = [ours for ours in options.scores if table.has(ours)]
    if not any(ours for ours in scores if not ours.startswith("train")):
        table.raw(options.metric.column("valid"))  # raises: it is missing
    epochs = table.epochs()
    keys = _keys(table)
    curves = {
        ours: table.curve(ours, *table.raw(ours)) for ours in options.curves if table.has(ours)
    }
    group = _groups(keys)
    order = np.lexsort((epochs, group))
    order = order[table.trained[order]]
    if not order.size:
        raise InputError(f"{table.file.name} holds no epoch but epoch 0; expected epochs from 1.")
    group, epochs = group[order], epochs[order]
    starts = np.flatnonzero(np.r_[True, group[1:] != group[:-1]])
    lengths = np.diff(np.r_[starts, len(group)])
    same = (np.diff(group) == 0) & (np.diff(epochs) == 0)
    if same.any():
        # the first in the file's order: that is where a reader will look
        pair = min(np.flatnonzero(same).tolist(), key=lambda pair: int(order[pair + 1]))
        raise _duplicate(table, keys, int(order[pair]), int(order[pair + 1]), int(epochs[pair]))
    gap = _first_true(epochs != np.arange(len(epochs)) - np.repeat(starts, lengths) + 1)
    if gap is not None:
        start = int(starts[np.searchsorted(starts, gap, side="right") - 1])
        raise InputError(
            f"{table.file.row(int(order[gap]))}, column {table.theirs.get('epoch', 'epoch')!r} is "
            f"{epochs[gap]}; expected epoch {gap - start + 1} of {keys.of(int(order[gap]))} next; "
            "epochs must have no gaps: add the missing rows, empty where not measured."
        )
    _check_constant(table, keys, order, starts, lengths)
    if "seconds" in curves:
        at = _first_true(np.isnan(curves["seconds"]) & table.trained)
        if at is not None:
            raise InputError(
                f"{table.file.row(at)}, column {table.theirs['seconds']!r} is empty; expected "
                "seconds above 0 at every epoch; fill it in, or drop the column."
            )
    bounds = list(zip(starts.tolist(), (starts + lengths).tolist(), strict=True))
    flat = {ours: curve[order].astype(np.float32) for ours, curve in curves.items()}
    sliced = {ours: [curve[a:b] for a, b in bounds] for ours, curve in flat.items()}
    return _imported(table, keys, order[starts], lengths, sliced)


def _one_row_a_run(table: _Table) -> Imported:
    """A row is a run: its curves are columns, or only the end was kept."""
    options = table.options
    given = (*options.wide, *(ours for ours in options.curves if table.has(ours)))
    if not any(ours in options.scores and not ours.startswith("train") for ours in given):
        table.raw(options.metric.column("valid"))  # raises: it is missing
    n_rows = table.file.n_rows
    wide = {ours: table.wide(ours, pattern) for ours, pattern in options.wide.items()}
    keys = _keys(table)
    lengths = _measured_lengths(wide.values(), n_rows) if wide else table.epoch_of_the_end()
    group = _groups(keys)
    order = np.argsort(group, kind="stable")
    same = np.flatnonzero(np.diff(group[order]) == 0)
    if same.size:
        pair = min(same.tolist(), key=lambda pair: int(order[pair + 1]))
        raise _duplicate(table, keys, int(order[pair]), int(order[pair + 1]))
    curves: dict[str, list[NDArray[np.float32]]] = {}
    for ours in given:
        if ours in wide:
            rows = zip(wide[ours].astype(np.float32), lengths.tolist(), strict=True)
            curves[ours] = [_fitted(row, length) for row, length in rows]
        else:
            cells = zip(table.curve(ours, *table.raw(ours)).tolist(), lengths.tolist(), strict=True)
            spread = _spread_evenly if ours == "seconds" else _at_the_end
            curves[ours] = [spread(value, length) for value, length in cells]
    if "seconds" in curves:
        for at, curve in enumerate(curves["seconds"]):
            if not np.all(curve > 0):  # also where NaN
                raise InputError(
                    f"{table.file.row(at)}, column {table.theirs['seconds']!r} lacks the seconds "
                    f"of an epoch from 1 to {len(curve)}; fill it in, or drop the column."
                )
    return _imported(table, keys, np.arange(n_rows), lengths, curves)


def _measured_lengths(curves: Iterable[NDArray[np.float64]], n_rows: int) -> NDArray[np.int64]:
    """The last epoch of each run at which anything was measured; 0 if nothing was."""
    lengths = np.zeros(n_rows, np.int64)
    for curve in curves:
        epochs = np.arange(1, curve.shape[1] + 1)
        last = np.where(np.isnan(curve), 0, epochs).max(axis=1, initial=0)
        lengths = np.maximum(lengths, last)
    return lengths


def _fitted(row: NDArray[np.float32], length: int) -> NDArray[np.float32]:
    """A row cut, or filled up with NaN, to the length of its run."""
    if len(row) >= length:
        return row[:length]
    return np.concatenate([row, np.full(length - len(row), np.nan, np.float32)])


def _at_the_end(value: float, length: int) -> NDArray[np.float32]:
    curve = np.full(length, np.nan, np.float32)
    curve[-1:] = value
    return curve


def _spread_evenly(total: float, length: int) -> NDArray[np.float32]:
    return np.full(length, total / max(length, 1), np.float32)


def _imported(
    table: _Table,
    keys: _Keys,
    rows: NDArray[np.int64],
    lengths: NDArray[np.int64],
    curves: dict[str, list[NDArray[np.float32]]],
) -> Imported:
    """The runs, of which ``rows`` are the first rows."""
    options = table.options
    measured_seconds = "seconds" in curves
    units: dict[int, NDArray[np.float32]] = {}
    runs = []
    for at, (row, length) in enumerate(zip(rows.tolist(), lengths.tolist(), strict=True)):
        text = {ours: keys.text(ours, row) for ours in LABELS}
        architecture, canonical_id = keys.canonical_ids[text["space"], text["architecture"]]
        scores = {
            split: curves[ours][at] for ours, split in options.scores.items() if ours in curves
        }
        if text["status"] == "ok" and all(
            np.isnan(curve).all() for split, curve in scores.items() if split != "train"
        ):
            raise InputError(
                f"{table.file.row(row)}: no {options.metric.name} was measured for "
                f"{keys.of(row)}; drop the run, or say in a column 'status' why it failed "
                f"({', '.join(STATUSES[1:])})."
            )
        if measured_seconds:
            seconds = curves["seconds"][at]
        else:
            seconds = units.setdefault(length, np.ones(length, np.float32))
        reason = text["reason"]
        if text["status"] != "ok" and not reason:
            reason = "not stated in the imported table"
        runs.append(
            Run(
                text["space"],
                architecture,
                text["dataset"],
                text["recipe"],
                int(keys.counts["seed"][row]),
                canonical_id=canonical_id,
                status=text["status"],  # type: ignore[arg-type]  # checked against STATUSES
                reason=reason,
                epochs=length,
                scores=scores,
                train_loss=curves["train_loss"][at] if "train_loss" in curves else _NOTHING,
                epoch_seconds=seconds,
                n_params=int(keys.counts["n_params"][row]),
                flops=int(keys.counts["flops"][row]),
            )
        )
    recipes = sorted({run.recipe for run in runs})
    unit = "measured" if measured_seconds else "epochs"
    merged = options.metric.column("merged")
    return Imported(
        tuple(runs),
        _datasets(table, keys),
        {recipe: {"seconds": unit} for recipe in recipes},
        options.metric,
        tuple(Split(theirs, ours) for ours, theirs in table.theirs.items() if ours in curves),
        (merged,) if merged in curves else (),
        tuple(_notes(table, measured_seconds)),
    )


_NOTHING = np.zeros(0, np.float32)


def _datasets(table: _Table, keys: _Keys) -> tuple[Dataset, ...]:
    datasets, groups = keys.labels["dataset"], keys.labels["group"]
    first: dict[str, int] = {}
    pairs = datasets.codes * len(groups.values) + groups.codes
    for row in np.unique(pairs, return_index=True)[1].tolist():
        name = keys.text("dataset", row)
        other = first.setdefault(name, row)
        if keys.text("group", other) != keys.text("group", row):
            raise InputError(
                f"{table.file.row(row)}, column {table.theirs['group']!r} is "
                f"{keys.text('group', row)!r} for dataset {name!r}, but "
                f"{keys.text('group', other)!r} in row {other + table.file.first_row}; a dataset "
                "is of one group."
            )
    return tuple(Dataset(name, keys.text("group", row) or name) for name, row in first.items())


def _check_constant(
    table: _Table,
    keys: _Keys,
    order: NDArray[np.int64],
    starts: NDArray[np.int64],
    lengths: NDArray[np.int64],
) -> None:
    """What is said of a run must be the same in all its rows."""
    said = {ours: keys.labels[ours].codes for ours in ("status", "reason")}
    said |= {ours: keys.counts[ours] for ours in ("n_params", "flops")}
    for ours, column in said.items():
        values = column[order]
        at = _first_true(values != np.repeat(values[starts], lengths))
        if at is None:
            continue
        row = int(order[at])
        first = int(order[starts[np.searchsorted(starts, at, side="right") - 1]])
        shown = [
            keys.text(ours, r) if ours in keys.labels else str(column[r]) for r in (row, first)
        ]
        raise InputError(
            f"{table.file.row(row)}, column {table.theirs[ours]!r} is {shown[0]!r}, but "
            f"{shown[1]!r} in row {first + table.file.first_row} of the same run; give all rows "
            "of a run the same."
        )


def _duplicate(
    table: _Table, keys: _Keys, first: int, second: int, epoch: int = 0
) -> DuplicateKeyError:
    way_out = "correct or drop one"
    if not table.has("seed"):
        way_out = (
            "if they are copies, drop one; if repeated trainings, add a column 'seed' that tells "
            "them apart (0, 1, 2, ...); if another column does, pass --key COLUMN"
        )
    what = f", epoch {epoch}" if epoch else ""
    return DuplicateKeyError(
        f"{table.file.row(second)} repeats the key of row {first + table.file.first_row}: "
        f"{keys.of(first)}{what}; {way_out}."
    )


def _notes(table: _Table, measured_seconds: bool) -> list[str]:
    notes = []
    if not measured_seconds:
        notes.append("no times in the table: one epoch counts as one unit.")
    elif table.options.shape != "long" and "seconds" not in table.options.wide:
        notes.append("seconds of a whole run were divided evenly over its epochs.")
    unused = table.unused()
    if unused:
        notes.append(f"columns left out: {_listed(unused)}.")
    return notes


# --- small helpers --------------------------------------------------------------------------


def _numpy(array: pa.Array, kind: Any) -> NDArray[Any]:
    return np.asarray(array.to_numpy(zero_copy_only=False)).astype(kind, copy=False)


def _first(mask: pa.Array) -> int | None:
    """The position of the first true value."""
    at = pc.index(pc.fill_null(mask, False), True).as_py()
    return None if at < 0 else int(at)


def _first_true(mask: NDArray[np.bool_]) -> int | None:
    return int(np.argmax(mask)) if mask.any() else None


def _first_unreadable(text: pa.Array) -> int:
    """The first cell that is no number, by halving: what Arrow accepts, only Arrow knows."""
    low, high = 0, len(text)
    while high - low > 1:
        middle = (low + high) // 2
        try:
            text[low:middle].cast(pa.float64())
            low = middle
        except pa.ArrowInvalid:
            high = middle
    return low


def _near(name: str, names: Sequence[str]) -> str | None:
    lowered = {other.lower(): other for other in names}
    near = difflib.get_close_matches(name.lower(), lowered, n=1)
    return lowered[near[0]] if near else None


def _listed(names: Sequence[str] | Mapping[str, object], most: int = 12) -> str:
    names = list(names)
    shown = ", ".join(names[:most])
    return shown if len(names) <= most else f"{shown} and {len(names) - most} more"
