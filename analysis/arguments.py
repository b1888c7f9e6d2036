"""What the scripts that run a study share: their arguments, and where results and figures lie."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa

import nassim
from nassim.datasets import ImageData, load_dataset
from nassim.errors import InputError
from nassim.reports.oneshot import RankTable, rank_table
from nassim.store import Store, find_store
from nassim.studies.folds import FoldPlan
from nassim.studies.oneshot import RANK_SCHEMA, RankPlan, run_rank
from nassim.studies.results import read_table, write_table
from nassim.studies.termination import TerminationPlan
from nassim.studies.truth import Truth, load_truth

HERE = Path(__file__).parent


def study_parser(
    description: str | None, *, name: str, methods: str | None
) -> argparse.ArgumentParser:
    """Arguments of every study; ``methods`` and ``name`` (of results and figure) are defaults."""
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--store", help="run the study on it")
    parser.add_argument("--methods", default=methods, help="specifications, separated by commas")
    parser.add_argument("--targets", help="some of the datasets, separated by commas")
    parser.add_argument("--model-seeds", type=int, default=TerminationPlan.model_seeds)
    parser.add_argument("--pool", default=FoldPlan.pool)
    parser.add_argument("--leave-out", default=FoldPlan.leave_out, help="dataset or group")
    parser.add_argument("--source-datasets", type=int, help="draw so many sources of each target")
    parser.add_argument("--size", type=int, help="draw so many candidates of each target")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--name", default=name, help="of the results and the figure")
    return parser


def numbers(text: str) -> tuple[int, ...]:
    """``0,1,2`` as numbers."""
    return tuple(int(number) for number in text.split(","))


def store_name(options: argparse.Namespace) -> str | None:
    """What the named store calls itself, if one is named."""
    return None if options.store is None else Store.open(find_store(options.store)).name


def folds_of(options: argparse.Namespace, **cut: Any) -> FoldPlan:
    """The folds that the arguments name; ``cut`` are further options of the plan."""
    store = Store.open(find_store(options.store))
    cut = {"source_datasets": options.source_datasets} | cut
    return FoldPlan(
        str(store.path),
        store.sha,
        pool=options.pool,
        leave_out=options.leave_out,
        size=options.size,
        pool_seed=options.seed,
        **cut,
    )


def how(options: argparse.Namespace) -> dict[str, Any]:
    """Targets, workers and progress, as every ``run_...`` of a study takes them."""
    return {
        "targets": options.targets.split(",") if getattr(options, "targets", None) else None,
        "workers": options.workers,
        "progress": lambda done, total, what: print(f"{done}/{total} {what}", file=sys.stderr),
    }


def rank_parser(description: str | None, *, name: str, methods: str) -> argparse.ArgumentParser:
    """Arguments of a study of one-shot methods; ``methods`` and ``name`` are defaults."""
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--store", help="run the study on it")
    parser.add_argument("--space", default="nasbench201_3nodes")
    said = "of the store, separated by commas; as in mnist/RECIPE where it has several recipes"
    parser.add_argument("--datasets", default="mnist", help=said)
    parser.add_argument("--methods", default=methods, help="specifications, separated by commas")
    parser.add_argument("--seeds", type=int, default=RankPlan.seeds, help="trainings of each")
    parser.add_argument("--draws", type=int, default=RankPlan.draws, help="of the bootstrap")
    parser.add_argument("--sample", type=int, default=RankPlan.sample, help="functions at most")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--name", default=name, help="of the results and the figure")
    return parser


def rank_tables(options: argparse.Namespace, **plan: Any) -> list[RankTable]:
    """The ranking report of each dataset: run and written with ``--store``, else read.

    ``plan`` are further options of the plan. Empty where nothing was written yet.
    """
    results = results_path(options)
    if options.store is not None:
        common = {name: getattr(options, name) for name in ("seeds", "draws", "sample", "seed")}
        reports = []
        for truth in truths(options):
            study = run_rank(
                RankPlan(options.methods, **common, **plan),
                truth,
                workers=options.workers,
                progress=how(options)["progress"],
            )
            reports.append(study.report)
        print(f"wrote {write_table(pa.concat_tables(reports), results)}")
    elif not is_there(results):
        return []
    report = read_table(results, RANK_SCHEMA)
    rows: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for row in report.to_pylist():
        rows.setdefault((row["dataset"], row["recipe"]), []).append(row)
    return [rank_table(pa.Table.from_pylist(some, RANK_SCHEMA)) for some in rows.values()]


def truths(options: argparse.Namespace) -> Iterator[Truth]:
    """The ground truth of each dataset that was named, as DATASET or DATASET/RECIPE."""
    store = Store.open(find_store(options.store))
    for named in options.datasets.split(","):
        dataset, _, recipe = named.partition("/")
        yield load_truth(store, options.space, dataset, recipe or None)


def one_truth(options: argparse.Namespace) -> tuple[Truth, ImageData]:
    """The ground truth of the one dataset that was named, and its images.

    Raises
    ------
    InputError
        if several are named, or it has no images.
    """
    if "," in options.datasets:
        raise InputError(f"--datasets is {options.datasets!r}; expected one dataset.")
    (truth,) = truths(options)
    images = load_dataset(truth.dataset.name)
    if not isinstance(images, ImageData):
        raise InputError(f"{truth.dataset.name} has no images; expected a dataset of images.")
    return truth, images


def truth_stamp(truth: Truth, seed: int) -> dict[str, Any]:
    """What stands in each row of a study of one ground truth."""
    return {
        "store": truth.store,
        "store_sha": truth.store_sha,
        "space": truth.space,
        "dataset": truth.dataset.name,
        "seed": seed,
        "nassim_version": nassim.__version__,
    }


class Pick(NamedTuple):
    """What one search of a one-shot method chose; ``costs`` are by their names in the report."""

    method: str
    search: int
    architecture: str
    costs: dict[str, float]


def picks(report: pa.Table) -> Iterator[Pick]:
    """The pick of each one-shot method in each search, from a ranking report."""
    rows = report.to_pylist()
    for row in rows:
        if row["kind"] == "one-shot" and row["metric"] == "pick_percentile":
            costs = {
                other["metric"]: other["value"]
                for other in rows
                if (other["method"], other["scope"]) == (row["method"], "run")
            }
            search = int(row["scope"].removeprefix("run "))
            yield Pick(row["method"], search, row["note"], costs)


def results_path(options: argparse.Namespace) -> Path:
    return HERE / "results" / f"{options.name}.parquet"


def figure_path(options: argparse.Namespace) -> Path:
    return HERE.parent / "docs" / "figures" / f"{options.name}.png"


def results_of(options: argparse.Namespace, store: str) -> Path:
    """Where a study keeps what it found on one store: results/STORE/NAME.parquet."""
    return HERE / "results" / store / f"{options.name}.parquet"


def written(options: argparse.Namespace, store: str | None) -> Iterator[Path]:
    """The results on one store, or on all stores that have any, each under a heading; says how to
    make them if there are none."""
    if store is not None:
        found = [results_of(options, store)]
    else:
        found = sorted((HERE / "results").glob(f"*/{options.name}.parquet"))
    for path in found:
        print(f"== {path.parent.name}\n")
        yield path
    if not found:
        path = HERE / "results" / "STORE" / f"{options.name}.parquet"
        print(f"{path} is not there yet; make it with --store, as in --store images")


def figure_of(results: Path) -> Path:
    """The figure beside which results are drawn: docs/figures/STORE/NAME.png."""
    return HERE.parent / "docs" / "figures" / results.parent.name / f"{results.stem}.png"


def is_there(path: Path) -> bool:
    """Whether results were written before; says how to make them if not."""
    if not path.exists():
        print(f"{path} is not there yet; make it with --store, as in --store images")
    return path.exists()
