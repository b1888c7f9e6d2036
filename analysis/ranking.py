"""How well do estimators rank the runs of a dataset that they have not seen?

    python analysis/ranking.py --store images --methods last_value,lcranknet

fits each estimator on the other datasets, writes rank correlations with the final values to
analysis/results/images/ranking.parquet, prints their table and draws
docs/figures/images/ranking.png. Without ``--store`` it reads what was written, of every store.
``--given 20`` hands 20 completed runs of each target to methods that learn from it.
"""

from __future__ import annotations

from arguments import (
    figure_of,
    folds_of,
    how,
    numbers,
    results_of,
    store_name,
    study_parser,
    written,
)

from nassim.reports import ranking_figure, ranking_table
from nassim.reports.drawing import save_figure
from nassim.studies.ranking import RANKING_EPOCHS, RANKING_SCHEMA, RankingPlan, run_ranking
from nassim.studies.results import read_table, write_table


def main(
    description: str | None = __doc__,
    *,
    name: str = "ranking",
    methods: str = RankingPlan.methods,
    baseline: str = "last_value",
    given: int = 0,
) -> None:
    parser = study_parser(description, name=name, methods=methods)
    parser.add_argument("--epochs", type=numbers, default=RANKING_EPOCHS)
    parser.add_argument("--given", type=int, default=given, help="completed runs of each target")
    parser.add_argument("--baseline", default=baseline, help="all are compared with it")
    options = parser.parse_args()
    store = store_name(options)
    if store is not None:
        plan = RankingPlan(
            options.methods, options.epochs, options.model_seeds, options.seed, options.given
        )
        correlations = run_ranking(plan, folds_of(options), **how(options))
        print(f"wrote {write_table(correlations, results_of(options, store))}")
    for results in written(options, store):
        table = ranking_table(read_table(results, RANKING_SCHEMA), options.baseline)
        print(table.to_text())
        print(f"wrote {save_figure(ranking_figure(table), figure_of(results))}")


if __name__ == "__main__":
    main()
