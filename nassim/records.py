"""The nouns: frozen records that can be printed, compared, stored and tested as they are.

Units: accuracies are shares in [0, 1]; seconds are seconds; an epoch counts from 1, and a
curve's entry ``[epoch - 1]`` is what was measured after that epoch.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from nassim.errors import InputError

__all__ = [
    "ACCURACY",
    "STATUSES",
    "Action",
    "Architecture",
    "Dataset",
    "FloatArray",
    "Incumbent",
    "IntArray",
    "Landmarks",
    "Metric",
    "Prefixes",
    "Run",
    "RunKey",
    "SourceTask",
    "Sources",
    "Status",
]

FloatArray = NDArray[np.floating]
IntArray = NDArray[np.integer]

Status = Literal["ok", "diverged", "oom", "timeout", "error"]
STATUSES: tuple[Status, ...] = ("ok", "diverged", "oom", "timeout", "error")


class Action(IntEnum):
    """What a terminator answers about a run at a decision epoch."""

    CONTINUE = 0
    PAUSE = 1  # may be promoted later
    STOP = 2  # never again


@dataclass(frozen=True)
class Metric:
    """What a store's curves measure, and which way is better.

    ``bounds`` are inclusive; an unbounded metric has an infinite upper bound.

    >>> ACCURACY.column("valid")
    'valid_accuracy'
    >>> Metric("perplexity", higher_is_better=False, bounds=(0.0, float("inf"))).worst
    inf
    """

    name: str = "accuracy"
    higher_is_better: bool = True
    bounds: tuple[float, float] = (0.0, 1.0)

    def column(self, split: str) -> str:
        """The name of the curve column of a split (``train``, ``valid``, ``test``, ``merged``)."""
        return f"{split}_{self.name}"

    @property
    def sign(self) -> float:
        """+1.0 where higher is better, else -1.0: a value times this is higher-is-better."""
        return 1.0 if self.higher_is_better else -1.0

    @property
    def worst(self) -> float:
        """The worst value within the bounds."""
        return self.bounds[0] if self.higher_is_better else self.bounds[1]


ACCURACY = Metric()


@dataclass(frozen=True)
class Architecture:
    """A point of a search space: one small integer per decision.

    ``id`` is the canonical text of the space; isomorphic duplicates share a ``canonical_id``.
    A bare list of candidates (space ``table``) has no decisions, only an ``id``.
    """

    space: str
    decisions: tuple[int, ...]
    id: str
    canonical_id: str


@dataclass(frozen=True)
class Dataset:
    """What networks are trained on. ``group`` names related datasets (``mnist``, ``digits``).

    ``shape`` is (height, width, channels) for images; ``majority`` is the share of the validation
    examples that are of their most frequent class. Zeros and empty texts mean "not known", as in
    an imported table.
    """

    name: str
    group: str
    shape: tuple[int, ...] = ()
    classes: int = 0
    n_train: int = 0
    n_valid: int = 0
    n_test: int = 0
    source: str = ""
    licence: str = ""
    sha256: str = ""
    majority: float = 0.0


class RunKey(NamedTuple):
    """What makes a run unique in a store."""

    space: str
    architecture: str
    dataset: str
    recipe: str
    seed: int


def _empty() -> FloatArray:
    return np.zeros(0, np.float32)


@dataclass(frozen=True, eq=False)
class Run:
    """One training of one architecture on one dataset with one seed under one recipe.

    Curves are float32 arrays of length ``epochs`` (NaN where a metric was not measured), or
    empty where it never was. ``scores`` maps a split (``train``, ``valid``, ``test``,
    ``merged``) to its curve in the store's metric.
    """

    space: str
    architecture: str
    dataset: str
    recipe: str
    seed: int
    canonical_id: str = ""
    status: Status = "ok"
    reason: str = ""
    epochs: int = 0
    scores: dict[str, FloatArray] = field(default_factory=dict)
    train_loss: FloatArray = field(default_factory=_empty)
    epoch_seconds: FloatArray = field(default_factory=_empty)
    evaluation_seconds: FloatArray = field(default_factory=_empty)
    n_params: int = 0
    flops: int = 0
    device: str = ""
    hardware: str = ""
    versions: str = ""
    created_at: str = ""

    def __post_init__(self) -> None:
        if self.status not in STATUSES:
            raise InputError(
                f"Run status {self.status!r} is unknown; expected one of {', '.join(STATUSES)}."
            )
        if self.epochs < 0:
            raise InputError(f"Run epochs is {self.epochs}; expected 0 or more.")

    @property
    def key(self) -> RunKey:
        return RunKey(self.space, self.architecture, self.dataset, self.recipe, self.seed)


@dataclass(frozen=True, eq=False)
class SourceTask:
    """All that is known of one dataset that is not the target, or has been paid for on it.

    ``curves`` is (runs, epochs), validation, higher is better whatever the metric, NaN past a
    run's end; ``lengths`` (runs,) counts its epochs; ``values`` (runs,) is the quality m of each
    run (see ``Target value`` in docs/protocol.md); ``failed`` (runs,) marks runs that ended badly.
    """

    dataset: Dataset
    architectures: tuple[Architecture, ...]
    seeds: IntArray
    curves: FloatArray
    lengths: IntArray
    values: FloatArray
    failed: NDArray[np.bool_]
    seconds: FloatArray
    n_params: IntArray
    flops: IntArray


@dataclass(frozen=True)
class Sources:
    """What a transfer method may learn from: the runs of every dataset but the target's."""

    tasks: tuple[SourceTask, ...]
    metric: Metric = ACCURACY


@dataclass(frozen=True, eq=False)
class Landmarks:
    """Architectures whose full training a one-shot method is told of; they are judged nowhere.

    ``values`` (n,) are mean validation values after the last epoch, higher is better whatever the
    metric. Every part from the beginning is a random sample too.
    """

    architectures: tuple[Architecture, ...] = ()
    values: FloatArray = field(default_factory=_empty)

    def first(self, count: int) -> Landmarks:
        """The first so many."""
        return Landmarks(self.architectures[:count], self.values[:count])

    def __len__(self) -> int:
        return len(self.architectures)


@dataclass(frozen=True, eq=False)
class Prefixes:
    """The beginnings of some runs on the target, all cut after the same epoch.

    ``curves`` is (runs, epoch), higher is better, -inf before the first epoch that was measured;
    ``epoch`` may be 0, and then nothing has been trained. ``n_params`` and ``flops`` (runs,) are
    properties of the architectures, known at once (0 where the store does not say).
    """

    architectures: tuple[Architecture, ...]
    curves: FloatArray
    n_params: IntArray
    flops: IntArray
    max_epochs: int
    metric: Metric = ACCURACY

    @property
    def epoch(self) -> int:
        return int(self.curves.shape[1])

    def __len__(self) -> int:
        return len(self.architectures)


@dataclass(frozen=True)
class Incumbent:
    """The best completed run so far: its quality m and its estimate at the compared epoch."""

    value: float
    estimate: FloatArray
