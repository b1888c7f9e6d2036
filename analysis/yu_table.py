"""The table of Yu et al. on a space with a ground truth: what do searches find, and at what price?

    python analysis/yu_table.py --store cells

searches so many times with each method: with weight sharing by ``nassim rank``, without by
``nassim search`` with the same number of full trainings each. It writes the searches to
analysis/results/yu_table.parquet and prints, as Markdown, the mean and the best test accuracy of
what each method picks, the rank of the best pick, and the chance that it beats the best of as many
random architectures; beside it what the paper printed. Without ``--store`` it reads what was
written.

Yu et al., "Evaluating the Search Phase of Neural Architecture Search", ICLR 2020.
"""

from __future__ import annotations

import argparse
import sys
from typing import Any

import numpy as np
import pyarrow as pa
from arguments import is_there, picks, results_path, truth_stamp

from nassim.ranking.scores import chance_of_rank, true_ranks
from nassim.ranking.seeds import counts, means
from nassim.records import FloatArray, IntArray
from nassim.reports.text import decimals, duration
from nassim.store import Store, find_store
from nassim.studies.folds import FoldPlan
from nassim.studies.oneshot import RankPlan, run_rank
from nassim.studies.results import read_table, to_table, write_table
from nassim.studies.search import SearchPlan, run_search
from nassim.studies.truth import Truth, load_truth

SCHEMA = pa.schema(
    [
        ("store", pa.string()),
        ("store_sha", pa.string()),
        ("space", pa.string()),
        ("dataset", pa.string()),
        ("seed", pa.int64()),
        ("nassim_version", pa.string()),
        ("n", pa.int32()),  # functions, which picks are ranked among
        ("space_mean", pa.float64()),  # test accuracy, over functions
        ("space_deviation", pa.float64()),
        ("space_best", pa.float64()),
        ("method", pa.string()),
        ("sharing", pa.bool_()),  # whether weights are shared
        ("search", pa.int32()),
        ("architecture", pa.string()),  # the pick
        ("accuracy", pa.float64()),  # its test accuracy, mean over trainings
        ("rank", pa.float64()),  # from 1, of equal ones their mean
        ("percentile", pa.float64()),  # the share of functions that are worse, in percent
        ("evaluations", pa.int32()),  # full trainings that the search saw; 0 with sharing
        ("trainings", pa.float64()),  # that would see as many images as the search trained on
        ("seconds", pa.float64()),  # of the search; without sharing, on the store's clock
        ("clock", pa.string()),  # store, or here
    ]
)
# Theirs, not ours: NAS-Bench-101, 7 nodes, CIFAR-10, 10 searches; test accuracy in percent.
PUBLISHED = """\
| Yu et al., 10 searches on NAS-Bench-101 | mean | best | best rank of 423,624 | p(> random) |
|---|---|---|---|---|
| DARTS, weight sharing | 92.21 ± 0.61 | 93.02 | 57,079 | 0.24 |
| NAO, weight sharing | 92.59 ± 0.59 | 93.33 | 19,552 | 0.62 |
| ENAS, weight sharing | 91.83 ± 0.42 | 92.54 | 96,939 | 0.07 |
| NAO, none | 93.08 ± 0.71 | 94.22 | 3,543 | 0.92 |
| ENAS, none | 93.54 ± 0.45 | 94.22 | 4,610 | 0.90 |
| all architectures | 90.93 ± 5.84 | 95.06 | | |"""


def main() -> None:
    options = _parser().parse_args()
    results = results_path(options)
    if options.store is not None:
        rows = study(options)
        print(f"wrote {write_table(to_table(rows, SCHEMA), results)}\n")
    elif not is_there(results):
        return
    print(markdown(read_table(results, SCHEMA).to_pylist()))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--store", help="run the study on it")
    parser.add_argument("--space", default="nasbench201_3nodes", help="that is searched")
    parser.add_argument("--dataset", default="mnist", help="that is searched on")
    parser.add_argument("--recipe", help="of the full trainings, where the store has several")
    parser.add_argument(
        "--sharing",
        default="darts,nao,enas,spos",
        help="one-shot methods, separated by commas (spos: random search with shared weights)",
    )
    parser.add_argument(
        "--alone",
        default="nao,reinforce,random",
        help="optimizers without sharing, separated by commas (reinforce: ENAS without sharing)",
    )
    parser.add_argument("--searches", type=int, default=5, help="of each method (the paper: 10)")
    parser.add_argument(
        "--evaluations", type=int, default=20, help="full trainings of a search without sharing"
    )
    parser.add_argument("--seed", type=int, default=0, help="of all chance")
    parser.add_argument("--workers", type=int, default=1, help="processes")
    parser.add_argument("--name", default="yu_table", help="of the results")
    return parser


def study(options: argparse.Namespace) -> list[dict[str, Any]]:
    """A row for each search, those with weight sharing first."""
    store = Store.open(find_store(options.store))
    truth = load_truth(store, options.space, options.dataset, options.recipe)
    one_each = truth.representatives(counts(truth.test) > 0)
    values = means(truth.test)[one_each]
    stamp = truth_stamp(truth, options.seed) | {
        "n": len(values),
        "space_mean": float(values.mean()),
        "space_deviation": float(values.std(ddof=1)),
        "space_best": float(values.max()),
    }
    alone = _alone(options, store, truth)  # first, for it takes no time: what is wrong shows now
    return [
        stamp | row | _found(row["architecture"], truth, one_each, values)
        for row in (*_with_sharing(options, truth), *alone)
    ]


def _found(text: str, truth: Truth, one_each: IntArray, values: FloatArray) -> dict[str, float]:
    """How good a pick is, which counts as the architecture that stands for its function."""
    row = next(k for k, one in enumerate(truth.architectures) if one.id == text)
    place = int(np.flatnonzero(truth.classes[one_each] == truth.classes[row])[0])
    return {
        "accuracy": float(values[place]),
        "rank": float(true_ranks(values)[place]),
        "percentile": 100 * float((values < values[place]).mean()),
    }


def _with_sharing(options: argparse.Namespace, truth: Truth) -> list[dict[str, Any]]:
    if not options.sharing:
        return []
    plan = RankPlan(
        options.sharing,
        seeds=options.searches,
        sample=len(truth.architectures),
        draws=1,  # of intervals, none of which is read here
        checkpoints=False,
        seed=options.seed,
    )
    report = run_rank(plan, truth, **_how(options)).report
    one_training = truth.settings["epochs"] * truth.images_per_epoch
    return [
        {
            "method": pick.method,
            "sharing": True,
            "search": pick.search,
            "architecture": pick.architecture,
            "evaluations": 0,
            "trainings": pick.costs["images"] / one_training,
            "seconds": pick.costs["train_seconds"] + pick.costs["score_seconds"],
            "clock": "here",
        }
        for pick in picks(report)
    ]


def _alone(options: argparse.Namespace, store: Store, truth: Truth) -> list[dict[str, Any]]:
    if not options.alone:
        return []
    folds = FoldPlan(
        str(store.path),
        store.sha,
        pool="all",
        space=truth.space,
        recipe=truth.recipe,
        quality="final",
    )
    plan = SearchPlan(
        options.alone,
        budget=options.evaluations,
        orders=options.searches,
        model_seeds=1,
        seed=options.seed,
    )
    found = run_search(plan, folds, [truth.dataset.name], **_how(options)).results.to_pylist()
    return [
        {
            "method": row["method"],
            "sharing": False,
            "search": row["order_seed"],
            "architecture": row["pick"],
            "evaluations": row["evaluations"],
            "trainings": float(row["evaluations"]),
            "seconds": row["simulated_seconds"],
            "clock": "store",
        }
        for row in found
    ]


def _how(options: argparse.Namespace) -> dict[str, Any]:
    return {
        "workers": options.workers,
        "progress": lambda done, total, what: print(f"{done}/{total} {what}", file=sys.stderr),
    }


def markdown(rows: list[dict[str, Any]]) -> str:
    """The table, what it means, and the published one."""
    first = rows[0]
    searches = 1 + max(row["search"] for row in rows)
    lines = [
        f"| {searches} searches on {first['space']}, {first['dataset']} | "
        f"sharing | mean | best | best rank of {first['n']} | p(> random) | percentiles | "
        "full trainings | as many images as trainings | time |",
        "|---" * 10 + "|",
    ]
    for method, sharing in dict.fromkeys((row["method"], row["sharing"]) for row in rows):
        of = [row for row in rows if (row["method"], row["sharing"]) == (method, sharing)]
        accuracy = np.array([row["accuracy"] for row in of])
        best = min(row["rank"] for row in of)
        spread = accuracy.std(ddof=1) if len(of) > 1 else np.nan
        cells = [
            method,
            "yes" if sharing else "no",
            f"{_percent(accuracy.mean())} ± {_percent(spread)}",
            _percent(accuracy.max()),
            f"{best:g}",
            decimals(chance_of_rank(best, first["n"], len(of))),
            " ".join(f"{row['percentile']:.0f}" for row in of),
            f"{np.mean([row['evaluations'] for row in of]):g}",
            f"{np.mean([row['trainings'] for row in of]):.1f}",
            duration(float(np.mean([row["seconds"] for row in of]))),
        ]
        lines.append(f"| {' | '.join(cells)} |")
    mean, deviation = (_percent(first[f"space_{name}"]) for name in ("mean", "deviation"))
    lines.append(
        f"| all {first['n']} functions | | {mean} ± {deviation} | {_percent(first['space_best'])} "
        "| | | | | | |"
    )
    limit = chance_of_rank(1, first["n"], searches)
    lines += [
        "",
        "Test accuracy of the picks in percent, mean over the stored trainings, ± the deviation "
        f"between searches. p(> random): (1 - best rank / {first['n']})^searches, which takes the "
        "best of all searches and so rewards luck: the percentiles are of each search. Whoever "
        f"finds the best has {decimals(limit)}, not 1.",
        *_prices(rows),
        "",
        PUBLISHED,
        "",
        "The paper's table, test accuracy in percent; theirs, on another space and another scale.",
    ]
    return "\n".join(lines)


def _prices(rows: list[dict[str, Any]]) -> list[str]:
    """What a search costs."""
    alone = [row for row in rows if not row["sharing"]]
    lines = []
    if alone:
        evaluations = np.mean([row["evaluations"] for row in alone])
        hours = np.mean([row["seconds"] for row in alone]) / 3600
        lines.append(
            f"A search without sharing is {evaluations:g} full trainings, {hours:.2g} hours on the "
            "store's clock; it knows validation accuracies alone."
        )
    if len(alone) < len(rows):
        lines.append(
            "A search with sharing is one supernet; its time is that of training and scoring all "
            "architectures, on this machine. Images that are scored are not among those of "
            "trainings."
        )
    return lines


def _percent(share: float) -> str:
    return decimals(100 * share)


if __name__ == "__main__":
    main()
