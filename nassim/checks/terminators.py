"""What every terminator must keep to, as code.

``check_terminator("asha")`` or ``check_terminator(MyTerminator)`` runs all checks that apply and
returns their names; the first that fails raises a :class:`ContractError`, or a
:class:`LeakageError` where the method used what it must not see. Each check can be called alone.

A *factory* is anything that makes a fresh terminator when called without arguments: a class whose
options all have defaults, or ``lambda: MyTerminator(delta=0.3)``. One that learns is fitted a few
times on two made-up sources of 24 runs; give it few training steps.

>>> from nassim.terminators.asha import ASHA
>>> check_terminator(ASHA)[:3]
('check_asks_only_paid', 'check_unpaid_values', 'check_poison')
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import tempfile
from collections.abc import Callable, Iterable, Sequence
from itertools import zip_longest
from pathlib import Path
from typing import Any, cast

import numpy as np

from nassim.checks.conditions import global_chance, odd_clock
from nassim.checks.recording import Event, FixedOrder, Recorder
from nassim.checks.stores import check_holds_no_mark, marked_fold
from nassim.checks.worlds import World, hard_worlds, permuted, relabelled, renamed, small_world
from nassim.errors import ContractError, InputError, LeakageError
from nassim.loading import build, parse_specification
from nassim.records import FloatArray, Incumbent, IntArray, Prefixes, Sources
from nassim.simulator import Episode, Replay, simulate
from nassim.simulator.simulate import Accounting
from nassim.terminators import TERMINATORS
from nassim.terminators.base import Estimator, Terminator

__all__ = [
    "check_asks_only_paid",
    "check_batch_mates",
    "check_candidate_names",
    "check_candidate_numbers",
    "check_costs",
    "check_dataset_names",
    "check_firewall",
    "check_fit_again",
    "check_global_chance",
    "check_hard_tables",
    "check_poison",
    "check_probability",
    "check_same_seed",
    "check_searches_apart",
    "check_terminator",
    "check_unpaid_values",
    "check_wall_clock",
]

Factory = Callable[[], Terminator]

_WORKERS = (1, 3)
_MOST_POINTS = 16  # at which the future is scrambled, in one search


def check_terminator(terminator: str | Factory) -> tuple[str, ...]:
    """Run all checks that apply to a terminator and return their names.

    Parameters
    ----------
    terminator
        A specification (``"asha:eta=4"``, ``"mymodule:MyRule"``) or a factory.

    Raises
    ------
    ContractError
        (LeakageError where it used what it must not see) at the first check that fails.
    """
    factory = _factory(terminator) if isinstance(terminator, str) else terminator
    example = factory()
    if not isinstance(example, Terminator):
        raise ContractError(
            f"{type(example).__name__} is no terminator; expected a subclass of "
            "nassim.terminators.base.Terminator (Estimator, Rule)."
        )
    checks = list(_FOR_ALL)
    if isinstance(example, Estimator):
        checks += _FOR_ESTIMATORS
    if not example.uses_sources:
        checks += _FOR_UNTAUGHT
        if not example.reads_architectures:
            checks += _FOR_BLIND
    for check in checks:
        check(factory)
    return tuple(check.__name__ for check in checks)


# --- it sees what was paid for, and nothing else -----------------------------------------------


def check_asks_only_paid(factory: Factory) -> None:
    """It asks the view only for epochs that were paid for, and only by the view's public names.

    A method that swallows the LeakageError of the view is found out too.
    """
    world = small_world()
    for workers in _WORKERS:
        recorder, _ = _search(_fitted(factory, world), world, workers=workers, watch=True)
        if recorder.faults:
            raise LeakageError(
                f"{_name(recorder)} went on after an error of the view: {recorder.faults[0]}"
            )


def check_unpaid_values(factory: Factory) -> None:
    """Scrambling the future changes no decision of the past.

    At points all over a search, whatever was not paid for by then (values, seconds) is replaced by
    noise; all that the terminator did until then must stay as it was.
    """
    world = small_world()
    noise = _noise(world)
    terminator = _fitted(factory, world)
    for workers in _WORKERS:
        before, _ = _search(terminator, world, workers=workers)
        for point in _points(before.events):
            past = before.events[: point + 1]
            after, _ = _search(terminator, _future(world, past, *noise), workers=workers)
            _must_agree(
                past,
                after.events[: point + 1],
                f"{_name(before)} decided otherwise when values that nobody had paid for were "
                "replaced by noise",
                "ask the view only (value, values, prefix, probability_better)",
                LeakageError,
            )


def check_poison(factory: Factory) -> None:
    """What a whole search did not pay for may be NaN or absurd; its result is the same."""
    world = small_world()
    terminator = _fitted(factory, world)
    for workers in _WORKERS:
        before, found = _search(terminator, world, workers=workers)
        for poison in (np.nan, 1e6):
            curves = np.full_like(world.target.curves, poison)
            seconds = np.full_like(world.target.seconds, 1e6)
            poisoned = _future(world, before.events, curves, seconds)
            after, refound = _search(terminator, poisoned, workers=workers)
            _must_agree(
                [*before.events, *_summary(found)],
                [*after.events, *_summary(refound)],
                f"{_name(before)} decided otherwise when values that it never paid for were "
                f"replaced by {poison}",
                "ask the view only (value, values, prefix, probability_better)",
                LeakageError,
            )


def check_firewall(factory: Factory) -> None:
    """Test values reach it nowhere: not what it is handed, not what it holds, not what it does.

    Two stores differ in their (marked) test values only. Nothing that is handed to a terminator
    leads to a mark, none is found in the terminator afterwards, and it decides alike on both.
    """
    recordings = []
    for seed in (1, 2):
        with tempfile.TemporaryDirectory() as folder:
            fold, marks = marked_fold(Path(folder) / "marked", seed)
            terminator = factory()
            terminator.fit(fold.sources, seed=0)
            recorder = Recorder(terminator)
            replay = Replay(fold.table)
            simulate(replay, _shuffled(replay), recorder, np.random.default_rng(0))
        held = {_name(recorder): terminator, "its session": recorder.session}
        check_holds_no_mark(held, marks)
        recordings.append(recorder)
    _must_agree(
        recordings[0].events,
        recordings[1].events,
        f"{_name(recordings[0])} decided otherwise when only test values were changed",
        "learn from sources and view alone",
        LeakageError,
    )


def check_batch_mates(factory: Factory) -> None:
    """(Estimators.) What it says of a run depends on that run alone, not on the others in a batch.

    Estimates are made in batches that hold runs which nobody has paid for yet: an estimator that
    normalises by its batch sees the future. Rows may differ by rounding (1e-4).
    """
    world = small_world()
    estimator = cast(Estimator, _fitted(factory, world))
    rng = np.random.default_rng(0)
    for epoch in estimator.decision_epochs(world.target.curves.shape[1]):
        every = np.arange(len(world.target.architectures))
        curves = world.target.curves[:, :epoch]
        together = _estimates(estimator, world, every, curves)
        for run in every[::4]:
            others = rng.permutation(every)
            noise = rng.random((len(every), epoch))
            where = int(np.flatnonzero(others == run)[0])
            noise[where] = curves[run]
            for kind, alone in (
                ("alone", _estimates(estimator, world, every[[run]], curves[[run]])[0]),
                ("among noise", _estimates(estimator, world, others, noise)[where]),
            ):
                if not np.allclose(alone, together[run], rtol=1e-4, atol=1e-6, equal_nan=True):
                    raise LeakageError(
                        f"{_name(estimator)}.estimate says {together[run]} of run {run} at epoch "
                        f"{epoch} in a batch and {alone} {kind}; expected the same. Use nothing "
                        "of the other rows; statistics come from fit(sources)."
                    )
        check_rows_of_probability(estimator, together)


def check_rows_of_probability(estimator: Estimator, estimates: FloatArray) -> None:
    """(Estimators.) p(better than the incumbent) of a row depends on that row alone."""
    reference = Incumbent(0.5, estimates[0])
    together = estimator.probability(estimates, reference)
    for row in range(len(estimates)):
        alone = estimator.probability(estimates[row : row + 1], reference)
        if not np.allclose(alone, together[row], rtol=1e-4, atol=1e-6, equal_nan=True):
            raise LeakageError(
                f"{_name(estimator)}.probability says {together[row]} of row {row} in a batch and "
                f"{alone} alone; expected the same. Use nothing of the other rows."
            )


# --- the same again is the same again ----------------------------------------------------------


def check_same_seed(factory: Factory) -> None:
    """Two terminators of one factory, fitted with one seed, decide alike."""
    world = small_world()
    before, _ = _search(_fit(factory, world.sources), world)
    after, _ = _search(_fit(factory, world.sources), world)
    _must_agree(
        before.events,
        after.events,
        f"{_name(before)} decided otherwise the second time, with the same seed",
        "make a generator from the seed that fit is given",
    )


def check_global_chance(factory: Factory) -> None:
    """It neither depends on a global random generator nor moves one."""
    world = small_world()
    recordings = []
    for seed in (1, 2):
        with global_chance(seed) as used:
            recorder, _ = _search(_fit(factory, world.sources), world)
        if used:
            raise ContractError(
                f"{_name(recorder)} drew from the global generator of {used[0]}; expected its own, "
                "made from the seed that fit is given."
            )
        recordings.append(recorder)
    _must_agree(
        recordings[0].events,
        recordings[1].events,
        f"{_name(recordings[0])} decided otherwise when global generators were seeded anew",
        "make a generator from the seed that fit is given",
    )


def check_wall_clock(factory: Factory) -> None:
    """Real time moves no decision: clocks may race or run backwards."""
    world = small_world()
    before, _ = _search(_fitted(factory, world), world)
    for step_seconds in (3600.0, -5.0):
        with odd_clock(step_seconds):
            after, _ = _search(_fit(factory, world.sources), world)
        _must_agree(
            before.events,
            after.events,
            f"{_name(before)} decided otherwise when clocks moved by {step_seconds} s a reading",
            "only recorded seconds may matter",
        )


def check_searches_apart(factory: Factory) -> None:
    """Searches of one terminator do not disturb one another, one after the other or interleaved."""
    world = small_world()
    terminator = _fitted(factory, world)
    alone = [_search(terminator, world, order_seed=seed)[0].events for seed in (0, 1)]
    inner: list[Event] = []
    calls = 0

    def interrupt() -> None:
        nonlocal calls, inner
        calls += 1
        if calls % 7 == 0:
            inner = _search(terminator, world, order_seed=1)[0].events

    outer, _ = _search(terminator, world, interrupt=interrupt)
    for before, after in ((alone[0], outer.events), (alone[1], inner or alone[1])):
        _must_agree(
            before,
            after,
            f"{_name(outer)} decided otherwise while another search was in progress, or after one",
            "begin(view) must leave the terminator as it is; keep what a search remembers in its "
            "session or judge",
        )


def check_fit_again(factory: Factory) -> None:
    """Fitting anew forgets what was learned before."""
    world = small_world()
    once, _ = _search(_fitted(factory, world), world)
    terminator = _fit(factory, small_world(seed=1).sources, seed=1)
    with contextlib.suppress(InputError):  # these sources have none of the candidates
        _search(terminator, world)
    terminator.fit(world.sources, seed=0)
    again, _ = _search(terminator, world)
    _must_agree(
        once.events,
        again.events,
        f"{_name(once)} decided otherwise after it was fitted a second time",
        "fit(sources, seed) must start from nothing",
    )


# --- names and numbers mean nothing ------------------------------------------------------------


def check_candidate_numbers(factory: Factory) -> None:
    """Numbering the candidates otherwise renumbers the decisions, and changes nothing else."""
    world = small_world()
    terminator = _fitted(factory, world)
    n = len(world.target.architectures)
    order = np.random.default_rng(1).permutation(n)
    number = np.argsort(order)  # of what was candidate k
    first = np.random.default_rng(0).permutation(n)
    before, _ = _search(terminator, world, order=first)
    after, _ = _search(terminator, permuted(world, order), order=number[first])
    _must_agree(
        [event._replace(runs=tuple(number[list(event.runs)].tolist())) for event in before.events],
        after.events,
        f"{_name(before)} decided otherwise when candidates were numbered otherwise",
        "the number of a candidate says nothing; of equal values the first to arrive goes first",
    )


def check_candidate_names(factory: Factory) -> None:
    """(Methods that neither learn nor read architectures.) Candidates' names change nothing."""
    world = small_world()
    before, _ = _search(_fitted(factory, world), world)
    after, _ = _search(_fitted(factory, world), renamed(world))
    _must_agree(
        before.events,
        after.events,
        f"{_name(before)} decided otherwise when candidates were renamed",
        "the name of a candidate says nothing; set reads_architectures if its parts are looked at",
    )


def check_dataset_names(factory: Factory) -> None:
    """(Methods that do not learn.) What datasets are called changes nothing."""
    world = small_world()
    before, _ = _search(_fitted(factory, world), world)
    other = relabelled(world)
    after, _ = _search(_fit(factory, other.sources), other)
    _must_agree(
        before.events,
        after.events,
        f"{_name(before)} decided otherwise when datasets were renamed",
        "the name of a dataset says nothing; set uses_sources if something is learned from it",
    )


# --- it comes to an end, at a plausible price --------------------------------------------------


def check_hard_tables(factory: Factory) -> None:
    """Ragged, missing, failed, equal, few: every search ends with a pick and honest books.

    A method may refuse a kind of table with an InputError.
    """
    for kind, world in hard_worlds().items():
        for workers in _WORKERS:
            replay = world.replay()
            try:
                recorder, episode = _search(
                    _fitted(factory, world), world, workers=workers, replay=replay
                )
            except InputError:
                continue
            except ContractError as error:
                raise type(error)(f"On a table that is {kind!r}: {error}") from error
            _check_books(f"{_name(recorder)} on a table that is {kind!r}", replay, episode)


def check_costs(factory: Factory) -> None:
    """No search charges more than all full trainings, and starting anew is never cheaper."""
    world = small_world()
    terminator = _fitted(factory, world)
    for workers in (1, 4):
        recorder, episode = _search(terminator, world, workers=workers)
        _check_books(f"{_name(recorder)} with {workers} workers", world.replay(), episode)
    resumed, cheap = _search(terminator, world)
    _, dear = _search(terminator, world, accounting="restart")
    if dear.busy_seconds < cheap.busy_seconds or dear.epochs_charged < cheap.epochs_charged:
        raise ContractError(
            f"{_name(resumed)} paid {dear.epochs_charged} epochs when resumed runs start anew and "
            f"{cheap.epochs_charged} when they go on; expected no fewer."
        )


def check_probability(factory: Factory) -> None:
    """(Estimators.) p lies in [0, 1] or is NaN, and a better incumbent never raises it."""
    world = small_world()
    estimator = cast(Estimator, _fitted(factory, world))
    every = np.arange(len(world.target.architectures))
    for epoch in estimator.decision_epochs(world.target.curves.shape[1]):
        estimates = _estimates(estimator, world, every, world.target.curves[:, :epoch])
        last = np.full(len(every), np.inf)
        for value in (-np.inf, 0.0, 0.3, 0.6, 0.9, 1.0, np.inf):
            p = np.asarray(estimator.probability(estimates, Incumbent(value, estimates[0])))
            wrong = ~np.isnan(p) & ~((p >= 0) & (p <= 1))
            if wrong.any():
                raise ContractError(
                    f"{_name(estimator)}.probability says {p[wrong][0]}; expected 0 to 1, or NaN."
                )
            if (p > last + 1e-9).any():
                raise ContractError(
                    f"{_name(estimator)}.probability rises with the incumbent's value (at "
                    f"{value}, epoch {epoch}); expected that a better incumbent is harder to beat."
                )
            last = np.where(np.isnan(p), last, p)


_FOR_ALL: tuple[Callable[[Factory], None], ...] = (
    check_asks_only_paid,
    check_unpaid_values,
    check_poison,
    check_firewall,
    check_same_seed,
    check_global_chance,
    check_wall_clock,
    check_searches_apart,
    check_fit_again,
    check_candidate_numbers,
    check_hard_tables,
    check_costs,
)
_FOR_ESTIMATORS = (check_batch_mates, check_probability)
_FOR_UNTAUGHT = (check_dataset_names,)
_FOR_BLIND = (check_candidate_names,)


# --- how it is done ----------------------------------------------------------------------------


def _factory(text: str) -> Factory:
    specification = parse_specification(text, TERMINATORS, "terminator")
    return lambda: cast(Terminator, build(specification, "terminator"))


def _name(method: Terminator) -> str:
    return type(method.inner if isinstance(method, Recorder) else method).__name__


def _fit(factory: Factory, sources: Sources, seed: int = 0) -> Terminator:
    terminator = factory()
    terminator.fit(sources, seed)
    return terminator


@functools.lru_cache(maxsize=4)
def _fitted_on(factory: Factory, sources: Sources) -> Terminator:
    return _fit(factory, sources)


def _fitted(factory: Factory, world: World) -> Terminator:
    """A fitted terminator that several checks share, so that learning does not take all day."""
    return _fitted_on(factory, world.sources)


def _shuffled(replay: Replay, seed: int = 0) -> FixedOrder:
    return FixedOrder(np.random.default_rng(seed).permutation(len(replay.lengths)).tolist())


def _search(
    terminator: Terminator,
    world: World,
    *,
    workers: int = 1,
    accounting: Accounting = "continue",
    order_seed: int = 0,
    order: IntArray | None = None,
    watch: bool = False,
    interrupt: Callable[[], None] | None = None,
    replay: Replay | None = None,
) -> tuple[Recorder, Episode]:
    """One recorded search."""
    recorder = Recorder(terminator, watch=watch, interrupt=interrupt)
    replay = world.replay() if replay is None else replay
    optimizer = _shuffled(replay, order_seed) if order is None else FixedOrder(order.tolist())
    rng = np.random.default_rng(0)
    episode = simulate(replay, optimizer, recorder, rng, workers=workers, accounting=accounting)
    return recorder, episode


def _must_agree(
    before: Sequence[Any],
    after: Sequence[Any],
    what: str,
    way_out: str,
    error: type[ContractError] = ContractError,
) -> None:
    for number, (was, now) in enumerate(zip_longest(before, after)):
        if was != now:
            raise error(f"{what}: event {number} was '{was}' and became '{now}'; {way_out}.")


def _summary(episode: Episode) -> list[tuple[str, Any]]:
    fields = dataclasses.fields(episode)
    values = [(field.name, getattr(episode, field.name)) for field in fields]
    return [(k, v.tolist() if isinstance(v, np.ndarray) else v) for k, v in values]


def _points(events: list[Event]) -> list[int]:
    """Where to stop and look: some of the first and the last answers at an epoch."""
    answers = [k for k, event in enumerate(events) if event.what != "done"]
    first = {events[k].epoch: k for k in reversed(answers)}
    last = {events[k].epoch: k for k in answers}
    points = sorted({*first.values(), *last.values()})
    return points[:: -(-len(points) // _MOST_POINTS)]


def _noise(world: World) -> tuple[FloatArray, FloatArray]:
    rng = np.random.default_rng(3)
    shape = world.target.curves.shape
    return rng.random(shape), rng.uniform(0.1, 9.0, shape)


def _future(world: World, past: list[Event], curves: FloatArray, seconds: FloatArray) -> World:
    """The world whose values that are not known after ``past`` are these instead.

    Known are values of epochs that are done, and seconds of epochs that were begun.
    """
    epoch = np.arange(world.target.curves.shape[1])
    done, begun = (_reached(past, what, len(world.target.curves)) for what in ("done", "train"))
    return world.with_curves(
        np.where(epoch < done[:, None], world.target.curves, curves),
        np.where(epoch < begun[:, None], world.target.seconds, seconds),
    )


def _reached(events: Iterable[Event], what: str, n: int) -> IntArray:
    reached = np.zeros(n, np.intp)
    for event in events:
        if event.what == what:
            reached[list(event.runs)] = event.epoch
    return reached


def _estimates(
    estimator: Estimator, world: World, rows: IntArray, curves: FloatArray
) -> FloatArray:
    """Estimates of the candidates ``rows``, whose beginnings are ``curves``, (rows, k)."""
    target = world.target
    prefixes = Prefixes(
        tuple(target.architectures[k] for k in rows.tolist()),
        curves.copy(),
        target.n_params[rows],
        target.flops[rows],
        target.curves.shape[1],
        world.sources.metric,
    )
    return np.asarray(estimator.estimate(prefixes), np.float64).reshape(len(rows), -1)


def _check_books(where: str, replay: Replay, episode: Episode) -> None:
    """What is true of every search whose resumed runs go on where they were."""
    lengths, epochs = replay.lengths_array, episode.epochs
    full = lengths == epochs
    finished = [run for run in episode.started if full[run] and replay.completes[run]]
    faults = {
        "it trained a run past its end": bool((epochs > lengths).any()),
        "epochs charged are not the epochs trained": episode.epochs_charged != epochs.sum(),
        "it started a run twice": len(set(episode.started)) != len(episode.started),
        "it trained a run that it never started": bool(
            set(np.flatnonzero(epochs).tolist()) - set(episode.started)
        ),
        "its pick was never started": episode.pick not in episode.started,
        "its pick is not complete while others are": bool(
            episode.completed and episode.pick not in episode.completed
        ),
        "completed runs are not those that were trained to their end": set(finished)
        != set(episode.completed),
        "it took longer than its workers worked": episode.seconds
        > episode.busy_seconds * (1 + 1e-9),
    }
    for fault, found in faults.items():
        if found:
            raise ContractError(f"{where}: {fault}; see nassim.simulator.simulate.Episode.")
