"""Is p(better than the incumbent) what it says?

    python analysis/calibration.py --store images --methods last_value,lcranknet

replays the searches of the early-termination study, writes every decision to
analysis/results/calibration.parquet, prints Brier scores and reliability and draws
docs/figures/calibration.png. Without ``--store`` it reads what was written.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from nassim.reports import calibration_figure, calibration_table
from nassim.reports.drawing import save_figure
from nassim.store import Store, find_store
from nassim.studies.calibration import DECISIONS_SCHEMA, run_calibration
from nassim.studies.folds import FoldPlan
from nassim.studies.results import read_table, write_table
from nassim.studies.termination import TerminationPlan

HERE = Path(__file__).parent


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--store", help="run the study on it")
    parser.add_argument("--methods", default="last_value,lcranknet")
    parser.add_argument("--targets", help="some of the datasets, separated by commas")
    parser.add_argument("--orders", type=int, default=TerminationPlan.orders)
    parser.add_argument("--model-seeds", type=int, default=TerminationPlan.model_seeds)
    parser.add_argument("--pool", default=FoldPlan.pool)
    parser.add_argument("--size", type=int, help="draw so many candidates of each target")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--name", default="calibration", help="of the results and the figure")
    options = parser.parse_args()
    results = HERE / "results" / f"{options.name}.parquet"
    if options.store is not None:
        store = Store.open(find_store(options.store))
        decisions = run_calibration(
            TerminationPlan(options.methods, options.orders, options.model_seeds, options.seed),
            FoldPlan(str(store.path), store.sha, pool=options.pool, size=options.size),
            options.targets.split(",") if options.targets else None,
            workers=options.workers,
            progress=lambda done, total, what: print(f"{done}/{total} {what}", file=sys.stderr),
        )
        print(f"wrote {write_table(decisions, results)}")
    elif not results.exists():
        print(f"{results} is not there yet; make it with --store, as in --store images")
        return
    table = calibration_table(read_table(results, DECISIONS_SCHEMA))
    print(table.to_text())
    figure = HERE.parent / "docs" / "figures" / f"{options.name}.png"
    print(f"wrote {save_figure(calibration_figure(table), figure)}")


if __name__ == "__main__":
    main()
