"""Whether a store on disk is sound: what was written, and nothing that the door would refuse."""

from __future__ import annotations

import hashlib
import itertools
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from nassim.errors import InputError, StoreError
from nassim.records import STATUSES, RunKey
from nassim.store.folders import Folder, folder_at
from nassim.store.manifest import Manifest, Shard, read_manifest
from nassim.store.schema import (
    KEY_COLUMNS,
    SPLITS,
    canonical_id,
    curve_columns,
    digest,
    has_finite,
    list_parts,
    numbers,
    range_faults,
    texts,
    to_runs,
)
from nassim.store.shards import ShardReader, reading
from nassim.store.store import orphans

__all__ = ["notes", "verify"]

_SHOWN = 5  # faults of one kind in one shard


def verify(path: str | Path) -> list[str]:
    """The faults of a store, one line each; none if it is sound.

    Checks the manifest, each shard's hash, schema and row count, and of each run: key, order
    and duplicates, status and reason, lengths and ranges of its curves (seconds above 0, so
    that time runs forward), dataset and recipe, canonical id. Reads everything.
    """
    try:
        folder = folder_at(path)
        manifest = read_manifest(folder)
    except StoreError as error:
        return [str(error)]
    faults: list[str] = []
    first_seen: dict[RunKey, str] = {}
    for shard in manifest.shards:
        try:
            _check_bytes(folder, shard)
            table = ShardReader(folder, shard, manifest.metric).read(None)
            with reading(folder.at(shard.file)):
                faults += _content_faults(shard, table, manifest, first_seen)
        except InputError as error:
            faults.append(str(error))
    return faults


def notes(path: str | Path) -> list[str]:
    """What is worth knowing of a store and no fault: files that a killed writer left."""
    folder = folder_at(path)
    return [
        f"{name} is not part of the store (a writer was stopped); compacting removes it."
        for name in orphans(folder, read_manifest(folder))
    ]


def _check_bytes(folder: Folder, shard: Shard) -> None:
    with reading(folder.at(shard.file)), folder.open(shard.file) as file:
        size = file.seek(0, os.SEEK_END)
        if size != shard.bytes:
            raise StoreError(
                f"{shard.file}: {size} bytes, the manifest says {shard.bytes}; restore the file."
            )
        file.seek(0)
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    if sha256 != shard.sha256:
        raise StoreError(
            f"{shard.file}: its SHA-256 is {sha256[:16]}..., the manifest says "
            f"{shard.sha256[:16]}...; the file was changed: restore it from a copy."
        )


def _content_faults(
    shard: Shard, table: pa.Table, manifest: Manifest, first_seen: dict[RunKey, str]
) -> list[str]:
    table = table.combine_chunks()
    keys = [
        RunKey(*row)
        for row in zip(
            *(texts(table.column(name)).tolist() for name in KEY_COLUMNS[:-1]),
            numbers(table.column("seed")).tolist(),
            strict=True,
        )
    ]
    checks = [
        _key_faults(shard, keys, manifest, first_seen),
        _scalar_faults(table, keys),
        _curve_faults(table, manifest),
    ]
    faults: list[str] = []
    for check in checks:
        found = list(itertools.islice(check, _SHOWN + 1))
        faults += [
            f"{shard.file} row {row} {_named(keys[row])}: {fault}" for row, fault in found[:_SHOWN]
        ]
        if len(found) > _SHOWN:
            faults.append(f"{shard.file}: and more of this kind.")
    if not faults and f"{digest(to_runs(table, manifest.metric)):064x}" != shard.content:
        faults.append(f"{shard.file}: its content hash is not the manifest's; restore both files.")
    return faults


def _key_faults(
    shard: Shard, keys: Sequence[RunKey], manifest: Manifest, first_seen: dict[RunKey, str]
) -> Iterator[tuple[int, str]]:
    datasets = {dataset.name for dataset in manifest.datasets}
    recipes = {name for name, _ in manifest.recipes}
    for row, key in enumerate(keys):
        if "" in key[:-1]:
            yield row, "an empty name in its key."
        if key.dataset not in datasets:
            yield row, f"dataset {key.dataset!r} is not described in the manifest."
        if key.recipe not in recipes:
            yield row, f"recipe {key.recipe!r} is not described in the manifest."
        if row and key < keys[row - 1]:
            yield row, "out of order; a shard is sorted by key."
        here = f"{shard.file} row {row}"
        if (first := first_seen.setdefault(key, here)) != here:
            yield row, f"the same key as {first}."


def _scalar_faults(table: pa.Table, keys: Sequence[RunKey]) -> Iterator[tuple[int, str]]:
    epochs = numbers(table.column("epochs")).tolist()
    statuses, reasons = (texts(table.column(name)).tolist() for name in ("status", "reason"))
    for row, (status, reason, count) in enumerate(zip(statuses, reasons, epochs, strict=True)):
        if status not in STATUSES:
            yield row, f"status {status!r}; expected one of {', '.join(STATUSES)}."
        elif status != "ok" and not reason:
            yield row, f"status {status!r} without a reason."
        elif status == "ok" and count == 0:
            yield row, "status 'ok' with 0 epochs."
    for name in ("epochs", "n_params", "flops"):
        for at in np.flatnonzero(numbers(table.column(name)) < 0):
            yield int(at), f"{name} below 0."
    known: dict[tuple[str, str], str] = {}
    for row, (key, found) in enumerate(
        zip(keys, texts(table.column("canonical_id")).tolist(), strict=True)
    ):
        point = (key.space, key.architecture)
        if point not in known:
            try:
                known[point] = canonical_id(*point) or found
            except InputError as error:
                yield row, str(error)
                known[point] = found
        if found != known[point] or not found:
            yield row, f"canonical_id {found!r}; expected {known[point]!r}."


def _curve_faults(table: pa.Table, manifest: Manifest) -> Iterator[tuple[int, str]]:
    epochs = numbers(table.column("epochs"))
    shown = np.zeros(len(table), bool)
    scores = {manifest.metric.column(split) for split in SPLITS if split != "train"}
    for column in curve_columns(manifest.metric):
        offsets, values = _lists(table.column(column))
        lengths = np.diff(offsets)
        for row in np.flatnonzero((lengths != 0) & (lengths != epochs)):
            yield int(row), f"{column} has {lengths[row]} entries for {epochs[row]} epochs."
        for at, fault in range_faults(column, values, manifest.metric):
            row = np.searchsorted(offsets, at, side="right") - 1
            yield int(row), f"{column} at epoch {at - offsets[row] + 1} is {fault}"
        if column in scores:
            shown |= has_finite(offsets, values)
    statuses = texts(table.column("status"))
    for row in np.flatnonzero((statuses == "ok") & ~shown):
        yield int(row), f"status 'ok' without any {manifest.metric.name}."


def _lists(column: pa.ChunkedArray) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    if column.num_chunks == 0:
        return np.zeros(1, np.int32), np.zeros(0, np.float32)
    return list_parts(column.combine_chunks())


def _named(key: RunKey) -> str:
    return f"({key.architecture!r} on {key.dataset!r}, recipe {key.recipe!r}, seed {key.seed})"
