from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nassim.checks.recording import FixedOrder
from nassim.checks.worlds import small_world
from nassim.errors import ContractError, InputError, LeakageError
from nassim.loading import build, parse_specification
from nassim.optimizers.base import Candidates, Optimizer, Search
from nassim.optimizers.random_search import RandomSearch
from nassim.records import Action, Architecture, Dataset
from nassim.simulator import Episode, Replay, TableSource, simulate
from nassim.terminators import TERMINATORS
from nassim.terminators.asha import ASHA
from nassim.terminators.base import Job, Judge, Rule, Session, Terminator, View
from nassim.terminators.never import Never
from nassim.terminators.successive_halving import SuccessiveHalving


def replay_of(curves: Any, seconds: Any = 1.0, **changes: Any) -> Replay:
    """Candidates with these curves; all complete unless ``lengths`` or ``failed`` say otherwise."""
    curves = np.array(curves, float)
    n, epochs = curves.shape
    lengths = np.array(changes.pop("lengths", [epochs] * n))
    curves[np.arange(epochs) >= lengths[:, None]] = np.nan
    names = [f"run {k}" for k in range(n)]
    table = TableSource(
        Dataset("made up", "made up"),
        [Architecture("table", (), name, name) for name in names],
        np.arange(n),
        curves,
        np.broadcast_to(np.array(seconds, float), curves.shape),
        lengths,
        np.array(changes.pop("failed", [False] * n)),
        **changes,
    )
    return Replay(table)


def search(replay: Replay, terminator: Terminator | None = None, **options: Any) -> Episode:
    """A search in the order of the candidates' numbers."""
    order = FixedOrder(range(len(replay.lengths)))
    rng = np.random.default_rng(0)
    return simulate(replay, order, terminator or Never(), rng, **options)


# --- known answers -----------------------------------------------------------------------------


def test_full_trainings_cost_all_their_seconds() -> None:
    replay = replay_of([[0.1, 0.2], [0.3, 0.4], [0.2, 0.1]], [[1, 2], [3, 4], [5, 6]])
    episode = search(replay)
    assert episode.pick == 1
    assert episode.seconds == episode.busy_seconds == 21
    assert episode.epochs_charged == 6
    assert episode.started == episode.completed == (0, 1, 2)
    assert episode.completion_seconds.tolist() == [3, 10, 21]


def test_two_workers_train_side_by_side() -> None:
    replay = replay_of(np.eye(3), [[1, 1, 1], [2, 2, 2], [1, 1, 1]])
    episode = search(replay, workers=2)
    assert episode.completed == (0, 1, 2)  # 1 and 2 both end at 6; 1 was announced first
    assert episode.completion_seconds.tolist() == [3, 6, 6]
    assert (episode.seconds, episode.busy_seconds) == (6, 12)


def test_a_budget_bounds_the_candidates_that_are_started() -> None:
    replay = replay_of(np.eye(4))
    assert search(replay, budget=2).started == (0, 1)
    assert search(replay, budget=9).started == (0, 1, 2, 3)
    assert len(search(replay, SuccessiveHalving(eta=2), budget=3).started) == 3


def test_a_run_of_which_nothing_was_measured_is_no_result() -> None:
    nan = np.nan
    episode = search(replay_of([[nan, nan], [0.1, nan], [nan, nan]]))
    assert (episode.completed, episode.pick, episode.epochs_charged) == ((1,), 1, 6)


def test_of_equal_runs_the_first_complete_one_is_the_pick() -> None:
    assert search(replay_of([[0.1, 0.5], [0.5, 0.1], [0.2, 0.2]])).pick == 0


def test_a_failed_run_is_paid_for_but_never_picked() -> None:
    replay = replay_of([[0.9, 0.9], [0.1, 0.2]], 2.0, lengths=[1, 2], failed=[True, False])
    episode = search(replay)
    assert (episode.pick, episode.completed, episode.busy_seconds) == (1, (1,), 6)
    assert episode.epochs.tolist() == [1, 2]


def test_a_run_that_failed_at_once_costs_nothing() -> None:
    replay = replay_of(np.eye(2), lengths=[0, 2], failed=[True, False])
    episode = search(replay)
    assert (episode.started, episode.epochs_charged, episode.seconds) == ((0, 1), 2, 2)


def test_a_short_run_is_complete_and_may_win() -> None:
    episode = search(replay_of([[0.9, 0.0, 0.0], [0.1, 0.2, 0.3]], lengths=[1, 3]))
    assert (episode.pick, episode.completed, episode.epochs_charged) == (0, (0, 1), 4)


def test_without_a_complete_run_the_best_of_the_longest_is_picked() -> None:
    class StopsAtOne(Rule):
        def decision_epochs(self, max_epochs: int) -> tuple[int, ...]:
            return (1, 2)

        def judge(self, view: View) -> Judge:
            return _StopsAt({0: 1, 1: 2, 2: 2})

    episode = search(replay_of([[0.9, 0.9, 0.9], [0.1, 0.2, 0.3], [0.1, 0.3, 0.2]]), StopsAtOne())
    assert episode.completed == ()
    assert episode.pick == 2
    assert episode.epochs.tolist() == [1, 2, 2]


class _StopsAt(Judge):
    def __init__(self, last: dict[int, int]) -> None:
        self._last = last

    def decide(self, run: int, epoch: int) -> Action:
        return Action.STOP if epoch == self._last[run] else Action.CONTINUE


def test_starting_anew_pays_earlier_epochs_again() -> None:
    replay = replay_of([[0.1, 0.1, 0.1, 0.1], [0.2, 0.2, 0.2, 0.2]], [[1, 2, 3, 4]])
    halving = SuccessiveHalving(eta=2)  # (2 until 1), (1 until 2), (1 until 4)
    goes_on, anew = (search(replay, halving, accounting=a) for a in ("continue", "restart"))
    assert (goes_on.epochs_charged, goes_on.busy_seconds) == (5, 1 + 10)
    assert (anew.epochs_charged, anew.busy_seconds) == (2 + 2 + 4, 2 + 3 + 10)
    assert goes_on.epochs.tolist() == anew.epochs.tolist() == [1, 4]


def test_a_run_that_keeps_its_worker_never_starts_anew() -> None:
    replay = replay_of(np.arange(9).reshape(1, 9) / 9)
    asha = ASHA(eta=2)  # one run, always the best
    assert search(replay, asha, accounting="restart").epochs_charged == 9


def test_paused_runs_are_promoted_before_new_ones_start() -> None:
    curves = np.linspace(0.1, 0.9, 4)[:, None] * np.ones((1, 4))  # the last is the best
    episode = search(replay_of(curves), ASHA(eta=2, variant="promotion"))
    # 0 and 1 pause at epoch 1, 1 is promoted to epoch 2 before 2 starts; 2 overtakes 1, and so on
    assert episode.started == (0, 1, 2, 3)
    assert episode.epochs.tolist() == [1, 2, 4, 4]


# --- what is refused ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"workers": 0}, "workers is 0; expected 1 or more"),
        ({"budget": 0}, "budget is 0; expected 1 or more candidates"),
        ({"accounting": "resume"}, "accounting is 'resume'; expected 'continue' or 'restart'"),
    ],
)
def test_odd_options_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        search(replay_of(np.eye(2)), **options)


class Scripted(Terminator):
    """Hands out these jobs, whatever happens."""

    def __init__(self, *jobs: tuple[list[int], int], ask: tuple[str, ...] = ()) -> None:
        self.jobs = jobs
        self.ask = ask

    def begin(self, view: View) -> Session:
        return _ScriptedSession(view, list(self.jobs))


class _ScriptedSession:
    def __init__(self, view: View, jobs: list[tuple[list[int], int]]) -> None:
        view.draw(2)
        self._jobs = jobs

    def next(self) -> Job | None:
        return Job(*self._jobs.pop(0)) if self._jobs else None

    def done(self, job: Job) -> Job | None:
        return None


@pytest.mark.parametrize(
    ("jobs", "message"),
    [
        ([([2], 1)], "trains candidate 2, which was not drawn"),
        ([([0], 1), ([0], 1)], "candidate 0 from epoch 1 to 1; expected a later epoch, up to 3"),
        ([([0], 4)], "candidate 0 from epoch 0 to 4; expected a later epoch, up to 3"),
        ([([0], 3), ([0], 3)], "of a run that has not ended"),
        ([([0, 2], 1)], "trains candidate 2, which was not drawn"),
        ([([0, 1], 2), ([1, 0], 2)], "candidate 1 from epoch 2 to 2"),
        ([([0, 1], 3), ([0, 1], 3)], "candidate 0 from epoch 3 to 3"),
    ],
)
def test_jobs_that_make_no_sense_are_refused(
    jobs: list[tuple[list[int], int]], message: str
) -> None:
    with pytest.raises(ContractError, match=message):
        search(replay_of(np.eye(3)), Scripted(*jobs))


@pytest.mark.parametrize("runs", [[0, 0], [0, 1, 1]])
def test_a_job_that_names_a_run_twice_is_refused(runs: list[int]) -> None:
    with pytest.raises(ContractError, match="a job may name a run once"):
        search(replay_of(np.eye(3)), Scripted((runs, 2)))


def test_a_job_without_runs_is_refused() -> None:
    with pytest.raises(ContractError, match="a job without runs; expected None"):
        search(replay_of(np.eye(3)), Scripted(([], 2)))


def test_a_run_that_is_being_trained_cannot_be_trained_by_another_worker() -> None:
    with pytest.raises(ContractError, match="candidate 0, which is being trained"):
        search(replay_of(np.eye(3)), Scripted(([0], 1), ([0], 2)), workers=2)
    search(replay_of(np.eye(3)), Scripted(([0], 1), ([0], 2)), workers=1)  # one after the other


def test_a_search_that_starts_nothing_is_refused() -> None:
    class Lazy(Never):
        def begin(self, view: View) -> Session:
            return _ScriptedSession.__new__(_Idle)

    with pytest.raises(ContractError, match="without starting a run"):
        search(replay_of(np.eye(3)), Lazy())


class _Idle(_ScriptedSession):
    def next(self) -> Job | None:
        return None


def test_an_optimizer_must_not_repeat_itself() -> None:
    replay = replay_of(np.eye(3))
    with pytest.raises(ContractError, match="proposed candidate 1 twice"):
        simulate(replay, FixedOrder([1, 1]), Never(), np.random.default_rng(0))


def test_an_optimizer_must_not_propose_more_than_it_is_asked_for() -> None:
    class Generous(RandomSearch):
        def begin(self, candidates: Any, rng: np.random.Generator) -> Search:
            search: Any = super().begin(candidates, rng)
            ask = search.ask
            search.ask = lambda count: ask(count + 1)
            return search

    with pytest.raises(ContractError, match="proposed 2 candidates; expected 1 at the most"):
        simulate(replay_of(np.eye(3)), Generous(), Never(), np.random.default_rng(0))


def test_an_optimizer_must_propose_candidates() -> None:
    replay = replay_of(np.eye(3))
    for odd in (3, -1):
        with pytest.raises(ContractError, match=f"proposed candidate {odd}; expected 0 to 2"):
            simulate(replay, FixedOrder([odd]), Never(), np.random.default_rng(0))


# --- the view ----------------------------------------------------------------------------------


class Looks(Terminator):
    """Trains candidate 0 for 2 of 3 epochs and keeps the view."""

    def begin(self, view: View) -> Session:
        self.view = view
        return _ScriptedSession(view, [([0], 2)])


@pytest.fixture
def view() -> View:
    looks = Looks()
    curves = [[0.1, 0.2, 0.3], [0.4, 0.5, 0.6], [0.7, 0.8, 0.9]]
    search(replay_of(curves), looks)
    return looks.view


def test_a_view_answers_for_what_was_paid_for(view: View) -> None:
    assert (view.n_candidates, view.max_epochs, len(view.architectures)) == (3, 3, 3)
    assert (view.epochs(0), view.epochs(1)) == (2, 0)
    assert (view.value(0, 1), view.value(0, 2)) == (0.1, 0.2)
    assert view.values(np.array([0]), 2).tolist() == [0.2]
    assert view.prefix(0).tolist() == [0.1, 0.2]
    assert view.prefix(1).tolist() == view.prefix(2).tolist() == []
    assert (view.incumbent, list(view.completed), view.ended(0)) == (None, [], False)
    assert view.draw(9) == [2]


@pytest.mark.parametrize(("run", "epoch"), [(0, 3), (0, 0), (0, -1), (1, 1), (2, 1)])
def test_a_view_refuses_what_was_not_paid_for(view: View, run: int, epoch: int) -> None:
    with pytest.raises(LeakageError, match=f"asked for epoch {epoch} of candidate {run}"):
        view.value(run, epoch)
    with pytest.raises(LeakageError, match="only ask for epochs that were paid for"):
        view.values(np.array([run]), epoch)


def test_an_estimate_must_be_paid_for_too(view: View) -> None:
    estimator: Any = None  # is not even looked at
    assert view.probability_better(estimator, 0, 2) == 1.0  # there is no incumbent
    for run, epoch in ((0, 3), (1, 1), (2, 0)):
        with pytest.raises(LeakageError):
            view.probability_better(estimator, run, epoch)


def test_a_prefix_cannot_be_used_to_change_the_record(view: View) -> None:
    view.prefix(0)[:] = 9.0
    view.values(np.array([0]), 1)[:] = 9.0
    assert view.value(0, 1) == 0.1


def test_a_view_hands_out_completed_runs_as_a_source() -> None:
    looks = Looks()
    curves = [[0.1, 0.3, 0.2], [0.4, 0.5, 0.6], [0.7, 0.8, np.nan], [0.9, 0.9, 0.9]]
    replay = replay_of(curves, lengths=[3, 3, 2, 1], failed=[False, False, False, True])
    looks.begin = lambda view: (  # type: ignore[method-assign]
        setattr(looks, "view", view)
        or (view.draw(2) and _ScriptedSession(view, [([2], 3), ([1], 2), ([0, 3], 3)]))
    )
    search(replay, looks)
    (task,) = looks.view.completed_runs().tasks
    assert list(looks.view.completed) == [2, 0]  # 1 has not ended, 3 failed
    assert [a.id for a in task.architectures] == [
        replay.table.architectures[run].id for run in (2, 0)
    ]
    assert np.array_equal(task.curves, [[0.7, 0.8, np.nan], [0.1, 0.3, 0.2]], equal_nan=True)
    assert task.lengths.tolist() == [2, 3]
    assert task.values.tolist() == [0.8, 0.3]
    assert not task.failed.any()
    spent = replay.cumulative_array[[2, 0], -1]
    assert np.nansum(task.seconds, axis=1) == pytest.approx(spent)
    task.curves[:] = 9.0  # a copy
    assert looks.view.value(0, 1) == 0.1


def test_before_a_run_is_complete_there_is_no_source(view: View) -> None:
    (task,) = view.completed_runs().tasks
    assert (len(task.architectures), task.curves.shape) == (0, (0, 3))


def test_after_its_end_a_run_stands_as_it_ended() -> None:
    looks = Looks()
    replay = replay_of(np.full((3, 4), 0.5), lengths=[1, 2, 4], failed=[True, False, False])
    looks.begin = lambda view: (  # type: ignore[method-assign]
        setattr(looks, "view", view) or _ScriptedSession(view, [([0, 1], 3)])
    )
    search(replay, looks)
    assert looks.view.value(0, 1) == 0.5
    assert looks.view.value(0, 4) == -np.inf  # failed
    assert looks.view.value(1, 4) == 0.5  # complete, but short
    assert looks.view.ended(0)
    assert looks.view.ended(1)
    assert list(looks.view.completed) == [1]


# --- optimizers that listen --------------------------------------------------------------------


class Listens(Optimizer):
    def __init__(self) -> None:
        self.told: list[tuple[int, int, float]] = []

    def begin(self, candidates: Candidates, rng: np.random.Generator) -> Search:
        search: Any = FixedOrder(range(len(candidates))).begin(candidates, rng)
        search.listens = True
        search.tell = lambda run, epoch, value: self.told.append((run, epoch, value))
        return search


def test_who_listens_is_told_in_the_order_in_which_runs_end() -> None:
    seconds = [[3.0, 3.0], [1.0, 1.0], [1.0, 1.0]]
    replay = replay_of([[0.1, 0.2], [0.3, 0.4], [0.5, 0.6]], seconds)
    for terminator, told in (
        (Never(), [(1, 2, 0.4), (2, 2, 0.6), (0, 2, 0.2)]),
        (  # a rung is told of as a whole, in the order of its ends
            SuccessiveHalving(eta=3),
            [(1, 1, 0.3), (2, 1, 0.5), (0, 1, 0.1), (2, 2, 0.6)],
        ),
    ):
        listens = Listens()
        simulate(replay, listens, terminator, np.random.default_rng(0), workers=2)
        assert listens.told == told


def test_who_listens_is_told_of_failures() -> None:
    listens = Listens()
    replay = replay_of(np.full((3, 3), 0.5), lengths=[0, 2, 3], failed=[True, True, False])
    simulate(replay, listens, Never(), np.random.default_rng(0))
    assert listens.told == [(0, 0, -np.inf), (1, 2, -np.inf), (2, 3, 0.5)]


# --- what is true of every search --------------------------------------------------------------

# These learn from sources, and there are none here.
LEARN = ("baker", "lcnet", "lcranknet", "lcranknet_nested", "rush")
SPECIFICATIONS = [
    *(name for name in TERMINATORS if name not in LEARN),
    "baker:train_on=target:curves=6:epochs=(1,3):delta=0.3",
    "asha:variant=promotion:eta=2",
    "hyperband:eta=2:rounding=ceil:repeat=true",
    "median:variant=syne_tune:grace_epochs=1",
    "successive_halving:eta=1.5:min_epochs=2",
]


@st.composite
def replays(draw: st.DrawFn) -> Replay:
    """Ragged, failed and missing, with or without ties."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    n, epochs = draw(st.integers(1, 12)), draw(st.integers(1, 12))
    curves = rng.integers(0, 5, (n, epochs)) / 4 if draw(st.booleans()) else rng.random((n, epochs))
    curves[rng.random((n, epochs)) < draw(st.sampled_from([0.0, 0.3, 0.9]))] = np.nan
    lengths = np.full(n, epochs)
    if draw(st.booleans()):
        lengths = rng.integers(0, epochs + 1, n)
    failed = (rng.random(n) < draw(st.sampled_from([0.0, 0.3, 0.9]))) | (lengths == 0)
    keep = int(rng.integers(n))  # a table in which nothing was measured is refused
    lengths[keep], failed[keep], curves[keep, 0] = epochs, False, 0.5
    seconds = rng.integers(1, 4, (n, epochs)).astype(float)
    return replay_of(curves, seconds, lengths=lengths, failed=failed)


@settings(max_examples=150, deadline=None, derandomize=True)
@given(
    replay=replays(),
    specification=st.sampled_from(SPECIFICATIONS),
    workers=st.integers(1, 5),
    accounting=st.sampled_from(["continue", "restart"]),
    budget=st.none() | st.integers(1, 12),
    seed=st.integers(0, 99),
)
def test_books_are_in_order(
    replay: Replay,
    specification: str,
    workers: int,
    accounting: Any,
    budget: int | None,
    seed: int,
) -> None:
    terminator = build(parse_specification(specification, TERMINATORS, "terminator"), "terminator")

    def again(**options: Any) -> Episode:
        rng = np.random.default_rng(seed)
        return simulate(replay, RandomSearch(), terminator, rng, budget=budget, **options)

    episode = again(workers=workers, accounting=accounting)
    lengths, spent = replay.lengths_array, replay.cumulative_array
    n = len(lengths)
    started = list(episode.started)
    assert len(set(started)) == len(started) <= min(n, budget or n)
    assert set(np.flatnonzero(episode.epochs).tolist()) <= set(started)
    assert (episode.epochs <= lengths).all()
    # completed: those that are not failed and have reached their end, in the order of time
    ends = {run for run in started if episode.epochs[run] == lengths[run] > 0}
    failed = replay.table.failed | np.isinf(replay.values_array[:, -1])  # nothing was measured
    assert set(episode.completed) == ends - set(np.flatnonzero(failed).tolist())
    assert (np.diff(episode.completion_seconds) >= 0).all()
    # the pick
    if episode.completed:
        best = max(replay.qualities[run] for run in episode.completed)
        assert replay.qualities[episode.pick] == best
        assert episode.pick in episode.completed
    else:
        assert episode.pick in started
        assert episode.epochs[episode.pick] == episode.epochs.max()
    # the price
    trained_seconds = spent[np.arange(n), episode.epochs].sum()
    assert episode.busy_seconds <= episode.seconds * workers
    assert episode.seconds <= episode.busy_seconds
    if accounting == "continue":
        assert episode.epochs_charged == episode.epochs.sum()
        assert episode.busy_seconds == trained_seconds
    else:
        assert episode.epochs_charged >= episode.epochs.sum()
        assert episode.busy_seconds >= trained_seconds
    if workers == 1:
        assert episode.seconds == episode.busy_seconds
        assert episode.busy_seconds >= again().busy_seconds
    if len(episode.completion_seconds):
        assert episode.completion_seconds[-1] <= episode.seconds
    # and the same again
    twin = again(workers=workers, accounting=accounting)
    for field in dataclasses.fields(episode):
        assert np.array_equal(getattr(episode, field.name), getattr(twin, field.name))


def test_estimates_are_made_once_for_all_orders(monkeypatch: pytest.MonkeyPatch) -> None:
    from nassim.terminators.last_value import LastValue

    calls = []
    estimate = LastValue.estimate
    monkeypatch.setattr(
        LastValue, "estimate", lambda self, p: (calls.append(p.epoch), estimate(self, p))[1]
    )
    replay, terminator = small_world().replay(), LastValue(epochs=(1, 9))
    for seed in range(5):
        simulate(replay, RandomSearch(), terminator, np.random.default_rng(seed))
    assert sorted(calls) == [1, 9]
