"""Public tables into stores. A format is one file and one line in ``IMPORTERS``.

A reader ``read(path, **options) -> Imported`` only reads; :func:`import_into` writes, once, and
only after everything was read and checked.
"""

from __future__ import annotations

import inspect
import os
import shutil
from pathlib import Path
from typing import Any, cast

from nassim.errors import InputError, StoreError, unknown_name
from nassim.loading import load
from nassim.records import Dataset
from nassim.store import Store
from nassim.store.importers.base import Imported, Report, Split

__all__ = ["IMPORTERS", "Imported", "Report", "Split", "import_into", "read"]

IMPORTERS: dict[str, str] = {
    "nasbench201": "nassim.store.importers.nasbench201:read",
    "nats-bench": "nassim.store.importers.nats_bench:read",
    "table": "nassim.store.importers.table:read",
}


def import_into(
    format: str, path: str | Path | None, store_path: str | Path, **options: Any
) -> Report:
    """Read a public table and append its runs to a store, which is made if it is not there.

    All or nothing: on any error the store is as it was, or still not there.

    Parameters
    ----------
    format
        a name in ``IMPORTERS``.
    path
        what the format reads; ``None`` where it has a default (``nasbench201``).
    store_path
        the folder of the store.
    options
        the options of the format's ``read``; those that are ``None`` or empty do not count.

    Raises
    ------
    UnknownNameError
        if no format is called so.
    InputError
        if an option is unknown, the file is not as the format wants it, or the store is of
        another metric.
    DuplicateKeyError
        if a run is in the store already.
    """
    imported = read(format, path, **options)
    target = Path(store_path)
    if target.is_dir() and any(target.iterdir()):
        _append(Store.open(target), imported)
    else:
        _create(target, imported, imported.stamp(format))
    return Report.of(imported, format, "installed" if path is None else str(path), target)


def read(format: str, path: str | Path | None, **options: Any) -> Imported:
    """Read a public table, without a store.

    Raises
    ------
    UnknownNameError, InputError
        as :func:`import_into`.
    """
    if format not in IMPORTERS:
        raise unknown_name("format", format, IMPORTERS)
    reader = load(IMPORTERS[format])
    parameters = inspect.signature(reader).parameters
    given = {name: value for name, value in options.items() if not _is_empty(value)}
    for name in given:
        if name not in parameters or name == "path":
            accepted = ", ".join(other for other in parameters if other != "path")
            raise InputError(f"Format {format!r} has no option {name!r}; it takes: {accepted}.")
    if path is not None:
        given["path"] = path
    elif parameters["path"].default is inspect.Parameter.empty:
        raise InputError(f"Format {format!r} needs the path of what it reads; give one.")
    return cast(Imported, reader(**given))


def _is_empty(value: object) -> bool:
    return value is None or (isinstance(value, (str, tuple, list, dict, set)) and not value)


def _append(store: Store, imported: Imported) -> None:
    if store.metric != imported.metric:
        raise InputError(
            f"The store {store.name!r} holds {store.metric.name}, this table holds "
            f"{imported.metric.name}; import it into another store, or pass the right --metric."
        )
    known = {dataset.name for dataset in store.datasets}
    # a table knows nothing of a dataset but its name: what the store knows of it stands
    datasets = [
        dataset
        for dataset in imported.datasets
        if dataset.name not in known or dataset != Dataset(dataset.name, dataset.name)
    ]
    store.append(imported.runs, datasets=datasets, recipes=imported.recipes)


def _create(target: Path, imported: Imported, stamp: dict[str, object]) -> None:
    """A new store, made beside its place and moved there when it is complete."""
    aside = target.absolute().parent / f".{target.name}.importing-{os.getpid()}"
    try:
        store = Store.create(aside, imported.metric, stamp)
        _append(store, imported)
        os.rename(aside, target)  # over an empty folder, too; never over a full one
    except OSError as error:
        raise StoreError(
            f"The store {str(target)!r} cannot be written: {error.strerror or error}; expected a "
            "new or empty folder on a disk with room."
        ) from error
    finally:
        shutil.rmtree(aside, ignore_errors=True)
