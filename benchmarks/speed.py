"""How fast is nassim? Side by side with other packages, in one run: ``python benchmarks/speed.py``.

It prints numbers and asserts nothing. See README.md beside this file.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import platform
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from importlib.metadata import version
from itertools import cycle
from pathlib import Path
from statistics import median
from typing import Any

import bare
import numpy as np
from curves import CANDIDATES, EPOCHS, ETA, MILESTONES, make_curves, make_order, write_large_store
from measuring import (
    PACKAGES,
    Row,
    against,
    alternate,
    alternate_processes,
    installed,
    middle,
    not_installed,
)
from ours import asha, halving, hyperband, optimizer, table_source

from nassim.simulator import Replay, simulate
from nassim.simulator.simulate import Episode
from nassim.store import Store
from nassim.terminators.base import Terminator
from nassim.terminators.hyperband import hyperband_brackets
from nassim.terminators.successive_halving import halving_rungs

ORDER_SEED = 1
ORDER = make_order(ORDER_SEED)
CURVES = make_curves()
CUMULATIVE = np.hstack([np.zeros((CANDIDATES, 1)), CURVES.seconds.cumsum(axis=1)])
VALUES = CURVES.accuracies.tolist()


def search(
    replay: Replay, terminator: Terminator, workers: int = 1, order_seed: int = ORDER_SEED
) -> Episode:
    """The general loop: an optimizer, a terminator, a clock."""
    rng = np.random.default_rng(order_seed)
    return simulate(replay, optimizer, terminator, rng, workers=workers)


def halving_section(rounds: int, _: Path) -> Iterator[Row]:
    """Successive halving: one run through the general loop, and one of many in a study."""
    rungs = [halving_rungs(CANDIDATES, EPOCHS, ETA, 1)]
    yield from _synchronous("halving", halving, rungs, rounds)


def hyperband_section(rounds: int, _: Path) -> Iterator[Row]:
    """Hyperband, likewise; every package gets as many candidates as ours asks for."""
    yield from _synchronous("Hyperband", hyperband, hyperband_brackets(EPOCHS, ETA), rounds)


def _synchronous(
    name: str, terminator: Terminator, brackets: Sequence[bare.Rungs], rounds: int
) -> Iterator[Row]:
    table = table_source()
    replay = Replay(table)
    mine = search(replay, terminator)
    order = ORDER[: len(mine.started)]
    best = CURVES.accuracies.max(axis=1)
    jobs: dict[str, Callable[[], Any]] = {
        "one": lambda: search(Replay(table), terminator),
        "study": lambda: search(replay, terminator),
        "numpy": lambda: bare.hyperband(
            CURVES.accuracies, best, CUMULATIVE, np.array(order), brackets
        ),
    }
    if installed("optuna"):
        import with_optuna

        jobs["optuna"] = lambda: with_optuna.search(
            VALUES,
            order,
            MILESTONES,
            with_optuna.halving_pruner(ETA)
            if name == "halving"
            else with_optuna.hyperband_pruner(EPOCHS, ETA),
        )
    if installed("syne-tune"):
        import with_syne_tune

        box = with_syne_tune.blackbox(CURVES, range(1, EPOCHS + 1))
        jobs["syne"] = lambda: with_syne_tune.asha(
            box, order, EPOCHS, brackets=len(brackets), eta=ETA
        )
    times = alternate(rounds, jobs)
    one = f"{times.ms('one')}, {mine.epochs_charged} epochs"
    study = f"{times.ms('study')}, {mine.epochs_charged} epochs"
    numbers = f"numpy {times.ms('numpy')}, {jobs['numpy']()} epochs"
    yield against(f"{name}: in a study", study, numbers, times.ratio("study", "numpy"))
    if installed("optuna"):
        fates = jobs["optuna"]()
        theirs = f"Optuna {times.ms('optuna')}, {sum(fates)} epochs"
        yield against(f"{name}: one run", one, theirs, times.ratio("one", "optuna"), 20)
        yield against(f"{name}: in a study", study, theirs, times.ratio("study", "optuna"), 100)
        if name == "halving":
            rule = bare.top_rule(ETA)
            exact, _ = bare.exact_asha(CURVES, order, MILESTONES, rule, workers=1)
            yield Row(f"{name}: Optuna and its rule", theirs=_differences(fates, exact))
    else:
        yield not_installed(f"{name}: one run", one, "optuna")
    if installed("syne-tune"):
        fates, _ = jobs["syne"]()
        theirs = f"Syne Tune {times.ms('syne', 0)}, {sum(fates)} epochs"
        yield against(f"{name}: one run", one, theirs, times.ratio("one", "syne"))
        yield against(f"{name}: in a study", study, theirs, times.ratio("study", "syne"))
    else:
        yield not_installed(f"{name}: one run", one, "syne-tune")


def asha_section(rounds: int, _: Path) -> Iterator[Row]:
    """ASHA (stopping) on four simulated workers, and whether its decisions are the exact ones."""
    workers, epochs = 4, [*MILESTONES, EPOCHS]
    table, cumulative = table_source(), CUMULATIVE.tolist()
    replay = Replay(table)
    jobs: dict[str, Callable[[], Any]] = {
        "one": lambda: search(Replay(table), asha, workers),
        "study": lambda: search(replay, asha, workers),
        "heap": lambda: bare.asha(VALUES, cumulative, ORDER, epochs, ETA, workers),
    }
    if installed("mfhpo-simulator"):
        import with_mfhpo

        jobs["mfhpo"] = lambda: with_mfhpo.asha(
            VALUES, cumulative, ORDER, epochs, workers=workers, eta=ETA
        )
    if installed("syne-tune"):
        import with_syne_tune

        every = with_syne_tune.blackbox(CURVES, range(1, EPOCHS + 1))
        rungs = with_syne_tune.blackbox(CURVES, epochs)
        jobs["each epoch"] = lambda: with_syne_tune.asha(
            every, ORDER, EPOCHS, workers=workers, eta=ETA
        )
        jobs["rungs only"] = lambda: with_syne_tune.asha(
            rungs, ORDER, EPOCHS, workers=workers, eta=ETA
        )
    times = alternate(rounds, jobs)
    mine = jobs["one"]()
    one = f"{times.ms('one')}, {mine.epochs_charged} epochs"
    study = f"{times.ms('study')}, {mine.epochs_charged} epochs"
    rule = bare.quantile_rule(ETA)
    others, late = 0, 0.0
    for order_seed in range(20):
        order = make_order(order_seed)
        exact, end = bare.exact_asha(CURVES, order, MILESTONES, rule, workers)
        episode = search(replay, asha, workers, order_seed)
        others += _count(episode.epochs.tolist(), exact)
        late = max(late, abs(episode.seconds / end - 1))
    yield Row(
        "ASHA, 4 workers: decisions in 20 orders",
        f"{others} of {20 * CANDIDATES} candidates trained otherwise, end {late:.1%} off at most",
        "exact events",
        goal="the same",
        reached=others == 0 and late < 1e-9,
    )
    exact, end = bare.exact_asha(CURVES, ORDER, MILESTONES, rule, workers)
    heap = f"bare heap {times.ms('heap')}, {jobs['heap']()} epochs"
    yield against("ASHA, 4 workers: in a study", study, heap, times.ratio("study", "heap"))
    if installed("mfhpo-simulator"):
        fates = jobs["mfhpo"]()
        theirs = f"mfhpo-simulator {times.ms('mfhpo')}, {sum(fates)} epochs"
        yield against("ASHA, 4 workers: one run", one, theirs, times.ratio("one", "mfhpo"), 5)
        yield against("ASHA, 4 workers: in a study", study, theirs, times.ratio("study", "mfhpo"))
        yield Row("ASHA, 4 workers: mfhpo-simulator's decisions", theirs=_differences(fates, exact))
    else:
        yield not_installed("ASHA, 4 workers: one run", one, "mfhpo-simulator")
    if not installed("syne-tune"):
        yield not_installed("ASHA, 4 workers: one run", one, "syne-tune")
        return
    rule = bare.rank_rule(ETA)
    exact, end = bare.exact_asha(CURVES, ORDER, MILESTONES, rule, workers)
    for reports, goal in (("each epoch", 190), ("rungs only", None)):
        trained, their_end = jobs[reports]()
        theirs = f"Syne Tune, {reports}: {times.ms(reports, 0)}, {sum(trained)} epochs"
        ratio = times.ratio("one", reports)
        yield against("ASHA, 4 workers: one run", one, theirs, ratio, goal)
        ratio = times.ratio("study", reports)
        yield against("ASHA, 4 workers: in a study", study, theirs, ratio)
        # It notices late that a run is to stop: what counts is the last rung that it decided at.
        fates = [max((epoch for epoch in epochs if epoch <= last), default=0) for last in trained]
        yield Row(
            "ASHA, 4 workers: Syne Tune's decisions",
            theirs=f"{reports}: {_differences(fates, exact)}, ends {their_end / end - 1:+.0%}",
        )


def _differences(fates: list[int], exact: list[int]) -> str:
    return f"{_count(fates, exact)} of {len(exact)} candidates trained otherwise"


def _count(fates: list[int], exact: list[int]) -> int:
    return sum(a != b for a, b in zip(fates, exact, strict=True))


def process_section(rounds: int, _: Path) -> Iterator[Row]:
    """A process that makes 500 halving runs, and one that makes a single one with Optuna."""
    jobs = {"ours": ["halving_runs", "500"]}
    if installed("optuna"):
        jobs["optuna"] = ["optuna_halving_run"]
    times, answers = alternate_processes(rounds, jobs)
    peak = middle(answers["ours"], "peak_MB")
    ours = f"500 runs: {times.ms('ours', 0)} (wall {middle(answers['ours'], 'wall_ms'):.0f})"
    if installed("optuna"):
        theirs = answers["optuna"]
        wall, megabytes = middle(theirs, "wall_ms"), middle(theirs, "peak_MB")
        text = f"Optuna, 1 run: {times.ms('optuna', 0)} (wall {wall:.0f}), {megabytes:.0f} MB"
        yield against("process: time", ours, text, times.ratio("ours", "optuna"), 1)
    else:
        yield not_installed("process: time", ours, "optuna")
    yield Row("process: peak memory", f"{peak:.0f} MB", goal="60 MB", reached=peak <= 60)


def import_section(rounds: int, _: Path) -> Iterator[Row]:
    """What ``import nassim`` and its parts cost, and which heavy packages they load."""
    statements = {
        "nassim": "import nassim",
        "the simulator": "import ours",
        "the store": "import nassim.store",
        "a study": "import nassim.studies.termination",
    }
    reference = "import numpy, pyarrow.parquet"
    jobs = {name: ["imports", statement] for name, statement in statements.items()}
    times, answers = alternate_processes(rounds, jobs | {"theirs": ["imports", reference]})
    theirs = f"{reference}: {times.ms('theirs', 0)}, {middle(answers['theirs'], 'peak_MB'):.0f} MB"
    for name in statements:
        ratio = times.ratio(name, "theirs")
        heavy = ", ".join(answers[name][0]["heavy"])
        yield Row(
            f"import: {name}",
            f"{times.ms(name, 0)}, {middle(answers[name], 'peak_MB'):.0f} MB"
            + (f", loads {heavy}" if heavy else ""),
            theirs,
            ratio,
            "1/1.5 times, nothing heavy",
            ratio >= 1 / 1.5 and not heavy,
        )


def lookup_section(rounds: int, path: Path) -> Iterator[Row]:
    """One value of an architecture after an epoch: look-ups a second."""
    import pandas as pd

    lookup = Store.open(path).lookup("valid_accuracy", "cifar10")
    values, rng = lookup.values, np.random.default_rng(0)
    rows, epochs = rng.integers(len(values), size=20_000), rng.integers(1, 201, size=20_000)
    names = lookup.architectures[rows].tolist()
    row_of = {name: row for row, name in enumerate(lookup.architectures.tolist())}
    frame = pd.DataFrame(values, index=lookup.architectures, columns=range(1, 201))
    pairs = list(zip(names, epochs.tolist(), strict=True))
    parts = cycle([pairs[start : start + 1000] for start in range(0, len(pairs), 1000)])

    def single() -> None:
        for name, epoch in next(parts):
            lookup(name, epoch)

    def pandas_at() -> None:
        for name, epoch in next(parts):
            frame.at[name, epoch]

    jobs: dict[str, Callable[[], object]] = {
        "single": single,
        "pandas": pandas_at,
        "many": lambda: lookup.many(names, epochs),
        "numpy, names": lambda: values[[row_of[name] for name in names], epochs - 1],
        "at": lambda: lookup.at(rows, epochs),
        "numpy": lambda: values[rows, epochs - 1],
    }
    counts = dict.fromkeys(jobs, len(pairs)) | {"single": 1000, "pandas": 1000}
    if installed("syne-tune"):
        import with_syne_tune

        table, objectives = with_syne_tune.large_arrays()
        box = with_syne_tune.large_blackbox(table, objectives)
        configurations = table.iloc[rows[:50]].to_dict("records")
        counts["syne"] = len(configurations)

        def syne_tune() -> None:
            for configuration in configurations:
                box.objective_function(configuration, fidelity={"epoch": 3}, seed=0)

        jobs["syne"] = syne_tune
    times = alternate(rounds, jobs)
    speed = {name: counts[name] / median(times.rounds[name]) for name in jobs}
    best = {name: counts[name] / min(times.rounds[name]) for name in jobs}
    text = {name: f"{speed[name]:,.0f} a second (at best {best[name]:,.0f})" for name in jobs}

    def row(question: str, ours: str, theirs: str, title: str, goal: float | None) -> Row:
        return Row(
            f"look-up by name, {question}",
            text[ours],
            f"{title} {text[theirs]}",
            speed[ours] / speed[theirs],
            f"{goal:,.0f} a second" if goal else "",
            speed[ours] >= goal if goal else None,
        )

    yield row("single", "single", "pandas", "pandas .at", 1.5e6)
    if installed("syne-tune"):
        yield row("single", "single", "syne", "Syne Tune", None)
    else:
        yield not_installed("look-up by name, single", text["single"], "syne-tune")
    yield row("batched", "many", "numpy, names", "numpy and a dict", 5e6)
    ratio = times.ratio("at", "numpy")
    yield against("look-up by index, batched", text["at"], f"numpy {text['numpy']}", ratio, 0.5)


def store_section(rounds: int, path: Path) -> Iterator[Row]:
    """A store of the size of NAS-Bench-201: 46,875 runs x 200 epochs."""
    jobs = {job: [job, str(path)] for job in ("store_opened", "store_curves", "store_curve")}
    if installed("syne-tune"):
        jobs["syne_tune_curves"] = ["syne_tune_curves"]
    _, answers = alternate_processes(rounds, jobs)
    found = {(job, field): middle(answers[job], field) for job in jobs for field in answers[job][0]}
    size = sum(file.stat().st_size for file in path.iterdir()) / 1e6
    yield Row("store: on disk", f"{size:.1f} MB", goal="18.8 MB", reached=size <= 18.85)
    ms, mb = found["store_opened", "first_ms"], found["store_opened", "MB"]
    yield Row(
        "store: open",
        f"first {ms:.2f} ms, {mb:.1f} MB; again {found['store_opened', 'ms']:.2f} ms",
        goal="5 ms, 5 MB",
        reached=ms <= 5 and mb <= 5,
    )
    ms, mb = found["store_curves", "ms"], found["store_curves", "MB"]
    array = found["store_curves", "array_MB"]
    theirs, ratio = "syne-tune: not installed", None
    if installed("syne-tune"):
        their_ms, their_mb = found["syne_tune_curves", "ms"], found["syne_tune_curves", "MB"]
        theirs, ratio = (
            f"Syne Tune, from memory {their_ms:.0f} ms, {their_mb:.0f} MB",
            their_ms / ms,
        )
    yield Row(
        "store: all curves in one array",
        f"{ms:.0f} ms (first {found['store_curves', 'first_ms']:.0f}), {mb / array:.2f} arrays",
        theirs,
        ratio,
        "120 ms, 2.5 arrays",
        ms <= 120 and mb <= 2.5 * array,
    )
    ms = found["store_curve", "ms"]
    yield Row(
        "store: one curve alone",
        f"{ms:.2f} ms (first {found['store_curve', 'first_ms']:.1f})",
        goal="3 ms",
        reached=ms <= 3,
    )


SECTIONS: dict[str, Callable[[int, Path], Iterator[Row]]] = {
    "halving": halving_section,
    "hyperband": hyperband_section,
    "asha": asha_section,
    "process": process_section,
    "import": import_section,
    "lookup": lookup_section,
    "store": store_section,
}


def machine() -> str:
    """What the numbers depend on."""
    versions = (
        f"{name} {version(name)}" if installed(name) else f"{name} not installed"
        for name in PACKAGES
    )
    return (
        f"Python {platform.python_version()}, numpy {np.__version__}, {', '.join(versions)}; "
        f"{os.cpu_count()} cores"
    )


def load() -> str:
    return ", ".join(f"{number:.1f}" for number in os.getloadavg())


def line(*cells: str) -> str:
    return "| " + " | ".join(cells) + " |"


def as_line(row: Row) -> str:
    ratio = "" if row.ratio is None else f"{row.ratio:.3g}"
    reached = "" if row.reached is None else ("yes" if row.reached else "NO")
    return line(row.question, row.ours, row.theirs, ratio, row.goal, reached)


def main() -> None:
    parser = argparse.ArgumentParser(
        description="How fast is nassim, side by side with other packages in one run?"
    )
    parser.add_argument("sections", nargs="*", metavar="SECTION", help=", ".join(SECTIONS))
    parser.add_argument("--rounds", type=int, default=7, help="alternating rounds (default: 7)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the rows there, too")
    parser.add_argument(
        "--store", type=Path, metavar="FOLDER", help="keep the large store there for the next time"
    )
    options = parser.parse_args()
    sections = options.sections or list(SECTIONS)
    if unknown := set(sections) - set(SECTIONS):
        parser.error(f"there is no section {min(unknown)!r}; known: {', '.join(SECTIONS)}")
    rows: list[Row] = []
    before = load()
    print(f"{machine()}; load average {before}\n")
    print(line("question", "ours", "theirs", "ratio", "goal", "reached"))
    print(line(*["---"] * 6), flush=True)
    with contextlib.ExitStack() as stack:
        path = options.store
        if path is None:
            path = Path(stack.enter_context(tempfile.TemporaryDirectory())) / "large"
        if {"lookup", "store"} & set(sections) and not path.exists():
            write_large_store(path)
        for section in sections:
            for row in SECTIONS[section](options.rounds, path):
                rows.append(row)
                print(as_line(row), flush=True)
    print(f"\nload average at the end {load()}")
    if options.json:
        report = {"machine": machine(), "load_before": before, "load_after": load()}
        rows_as_json = [asdict(row) for row in rows]
        options.json.write_text(json.dumps(report | {"rows": rows_as_json}, indent=1) + "\n")


if __name__ == "__main__":
    main()
