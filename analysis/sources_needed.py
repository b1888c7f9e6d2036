"""How many source datasets and source architectures does LCRankNet need?

    python analysis/sources_needed.py --store images

runs the ranking study with sources cut to so many datasets (all their architectures), and to so
many architectures (of all datasets), writes analysis/results/images/sources_needed.parquet,
prints Spearman's rho after each epoch and draws docs/figures/images/sources_needed.png. A larger
number draws the same sources, and more. Without ``--store`` it reads what was written, of every
store.
"""

from __future__ import annotations

import pyarrow as pa
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
from nassim.reports.text import plural
from nassim.studies.ranking import RANKING_EPOCHS, RANKING_SCHEMA, RankingPlan, run_ranking
from nassim.studies.results import read_table, write_table

DATASETS = (1, 2, 4)
ARCHITECTURES = (25, 50, 100, 200)
CUTS = {"source_datasets": "dataset", "source_architectures": "architecture"}


def named(results: pa.Table) -> pa.Table:
    """The same rows, the cut of the sources a part of the method's name: a method each."""
    names = []
    for row in results.select(["method", *CUTS]).to_pylist():
        cuts = [plural(row[column], noun) for column, noun in CUTS.items() if row[column]]
        names.append(f"{row['method']}, {' and '.join(cuts) or 'all'}")
    table = results.set_column(results.schema.get_field_index("method"), "method", pa.array(names))
    for cut in CUTS:  # what the name says is no setting that the rows share
        column = pa.nulls(len(table), pa.int32())
        table = table.set_column(table.schema.get_field_index(cut), cut, column)
    return table


def main() -> None:
    parser = study_parser(__doc__, name="sources_needed", methods="lcranknet")
    parser.add_argument("--epochs", type=numbers, default=RANKING_EPOCHS)
    parser.add_argument("--datasets", type=numbers, default=DATASETS)
    parser.add_argument("--architectures", type=numbers, default=ARCHITECTURES)
    options = parser.parse_args()
    store = store_name(options)
    if store is not None:
        plan = RankingPlan(options.methods, options.epochs, options.model_seeds, options.seed)
        cuts: list[dict[str, int]] = [
            {},
            *({"source_datasets": count} for count in options.datasets),
            *({"source_architectures": count} for count in options.architectures),
        ]
        tables = [run_ranking(plan, folds_of(options, **cut), **how(options)) for cut in cuts]
        print(f"wrote {write_table(pa.concat_tables(tables), results_of(options, store))}")
    for results in written(options, store):
        table = ranking_table(
            named(read_table(results, RANKING_SCHEMA)), f"{options.methods.split(',')[0]}, all"
        )
        print(table.to_text())
        print(f"wrote {save_figure(ranking_figure(table), figure_of(results))}")


if __name__ == "__main__":
    main()
