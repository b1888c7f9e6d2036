"""The tables and figures of the optimizer track in docs/results.md.

Reads what ``nassim search --out analysis/results/NAME.parquet`` wrote (the commands stand in
docs/results.md), writes docs/figures/NAME-*.png and prints the tables.
"""

from __future__ import annotations

from pathlib import Path

from nassim.reports.optimizers import regret_table
from nassim.reports.search_page import save_search_figures
from nassim.studies.results import read_study

HERE = Path(__file__).parent


def main() -> None:
    for path in sorted((HERE / "results").glob("search-*.parquet")):
        if path.suffixes != [".parquet"]:
            continue  # the pool and the timings beside one
        study = read_study(path)
        print(f"== {path.stem}\n")
        print(regret_table(study.results, study.pool).to_text(), end="\n\n")
        folder = HERE.parent / "docs" / "figures" / path.stem
        for figure in save_search_figures(study.results, study.pool, folder, ("png",)):
            print(f"wrote {figure.relative_to(HERE.parent)}")


if __name__ == "__main__":
    main()
