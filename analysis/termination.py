"""The early-termination tables and figures of README.md and docs/results.md.

Reads what ``nassim terminate --out analysis/results/NAME.parquet`` wrote (the commands stand in
docs/results.md), and ``make termination STORE=...``, which writes to analysis/results/STORE; draws
docs/figures/NAME/*.png, or docs/figures/STORE/NAME/*.png, and prints the tables.
"""

from __future__ import annotations

from pathlib import Path

from nassim.reports import comparison_table, save_figures, termination_table
from nassim.studies.results import read_study

HERE = Path(__file__).parent
NAMES = ("metaqnn",)


def main() -> None:
    results = HERE / "results"
    paths = [results / f"{name}.parquet" for name in NAMES]
    paths += sorted(results.glob("*/termination.parquet"))
    paths += sorted(results.glob("*/termination-group.parquet"))
    for path in paths:
        name = path.relative_to(results).with_suffix("").as_posix()
        study = read_study(path)
        print(f"== {name}\n")
        print(termination_table(study.results, study.pool).to_text(), end="\n\n")
        print(comparison_table(study.results).to_text(), end="\n\n")
        folder = HERE.parent / "docs" / "figures" / name
        for path in save_figures(study.results, study.pool, folder, ("png",)):
            print(f"wrote {path.relative_to(HERE.parent)}")


if __name__ == "__main__":
    main()
