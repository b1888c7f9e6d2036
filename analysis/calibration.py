"""Is p(better than the incumbent) what it says?

    python analysis/calibration.py --store images --methods last_value,lcranknet

replays the searches of the early-termination study, writes every decision to
analysis/results/images/calibration.parquet, prints Brier scores and reliability and draws
docs/figures/images/calibration.png. Without ``--store`` it reads what was written, of every
store.
"""

from __future__ import annotations

from arguments import figure_of, folds_of, how, results_of, store_name, study_parser, written

from nassim.reports import calibration_figure, calibration_table
from nassim.reports.drawing import save_figure
from nassim.studies.calibration import DECISIONS_SCHEMA, run_calibration
from nassim.studies.results import read_table, write_table
from nassim.studies.termination import TerminationPlan


def main() -> None:
    parser = study_parser(__doc__, name="calibration", methods="last_value,lcranknet")
    parser.add_argument("--orders", type=int, default=TerminationPlan.orders)
    options = parser.parse_args()
    store = store_name(options)
    if store is not None:
        plan = TerminationPlan(options.methods, options.orders, options.model_seeds, options.seed)
        decisions = run_calibration(plan, folds_of(options), **how(options))
        print(f"wrote {write_table(decisions, results_of(options, store))}")
    for results in written(options, store):
        table = calibration_table(read_table(results, DECISIONS_SCHEMA))
        print(table.to_text())
        print(f"wrote {save_figure(calibration_figure(table), figure_of(results))}")


if __name__ == "__main__":
    main()
