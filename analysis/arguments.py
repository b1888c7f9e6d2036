"""What the scripts that run a study share: their arguments, and where results and figures lie."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from nassim.store import Store, find_store
from nassim.studies.folds import FoldPlan
from nassim.studies.termination import TerminationPlan

HERE = Path(__file__).parent


def study_parser(description: str | None, *, name: str, methods: str) -> argparse.ArgumentParser:
    """Arguments of every study; ``methods`` and ``name`` (of results and figure) are defaults."""
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--store", help="run the study on it")
    parser.add_argument("--methods", default=methods, help="specifications, separated by commas")
    parser.add_argument("--targets", help="some of the datasets, separated by commas")
    parser.add_argument("--model-seeds", type=int, default=TerminationPlan.model_seeds)
    parser.add_argument("--pool", default=FoldPlan.pool)
    parser.add_argument("--size", type=int, help="draw so many candidates of each target")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--name", default=name, help="of the results and the figure")
    return parser


def numbers(text: str) -> tuple[int, ...]:
    """``0,1,2`` as numbers."""
    return tuple(int(number) for number in text.split(","))


def folds_of(options: argparse.Namespace, **cut: Any) -> FoldPlan:
    """The folds that the arguments name; ``cut`` are further options of the plan."""
    store = Store.open(find_store(options.store))
    return FoldPlan(
        str(store.path),
        store.sha,
        pool=options.pool,
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


def is_there(path: Path) -> bool:
    """Whether results were written before; says how to make them if not."""
    if not path.exists():
        print(f"{path} is not there yet; make it with --store, as in --store images")
    return path.exists()
