"""Runs as tasks of a Ray cluster: a core each, or a share of a GPU.

A run whose process or node is lost is tried again. One whose process dies each time, the last
time with no other run beside it, is recorded as failed: it would end every generation.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Generator, Iterable, Iterator
from datetime import UTC, datetime
from typing import Any

import nassim
from nassim.cluster import joined
from nassim.datasets import Data
from nassim.errors import InputError, NassimError
from nassim.generator.plan import Wanted
from nassim.records import Run, RunKey

__all__ = ["RUNS_PER_GPU", "on_ray"]

RUNS_PER_GPU = 8  # small networks side by side on one card
TRIES = 3  # of a run whose process dies; the last one alone
LOSSES = 10  # of a run whose node is lost, which is hardly its fault
EMPTY_SECONDS = 300.0  # a cluster may have no node that trains; a node may still be coming
LOOK_SECONDS = 5.0  # nodes come and go


def on_ray(
    address: str,
    workers: int,
    device: str,
    train: Callable[..., Run],
    load: Callable[[str], Data],
) -> Callable[[Iterator[Wanted]], Generator[Run, None, None]]:
    """What trains runs on the cluster at ``address`` and yields them as they end.

    ``train(wanted, device, data=...)`` is called on the nodes; ``load(name)`` here, once a
    dataset, which reaches the nodes through Ray: they download nothing.
    ``workers`` is how many train at a time (0: as many as fit).

    Raises
    ------
    InputError
        if the device is not ``auto``, ``cpu`` or ``cuda``.
    """
    if device not in ("auto", "cpu", "cuda"):
        raise InputError(
            f"Device {device!r} is not known to Ray, which itself says which GPU; expected auto, "
            "cpu or cuda."
        )

    def execute(runs: Iterator[Wanted]) -> Generator[Run, None, None]:
        with joined(address) as ray:
            tasks = _Tasks(ray, workers, device, train, load)
            again: Iterable[Wanted] = runs
            for attempt in range(1, TRIES + 1):
                last = attempt == TRIES
                died: list[Wanted] = []
                for wanted, result in tasks.results(again, alone=last):
                    if isinstance(result, Run):
                        yield result
                    elif last:
                        yield _failed(wanted, result, isinstance(result, tasks.out_of_memory))
                    else:
                        died.append(wanted)
                again = died

    return execute


class _Tasks:
    """Hands runs to a cluster, as many as it trains at a time, and takes what comes back."""

    def __init__(
        self,
        ray: Any,
        workers: int,
        device: str,
        train: Callable[..., Run],
        load: Callable[[str], Data],
    ) -> None:
        self._ray = ray
        self._workers = workers
        gpus = ray.cluster_resources().get("GPU", 0)
        self._device = ("cuda" if gpus else "cpu") if device == "auto" else device
        share = {"num_gpus": 1 / RUNS_PER_GPU} if self._device == "cuda" else {}
        # no tries by Ray itself: it tries for ever where memory runs out, and never a run alone
        self._task = ray.remote(num_cpus=1, max_retries=0, **share)(train)
        self._load = load
        self._data: dict[str, Any] = {}  # references into Ray's object store
        self._able_at = time.monotonic()  # when there last was a node that trains
        errors = ray.exceptions
        self.out_of_memory = errors.OutOfMemoryError
        self._died = (errors.WorkerCrashedError, errors.OutOfMemoryError)
        self._lost = (errors.NodeDiedError, errors.ObjectLostError)

    def results(
        self, runs: Iterable[Wanted], *, alone: bool
    ) -> Iterator[tuple[Wanted, Run | Exception]]:
        """Each run with its result, or with the error that its process died of."""
        waiting = iter(runs)
        lost: list[Wanted] = []
        losses: Counter[RunKey] = Counter()
        pending: dict[Any, Wanted] = {}
        while True:
            room = self._room()
            while len(pending) < (1 if alone else room):
                wanted = lost.pop() if lost else next(waiting, None)
                if wanted is None:
                    break
                pending[self._submit(wanted)] = wanted
            if not pending:
                return
            ended, _ = self._ray.wait(list(pending), timeout=LOOK_SECONDS)
            for reference in ended:
                wanted = pending.pop(reference)
                try:
                    yield wanted, self._ray.get(reference)
                except self._died as error:
                    yield wanted, error
                except self._lost:
                    losses[wanted.key] += 1
                    if losses[wanted.key] == LOSSES:
                        raise
                    lost.append(wanted)

    def _submit(self, wanted: Wanted) -> Any:
        if wanted.dataset not in self._data:
            self._data[wanted.dataset] = self._ray.put(self._load(wanted.dataset))
        return self._task.remote(wanted, self._device, data=self._data[wanted.dataset])

    def _room(self) -> int:
        """How many runs to hand over: what the nodes of now train at a time, and one to follow."""
        there = self._ray.cluster_resources()
        gpus = int(there.get("GPU", 0) * RUNS_PER_GPU)
        slots = gpus if self._device == "cuda" else int(there.get("CPU", 0))
        now = time.monotonic()
        if slots:
            self._able_at = now
        elif now - self._able_at > EMPTY_SECONDS:
            kind = "GPU" if self._device == "cuda" else "CPU"
            raise NassimError(
                f"The Ray cluster has had no {kind} for {EMPTY_SECONDS:.0f} seconds; what was "
                "finished is in the store. Start a node, and run the same command to go on."
            )
        return self._workers or slots + 1


def _failed(wanted: Wanted, error: Exception, out_of_memory: bool) -> Run:
    """The record of a run that cannot be trained."""
    reason = " ".join(str(error).split())[:300]
    architecture, key = wanted.architecture, wanted.key
    return Run(
        *key,
        canonical_id=architecture.canonical_id,
        status="oom" if out_of_memory else "error",
        reason=f"its process died {TRIES} times, the last time with no other run beside: {reason}",
        versions=f"nassim {nassim.__version__}",
        created_at=datetime.now(UTC).isoformat(timespec="seconds"),
    )
