"""What a search did, event by event, so that two searches can be compared.

>>> from nassim.checks.worlds import small_world
>>> from nassim.terminators.asha import ASHA
>>> from nassim.simulator import simulate
>>> recorder = Recorder(ASHA())
>>> world = small_world(n=3, epochs=4)
>>> _ = simulate(world.replay(), FixedOrder([2, 0, 1]), recorder, np.random.default_rng(0))
>>> [str(event) for event in recorder.events[:3]]
['train 2 until epoch 1', 'done 2 at epoch 1', 'CONTINUE 2 at epoch 1']
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from nassim.errors import ContractError, LeakageError
from nassim.optimizers.base import Candidates, Optimizer, Search
from nassim.records import Action, Sources
from nassim.terminators.base import Job, Judge, Rule, Session, Terminator, View

__all__ = ["Event", "FixedOrder", "Recorder", "SearchRecorder"]


class Event(NamedTuple):
    """One line of a recording.

    ``what`` is ``train`` (the terminator has handed out a job), ``done`` (it has been told that
    the job is finished), or a rule's answer (``CONTINUE``, ``PAUSE``, ``STOP``).
    """

    what: str
    runs: tuple[int, ...]
    epoch: int

    def __str__(self) -> str:
        runs = " ".join(map(str, self.runs))
        return f"{self.what} {runs} {'until' if self.what == 'train' else 'at'} epoch {self.epoch}"


class Recorder(Terminator):
    """Behaves as another terminator does, and keeps what it answered.

    Parameters
    ----------
    inner
        The (fitted) terminator.
    watch
        Hand it a view that has nothing but the public names, and keep in ``faults`` what it asked
        for without right, even if it swallows the error.
    interrupt
        Called before every answer; may run another search of the same terminator.
    """

    def __init__(
        self,
        inner: Terminator,
        *,
        watch: bool = False,
        interrupt: Callable[[], None] | None = None,
    ) -> None:
        self.inner = inner
        self.events: list[Event] = []
        self.faults: list[str] = []
        self.session: Session | None = None
        self._watch = watch
        self._interrupt = interrupt

    def fit(self, sources: Sources, seed: int) -> None:
        self.inner.fit(sources, seed)

    def begin(self, view: View) -> Session:
        if self._watch:
            view = _WatchedView(view, self.faults)
        with _recorded_judges(self.inner, self):
            self.session = self.inner.begin(view)
        return _RecordedSession(self.session, self)

    def note(self, what: str, runs: Sequence[int] | np.ndarray, epoch: int) -> None:
        """Add an event."""
        self.events.append(Event(what, tuple(int(run) for run in runs), int(epoch)))

    def interrupt(self) -> None:
        """Let something else happen in between."""
        if self._interrupt is not None:
            self._interrupt()


class _RecordedSession:
    def __init__(self, session: Session, recorder: Recorder) -> None:
        self._session = session
        self._recorder = recorder

    def next(self) -> Job | None:
        self._recorder.interrupt()
        return self._noted(self._session.next())

    def done(self, job: Job) -> Job | None:
        self._recorder.interrupt()
        self._recorder.note("done", job.runs, job.epoch)
        return self._noted(self._session.done(job))

    def _noted(self, job: Job | None) -> Job | None:
        if job is not None:
            self._recorder.note("train", job.runs, job.epoch)
        return job


@contextlib.contextmanager
def _recorded_judges(terminator: Terminator, recorder: Recorder) -> Iterator[None]:
    """Judges that a rule makes meanwhile are recorded; afterwards the rule is as it was."""
    if not isinstance(terminator, Rule):
        yield
        return
    judge = terminator.judge
    terminator.judge = lambda view: _RecordedJudge(judge(view), recorder)  # type: ignore[method-assign]
    try:
        yield
    finally:
        del terminator.judge  # the instance's, so that the class's shows again


class _RecordedJudge(Judge):
    def __init__(self, judge: Judge, recorder: Recorder) -> None:
        self._judge = judge
        self._recorder = recorder

    def decide(self, run: int, epoch: int) -> Action:
        action = self._judge.decide(run, epoch)
        if not isinstance(action, Action):
            raise ContractError(
                f"{type(self._judge).__name__}.decide returned {action!r}; expected an Action "
                "(CONTINUE, PAUSE or STOP)."
            )
        self._recorder.note(action.name, (run,), epoch)
        return action

    def promote(self) -> int | None:
        return self._judge.promote()

    def draw(self, view: View) -> list[int]:
        return self._judge.draw(view)


_PUBLIC = frozenset(name for name in vars(View) if not name.startswith("_"))


class _WatchedView:
    """A view that has the public names only, and remembers what was asked for without right."""

    def __init__(self, view: View, faults: list[str]) -> None:
        self.__view = view
        self.__faults = faults

    def __getattr__(self, name: str) -> Any:
        if name not in _PUBLIC:
            self.__faults.append(f"it asked the view for {name!r}, which is none of a view's names")
            raise LeakageError(
                f"A method asked the view for {name!r}; expected a name of nassim.terminators.base"
                f".View: {', '.join(sorted(_PUBLIC))}."
            )
        found = getattr(self.__view, name)
        if not callable(found):
            return found

        def watched(*args: Any, **kwargs: Any) -> Any:
            try:
                return found(*args, **kwargs)
            except LeakageError as error:
                self.__faults.append(str(error))
                raise

        return watched


class FixedOrder(Optimizer):
    """Proposes candidates in a given order."""

    def __init__(self, order: Sequence[int]) -> None:
        self._order = list(order)

    def begin(self, candidates: Candidates, rng: np.random.Generator) -> Search:
        return _Listed(self._order)


class _Listed:
    listens = False

    def __init__(self, order: list[int]) -> None:
        self._left = list(reversed(order))

    def ask(self, count: int) -> list[int]:
        return [self._left.pop() for _ in range(min(count, len(self._left)))]

    def tell(self, run: int, epoch: int, value: float) -> None:
        return


class SearchRecorder(Optimizer):
    """Behaves as another optimizer does, and keeps what it was asked, answered and told.

    An entry of ``events`` is ``("ask", count, answer)`` or ``("tell", run, epoch, value)``.
    """

    def __init__(self, inner: Optimizer, interrupt: Callable[[], None] | None = None) -> None:
        self.inner = inner
        self.events: list[tuple[Any, ...]] = []
        self.search: Search | None = None
        self._interrupt = interrupt

    def fit(self, sources: Sources, seed: int) -> None:
        self.inner.fit(sources, seed)

    def begin(self, candidates: Candidates, rng: np.random.Generator) -> Search:
        self.search = self.inner.begin(candidates, rng)
        return _RecordedSearch(self.search, self.events, self._interrupt)


class _RecordedSearch:
    def __init__(
        self,
        search: Search,
        events: list[tuple[Any, ...]],
        interrupt: Callable[[], None] | None,
    ) -> None:
        self._search = search
        self._events = events
        self._interrupt = interrupt
        self.listens = search.listens
        self.notes: Mapping[str, float] = getattr(search, "notes", {})

    def ask(self, count: int) -> list[int]:
        if self._interrupt is not None:
            self._interrupt()
        answer = self._search.ask(count)
        self._events.append(("ask", count, tuple(answer)))
        return answer

    def tell(self, run: int, epoch: int, value: float) -> None:
        self._events.append(("tell", run, epoch, value))
        self._search.tell(run, epoch, value)
