"""Which batch-norm statistics and which law of sampling make a supernet's scores worth something?

    python analysis/batchnorm.py --store cells --datasets mnist,optdigits --workers 2

trains single-path supernets, drawn uniformly over functions and over texts, and scores each
training with running, batch and recalibrated statistics. It writes
analysis/results/batchnorm.parquet, prints tau with intervals and paired differences, and draws
docs/figures/batchnorm.png. Without ``--store`` it reads what was written.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from arguments import figure_path, rank_parser, rank_tables
from matplotlib.figure import Figure

from nassim.reports.drawing import INK, label, new_figure, save_figure, styled
from nassim.reports.oneshot import RankTable, signed
from nassim.reports.text import aligned, decimals, p_value

MODES = ("running", "batch", "recal")
METHODS = "spos:law=strings,spos:law=classes"


def laws_of(table: RankTable) -> list[str]:
    """The methods, without the mode that their scores come from."""
    return list(dict.fromkeys(method.rpartition(":bn_mode=")[0] for method in table.judged))


def pairs_of(table: RankTable) -> list[dict[str, Any]]:
    """Differences of two modes of one method, and of two methods in one mode."""
    found = []
    for row in table.pairs:
        (law, _, mode), (other, _, against) = (
            row[name].rpartition(":bn_mode=") for name in ("method", "against")
        )
        if law == other or mode == against:
            found.append(row)
    return found


def said(table: RankTable) -> str:
    """Tau of each method and mode, and which of them differ."""
    lines = [["tau", *MODES]]
    for law in laws_of(table):
        cells = [law]
        for mode in MODES:
            row = table.rows[f"{law}:bn_mode={mode}", "tau", "classes"]
            ends = f"[{decimals(row['low'])}, {decimals(row['high'])}]"
            cells.append(f"{decimals(row['value'])} {ends}")
        lines.append(cells)
    row = table.rows["live_params", "tau", "classes"]
    differences = [["better", "worse", "difference", "p (Holm)"]]
    for pair in pairs_of(table):
        differences.append([pair["method"], pair["against"], signed(pair), p_value(pair["p_holm"])])
    about = f"{table.about['space']} on {table.about['dataset']}, n = {row['n']}: "
    about += f"live_params {decimals(row['value'])}, ceiling {decimals(row['ceiling'])}"
    parts = [about, "", *aligned(lines), "", *aligned(differences, left=2)]
    parts += [f"NOT TRAINED: {method} ({note})" for method, note in table.untrained.items()]
    return "\n".join(parts)


def modes_figure(tables: list[RankTable]) -> Figure:
    """Tau as a heat-map of law and mode, a panel a dataset."""
    with styled():
        rows = max(len(laws_of(table)) for table in tables)
        figure, panels = new_figure(1.2 + 3.6 * len(tables), 1.4 + 0.7 * rows, 1, len(tables))
        for axes, table in zip(panels, tables, strict=True):
            laws = laws_of(table)
            names = [[f"{law}:bn_mode={mode}" for mode in MODES] for law in laws]
            values = np.array([[table.value(name, "tau") for name in line] for line in names])
            image = axes.imshow(values, cmap="viridis", vmin=0, vmax=1, aspect="auto")
            for (i, j), value in np.ndenumerate(values):
                row = table.rows[names[i][j], "tau", "classes"]
                text = f"{value:.2f}\n[{row['low']:.2f}, {row['high']:.2f}]"
                color = INK if value > 0.6 else "white"
                axes.text(j, i, text, ha="center", va="center", fontsize=8, color=color)
            axes.set_xticks(range(len(MODES)), MODES)
            axes.set_yticks(range(len(laws)), [label(law) for law in laws])
            axes.grid(False)
            trivial = table.value("live_params", "tau")
            axes.set_title(f"{table.about['dataset']} (live parameters: {trivial:.2f})")
        figure.colorbar(image, ax=panels, label="Kendall's tau-b", shrink=0.9)
    return figure


def main() -> None:
    parser = rank_parser(__doc__, name="batchnorm", methods=METHODS)
    options = parser.parse_args()
    tables = rank_tables(options, bn_mode=",".join(MODES))
    if not tables:
        return
    print("\n\n".join(map(said, tables)))
    print(f"wrote {save_figure(modes_figure(tables), figure_path(options))}")


if __name__ == "__main__":
    main()
