"""Parquet files: how a table becomes bytes, and how bytes are read without trusting them."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Iterator, Mapping, Sequence

import pyarrow as pa
import pyarrow.parquet as pq

from nassim.errors import NassimError, StoreError
from nassim.records import Metric, RunKey
from nassim.store.folders import Folder
from nassim.store.manifest import Shard
from nassim.store.schema import (
    KEY_COLUMNS,
    SPLITS,
    TEXT_COLUMNS,
    digest,
    numbers,
    runs_schema,
    texts,
    to_runs,
)

__all__ = ["ROW_GROUP", "ShardReader", "parquet_bytes", "reading", "write_shard"]

ROW_GROUP = 1000  # runs; small enough that one curve alone is read in a millisecond


def parquet_bytes(table: pa.Table, metric: Metric) -> pa.Buffer:
    """A table as Parquet: the same table gives the same bytes.

    Text, counts and bounded scores take a dictionary (accuracies lie on a grid of 1 / examples);
    losses and seconds lie on no grid and take byte-stream-split.
    """
    schema = runs_schema(metric)
    bounded = all(abs(bound) != float("inf") for bound in metric.bounds)
    scores = {metric.column(split) for split in SPLITS} if bounded else set()
    on_grid = [field.name for field in schema if not pa.types.is_list(field.type)]
    on_grid += [f"{name}.list.element" for name in schema.names if name in scores]
    off_grid = {
        f"{field.name}.list.element": "BYTE_STREAM_SPLIT"
        for field in schema
        if pa.types.is_list(field.type) and field.name not in scores
    }
    sink = pa.BufferOutputStream()
    pq.write_table(
        table.combine_chunks(),
        sink,
        row_group_size=ROW_GROUP,
        compression="zstd",
        use_dictionary=on_grid,
        column_encoding=off_grid,
        write_statistics=[*KEY_COLUMNS, "epochs"],
        write_page_checksum=True,
    )
    return sink.getvalue()


def write_shard(folder: Folder, table: pa.Table, metric: Metric) -> Shard:
    """Write one shard, named by its content; not part of the store until a manifest names it."""
    payload = parquet_bytes(table, metric)
    content = f"{digest(to_runs(table, metric)):064x}"
    sha256 = hashlib.sha256(payload).hexdigest()
    file = f"runs-{sha256[:16]}.parquet"
    folder.write(file, memoryview(payload))
    return Shard(file, len(table), len(payload), sha256, content)


@contextlib.contextmanager
def reading(path: str) -> Iterator[None]:
    """Turn whatever a damaged file raises into one StoreError."""
    try:
        yield
    except NassimError:
        raise
    except FileNotFoundError as error:
        raise StoreError(
            f"Shard {path!r} is gone; if the store was compacted meanwhile, open it again "
            "(Store.refresh), else restore the file."
        ) from error
    except (pa.ArrowException, OSError, ValueError, MemoryError, OverflowError) as error:
        detail = " ".join(str(error).split())[:200]
        raise StoreError(
            f"Shard {path!r} cannot be read ({detail}); 'nassim verify' lists the faults; "
            "restore the file from a copy of the store."
        ) from error


class ShardReader:
    """One shard. Its footer is kept after the first read; the file is not held open."""

    def __init__(self, folder: Folder, shard: Shard, metric: Metric) -> None:
        self.path = folder.at(shard.file)
        self.shard = shard
        self._source = folder.inner(shard.file)
        self._filesystem = folder.filesystem
        self._metric = metric
        self._footer: pq.FileMetaData | None = None
        self._fences: list[tuple[str, str, str, str]] | None = None
        self._rows: dict[RunKey, int] | None = None

    @contextlib.contextmanager
    def open(self) -> Iterator[pq.ParquetFile]:
        """The Parquet file, every page checked against its checksum when read."""
        with reading(self.path):
            if self._footer is None:
                footer = pq.read_metadata(self._source, filesystem=self._filesystem)
                self._check(footer)
                self._footer = footer
            with pq.ParquetFile(
                self._source,
                metadata=self._footer,
                read_dictionary=list(TEXT_COLUMNS),
                pre_buffer=self._filesystem is not None,  # few large requests
                page_checksum_verification=True,
                filesystem=self._filesystem,
            ) as file:
                yield file

    def _check(self, footer: pq.FileMetaData) -> None:
        rows = footer.num_rows
        if rows != self.shard.rows:
            raise StoreError(
                f"Shard {self.path!r} has {rows} rows; the manifest says {self.shard.rows}. "
                "Restore the file from a copy of the store."
            )
        wanted, found = runs_schema(self._metric), footer.schema.to_arrow_schema()
        if found.names != wanted.names:
            raise StoreError(
                f"Shard {self.path!r} is not of this store: its columns are "
                f"{', '.join(found.names)[:200]}, expected {', '.join(wanted.names)}."
            )
        for name, kind, expected in zip(wanted.names, found.types, wanted.types, strict=True):
            if kind != expected:
                raise StoreError(
                    f"Shard {self.path!r} is not of this store: its column {name!r} is of "
                    f"type {kind}, expected {expected}."
                )

    def read(self, columns: Sequence[str] | None) -> pa.Table:
        """These columns (or all) of all rows; text is dictionary-encoded."""
        with self.open() as file:
            return file.read(columns=columns and list(columns), use_threads=False)

    @property
    def rows(self) -> Mapping[RunKey, int]:
        """The row of each run; kept after the first read."""
        if self._rows is None:
            table = self.read(KEY_COLUMNS)
            *names, seeds = (table.column(name) for name in KEY_COLUMNS)
            columns = (*(texts(column).tolist() for column in names), numbers(seeds).tolist())
            self._rows = {RunKey(*row): at for at, row in enumerate(zip(*columns, strict=True))}
        return self._rows

    def batches(self, column: str) -> Iterator[pa.ListArray]:
        """One curve column, a thousand runs at a time."""
        with self.open() as file:
            for batch in file.iter_batches(ROW_GROUP, columns=[column], use_threads=False):
                yield batch.column(0)

    def row_groups(self, space: str, architecture: str) -> list[int]:
        """The row groups that may hold this architecture, by the statistics of the footer.

        Rows are sorted by space and architecture, so these are one or two.
        """
        if self._fences is None:
            with self.open() as file:
                groups = range(file.num_row_groups)
                self._fences = [self._fence(file.metadata.row_group(group)) for group in groups]
        return [
            group
            for group, (space_from, space_to, from_, to) in enumerate(self._fences)
            if space_from <= space <= space_to and from_ <= architecture <= to
        ]

    def read_row_group(self, group: int, columns: Sequence[str]) -> pa.Table:
        with self.open() as file:
            return file.read_row_group(group, columns=list(columns), use_threads=False)

    def _fence(self, group: pq.RowGroupMetaData) -> tuple[str, str, str, str]:
        """First and last space, smallest and largest architecture of a row group."""
        bounds: list[str] = []
        for at in range(2):  # KEY_COLUMNS[:2] are the first two columns
            statistics = group.column(at).statistics
            if statistics is None or not statistics.has_min_max:  # a text of kilobytes has none
                bounds += ["", "\U0010ffff"]
            else:
                bounds += [statistics.min, statistics.max]
        return bounds[0], bounds[1], bounds[2], bounds[3]
