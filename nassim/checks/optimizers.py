"""What every optimizer must keep to, as code.

``check_optimizer("random")`` or ``check_optimizer(MyOptimizer)`` runs all checks that apply and
returns their names; the first that fails raises a :class:`ContractError`, or a
:class:`LeakageError` where the method used what it must not see. A *factory* is anything that
makes a fresh optimizer when called without arguments.

>>> from nassim.optimizers.random_search import RandomSearch
>>> check_optimizer(RandomSearch)[:2]
('check_proposals', 'check_untold_values')
"""

from __future__ import annotations

import functools
import pickle
import tempfile
from collections.abc import Callable
from itertools import zip_longest
from pathlib import Path
from typing import Any, cast

import numpy as np

from nassim.checks.conditions import global_chance, odd_clock
from nassim.checks.recording import SearchRecorder
from nassim.checks.stores import check_holds_no_mark, marked_fold
from nassim.checks.worlds import World, hard_worlds, relabelled, small_world
from nassim.errors import ContractError, InputError, LeakageError
from nassim.loading import build, parse_specification
from nassim.optimizers import OPTIMIZERS
from nassim.optimizers.base import Candidates, Optimizer
from nassim.records import Sources
from nassim.simulator import Replay, simulate
from nassim.spaces import get_space
from nassim.terminators.asha import ASHA
from nassim.terminators.base import Terminator
from nassim.terminators.never import Never
from nassim.terminators.successive_halving import SuccessiveHalving

__all__ = [
    "check_dataset_names",
    "check_firewall",
    "check_fit_again",
    "check_global_chance",
    "check_hard_tables",
    "check_optimizer",
    "check_pickled",
    "check_proposals",
    "check_same_seed",
    "check_searches_apart",
    "check_untold_values",
    "check_wall_clock",
    "check_whole_space",
]

Factory = Callable[[], Optimizer]
_Events = list[tuple[Any, ...]]


def check_optimizer(optimizer: str | Factory) -> tuple[str, ...]:
    """Run all checks that apply to an optimizer and return their names.

    Parameters
    ----------
    optimizer
        A specification (``"random"``, ``"mymodule:MyOptimizer"``) or a factory.

    Raises
    ------
    ContractError
        (LeakageError where it used what it must not see) at the first check that fails.
    """
    factory = _factory(optimizer) if isinstance(optimizer, str) else optimizer
    example = factory()
    if not isinstance(example, Optimizer):
        raise ContractError(
            f"{type(example).__name__} is no optimizer; expected a subclass of "
            "nassim.optimizers.base.Optimizer."
        )
    checks = list(_FOR_ALL)
    if not example.uses_sources:
        checks += _FOR_UNTAUGHT
    for check in checks:
        check(factory)
    return tuple(check.__name__ for check in checks)


def check_proposals(factory: Factory) -> None:
    """Each candidate is proposed once, as many as asked for, until there is none left."""
    world = small_world()
    n = len(world.target.architectures)
    for sizes in ([1] * n, [n], [7] * n, [n + 9]):
        optimizer = _fitted(factory, world.sources)
        search = optimizer.begin(Candidates(world.target.architectures), np.random.default_rng(0))
        proposed: list[int] = []
        for size in [*sizes, 1]:
            answer = search.ask(size)
            left = n - len(proposed)
            odd = [c for c in answer if not isinstance(c, int) or isinstance(c, bool)]
            if odd:
                raise ContractError(
                    f"{_name(optimizer)} proposed {odd[0]!r} ({type(odd[0]).__name__}); expected "
                    "numbers of candidates (int)."
                )
            if len(answer) != min(size, left):
                raise ContractError(
                    f"{_name(optimizer)} proposed {len(answer)} candidates; {size} were asked for "
                    f"and {left} were left, so {min(size, left)} were expected."
                )
            proposed += answer
            if search.listens:
                for candidate in answer:
                    value = float(world.target.curves[candidate, -1])
                    search.tell(candidate, world.target.curves.shape[1], value)
        if sorted(proposed) != list(range(n)):
            raise ContractError(
                f"{_name(optimizer)} proposed {len(set(proposed))} different candidates from "
                f"{min(proposed)} to {max(proposed)}; expected each from 0 to {n - 1} once."
            )


def check_untold_values(factory: Factory) -> None:
    """Values that it was not told change no proposal.

    At points all over a search, the values of all epochs that it was not told of by then are
    replaced by noise; all proposals until then must stay as they were.
    """
    world = small_world()
    optimizer = _fitted(factory, world.sources)
    rng = np.random.default_rng(3)
    noise = rng.random(world.target.curves.shape)
    epoch = np.arange(noise.shape[1])
    for terminator in (Never(), ASHA()):
        before = _search(optimizer, world, terminator=terminator)
        asks = [k for k, event in enumerate(before) if event[0] == "ask"]
        for point in asks[:: max(1, len(asks) // 8)]:
            told = np.zeros(len(noise), np.intp)
            for event in before[:point]:
                if event[0] == "tell":
                    told[event[1]] = max(told[event[1]], event[2])
            curves = np.where(epoch < told[:, None], world.target.curves, noise)
            after = _search(optimizer, world.with_curves(curves), terminator=terminator)
            _must_agree(
                before[: point + 1],
                after[: point + 1],
                f"{_name(optimizer)} proposed otherwise when values that it was not told of were "
                "replaced by noise",
                "learn of the target by tell alone",
                LeakageError,
            )


def check_firewall(factory: Factory) -> None:
    """Test values reach it nowhere: two stores that differ in them alone are searched alike."""
    recordings = []
    for seed in (1, 2):
        with tempfile.TemporaryDirectory() as folder:
            fold, marks = marked_fold(Path(folder) / "marked", seed)
            optimizer = factory()
            optimizer.fit(fold.sources, seed=0)
            recorder = SearchRecorder(optimizer)
            simulate(Replay(fold.table), recorder, Never(), np.random.default_rng(0))
        check_holds_no_mark({_name(optimizer): optimizer, "its search": recorder.search}, marks)
        recordings.append(recorder.events)
    _must_agree(
        recordings[0],
        recordings[1],
        f"{_name(optimizer)} proposed otherwise when only test values were changed",
        "learn from sources and tell alone",
        LeakageError,
    )


def check_same_seed(factory: Factory) -> None:
    """Two optimizers of one factory, fitted with one seed, search alike with one generator."""
    world = small_world()
    recordings = [_search(_fit(factory, world.sources), world) for _ in range(2)]
    _must_agree(
        recordings[0],
        recordings[1],
        f"{_name(factory())} proposed otherwise the second time, with the same seed",
        "draw from the generator that begin is given",
    )


def check_global_chance(factory: Factory) -> None:
    """It neither depends on a global random generator nor moves one."""
    world = small_world()
    recordings = []
    for seed in (1, 2):
        with global_chance(seed) as used:
            recordings.append(_search(_fit(factory, world.sources), world))
        if used:
            raise ContractError(
                f"{_name(factory())} drew from the global generator of {used[0]}; expected the one "
                "that begin is given, or its own, made from the seed of fit."
            )
    _must_agree(
        recordings[0],
        recordings[1],
        f"{_name(factory())} proposed otherwise when global generators were seeded anew",
        "draw from the generator that begin is given",
    )


def check_wall_clock(factory: Factory) -> None:
    """Real time moves no proposal: clocks may race or run backwards."""
    world = small_world()
    before = _search(_fitted(factory, world.sources), world)
    for step_seconds in (3600.0, -5.0):
        with odd_clock(step_seconds):
            after = _search(_fit(factory, world.sources), world)
        _must_agree(
            before,
            after,
            f"{_name(factory())} proposed otherwise when clocks moved by {step_seconds} s a "
            "reading",
            "only what it is told may matter",
        )


def check_searches_apart(factory: Factory) -> None:
    """Searches of one optimizer do not disturb one another, one after the other or interleaved."""
    world = small_world()
    optimizer = _fitted(factory, world.sources)
    alone = [_search(optimizer, world, seed=seed) for seed in (0, 1)]
    inner: _Events = []
    calls = 0

    def interrupt() -> None:
        nonlocal calls, inner
        calls += 1
        if calls % 5 == 0:
            inner = _search(optimizer, world, seed=1)

    outer = _search(optimizer, world, interrupt=interrupt)
    for before, after in ((alone[0], outer), (alone[1], inner)):
        _must_agree(
            before,
            after,
            f"{_name(optimizer)} proposed otherwise while another search was in progress, or "
            "after one",
            "begin must leave the optimizer as it is; keep what a search remembers in the search",
        )


def check_fit_again(factory: Factory) -> None:
    """Fitting anew forgets what was learned before."""
    world = small_world()
    once = _search(_fitted(factory, world.sources), world)
    optimizer = _fit(factory, small_world(seed=1).sources, seed=1)
    _search(optimizer, world)
    optimizer.fit(world.sources, seed=0)
    _must_agree(
        once,
        _search(optimizer, world),
        f"{_name(optimizer)} proposed otherwise after it was fitted a second time",
        "fit(sources, seed) must start from nothing",
    )


def check_pickled(factory: Factory) -> None:
    """A fitted optimizer may go to another process, and searches there as it does here."""
    world = small_world()
    optimizer = _fitted(factory, world.sources)
    try:
        copied = pickle.loads(pickle.dumps(optimizer))  # our own bytes, of a moment ago
    except (pickle.PicklingError, AttributeError, TypeError) as error:
        raise ContractError(
            f"{_name(optimizer)} cannot be sent to another process ({error}); expected what it "
            "learned to be plain values, arrays and modules."
        ) from error
    _must_agree(
        _search(optimizer, world),
        _search(copied, world),
        f"{_name(optimizer)} proposed otherwise after it was sent to another process",
        "all that was learned must be part of the optimizer",
    )


def check_whole_space(factory: Factory) -> None:
    """Without a table, it proposes architectures of the space, none twice.

    A method may refuse a search without a table with an InputError.
    """
    world = small_world()
    optimizer = _fitted(factory, world.sources)
    space = get_space("nasnet")
    candidates = Candidates(space=space)
    proposed: list[int] = []
    try:
        search = optimizer.begin(candidates, np.random.default_rng(0))
        for size in (3, 4, 5):
            asked = search.ask(size)
            proposed += asked
            for candidate in asked if search.listens else ():
                search.tell(candidate, 1, 0.5)
    except InputError:
        return
    if wrong := [k for k in proposed if not 0 <= k < len(candidates)]:
        raise ContractError(
            f"{_name(optimizer)} proposed candidate {wrong[0]} of a whole space, of which "
            f"{len(candidates)} were named; expected the numbers that Candidates.number gives."
        )
    if len(set(proposed)) < len(proposed):
        raise ContractError(f"{_name(optimizer)} proposed a candidate of a whole space twice.")
    for architecture in (candidates[k] for k in proposed):
        if architecture.space != space.name or space.parse(architecture.id) != architecture:
            raise ContractError(
                f"{_name(optimizer)} proposed {architecture.id!r} of space "
                f"{architecture.space!r}; expected architectures of {space.name!r}."
            )


def check_hard_tables(factory: Factory) -> None:
    """Ragged, missing, failed, equal, few: every search starts all candidates.

    A method may refuse a kind of table with an InputError.
    """
    for kind, world in hard_worlds().items():
        for terminator in (Never(), ASHA(eta=2, variant="promotion"), SuccessiveHalving()):
            for workers in (1, 3):
                try:
                    optimizer = _fitted(factory, world.sources)
                    events = _search(optimizer, world, terminator=terminator, workers=workers)
                except InputError:
                    continue
                except ContractError as error:
                    raise type(error)(f"On a table that is {kind!r}: {error}") from error
                started = sum(len(event[2]) for event in events if event[0] == "ask")
                expected = len(world.table().architectures)
                if started != expected:
                    raise ContractError(
                        f"{_name(optimizer)} proposed {started} of {expected} candidates on a "
                        f"table that is {kind!r}; expected all, since all were asked for."
                    )


def check_dataset_names(factory: Factory) -> None:
    """(Methods that do not learn.) What datasets are called changes nothing."""
    world = small_world()
    other = relabelled(world)
    _must_agree(
        _search(_fitted(factory, world.sources), world),
        _search(_fit(factory, other.sources), other),
        f"{_name(factory())} proposed otherwise when datasets were renamed",
        "the name of a dataset says nothing; set uses_sources if something is learned from it",
    )


_FOR_ALL: tuple[Callable[[Factory], None], ...] = (
    check_proposals,
    check_untold_values,
    check_firewall,
    check_same_seed,
    check_global_chance,
    check_wall_clock,
    check_searches_apart,
    check_fit_again,
    check_pickled,
    check_whole_space,
    check_hard_tables,
)
_FOR_UNTAUGHT = (check_dataset_names,)


# --- how it is done ----------------------------------------------------------------------------


def _factory(text: str) -> Factory:
    specification = parse_specification(text, OPTIMIZERS, "optimizer")
    return lambda: cast(Optimizer, build(specification, "optimizer"))


def _name(optimizer: Optimizer) -> str:
    return type(optimizer).__name__


def _fit(factory: Factory, sources: Sources, seed: int = 0) -> Optimizer:
    optimizer = factory()
    optimizer.fit(sources, seed)
    return optimizer


@functools.lru_cache(maxsize=4)
def _fitted(factory: Factory, sources: Sources) -> Optimizer:
    """A fitted optimizer that several checks share, so that learning does not take all day."""
    return _fit(factory, sources)


def _search(
    optimizer: Optimizer,
    world: World,
    *,
    terminator: Terminator | None = None,
    seed: int = 0,
    workers: int = 1,
    interrupt: Callable[[], None] | None = None,
) -> _Events:
    """What one search asked, answered and was told."""
    recorder = SearchRecorder(optimizer, interrupt)
    rng = np.random.default_rng(seed)
    simulate(world.replay(), recorder, terminator or Never(), rng, workers=workers)
    return recorder.events


def _must_agree(
    before: _Events,
    after: _Events,
    what: str,
    way_out: str,
    error: type[ContractError] = ContractError,
) -> None:
    for number, (was, now) in enumerate(zip_longest(before, after)):
        if was != now:
            raise error(f"{what}: event {number} was {was} and became {now}; {way_out}.")
