"""What each terminator and optimizer does, written down; this script writes it anew.

A trace is a short search on a small made-up table, one line an event. ``tests/test_traces.py``
replays it and compares: a change of behaviour is a diff that a reviewer reads. Methods that learn
are left out, since their numbers differ a little from machine to machine; but not those of EXACT.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast
from unittest import mock

import numpy as np

from nassim.checks.recording import FixedOrder, Recorder
from nassim.checks.worlds import World, hard_worlds, small_world
from nassim.loading import build, load, parse_specification
from nassim.optimizers import OPTIMIZERS
from nassim.optimizers.base import Optimizer
from nassim.simulator import simulate
from nassim.simulator.clock import Clock
from nassim.terminators import TERMINATORS
from nassim.terminators.base import Terminator

FOLDER = Path(__file__).parent


@dataclass(frozen=True)
class Trace:
    """A search to record.

    ``guards`` are patterns (of ``re``) of the lines for whose sake it is recorded.
    """

    specification: str
    guards: tuple[str, ...]
    world: str = ""  # a hard one by its name, else the small one
    n: int = 18
    epochs: int = 9
    workers: int = 1
    accounting: str = "continue"
    optimizer: str = ""  # else a fixed order


# Every terminator and optimizer of the tables has a trace, with default options (but for INSTEAD);
# what those of terminators must contain:
GUARDS = {
    "asha": (r" 1  STOP", r" 3  CONTINUE", r" 3  STOP"),
    "chandrashekaran": (r" 9  done", r" 2  STOP", r" [358]  STOP", r" 8  CONTINUE"),
    "domhan": (r" 5  CONTINUE", r" 5  STOP", r" 8  CONTINUE", r" 8  STOP"),
    "freeze_thaw": (
        r" 0  train until 1 ",
        r" [1-7]  train until [2-8] ",
        r" [1-7]  train until 9 ",
    ),
    "hyperband": (  # three brackets
        r" 0  train until 1 +(\d+ ){8}\d+$",
        r" 0  train until 3 +(\d+ ){4}\d+$",
        r" 0  train until 9 +\d+ \d+ \d+$",
    ),
    "last_value": (r" 1  STOP", r" [2-8]  CONTINUE", r" [2-8]  STOP"),
    "lcpfn": (r" 1  STOP", r" [2-8]  CONTINUE", r" [2-8]  STOP"),
    "median": (r" 5  CONTINUE", r" 8  CONTINUE"),
    "never": (r" 9  done",),
    "rush": (r" 1  STOP", r" 3  CONTINUE", r" 3  STOP"),
    "parametric": (r" 5  CONTINUE", r" 5  STOP", r" 8  CONTINUE", r" 8  STOP"),
    "successive_halving": (
        r" 0  train until 1 +(\d+ ){17}\d+$",
        r" 1  train until 3 +(\d+ ){5}\d+$",
        r" 3  train until 9 +\d+ \d+$",
    ),
}
EXACT = {"best_elsewhere", "bounding_box", "rush"}  # these learn, but compare only
INEXACT = {"nao"}  # these learn from the target alone, and yet in a network
INSTEAD = {
    # A sampler turns the last bits of a processor's exponentials into other chains. These options
    # leave no decision to chance: traces of other seeds are the same.
    "domhan": "domhan:families=pow3+ilog2:walkers=20:delta=0.2",
    # So would long training; after a few steps these bits are far below what is rounded away.
    "dyhpo": "dyhpo:iterations=3:refinement=1:budget=0.2",
}
# Options of optimizers with which 18 candidates are enough to show what they do.
SEARCHES = {
    "evolution": "evolution:population=4:sample=2",
    "smbo": "smbo:initial=6:batch=3",
    "tournament": "tournament:population=4",
}
OTHERS = {
    "asha-promotion": Trace(
        "asha:eta=2:variant=promotion",
        (r" 1  PAUSE", r" 1  train until 2", r" 4  train until 8", r" 8  train until 9"),
        workers=2,
        accounting="restart",
    ),
    "asha-ties": Trace("asha:eta=2", (r" 8  CONTINUE",), world="ties"),
    "asha-workers": Trace("asha", (r" 1  STOP", r" 3  STOP"), workers=3),
    "chandrashekaran-workers": Trace(
        "chandrashekaran:curves=1:epochs=every:delta=0.3",
        (r" 2  STOP", r" 3  STOP", r" 8  CONTINUE"),
        workers=3,
    ),
    "last_value-every": Trace(
        "last_value:statistic=best:epochs=every", (r" [67]  CONTINUE", r" [2-7]  STOP"), workers=3
    ),
    "last_value-gaps": Trace(
        "last_value:epochs=(1,4,7)", (r" 1  CONTINUE", r" [47]  STOP"), world="gaps"
    ),
    "median-stops": Trace("median:grace_epochs=2:min_runs=2", (r" [2-8]  STOP", r" 8  CONTINUE")),
    "median-syne_tune": Trace(
        "median:grace_epochs=3:variant=syne_tune", (r" 3  STOP", r" [4-8]  STOP"), workers=2
    ),
    "never-failed": Trace("never", (r" 0  done +0$",), world="failed", workers=2),
    "rush-workers": Trace("rush:eta=2:best=2", (r" 1  STOP", r" 8  CONTINUE"), workers=2),
    "successive_halving-ragged": Trace("successive_halving:eta=2", (r"done",), world="ragged"),
    "successive_halving-restart": Trace(
        "successive_halving:eta=2:min_epochs=2",
        (r" 4  train until 8 +(\d+ ){3}\d+$", r" 8  train until 9 +\d+ \d+$"),
        workers=2,
        accounting="restart",
    ),
}
TRACES = (
    {name: Trace(INSTEAD.get(name, name), GUARDS.get(name, ())) for name in TERMINATORS}
    | {
        f"optimizer-{name}": Trace("asha", (r"STOP",), optimizer=SEARCHES.get(name, name))
        for name in OPTIMIZERS
    }
    | OTHERS
)


def learns(trace: Trace) -> bool:
    """Whether this is a method that is not recorded."""
    parsed = [parse_specification(trace.specification, TERMINATORS, "terminator")]
    if trace.optimizer:
        parsed.append(parse_specification(trace.optimizer, OPTIMIZERS, "optimizer"))
    return any(
        each.name in INEXACT or (load(each.path).uses_sources and each.name not in EXACT)
        for each in parsed
    )


class _TimedRecorder(Recorder):
    """Keeps the virtual time of each event too."""

    def __init__(self, inner: Terminator, clocks: list[Clock], lengths: list[int]) -> None:
        super().__init__(inner)
        self.lines: list[str] = []
        self._clocks = clocks
        self._lengths = lengths
        self._epochs: dict[int, int] = {}  # trained of each run so far

    def note(self, what: str, runs: Sequence[int] | np.ndarray, epoch: int) -> None:
        if what == "done":
            for run in map(int, runs):
                self._epochs[run] = min(epoch, self._lengths[run])
        at = max(self._epochs.get(int(run), 0) for run in runs)
        action = f"train until {epoch}" if what == "train" else what
        named = " ".join(str(int(run)) for run in runs)
        self.lines.append(f"{self._clocks[-1].now:9.3f}  {at:6d}  {action:<16}{named}")


def tell(trace: Trace) -> str:
    """The trace as text."""
    clocks: list[Clock] = []

    class WatchedClock(Clock):
        def __init__(self) -> None:
            super().__init__()
            clocks.append(self)

    world: World = hard_worlds()[trace.world] if trace.world else small_world(trace.n, trace.epochs)
    parsed = parse_specification(trace.specification, TERMINATORS, "terminator")
    replay = world.replay()
    terminator = cast(Terminator, build(parsed, "terminator"))
    terminator.fit(world.sources, seed=0)
    recorder = _TimedRecorder(terminator, clocks, replay.lengths)
    n, epochs = world.target.curves.shape
    optimizer: Optimizer = FixedOrder(np.random.default_rng(0).permutation(n).tolist())
    if trace.optimizer:
        chosen = parse_specification(trace.optimizer, OPTIMIZERS, "optimizer")
        optimizer = cast(Optimizer, build(chosen, "optimizer"))
        optimizer.fit(world.sources, seed=0)
    options: Any = {"workers": trace.workers, "accounting": trace.accounting}
    with mock.patch("nassim.simulator.simulate.Clock", WatchedClock):
        rng = np.random.default_rng(0)
        episode = simulate(replay, optimizer, recorder, rng, **options)
    kind = f", {trace.world}" if trace.world else ""
    by = f", {trace.optimizer} search" if trace.optimizer else ""
    lines = [
        f"# {trace.specification}: {n} runs of {epochs} epochs{kind}{by}; "
        f"workers={trace.workers}, accounting={trace.accounting}",
        "# seconds  epochs  action          runs",
        *recorder.lines,
        f"# pick {episode.pick}, {episode.seconds:.3f} seconds, {episode.busy_seconds:.3f} busy, "
        f"{episode.epochs_charged} epochs charged",
    ]
    return "\n".join(lines) + "\n"


def main() -> None:
    """Write all traces, and remove those that are none any more."""
    recorded = {name: trace for name, trace in TRACES.items() if not learns(trace)}
    for old in FOLDER.glob("*.txt"):
        if old.stem not in recorded:
            old.unlink()
    for name, trace in recorded.items():
        path = FOLDER / f"{name}.txt"
        text = tell(trace)
        changed = not path.exists() or path.read_text(encoding="utf-8") != text
        path.write_text(text, encoding="utf-8")
        print(f"{path.name}{' (changed)' if changed else ''}")


if __name__ == "__main__":
    main()
