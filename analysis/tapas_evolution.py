"""What TAPAS's simulated evolution predicts, generation by generation, in the whole space.

    python analysis/tapas_evolution.py --store text --pool shared

fits TAPAS on the other datasets, tells it of its landmarks on the target, and lets it evolve
without any training. It writes analysis/results/tapas_evolution.parquet, prints the best prediction
before and after beside the best of the pool, and draws docs/figures/tapas_evolution.png. Without
``--store`` it reads what was written.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from arguments import figure_path, folds_of, is_there, results_path, study_parser

from nassim.errors import InputError
from nassim.loading import parse_specifications
from nassim.optimizers import OPTIMIZERS
from nassim.optimizers.tapas import TAPAS
from nassim.reports.drawing import PALETTE, QUIET, new_figure, save_figure, styled
from nassim.reports.text import aligned
from nassim.simulator.sources import Replay
from nassim.store import Store
from nassim.studies.fitting import mixed_seed
from nassim.studies.replaying import target_folds
from nassim.studies.results import read_table, to_table, write_table
from nassim.studies.search import build_optimizer

SCHEMA = pa.schema(
    [
        ("store_sha", pa.string()),
        ("pool", pa.string()),
        ("seed", pa.int64()),
        ("target", pa.string()),
        ("dcn", pa.float64()),
        ("best_of_pool", pa.float64()),  # measured
        ("best", pa.list_(pa.float64())),  # predicted, of the population after each generation
        ("mean", pa.list_(pa.float64())),
    ]
)


def main() -> None:
    parser = study_parser(__doc__, name="tapas_evolution", methods="tapas")
    options = parser.parse_args()
    results = results_path(options)
    if options.store is not None:
        folds = folds_of(options)
        names = options.targets.split(",") if options.targets else None
        optimizers = [
            build_optimizer(each)
            for each in parse_specifications(options.methods, OPTIMIZERS, "optimizer")
        ]
        if len(optimizers) != 1 or not isinstance(optimizers[0], TAPAS):
            raise InputError(f"--methods is {options.methods}; expected tapas, with any options.")
        optimizer = optimizers[0]
        rows = []
        for name, fold in target_folds(Store.open(folds.store), folds, names).items():
            chance = mixed_seed(options.seed, 0, name)
            optimizer.fit(fold.sources, seed=chance)
            replay = Replay(fold.table)
            search = optimizer.begin(replay.candidates(), np.random.default_rng([0, chance]))
            for run in search.landmarks:
                worth = replay.qualities[run] if replay.completes[run] else -np.inf
                search.tell(run, replay.lengths[run], worth)
            met = search.evolve(np.random.default_rng([1, chance]))
            rows.append(
                {
                    "store_sha": folds.store_sha,
                    "pool": folds.pool,
                    "seed": options.seed,
                    "target": name,
                    "dcn": search.dcn,
                    "best_of_pool": float(fold.table.candidate_qualities.max()),
                    "best": met.best.tolist(),
                    "mean": met.mean.tolist(),
                }
            )
        print(f"wrote {write_table(to_table(rows, SCHEMA), results)}")
    elif not is_there(results):
        return
    rows = read_table(results, SCHEMA).to_pylist()
    lines = [["", "DCN", "best at first", "best at last", "mean at last", "best of the pool"]]
    for row in rows:
        numbers = (row["dcn"], row["best"][0], row["best"][-1], row["mean"][-1])
        lines.append([row["target"], *(f"{x:.3f}" for x in (*numbers, row["best_of_pool"]))])
    print("\n".join(aligned(lines)))
    with styled():
        figure, (axes,) = new_figure(7.2, 4.2)
        for k, row in enumerate(rows):
            color, generations = PALETTE[k % len(PALETTE)], np.arange(len(row["best"]))
            dash = "-" if k < len(PALETTE) else "--"
            axes.plot(generations, row["best"], dash, color=color, label=row["target"])
            axes.plot(generations, row["mean"], ":", color=color, linewidth=0.8)
            axes.plot(generations[-1] * 1.02, row["best_of_pool"], "<", color=color, markersize=5)
        axes.plot([], [], ":", color=QUIET, label="mean of the population")
        axes.plot([], [], "<", color=QUIET, label="best of the pool, measured")
        axes.set_xlabel("generation")
        axes.set_ylabel("predicted value")
        figure.legend(loc="outside lower center", ncols=4)
    print(f"wrote {save_figure(figure, figure_path(options))}")


if __name__ == "__main__":
    main()
