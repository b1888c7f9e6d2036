"""Each check of optimizers rejects its culprit, and lets the honest twin pass."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from nassim.checks import optimizers as checks
from nassim.checks.optimizers import check_optimizer
from nassim.errors import ContractError, InputError, LeakageError, UnknownNameError
from nassim.optimizers.base import Candidates, Optimizer, Search
from nassim.optimizers.random_search import RandomSearch
from nassim.records import Sources
from nassim.simulator import TableSource
from nassim.spaces import get_space
from nassim.studies.folds import Sealed


class Greedy(Optimizer):
    """A sound one that listens: next to the best so far, by number."""

    def begin(self, candidates: Candidates, rng: np.random.Generator) -> Search:
        return _GreedySearch(self, len(candidates), rng)

    def score(self, search: _GreedySearch, candidate: int) -> float:
        return -abs(candidate - search.best[1])


class _GreedySearch:
    listens = True

    def __init__(self, optimizer: Greedy, n: int, rng: np.random.Generator) -> None:
        self.optimizer = optimizer
        self.left = rng.permutation(n).tolist()
        self.best = (-np.inf, 0)
        self.told = 0

    def ask(self, count: int) -> list[int]:
        self.left.sort(key=lambda candidate: -self.optimizer.score(self, candidate))
        asked, self.left = self.left[:count], self.left[count:]
        return asked

    def tell(self, run: int, epoch: int, value: float) -> None:
        self.told += 1
        self.best = max(self.best, (value, run))


class Learned(Greedy):
    """A sound one that learns where to begin."""

    uses_sources = True
    start = 0

    def fit(self, sources: Sources, seed: int) -> None:
        self.start = int(np.argmax(sources.tasks[0].values))

    def score(self, search: _GreedySearch, candidate: int) -> float:
        return -abs(candidate - (search.best[1] if search.told else self.start))


class ReadsTables(Greedy):
    """Finds the target's curves in memory."""

    def begin(self, candidates: Candidates, rng: np.random.Generator) -> Search:
        tables = [thing for thing in gc.get_objects() if type(thing) is TableSource]
        search: Any = super().begin(candidates, rng)
        for table in tables:
            if table.architectures is candidates.architectures:
                search.left.sort(key=lambda candidate: -table.qualities[candidate])
        search.optimizer = RandomSearch()
        search.optimizer.score = lambda search, candidate: 0  # leaves the order as it is
        return search  # type: ignore[no-any-return]


class ReadsTests(Greedy):
    """Finds the sealed test values in memory, and decides by the first of them."""

    def begin(self, candidates: Candidates, rng: np.random.Generator) -> Search:
        found = [t.test[0] for t in gc.get_objects() if type(t) is Sealed]
        self.sum = 0.5 * sum(found)  # which is no test value itself
        return super().begin(candidates, rng)

    def score(self, search: _GreedySearch, candidate: int) -> float:
        return float((self.sum * (candidate + 1) * 997) % 1)


class KeepsTests(Greedy):
    def begin(self, candidates: Candidates, rng: np.random.Generator) -> Search:
        self.kept = [t.test for t in gc.get_objects() if type(t) is Sealed]
        return super().begin(candidates, rng)


class Unseeded(RandomSearch):
    def begin(self, candidates: Candidates, rng: np.random.Generator) -> Search:
        return super().begin(candidates, np.random.default_rng())


class Global(Greedy):
    def score(self, search: _GreedySearch, candidate: int) -> float:
        return float(np.random.random())  # noqa: NPY002


class Impatient(Greedy):
    def score(self, search: _GreedySearch, candidate: int) -> float:
        now = time.time()
        early = now - getattr(search, "started", now) < 600
        search.started = now  # type: ignore[attr-defined]
        return super().score(search, candidate) if early else candidate


class Forgetful(Greedy):
    """Keeps the best of a search on the optimizer."""

    best = (-np.inf, 0)

    def score(self, search: _GreedySearch, candidate: int) -> float:
        self.best = max(self.best, search.best)
        return -abs(candidate - self.best[1])


class LearnsOn(Learned):
    def fit(self, sources: Sources, seed: int) -> None:
        self.start += int(np.argmax(sources.tasks[0].values)) + 1


class ByName(Greedy):
    def fit(self, sources: Sources, seed: int) -> None:
        self.sign = -1 if "world-2" in [task.dataset.name for task in sources.tasks] else 1

    def score(self, search: _GreedySearch, candidate: int) -> float:
        return self.sign * super().score(search, candidate)


class Odd(RandomSearch):
    """Changes each answer of a random search."""

    def change(self, answer: list[int], count: int) -> list[Any]:
        return answer

    def begin(self, candidates: Candidates, rng: np.random.Generator) -> Search:
        search: Any = super().begin(candidates, rng)
        ask = search.ask
        search.ask = lambda count: self.change(ask(count), count)
        return search  # type: ignore[no-any-return]


class OneAtATime(Odd):
    def change(self, answer: list[int], count: int) -> list[Any]:
        return answer[:1]


class Arrays(Odd):
    def change(self, answer: list[int], count: int) -> list[Any]:
        return list(np.array(answer, np.int64))


class CountsFromOne(Odd):
    def change(self, answer: list[int], count: int) -> list[Any]:
        return [candidate + 1 for candidate in answer]


class Shuns(Odd):
    """Never proposes what has not ended well."""

    def begin(self, candidates: Candidates, rng: np.random.Generator) -> Search:
        search: Any = super().begin(candidates, rng)
        search.listens = True
        search.bad = 0

        def tell(run: int, epoch: int, value: float) -> None:
            search.bad += value == -np.inf

        ask = search.ask
        search.tell = tell
        search.ask = lambda count: ask(count) if search.bad < 2 else []
        return search  # type: ignore[no-any-return]


class Local(Greedy):
    """Keeps a function that no other process has."""

    def __init__(self) -> None:
        self.scale = lambda value: value


class LosesIt(Learned):
    """Leaves behind what it learned."""

    def __getstate__(self) -> dict[str, Any]:
        return {}


class Unnamed(RandomSearch):
    """Makes numbers up."""

    def begin(self, candidates: Candidates, rng: np.random.Generator) -> Search:
        search: Any = super().begin(candidates, rng)
        ask = search.ask
        search.ask = lambda count: [number + 5 for number in ask(count)]
        return search  # type: ignore[no-any-return]


class Strays(RandomSearch):
    """Draws from another space."""

    def begin(self, candidates: Candidates, rng: np.random.Generator) -> Search:
        search: Any = super().begin(candidates, rng)
        search._space = get_space("nasbench201")
        return search  # type: ignore[no-any-return]


class Repeats(RandomSearch):
    """Forgets what it proposed before."""

    def begin(self, candidates: Candidates, rng: np.random.Generator) -> Search:
        search: Any = super().begin(candidates, rng)
        ask = search.ask
        search.ask = lambda count: [*ask(count - 1), 0]
        return search  # type: ignore[no-any-return]


Check = Callable[[Callable[[], Optimizer]], None]
CULPRITS: list[tuple[Check, type[Optimizer], str]] = [
    (checks.check_proposals, OneAtATime, "proposed 1 candidates; 24 were asked for and 24 were"),
    (checks.check_proposals, Arrays, r"int64\); expected numbers of candidates"),
    (checks.check_proposals, CountsFromOne, "from 1 to 24; expected each from 0 to 23 once"),
    (checks.check_untold_values, ReadsTables, "not told of were replaced by noise"),
    (checks.check_firewall, ReadsTests, "when only test values were changed"),
    (checks.check_firewall, KeepsTests, "KeepsTests.kept"),
    (checks.check_same_seed, Unseeded, "the second time, with the same seed"),
    (checks.check_global_chance, Global, "global generator of numpy.random"),
    (checks.check_wall_clock, Impatient, "when clocks moved"),
    (checks.check_searches_apart, Forgetful, "another search"),
    (checks.check_fit_again, LearnsOn, "fitted a second time"),
    (checks.check_pickled, Local, "cannot be sent to another process"),
    (checks.check_pickled, LosesIt, "after it was sent to another process"),
    (checks.check_whole_space, Unnamed, "candidate 12 of a whole space, of which 12 were named"),
    (checks.check_whole_space, Strays, "of space 'nasbench201'; expected architectures of"),
    (checks.check_whole_space, Repeats, "of a whole space twice"),
    (checks.check_hard_tables, Shuns, "of 12 candidates on a table that is"),
    (checks.check_dataset_names, ByName, "datasets were renamed"),
]
LEAKS = {checks.check_untold_values, checks.check_firewall}


@pytest.mark.parametrize(
    ("check", "culprit", "message"),
    CULPRITS,
    ids=[f"{check.__name__}-{culprit.__name__}" for check, culprit, _ in CULPRITS],
)
def test_a_check_rejects_its_culprit(check: Check, culprit: type[Optimizer], message: str) -> None:
    kind = LeakageError if check in LEAKS else ContractError
    with pytest.raises(kind, match=message) as caught:
        check(culprit)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("sound", [Greedy, Learned, Odd])
def test_the_honest_twin_of_the_culprits_passes(sound: type[Optimizer]) -> None:
    check_optimizer(sound)


def test_all_together_reject_a_culprit_too() -> None:
    with pytest.raises(ContractError):
        check_optimizer(OneAtATime)


def test_every_check_has_a_culprit() -> None:
    accused = {check.__name__ for check, _, _ in CULPRITS}
    assert accused | {"check_optimizer"} == set(checks.__all__)
    ran = {check.__name__ for check in (*checks._FOR_ALL, *checks._FOR_UNTAUGHT)}
    assert accused == ran


def test_only_checks_that_apply_are_run() -> None:
    assert "check_dataset_names" in check_optimizer("random")
    assert "check_dataset_names" not in check_optimizer(Learned)


def test_a_method_may_refuse_a_table_that_it_cannot_handle() -> None:
    class RefusesLoss(Learned):
        def fit(self, sources: Sources, seed: int) -> None:
            if not sources.metric.higher_is_better:
                raise InputError("I know accuracies only.")
            super().fit(sources, seed)

    checks.check_hard_tables(RefusesLoss)


def test_what_is_no_optimizer_is_refused() -> None:
    with pytest.raises(ContractError, match="int is no optimizer; expected a subclass of"):
        check_optimizer(int)  # type: ignore[arg-type]
    with pytest.raises(UnknownNameError, match="Did you mean 'random'"):
        check_optimizer("rnadom")
