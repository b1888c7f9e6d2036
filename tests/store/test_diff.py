"""What differs between two stores: every result counts, seconds and the machine do not."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nassim.errors import InputError
from nassim.records import Dataset, Metric, Run
from nassim.store import Store
from nassim.store.diff import SHOWN, StoreDiff, diff, diff_text, verdict

MakeRun = Callable[..., Run]


@pytest.fixture
def store_of(tmp_path: Path, descriptions: dict[str, Any]) -> Callable[..., Store]:
    """Makes a store of these runs."""
    made: list[Store] = []

    def make(*runs: Run, **changes: Any) -> Store:
        store = Store.create(tmp_path / f"store{len(made)}")
        made.append(store)
        store.append(runs, **(descriptions | changes))
        return store

    return make


def counts(found: StoreDiff, dataset: str = "digits") -> tuple[int, ...]:
    (each,) = (each for each in found.datasets if each.dataset == dataset)
    return dataclasses.astuple(each)[1:]


def test_a_store_equals_its_copy_in_any_order_and_any_shards(
    store: Store, store_of: Callable[..., Store], runs: list[Run]
) -> None:
    found = diff(store, store_of(*reversed(runs)))
    assert found.equal
    assert [each.same for each in found.datasets] == [
        sum(run.dataset == name for run in runs) for name in ("circles", "digits")
    ]
    assert verdict(found) == "The stores hold the same results."


def test_runs_that_one_store_lacks(store_of: Callable[..., Store], make_run: MakeRun) -> None:
    first = store_of(make_run("a"), make_run("b"), make_run("c", dataset="circles"))
    second = store_of(make_run("b"), make_run("d"), make_run("e"))
    found = diff(first, second)
    assert counts(found) == (1, 2, 1, 0, 0)
    assert counts(found, "circles") == (1, 0, 0, 0, 0)
    assert not found.equal
    assert verdict(found) == (
        "The stores differ: 2 runs only in the first, 2 runs only in the second."
    )


@pytest.mark.parametrize(
    ("changes", "columns"),
    [
        ({"scores": {"valid": np.array([0.1, 0.2, 0.3, 0.5], np.float32)}}, ("valid_accuracy",)),
        ({"scores": {"valid": np.array([0.1, 0.2, np.nan, 0.4], np.float32)}}, ("valid_accuracy",)),
        ({"train_loss": np.array([3, 2, 1, 0.5], np.float32)}, ("train_loss",)),
        ({"n_params": 7}, ("n_params",)),
        ({"flops": 9}, ("flops",)),
        ({"canonical_id": "another"}, ("canonical_id",)),
        ({"status": "diverged", "reason": "loss is not finite"}, ("status", "reason")),
    ],
)
def test_every_result_counts(
    store_of: Callable[..., Store],
    make_run: MakeRun,
    changes: dict[str, Any],
    columns: tuple[str, ...],
) -> None:
    fields: dict[str, Any] = {
        "scores": {"valid": np.array([0.1, 0.2, 0.3, 0.4], np.float32)},
        "train_loss": np.array([3, 2, 1, 0], np.float32),
    }
    before, after = make_run("a", **fields), make_run("a", **(fields | changes))
    found = diff(store_of(before, make_run("b")), store_of(after, make_run("b")))
    assert counts(found) == (0, 0, 1, 0, 1)
    (run,) = found.changed
    assert run.key.architecture == "a"
    assert run.columns == columns
    assert run.ends[0] == pytest.approx(0.4)
    assert not found.equal


def test_the_length_of_a_run_counts(store_of: Callable[..., Store], make_run: MakeRun) -> None:
    whole = make_run("a")
    ends = {name: getattr(whole, name)[:3] for name in ("epoch_seconds", "train_loss")}
    valid = whole.scores["valid"][:3]
    short = dataclasses.replace(whole, epochs=3, scores={"valid": valid}, **ends)
    (run,) = diff(store_of(whole), store_of(short)).changed
    assert run.columns == ("epochs", "train_loss", "valid_accuracy")


def test_seconds_and_the_machine_do_not(store_of: Callable[..., Store], make_run: MakeRun) -> None:
    again = make_run(
        epoch_seconds=np.full(4, 9, np.float32), device="cuda", created_at="2030-01-01"
    )
    found = diff(store_of(make_run()), store_of(again))
    assert counts(found) == (0, 0, 1, 1, 0)
    assert found.equal


def test_what_is_said_of_datasets_and_recipes(
    store_of: Callable[..., Store], make_run: MakeRun
) -> None:
    one = {"datasets": (Dataset("digits", "digits", sha256="0" * 64, classes=10),)}
    two = {
        "datasets": (Dataset("digits", "digits", sha256="1" * 64), Dataset("hills", "hills")),
        "recipes": {"quick": {"lr": 0.2, "epochs": 4}, "long": {"lr": 0.01, "epochs": 8}},
    }
    found = diff(store_of(make_run(), **one), store_of(make_run(), **two))
    assert found.descriptions == (
        "Only the second store has dataset 'hills'.",
        "Dataset 'digits' differs: sha256 '000000000000' and '111111111111'.",  # classes: unknown
        "Recipe 'quick' is {'lr': 0.1, 'epochs': 4} and {'lr': 0.2, 'epochs': 4}.",
    )
    assert not found.equal
    assert found.descriptions[0] in diff_text(found)


def test_runs_that_failed_or_never_began(store_of: Callable[..., Store], make_run: MakeRun) -> None:
    failed = make_run("a", epochs=0, scores={}, status="oom", reason="8 GB")
    assert diff(store_of(failed), store_of(failed)).equal
    (run,) = diff(store_of(failed), store_of(make_run("a"))).changed
    assert run.status == ("oom", "ok")
    assert np.isnan(run.ends[0])
    assert 0 < run.ends[1] < 1


def test_empty_stores(store_of: Callable[..., Store], make_run: MakeRun) -> None:
    found = diff(store_of(), store_of())
    assert found.equal
    assert diff_text(found) == "Neither store has a run."
    assert counts(diff(store_of(), store_of(make_run()))) == (0, 1, 0, 0, 0)


def test_a_metric_is_not_compared_with_another(
    tmp_path: Path, store_of: Callable[..., Store]
) -> None:
    other = Store.create(tmp_path / "other", Metric("perplexity", False, (0.0, np.inf)))
    with pytest.raises(InputError, match=r"accuracy and .* perplexity; expected two stores of one"):
        diff(store_of(), other)


def test_a_long_list_is_cut(store_of: Callable[..., Store], make_run: MakeRun) -> None:
    n = SHOWN + 2
    first = store_of(*(make_run(f"net{k:02}") for k in range(n)))
    second = store_of(*(make_run(f"net{k:02}", n_params=0) for k in range(n)))
    text = diff_text(diff(first, second))
    assert text.count("n_params differ; net") == SHOWN
    assert text.endswith("(+2 more runs)")
