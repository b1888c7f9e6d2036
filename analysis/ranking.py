"""How well do estimators rank the runs of a dataset that they have not seen?

    python analysis/ranking.py --store images --methods last_value,lcranknet

fits each estimator on the other datasets, writes rank correlations with the final values to
analysis/results/ranking.parquet, prints their table and draws docs/figures/ranking.png. Without
``--store`` it reads what was written. The component analysis is the same with other methods:
``--methods lcranknet,lcranknet:architecture=false,lcranknet:curve=false --name components``.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from nassim.reports import ranking_figure, ranking_table
from nassim.reports.drawing import save_figure
from nassim.store import Store, find_store
from nassim.studies.folds import FoldPlan
from nassim.studies.ranking import RANKING_EPOCHS, RANKING_SCHEMA, RankingPlan, run_ranking
from nassim.studies.results import read_table, write_table

HERE = Path(__file__).parent


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--store", help="run the study on it")
    parser.add_argument("--methods", default=RankingPlan.methods)
    parser.add_argument("--targets", help="some of the datasets, separated by commas")
    parser.add_argument("--epochs", default=",".join(map(str, RANKING_EPOCHS)))
    parser.add_argument("--model-seeds", type=int, default=RankingPlan.model_seeds)
    parser.add_argument("--pool", default=FoldPlan.pool)
    parser.add_argument("--size", type=int, help="draw so many candidates of each target")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--baseline", default="last_value", help="all are compared with it")
    parser.add_argument("--name", default="ranking", help="of the results and the figure")
    options = parser.parse_args()
    results = HERE / "results" / f"{options.name}.parquet"
    if options.store is not None:
        store = Store.open(find_store(options.store))
        table = run_ranking(
            RankingPlan(
                options.methods,
                tuple(int(epoch) for epoch in options.epochs.split(",")),
                options.model_seeds,
                options.seed,
            ),
            FoldPlan(str(store.path), store.sha, pool=options.pool, size=options.size),
            options.targets.split(",") if options.targets else None,
            workers=options.workers,
            progress=lambda done, total, what: print(f"{done}/{total} {what}", file=sys.stderr),
        )
        print(f"wrote {write_table(table, results)}")
    elif not results.exists():
        print(f"{results} is not there yet; make it with --store, as in --store images")
        return
    table = ranking_table(read_table(results, RANKING_SCHEMA), options.baseline)
    print(table.to_text())
    figure = HERE.parent / "docs" / "figures" / f"{options.name}.png"
    print(f"wrote {save_figure(ranking_figure(table), figure)}")


if __name__ == "__main__":
    main()
