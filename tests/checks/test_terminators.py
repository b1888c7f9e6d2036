"""Each check of terminators rejects its culprit, and lets the honest twin pass."""

from __future__ import annotations

import dataclasses
import gc
import random
import time
from collections.abc import Callable

import numpy as np
import pytest

from nassim.checks import terminators as checks
from nassim.checks.terminators import check_terminator
from nassim.checks.worlds import small_world
from nassim.errors import ContractError, InputError, LeakageError, UnknownNameError
from nassim.optimizers.random_search import RandomSearch
from nassim.records import Action, FloatArray, Incumbent, Prefixes, Sources
from nassim.simulator import Episode, simulate
from nassim.studies.folds import Sealed
from nassim.terminators.asha import ASHA
from nassim.terminators.base import Estimator, Job, Judge, Rule, Session, Terminator, View
from nassim.terminators.last_value import LastValue
from nassim.terminators.never import Never


def test_a_user_s_own_class_can_be_checked() -> None:
    assert check_terminator(LastValue) == check_terminator("last_value")


def test_only_checks_that_apply_are_run() -> None:
    assert {"check_batch_mates", "check_probability"} <= set(check_terminator(LastValue))
    assert "check_batch_mates" not in check_terminator(Never)
    assert "check_candidate_names" not in check_terminator(Learned)
    assert {"check_candidate_names", "check_dataset_names"} <= set(check_terminator(Never))
    names = check_terminator(ReadsNames)
    assert "check_dataset_names" in names
    assert "check_candidate_names" not in names


def test_every_public_check_is_run_for_some_kind_of_terminator() -> None:
    ran = {check.__name__ for check in (*checks._FOR_ALL, *checks._FOR_ESTIMATORS)}
    ran |= {check.__name__ for check in (*checks._FOR_UNTAUGHT, *checks._FOR_BLIND)}
    assert ran | {"check_terminator"} == set(checks.__all__)


def test_what_is_no_terminator_is_refused() -> None:
    with pytest.raises(ContractError, match="int is no terminator; expected a subclass of"):
        check_terminator(int)
    with pytest.raises(UnknownNameError, match="Did you mean 'asha'"):
        check_terminator("ashaa")


# --- culprits ----------------------------------------------------------------------------------


class Simple(Rule):
    """Judges every run after epochs 3 and 9, by whatever a culprit has in mind."""

    def decision_epochs(self, max_epochs: int) -> tuple[int, ...]:
        return tuple(epoch for epoch in (3, 9) if epoch < max_epochs)

    def judge(self, view: View) -> Judge:
        return _SimpleJudge(self, view)

    def good(self, view: View, run: int, epoch: int) -> bool:
        """The sound one: in the upper part of the scale."""
        return view.value(run, epoch) > 0.4


class _SimpleJudge(Judge):
    def __init__(self, rule: Simple, view: View) -> None:
        self._rule = rule
        self._view = view

    def decide(self, run: int, epoch: int) -> Action:
        good = self._rule.good(self._view, run, epoch)
        return Action.CONTINUE if good else Action.STOP


class Learned(Simple):
    """A sound one that learns: its threshold is the median of the sources."""

    uses_sources = True
    threshold = 0.0

    def fit(self, sources: Sources, seed: int) -> None:
        self.threshold = float(np.median([np.median(task.values) for task in sources.tasks])) / 2

    def good(self, view: View, run: int, epoch: int) -> bool:
        return view.value(run, epoch) > self.threshold


class Peeks(Simple):
    """Looks at the end of the curve behind the view's back."""

    def good(self, view: View, run: int, epoch: int) -> bool:
        return bool(view._replay.values_array[run, -1] > 0.6)  # type: ignore[attr-defined]


class Swallows(Simple):
    """Asks for what was not paid for, and goes on when it is refused."""

    def good(self, view: View, run: int, epoch: int) -> bool:
        try:
            return view.value(run, epoch + 1) > 0.4
        except LeakageError:
            return True


class SecondsInTheFuture(Simple):
    """Stops what will take long, from seconds that were not measured yet."""

    def good(self, view: View, run: int, epoch: int) -> bool:
        seconds = view._replay.cumulative_array[run]  # type: ignore[attr-defined]
        return bool(seconds[-1] - seconds[epoch] < 50)


class FindsTheTest(Simple):
    """Finds the sealed test values in memory and decides by them, but keeps none."""

    def judge(self, view: View) -> Judge:
        found = [thing.test for thing in gc.get_objects() if type(thing) is Sealed]
        total = np.sum([test for test in found if len(test) == view.n_candidates], axis=0)
        self.chosen = np.broadcast_to(total % 1 < 0.5, view.n_candidates)
        return super().judge(view)

    def good(self, view: View, run: int, epoch: int) -> bool:
        return bool(self.chosen[run])


class HoldsTheTest(Simple):
    """Decides soundly, but has put test values aside for later."""

    def begin(self, view: View) -> Session:
        self.aside = [thing.test for thing in gc.get_objects() if type(thing) is Sealed]
        return super().begin(view)


class Gaussian(Estimator):
    """A sound one: the value so far, give or take."""

    def __init__(self) -> None:
        super().__init__(delta=0.3)

    def estimate(self, prefixes: Prefixes) -> FloatArray:
        last = prefixes.curves[:, -1]
        return np.stack([last, np.full_like(last, 0.2)], axis=1)


class NormalisesByBatch(Gaussian):
    """Takes the spread from the others in the batch, which nobody has paid for."""

    def estimate(self, prefixes: Prefixes) -> FloatArray:
        last = prefixes.curves[:, -1]
        return np.stack([last, np.full_like(last, 5 * last.std())], axis=1)


class RanksInBatch(LastValue):
    """As above, but only once it compares."""

    def probability(self, estimates: FloatArray, incumbent: Incumbent) -> FloatArray:
        return estimates[:, 0].argsort().argsort() / len(estimates)


class Guesses(Simple):
    """Draws from a generator that nobody has seeded."""

    def good(self, view: View, run: int, epoch: int) -> bool:
        return bool(np.random.default_rng().random() < 0.5)


class GuessesGlobally(Simple):
    """Draws from numpy's global generator."""

    def good(self, view: View, run: int, epoch: int) -> bool:
        return bool(np.random.random() < 0.5)  # noqa: NPY002


class GuessesWithPython(Simple):
    """Draws from Python's global generator."""

    def good(self, view: View, run: int, epoch: int) -> bool:
        return random.random() < 0.5


class SeedsGlobally(Simple):
    """Is the same every time, at the cost of everyone else's chance."""

    def fit(self, sources: Sources, seed: int) -> None:
        np.random.seed(seed)  # noqa: NPY002

    def good(self, view: View, run: int, epoch: int) -> bool:
        return bool(np.random.random() < 0.5)  # noqa: NPY002


class LooksAtTheClock(Simple):
    """Has only so much patience."""

    def judge(self, view: View) -> Judge:
        self.started = time.perf_counter()
        return super().judge(view)

    def good(self, view: View, run: int, epoch: int) -> bool:
        return 0 <= time.perf_counter() - self.started < 600


class CountsOnItself(Simple):
    """Remembers on the terminator what belongs to one search."""

    def __init__(self) -> None:
        self.seen: list[float] = []

    def good(self, view: View, run: int, epoch: int) -> bool:
        self.seen.append(view.value(run, epoch))
        return self.seen[-1] >= float(np.median(self.seen))


class SharesItsJudge(Simple):
    """Forgets at the start of a search, which two searches at once do not survive."""

    def judge(self, view: View) -> Judge:
        self.seen: list[float] = []
        return super().judge(view)

    def good(self, view: View, run: int, epoch: int) -> bool:
        self.seen.append(view.value(run, epoch))
        return len(self.seen) % 3 > 0


class LearnsOn(Learned):
    """Keeps what it learned from other sources before."""

    def fit(self, sources: Sources, seed: int) -> None:
        super().fit(sources, seed)
        self.fits = getattr(self, "fits", 0) + 1
        self.threshold *= self.fits


class PrefersOddNumbers(Simple):
    def good(self, view: View, run: int, epoch: int) -> bool:
        return run % 2 == 1


class PrefersShortNames(Simple):
    def good(self, view: View, run: int, epoch: int) -> bool:
        return len(view.architectures[run].id) < 50 or super().good(view, run, epoch)


class ReadsNames(PrefersShortNames):
    """The same, which says so."""

    reads_architectures = True


class LikesItsNeighbours(Simple):
    """Decides by the names of datasets, and does not say that it learns."""

    def fit(self, sources: Sources, seed: int) -> None:
        self.generous = "world-2" in [task.dataset.name for task in sources.tasks]

    def good(self, view: View, run: int, epoch: int) -> bool:
        return self.generous or super().good(view, run, epoch)


class AsksForMore(ASHA):
    """A schedule that trains everything to the end, whether or not it has ended already."""

    def begin(self, view: View) -> Session:
        return _Insists(view)


class _Insists:
    def __init__(self, view: View) -> None:
        self._view = view

    def next(self) -> Job | None:
        drawn = self._view.draw(1)
        return Job(drawn, min(2, self._view.max_epochs)) if drawn else None

    def done(self, job: Job) -> Job | None:
        last = self._view.max_epochs
        return Job(job.runs, last) if job.epoch < last else None


class StartsNothing(Never):
    def begin(self, view: View) -> Session:
        session = super().begin(view)
        session.next = lambda: None  # type: ignore[method-assign]
        return session


class LovesStrongIncumbents(LastValue):
    def probability(self, estimates: FloatArray, incumbent: Incumbent) -> FloatArray:
        return np.full(len(estimates), np.clip(incumbent.value, 0.0, 1.0))


class IsMoreThanCertain(LastValue):
    def probability(self, estimates: FloatArray, incumbent: Incumbent) -> FloatArray:
        return 2 * super().probability(estimates, incumbent)


CULPRITS: list[tuple[Callable[[Callable[[], Terminator]], None], type[Terminator], str]] = [
    (checks.check_asks_only_paid, Swallows, "went on after an error of the view"),
    (checks.check_asks_only_paid, Peeks, "asked the view for '_replay'"),
    (checks.check_unpaid_values, Peeks, "nobody had paid for"),
    (checks.check_unpaid_values, SecondsInTheFuture, "nobody had paid for"),
    (checks.check_unpaid_values, NormalisesByBatch, "nobody had paid for"),
    (checks.check_poison, Peeks, "never paid for"),
    (checks.check_firewall, FindsTheTest, "when only test values were changed"),
    (checks.check_firewall, HoldsTheTest, "HoldsTheTest.aside"),
    (checks.check_batch_mates, NormalisesByBatch, "estimate says"),
    (checks.check_batch_mates, RanksInBatch, "probability says"),
    (checks.check_same_seed, Guesses, "decided otherwise the second time"),
    (checks.check_global_chance, GuessesGlobally, "global generator of numpy.random"),
    (checks.check_global_chance, GuessesWithPython, "global generator of random"),
    (checks.check_global_chance, SeedsGlobally, "global generator of numpy.random"),
    (checks.check_wall_clock, LooksAtTheClock, "when clocks moved"),
    (checks.check_searches_apart, CountsOnItself, "another search"),
    (checks.check_searches_apart, SharesItsJudge, "another search"),
    (checks.check_fit_again, LearnsOn, "fitted a second time"),
    (checks.check_candidate_numbers, PrefersOddNumbers, "numbered otherwise"),
    (checks.check_candidate_names, PrefersShortNames, "candidates were renamed"),
    (checks.check_dataset_names, LikesItsNeighbours, "datasets were renamed"),
    (checks.check_hard_tables, AsksForMore, "On a table that is 'ragged': .* has not ended"),
    (checks.check_hard_tables, StartsNothing, "without starting a run"),
    (checks.check_probability, LovesStrongIncumbents, "rises with the incumbent's value"),
    (checks.check_probability, IsMoreThanCertain, "says 2.0; expected 0 to 1"),
]
LEAKS = {"asks_only_paid", "unpaid_values", "poison", "firewall", "batch_mates"}


@pytest.mark.parametrize(
    ("check", "culprit", "message"),
    CULPRITS,
    ids=[f"{check.__name__}-{culprit.__name__}" for check, culprit, _ in CULPRITS],
)
def test_a_check_rejects_its_culprit(
    check: Callable[[Callable[[], Terminator]], None], culprit: type[Terminator], message: str
) -> None:
    leak = check.__name__.removeprefix("check_") in LEAKS
    with pytest.raises(LeakageError if leak else ContractError, match=message) as caught:
        check(culprit)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("sound", [Simple, Learned, Gaussian])
def test_the_honest_twin_of_the_culprits_passes(sound: type[Terminator]) -> None:
    check_terminator(sound)


def test_all_together_reject_a_culprit_too() -> None:
    with pytest.raises(ContractError):
        check_terminator(Swallows)


def test_every_check_has_a_culprit() -> None:
    accused = {check.__name__ for check, _, _ in CULPRITS} | {"check_costs"}  # below
    assert accused | {"check_terminator"} == set(checks.__all__)


def test_costs_reject_a_loop_that_gives_resumed_epochs_away(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def generous(*args: object, accounting: str = "continue", **options: object) -> Episode:
        episode = simulate(*args, **options)  # type: ignore[arg-type]
        if accounting == "restart":
            return dataclasses.replace(episode, busy_seconds=episode.busy_seconds / 2)
        return episode

    monkeypatch.setattr(checks, "simulate", generous)
    with pytest.raises(ContractError, match="expected no fewer"):
        checks.check_costs(ASHA)


DOCTORED = {
    "trained a run past its end": lambda e: {"epochs": e.epochs + 1},
    "epochs charged are not": lambda e: {"epochs_charged": e.epochs_charged + 1},
    "started a run twice": lambda e: {"started": (*e.started, e.started[0])},
    "trained a run that it never started": lambda e: {"started": e.started[:-1]},
    "its pick was never started": lambda e: {"pick": 99},
    "its pick is not complete": lambda e: {"pick": int(np.argmin(e.epochs))},
    "completed runs are not those": lambda e: {
        "completed": (*e.completed, int(np.argmin(e.epochs)))
    },
    "took longer than its workers": lambda e: {"seconds": e.busy_seconds * 2},
}


@pytest.mark.parametrize("fault", DOCTORED)
def test_books_reject_a_doctored_episode(fault: str) -> None:
    replay = small_world().replay()
    episode = simulate(replay, RandomSearch(), ASHA(), np.random.default_rng(0))
    checks._check_books("", replay, episode)
    doctored = dataclasses.replace(episode, **DOCTORED[fault](episode))
    with pytest.raises(ContractError, match=fault):
        checks._check_books("", replay, doctored)


def test_a_method_may_refuse_a_table_that_it_cannot_handle() -> None:
    checks.check_hard_tables(RefusesLoss)


class RefusesLoss(Learned):
    def fit(self, sources: Sources, seed: int) -> None:
        if not sources.metric.higher_is_better:
            raise InputError("I know accuracies only.")
        super().fit(sources, seed)
