"""The cost-regret front over many settings of each method: who is dominated?

    python analysis/front.py --store images

runs the early-termination study with the settings below, writes analysis/results/front.parquet,
prints every setting with its dominators and draws docs/figures/front.png. Without ``--store`` it
reads what was written. Settings of one estimator share its fit, so that a sweep of deltas costs
little more than one.
"""

from __future__ import annotations

import argparse
import itertools
import sys
from pathlib import Path

from nassim.reports import sweep_figure, sweep_table
from nassim.reports.drawing import save_figure
from nassim.store import Store, find_store
from nassim.studies.folds import FoldPlan
from nassim.studies.results import read_study
from nassim.studies.termination import TerminationPlan, run_termination

HERE = Path(__file__).parent
SCHEDULES = ("successive_halving", "asha")  # Hyperband tries all first rungs itself
ESTIMATORS = ("lcnet", "lcpfn", "lcranknet")
AT_ZERO = {"lcranknet"}  # those that know something before the first epoch
ETAS = (2, 3, 4, 6)
FIRST_RUNGS = (1, 2, 4)
DELTAS = (0.05, 0.1, 0.2, 0.3, 0.4, 0.45, 0.49)


def settings() -> str:
    """The specifications of the sweep."""
    methods = ["never", "median", "last_value", "last_value:statistic=best"]
    methods += [f"hyperband:eta={eta}" for eta in ETAS]
    for name, eta, epochs in itertools.product(SCHEDULES, ETAS, FIRST_RUNGS):
        methods.append(f"{name}:eta={eta}:min_epochs={epochs}")
    for name, delta in itertools.product(ESTIMATORS, DELTAS):
        methods.append(f"{name}:delta={delta}")
        if name in AT_ZERO:
            methods.append(f"{name}:delta={delta}:at_zero=true")
    return ",".join(methods)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--store", help="run the study on it")
    parser.add_argument("--methods", default=settings(), help="other settings than those above")
    parser.add_argument("--targets", help="some of the datasets, separated by commas")
    parser.add_argument("--orders", type=int, default=TerminationPlan.orders)
    parser.add_argument("--model-seeds", type=int, default=TerminationPlan.model_seeds)
    parser.add_argument("--pool", default=FoldPlan.pool)
    parser.add_argument("--size", type=int, help="draw so many candidates of each target")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--name", default="front", help="of the results and the figure")
    options = parser.parse_args()
    results = HERE / "results" / f"{options.name}.parquet"
    if options.store is not None:
        store = Store.open(find_store(options.store))
        study = run_termination(
            TerminationPlan(options.methods, options.orders, options.model_seeds, options.seed),
            FoldPlan(str(store.path), store.sha, pool=options.pool, size=options.size),
            options.targets.split(",") if options.targets else None,
            workers=options.workers,
            progress=lambda done, total, what: print(f"{done}/{total} {what}", file=sys.stderr),
        )
        for path in study.write(results):
            print(f"wrote {path}")
    elif not results.exists():
        print(f"{results} is not there yet; make it with --store, as in --store images")
        return
    sweep = sweep_table(read_study(results).results)
    print(sweep.to_text())
    figure = HERE.parent / "docs" / "figures" / f"{options.name}.png"
    print(f"wrote {save_figure(sweep_figure(sweep), figure)}")


if __name__ == "__main__":
    main()
