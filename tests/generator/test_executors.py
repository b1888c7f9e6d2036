from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from nassim.errors import InputError, NassimError
from nassim.generator import executors, generate_from_file, missing_runs, read_plan
from nassim.generator.claims import Claims
from nassim.records import Run, RunKey
from nassim.store import Store
from nassim.store.verify import verify

PLAN = """
[store]
path = "store"

[[recipe]]
name = "quick"
epochs = 1
batch_size = 32
channels = 2
n_train = 32
n_valid = 20
n_test = 20

[[grid]]
space = "nasbench201"
datasets = ["digits"]
recipe = "quick"
count = 3
seeds = [0]
"""


@pytest.fixture
def plan(tmp_path: Path) -> Path:
    path = tmp_path / "plan.toml"
    path.write_text(PLAN)
    return path


@pytest.fixture
def trained(monkeypatch: pytest.MonkeyPatch) -> list[RunKey]:
    """The keys of the runs that are trained in this process, in order."""
    keys: list[RunKey] = []
    train = executors.train_one

    def record(wanted: executors.Wanted, device: str) -> Run:
        run = train(wanted, device)
        keys.append(run.key)
        return run

    monkeypatch.setattr(executors, "train_one", record)
    return keys


def quietly(plan: Path, **options: object) -> executors.Summary:
    return generate_from_file(
        plan, **({"workers": 1, "device": "cpu", "progress": False} | options)
    )


def stored(plan: Path) -> Store:
    return Store.open(plan.parent / "store")


def test_a_plan_is_trained_and_resumed_with_what_is_missing(
    plan: Path, trained: list[RunKey]
) -> None:
    first = quietly(plan)
    assert (first.wanted, first.present, first.trained, first.failed) == (3, 0, 3, 0)
    assert not first.interrupted
    store = stored(plan)
    assert set(store.index().keys()) == set(trained)
    assert store.datasets[0].name == "digits"
    assert store.recipes[trained[0].recipe]["epochs"] == 1
    assert verify(store.path) == []
    plan.write_text(PLAN.replace("count = 3", "count = 5"))
    before = list(trained)
    second = quietly(plan)
    assert (second.wanted, second.present, second.trained) == (5, 3, 2)
    assert not set(trained[3:]) & set(before)
    assert missing_runs(read_plan(plan), stored(plan)) == []
    assert quietly(plan).trained == 0
    assert len(trained) == 5


def test_workers_train_the_same_as_one_process(plan: Path, tmp_path: Path) -> None:
    quietly(plan)
    alone = stored(plan)
    plan.write_text(PLAN.replace('"store"', '"other"'))
    assert quietly(plan, workers=2).trained == 3
    together = Store.open(tmp_path / "other")
    for column in ("train_loss", "valid_accuracy", "test_accuracy"):
        np.testing.assert_array_equal(alone.curves(column), together.curves(column))


def test_the_seed_is_added_to_the_plans(plan: Path, trained: list[RunKey]) -> None:
    quietly(plan)
    quietly(plan, seed=10)
    assert [key.seed for key in trained] == [0, 0, 0, 10, 10, 10]


def test_a_run_is_reported_only_when_it_is_in_the_store(
    plan: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(executors, "APPEND_SECONDS", 0.0)
    seen: list[tuple[int, int]] = []  # reported at once, and in the store by then

    class Bar(executors.tqdm):  # type: ignore[type-arg]
        def update(self, n: float | None = 1) -> bool | None:
            seen.append((int(n or 0), stored(plan).n_runs))
            return super().update(n)

    monkeypatch.setattr(executors, "tqdm", Bar)
    quietly(plan)
    assert seen == [(1, 1), (1, 2), (1, 3)]


def test_failed_runs_are_recorded_and_not_repeated(plan: Path) -> None:
    plan.write_text(PLAN.replace("epochs = 1", "epochs = 3\nlearning_rate = 1e30"))
    summary = quietly(plan)
    assert (summary.trained, summary.failed) == (3, 3)
    assert set(stored(plan).index().status) == {"diverged"}
    assert quietly(plan).trained == 0


def test_an_interrupt_keeps_what_is_finished(plan: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    train = executors.train_one
    count = 0

    def interrupted(wanted: executors.Wanted, device: str) -> Run:
        nonlocal count
        count += 1
        if count == 3:
            raise KeyboardInterrupt
        return train(wanted, device)

    monkeypatch.setattr(executors, "train_one", interrupted)
    summary = quietly(plan)
    assert summary.interrupted
    assert summary.trained == 2
    assert "run the same command" in str(summary)
    assert stored(plan).n_runs == 2
    monkeypatch.setattr(executors, "train_one", train)
    assert quietly(plan).trained == 1


def test_an_error_keeps_what_is_finished(plan: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def break_after_one(runs: Iterator[executors.Wanted]) -> Iterator[Run]:
        yield executors.train_one(next(runs), "cpu")
        raise NassimError("a worker died")

    monkeypatch.setattr(executors, "_on_this_machine", lambda *_: break_after_one)
    with pytest.raises(NassimError, match="a worker died"):
        quietly(plan)
    assert stored(plan).n_runs == 1


def test_data_that_do_not_fit_are_refused_before_training(plan: Path, tmp_path: Path) -> None:
    plan.write_text(PLAN.replace("batch_size = 32", "batch_size = 33"))
    with pytest.raises(InputError, match="32 inputs of dataset 'digits'; expected 33"):
        quietly(plan)
    assert not (tmp_path / "store").exists()


@pytest.mark.parametrize("device", ["gpu", "cuda:x", "cpu:0"])
def test_unknown_devices(plan: Path, device: str) -> None:
    with pytest.raises(InputError, match="expected auto, cpu, cuda or cuda:0"):
        quietly(plan, device=device)


def test_a_device_that_is_not_there(plan: Path) -> None:
    with pytest.raises(InputError, match="'cuda:99' is not there"):
        quietly(plan, device="cuda:99")


@pytest.mark.parametrize("options", [{"workers": -1}, {"seed": -1}])
def test_negative_numbers(plan: Path, options: dict[str, int]) -> None:
    with pytest.raises(InputError, match="is -1; expected"):
        quietly(plan, **options)


# --- several generators -------------------------------------------------------------------------

HOLD = """
import sys
from pathlib import Path
from nassim.generator.claims import Claims
from nassim.records import RunKey
claims = Claims(Path(sys.argv[1]))
for seed in sys.argv[2:]:
    claims.claim(RunKey("s", "a", "d", "r", int(seed)))
print("held", flush=True)
sys.stdin.read()
"""


def test_a_claim_excludes_other_processes_and_ends_with_its_holder(tmp_path: Path) -> None:
    held, free = RunKey("s", "a", "d", "r", 0), RunKey("s", "a", "d", "r", 1)
    other = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path), "0"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with other:
        assert other.stdout is not None
        assert other.stdout.readline() == "held\n"
        claims = Claims(tmp_path)
        assert not claims.claim(held)
        assert claims.claim(free)
        other.kill()
    assert claims.claim(held)
    claims.close()


def test_what_another_generator_holds_is_left_to_it(
    plan: Path, monkeypatch: pytest.MonkeyPatch, trained: list[RunKey]
) -> None:
    taken = executors.wanted_runs(read_plan(plan))[1].key
    claim = Claims.claim
    monkeypatch.setattr(Claims, "claim", lambda self, key: key != taken and claim(self, key))
    summary = quietly(plan)
    assert (summary.trained, summary.elsewhere) == (2, 1)
    assert "another generator" in str(summary)
    assert taken not in trained


def test_what_another_generator_has_stored_meanwhile_is_not_repeated(
    plan: Path, monkeypatch: pytest.MonkeyPatch, trained: list[RunKey]
) -> None:
    train = executors.train_one
    wanted = executors.wanted_runs(read_plan(plan))

    def with_company(run: executors.Wanted, device: str) -> Run:
        if run == wanted[0]:  # meanwhile, the next one is stored by another
            stored(plan).append([train(wanted[1], device)])
        return train(run, device)

    monkeypatch.setattr(executors, "train_one", with_company)
    summary = quietly(plan)
    assert (summary.trained, summary.elsewhere) == (2, 0)
    assert stored(plan).n_runs == 3


def test_a_run_that_two_trained_is_stored_once(plan: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # where locks do not work, the store's own check is the last resort
    train = executors.train_one
    wanted = executors.wanted_runs(read_plan(plan))

    def with_company(run: executors.Wanted, device: str) -> Run:
        if run == wanted[0]:
            stored(plan).append([train(run, device)])
        return train(run, device)

    monkeypatch.setattr(executors, "train_one", with_company)
    assert quietly(plan).trained == 2
    assert stored(plan).n_runs == 3
    assert verify(plan.parent / "store") == []
