"""``manifest.json``: what a store consists of. Whatever it does not name is not in the store."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
import re
from dataclasses import dataclass
from typing import Any

from nassim.errors import StoreError
from nassim.records import Dataset, Metric
from nassim.store.folders import Folder
from nassim.store.schema import SCHEMA_VERSION

__all__ = ["MANIFEST_FILE", "SHARD_FILE", "Manifest", "Shard", "read_manifest", "write_manifest"]

MANIFEST_FILE = "manifest.json"
LATER_FIELDS = {"majority"}  # of a dataset, which older stores do not have
SHARD_FILE = re.compile(r"runs-[0-9a-f]{16}\.parquet")


@dataclass(frozen=True)
class Shard:
    """A Parquet file of a store. ``content`` is ``schema.digest`` of its runs, in hex."""

    file: str
    rows: int
    bytes: int
    sha256: str
    content: str


@dataclass(frozen=True)
class Manifest:
    """What a store is: its metric, datasets, recipes and shards. Not named here: not there."""

    metric: Metric
    datasets: tuple[Dataset, ...] = ()
    recipes: tuple[tuple[str, dict[str, Any]], ...] = ()
    importer: dict[str, Any] | None = None
    shards: tuple[Shard, ...] = ()

    @property
    def n_runs(self) -> int:
        return sum(shard.rows for shard in self.shards)

    @property
    def sha(self) -> str:
        """The identity of the content: metric, datasets, recipes and runs, in any order."""
        described = to_json(dataclasses.replace(self, importer=None, shards=()))
        described["datasets"].sort(key=lambda dataset: dataset["name"])
        described["recipes"].sort(key=lambda recipe: recipe["name"])
        described["runs"] = self.n_runs
        described["content"] = f"{sum(int(s.content, 16) for s in self.shards) % 2**256:064x}"
        return hashlib.sha256(json.dumps(described, sort_keys=True).encode()).hexdigest()


def to_json(manifest: Manifest) -> dict[str, Any]:
    """A manifest as it is written; an infinite bound is ``None``."""
    bounds = [bound if math.isfinite(bound) else None for bound in manifest.metric.bounds]
    return {
        "schema_version": SCHEMA_VERSION,
        "metric": {
            "name": manifest.metric.name,
            "higher_is_better": manifest.metric.higher_is_better,
            "bounds": bounds,
        },
        "datasets": [_dataset_to_json(dataset) for dataset in manifest.datasets],
        "recipes": [{"name": name, "settings": settings} for name, settings in manifest.recipes],
        "importer": manifest.importer,
        "shards": [dataclasses.asdict(shard) for shard in manifest.shards],
    }


def _dataset_to_json(dataset: Dataset) -> dict[str, Any]:
    """Without what is not known of it: a store from before a field has the same sha after it."""
    content = dataclasses.asdict(dataset) | {"shape": list(dataset.shape)}
    return {name: value for name, value in content.items() if value or name not in LATER_FIELDS}


def write_manifest(folder: Folder, manifest: Manifest) -> None:
    """Replace the manifest; that is the moment at which the store changes."""
    text = json.dumps(to_json(manifest), indent=1, ensure_ascii=False, allow_nan=False)
    folder.write(MANIFEST_FILE, (text + "\n").encode())


def read_manifest(folder: Folder) -> Manifest:
    """The manifest of a store.

    Raises
    ------
    StoreError
        if the folder is not a store, its manifest is damaged, or a newer nassim wrote it.
    """
    path = folder.at(MANIFEST_FILE)
    try:
        content = json.loads(folder.read(MANIFEST_FILE))
        json.dumps(content, ensure_ascii=False).encode()  # no half characters
    except (FileNotFoundError, NotADirectoryError) as error:
        raise StoreError(_no_manifest(folder)) from error
    except OSError as error:
        reason = error.strerror or _one_line(error)[:200].rstrip(".")
        raise StoreError(f"{path!r} cannot be read: {reason}.") from error
    except (ValueError, RecursionError) as error:
        raise _damaged(path, f"it is not JSON ({_one_line(error)})") from error
    return _Reader(path).manifest(content)


def _no_manifest(folder: Folder) -> str:
    place = folder.place
    if isinstance(place, str):
        return f"No store is at {place!r}: it has no {MANIFEST_FILE}; check the address."
    if not place.exists():
        return (
            f"No store is at {str(place)!r}: nothing is there; 'nassim stores' lists those known."
        )
    if not place.is_dir():
        return (
            f"{str(place)!r} is a file, not a store; expected a folder with a {MANIFEST_FILE}. "
            "'nassim import' makes a store of a table."
        )
    return (
        f"{str(place)!r} is not a store: it has no {MANIFEST_FILE}; name a folder that nassim "
        "made, or make one with 'nassim generate' or 'nassim import'."
    )


def _damaged(path: str, fault: str) -> StoreError:
    return StoreError(f"{path!r} is damaged: {fault}; restore the file from a copy of the store.")


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split())


class _Reader:
    """Reads a manifest with every type checked; a fault is a StoreError that says where."""

    def __init__(self, path: str) -> None:
        self._path = path

    def manifest(self, content: Any) -> Manifest:
        whole = self._fields(
            content,
            "the manifest",
            {"schema_version": int, "metric": dict, "datasets": list, "recipes": list}
            | {"importer": (dict, type(None)), "shards": list},
        )
        return Manifest(
            self._metric(whole["metric"]),
            self._unique("dataset", [self._dataset(entry) for entry in whole["datasets"]]),
            self._recipes(whole["recipes"]),
            whole["importer"],
            tuple(self._shard(entry) for entry in whole["shards"]),
        )

    def _fields(self, content: Any, where: str, kinds: dict[str, Any]) -> dict[str, Any]:
        if not isinstance(content, dict):
            raise _damaged(self._path, f"{where} is {_short(content)}, expected an object")
        version = content.get("schema_version") if where == "the manifest" else None
        if isinstance(version, int) and version > SCHEMA_VERSION:
            raise StoreError(
                f"{self._path!r} has schema version {version}; this nassim reads up to "
                f"{SCHEMA_VERSION}: upgrade nassim."
            )
        for name, kind in kinds.items():
            if name not in content:
                raise _damaged(self._path, f"{where} has no {name!r}")
            value = content[name]
            if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
                raise _damaged(self._path, f"{name!r} of {where} is {_short(value)}")
        for name in content:
            if name not in kinds:
                raise _damaged(self._path, f"{where} has an unknown field {name!r}")
        if "schema_version" in kinds and content["schema_version"] < 1:
            raise _damaged(self._path, f"'schema_version' is {content['schema_version']}")
        return content

    def _metric(self, content: Any) -> Metric:
        kinds = {"name": str, "higher_is_better": bool, "bounds": list}
        metric = self._fields(content, "the metric", kinds)
        bounds = metric["bounds"]
        numeric = [b for b in bounds if b is None or (_is_number(b) and math.isfinite(b))]
        name_fits = metric["name"].isidentifier() and metric["name"] != "loss"
        if len(bounds) != 2 or len(numeric) != 2 or not name_fits:
            raise _damaged(self._path, f"the metric is {_short(metric)}")
        low = -math.inf if bounds[0] is None else float(bounds[0])
        high = math.inf if bounds[1] is None else float(bounds[1])
        if not low < high:
            raise _damaged(self._path, f"the metric's bounds are {_short(bounds)}")
        return Metric(metric["name"], metric["higher_is_better"], (low, high))

    def _dataset(self, content: Any) -> Dataset:
        kinds: dict[str, Any] = {
            field.name: {"str": str, "int": int, "float": (int, float)}.get(str(field.type), list)
            for field in dataclasses.fields(Dataset)
            if field.name not in LATER_FIELDS
            or (isinstance(content, dict) and field.name in content)
        }
        entry = self._fields(content, "a dataset", kinds)
        sizes = [*entry["shape"], *(entry[name] for name, kind in kinds.items() if kind is int)]
        is_share = 0 <= entry.get("majority", 0) <= 1
        if not entry["name"] or not is_share or any(not _is_count(size) for size in sizes):
            raise _damaged(self._path, f"a dataset is {_short(entry)}")
        return Dataset(**(entry | {"shape": tuple(entry["shape"])}))

    def _recipes(self, content: list[Any]) -> tuple[tuple[str, dict[str, Any]], ...]:
        kinds = {"name": str, "settings": dict}
        recipes = [self._fields(entry, "a recipe", kinds) for entry in content]
        return self._unique("recipe", [(entry["name"], entry["settings"]) for entry in recipes])

    def _shard(self, content: Any) -> Shard:
        kinds = {"file": str, "rows": int, "bytes": int, "sha256": str, "content": str}
        entry = self._fields(content, "a shard", kinds)
        plain = SHARD_FILE.fullmatch(entry["file"]) is not None
        sums = all(_is_sha(entry[name]) for name in ("sha256", "content"))
        if not (plain and sums and _is_count(entry["rows"]) and _is_count(entry["bytes"])):
            raise _damaged(self._path, f"a shard is {_short(entry)}")
        return Shard(**entry)

    def _unique(self, kind: str, entries: list[Any]) -> tuple[Any, ...]:
        names = [entry[0] if isinstance(entry, tuple) else entry.name for entry in entries]
        for name in names:
            if names.count(name) > 1:
                raise _damaged(self._path, f"{kind} {name!r} is listed twice")
        return tuple(entries)


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) < 1e300


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**63


def _is_sha(text: str) -> bool:
    return len(text) == 64 and set(text) <= set("0123456789abcdef")


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 120 else text[:117] + "..."
