"""How fast is nassim? Side by side with other packages, in one run: ``python benchmarks/speed.py``.

Ours and theirs run alternately on the same table, and a ratio is the median over the rounds. It
prints numbers and asserts nothing: a busy machine is no error. See README.md beside this file.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib.util
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import Any

import bare
import numpy as np
from curves import CANDIDATES, EPOCHS, ETA, MILESTONES, make_curves, make_order, write_large_store
from ours import asha, halving, hyperband, optimizer, table_source

from nassim.simulator import Replay, simulate
from nassim.simulator.simulate import Episode
from nassim.store import Store
from nassim.terminators.base import Terminator
from nassim.terminators.hyperband import hyperband_brackets
from nassim.terminators.successive_halving import halving_rungs

HERE = Path(__file__).parent
ORDER_SEED = 1
PACKAGES = {"optuna": "optuna", "syne-tune": "syne_tune", "mfhpo-simulator": "benchmark_simulator"}
INSTALLED = {name: importlib.util.find_spec(module) for name, module in PACKAGES.items()}


@dataclass(frozen=True)
class Row:
    """One line of the table. ``ratio`` says how many times better ours is."""

    question: str
    ours: str
    theirs: str
    ratio: float | None = None
    goal: str = ""
    reached: bool | None = None


def ratio_row(
    question: str, ours: str, theirs: str, ratio: float, at_least: float | None = None
) -> Row:
    if at_least is None:
        return Row(question, ours, theirs, ratio)
    return Row(question, ours, theirs, ratio, f"{at_least:g} times", ratio >= at_least)


def missing(question: str, package: str) -> Row:
    return Row(question, "", f"{package}: not installed")


# --- measuring --------------------------------------------------------------------------------


@dataclass(frozen=True)
class Times:
    """Seconds of each job, one entry a round."""

    rounds: dict[str, list[float]]

    def ms(self, name: str, digits: int = 2) -> str:
        return f"{1e3 * median(self.rounds[name]):.{digits}f} ms"

    def ratio(self, ours: str, theirs: str) -> float:
        """How many times faster ours is: the median of the rounds' ratios."""
        pairs = zip(self.rounds[ours], self.rounds[theirs], strict=True)
        return median(slow / fast for fast, slow in pairs)


def alternate(rounds: int, jobs: dict[str, Callable[[], object]]) -> Times:
    """Run all jobs once in each round; a short job several times, for at least 20 ms."""
    repeats = {}
    for name, job in jobs.items():
        job()
        seconds = _seconds(job)
        repeats[name] = max(1, min(100, round(0.02 / seconds)))
    times: dict[str, list[float]] = {name: [] for name in jobs}
    for _ in range(rounds):
        for name, job in jobs.items():
            times[name].append(median(_seconds(job) for _ in range(repeats[name])))
    return Times(times)


def _seconds(job: Callable[[], object]) -> float:
    start = time.perf_counter()
    job()
    return time.perf_counter() - start


def processes(rounds: int, jobs: dict[str, list[str]]) -> tuple[Times, dict[str, list[Any]]]:
    """Run each job of jobs.py in a fresh process in each round: wall seconds, and its answers."""
    times: dict[str, list[float]] = {name: [] for name in jobs}
    answers: dict[str, list[Any]] = {name: [] for name in jobs}
    environment = os.environ | {"PYTHONWARNINGS": "ignore", "OMP_NUM_THREADS": "1"}
    for round_number in range(-1, rounds):  # one round more, for the disk's cache
        for name, arguments in jobs.items():
            start = time.perf_counter()
            done = subprocess.run(
                [sys.executable, str(HERE / "jobs.py"), *arguments],
                env=environment,
                check=True,
                capture_output=True,
                text=True,
            )
            if round_number >= 0:
                times[name].append(time.perf_counter() - start)
                answers[name].append(json.loads(done.stdout.splitlines()[-1]))
    return Times(times), answers


# --- searches ---------------------------------------------------------------------------------


def search(replay: Replay, terminator: Terminator, workers: int = 1) -> Episode:
    rng = np.random.default_rng(ORDER_SEED)
    return simulate(replay, optimizer, terminator, rng, workers=workers)


def halving_and_hyperband(rounds: int) -> Iterator[Row]:
    """One run through the general loop, and one of many orders inside a study."""
    curves, order = make_curves(), make_order(ORDER_SEED)
    table = table_source()
    replay = Replay(table)
    values = curves.accuracies.tolist()
    cumulative = np.hstack([np.zeros((CANDIDATES, 1)), curves.seconds.cumsum(axis=1)])
    best = curves.accuracies.max(axis=1)
    brackets = {
        "halving": [halving_rungs(CANDIDATES, EPOCHS, ETA, 1)],
        "Hyperband": hyperband_brackets(EPOCHS, ETA),
    }
    for name, terminator in {"halving": halving, "Hyperband": hyperband}.items():
        mine = search(replay, terminator)
        asked = order[: len(mine.started)]  # as many candidates as Hyperband asks for

        def numpy_only(name: str = name) -> int:
            left, charged = np.array(order), 0
            for rungs in brackets[name]:
                spent, _, _ = bare.halving(curves.accuracies, best, cumulative, left, rungs)
                left, charged = left[rungs[0][0] :], charged + spent
            return charged

        jobs: dict[str, Callable[[], object]] = {
            "one": lambda terminator=terminator: search(Replay(table), terminator),
            "study": lambda terminator=terminator: search(replay, terminator),
            "numpy": numpy_only,
        }
        if INSTALLED["optuna"]:
            import with_optuna

            def optuna_run(name: str = name, asked: list[int] = asked) -> list[int]:
                pruner = (
                    with_optuna.halving_pruner(ETA)
                    if name == "halving"
                    else with_optuna.hyperband_pruner(EPOCHS, ETA)
                )
                return with_optuna.search(values, asked, MILESTONES, pruner)

            jobs["optuna"] = optuna_run
        if INSTALLED["syne-tune"]:
            import with_syne_tune

            box = with_syne_tune.blackbox(curves, range(1, EPOCHS + 1))
            n_brackets = len(brackets[name])
            jobs["syne"] = lambda box=box, asked=asked, n_brackets=n_brackets: with_syne_tune.asha(
                box, asked, EPOCHS, brackets=n_brackets, eta=ETA
            )
        times = alternate(rounds, jobs)
        one = f"{times.ms('one')}, {mine.epochs_charged} epochs"
        study = f"{times.ms('study')}, {mine.epochs_charged} epochs"
        numbers = f"numpy {times.ms('numpy')}, {numpy_only()} epochs"
        yield ratio_row(f"{name}: in a study, bare", study, numbers, times.ratio("study", "numpy"))
        if INSTALLED["optuna"]:
            charged = sum(jobs["optuna"]())  # type: ignore[arg-type, call-overload]
            theirs = f"Optuna {times.ms('optuna')}, {charged} epochs"
            yield ratio_row(f"{name}: one run", one, theirs, times.ratio("one", "optuna"), 20)
            yield ratio_row(
                f"{name}: in a study", study, theirs, times.ratio("study", "optuna"), 100
            )
            if name == "halving":
                rule, n_full = bare.top_rule(ETA), len(order)
                exact, _ = bare.exact_asha(curves, order, MILESTONES, rule, workers=1)
                same = exact == jobs["optuna"]()
                yield Row(
                    "halving: Optuna keeps what its rule says",
                    f"exact: {sum(exact)} epochs",
                    f"Optuna {charged} epochs, {'the same' if same else 'OTHER'} {n_full} fates",
                )
        else:
            yield missing(f"{name}: one run", "optuna")
        if INSTALLED["syne-tune"]:
            trained, _ = jobs["syne"]()  # type: ignore[misc]
            theirs = f"Syne Tune {times.ms('syne', 0)}, {sum(trained)} epochs"
            yield ratio_row(f"{name}: one run", one, theirs, times.ratio("one", "syne"))
            yield ratio_row(f"{name}: in a study", study, theirs, times.ratio("study", "syne"))
        else:
            yield missing(f"{name}: one run", "syne-tune")


def asha_with_workers(rounds: int, workers: int = 4) -> Iterator[Row]:
    """ASHA (stopping) on four simulated workers, and whether its decisions are the exact ones."""
    curves, order = make_curves(), make_order(ORDER_SEED)
    table = table_source()
    replay = Replay(table)
    values = curves.accuracies.tolist()
    array = np.hstack([np.zeros((CANDIDATES, 1)), curves.seconds.cumsum(axis=1)])
    cumulative, epochs = array.tolist(), [*MILESTONES, EPOCHS]
    jobs: dict[str, Callable[[], Any]] = {
        "one": lambda: search(Replay(table), asha, workers),
        "study": lambda: search(replay, asha, workers),
        "heap": lambda: bare.asha(values, cumulative, order, epochs, ETA, workers),
    }
    if INSTALLED["mfhpo-simulator"]:
        import with_mfhpo

        jobs["mfhpo"] = lambda: with_mfhpo.asha(
            values, cumulative, order, epochs, workers=workers, eta=ETA
        )
    if INSTALLED["syne-tune"]:
        import with_syne_tune

        every = with_syne_tune.blackbox(curves, range(1, EPOCHS + 1))
        rungs = with_syne_tune.blackbox(curves, epochs)
        jobs["syne"] = lambda: with_syne_tune.asha(every, order, EPOCHS, workers=workers, eta=ETA)
        jobs["syne, rungs"] = lambda: with_syne_tune.asha(
            rungs, order, EPOCHS, workers=workers, eta=ETA
        )
    times = alternate(rounds, jobs)
    mine = jobs["one"]()
    exact, exact_end = bare.exact_asha(curves, order, MILESTONES, bare.quantile_rule(ETA), workers)
    same = mine.epochs.tolist() == exact and bool(np.isclose(mine.seconds, exact_end))
    question = f"ASHA, {workers} workers"
    one = f"{times.ms('one')}, {mine.epochs_charged} epochs"
    study = f"{times.ms('study')}, {mine.epochs_charged} epochs"
    yield Row(
        f"{question}: decisions",
        f"{_differences(mine.epochs.tolist(), exact)}, ends {mine.seconds / exact_end - 1:+.1%}",
        f"exact events: {sum(exact)} epochs, {exact_end:.0f} s",
        goal="the same",
        reached=same,
    )
    heap = f"bare heap {times.ms('heap')}, {jobs['heap']()} epochs"
    yield ratio_row(f"{question}: in a study, bare", study, heap, times.ratio("study", "heap"))
    if INSTALLED["mfhpo-simulator"]:
        trained = jobs["mfhpo"]()
        theirs = f"mfhpo-simulator {times.ms('mfhpo')}, {sum(trained)} epochs"
        yield ratio_row(f"{question}: one run", one, theirs, times.ratio("one", "mfhpo"), 5)
        yield ratio_row(f"{question}: in a study", study, theirs, times.ratio("study", "mfhpo"))
        yield Row(f"{question}: mfhpo-simulator's decisions", "", _differences(trained, exact))
    else:
        yield missing(question, "mfhpo-simulator")
    if not INSTALLED["syne-tune"]:
        yield missing(question, "syne-tune")
        return
    rule = bare.rank_rule(ETA)
    exact, exact_end = bare.exact_asha(curves, order, MILESTONES, rule, workers)
    for name, how, goal in (("syne", "each epoch", 190), ("syne, rungs", "rungs only", None)):
        trained, end = jobs[name]()
        fates = [max((e for e in epochs if e <= run), default=0) for run in trained]
        theirs = f"Syne Tune, {how}: {times.ms(name, 0)}, {sum(trained)} epochs"
        yield ratio_row(f"{question}: one run", one, theirs, times.ratio("one", name), goal)
        yield ratio_row(f"{question}: in a study", study, theirs, times.ratio("study", name))
        late = f"ends {end / exact_end - 1:+.0%}"
        yield Row(
            f"{question}: Syne Tune's decisions", "", f"{how}: {_differences(fates, exact)}, {late}"
        )


def _differences(trained: list[int], exact: list[int]) -> str:
    count = sum(a != b for a, b in zip(trained, exact, strict=True))
    return f"{count} of {len(exact)} fates differ"


# --- processes --------------------------------------------------------------------------------


def whole_processes(rounds: int) -> Iterator[Row]:
    """A process that makes 500 halving runs, and one that makes a single one with Optuna."""
    jobs = {"ours": ["halving_runs", "500"]}
    if INSTALLED["optuna"]:
        jobs["optuna"] = ["optuna_halving_run"]
    times, answers = processes(rounds, jobs)
    ours = f"500 runs {times.ms('ours', 0)}, {_peak(answers['ours']):.0f} MB"
    if INSTALLED["optuna"]:
        theirs = f"Optuna, 1 run {times.ms('optuna', 0)}, {_peak(answers['optuna']):.0f} MB"
        yield ratio_row("process: time", ours, theirs, times.ratio("ours", "optuna"), 1)
    else:
        yield missing("process: time", "optuna")
    peak = _peak(answers["ours"])
    yield Row("process: peak memory", f"{peak:.0f} MB", "", None, "60 MB", peak <= 60)


def _peak(answers: list[Any]) -> float:
    return median(answer["peak_MB"] for answer in answers)


def importing(rounds: int) -> Iterator[Row]:
    """What ``import nassim`` costs, and what it and the replay load."""
    statements = {
        "reference": "import numpy, pyarrow.parquet",
        "package": "import nassim",
        "replay": "import ours",
        "store": "from nassim.store import Store",
        "study": "import nassim.studies.termination",
    }
    times, answers = processes(
        rounds, {name: ["imports", text] for name, text in statements.items()}
    )
    theirs = f"`{statements['reference']}` {times.ms('reference', 0)}"
    for name in ("package", "replay", "store", "study"):
        ratio = 1 / times.ratio("reference", name)
        what = "replay (simulator, three terminators)" if name == "replay" else statements[name]
        heavy = answers[name][0]["heavy"]
        loads = f"loads {', '.join(heavy)}" if heavy else "loads nothing heavy"
        yield Row(
            f"import: {what}",
            f"{times.ms(name, 0)}, {_peak(answers[name]):.0f} MB, {loads}",
            f"{theirs}, {_peak(answers['reference']):.0f} MB",
            ratio,
            "1/1.5 times",
            ratio >= 1 / 1.5 and not heavy,
        )


# --- store ------------------------------------------------------------------------------------


def large_store(rounds: int, path: Path) -> Iterator[Row]:
    """A store of the size of NAS-Bench-201: 46,875 runs x 200 epochs."""
    jobs = {
        "opened": ["store_opened", str(path)],
        "curves": ["store_curves", str(path)],
        "curve": ["store_curve", str(path)],
    }
    if INSTALLED["syne-tune"]:
        jobs["syne"] = ["syne_tune_curves"]
    _, answers = processes(rounds, jobs)

    def middle(job: str, field: str) -> float:
        return median(answer[field] for answer in answers[job])

    size = sum(file.stat().st_size for file in path.iterdir()) / 1e6
    yield Row("store: on disk", f"{size:.1f} MB", "", None, "18.8 MB", size <= 18.85)
    ms, mb = middle("opened", "ms"), middle("opened", "MB")
    first = f"first {middle('opened', 'first_ms'):.1f}"
    yield Row(
        "store: open",
        f"{ms:.2f} ms ({first}), {mb:.1f} MB",
        "",
        None,
        "5 ms, 5 MB",
        ms <= 5 and mb <= 5,
    )
    ms, mb = middle("curves", "ms"), middle("curves", "MB")
    array = middle("curves", "array_MB")
    ours = f"{ms:.0f} ms (first {middle('curves', 'first_ms'):.0f}), {mb:.0f} MB for {array:.1f} MB"
    theirs, ratio = "", None
    if INSTALLED["syne-tune"]:
        theirs = (
            f"Syne Tune, from memory {middle('syne', 'ms'):.0f} ms, {middle('syne', 'MB'):.0f} MB"
        )
        ratio = middle("syne", "ms") / ms
    yield Row(
        "store: all curves in one array",
        ours,
        theirs,
        ratio,
        "120 ms, 2.5 arrays",
        ms <= 120 and mb <= 2.5 * array,
    )
    ms = middle("curve", "ms")
    yield Row(
        "store: one curve alone",
        f"{ms:.2f} ms (with opening {middle('curve', 'with_opening_ms'):.2f})",
        "",
        None,
        "3 ms",
        ms <= 3,
    )


def look_ups(rounds: int, path: Path) -> Iterator[Row]:
    """One value of an architecture after an epoch: look-ups a second."""
    import pandas as pd

    lookup = Store.open(path).lookup("valid_accuracy", "cifar10")
    values, rng = lookup.values, np.random.default_rng(0)
    rows, epochs = rng.integers(len(values), size=20_000), rng.integers(1, 201, size=20_000)
    names = lookup.architectures[rows].tolist()
    pairs = list(zip(names, epochs.tolist(), strict=True))
    row_of = {name: row for row, name in enumerate(lookup.architectures.tolist())}
    frame = pd.DataFrame(values, index=lookup.architectures, columns=range(1, 201))

    def single() -> None:
        for name, epoch in pairs:
            lookup(name, epoch)

    def frame_at() -> None:
        for name, epoch in pairs[:500]:
            frame.at[name, epoch]

    def numpy_by_name() -> object:
        return values[[row_of[name] for name in names], epochs - 1]

    jobs: dict[str, Callable[[], object]] = {
        "single": single,
        "many": lambda: lookup.many(names, epochs),
        "at": lambda: lookup.at(rows, epochs),
        "numpy": lambda: values[rows, epochs - 1],
        "numpy, names": numpy_by_name,
        "pandas": frame_at,
    }
    counts = dict.fromkeys(jobs, len(pairs)) | {"pandas": 500}
    if INSTALLED["syne-tune"]:
        import with_syne_tune

        table, objectives = with_syne_tune.large_arrays()
        box = with_syne_tune.large_blackbox(table, objectives)
        configurations = table.iloc[rows[:50]].to_dict("records")

        def syne_tune() -> None:
            for configuration in configurations:
                box.objective_function(configuration, fidelity={"epoch": 3}, seed=0)

        jobs["syne"], counts["syne"] = syne_tune, len(configurations)
    times = alternate(rounds, jobs)
    speed = {name: counts[name] / median(times.rounds[name]) for name in jobs}
    text = {name: f"{number:,.0f} a second" for name, number in speed.items()}
    for name, theirs in (("pandas", "pandas .at"), ("syne", "Syne Tune")):
        if name in jobs:
            yield Row(
                "look-up by name, single",
                text["single"],
                f"{theirs} {text[name]}",
                speed["single"] / speed[name],
                "1,500,000 a second",
                speed["single"] >= 1.5e6,
            )
        else:
            yield missing("look-up by name, single", "syne-tune")
    yield Row(
        "look-up by name, batched",
        text["many"],
        f"numpy and a dict {text['numpy, names']}",
        speed["many"] / speed["numpy, names"],
        "5,000,000 a second",
        speed["many"] >= 5e6,
    )
    yield ratio_row(
        "look-up by index, batched",
        text["at"],
        f"numpy {text['numpy']}",
        times.ratio("at", "numpy"),
        0.5,
    )


# --- the table --------------------------------------------------------------------------------

SECTIONS = ("searches", "asha", "processes", "import", "lookups", "store")


def run(section: str, rounds: int, path: Path) -> Iterator[Row]:
    if section == "searches":
        yield from halving_and_hyperband(rounds)
    elif section == "asha":
        yield from asha_with_workers(rounds)
    elif section == "processes":
        yield from whole_processes(rounds)
    elif section == "import":
        yield from importing(rounds)
    elif section == "lookups":
        yield from look_ups(rounds, path)
    else:
        yield from large_store(rounds, path)


def machine() -> str:
    versions = [
        f"{name} {version(name)}" if INSTALLED[name] else f"{name}: not installed"
        for name in PACKAGES
    ]
    return (
        f"Python {platform.python_version()}, numpy {np.__version__}, {', '.join(versions)}; "
        f"{os.cpu_count()} cores"
    )


def load() -> str:
    return ", ".join(f"{number:.1f}" for number in os.getloadavg())


def print_row(row: Row) -> None:
    ratio = "" if row.ratio is None else f"{row.ratio:.3g}x"
    reached = "" if row.reached is None else ("yes" if row.reached else "NO")
    cells = (row.question, row.ours, row.theirs, ratio, row.goal, reached)
    print("| " + " | ".join(cells) + " |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("sections", nargs="*", metavar="SECTION", help=", ".join(SECTIONS))
    parser.add_argument("--rounds", type=int, default=7, help="alternating rounds (default 7)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the rows there too")
    parser.add_argument(
        "--store", type=Path, metavar="FOLDER", help="keep the large store there for the next time"
    )
    options = parser.parse_args()
    sections = options.sections or list(SECTIONS)
    if unknown := set(sections) - set(SECTIONS):
        parser.error(f"unknown section {min(unknown)!r}; known: {', '.join(SECTIONS)}")
    rows: list[Row] = []
    before = load()
    print(f"{machine()}; load average before: {before}\n")
    print_row(Row("question", "ours", "theirs", None, "goal"))
    print("|---|---|---|---|---|---|")
    with contextlib.ExitStack() as stack:
        path = options.store
        if path is None:
            path = Path(stack.enter_context(tempfile.TemporaryDirectory())) / "large"
        if {"lookups", "store"} & set(sections) and not path.exists():
            write_large_store(path)
        for section in sections:
            for row in run(section, options.rounds, path):
                rows.append(row)
                print_row(row)
    print(f"\nload average after: {load()}")
    if options.json:
        report = {"machine": machine(), "load_before": before, "load_after": load()}
        options.json.write_text(json.dumps(report | {"rows": [asdict(r) for r in rows]}, indent=1))


if __name__ == "__main__":
    main()
