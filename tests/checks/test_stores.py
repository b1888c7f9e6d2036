"""The firewall's checks find a test value wherever it hides, and nothing where there is none."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from nassim.checks import stores
from nassim.checks.stores import check_fold, check_holds_no_mark, marked_fold
from nassim.errors import LeakageError
from nassim.records import FloatArray
from nassim.simulator import Replay
from nassim.store import Store
from nassim.studies.folds import Fold, FoldPlan, load_fold

MARK = 0.123456
MARKS = frozenset([float(np.float32(MARK))])
WEAK = np.array([0.5, MARK, 0.7])


class Holder:
    def __init__(self, thing: object) -> None:
        self.thing = thing

    def method(self) -> object:
        return self.thing


class Slotted:
    __slots__ = ("thing",)

    def __init__(self, thing: object) -> None:
        self.thing = thing


def closure(thing: object) -> Callable[[], object]:
    return lambda: thing


def generator(thing: object) -> Any:
    waiting = (thing for _ in range(2))
    next(waiting)
    return waiting


def with_default(thing: Any) -> Callable[[], object]:
    def function(hidden: object = thing) -> object:
        return hidden

    return function


def tensor(thing: FloatArray) -> Any:
    torch = pytest.importorskip("torch")
    return torch.nn.Parameter(torch.tensor(thing))


HIDING_PLACES: dict[str, Callable[[Any], object]] = {
    "an array": lambda v: v,
    "an array of float32": lambda v: v.astype(np.float32),
    "a part of an array": lambda v: np.concatenate([v, v])[:1],
    "an array of objects": lambda v: np.array([None, v], object),
    "a number": lambda v: float(v[1]),
    "a numpy number": lambda v: v[1],
    "a list": lambda v: v.tolist(),
    "a dict": lambda v: {"a": v},
    "a key": lambda v: {v[1]: 0},
    "a set": lambda v: {v[1], "text"},
    "an attribute": Holder,
    "a slot": Slotted,
    "a closure": closure,
    "a default": with_default,
    "a bound method": lambda v: Holder(v).method,
    "a partial": lambda v: functools.partial(print, v),
    "a keyword of a partial": lambda v: functools.partial(print, end=v),
    "a generator": generator,
    "a memory view": memoryview,
    "an Arrow table": lambda v: pa.table({"column": v}),
    "a tensor": tensor,
    "deep inside": lambda v: [{"a": (Holder(closure(Slotted([v]))),)}],
}


@pytest.mark.parametrize("place", HIDING_PLACES)
def test_a_mark_is_found_wherever_it_hides(place: str) -> None:
    with pytest.raises(LeakageError, match=r"thing.* holds the test value 0.12345"):
        check_holds_no_mark({"thing": HIDING_PLACES[place](WEAK)}, MARKS)
    check_holds_no_mark({"thing": HIDING_PLACES[place](np.array([0.5, 0.6, 0.7]))}, MARKS)


def test_the_way_to_a_mark_is_named() -> None:
    with pytest.raises(LeakageError, match=r"^sources\['a'\]\[1\]\.thing holds the test value"):
        check_holds_no_mark({"sources": {"a": [0, Holder(WEAK)]}}, MARKS)


def test_a_whole_column_is_found_where_its_values_are_not_marked() -> None:
    column = np.array([0.5, np.nan, 0.7])
    for hiding in (column, np.stack([np.zeros(3), column], axis=1), column.tolist()):
        with pytest.raises(LeakageError, match="holds the target's test values"):
            check_holds_no_mark({"table": hiding}, frozenset(), column)
    for other in (column[::-1].copy(), column[:2].copy(), np.full(3, 0.5)):
        check_holds_no_mark({"table": other}, frozenset(), column)
    never = np.full(3, np.nan)  # nothing was measured, so nothing can leak
    check_holds_no_mark({"table": never}, frozenset(), never)


def test_loops_come_to_an_end() -> None:
    ring: list[object] = []
    ring.append(ring)
    holder = Holder(ring)
    ring.append(holder)
    check_holds_no_mark({"ring": ring}, MARKS)


def test_a_marked_fold_is_clean_but_its_store_is_a_door(tmp_path: Path) -> None:
    fold, marks = marked_fold(tmp_path / "marked", seed=0)
    assert len(marks) == 3 * 12 * 9  # every test value of every run
    handed: dict[str, object] = {
        "sources": fold.sources,
        "table": fold.table,
        "replay": Replay(fold.table),
    }
    check_holds_no_mark(handed, marks)
    assert set(fold.sealed.test.astype(np.float32).tolist()) <= marks
    for door in (fold, fold.sealed, Store.open(tmp_path / "marked")):
        with pytest.raises(LeakageError, match=f"thing is a {type(door).__name__}, behind which"):
            check_holds_no_mark({"thing": door}, frozenset())


def test_marked_folds_differ_in_test_values_only(tmp_path: Path) -> None:
    (one, marks), (two, others) = (marked_fold(tmp_path / str(seed), seed) for seed in (1, 2))
    assert not marks & others
    assert np.array_equal(one.table.values, two.table.values)
    assert np.array_equal(one.table.cumulative, two.table.cumulative)


# --- folds of a store --------------------------------------------------------------------------

PLANS: list[dict[str, Any]] = [
    {"pool": "disjoint"},
    {"pool": "shared"},
    {"pool": "all"},
    {"pool": "all", "leave_out": "group"},
    {"pool": "all", "quality": "final", "size": 3},
]


@pytest.mark.parametrize("options", PLANS, ids=str)
@pytest.mark.parametrize("target", ["clothes", "digits", "letters"])
def test_folds_are_sound(tiny_store: Path, options: dict[str, Any], target: str) -> None:
    check_fold(FoldPlan(str(tiny_store), Store.open(tiny_store).sha, **options), target)


def doctored(fold: Fold, **changes: Any) -> Fold:
    return dataclasses.replace(fold, **changes)


def with_target_among_sources(fold: Fold) -> Fold:
    itself = dataclasses.replace(fold.sources.tasks[0], dataset=fold.target)
    return doctored(fold, sources=dataclasses.replace(fold.sources, tasks=(itself,)))


def with_shared_architecture(fold: Fold) -> Fold:
    task = fold.sources.tasks[0]
    task = dataclasses.replace(task, architectures=fold.table.architectures)
    return doctored(fold, sources=dataclasses.replace(fold.sources, tasks=(task,)))


def with_test_column(fold: Fold) -> Fold:
    fold.table.extra = fold.sealed.test  # type: ignore[attr-defined]
    return fold


def with_test_as_curves(fold: Fold) -> Fold:
    task = dataclasses.replace(fold.sources.tasks[0], curves=fold.sealed.test[:, None])
    return doctored(fold, sources=dataclasses.replace(fold.sources, tasks=(task,)))


def with_itself(fold: Fold) -> Fold:
    fold.table.fold = fold  # type: ignore[attr-defined]
    return fold


@pytest.mark.parametrize(
    ("culprit", "message"),
    [
        (with_target_among_sources, "The target 'clothes' is among its own sources"),
        (with_shared_architecture, "is in the disjoint pool of 'clothes' and in the source"),
        (with_test_column, r"table\.extra holds the target's test values"),
        (with_test_as_curves, r"sources\.tasks\[0\]\.curves holds the target's test values"),
        (with_itself, r"table\.fold is a Fold, behind which test values lie"),
    ],
)
def test_a_doctored_fold_is_refused(
    tiny_store: Path,
    monkeypatch: pytest.MonkeyPatch,
    culprit: Callable[[Fold], Fold],
    message: str,
) -> None:
    def broken(plan: FoldPlan, target: str) -> Fold:
        return culprit(load_fold.__wrapped__(plan, target))

    monkeypatch.setattr(stores, "load_fold", broken)
    with pytest.raises(LeakageError, match=message):
        check_fold(FoldPlan(str(tiny_store), Store.open(tiny_store).sha), "clothes")


def test_a_relative_of_the_target_is_no_source_where_groups_are_left_out(
    tiny_store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = FoldPlan(str(tiny_store), Store.open(tiny_store).sha, pool="all")
    careless = load_fold(plan, "digits")  # has letters, of the same group
    monkeypatch.setattr(stores, "load_fold", lambda plan, target: careless)
    with pytest.raises(LeakageError, match="Source 'letters' is of group 'writing', as the target"):
        check_fold(dataclasses.replace(plan, leave_out="group"), "digits")
