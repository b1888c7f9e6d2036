"""The loop: any optimizer, any terminator, any number of workers, on recorded runs."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import Literal

import numpy as np

from nassim.errors import ContractError, InputError, LeakageError
from nassim.optimizers.base import Optimizer, Search
from nassim.records import Architecture, FloatArray, IntArray, Sources
from nassim.simulator.clock import Clock, spread
from nassim.simulator.sources import Replayable
from nassim.terminators.base import Estimator, Job, Terminator

__all__ = ["Accounting", "Episode", "simulate"]

Accounting = Literal["continue", "restart"]


@dataclass(frozen=True, eq=False)
class Episode:
    """What one simulated search did.

    ``pick`` is the candidate with the best validation quality among the completed runs; if none
    was completed, the best one of those trained longest. ``completion_seconds`` and
    ``completed`` (k,) say when each full run ended; ``epochs`` (candidates,) how long each was
    trained; ``started`` lists candidates in the order in which they were drawn; ``notes`` is what
    the optimizer noted of its search.
    """

    pick: int
    seconds: float
    busy_seconds: float
    epochs_charged: int
    epochs: IntArray
    started: tuple[int, ...]
    completed: tuple[int, ...]
    completion_seconds: FloatArray
    notes: Mapping[str, float]


def simulate(
    replay: Replayable,
    optimizer: Optimizer,
    terminator: Terminator,
    rng: np.random.Generator,
    *,
    workers: int = 1,
    accounting: Accounting = "continue",
    budget: int | None = None,
) -> Episode:
    """Run one search on the virtual clock.

    Parameters
    ----------
    replay
        The runs: a table's, or those of a surrogate, which any architecture of a space has.
    optimizer, terminator
        Fitted methods; neither is changed.
    rng
        The order's chance, handed to the optimizer.
    workers
        Trainings that run side by side.
    accounting
        ``"continue"``: a resumed run pays only its new epochs; ``"restart"``: all of them again.
    budget
        Candidates that may be started; all of a table by default. A search of a whole space must
        have one.

    Raises
    ------
    InputError
        if ``workers`` or ``budget`` is below 1, a search of a whole space has no budget, or the
        accounting is unknown.
    ContractError
        if a method proposes or trains what makes no sense, as a run that is being trained already.
    LeakageError
        if a method asks for what was not paid for.
    """
    if workers < 1:
        raise InputError(f"workers is {workers}; expected 1 or more.")
    if accounting not in ("continue", "restart"):
        raise InputError(f"accounting is {accounting!r}; expected 'continue' or 'restart'.")
    if budget is not None and budget < 1:
        raise InputError(f"budget is {budget}; expected 1 or more candidates.")
    candidates = replay.candidates()
    if candidates.space is None:
        budget = min(len(candidates), len(candidates) if budget is None else budget)
    elif budget is None:
        raise InputError(
            f"A search of the whole space {candidates.space.name!r} has no end of its own; give it "
            "a budget of candidates."
        )
    state = _State(replay, optimizer.begin(candidates, rng), budget)
    session = terminator.begin(state)
    books = _Books(replay, state, restart=accounting == "restart")
    clock = Clock()
    idle = workers
    while True:
        while idle and (job := session.next()) is not None:
            idle -= books.start(job, clock, idle, resumed=True)
        if idle == workers:
            break  # nothing is running
        job, taken, times = clock.advance()
        state.record(job, clock.now, times)
        follow = session.done(job)
        if follow is None:
            idle += taken
        else:  # it keeps its worker, so it goes on where it is, whatever the accounting
            idle += taken - books.start(follow, clock, taken, resumed=False)
    return state.episode(clock.now, books.busy_seconds, books.repeated_epochs)


class _Books:
    """Charges jobs in recorded seconds and announces when they end."""

    def __init__(self, replay: Replayable, state: _State, *, restart: bool) -> None:
        self._replay = replay
        self._state = state
        self._restart = restart
        self.busy_seconds = 0.0
        self.repeated_epochs = 0  # paid for again by a run that was restarted

    def start(self, job: Job, clock: Clock, idle: int, *, resumed: bool) -> int:
        """Charge a job, announce its end, and return the number of workers that it takes."""
        restart = resumed and self._restart
        epoch = job.epoch
        if len(job.runs) == 1:
            run = int(job.runs[0])
            begin = self._state.check(run, epoch)
            if restart:
                self.repeated_epochs += begin
                begin = 0
            cumulative = self._replay.cumulative
            seconds = cumulative[run, epoch] - cumulative[run, begin]
            self.busy_seconds += seconds
            clock.announce(clock.now + seconds, (job, 1, None))
            return 1
        runs = np.asarray(job.runs, np.intp)
        begins = self._state.check_all(runs, epoch)
        if restart:
            self.repeated_epochs += int(begins.sum())
            begins = np.zeros_like(begins)
        spent = self._replay.cumulative_array
        durations = spent[:, epoch][runs] - spent[runs, begins]
        ends = spread(durations, idle)  # counted from now
        if idle == 1:  # one after the other
            busy = last = float(ends[-1])
        else:
            busy, last = float(durations.cumsum()[-1]), float(ends.max())
        self.busy_seconds += busy
        clock.announce(clock.now + last, (job, idle, clock.now + ends))
        return idle


class _State:
    """The view that methods are handed; it answers only for what has been paid for."""

    def __init__(self, replay: Replayable, search: Search, budget: int) -> None:
        n = len(replay.lengths)
        self._replay = replay
        self._search = search
        self._left = budget
        self._trained = [0] * n
        # The last epoch that may be asked for: -1 until drawn, then how far the run was trained,
        # and max_epochs as soon as it has ended, even if it was shorter.
        self._paid = [-1] * n
        self._training = [False] * n  # whether a job that names it is under way
        self._started: list[int] = []
        self._completed: list[int] = []
        self._completion_seconds: list[float] = []
        self._incumbent: int | None = None
        self.n_candidates = self._left
        self.max_epochs: int = replay.max_epochs

    # What a method may ask.

    @property
    def architectures(self) -> tuple[Architecture, ...]:
        return self._replay.architectures

    @property
    def incumbent(self) -> int | None:
        return self._incumbent

    @property
    def completed(self) -> Sequence[int]:
        return self._completed

    def draw(self, count: int) -> list[int]:
        count = min(count, self._left)
        drawn = self._search.ask(count)
        if len(drawn) > count:
            raise ContractError(
                f"The optimizer proposed {len(drawn)} candidates; expected {count} at the most."
            )
        self._left -= len(drawn)
        self._started += drawn
        self._grow()
        paid, n = self._paid, len(self._paid)
        for run in drawn:
            if not 0 <= run < n:
                raise ContractError(
                    f"The optimizer proposed candidate {run}; expected 0 to {n - 1}."
                )
            if paid[run] >= 0:
                raise ContractError(f"The optimizer proposed candidate {run} twice.")
            paid[run] = 0
        return drawn

    def _grow(self) -> None:
        """Make room for architectures that were named first since the last draw."""
        self._replay.grow()
        new = len(self._replay.lengths) - len(self._paid)
        if new:
            self._trained += [0] * new
            self._paid += [-1] * new
            self._training += [False] * new

    def epochs(self, run: int) -> int:
        return self._trained[run]

    def ended(self, run: int) -> bool:
        return self._paid[run] == self.max_epochs

    def value(self, run: int, epoch: int) -> float:
        if not 1 <= epoch <= self._paid[run]:
            raise self._unpaid(run, epoch)
        return self._replay.values[run, epoch - 1]

    def values(self, runs: IntArray, epoch: int) -> FloatArray:
        paid = self._paid
        for run in runs.tolist():
            if paid[run] < epoch or epoch < 1:
                raise self._unpaid(run, epoch)
        values: FloatArray = self._replay.values_array[:, epoch - 1][runs]
        return values

    def prefix(self, run: int) -> FloatArray:
        return self._replay.values_array[run, : self._trained[run]].copy()

    def probability_better(self, estimator: Estimator, run: int, epoch: int) -> float:
        if not 0 <= epoch <= self._paid[run]:
            raise self._unpaid(run, epoch)
        if self._incumbent is None:
            return 1.0
        return self._replay.probabilities(estimator, epoch, self._incumbent)[run]

    def completed_runs(self) -> Sources:
        task = self._replay.as_source(np.array(self._completed, np.intp))
        return Sources((task,), self._replay.metric)

    def _unpaid(self, run: int, epoch: int) -> LeakageError:
        return LeakageError(
            f"A method asked for epoch {epoch} of candidate {run}, which has been trained for "
            f"{self._trained[run]} epochs; it may only ask for epochs that were paid for."
        )

    # What the loop tells it.

    def check(self, run: int, epoch: int) -> int:
        """The epoch from which a job trains a run, if it is a legal job."""
        paid = self._paid[run]
        if paid < 0:
            raise ContractError(f"The terminator trains candidate {run}, which was not drawn.")
        if self._training[run]:
            raise ContractError(
                f"The terminator trains candidate {run}, which is being trained already; a job "
                "may name a run once, and not before its last job is done."
            )
        if not paid < epoch <= self.max_epochs:
            raise ContractError(
                f"The terminator trains candidate {run} from epoch {self._trained[run]} to "
                f"{epoch}; expected a later epoch, up to {self.max_epochs}, of a run that has not "
                "ended."
            )
        self._training[run] = True
        return paid

    def check_all(self, runs: IntArray, epoch: int) -> IntArray:
        """The same for many runs, (runs,)."""
        numbers = runs.tolist()
        if not numbers:
            raise ContractError("The terminator handed out a job without runs; expected None.")
        paid = itemgetter(*numbers)(self._paid)  # of a run that goes on: the epochs trained
        levels = set(paid)
        training = self._training
        if min(levels) < 0 or not max(levels) < epoch <= self.max_epochs:
            for run in numbers:
                self.check(run, epoch)
        for run in numbers:
            if training[run]:
                self.check(run, epoch)
            training[run] = True
        return np.fromiter(paid, np.intp, len(paid))

    def record(self, job: Job, now: float, times: FloatArray | None) -> None:
        """Note that a job has been trained; ``times`` are the ends of its runs."""
        if times is None:
            self._record_run(int(job.runs[0]), job.epoch, now)
            return
        runs = np.asarray(job.runs)
        numbers, epoch = runs.tolist(), job.epoch
        if self._search.listens:
            first_to_last = times.argsort(kind="stable")
        else:  # only a run that has ended tells anything
            trained, paid, training = self._trained, self._paid, self._training
            for run in numbers:
                trained[run] = paid[run] = epoch
                training[run] = False
            if epoch < self._replay.shortest:
                return
            (ended,) = (self._replay.lengths_array[runs] <= epoch).nonzero()
            first_to_last = ended[times[ended].argsort(kind="stable")]
        for at in first_to_last.tolist():
            self._record_run(numbers[at], epoch, float(times[at]))

    def _record_run(self, run: int, epoch: int, now: float) -> None:
        replay = self._replay
        length = replay.lengths[run]
        self._training[run] = False
        if epoch < length:
            self._trained[run] = self._paid[run] = epoch
        else:
            self._trained[run] = length
            self._paid[run] = self.max_epochs
            if replay.completes[run]:
                self._completed.append(run)
                self._completion_seconds.append(now)
                best = self._incumbent
                if best is None or replay.qualities[run] > replay.qualities[best]:
                    self._incumbent = run
        if self._search.listens:
            at = min(epoch, length)
            if epoch < length:
                standing = replay.standing[run, epoch - 1] if epoch else -math.inf
            else:
                standing = replay.qualities[run] if replay.completes[run] else -math.inf
            self._search.tell(run, at, standing)

    def episode(self, seconds: float, busy_seconds: float, repeated_epochs: int) -> Episode:
        if not self._started:
            raise ContractError("The terminator ended the search without starting a run.")
        trained = self._trained
        pick = self._incumbent
        if pick is None:
            longest = max(trained)
            values = self._replay.values
            pick = max(
                (run for run in self._started if trained[run] == longest),
                key=lambda run: values[run, longest - 1] if longest else 0.0,
            )
        return Episode(
            pick=pick,
            seconds=seconds,
            busy_seconds=busy_seconds,
            epochs_charged=sum(trained) + repeated_epochs,
            epochs=np.fromiter(trained, np.intp, len(trained)),
            started=tuple(self._started),
            completed=tuple(self._completed),
            completion_seconds=np.array(self._completion_seconds),
            notes=dict(getattr(self._search, "notes", {})),
        )
