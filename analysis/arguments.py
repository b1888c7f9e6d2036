"""What the scripts that run a study share: their arguments, and where results and figures lie."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from nassim.store import Store, find_store
from nassim.studies.folds import FoldPlan
from nassim.studies.termination import TerminationPlan

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
        "targets": options.targets.split(",") if options.targets else None,
        "workers": options.workers,
        "progress": lambda done, total, what: print(f"{done}/{total} {what}", file=sys.stderr),
    }


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
