"""What every terminator answers: is this run worth more epochs?

Three ways to write one, from the simplest:

- **An estimator** (:class:`Estimator`) says how good a run will be, from its beginning. One rule,
  shared by all of them, stops a run if p(better than the incumbent) <= delta.
- **A rule** (:class:`Rule`) answers CONTINUE, PAUSE or STOP for one run at a decision epoch, and
  may promote a paused run.
- **A schedule** (:class:`Terminator` itself) hands out jobs, and may train many runs as one:
  successive halving handles a whole rung as one array operation.

All values are higher-is-better, whatever the store's metric. A method sees a :class:`View`: what
has been paid for, and nothing else.
"""

from __future__ import annotations

import copy
import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Protocol

import numpy as np

from nassim.errors import InputError
from nassim.options import check_share
from nassim.records import Action, Architecture, FloatArray, Incumbent, IntArray, Prefixes, Sources

__all__ = [
    "DECISION_EPOCHS",
    "Estimator",
    "Job",
    "Rule",
    "Session",
    "TargetJudge",
    "Terminator",
    "View",
    "check_eta",
]

DECISION_EPOCHS = (1, 2, 3, 5, 8, 12, 20, 30, 50)
_CONTINUE = Action.CONTINUE  # a plain name: Python 3.11 takes long to find a member of an enum


@dataclass(slots=True)  # not frozen: one is made for each event, at three times the cost
class Job:
    """Train these runs (candidate numbers) until this epoch; one alone, or a whole rung."""

    runs: Sequence[int] | IntArray
    epoch: int


class View(Protocol):
    """What a method sees of the target: the candidates, and what has been paid for."""

    @property
    def n_candidates(self) -> int: ...

    @property
    def max_epochs(self) -> int: ...

    @property
    def architectures(self) -> tuple[Architecture, ...]: ...

    @property
    def incumbent(self) -> int | None:
        """The best completed run, or None before the first is complete."""

    @property
    def completed(self) -> Sequence[int]:
        """Runs that were trained to their end, in the order in which they ended."""

    def draw(self, count: int) -> list[int]:
        """Up to ``count`` new candidates from the optimizer; fewer when they run out."""

    def epochs(self, run: int) -> int:
        """Epochs that this run has been trained for."""

    def ended(self, run: int) -> bool:
        """Whether there is nothing left to train."""

    def value(self, run: int, epoch: int) -> float:
        """Validation value after an epoch that was paid for; the last one where a run was
        shorter, -inf where it failed before."""

    def values(self, runs: IntArray, epoch: int) -> FloatArray:
        """The same for many runs at once, (runs,)."""

    def prefix(self, run: int) -> FloatArray:
        """The curve so far, (epochs,)."""

    def probability_better(self, estimator: Estimator, run: int, epoch: int) -> float:
        """p(run ends better than the incumbent), from the first ``epoch`` epochs of both."""

    def completed_runs(self) -> Sources:
        """The completed runs, in the order in which they ended, as ``fit`` is handed a source:
        what a method that is trained on the target itself learns from, paid for like any other."""


class Session(Protocol):
    """One search in progress."""

    def next(self) -> Job | None:
        """A job for an idle worker; None to wait for running jobs, or if nothing is left."""

    def done(self, job: Job) -> Job | None:
        """Take note that a job has finished; a job returned here keeps its worker."""


class Terminator(ABC):
    """Decides which runs are trained, and for how long."""

    uses_sources = False  # whether ``fit`` learns from other datasets
    reads_architectures = False  # whether it looks at what candidates are made of
    needs_bounds = False  # whether it refuses a metric without bounds on both sides, as a loss
    needs_shared = False  # whether it refuses candidates of which no source has one
    # options that make it cheap enough to be checked each time the tests run, if it is not
    quick_options: ClassVar[Mapping[str, object]] = {}

    def fit(self, sources: Sources, seed: int) -> None:
        """Learn from the other datasets: the only door for transfer. Nothing by default."""
        return

    @abstractmethod
    def begin(self, view: View) -> Session:
        """Start a search of this target. Must not change the terminator itself."""


class Rule(Terminator):
    """A terminator that looks at one run at a time, at its decision epochs."""

    def begin(self, view: View) -> Session:
        return _RuleSession(self.decision_epochs(view.max_epochs), view, self.judge(view))

    @abstractmethod
    def decision_epochs(self, max_epochs: int) -> tuple[int, ...]:
        """Epochs at which a run is judged, ascending, 0 (before any training) included or not."""

    @abstractmethod
    def judge(self, view: View) -> Judge:
        """A fresh judge for one search; what it remembers ends with the search."""


class Judge(ABC):
    """Judges runs during one search."""

    @abstractmethod
    def decide(self, run: int, epoch: int) -> Action:
        """What becomes of a run that has reached this decision epoch."""

    def promote(self) -> int | None:
        """A paused run that is to be resumed before a new one is started."""
        return None

    def draw(self, view: View) -> list[int]:
        """The candidate to start next, or none; what the optimizer proposes unless overridden."""
        return view.draw(1)


class _RuleSession:
    """Takes runs one by one from decision epoch to decision epoch."""

    def __init__(self, epochs: tuple[int, ...], view: View, judge: Judge) -> None:
        last = view.max_epochs
        self._view = view
        self._judge = judge
        self._next_epoch = [
            next((epoch for epoch in epochs if epoch > now), last) for now in range(last + 1)
        ]
        self._judged = [epoch in epochs for epoch in range(last)] + [False]

    def next(self) -> Job | None:
        run = self._judge.promote()
        if run is not None:
            return Job((run,), self._next_epoch[self._view.epochs(run)])
        while drawn := self._judge.draw(self._view):
            if not self._judged[0] or self._judge.decide(drawn[0], 0) is _CONTINUE:
                return Job(drawn, self._next_epoch[0])
        return None

    def done(self, job: Job) -> Job | None:
        run = job.runs[0]
        if self._view.ended(run):
            return None
        epoch = job.epoch
        if self._judged[epoch] and self._judge.decide(run, epoch) is not _CONTINUE:
            return None
        return Job(job.runs, self._next_epoch[epoch])


class Estimator(Rule):
    """Stops a run if p(m > m_max) <= ``delta``, m_max being the quality of the incumbent.

    The first run is trained fully and becomes the incumbent. A subclass says how to estimate:
    :meth:`estimate` alone, if it predicts mean and standard deviation of a run's quality.

    Parameters
    ----------
    delta
        Threshold of the rule; 0 stops only what cannot be better.
    epochs
        ``"sparse"`` (1, 2, 3, 5, 8, 12, 20, 30, 50), ``"every"``, or a tuple of epochs.
    at_zero
        Whether a run may be refused before its first epoch.
    """

    from_epoch = 1  # the first epoch at which this estimator can say anything
    rule_options = frozenset({"delta", "epochs", "at_zero"})  # the others decide what is learned
    _twin_of: tuple[int, Estimator | None] = (0, None)

    def __init__(
        self,
        delta: float,
        epochs: str | int | tuple[int, ...] = "sparse",
        at_zero: bool = False,
    ) -> None:
        self.delta = check_share("delta", delta)
        if isinstance(epochs, int):
            epochs = (epochs,)
        elif isinstance(epochs, (list, range)):
            epochs = tuple(epochs)
        if isinstance(epochs, str):
            if epochs not in ("sparse", "every"):
                raise InputError(
                    f"Option epochs is {epochs!r}; expected 'sparse', 'every' or a tuple of epochs."
                )
        elif (
            not isinstance(epochs, tuple)
            or not epochs
            or any(not isinstance(epoch, int) or epoch < 1 for epoch in epochs)
        ):
            raise InputError(f"Option epochs is {epochs!r}; expected epochs of 1 or more.")
        if at_zero and self.from_epoch > 0:
            raise InputError(
                f"{type(self).__name__} knows nothing before the first epoch; "
                "leave the option at_zero out."
            )
        self.epochs = epochs
        self.at_zero = at_zero

    def decision_epochs(self, max_epochs: int) -> tuple[int, ...]:
        if isinstance(self.epochs, tuple):
            chosen = set(self.epochs)
        else:
            chosen = set(DECISION_EPOCHS if self.epochs == "sparse" else range(1, max_epochs))
        if self.at_zero:
            chosen.add(0)
        return tuple(sorted(e for e in chosen if self.from_epoch <= e < max_epochs))

    def judge(self, view: View) -> Judge:
        return _EstimatorJudge(self, view)

    @property
    def source(self) -> Estimator:
        """Whose estimates these are: its own, or those of what :meth:`with_rule_of` made it of.
        Estimates and probabilities are remembered under it."""
        twin, source = self._twin_of
        return self if source is None or twin != id(self) else source

    def with_rule_of(self, other: Estimator) -> Estimator:
        """This estimator, with all that it has learned, under the rule options of another.

        Both share their estimates: neither :meth:`estimate` nor :meth:`probability` may depend on
        an option of the rule.
        """
        twin = copy.copy(self)
        twin._twin_of = id(twin), self.source  # its own copies may learn something else
        for option in self.rule_options:
            setattr(twin, option, getattr(other, option))
        return twin

    def trained_on(self, completed: Sources) -> Estimator:
        """What it becomes with these completed runs of the target; itself, unless it learns from
        the target. Must leave it as it is."""
        return self

    @abstractmethod
    def estimate(self, prefixes: Prefixes) -> FloatArray:
        """What the beginnings of runs say about them, (runs, k) or (runs,).

        A row must depend on its own run only, never on the other rows: estimates are made in
        batches and remembered. NaN where nothing can be said; such a run goes on.

        For the default :meth:`probability`, column 0 is the mean and column 1 the standard
        deviation of the quality that the run will reach.
        """

    def score(self, estimates: FloatArray) -> FloatArray:
        """What runs are ranked by, (runs,), the higher the better; column 0 unless overridden."""
        scores: FloatArray = estimates.reshape(len(estimates), -1)[:, 0]
        return scores

    def probability(self, estimates: FloatArray, incumbent: Incumbent) -> FloatArray:
        """p(m > m_max) for each row of ``estimates``, (runs,)."""
        from scipy.special import ndtr

        mean, deviation = estimates[:, 0], estimates[:, 1]
        with np.errstate(divide="ignore", invalid="ignore"):
            p = ndtr((mean - incumbent.value) / deviation)
        certain = np.where(mean > incumbent.value, 1.0, 0.0)
        answer: FloatArray = np.where(np.isnan(mean), np.nan, np.where(deviation > 0, p, certain))
        return answer


class _EstimatorJudge(Judge):
    def __init__(self, estimator: Estimator, view: View) -> None:
        self._estimator = estimator
        self._view = view

    def decide(self, run: int, epoch: int) -> Action:
        if self._view.incumbent is None:
            return Action.CONTINUE
        p = self._view.probability_better(self._estimator, run, epoch)
        return Action.STOP if p <= self._estimator.delta else Action.CONTINUE  # NaN goes on


class TargetJudge(Judge):
    """Judges by an estimator that learns from the target's own completed runs.

    Until ``least`` runs are complete, every run goes on.

    Parameters
    ----------
    view
        The search.
    learn
        Makes a fitted estimator of completed runs; must leave its terminator as it is.
    least
        Completed runs from which it learns for the first time.
    again
        Whether it learns anew from the later ones too.
    growth
        By how many times as many runs as the last time, and one more at the least.
    """

    def __init__(
        self,
        view: View,
        learn: Callable[[Sources], Estimator],
        least: int,
        *,
        again: bool,
        growth: float = 1.0,
    ) -> None:
        self._view = view
        self._learn = learn
        self._again = again
        self._growth = growth
        self._due = least  # completed runs at which it learns next
        self._judge: Judge | None = None

    def decide(self, run: int, epoch: int) -> Action:
        known = len(self._view.completed)
        if known >= self._due and (self._judge is None or self._again):
            self._judge = _EstimatorJudge(self._learn(self._view.completed_runs()), self._view)
            self._due = max(known + 1, math.ceil(self._growth * known))
        return Action.CONTINUE if self._judge is None else self._judge.decide(run, epoch)


def check_eta(eta: float) -> float:
    """A halving rate above 1, or an InputError."""
    if isinstance(eta, bool) or not isinstance(eta, (int, float)) or not 1 < eta < math.inf:
        raise InputError(f"Option eta is {eta!r}; expected a number above 1, as in eta=3.")
    return float(eta)
