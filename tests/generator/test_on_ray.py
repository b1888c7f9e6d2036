"""Runs on Ray: what is lost, and how often it is tried; by a pretended Ray, and by Ray itself."""

from __future__ import annotations

import os
import subprocess
import sys
import types
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nassim.errors import InputError, NassimError
from nassim.generator import Recipe, Wanted, generate_from_file
from nassim.generator import on_ray as module
from nassim.records import Run
from nassim.spaces import get_space
from nassim.store import Store
from nassim.store.verify import verify

KILL = Path(__file__).parents[2] / "benchmarks" / "kill_on_ray.py"
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
"""


class WorkerCrashedError(Exception):
    pass


class OutOfMemoryError(Exception):
    pass


class NodeDiedError(Exception):
    pass


class PretendedRay:
    """Trains a task when its result is asked for; ``pending`` is how many were out at a time."""

    def __init__(self, **resources: float) -> None:
        self.resources = resources
        self.pending: list[int] = []
        self.kept: list[object] = []
        self.options: dict[str, object] = {}
        self.exceptions = types.SimpleNamespace(
            WorkerCrashedError=WorkerCrashedError,
            OutOfMemoryError=OutOfMemoryError,
            NodeDiedError=NodeDiedError,
            ObjectLostError=NodeDiedError,
        )

    def cluster_resources(self) -> dict[str, float]:
        return self.resources

    def put(self, value: object) -> object:
        self.kept.append(value)
        return value

    def remote(self, **options: object) -> Any:
        self.options = options

        def of(function: Any) -> Any:
            def start(*arguments: object, **named: object) -> object:
                return lambda: function(*arguments, **named)

            return types.SimpleNamespace(remote=start)

        return of

    def wait(self, references: list[Any], timeout: float) -> tuple[list[Any], list[Any]]:
        self.pending.append(len(references))
        return references[:1], references[1:]

    def get(self, reference: Any) -> Any:
        return reference()


class Training:
    """Pretends to train; ``faults`` names what a run's tries end in, by its seed."""

    def __init__(self, faults: dict[int, list[type[Exception]]] | None = None) -> None:
        self.faults = faults or {}
        self.tries: Counter[int] = Counter()
        self.seen: set[tuple[str, object]] = set()

    def __call__(self, wanted: Wanted, device: str, data: object) -> Run:
        self.tries[wanted.seed] += 1
        self.seen.add((device, data))
        faults = self.faults.get(wanted.seed, [])
        if faults:
            raise faults.pop(0)("it is\n gone")
        return Run(*wanted.key)


def train_all(
    monkeypatch: pytest.MonkeyPatch,
    ray: PretendedRay,
    train: Training,
    *,
    count: int = 4,
    workers: int = 0,
    device: str = "auto",
) -> dict[int, Run]:
    """The runs that come back, by their seed."""

    @contextmanager
    def joined(address: str) -> Iterator[PretendedRay]:
        yield ray

    monkeypatch.setattr(module, "joined", joined)
    architecture = get_space("nasbench201").sample(np.random.default_rng(0))
    wanted = [Wanted(architecture, "digits", Recipe("quick", 1), seed) for seed in range(count)]
    execute = module.on_ray("local", workers, device, train, lambda name: f"data of {name}")  # type: ignore[arg-type, return-value]
    runs = list(execute(iter(wanted)))
    assert len(runs) == count
    return {run.seed: run for run in runs}


def test_a_dataset_is_handed_over_once_and_with_each_run(monkeypatch: pytest.MonkeyPatch) -> None:
    ray, train = PretendedRay(CPU=2), Training()
    runs = train_all(monkeypatch, ray, train)
    assert {run.status for run in runs.values()} == {"ok"}
    assert ray.kept == ["data of digits"]
    assert train.seen == {("cpu", "data of digits")}
    assert ray.options == {"num_cpus": 1, "max_retries": 0}
    assert max(ray.pending) == 3  # two that train, and one to follow


def test_runs_share_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    ray, train = PretendedRay(CPU=64, GPU=1), Training()
    train_all(monkeypatch, ray, train, count=20)
    assert ray.options["num_gpus"] == 1 / 8
    assert max(ray.pending) == 9
    assert {device for device, _ in train.seen} == {"cuda"}
    train = Training()
    train_all(monkeypatch, ray, train, device="cpu")
    assert "num_gpus" not in ray.options
    assert {device for device, _ in train.seen} == {"cpu"}


def test_no_more_at_a_time_than_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    ray = PretendedRay(CPU=16)
    train_all(monkeypatch, ray, Training(), workers=2)
    assert max(ray.pending) == 2


def test_what_is_lost_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    faults = {0: [WorkerCrashedError], 1: [NodeDiedError] * 9, 2: [OutOfMemoryError, NodeDiedError]}
    train = Training(faults)  # type: ignore[arg-type]
    runs = train_all(monkeypatch, PretendedRay(CPU=2), train)
    assert {run.status for run in runs.values()} == {"ok"}
    assert train.tries == {0: 2, 1: 10, 2: 3, 3: 1}


def test_a_run_that_always_kills_its_process_is_recorded_after_a_last_try_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    faults = {1: [WorkerCrashedError] * 3, 2: [WorkerCrashedError, *[OutOfMemoryError] * 2]}
    ray, train = PretendedRay(CPU=2), Training(faults)  # type: ignore[arg-type]
    runs = train_all(monkeypatch, ray, train)
    assert {seed: run.status for seed, run in runs.items()} == {
        0: "ok",
        1: "error",
        2: "oom",
        3: "ok",
    }
    assert train.tries == {0: 1, 1: 3, 2: 3, 3: 1}
    assert ray.pending[-2:] == [1, 1]
    assert runs[1].reason.endswith("the last time with no other run beside: it is gone")
    assert runs[1].epochs == 0
    assert runs[1].canonical_id


def test_a_run_that_loses_its_node_each_time_ends_the_generation(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    train = Training({0: [NodeDiedError] * 99})
    with pytest.raises(NodeDiedError):
        train_all(monkeypatch, PretendedRay(CPU=1), train)
    assert train.tries[0] == module.LOSSES


def test_a_cluster_that_never_has_a_node(monkeypatch: pytest.MonkeyPatch) -> None:
    class Empty(PretendedRay):
        def wait(self, references: list[Any], timeout: float) -> tuple[list[Any], list[Any]]:
            return [], references

    monkeypatch.setattr(module, "EMPTY_SECONDS", 0.0)
    with pytest.raises(NassimError, match="has had no CPU for 0 seconds"):
        train_all(monkeypatch, Empty(), Training())


@pytest.mark.parametrize("device", ["gpu", "cuda:1"])
def test_ray_chooses_the_gpu(monkeypatch: pytest.MonkeyPatch, device: str) -> None:
    with pytest.raises(InputError, match=f"'{device}' is not known to Ray"):
        train_all(monkeypatch, PretendedRay(), Training(), device=device)


# --- Ray itself -----------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_ray_that_is_started_here_trains_the_same(tmp_path: Path) -> None:
    pytest.importorskip("ray", reason="Ray is not installed")
    for name, options in (("alone", {"workers": 1}), ("ray", {"workers": 2, "ray": "local"})):
        plan = tmp_path / f"{name}.toml"
        plan.write_text(PLAN.replace('"store"', f'"{name}"'))
        summary = generate_from_file(plan, device="cpu", progress=False, **options)  # type: ignore[arg-type]
        assert (summary.trained, summary.failed) == (3, 0)
    alone, together = (Store.open(tmp_path / name) for name in ("alone", "ray"))
    assert verify(together.path) == []
    for column in ("train_loss", "valid_accuracy", "test_accuracy"):
        np.testing.assert_array_equal(alone.curves(column), together.curves(column))


@pytest.mark.slow
def test_killed_processes_nodes_and_drivers_lose_nothing() -> None:
    pytest.importorskip("ray", reason="Ray is not installed")
    done = subprocess.run(
        [sys.executable, str(KILL), "--kills", "3", "--runs", "24"],
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(KILL.parents[1])},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "nothing reported was lost" in done.stdout
