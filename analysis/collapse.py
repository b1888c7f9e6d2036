"""Does DARTS collapse where an operation without weights is offered, and what avoids it?

    python analysis/collapse.py --run --workers 2

searches S1 to S4 in their tiny form with DARTS and its repairs, five times each, trains every
distinct pick alone, three times, and beside it the cell of convolutions alone, that of skips (or
noise) alone and random cells. It writes analysis/results/collapse.parquet and
collapse.traces.parquet, prints the share of searches that collapsed and the regret of the picks,
and draws docs/figures/collapse.png. Without --run it reads what was written.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import fields

from arguments import figure_path, results_path

from nassim.reports.collapse import collapse_figure, collapse_table
from nassim.reports.drawing import save_figure
from nassim.studies.collapse import (
    COLLAPSE_SCHEMA,
    COLLAPSE_TRACES_SCHEMA,
    CollapsePlan,
    run_collapse,
)
from nassim.studies.results import companion, read_table, write_table

HELP = {
    "spaces": "spaces to search, separated by commas",
    "methods": "specifications of methods that train a mixture, separated by commas",
    "dataset": "images to train on, as mnist or digits",
    "resolution": "average images down to so many pixels a side",
    "images": "training images, the first of the dataset's; 0: all",
    "noise": "standard deviation of noise on pixels in [0, 1]",
    "channels": "channels of the first stage",
    "steps": "steps of a search, and of a training alone",
    "every": "note traces after each so many steps",
    "seeds": "searches of each method",
    "trainings": "trainings of each distinct cell alone",
    "random": "random cells of each space to compare with",
    "seed": "all chance comes from here",
}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    for field in fields(CollapsePlan):
        kind = type(field.default)
        said = f"{HELP[field.name]} (default: {field.default})"
        parser.add_argument(f"--{field.name}", type=kind, default=field.default, help=said)
    parser.add_argument("--workers", type=int, default=1, help="processes")
    parser.add_argument("--run", action="store_true", help="search and train, not only read")
    parser.add_argument("--watched", default="", help="space whose eigenvalues and gaps are drawn")
    parser.add_argument("--name", default="collapse", help="of the results and the figure")
    options = parser.parse_args()
    results = results_path(options)
    if options.run:
        plan = CollapsePlan(**{f.name: getattr(options, f.name) for f in fields(CollapsePlan)})
        tables = run_collapse(
            plan,
            workers=options.workers,
            progress=lambda done, total, what: print(f"{done}/{total} {what}", file=sys.stderr),
        )
        for table, path in zip(tables, (results, companion(results, "traces")), strict=True):
            print(f"wrote {write_table(table, path)}")
    elif not results.exists():
        print(f"{results} is not there yet; make it with --run")
        return
    table = collapse_table(read_table(results, COLLAPSE_SCHEMA))
    traces = read_table(companion(results, "traces"), COLLAPSE_TRACES_SCHEMA)
    print(table.to_text())
    figure = collapse_figure(table, traces, options.watched)
    print(f"wrote {save_figure(figure, figure_path(options))}")


if __name__ == "__main__":
    main()
