"""Is p(better than the incumbent) what it says?

    python analysis/calibration.py --store images --methods last_value,lcranknet

replays the searches of the early-termination study, writes every decision to
analysis/results/calibration.parquet, prints Brier scores and reliability and draws
docs/figures/calibration.png. Without ``--store`` it reads what was written.
"""

from __future__ import annotations

from arguments import figure_path, folds_of, how, is_there, results_path, study_parser

from nassim.reports import calibration_figure, calibration_table
from nassim.reports.drawing import save_figure
from nassim.studies.calibration import DECISIONS_SCHEMA, run_calibration
from nassim.studies.results import read_table, write_table
from nassim.studies.termination import TerminationPlan


def main() -> None:
    parser = study_parser(__doc__, name="calibration", methods="last_value,lcranknet")
    parser.add_argument("--orders", type=int, default=TerminationPlan.orders)
    options = parser.parse_args()
    results = results_path(options)
    if options.store is not None:
        plan = TerminationPlan(options.methods, options.orders, options.model_seeds, options.seed)
        decisions = run_calibration(plan, folds_of(options), **how(options))
        print(f"wrote {write_table(decisions, results)}")
    elif not is_there(results):
        return
    table = calibration_table(read_table(results, DECISIONS_SCHEMA))
    print(table.to_text())
    print(f"wrote {save_figure(calibration_figure(table), figure_path(options))}")


if __name__ == "__main__":
    main()
