"""The firewall between a store's test values and every method, as code.

``check_fold(plan, target)`` looks at what a fold of any store hands to methods.
``check_holds_no_mark`` looks for marked values in all that can be reached from some objects.
"""

from __future__ import annotations

import functools
import types
from collections import deque
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from nassim.checks.worlds import small_world
from nassim.errors import LeakageError
from nassim.records import FloatArray, Run
from nassim.simulator import Replay
from nassim.store import Store
from nassim.studies.folds import Fold, FoldPlan, Sealed, load_fold

__all__ = ["check_fold", "check_holds_no_mark", "marked_fold"]


def check_fold(plan: FoldPlan, target: str) -> None:
    """What this fold hands to methods holds no test value and nothing else of the target.

    Raises
    ------
    LeakageError
        if a source is the target (or of its group, where groups are left out), if a disjoint pool
        shares an architecture with a source, or if a method could reach a test value.
    """
    fold = load_fold(plan, target)
    pool = {architecture.canonical_id for architecture in fold.table.architectures}
    for task in fold.sources.tasks:
        if task.dataset.name == target:
            raise LeakageError(f"The target {target!r} is among its own sources.")
        if plan.leave_out == "group" and task.dataset.group == fold.target.group:
            raise LeakageError(
                f"Source {task.dataset.name!r} is of group {task.dataset.group!r}, as the target "
                f"{target!r} is; expected other groups only."
            )
        common = pool & {architecture.canonical_id for architecture in task.architectures}
        if plan.pool == "disjoint" and common:
            raise LeakageError(
                f"Architecture {min(common)!r} is in the disjoint pool of {target!r} and in the "
                f"source {task.dataset.name!r}."
            )
    handed = {"sources": fold.sources, "table": fold.table, "replay": Replay(fold.table)}
    check_holds_no_mark(handed, frozenset(), fold.sealed.test)


def check_holds_no_mark(
    handed: Mapping[str, object], marks: frozenset[float], column: FloatArray | None = None
) -> None:
    """None of these objects leads to a marked value, to a sealed fold or to an open store.

    Parameters
    ----------
    handed
        Objects by their name; attributes, containers, closures and arrays are followed.
    marks
        Values (as float32) that occur nowhere else.
    column
        A column of values that need not be unique each: an array that holds it, whole, is a leak.

    Raises
    ------
    LeakageError
        naming the way that leads there.
    """
    doors = (Store, Sealed, Fold)
    wanted = np.array(sorted(marks), np.float32)
    for where, thing in _reachable(handed):
        if isinstance(thing, doors):
            raise LeakageError(
                f"{where} is a {type(thing).__name__}, behind which test values lie; hand methods "
                "sources and the view only."
            )
        values = _floats(thing)
        if values is None:
            continue
        if len(wanted) and np.isin(values, wanted).any():
            found = values[np.isin(values, wanted)][0]
            raise LeakageError(
                f"{where} holds the test value {found}; expected training and validation only."
            )
        if column is not None and _holds(values, column):
            raise LeakageError(
                f"{where} holds the target's test values; expected training and validation only."
            )


def marked_fold(folder: Path, seed: int) -> tuple[Fold, frozenset[float]]:
    """A fold of a new small store, and its test values, which occur nowhere else.

    Stores of different seeds differ in their test values only.
    """
    world = small_world(n=12, epochs=9)
    rng = np.random.default_rng(seed)
    store = Store.create(folder)
    tasks = (world.target, *world.sources.tasks)
    marks: list[float] = []
    runs = []
    for task in tasks:
        for k, architecture in enumerate(task.architectures):
            test = rng.random(task.lengths[k]).astype(np.float32)
            marks += test.tolist()
            runs.append(
                Run(
                    architecture.space,
                    architecture.id,
                    task.dataset.name,
                    "recipe",
                    seed=0,
                    canonical_id=architecture.canonical_id,
                    epochs=int(task.lengths[k]),
                    scores={"valid": task.curves[k].astype(np.float32), "test": test},
                    epoch_seconds=task.seconds[k].astype(np.float32),
                    n_params=int(task.n_params[k]),
                )
            )
    store.append(runs, datasets=[task.dataset for task in tasks], recipes={"recipe": {}})
    plan = FoldPlan(str(folder), store.sha, pool="all")
    fold = load_fold.__wrapped__(plan, world.target.dataset.name)  # a throwaway, not to be kept
    return fold, frozenset(marks)


def _holds(values: FloatArray, column: FloatArray) -> bool:
    """Whether a row or a column of an array is this column (NaN where not measured)."""
    wanted = column.astype(np.float32)
    if len(wanted) < 2 or np.unique(wanted[np.isfinite(wanted)]).size < 2:
        return False
    lines = values.reshape(values.shape[0], -1) if values.ndim else values.reshape(1, 1)
    if lines.shape[0] == len(wanted):
        same = (lines == wanted[:, None]) | (np.isnan(lines) & np.isnan(wanted[:, None]))
        return bool(same.all(axis=0).any())
    return False


def _floats(thing: object) -> FloatArray | None:
    """The numbers that an object is, as float32; None if it is no number."""
    if isinstance(thing, float):
        return np.array([thing], np.float32)
    if isinstance(thing, (np.ndarray, np.floating)) and thing.dtype.kind == "f":
        return np.asarray(thing, np.float32)
    if isinstance(thing, memoryview) and thing.format in ("f", "d"):
        return np.asarray(thing, np.float32)
    if isinstance(thing, (list, tuple)) and thing and all(isinstance(v, float) for v in thing):
        return np.array(thing, np.float32)
    return None


def _reachable(roots: Mapping[str, object]) -> Iterator[tuple[str, object]]:
    """Every object that can be reached from these, once, with the way that leads to it."""
    seen: dict[int, object] = {}  # keeps the objects, so that no id is used twice
    todo = deque(roots.items())
    while todo:
        where, thing = todo.popleft()  # the shortest way first
        if id(thing) in seen or isinstance(thing, (str, bytes, int, type, types.ModuleType)):
            continue
        seen[id(thing)] = thing
        yield where, thing
        todo.extend((where + step, part) for step, part in _parts(thing))


def _parts(thing: Any) -> Iterator[tuple[str, object]]:
    if isinstance(thing, Mapping):
        for key, value in list(thing.items()):
            yield f"[{key!r}]", value
            yield f" key {key!r}", key
    elif isinstance(thing, (list, tuple, set, frozenset)):
        if not all(isinstance(value, float) for value in thing):  # numbers are looked at as one
            yield from ((f"[{k}]", value) for k, value in enumerate(thing))
    elif isinstance(thing, np.ndarray):
        if thing.dtype == object:
            yield from ((f"[{k}]", value) for k, value in enumerate(thing.reshape(-1)))
        if isinstance(thing.base, np.ndarray):
            yield ".base", thing.base
    elif isinstance(thing, (pa.Table, pa.RecordBatch)):
        yield from ((f"[{name!r}]", thing[name]) for name in thing.schema.names)
    elif isinstance(thing, (pa.Array, pa.ChunkedArray)):
        yield ".to_pylist()", thing.to_pylist()
    elif isinstance(thing, functools.partial):
        yield from ((".func", thing.func), (".args", thing.args), (".keywords", thing.keywords))
    elif isinstance(thing, types.MethodType):
        yield from ((".__self__", thing.__self__), (".__func__", thing.__func__))
    elif isinstance(thing, types.GeneratorType):
        yield " (its variables)", dict(thing.gi_frame.f_locals) if thing.gi_frame else {}
    elif hasattr(thing, "detach") and hasattr(thing, "numpy"):  # a tensor
        yield ".numpy()", thing.detach().cpu().numpy()
    if isinstance(thing, types.FunctionType):
        yield ".__defaults__", thing.__defaults__
        yield ".__kwdefaults__", thing.__kwdefaults__
        for name, cell in zip(thing.__code__.co_freevars, thing.__closure__ or (), strict=True):
            try:
                yield f" (its {name})", cell.cell_contents
            except ValueError:  # not bound yet
                continue
    yield from ((f".{name}", value) for name, value in list(getattr(thing, "__dict__", {}).items()))
    for kind in type(thing).__mro__:
        slots = kind.__dict__.get("__slots__", ())
        for name in (slots,) if isinstance(slots, str) else slots:
            if hasattr(thing, name):
                yield f".{name}", getattr(thing, name)
