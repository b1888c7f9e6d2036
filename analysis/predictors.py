"""How well do the predictors of optimizers know a dataset, before and after some evaluations?

    python analysis/predictors.py --store text --pool shared

fits NAO, XferNAS and TAPAS on the other datasets, tells each of 0 to 33 random candidates of the
target, and lets it predict others. It writes analysis/results/predictors.parquet, prints Kendall's
tau, Spearman's rho, R2 and the mean squared error, and draws docs/figures/predictors.png: tau
against evaluations, and TAPAS's predicted against true values. Without ``--store`` it reads what
was written.
"""

from __future__ import annotations

from arguments import figure_path, folds_of, how, is_there, numbers, results_path, study_parser

from nassim.reports.drawing import save_figure
from nassim.reports.prediction import prediction_figure, prediction_table
from nassim.studies.prediction import PREDICTION_SCHEMA, PredictionPlan, run_prediction
from nassim.studies.results import read_table, write_table


def main() -> None:
    parser = study_parser(__doc__, name="predictors", methods=PredictionPlan.methods)
    parser.add_argument("--told", type=numbers, default=PredictionPlan.told)
    options = parser.parse_args()
    results = results_path(options)
    if options.store is not None:
        plan = PredictionPlan(options.methods, options.told, options.model_seeds, options.seed)
        print(
            f"wrote {write_table(run_prediction(plan, folds_of(options), **how(options)), results)}"
        )
    elif not is_there(results):
        return
    table = prediction_table(read_table(results, PREDICTION_SCHEMA))
    print(table.to_text())
    print(f"wrote {save_figure(prediction_figure(table), figure_path(options))}")


if __name__ == "__main__":
    main()
