"""Made-up learning curves: a table of 200 architectures, and a store as large as NAS-Bench-201."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from pathlib import Path

FloatArray = NDArray[np.float64]

CANDIDATES, EPOCHS, ETA = 200, 100, 3
MILESTONES = [1, 3, 9, 27, 81]  # rungs before the last epoch


class Curves(NamedTuple):
    """Accuracies after each epoch, and the seconds that each epoch took, both (runs, epochs)."""

    accuracies: FloatArray
    seconds: FloatArray


def make_curves(
    runs: int = CANDIDATES,
    epochs: int = EPOCHS,
    *,
    step: float = 0.0,
    noise: float = 0.005,
    seed: int = 0,
) -> Curves:
    """Curves that rise, saturate and cross; an epoch takes from 1 to 2 seconds.

    ``step`` rounds the accuracies to a grid, as a validation set of 1 / step images does.
    """
    rng = np.random.default_rng(seed)
    final = rng.uniform(0.3, 0.95, (runs, 1))
    pace = rng.uniform(5, 40, (runs, 1))
    rising = final - (final - 0.1) * np.exp(-np.arange(1, epochs + 1) / pace)
    accuracies = (rising + rng.normal(0, noise, rising.shape)).clip(0, 1)
    if step:
        accuracies = np.round(accuracies / step) * step
    return Curves(accuracies, np.broadcast_to(rng.uniform(1, 2, (runs, 1)), rising.shape).copy())


def make_order(seed: int, candidates: int = CANDIDATES) -> list[int]:
    """The order in which every package is given the candidates."""
    order: list[int] = np.random.default_rng(seed).permutation(candidates).tolist()
    return order


def write_large_store(folder: Path) -> None:
    """15,625 architectures x 3 datasets, 200 epochs of validation accuracy on a grid."""
    from nassim.records import Dataset, Run
    from nassim.spaces import get_space
    from nassim.store import Store

    space = get_space("nasbench201")
    names = [space.architecture(d).id for d in itertools.product(range(5), repeat=6)]
    store = Store.create(folder)
    for dataset in ("cifar10", "cifar100", "imagenet16"):
        seed = len(store.datasets)
        curves = make_curves(len(names), 200, step=1e-4, noise=0.01, seed=seed).accuracies
        values = curves.astype(np.float32)
        runs = [
            Run("nasbench201", name, dataset, "200", 777, epochs=200, scores={"valid": values[i]})
            for i, name in enumerate(names)
        ]
        store.append(runs, datasets=[Dataset(dataset, dataset)], recipes={"200": {}})
    store.compact()
