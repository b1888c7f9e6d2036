"""How well do LCRankNet and the last value rank the runs of a dataset that they have not seen?

Usage: python analysis/ranking.py [STORE] [--size N]

Prints, for each target, the Spearman correlation between what is known after an epoch and what a
run is worth in the end. docs/results.md quotes it.
"""

from __future__ import annotations

import argparse

import numpy as np

from nassim.ranking.correlation import spearman
from nassim.records import Prefixes
from nassim.store import Store, find_store
from nassim.studies.folds import FoldPlan, load_fold, target_names
from nassim.terminators.lcranknet import LCRankNet

EPOCHS = (0, 1, 2, 3, 5, 8, 12, 20)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("store", nargs="?", default="images")
    parser.add_argument("--size", type=int)
    options = parser.parse_args()
    store = Store.open(find_store(options.store))
    plan = FoldPlan(str(store.path), store.sha, size=options.size)
    rows: dict[str, list[list[float]]] = {"LCRankNet": [], "last value": []}
    print(f"{'':24s}" + "".join(f"{f'epoch {epoch}':>10s}" for epoch in EPOCHS))
    for target in target_names(store):
        fold = load_fold(plan, target)
        table, network = fold.table, LCRankNet()
        network.fit(fold.sources, seed=0)
        epochs = [epoch for epoch in EPOCHS if epoch < table.max_epochs]
        architectures = tuple(table.architectures[c] for c in table.candidate)
        scores = []
        for epoch in epochs:
            beginnings = Prefixes(
                architectures,
                table.values[:, :epoch],
                table.n_params,
                table.flops,
                table.max_epochs,
                table.metric,
            )
            scores.append(spearman(network.estimate(beginnings).ravel(), table.qualities))
        last = [spearman(table.values[:, epoch - 1], table.qualities) for epoch in epochs[1:]]
        for name, row in (("LCRankNet", scores), ("last value", [float("nan"), *last])):
            rows[name].append(row)
            print(_line(f"{target} {name}", row))
    for name, found in rows.items():
        print(_line(f"mean {name}", np.mean(found, axis=0).tolist()))


def _line(name: str, row: list[float]) -> str:
    return f"{name:24s}" + "".join(f"{value:10.2f}" for value in row)


if __name__ == "__main__":
    main()
