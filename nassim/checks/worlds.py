"""Small made-up targets on which methods are put to the test; nothing here is a measurement.

Curves cross and end far apart, so that every rule stops some runs and keeps others. The hard
worlds are what real tables contain and examples do not: runs that fail, gaps, ties, one candidate.
"""

from __future__ import annotations

import dataclasses
import functools
from dataclasses import dataclass

import numpy as np

from nassim.records import (
    Architecture,
    Dataset,
    FloatArray,
    IntArray,
    Metric,
    Sources,
    SourceTask,
)
from nassim.simulator.sources import Replay, TableSource
from nassim.spaces import get_space

__all__ = ["World", "hard_worlds", "small_world"]

_CLASSES = 10


@dataclass(frozen=True, eq=False)
class World:
    """A target, whole, and the sources beside it.

    ``target.curves`` is (runs, epochs), higher is better; ``candidate`` (runs,) is the candidate
    that each run trains, where a candidate has several runs.
    """

    sources: Sources
    target: SourceTask
    candidate: IntArray

    def table(self) -> TableSource:
        """The target as a simulator wants it."""
        target, metric = self.target, self.sources.metric
        return TableSource(
            target.dataset,
            [target.architectures[i] for i in np.unique(self.candidate, return_index=True)[1]],
            self.candidate,
            metric.sign * target.curves,
            target.seconds,
            target.lengths,
            target.failed,
            metric=metric,
            n_params=target.n_params,
            flops=target.flops,
        )

    def replay(self) -> Replay:
        """The target with the first run of each candidate."""
        return Replay(self.table())

    def with_curves(self, curves: FloatArray, seconds: FloatArray | None = None) -> World:
        """The same runs with other values, and other seconds where given."""
        seconds = self.target.seconds if seconds is None else seconds
        return self.with_target(curves=curves, seconds=seconds)

    def with_target(self, **changes: object) -> World:
        """The same world with other fields of the target."""
        target = dataclasses.replace(self.target, **changes)  # type: ignore[arg-type]
        return dataclasses.replace(self, target=target)


@functools.lru_cache(maxsize=32)
def small_world(n: int = 24, epochs: int = 27, seed: int = 0) -> World:
    """A target and two sources of ``n`` runs of ``epochs`` epochs; the same for the same seed.

    Every other architecture of the target was trained on the sources too.

    >>> small_world(n=3, epochs=4).target.curves.shape
    (3, 4)
    """
    rng = np.random.default_rng(seed)
    target, *others = (_task(f"world-{k}", n, epochs, rng) for k in range(3))
    sources = tuple(
        dataclasses.replace(
            task,
            architectures=tuple(
                (target if k % 2 == 0 else task).architectures[k] for k in range(n)
            ),
        )
        for task in others
    )
    return World(Sources(sources), target, np.arange(n))


@functools.cache
def hard_worlds() -> dict[str, World]:
    """Worlds that break what was written for tidy tables, by what is hard about them."""
    plain = small_world(n=12, epochs=12)
    target = plain.target
    rng = np.random.default_rng(1)
    n, epochs = target.curves.shape

    def cut(lengths: IntArray) -> FloatArray:
        return np.where(np.arange(epochs) < lengths[:, None], target.curves, np.nan)

    ragged = rng.integers(1, epochs + 1, n)
    crashes = np.where(np.arange(n) % 3 == 0, rng.integers(1, epochs, n), epochs)
    crashes[0] = 0  # in its first epoch
    gaps = np.where(rng.random((n, epochs)) < 0.4, np.nan, target.curves)
    gaps[::2, :3] = np.nan  # nothing is known at the first rungs
    gaps[:, -1] = target.curves[:, -1]
    nowhere = np.full((n, epochs), np.nan)
    loss = dataclasses.replace(plain.sources, metric=Metric("loss", False, (0.0, np.inf)))
    minus = tuple(
        dataclasses.replace(task, curves=task.curves - 1, values=task.values - 1)
        for task in plain.sources.tasks
    )
    return {
        "ragged": plain.with_target(curves=cut(ragged), lengths=ragged),
        "failed": plain.with_target(curves=cut(crashes), lengths=crashes, failed=crashes < epochs),
        "gaps": plain.with_curves(gaps),
        "all_failed": _all_failed(plain),
        "unmeasured": plain.with_curves(
            np.where(np.arange(n)[:, None] < 2, target.curves, nowhere)
        ),
        "ties": plain.with_curves(np.tile(target.curves[:1], (n, 1))),
        "one_candidate": small_world(n=1, epochs=12),
        "one_epoch": small_world(n=12, epochs=1),
        "lower_is_better": dataclasses.replace(
            plain.with_curves(target.curves - 1), sources=dataclasses.replace(loss, tasks=minus)
        ),
    }


def _all_failed(world: World) -> World:
    """Two runs of each candidate, of which the first (which is replayed) failed."""
    target = world.target
    n, epochs = target.curves.shape
    crashes = np.arange(n) % 3  # some in the first epoch, of which nothing is known
    failed = np.where(np.arange(epochs) < crashes[:, None], target.curves, np.nan)
    twice = {
        name: np.concatenate([getattr(target, name)] * 2)
        for name in ("seeds", "values", "seconds", "n_params", "flops")
    }
    twice["curves"] = np.concatenate([failed, target.curves])
    twice["lengths"] = np.concatenate([crashes, target.lengths])
    twice["failed"] = np.repeat([True, False], n)
    return dataclasses.replace(world.with_target(**twice), candidate=np.tile(np.arange(n), 2))


def _task(name: str, n: int, epochs: int, rng: np.random.Generator) -> SourceTask:
    """Saturating curves; good ones tend to be slow at first."""
    space = get_space("nasnet")
    architectures = tuple(space.sample(rng) for _ in range(n))
    final = rng.uniform(0.3, 0.95, n)
    pace = rng.uniform(0.3, 3.0, n) * (1.3 - final) * 27 / epochs
    t = np.arange(1, epochs + 1)
    curves = final[:, None] * (1 - np.exp(-pace[:, None] * t / 3))
    curves = np.clip(curves + 0.01 * rng.standard_normal((n, epochs)), 0.0, 1.0)
    curves = np.round(curves * 500) / 500
    seconds = np.round(rng.uniform(1.0, 5.0, (n, 1)) + rng.uniform(0.0, 0.5, (n, epochs)), 3)
    return SourceTask(
        dataset=Dataset(name, group=name, classes=_CLASSES),
        architectures=architectures,
        seeds=np.zeros(n, np.int64),
        curves=curves,
        lengths=np.full(n, epochs),
        values=curves.max(axis=1),
        failed=np.zeros(n, bool),
        seconds=seconds,
        n_params=rng.integers(10_000, 1_000_000, n),
        flops=np.zeros(n, np.int64),
    )


def renamed(world: World) -> World:
    """The same world, whose candidates are called otherwise and say nothing of themselves."""
    names = [f"candidate {k}" for k in range(len(world.target.architectures))]
    anonymous = tuple(Architecture("table", (), name, name) for name in names)
    return world.with_target(architectures=anonymous)


def relabelled(world: World) -> World:
    """The same world, whose datasets have exchanged their names and groups."""
    tasks = (world.target, *world.sources.tasks)
    labels = [(task.dataset.name, task.dataset.group) for task in reversed(tasks)]
    target, *others = (
        dataclasses.replace(task, dataset=dataclasses.replace(task.dataset, name=name, group=group))
        for task, (name, group) in zip(tasks, labels, strict=True)
    )
    sources = Sources(tuple(others), world.sources.metric)
    return dataclasses.replace(world, sources=sources, target=target)


def permuted(world: World, order: IntArray) -> World:
    """The same world, whose candidate ``order[k]`` is now number ``k``; one run each."""
    target = world.target
    arrays = {
        name: getattr(target, name)[order]
        for name in ("seeds", "curves", "lengths", "values", "failed", "seconds")
    }
    return world.with_target(
        architectures=tuple(target.architectures[k] for k in order.tolist()),
        n_params=target.n_params[order],
        flops=target.flops[order],
        **arrays,
    )
