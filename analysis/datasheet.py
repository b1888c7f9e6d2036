"""The table of each bundled store's data sheet (data/STORE/README.md).

Usage: python analysis/datasheet.py [STORE ...]

Definitions are those of `nassim card STORE`, which has more.
"""

from __future__ import annotations

import math
import sys

from nassim.reports.card.records import Card, DatasetCard
from nassim.store import Store, find_store, known_stores
from nassim.store.card import card

HEADER = (
    *("dataset", "runs", "architectures", "majority", "p10", "median", "p90", "best"),
    *("seed s.d. (pp), pooled / median", "spread / seed s.d.", "tau of two seeds"),
    *("settles at epoch", "seconds a run", "runs a core-hour"),
)


def row(label: str, group: DatasetCard) -> list[str]:
    """The cells of one dataset: accuracies of the validation split over architectures."""
    scores, noise = group.scores, group.noise
    seconds = group.total_seconds / group.n_runs
    return [
        label,
        str(group.n_runs),
        str(group.n_architectures),
        known(group.majority, 3),
        *(known(value, 3) for value in (scores.p10, scores.median, scores.p90, scores.maximum)),
        f"{known(100 * noise.pooled, 2)} / {known(100 * noise.median, 2)}",
        " / ".join(known(group.spread_ratio(s), 1) for s in (noise.pooled, noise.median)),
        f"{known(group.tau, 2)} [{known(group.tau_low, 2)}, {known(group.tau_high, 2)}]",
        str(group.ranking.settled or "n/a"),
        known(seconds, 2),
        known(3600 / seconds, 0),
    ]


def known(value: float, digits: int) -> str:
    return "n/a" if math.isnan(value) else f"{value:.{digits}f}"


def sheet(made: Card) -> str:
    """The store's table in Markdown."""
    rows = [row(*pair) for pair in zip(made.labels, made.datasets, strict=True)]
    return "\n".join(
        "| " + " | ".join(line) + " |" for line in [HEADER, ["--"] * len(HEADER), *rows]
    )


def main() -> None:
    for name in sys.argv[1:] or known_stores():
        store = Store.open(find_store(name))
        print(f"{store.name}, {store.n_runs} runs, sha {store.sha[:12]}\n\n{sheet(card(store))}\n")


if __name__ == "__main__":
    main()
