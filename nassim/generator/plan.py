"""What shall be trained: a TOML file, read to a list of wanted runs.

::

    [store]
    path = "."                      # a folder, relative to this file; or s3://bucket/folder

    [[recipe]]
    name = "small"
    epochs = 30                     # and any other field of Recipe

    [[grid]]                        # trained in this order
    space = "nasnet"
    datasets = ["digits", "mnist"]  # or paths of own data, relative to this file
    recipe = "small"
    count = 60                      # architectures a dataset
    unique = true                   # other architectures for each dataset; false: the same
    sample_seed = 1
    seeds = [0]

Instead of ``count``, ``unique`` and ``sample_seed`` a grid may have a list ``architectures``, or
the key ``every`` for all of a small space: ``every = "text"`` trains isomorphic cells apart,
``every = "class"`` the first of each class. ``space`` may have options, as in
``"nasbench101:vertices=5"``, which say what is sampled or listed.
"""

from __future__ import annotations

import dataclasses
import tomllib
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from nassim.datasets import DATASETS
from nassim.datasets.own import EXAMPLES, is_own, own_name, within
from nassim.errors import InputError, unknown_name
from nassim.generator.recipe import Recipe
from nassim.records import Architecture, RunKey
from nassim.spaces import get_space
from nassim.store import is_remote

__all__ = ["Grid", "Plan", "Wanted", "read_plan", "wanted_runs"]

EVERY = ("text", "class")  # what may be listed: texts, or classes of isomorphic architectures
_DRAWS = 100_000  # in vain, before a space counts as used up


@dataclass(frozen=True)
class Wanted:
    """One run to be trained."""

    architecture: Architecture
    dataset: str
    recipe: Recipe
    seed: int

    @property
    def key(self) -> RunKey:
        """The key of the run; own data is named by its file or folder."""
        dataset = own_name(self.dataset) if is_own(self.dataset) else self.dataset
        architecture = self.architecture
        return RunKey(architecture.space, architecture.id, dataset, self.recipe.id, self.seed)


@dataclass(frozen=True)
class Grid:
    """Architectures x datasets x seeds; see the module's text."""

    space: str
    datasets: tuple[str, ...]
    recipe: Recipe
    count: int = 0
    unique: bool = False
    sample_seed: int = 0
    seeds: tuple[int, ...] = (0,)
    architectures: tuple[str, ...] = ()
    every: str = ""


@dataclass(frozen=True)
class Plan:
    """A store and the grids that fill it, in order of priority."""

    store: Path | str  # text: the address of a remote folder
    grids: tuple[Grid, ...]


def read_plan(path: str | Path) -> Plan:
    """Read a plan.

    Raises
    ------
    InputError
        if the file is missing, no TOML, or a key is unknown, missing or of the wrong type: one
        line that names the key, its value and what was expected.
    """
    file = Path(path)
    try:
        content = tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(
            f"Plan {str(file)!r} cannot be read ({error.strerror}); expected a TOML file."
        ) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        text = " ".join(str(error).split())
        raise InputError(f"Plan {str(file)!r} is not TOML: {text}.") from error
    try:
        return _plan(content, file.parent)
    except InputError as error:
        raise type(error)(f"Plan {str(file)!r}: {error}") from error


def wanted_runs(plan: Plan) -> list[Wanted]:
    """All runs of a plan, each once, in the order in which they should be trained.

    Within a grid: seed by seed, architecture by architecture, and there round the datasets, so
    that a store that is not finished is balanced. The sample of a dataset depends on
    ``sample_seed`` and the dataset's name alone, and a larger ``count`` prolongs it.

    Raises
    ------
    InputError
        if a space has fewer different architectures than a grid asks for.
    """
    wanted: dict[RunKey, Wanted] = {}
    for grid in plan.grids:
        rounds = list(_rounds(grid))
        for seed in grid.seeds:
            for architectures in rounds:
                for dataset, architecture in zip(grid.datasets, architectures, strict=True):
                    run = Wanted(architecture, dataset, grid.recipe, seed)
                    wanted.setdefault(run.key, run)
    return list(wanted.values())


def _rounds(grid: Grid) -> Iterator[list[Architecture]]:
    """In each round, one architecture a dataset."""
    space = get_space(grid.space)
    if grid.architectures:
        for text in grid.architectures:
            yield [space.parse(text)] * len(grid.datasets)
        return
    if grid.every:
        listed: dict[str, Architecture] = {}
        for one in space.every():
            listed.setdefault(one.id if grid.every == "text" else one.canonical_id, one)
        for architecture in listed.values():
            yield [architecture] * len(grid.datasets)
        return
    names = grid.datasets if grid.unique else ("",)
    streams = [
        np.random.default_rng([grid.sample_seed, zlib.crc32(f"{grid.space} {name}".encode())])
        for name in names
    ]
    seen: set[str] = set()
    for _round in range(grid.count):
        drawn = []
        for stream in streams:
            for _draw in range(_DRAWS):
                architecture = space.sample(stream)
                if architecture.canonical_id not in seen:
                    break
            else:
                raise InputError(
                    f"Space {grid.space!r} gave {len(seen)} different architectures; the grid "
                    f"asks for {grid.count * len(streams)} (keys 'count', 'unique')."
                )
            seen.add(architecture.canonical_id)
            drawn.append(architecture)
        yield drawn if grid.unique else drawn * len(grid.datasets)


# --- from TOML to records -----------------------------------------------------------------------

_PLAN_KEYS: dict[str, Any] = {"store": dict, "recipe": list, "grid": list}
_GRID_KEYS: dict[str, Any] = {
    **dict.fromkeys(("space", "recipe", "every"), str),
    **dict.fromkeys(("count", "sample_seed"), int),
    "unique": bool,
    **dict.fromkeys(("datasets", "seeds", "architectures"), list),
}
_WORDS = {
    str: "a text in quotes",
    int: "a whole number",
    bool: "true or false",
    list: "a list in [brackets]",
    dict: "a table",
}


def _plan(content: Mapping[str, Any], folder: Path) -> Plan:
    _check(content, _PLAN_KEYS, ("store", "recipe", "grid"), "the file")
    _check(content["store"], {"path": str}, ("path",), "[store]")
    recipes: dict[str, Recipe] = {}
    for table in _tables(content["recipe"], "recipe"):
        known = {field.name: object for field in dataclasses.fields(Recipe)}
        _check(table, known, ("name", "epochs"), "[[recipe]]")
        recipe = Recipe(**table)
        if recipe.name in recipes:
            raise InputError(f"two [[recipe]] are named {recipe.name!r}; expected one.")
        recipes[recipe.name] = recipe
    grids = [_grid(table, recipes, folder) for table in _tables(content["grid"], "grid")]
    place = content["store"]["path"]
    return Plan(place if is_remote(place) else folder / place, tuple(grids))


def _grid(table: Mapping[str, Any], recipes: Mapping[str, Recipe], folder: Path) -> Grid:
    where = "[[grid]]"
    _check(table, _GRID_KEYS, ("space", "datasets", "recipe"), where)
    space = get_space(table["space"])
    if table["recipe"] not in recipes:
        raise unknown_name("recipe", table["recipe"], recipes)
    skeleton = recipes[table["recipe"]].skeleton
    if skeleton and not space.has_skeleton:
        raise InputError(
            f"recipe {table['recipe']!r} has key 'skeleton' {skeleton!r}, which is for spaces "
            f"'nasnet' and 'darts'; {where} trains {table['space']!r} by it."
        )
    values = dict(table)
    for key, kind in (("datasets", str), ("seeds", int), ("architectures", str)):
        if key in values:
            values[key] = _items(values[key], kind, f"key {key!r} of {where}")
    datasets = []
    for name in values["datasets"]:
        if name not in DATASETS and not is_own(name):
            raise unknown_name("dataset", name, [*DATASETS, *EXAMPLES])
        datasets.append(name if name in DATASETS else within(folder, name))
    values["datasets"] = tuple(datasets)
    values["recipe"] = recipes[table["recipe"]]
    given = [key for key in ("count", "architectures", "every") if key in table]
    if len(given) != 1:
        raise InputError(
            f"{where} has {' and '.join(map(repr, given)) or 'none'} of the keys 'count', "
            "'architectures' and 'every'; expected exactly one."
        )
    for key, least in (("count", 1), ("sample_seed", 0)):
        if values.get(key, least) < least:
            raise InputError(f"key {key!r} of {where} is {values[key]}; expected {least} or more.")
    for seed in values.get("seeds", ()):
        if seed < 0:
            raise InputError(f"key 'seeds' of {where} holds {seed}; expected 0 or more.")
    for text in values.get("architectures", ()):
        space.parse(text)
    if "every" in values:
        if values["every"] not in EVERY:
            raise InputError(
                f"key 'every' of {where} is {values['every']!r}; expected 'text' or 'class'."
            )
        space.every()  # refuses a space that is too large
    return Grid(**values)


def _tables(value: Sequence[Any], name: str) -> Sequence[Mapping[str, Any]]:
    if not value or not all(isinstance(table, dict) for table in value):
        raise InputError(f"key {name!r} is {value!r}; expected one or more [[{name}]] tables.")
    return value


def _items(values: Sequence[Any], kind: type, where: str) -> tuple[Any, ...]:
    for value in values:
        if type(value) is not kind:
            raise InputError(f"{where} holds {value!r}; expected {_WORDS[kind]}.")
    if not values or len(set(values)) < len(values):
        raise InputError(f"{where} is {list(values)}; expected one or more, each once.")
    return tuple(values)


def _check(
    table: Mapping[str, Any], kinds: Mapping[str, Any], needed: Sequence[str], where: str
) -> None:
    for key, value in table.items():
        if key not in kinds:
            raise unknown_name(f"key of {where}", key, kinds)
        kind = kinds[key]
        if kind is not object and type(value) is not kind:
            raise InputError(f"key {key!r} of {where} is {value!r}; expected {_WORDS[kind]}.")
    for key in needed:
        if key not in table:
            raise InputError(f"{where} has no key {key!r}; expected one.")
