import math

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from nassim.errors import DuplicateKeyError, InputError, StoreError
from nassim.records import ACCURACY, Metric, Run
from nassim.spaces import get_space
from nassim.store.schema import digest, fill, list_parts, runs_schema, to_runs, to_table

PERPLEXITY = Metric("perplexity", higher_is_better=False, bounds=(0.0, math.inf))


def curve(*values):
    return np.array(values, np.float32)


def as_dict(run):
    return {name: getattr(run, name) for name in run.__dataclass_fields__}


def assert_same_runs(left, right):
    assert [run.key for run in left] == [run.key for run in right]
    for a, b in zip(left, right, strict=True):
        for name, value in as_dict(a).items():
            np.testing.assert_equal(getattr(b, name), value, err_msg=name)


# --- the door ---------------------------------------------------------------------------------

BAD = {
    "percentage": ({"scores": {"valid": curve(0.5, 57.3)}}, r"epoch 2 is 57.3.*percentage.*by 100"),
    "far above": ({"scores": {"valid": curve(0.5, 570)}}, r"epoch 2 is 570; expected 0 to 1\.$"),
    "below": ({"scores": {"test": curve(-0.1, 0.5)}}, r"test_accuracy at epoch 1 is -0.1"),
    "infinite score": ({"scores": {"valid": curve(0.5, np.inf)}}, "epoch 2 is inf"),
    "infinite loss": ({"train_loss": curve(np.inf, 1)}, "train_loss at epoch 1 is inf"),
    "beyond float32": ({"train_loss": np.array([1, 1e300])}, "train_loss at epoch 2 is inf"),
    "free epoch": ({"epoch_seconds": curve(1, 0)}, "epoch_seconds at epoch 2 is 0; .*above 0"),
    "time runs back": ({"epoch_seconds": curve(-1, 1)}, "epoch_seconds at epoch 1 is -1"),
    "negative evaluation": ({"evaluation_seconds": curve(0, -1)}, "epoch 2 is -1; .*0 or more"),
    "too long": ({"scores": {"valid": curve(0.1, 0.2, 0.3)}}, "3 entries; expected 2"),
    "too short": ({"train_loss": curve(0.1)}, "train_loss has 1 entries; expected 2"),
    "two dimensions": ({"train_loss": np.zeros((2, 1))}, r"\(2, 1\) entries"),
    "text": ({"scores": {"valid": ["0.5", "high"]}}, "holds '0.5'; expected numbers"),
    "none": ({"scores": {"valid": [None, 0.5]}}, "holds None; expected numbers"),
    "unknown split": ({"scores": {"validation": curve(0.5, 0.6)}}, "split 'validation'"),
    "float seed": ({"seed": 1.0}, "seed is 1.0; expected an integer"),
    "bool seed": ({"seed": True}, "seed is True; expected an integer"),
    "text seed": ({"seed": "1"}, "seed is '1'; expected an integer"),
    "large seed": ({"seed": 2**63}, "seed is 9223372036854775808; expected"),
    "negative params": ({"n_params": -1}, "n_params is -1; expected 0 to"),
    "no architecture": ({"architecture": ""}, "architecture is empty; expected a name"),
    "no dataset": ({"dataset": ""}, "dataset is empty"),
    "number for a text": ({"recipe": 3}, "recipe is 3; expected text"),
    "half a character": ({"device": "\ud800"}, "not valid Unicode"),
    "ok without epochs": ({"epochs": 0, "scores": {}}, "'ok' but it has 0 epochs"),
    "ok without a value": ({"scores": {"valid": curve(np.nan, np.nan)}}, "'ok' but no epoch has"),
    "trained only": ({"scores": {"train": curve(0.5, 0.6)}}, "'ok' but no epoch has"),
    "no reason": ({"status": "timeout"}, "'timeout' without a reason"),
    "not of its space": ({"space": "nasbench201"}, "'a' is not of space 'nasbench201'"),
}


@pytest.mark.parametrize(("changes", "message"), BAD.values(), ids=BAD)
def test_a_bad_value_is_refused_by_name(changes, message):
    good = {"space": "toy", "architecture": "a", "dataset": "d", "recipe": "r", "seed": 7}
    good |= {"epochs": 2, "scores": {"valid": curve(0.5, 0.6)}}
    to_table([Run(**good)], ACCURACY)
    with pytest.raises(InputError, match=message) as caught:
        to_table([Run(**good), Run(**(good | {"seed": 8} | changes))], ACCURACY)
    assert "\n" not in str(caught.value)
    if "seed" not in changes:
        assert "seed 8" in str(caught.value), "the message must name the run at fault"


def test_not_a_number_is_welcome_wherever_something_was_not_measured():
    nothing = curve(np.nan, np.nan)
    run = Run("toy", "a", "d", "r", 0, epochs=2, scores={"valid": curve(np.nan, 0.5)})
    failed = Run(
        *("toy", "a", "d", "r", 1), epochs=2, status="error", reason="?", train_loss=nothing,
        epoch_seconds=nothing, evaluation_seconds=nothing, scores={"valid": nothing},
    )  # fmt: skip
    assert len(to_table([run, failed], ACCURACY)) == 2


def test_bounds_are_the_metrics_own():
    run = Run("toy", "a", "d", "r", 0, epochs=1, scores={"valid": curve(57.3)})
    assert len(to_table([run], PERPLEXITY)) == 1
    assert "valid_perplexity" in runs_schema(PERPLEXITY).names


def test_a_key_given_twice_names_both_entries(make_run):
    with pytest.raises(DuplicateKeyError, match=r"'b'.*entries 1 and 2"):
        to_table([make_run("a"), make_run("b"), make_run("b")], ACCURACY)


def test_the_space_says_what_a_canonical_id_is(make_run):
    space = get_space("nasbench201")
    architecture = space.architecture((3, 0, 1, 0, 0, 1))
    fields = {"space": "nasbench201", "architecture": architecture.id}
    run = Run(**fields, dataset="d", recipe="r", seed=0, epochs=1, scores={"valid": curve(0.5)})
    assert to_runs(to_table([run], ACCURACY), ACCURACY)[0].canonical_id == architecture.canonical_id
    assert to_runs(to_table([make_run("a")], ACCURACY), ACCURACY)[0].canonical_id == "a"
    wrong = Run(**(as_dict(run) | {"canonical_id": "x"}))
    with pytest.raises(InputError, match="canonical_id is 'x'; expected 'nor_conv"):
        to_table([wrong], ACCURACY)


# --- there and back ---------------------------------------------------------------------------

text = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
name = text.filter(bool)


@st.composite
def sound_runs(draw):
    epochs = draw(st.integers(0, 5))
    shares = hnp.arrays(np.float32, epochs, elements=st.floats(0, 1, width=32) | st.just(math.nan))
    numbers = hnp.arrays(
        np.float32, epochs, elements=st.floats(width=32, allow_infinity=False, allow_nan=True)
    )
    seconds = hnp.arrays(np.float32, epochs, elements=st.floats(0.125, 1e6, width=32))
    scores = draw(st.dictionaries(st.sampled_from(["train", "valid", "test", "merged"]), shares))
    ok = any(np.isfinite(scores.get(split, ())).any() for split in ("valid", "test", "merged"))
    return Run(
        *draw(st.tuples(st.just("toy"), name, name, name, st.integers(-(2**63), 2**63 - 1))),
        epochs=epochs,
        status="ok" if ok else draw(st.sampled_from(["diverged", "oom", "timeout", "error"])),
        reason=draw(text if ok else name),
        scores=scores,
        train_loss=draw(numbers | st.just(np.zeros(0, np.float32))),
        epoch_seconds=draw(seconds),
        n_params=draw(st.integers(0, 2**63 - 1)),
        versions=draw(text),
    )


@settings(max_examples=30, deadline=None)
@given(st.lists(sound_runs(), max_size=6, unique_by=lambda run: run.key), st.randoms())
def test_runs_come_back_as_they_went_in_sorted_by_key(runs, random):
    back = to_runs(to_table(runs, ACCURACY), ACCURACY)
    assert [run.key for run in back] == sorted(run.key for run in runs)
    by_key = {run.key: run for run in runs}
    for run in back:
        given_run = by_key[run.key]
        assert run.scores.keys() == {s for s, c in given_run.scores.items() if len(c)}
        for split, values in run.scores.items():
            np.testing.assert_array_equal(values, given_run.scores[split])
        for column in ("train_loss", "epoch_seconds", "evaluation_seconds"):
            np.testing.assert_array_equal(getattr(run, column), getattr(given_run, column))
        for column in ("status", "reason", "epochs", "n_params", "versions"):
            assert getattr(run, column) == getattr(given_run, column)
    random.shuffle(runs)
    again = to_table(runs, ACCURACY)
    assert again.equals(to_table(back, ACCURACY)) or runs  # NaN are not equal to themselves
    assert digest(to_runs(again, ACCURACY)) == digest(back)


def test_the_digest_sees_every_column(make_run):
    (run,) = to_runs(to_table([make_run("a")], ACCURACY), ACCURACY)
    other = {"space": "toy", "epochs": 4, "scores": {"test": run.scores["valid"]}, "status": "oom"}
    for column, value in as_dict(run).items():
        if column == "epochs":
            continue  # follows from the lengths
        if isinstance(value, np.ndarray):
            changed = value + 1 if len(value) else np.ones(4, np.float32)
        else:
            changed = other.get(column, value + 1 if isinstance(value, int) else f"{value}!")
        assert digest([Run(**(as_dict(run) | {column: changed}))]) != digest([run]), column


def test_the_digest_of_parts_adds_up_to_the_whole(make_run):
    runs = [make_run(letter) for letter in "abc"]
    assert digest(runs) == (digest(runs[:1]) + digest(runs[1:])) % 2**256 == digest(runs[::-1])


def test_zero_and_not_a_number_have_one_spelling(make_run):
    odd = np.array([0xFFC00001, 0x80000000], np.uint32).view(np.float32)  # a strange NaN; -0.0
    plain = curve(np.nan, 0.0)
    tables = [
        to_table([make_run("a", epochs=2, scores={"valid": values})], ACCURACY)
        for values in (odd, plain)
    ]
    values = [list_parts(table.column("valid_accuracy").chunk(0))[1] for table in tables]
    assert values[0].tobytes() == values[1].tobytes()


# --- lists to arrays --------------------------------------------------------------------------

RAGGED = pa.array([[1, 2], [], [3, 4, 5], [6]], pa.list_(pa.float32()))


def test_list_parts_of_a_slice():
    offsets, values = list_parts(RAGGED.slice(1, 2))
    np.testing.assert_array_equal(offsets, [0, 0, 3])
    np.testing.assert_array_equal(values, [3, 4, 5])
    assert [len(part) for part in list_parts(RAGGED.slice(4))] == [1, 0]


def test_fill_pads_with_nan_and_refuses_to_cut():
    block = np.zeros((4, 3), np.float32)
    fill(block, RAGGED)
    nan = np.nan
    np.testing.assert_array_equal(block, [[1, 2, nan], [nan] * 3, [3, 4, 5], [6, nan, nan]])
    with pytest.raises(StoreError, match="3 entries"):
        fill(np.zeros((4, 2), np.float32), RAGGED)


@pytest.mark.parametrize("values", [[[1.0], None], [[1.0], [None]]])
def test_nulls_are_refused(values):
    with pytest.raises(StoreError, match="nulls"):
        list_parts(pa.array(values, pa.list_(pa.float32())))
