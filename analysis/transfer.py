"""How much does a search gain from other datasets, and can they harm it?

    python analysis/transfer.py --store text --pool shared

runs searches whose sources are cut to so many datasets, to so many architectures of each, or are
shuffled (their results exchanged among their architectures), writes
analysis/results/transfer.parquet, prints the regret after each number of evaluations beside that of
random search, and draws docs/figures/transfer.png. Without ``--store`` it reads what was written.
"""

from __future__ import annotations

import pyarrow as pa
from arguments import figure_path, folds_of, how, is_there, numbers, results_path, study_parser

from nassim.reports.drawing import save_figure
from nassim.reports.optimizers import regret_figure, regret_table
from nassim.reports.text import plural
from nassim.studies.results import SEARCH_SCHEMA, read_table, write_table
from nassim.studies.search import SearchPlan, run_search

METHODS = "average_rank,tnaml"
DATASETS = (1, 2, 4)
ARCHITECTURES = (25, 50, 100)
CUTS = {"source_datasets": "dataset", "source_architectures": "architecture"}


def named(results: pa.Table) -> pa.Table:
    """The same rows, what is done to the sources a part of the method's name: a method each."""
    names = []
    for row in results.select(["method", "learns", "shuffled_sources", *CUTS]).to_pylist():
        cuts = [plural(row[column], noun) for column, noun in CUTS.items() if row[column]]
        if row["shuffled_sources"]:
            cuts.append("shuffled")
        told = f", {' and '.join(cuts) or 'all'}" if row["learns"] else ""
        names.append(row["method"] + told)
    table = results.set_column(results.schema.get_field_index("method"), "method", pa.array(names))
    for cut in (*CUTS, "shuffled_sources"):  # what the name says is no setting that rows share
        at = table.schema.get_field_index(cut)
        table = table.set_column(at, cut, pa.nulls(len(table), table.schema.field(cut).type))
    return table


def main() -> None:
    parser = study_parser(__doc__, name="transfer", methods=METHODS)
    parser.add_argument("--datasets", type=numbers, default=DATASETS)
    parser.add_argument("--architectures", type=numbers, default=ARCHITECTURES)
    parser.add_argument("--orders", type=int, default=SearchPlan.orders)
    parser.add_argument("--budget", type=int, default=SearchPlan.budget)
    options = parser.parse_args()
    results = results_path(options)
    if options.store is not None:
        cuts: list[dict[str, int | bool]] = [
            {},
            *({"source_datasets": count} for count in options.datasets),
            *({"source_architectures": count} for count in options.architectures),
            {"shuffled_sources": True},
        ]
        tables = []
        for number, cut in enumerate(cuts):
            plan = SearchPlan(
                options.methods if number else f"random,{options.methods}",
                budget=options.budget,
                orders=options.orders,
                model_seeds=options.model_seeds,
                seed=options.seed,
            )
            tables.append(run_search(plan, folds_of(options, **cut), **how(options)).results)
        print(f"wrote {write_table(pa.concat_tables(tables), results)}")
    elif not is_there(results):
        return
    table = regret_table(named(read_table(results, SEARCH_SCHEMA)), baseline="random")
    print(table.to_text())
    print(f"wrote {save_figure(regret_figure(table), figure_path(options))}")


if __name__ == "__main__":
    main()
