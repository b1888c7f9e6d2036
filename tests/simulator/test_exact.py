"""Asynchronous and synchronous schedules against naive simulations, exact to the last decision.

The naive ones are written independently and slowly: explicit workers, a list of running jobs that
is searched for the earliest end, exact fractions. Seconds are whole numbers, so that times are
exact and ties (which the announcement's order decides) are frequent.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass, field
from fractions import Fraction

import numpy as np
import pytest

from nassim.checks.recording import FixedOrder
from nassim.records import Architecture, Dataset
from nassim.simulator import Replay, TableSource, simulate
from nassim.terminators.asha import ASHA
from nassim.terminators.base import Terminator
from nassim.terminators.hyperband import Hyperband, hyperband_brackets
from nassim.terminators.median import MedianRule
from nassim.terminators.successive_halving import SuccessiveHalving

INFINITE = float("inf")


@dataclass
class Case:
    """A random small table and how it is to be searched."""

    values: list[list[float]]
    seconds: list[list[int]]
    lengths: list[int]
    failed: list[bool]
    order: list[int]
    workers: int

    @property
    def last(self) -> int:
        return len(self.values[0])

    def value(self, run: int, epoch: int) -> float:
        if epoch <= self.lengths[run]:
            return self.values[run][epoch - 1]
        return -INFINITE if self.failed[run] else self.values[run][self.lengths[run] - 1]

    def takes(self, run: int, begin: int, end: int) -> int:
        return sum(self.seconds[run][begin : min(end, self.lengths[run])])

    def replay(self) -> Replay:
        names = [f"run {k}" for k in range(len(self.values))]
        lengths = np.array(self.lengths)
        curves = np.array(self.values)
        curves[np.arange(self.last) >= lengths[:, None]] = np.nan
        table = TableSource(
            Dataset("made up", "made up"),
            [Architecture("table", (), name, name) for name in names],
            np.arange(len(names)),
            curves,
            np.array(self.seconds, np.float64),
            lengths,
            np.array(self.failed),
        )
        return Replay(table)


def random_case(seed: int, *, ties: bool, ragged: bool) -> Case:
    rng = np.random.default_rng([seed, ties, ragged])
    n, last = int(rng.integers(1, 25)), int(rng.integers(2, 20))
    values = rng.integers(0, 9, (n, last)) / 8 if ties else rng.random((n, last))
    seconds = rng.integers(1, 4, (n, last))
    if seed % 3 == 0:  # all alike: every time is a tie
        seconds[:] = 2
    lengths, failed = np.full(n, last), np.zeros(n, bool)
    if ragged:
        lengths[1:] = rng.integers(1, last + 1, n - 1)
        failed = (lengths < last) & (rng.random(n) < 0.5)
    return Case(
        values.tolist(),
        seconds.tolist(),
        lengths.tolist(),
        failed.tolist(),
        rng.permutation(n).tolist(),
        int(rng.integers(1, 6)),
    )


@dataclass
class Story:
    """What happened: for each run its decisions, and when the completed ones ended."""

    trained: dict[int, int] = field(default_factory=dict)
    started: list[int] = field(default_factory=list)
    completed: list[tuple[int, int]] = field(default_factory=list)  # run, time
    end: int = 0
    busy: int = 0


@dataclass
class Running:
    run: int
    until: int
    ends_at: int
    announced: int


def naive_asynchronous(
    case: Case,
    rungs: list[int],
    goes_on: Callable[[Case, Story, int, int], bool],
    promoted: Callable[[], int | None] = lambda: None,
) -> Story:
    """Workers take runs from rung to rung; a run that does not go on frees its worker."""
    story, now, counter = Story(), 0, itertools.count()
    waiting = list(case.order)
    running: list[Running] = []

    def begin(run: int) -> None:
        at = story.trained.setdefault(run, 0)
        until = min([rung for rung in [*rungs, case.last] if rung > at])
        seconds = case.takes(run, at, until)
        story.busy += seconds
        running.append(Running(run, until, now + seconds, next(counter)))

    while True:
        while len(running) < case.workers:
            run = promoted()
            if run is None:
                if not waiting:
                    break
                run = waiting.pop(0)
                story.started.append(run)
            begin(run)
        if not running:
            return story
        job = min(running, key=lambda job: (job.ends_at, job.announced))
        running.remove(job)
        now = story.end = job.ends_at
        if job.until >= case.lengths[job.run]:
            story.trained[job.run] = case.lengths[job.run]
            if not case.failed[job.run]:
                story.completed.append((job.run, now))
        else:
            story.trained[job.run] = job.until
            if job.until not in rungs or goes_on(case, story, job.run, job.until):
                begin(job.run)


def exact_quantile(values: list[float], level: Fraction) -> Fraction:
    ordered = sorted(map(Fraction, values))
    position = (len(ordered) - 1) * level
    below = position.numerator // position.denominator
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (ordered[above] - ordered[below]) * (position - below)


def naive_asha_stopping(case: Case, eta: int, first: int) -> Story:
    rungs = geometric(first, eta, case.last)
    seen: dict[int, list[float]] = {rung: [] for rung in rungs}

    def goes_on(case: Case, story: Story, run: int, rung: int) -> bool:
        seen[rung].append(case.value(run, rung))
        return Fraction(seen[rung][-1]) >= exact_quantile(seen[rung], 1 - Fraction(1, eta))

    return naive_asynchronous(case, rungs, goes_on)


def naive_asha_promotion(case: Case, eta: int, first: int) -> Story:
    rungs = geometric(first, eta, case.last)
    paused: dict[int, list[int]] = {rung: [] for rung in rungs}  # in the order of arrival
    moved_on: dict[int, list[int]] = {rung: [] for rung in rungs}

    def goes_on(case: Case, story: Story, run: int, rung: int) -> bool:
        paused[rung].append(run)
        return False

    def promoted() -> int | None:
        for rung in sorted(rungs, reverse=True):
            best_first = sorted(paused[rung], key=lambda run: -case.value(run, rung))  # stable
            for run in best_first[: len(best_first) // eta]:
                if run not in moved_on[rung]:
                    moved_on[rung].append(run)
                    return run
        return None

    return naive_asynchronous(case, rungs, goes_on, promoted)


def naive_median(case: Case, grace: int) -> Story:
    def goes_on(case: Case, story: Story, run: int, epoch: int) -> bool:
        averages = []
        for other, _ in story.completed:
            own = case.values[other][: min(epoch, case.lengths[other])]
            averages.append(sum(map(Fraction, own)) / len(own))
        if not averages:
            return True
        middle = sorted(averages)
        half = len(middle) // 2
        median = middle[half] if len(middle) % 2 else (middle[half - 1] + middle[half]) / 2
        return max(map(Fraction, case.values[run][:epoch])) >= median

    return naive_asynchronous(case, list(range(grace, case.last)), goes_on)


def naive_syne_tune_median(case: Case, grace: int) -> Story:
    reports: dict[int, list[Fraction]] = {}

    def goes_on(case: Case, story: Story, run: int, epoch: int) -> bool:
        own = sum(map(Fraction, case.values[run][:epoch])) / epoch
        seen = reports.setdefault(epoch, [])
        seen.append(own)
        better = sum(other > own for other in seen)
        return len(seen) < 2 or Fraction(better, len(seen)) <= Fraction(1, 2)

    return naive_asynchronous(case, list(range(grace, case.last)), goes_on)


def naive_halving(case: Case, brackets: list[list[tuple[int, int]]]) -> Story:
    """Rung after rung; each run starts on the worker that has been free for longest."""
    story, now = Story(), 0
    waiting = list(case.order)
    for rungs in brackets:
        survivors: list[int] = []
        for number, (count, epoch) in enumerate(rungs):
            if number == 0:
                survivors, waiting = waiting[:count], waiting[count:]
                story.started += survivors
                story.trained.update(dict.fromkeys(survivors, 0))
            else:
                before = rungs[number - 1][1]
                ranked = sorted(survivors, key=lambda run: -case.value(run, before))
                survivors = [run for run in survivors if run in ranked[:count]]
            free_at = [now] * case.workers
            ended = []
            for run in survivors:
                trained = story.trained[run]
                if trained == case.lengths[run] and (trained > 0 or number > 0):
                    continue
                seconds = case.takes(run, trained, epoch)
                worker = free_at.index(min(free_at))
                free_at[worker] += seconds
                story.busy += seconds
                story.trained[run] = min(epoch, case.lengths[run])
                if story.trained[run] == case.lengths[run] and not case.failed[run]:
                    ended.append((run, free_at[worker]))
            story.completed += sorted(ended, key=lambda pair: pair[1])
            now = story.end = max(free_at)
    return story


def geometric(first: int, eta: int, last: int) -> list[int]:
    return [r for r in (first * eta**k for k in range(20)) if r < last]


def must_tell(case: Case, terminator: Terminator, story: Story) -> None:
    """The simulator tells the same story."""
    episode = simulate(
        case.replay(),
        FixedOrder(case.order),
        terminator,
        np.random.default_rng(0),
        workers=case.workers,
    )
    assert episode.started == tuple(story.started)
    assert episode.epochs.tolist() == [story.trained.get(k, 0) for k in range(len(case.values))]
    assert episode.completed == tuple(run for run, _ in story.completed)
    assert episode.completion_seconds.tolist() == [time for _, time in story.completed]
    assert episode.seconds == story.end
    assert episode.busy_seconds == story.busy
    assert episode.epochs_charged == sum(story.trained.values())


SEEDS = range(40)
KINDS = pytest.mark.parametrize(
    ("ties", "ragged"),
    [(False, False), (True, False), (True, True)],
    ids=["plain", "ties", "ragged"],
)


@KINDS
@pytest.mark.parametrize("eta", [2, 3, 4])
def test_asha_stops_as_the_naive_one_does(ties: bool, ragged: bool, eta: int) -> None:
    for seed in SEEDS:
        case = random_case(seed, ties=ties, ragged=ragged)
        must_tell(case, ASHA(eta=eta), naive_asha_stopping(case, eta, 1))


@KINDS
@pytest.mark.parametrize("eta", [2, 3, 4])
def test_asha_promotes_as_the_naive_one_does(ties: bool, ragged: bool, eta: int) -> None:
    for seed in SEEDS:
        case = random_case(seed, ties=ties, ragged=ragged)
        must_tell(case, ASHA(eta, variant="promotion"), naive_asha_promotion(case, eta, 1))


@KINDS
@pytest.mark.parametrize("grace", [1, 3])
def test_the_median_rule_stops_as_the_naive_one_does(ties: bool, ragged: bool, grace: int) -> None:
    for seed in SEEDS:
        case = random_case(seed, ties=ties, ragged=ragged)
        must_tell(case, MedianRule(grace), naive_median(case, grace))
        rule = MedianRule(grace, variant="syne_tune")
        must_tell(case, rule, naive_syne_tune_median(case, grace))


@KINDS
@pytest.mark.parametrize("eta", [2, 3])
def test_halving_trains_as_the_naive_one_does(ties: bool, ragged: bool, eta: int) -> None:
    for seed in SEEDS:
        case = random_case(seed, ties=ties, ragged=ragged)
        n = len(case.order)
        rungs = [*geometric(1, eta, case.last), case.last]
        bracket = [(max(1, n // eta**k), epoch) for k, epoch in enumerate(rungs)]
        must_tell(case, SuccessiveHalving(eta), naive_halving(case, [bracket]))


@KINDS
def test_hyperband_trains_as_the_naive_one_does(ties: bool, ragged: bool) -> None:
    for seed in SEEDS:
        case = random_case(seed, ties=ties, ragged=ragged)
        must_tell(case, Hyperband(), naive_halving(case, naive_brackets(case.last)))


def naive_brackets(last: int) -> list[list[tuple[int, int]]]:
    """eta = 3, in whole numbers and fractions."""
    s_max = max(s for s in range(10) if 3**s <= last)
    brackets = []
    for s in reversed(range(s_max + 1)):
        n = -(-(s_max + 1) * 3**s // (s + 1))
        epochs = [round(Fraction(last * 3**i, 3**s)) for i in range(s + 1)]
        brackets.append([(max(1, n // 3**i), epoch) for i, epoch in enumerate(epochs)])
    return brackets


def test_hyperband_s_brackets_are_exact() -> None:
    for last in range(1, 400):
        assert hyperband_brackets(last) == naive_brackets(last)
