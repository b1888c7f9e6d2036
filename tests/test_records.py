from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest

import nassim.records as records
from nassim.errors import InputError
from nassim.records import (
    ACCURACY,
    STATUSES,
    Action,
    Architecture,
    Dataset,
    Metric,
    Prefixes,
    Run,
    RunKey,
    Sources,
)


def test_accuracy_is_a_share_and_higher_is_better() -> None:
    assert (ACCURACY.name, ACCURACY.bounds, ACCURACY.worst, ACCURACY.sign) == (
        "accuracy",
        (0.0, 1.0),
        0.0,
        1.0,
    )
    assert [ACCURACY.column(split) for split in ("train", "valid", "test", "merged")] == [
        "train_accuracy",
        "valid_accuracy",
        "test_accuracy",
        "merged_accuracy",
    ]


def test_a_metric_may_be_lower_the_better_and_unbounded() -> None:
    perplexity = Metric("perplexity", higher_is_better=False, bounds=(1.0, np.inf))
    assert (perplexity.sign, perplexity.worst) == (-1.0, np.inf)
    assert perplexity.column("valid") == "valid_perplexity"


def test_a_run_knows_its_key() -> None:
    run = Run("nasnet", "0sep3", "digits", "quick", 3, epochs=2)
    assert run.key == RunKey("nasnet", "0sep3", "digits", "quick", 3)
    assert run.key.seed == 3


def test_a_run_that_was_not_measured_has_empty_curves() -> None:
    one, other = (Run("table", "a", "digits", "quick", seed) for seed in (0, 1))
    for run in (one, other):
        for curve in (run.train_loss, run.epoch_seconds, run.evaluation_seconds):
            assert (curve.shape, curve.dtype) == ((0,), np.float32)
        assert run.scores == {}
    assert one.scores is not other.scores


@pytest.mark.parametrize("status", STATUSES)
def test_known_statuses_are_accepted(status: Any) -> None:
    assert Run("table", "a", "digits", "quick", 0, status=status).status == status


def test_what_makes_no_sense_is_refused() -> None:
    with pytest.raises(InputError, match="Run status 'crashed' is unknown; expected one of ok, "):
        Run("table", "a", "digits", "quick", 0, status="crashed")  # type: ignore[arg-type]
    with pytest.raises(InputError, match="Run epochs is -1; expected 0 or more"):
        Run("table", "a", "digits", "quick", 0, epochs=-1)


def test_prefixes_count_their_epochs() -> None:
    none = np.zeros(2, np.int64)
    for epochs in (0, 3):
        runs: Any = (None, None)
        prefixes = Prefixes(runs, np.zeros((2, epochs)), none, none, 9)
        assert (prefixes.epoch, len(prefixes)) == (epochs, 2)


def test_actions_are_three() -> None:
    assert [action.name for action in Action] == ["CONTINUE", "PAUSE", "STOP"]


def test_every_noun_is_frozen() -> None:
    nouns = [
        thing
        for name in records.__all__
        if dataclasses.is_dataclass(thing := getattr(records, name)) and isinstance(thing, type)
    ]
    assert len(nouns) > 6
    for noun in nouns:
        assert noun.__dataclass_params__.frozen, noun  # type: ignore[attr-defined]
    with pytest.raises(dataclasses.FrozenInstanceError):
        ACCURACY.name = "loss"  # type: ignore[misc]


def test_records_of_plain_values_compare_and_hash() -> None:
    assert Dataset("digits", "mnist") == Dataset("digits", "mnist")
    assert len({Architecture("table", (), "a", "a"), Architecture("table", (), "a", "a")}) == 1
    assert Sources(()) == Sources(())
