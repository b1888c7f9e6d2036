"""A store of training runs: a folder of Parquet files and the manifest that names them.

Shards are written once and never changed. Appending writes one more and then replaces the
manifest; whatever a manifest does not name is not in the store, so a kill at any moment leaves
the old store or the new one.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from nassim.errors import DuplicateKeyError, InputError, StoreError, unknown_name
from nassim.records import ACCURACY, Dataset, IntArray, Metric, Run, RunKey
from nassim.store.folders import Folder, folder_at, is_remote
from nassim.store.lookup import Lookup
from nassim.store.manifest import (
    MANIFEST_FILE,
    SHARD_FILE,
    Manifest,
    read_manifest,
    write_manifest,
)
from nassim.store.schema import (
    KEY_COLUMNS,
    curve_columns,
    fill,
    numbers,
    runs_schema,
    texts,
    to_array,
    to_runs,
    to_table,
)
from nassim.store.shards import ShardReader, write_shard
from nassim.writing import TEMPORARY_SUFFIX

__all__ = ["RunIndex", "Store"]

_INDEX_COLUMNS = (*KEY_COLUMNS, "canonical_id", "status", "epochs", "n_params", "flops")


@dataclass(frozen=True, eq=False)
class RunIndex:
    """What the runs are, without their curves: one entry a run in each array.

    The order is canonical (by space, architecture, dataset, recipe, seed), so that it does not
    depend on the order of appending. Text columns are object arrays of ``str``.
    """

    space: NDArray[np.object_]
    architecture: NDArray[np.object_]
    canonical_id: NDArray[np.object_]
    dataset: NDArray[np.object_]
    recipe: NDArray[np.object_]
    seed: NDArray[np.int64]
    status: NDArray[np.object_]
    epochs: NDArray[np.int32]
    n_params: NDArray[np.int64]
    flops: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.seed)

    def keys(self) -> list[RunKey]:
        """The key of each run."""
        columns = (getattr(self, name).tolist() for name in KEY_COLUMNS)
        return [RunKey(*row) for row in zip(*columns, strict=True)]

    def select(self, rows: NDArray[np.bool_] | IntArray) -> RunIndex:
        """The index of these rows only (a mask or positions)."""
        names = (field.name for field in dataclasses.fields(self))
        return RunIndex(**{name: getattr(self, name)[rows] for name in names})


class Store:
    """An open store. Make one with :meth:`open`, :meth:`create` or :meth:`open_or_create`.

    A store object is a snapshot: it sees what the manifest named when it was opened, when
    :meth:`refresh` was called, or after its own :meth:`append` and :meth:`compact`.

    >>> import tempfile
    >>> folder = tempfile.mkdtemp() + "/mine"
    >>> store = Store.create(folder)
    >>> scores = {"valid": np.array([0.5, 0.75], np.float32)}
    >>> run = Run("table", "small", "digits", "quick", seed=0, epochs=2, scores=scores)
    >>> store.append([run], datasets=[Dataset("digits", "digits")], recipes={"quick": {}})
    >>> store.curves("valid_accuracy")
    array([[0.5 , 0.75]], dtype=float32)
    >>> store.lookup("valid_accuracy", "digits")("small", epoch=2)
    0.75
    """

    def __init__(self, folder: Folder, manifest: Manifest) -> None:
        self._folder = folder
        self._shards: list[ShardReader] = []
        self._take(manifest)

    def _take(self, manifest: Manifest) -> None:
        known = {reader.shard: reader for reader in self._shards}  # which keep what they have read
        self._manifest = manifest
        self._shards = [
            known.get(shard) or ShardReader(self._folder, shard, manifest.metric)
            for shard in manifest.shards
        ]
        self._index: RunIndex | None = None
        self._order: NDArray[np.intp] | None = None  # of stored rows; None: as they are

    # --- opening ----------------------------------------------------------------------------

    @classmethod
    def open(cls, path: str | Path) -> Store:
        """Open the store in this folder; reads the manifest, and that its shards are there.

        ``path`` may be the address of a remote folder, as in ``s3://bucket/stores/mine``.

        Raises
        ------
        StoreError
            if there is no store, or it is damaged, or a newer nassim wrote it.
        """
        folder = folder_at(path)
        return cls(folder, _whole_manifest(folder))

    @classmethod
    def create(
        cls,
        path: str | Path,
        metric: Metric = ACCURACY,
        importer: Mapping[str, Any] | None = None,
    ) -> Store:
        """Make an empty store in a folder that is empty or not there yet.

        ``importer`` says where an imported store comes from, as JSON: format, split map, ...
        """
        folder = folder_at(path)
        _check_metric(metric)
        manifest = Manifest(
            metric, importer=None if importer is None else _as_json(importer, "importer")
        )
        try:
            folder.make()
        except OSError as error:
            reason = error.strerror or " ".join(str(error).split())[:200].rstrip(".")
            raise StoreError(f"{str(path)!r} cannot be made a store: {reason}.") from error
        with folder.locked():
            others = [
                name
                for name in folder.names()
                # the plan that it is made from, and its datasheet, may lie beside it
                if name[0] != "." and not name.endswith((".toml", ".md"))
            ]
            if MANIFEST_FILE in others:
                raise StoreError(
                    f"A store is already in {str(path)!r}; open it, or name another folder."
                )
            if others:
                raise StoreError(
                    f"{str(path)!r} is not empty (it has {others[0]!r}); name another folder."
                )
            write_manifest(folder, manifest)
        return cls(folder, manifest)

    @classmethod
    def open_or_create(cls, path: str | Path, metric: Metric = ACCURACY) -> Store:
        """Open the store in this folder, or make one; an open one must have this metric."""
        folder = folder_at(path)
        if MANIFEST_FILE not in folder.names():
            try:
                return cls.create(path, metric)
            except StoreError:
                if MANIFEST_FILE not in folder.names():
                    raise  # else another process has just made it
        store = cls.open(path)
        if store.metric != metric:
            raise StoreError(
                f"The store in {str(path)!r} is of metric {store.metric.name!r} "
                f"{store.metric.bounds}, not {metric.name!r} {metric.bounds}; use another folder."
            )
        return store

    def refresh(self) -> None:
        """See what other writers have appended since."""
        self._take(_whole_manifest(self._folder))

    def __reduce__(self) -> tuple[Callable[[Path | str], Store], tuple[Path | str]]:
        return (Store.open, (self.path,))  # a worker process opens the store itself

    def __repr__(self) -> str:
        return f"<Store {self.name!r}: {self.n_runs} runs on {len(self.datasets)} datasets>"

    # --- what it is -------------------------------------------------------------------------

    @property
    def name(self) -> str:
        """The name of the folder."""
        return self._folder.name

    @property
    def path(self) -> Path | str:
        """The folder; the address of a remote one, as text."""
        return self._folder.place

    @property
    def metric(self) -> Metric:
        return self._manifest.metric

    @property
    def sha(self) -> str:
        """The identity of the content (SHA-256, hex): metric, datasets, recipes and runs.

        Neither the order of appending, nor shards, nor compaction, nor the Parquet version
        changes it; any value of any run does. Costs microseconds.
        """
        return self._manifest.sha

    @property
    def n_runs(self) -> int:
        return self._manifest.n_runs

    @property
    def datasets(self) -> tuple[Dataset, ...]:
        """The datasets, in the order in which they were added."""
        return self._manifest.datasets

    @property
    def recipes(self) -> dict[str, dict[str, Any]]:
        """The settings of each recipe, by its name."""
        return dict(self._manifest.recipes)

    @property
    def importer(self) -> dict[str, Any] | None:
        """Where an imported store comes from, else None."""
        return self._manifest.importer

    # --- reading ----------------------------------------------------------------------------

    def index(
        self, *, dataset: str | None = None, space: str | None = None, recipe: str | None = None
    ) -> RunIndex:
        """What the runs are, in canonical order; all, or those that match.

        Raises
        ------
        UnknownNameError
            if the store has no such dataset, recipe or space.
        """
        rows = self._rows(dataset, space, recipe)
        return self._full_index() if rows is None else self._full_index().select(rows)

    def curves(
        self,
        column: str,
        *,
        dataset: str | None = None,
        space: str | None = None,
        recipe: str | None = None,
    ) -> NDArray[np.float32]:
        """A curve column as one array ``(runs, max_epochs)``, rows as in ``index`` likewise.

        NaN where it was not measured and past a run's end; ``max_epochs`` is that of the
        longest of these runs. Columns: ``train_loss``, ``epoch_seconds``,
        ``evaluation_seconds``, and of each split, as in ``valid_accuracy``.
        """
        self._check_column(column)
        rows = self._rows(dataset, space, recipe)
        if rows is None and len(self._shards) == 1:  # stored as wanted
            stored = None
            epochs = numbers(self._shards[0].read(["epochs"]).column(0))
        else:
            index = self._full_index()
            rows = np.arange(len(index)) if rows is None else rows
            stored = rows if self._order is None else self._order[rows]
            epochs = index.epochs[rows]
        width = max(0, int(epochs.max(initial=0)))
        if (
            width * len(epochs) > 2**38
        ):  # a terabyte: no store is that large, a damaged one may say so
            raise StoreError(
                f"{len(epochs)} runs of {width} epochs do not fit; run 'nassim verify'."
            )
        curves = np.empty((len(epochs), width), np.float32)
        if stored is None:
            self._fill(column, curves)
        else:
            self._fill_selected(column, curves, stored)
        return curves

    def curve(self, column: str, key: RunKey) -> NDArray[np.float32]:
        """One curve alone ``(epochs,)``, empty if never measured; reads one row group.

        Raises
        ------
        InputError
            if the store has no run of this key.
        """
        self._check_column(column)
        wanted = RunKey(*key)
        for shard in self._shards:
            for group in shard.row_groups(wanted.space, wanted.architecture):
                table = shard.read_row_group(group, [*KEY_COLUMNS, column])
                match = np.ones(len(table), bool)
                for name in KEY_COLUMNS:
                    keys = table.column(name)
                    values = numbers(keys) if name == "seed" else texts(keys)
                    match &= values == getattr(wanted, name)
                for row in np.flatnonzero(match):
                    found = table.column(column).slice(int(row), 1).combine_chunks()
                    curve = np.empty((1, len(found.values)), np.float32)
                    fill(curve, found)
                    return curve.reshape(-1)
        raise InputError(f"The store {self.name!r} has no run {_named(wanted)}; see Store.index().")

    def table(
        self,
        columns: Sequence[str] | None = None,
        *,
        dataset: str | None = None,
        space: str | None = None,
        recipe: str | None = None,
    ) -> pa.Table:
        """Columns of the runs as an Arrow table, rows as in ``index`` likewise."""
        schema = runs_schema(self.metric)
        for column in columns or ():
            if column not in schema.names:
                raise unknown_name("column", column, schema.names)
        names = schema.names if columns is None else list(columns)
        rows = self._rows(dataset, space, recipe)
        wanted = pa.schema([schema.field(name) for name in names])
        tables = [_plain(shard.read(names), wanted) for shard in self._shards]
        table = pa.concat_tables(tables) if tables else wanted.empty_table()
        if rows is None and len(self._shards) < 2:
            return table
        self._full_index()
        rows = np.arange(len(table)) if rows is None else rows
        stored = rows if self._order is None else self._order[rows]
        return table.combine_chunks().take(to_array(stored, pa.int64()))

    def runs(
        self, *, dataset: str | None = None, space: str | None = None, recipe: str | None = None
    ) -> list[Run]:
        """The runs as records, in canonical order; for many runs, arrays are faster."""
        return to_runs(self.table(dataset=dataset, space=space, recipe=recipe), self.metric)

    def lookup(
        self, column: str, dataset: str, recipe: str | None = None, space: str | None = None
    ) -> Lookup:
        """A column of one dataset in memory, for millions of look-ups a second.

        ``recipe`` and ``space`` may be left out where the dataset has runs under one only.
        """
        index = self.index(dataset=dataset, space=space, recipe=recipe)
        for name, values in (("recipe", index.recipe), ("space", index.space)):
            found = sorted(set(values))
            if len(found) > 1:
                raise InputError(
                    f"Dataset {dataset!r} has runs of several {name}s ({', '.join(found)}); "
                    f"say which: lookup(..., {name}={found[0]!r})."
                )
        curves = self.curves(column, dataset=dataset, space=space, recipe=recipe)
        return Lookup(column, dataset, index.architecture, index.seed, curves)

    # --- writing ----------------------------------------------------------------------------

    def append(
        self,
        runs: Sequence[Run],
        *,
        datasets: Sequence[Dataset] = (),
        recipes: Mapping[str, Mapping[str, object]] | None = None,
    ) -> None:
        """Add runs, and the datasets and recipes that they name, all of it or nothing.

        Several writers are safe, in threads, processes or machines that share the file system's
        locks. What other writers appended meanwhile becomes visible too. Datasets and recipes
        that the store has already may be given again, unchanged. A remote folder has no locks:
        there must be one writer at a time.

        Raises
        ------
        InputError
            if a value is not what the schema asks for, or a dataset or recipe is not known.
        DuplicateKeyError
            if a key is in the store already, or twice among the runs.
        StoreError
            if the disk is full or the folder cannot be written; the store is as it was. Also if
            another writer of a remote folder has undone what this one had appended.
        """
        runs = list(runs)
        table = to_table(runs, self.metric)
        settings = {
            name: _as_json(recipe, f"recipe {name!r}") for name, recipe in (recipes or {}).items()
        }
        with self._writing():
            manifest = _with_descriptions(self._manifest, datasets, settings)
            _check_known(runs, manifest)
            self._check_new(runs)
            if runs:
                shard = write_shard(self._folder, table, self.metric)
                manifest = dataclasses.replace(manifest, shards=(*manifest.shards, shard))
            if manifest != self._manifest:
                self._replace(manifest)

    def compact(self) -> None:
        """Rewrite all shards as one, in canonical order, and remove what killed writers left.

        The same runs give the same file, whatever the order in which they were appended. Needs
        memory for the whole store. A reader that opened the store before must ``refresh``.
        """
        with self._writing():
            if len(self._shards) > 1:
                shard = write_shard(self._folder, self.table(), self.metric)
                self._replace(dataclasses.replace(self._manifest, shards=(shard,)))
            for name in orphans(self._folder, self._manifest):
                with contextlib.suppress(OSError):
                    self._folder.remove(name)

    @contextlib.contextmanager
    def _writing(self) -> Iterator[None]:
        """Hold the store, as it is by now."""
        with self._folder.locked():
            known = self._manifest.shards
            self.refresh()
            if is_remote(self.path) and not set(known) <= set(self._manifest.shards):
                raise StoreError(
                    f"Another writer changed the store at {str(self.path)!r}, which has no locks, "
                    "and undid what was appended; let one write at a time, and append again."
                )
            yield

    def _replace(self, manifest: Manifest) -> None:
        """Make this the manifest; if that fails, remove the shards that only it names."""
        try:
            write_manifest(self._folder, manifest)
        except BaseException:
            named = {shard.file for shard in read_manifest(self._folder).shards}
            for shard in manifest.shards:
                if shard.file not in named:
                    self._folder.remove(shard.file)
            raise
        self._take(manifest)

    def _check_new(self, runs: Sequence[Run]) -> None:
        for shard in self._shards if runs else ():
            rows = shard.rows
            for key in (run.key for run in runs):
                if (row := rows.get(key)) is not None:
                    raise DuplicateKeyError(
                        f"Run {_named(key)} is in the store {self.name!r} already (row {row} of "
                        f"{shard.shard.file}); drop it, or give it another seed or recipe."
                    )

    # --- inside -----------------------------------------------------------------------------

    def _full_index(self) -> RunIndex:
        if self._index is None:
            index = _index_of([shard.read(_INDEX_COLUMNS) for shard in self._shards])
            if len(self._shards) > 1:
                ranks = [_ranks(getattr(index, name)) for name in KEY_COLUMNS]
                self._order = np.lexsort(ranks[::-1])
                index = index.select(self._order)
            self._index = index
        return self._index

    def _rows(
        self, dataset: str | None, space: str | None, recipe: str | None
    ) -> NDArray[np.intp] | None:
        """Canonical positions of the runs that match; None: all."""
        if dataset is None and space is None and recipe is None:
            return None
        if dataset is not None and dataset not in (known := [d.name for d in self.datasets]):
            raise unknown_name("dataset", dataset, known)
        if recipe is not None and recipe not in self.recipes:
            raise unknown_name("recipe", recipe, self.recipes)
        index = self._full_index()
        if space is not None and not np.any(index.space == space):
            raise unknown_name("space", space, set(index.space))
        match = np.ones(len(index), bool)
        for name, value in (("dataset", dataset), ("space", space), ("recipe", recipe)):
            if value is not None:
                match &= getattr(index, name) == value
        return np.flatnonzero(match)

    def _check_column(self, column: str) -> None:
        if column not in (known := curve_columns(self.metric)):
            raise unknown_name("curve column", column, known)

    def _fill(self, column: str, curves: NDArray[np.float32]) -> None:
        """All rows in their stored order, written where they belong as they are read."""
        at = 0
        for shard in self._shards:
            for batch in shard.batches(column):
                fill(curves[at : at + len(batch)], batch)
                at += len(batch)

    def _fill_selected(
        self, column: str, curves: NDArray[np.float32], stored: NDArray[np.intp]
    ) -> None:
        """Row ``i`` of ``curves`` is the stored row ``stored[i]``."""
        place = np.full(self.n_runs, -1, np.intp)
        place[stored] = np.arange(len(stored))
        at = 0
        for shard in self._shards:
            for batch in shard.batches(column):
                places = place[at : at + len(batch)]
                at += len(batch)
                kept = np.flatnonzero(places >= 0)
                if len(kept):
                    batch = (
                        batch if len(kept) == len(batch) else batch.take(to_array(kept, pa.int64()))
                    )
                    block = np.empty((len(kept), curves.shape[1]), np.float32)
                    fill(block, batch)
                    curves[places[kept]] = block


def orphans(folder: Folder, manifest: Manifest) -> list[str]:
    """Files that a killed writer left: in the folder, but not in the store."""
    named = {shard.file for shard in manifest.shards}
    return [
        name
        for name in folder.names()
        if (SHARD_FILE.fullmatch(name) and name not in named)
        or (name.startswith(".") and name.endswith(TEMPORARY_SUFFIX))
    ]


def _whole_manifest(folder: Folder) -> Manifest:
    """The manifest of a store whose shards are there."""
    manifest = read_manifest(folder)
    while (fault := _missing_shard(folder, manifest)) is not None:
        again = read_manifest(folder)
        if again == manifest:
            raise StoreError(fault)
        manifest = again  # a writer compacted the store in between
    return manifest


def _missing_shard(folder: Folder, manifest: Manifest) -> str | None:
    sizes = folder.sizes([shard.file for shard in manifest.shards])
    for shard, size in zip(manifest.shards, sizes, strict=True):
        path = folder.at(shard.file)
        if size is None:
            return f"Shard {path!r} of the store is missing; restore it from a copy."
        if size != shard.bytes:
            return (
                f"Shard {path!r} has {size} bytes; the manifest says {shard.bytes}. "
                "The file was cut short or replaced: restore it from a copy of the store."
            )
    return None


def _check_metric(metric: Metric) -> None:
    low, high = metric.bounds
    if not metric.name.isidentifier() or metric.name == "loss" or not low < high:
        raise InputError(
            f"Metric {metric.name!r} with bounds {metric.bounds} cannot be stored; expected a name "
            "of letters, digits and underscores (not 'loss', which would clash with the column "
            "train_loss: say 'cross_entropy'), and a lower bound below the upper."
        )


def _as_json(value: Mapping[str, Any], what: str) -> dict[str, Any]:
    """A mapping as it will be read back from the manifest."""
    try:
        text = json.dumps(dict(value), allow_nan=False, ensure_ascii=False)
        text.encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise InputError(
            f"The settings of {what} cannot be stored as JSON ({error}); expected texts, finite "
            "numbers, lists and mappings."
        ) from error
    restored: dict[str, Any] = json.loads(text)
    return restored


def _with_descriptions(
    manifest: Manifest, datasets: Sequence[Dataset], recipes: Mapping[str, dict[str, Any]]
) -> Manifest:
    """The manifest with these datasets and recipes too."""
    known = {dataset.name: dataset for dataset in manifest.datasets}
    for dataset in datasets:
        _check_dataset(dataset)
        before = known.setdefault(dataset.name, dataset)
        if not before.majority:  # it may be from before this was recorded
            before = dataclasses.replace(before, majority=dataset.majority)
        elif not dataset.majority:
            dataset = dataclasses.replace(dataset, majority=before.majority)
        if before == dataset:
            known[dataset.name] = dataset
        else:
            here, given = dataclasses.asdict(before), dataclasses.asdict(dataset)
            differ = [name for name in given if here[name] != given[name]]
            raise StoreError(
                f"Dataset {dataset.name!r} is in the store with "
                f"{', '.join(f'{name}={here[name]!r}' for name in differ)}, and now given with "
                f"{', '.join(f'{name}={given[name]!r}' for name in differ)}: its runs would not be "
                "comparable. Give one of them another name, or write into another store."
            )
    settings = dict(manifest.recipes)
    for name, recipe in recipes.items():
        if not isinstance(name, str) or not name:
            raise InputError(f"A recipe's name is {name!r}; expected a text.")
        if settings.setdefault(name, recipe) != recipe:
            raise StoreError(
                f"Recipe {name!r} is in the store as {settings[name]}, and now given as {recipe}; "
                "give the other one another name."
            )
    return dataclasses.replace(
        manifest, datasets=tuple(known.values()), recipes=tuple(settings.items())
    )


def _check_dataset(dataset: Dataset) -> None:
    for field in dataclasses.fields(dataset):
        value = getattr(dataset, field.name)
        if field.type == "str":
            good = isinstance(value, str) and (value != "" or field.name != "name")
        elif field.type == "int":
            good = isinstance(value, int) and 0 <= value < 2**63
        elif field.type == "float":
            good = isinstance(value, (int, float)) and 0 <= value <= 1
        else:
            good = isinstance(value, tuple) and all(isinstance(n, int) and n >= 0 for n in value)
        if not good:
            raise InputError(
                f"Dataset {dataset.name!r}: {field.name} is {value!r}; expected {field.type}"
                f"{', not empty' if field.name == 'name' else ''}."
            )


def _check_known(runs: Sequence[Run], manifest: Manifest) -> None:
    datasets = {dataset.name for dataset in manifest.datasets}
    recipes = {name for name, _ in manifest.recipes}
    for run in runs:
        for kind, name, known in (
            ("dataset", run.dataset, datasets),
            ("recipe", run.recipe, recipes),
        ):
            if name not in known:
                raise InputError(
                    f"A run names {kind} {name!r}, which the store does not have; pass it too: "
                    f"append(runs, {kind}s=...). Known: {', '.join(sorted(known)) or 'none'}."
                )


def _index_of(tables: Sequence[pa.Table]) -> RunIndex:
    """The index of these tables, one after the other."""
    columns: dict[str, Any] = {}
    kinds = {"seed": np.int64, "epochs": np.int32, "n_params": np.int64, "flops": np.int64}
    for name in _INDEX_COLUMNS:
        read = numbers if name in kinds else texts
        start = np.zeros(0, kinds.get(name, object))
        columns[name] = np.concatenate([start, *(read(table.column(name)) for table in tables)])
    return RunIndex(**columns)


def _ranks(values: NDArray[Any]) -> NDArray[np.intp]:
    return np.unique(values, return_inverse=True)[1]


def _plain(table: pa.Table, schema: pa.Schema) -> pa.Table:
    """The table with its text decoded."""
    return table.cast(schema)


def _named(key: RunKey) -> str:
    return "(" + ", ".join(f"{name} {value!r}" for name, value in key._asdict().items()) + ")"
