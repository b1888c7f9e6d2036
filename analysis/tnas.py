"""How well T-NAS adapts to letters that it never saw, beside MAML with a frozen architecture.

    python analysis/tnas.py --steps 150

meta-trains all methods on five-way tasks of ``glyphs``, with 1 and with 5 shots, and writes
analysis/results/tnas.json. Without ``--steps`` it prints what was written.
"""

from __future__ import annotations

import argparse
import json
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import torch

from nassim.datasets import ImageData, load_dataset
from nassim.oneshot.tnas import FewShotResult, TNASOptions, class_pools, train_tnas
from nassim.ranking.intervals import bootstrap_interval

RESULTS = Path(__file__).parent / "results" / "tnas.json"
RATES = {"outer_rate_w": 1e-2, "outer_rate_theta": 1e-2}  # chosen on meta-training classes
CONV = ("nor_conv_3x3",) * 3


def study(
    dataset: str, test_classes: int, steps: int, tasks: int, shots: list[int], seed: int
) -> list[dict[str, Any]]:
    """A row for each number of shots and method; all methods meet the same tasks."""
    data = load_dataset(dataset)
    if not isinstance(data, ImageData):
        raise SystemExit(f"{dataset} has no images.")
    train, test = class_pools(data, test_classes, np.random.default_rng(seed))
    rows = []
    for some in shots:

        def run(steps: int = steps, some: int = some, **options: Any) -> FewShotResult:
            chosen = TNASOptions(shots=some, steps=steps, **RATES, **options)
            return train_tnas(train, test, chosen, test_tasks=tasks, seed=seed)

        tnas = run()
        results = {
            "T-NAS": tnas,
            "MAML, frozen even mixture": run(cell="mixed"),
            "MAML, three 3x3 convolutions": run(cell=CONV),
            "MAML, the cell of T-NAS": run(cell=tnas.cell),
            "no meta-training": run(steps=0),
        }
        for name, result in results.items():
            difference = result.accuracy - tnas.accuracy
            row = {
                "shots": some,
                "method": name,
                "accuracy": result.mean,
                "interval": list(result.interval),
                "minus_tnas": float(difference.mean()),
                "minus_tnas_interval": list(bootstrap_interval([difference])),
                "chance": 1 / result.options.ways,
                "tasks": tasks,
                "steps": result.options.steps,
                "cell": list(result.cell),
                "cells": {"/".join(c): n for c, n in Counter(result.cells).most_common()},
            }
            rows.append(row)
            print(_line(row), flush=True)
    return rows


def _line(row: dict[str, Any]) -> str:
    low, high = (100 * end for end in row["interval"])
    less, more = (100 * end for end in row["minus_tnas_interval"])
    return (
        f"{row['shots']}-shot  {row['method']:30s} {100 * row['accuracy']:5.1f}% "
        f"[{low:.1f}, {high:.1f}]   minus T-NAS {100 * row['minus_tnas']:+5.1f} pp "
        f"[{less:+.1f}, {more:+.1f}]   {len(row['cells'])} decoded cells"
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--steps", type=int, help="meta-train each method for so many outer steps")
    parser.add_argument("--dataset", default="glyphs")
    parser.add_argument("--test-classes", type=int, default=8)
    parser.add_argument("--shots", default="1,5")
    parser.add_argument("--tasks", type=int, default=300, help="of the meta-test")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=RESULTS)
    options = parser.parse_args()
    if options.steps is not None:
        torch.set_num_threads(1)  # sums do not depend on how many there are
        shots = [int(number) for number in options.shots.split(",")]
        plan = (options.dataset, options.test_classes, options.steps, options.tasks)
        rows = study(*plan, shots, options.seed)
        options.out.write_text(json.dumps(rows, indent=1) + "\n")
        print(f"wrote {options.out}")
    elif not options.out.exists():
        print(f"{options.out} is not there yet; make it with --steps 150")
        return
    else:
        rows = json.loads(options.out.read_text())
        print("\n".join(map(_line, rows)))
    first = rows[0]
    print(f"{first['tasks']} tasks of the meta-test; chance is {100 * first['chance']:.0f}%")
    for row in rows:
        if row["method"] == "T-NAS":
            print(f"{row['shots']}-shot, meta-learned: {'/'.join(row['cell'])}; by task:")
            print("\n".join(f"  {n:4d} {cell}" for cell, n in row["cells"].items()))


if __name__ == "__main__":
    main()
