"""What has a search found after so many seconds? All kinds of methods on one time axis.

    python analysis/time_axis.py --store cells --dataset mnist --recipe cells201-035ab558

runs searches that train candidates fully, that end trainings early, that learn from the store's
other datasets, and one-shot methods, and says of each what its pick is worth and what it took: the
search alone, and from end to end, with the methods' own computing and the full training of the pick
where the search did not train it (Lindauer & Hutter 2020 ask for the latter). It writes
analysis/results/time_axis.parquet, prints a table, in which random search has the same time, and
draws docs/figures/time_axis.png. Without ``--store`` it reads what was written.

Seconds of full trainings are the store's, those of supernets and of methods are of this machine:
compare them on machines of one kind.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
from arguments import figure_path, how, is_there, picks, results_path, truth_stamp

from nassim.ranking.intervals import bootstrap_interval
from nassim.ranking.seeds import means
from nassim.reports.drawing import (
    label,
    looks,
    new_figure,
    place_labels,
    regret_axis,
    save_figure,
    styled,
)
from nassim.reports.text import aligned, decimals, duration, wrapped
from nassim.store import Store, find_store
from nassim.studies.folds import FoldPlan
from nassim.studies.oneshot import RankPlan, run_rank
from nassim.studies.results import read_table, to_table, write_table
from nassim.studies.search import SearchPlan, run_search
from nassim.studies.truth import Truth, load_truth

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SCHEMA = pa.schema(
    [
        ("store", pa.string()),
        ("store_sha", pa.string()),
        ("space", pa.string()),
        ("dataset", pa.string()),
        ("recipe", pa.string()),
        ("seed", pa.int64()),
        ("nassim_version", pa.string()),
        ("kind", pa.string()),  # full trainings | early termination | transfer | one-shot
        ("method", pa.string()),
        ("search", pa.int32()),
        ("pick", pa.string()),
        ("test_regret_pp", pa.float64()),  # of the pick, means over trainings
        ("search_seconds", pa.float64()),  # of training; the store's, or a supernet's
        ("own_seconds", pa.float64()),  # of a method's other computing, fits included
        ("final_seconds", pa.float64()),  # of the pick's full training, if it is still to come
        # a search of full trainings after each of them
        ("after_seconds", pa.list_(pa.float64())),
        ("after_regret_pp", pa.list_(pa.float64())),
    ]
)
ALONE = "random,evolution,average_rank,nao"
STOPPED = "asha,median"
SHARING = "spos,fairnas,enas,gdas,darts,pcdarts"
KINDS = ("full trainings", "early termination", "transfer", "one-shot")
LEVEL = 95


def main() -> None:
    options = _parser().parse_args()
    results = results_path(options)
    if options.store is not None:
        print(f"wrote {write_table(to_table(study(options), SCHEMA), results)}\n")
    elif not is_there(results):
        return
    rows = read_table(results, SCHEMA).to_pylist()
    print(to_text(rows))
    print(f"\nwrote {save_figure(figure(rows), figure_path(options))}")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--store", help="run the study on it")
    parser.add_argument("--space", default="nasbench201_3nodes", help="that is searched")
    parser.add_argument("--dataset", default="mnist", help="that is searched on")
    parser.add_argument("--recipe", help="of the full trainings, where the store has several")
    parser.add_argument("--alone", default=ALONE, help="optimizers, separated by commas")
    parser.add_argument(
        "--stopped", default=STOPPED, help="terminators of random search, separated by commas"
    )
    parser.add_argument("--sharing", default=SHARING, help="one-shot methods, separated by commas")
    parser.add_argument("--evaluations", type=int, default=33, help="candidates of a search")
    parser.add_argument("--orders", type=int, default=20, help="searches that replay trainings")
    parser.add_argument("--searches", type=int, default=5, help="of each one-shot method")
    parser.add_argument("--seed", type=int, default=0, help="of all chance")
    parser.add_argument("--workers", type=int, default=1, help="processes")
    parser.add_argument("--name", default="time_axis", help="of the results and the figure")
    return parser


# -- the searches --------------------------------------------------------------------------------


def study(options: argparse.Namespace) -> list[dict[str, Any]]:
    """A row for each search."""
    store = Store.open(find_store(options.store))
    truth = load_truth(store, options.space, options.dataset, options.recipe)
    stamp = truth_stamp(truth, options.seed) | {"recipe": truth.recipe}
    rows = [*_replayed(options, store, truth), *_supernets(options, store, truth)]
    return [stamp | row for row in rows]


def _replayed(options: argparse.Namespace, store: Store, truth: Truth) -> Iterator[dict[str, Any]]:
    """Searches that train candidates, replayed."""
    folds = FoldPlan(str(store.path), store.sha, pool="all", space=truth.space, recipe=truth.recipe)
    for methods, terminators in ((options.alone, "never"), ("random", options.stopped)):
        if not methods or not terminators:
            continue
        plan = SearchPlan(
            methods,
            terminators,
            budget=options.evaluations,
            orders=options.orders,
            model_seeds=1,
            seed=options.seed,
        )
        found = run_search(plan, folds, **how(options) | {"targets": [truth.dataset.name]})
        seconds = {row["candidate"]: row["full_seconds"] for row in found.pool.to_pylist()}
        own = {
            row["method"]: row["fit_seconds"] + row["search_seconds"] / options.orders
            for row in found.timings.to_pylist()
        }
        for row in found.results.to_pylist():
            full = row["terminator"] == "never"
            after = np.cumsum([seconds[k] for k in row["proposed"]]) if full else np.zeros(0)
            kind = KINDS[2] if row["learns"] else KINDS[0] if full else KINDS[1]
            yield {
                "kind": kind,
                "method": row["method"],
                "search": row["order_seed"],
                "pick": row["pick"],
                "test_regret_pp": row["regret_test_pp"],
                "search_seconds": row["simulated_seconds"],
                "own_seconds": own[row["method"]],
                "final_seconds": 0.0,
                "after_seconds": after.tolist(),
                "after_regret_pp": row["test_regret_at_pp"][: len(after)] if full else [],
            }


def _supernets(options: argparse.Namespace, store: Store, truth: Truth) -> Iterator[dict[str, Any]]:
    """One-shot methods, each search a supernet of its own."""
    if not options.sharing:
        return
    plan = RankPlan(
        options.sharing,
        seeds=options.searches,
        sample=len(truth.architectures),
        draws=1,  # of intervals, none of which is read here
        checkpoints=False,
        seed=options.seed,
    )
    progress = how(options)["progress"]
    report = run_rank(plan, truth, workers=options.workers, progress=progress).report
    worth = dict(zip((each.id for each in truth.architectures), means(truth.test), strict=True))
    best = np.nanmax(list(worth.values()))
    taken = _full_seconds(store, truth)
    for pick in picks(report):
        yield {
            "kind": KINDS[3],
            "method": pick.method,
            "search": pick.search,
            "pick": pick.architecture,
            "test_regret_pp": 100 * float(best - worth[pick.architecture]),
            "search_seconds": pick.costs["train_seconds"] + pick.costs["score_seconds"],
            "own_seconds": 0.0,  # its computing is the search
            "final_seconds": taken[pick.architecture],
            "after_seconds": [],
            "after_regret_pp": [],
        }


def _full_seconds(store: Store, truth: Truth) -> dict[str, float]:
    """Recorded seconds of one full training of each architecture, mean over its trainings."""
    of = {"space": truth.space, "dataset": truth.dataset.name, "recipe": truth.recipe}
    names = store.index(**of).architecture.tolist()
    runs: dict[str, list[float]] = {}
    for name, seconds in zip(names, store.curves("epoch_seconds", **of), strict=True):
        runs.setdefault(name, []).append(float(np.nansum(seconds)))
    return {name: float(np.mean(values)) for name, values in runs.items()}


# -- the table -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Line:
    """One method: means over its searches, and what random search has in its whole time."""

    kind: str
    method: str
    search: float
    end_to_end: float
    regret: float
    low: float
    high: float
    random: float


def lines_of(rows: list[dict[str, Any]]) -> list[Line]:
    """By kind, and then by the time from end to end."""
    lines = []
    random = [row for row in rows if row["method"] == "random"]
    for method in dict.fromkeys(row["method"] for row in rows):
        of = [row for row in rows if row["method"] == method]
        regrets = np.array([row["test_regret_pp"] for row in of])
        search = float(np.mean([row["search_seconds"] for row in of]))
        added = float(np.mean([row["own_seconds"] + row["final_seconds"] for row in of]))
        low, high = bootstrap_interval([regrets])
        lines.append(
            Line(
                of[0]["kind"],
                method,
                search,
                search + added,
                float(regrets.mean()),
                low,
                high,
                regret_after(random, search + added),
            )
        )
    return sorted(lines, key=lambda line: (KINDS.index(line.kind), line.end_to_end))


def regret_after(searches: list[dict[str, Any]], seconds: float) -> float:
    """Mean regret of what such searches have picked after so many seconds; NaN before the first
    of them has finished a training, or where they were over."""
    found = []
    for row in searches:
        after = np.array(row["after_seconds"])
        if not len(after) or after[-1] < seconds:
            return float("nan")
        place = int(np.searchsorted(after, seconds, side="right")) - 1
        if place < 0:
            return float("nan")
        found.append(row["after_regret_pp"][place])
    return float(np.mean(found)) if found else float("nan")


def to_text(rows: list[dict[str, Any]]) -> str:
    first = rows[0]
    cells = [("", "method", "search", "end to end", "test regret pp", f"[{LEVEL}%]", "random", "n")]
    kind = None
    for line in lines_of(rows):
        cells.append(
            (
                line.kind if line.kind != kind else "",
                line.method,
                duration(line.search),
                duration(line.end_to_end),
                decimals(line.regret),
                f"[{decimals(line.low)}, {decimals(line.high)}]",
                decimals(line.random),
                str(sum(row["method"] == line.method for row in rows)),
            )
        )
        kind = line.kind
    notes = (
        f"{first['space']} on {first['dataset']} (store {first['store']}, sha "
        f"{first['store_sha'][:12]}, recipe {first['recipe']}).",
        "search: recorded seconds of the trainings that the search paid for; of one-shot methods, "
        "of the supernet's training and scoring, on the machine that made this table.",
        "end to end: and what a method computes beside (fits on other datasets included, those "
        "datasets' trainings not), and the full training of the pick, if it is still to come.",
        "test regret: 100 x (best mean test value of the store - that of the pick), mean over n "
        "searches and its bootstrap interval.",
        "random: that of random search after the same time from end to end; -: it was over, or had "
        "not begun.",
    )
    table = aligned(cells, left=2)
    return "\n".join([*table, "", *(line for note in notes for line in wrapped(note, 118))])


def figure(rows: list[dict[str, Any]]) -> Figure:
    """Regret against seconds: random search as a line, every method as a point with its tail from
    the search alone to the end."""
    lines = lines_of(rows)
    random = [row for row in rows if row["method"] == "random"]
    look = looks([line.method for line in lines])
    with styled():
        drawn, (axes,) = new_figure(8.4, 5.2)
        for line in lines:
            color, shared = look[line.method].color, line.kind == KINDS[3]
            axes.plot([line.search, line.end_to_end], [line.regret] * 2, color=color)
            axes.plot([line.end_to_end] * 2, [line.low, line.high], color=color, alpha=0.6)
            axes.plot(
                line.end_to_end,
                line.regret,
                marker="s" if shared else "o",
                color=color,
                markerfacecolor="white" if shared else color,
                markersize=7,
                zorder=4,
            )
        if random:
            ends = [row["after_seconds"] for row in random]
            seconds = np.geomspace(
                min(each[0] for each in ends), min(each[-1] for each in ends), 200
            )
            after = [regret_after(random, each) for each in seconds]
            axes.plot(seconds, after, color="0.4", linestyle="--", label="random search", zorder=1)
        axes.plot([], [], "s", color="0.4", markerfacecolor="white", label="one supernet")
        axes.plot([], [], "o", color="0.4", label="full trainings of candidates")
        _seconds_axis(axes, [line.search for line in lines], [line.end_to_end for line in lines])
        regret_axis(axes, 1.15 * max(line.high for line in lines), "test regret of the pick, pp")
        axes.legend(loc="upper right")
        points = [(line.end_to_end, line.regret) for line in lines]
        colors = [look[line.method].color for line in lines]
        place_labels(axes, points, [label(line.method) for line in lines], colors)
    return drawn


def _seconds_axis(axes: Axes, first: list[float], last: list[float]) -> None:
    from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

    low, high = min(first) / 1.5, max(last) * 1.5
    axes.set_xscale("log")
    axes.set_xlim(low, high)
    ticks = [step * 10.0**power for power in range(-2, 8) for step in (1, 2, 5)]
    axes.xaxis.set_major_locator(FixedLocator([tick for tick in ticks if low <= tick <= high]))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.set_xlabel("seconds from end to end; the line to the left ends at the search alone")


if __name__ == "__main__":
    main()
