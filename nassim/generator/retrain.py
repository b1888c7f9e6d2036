"""Train some of a store's runs once more, and see whether the same curves come out."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from nassim.datasets import load_dataset
from nassim.errors import InputError
from nassim.generator.executors import choose_device, train_one
from nassim.generator.plan import Wanted
from nassim.generator.recipe import Recipe
from nassim.ranking.seeds import pooled_deviation, repeats
from nassim.records import FloatArray, Run, RunKey
from nassim.spaces import get_space
from nassim.store import Store

__all__ = ["Retrained", "retrain"]

DEVIATIONS = 4.0  # of the difference between two seeds, beyond which a run is another run


@dataclass(frozen=True)
class Retrained:
    """A stored run beside the same run trained again: validation values of the last epoch.

    ``difference`` is the largest between the two validation curves; NaN where one is longer.
    ``noise`` is the standard deviation over seeds of the store's runs on that dataset; NaN
    where no architecture has two.
    """

    key: RunKey
    status: tuple[str, str]
    stored: float
    again: float
    difference: float
    noise: float

    @property
    def identical(self) -> bool:
        """Whether the validation curves are the same numbers."""
        return self.difference == 0 and self.status[0] == self.status[1]

    @property
    def agrees(self) -> bool:
        """Identical, or at the end as near as two seeds of one architecture are."""
        limit = DEVIATIONS * math.sqrt(2) * self.noise
        return self.identical or (
            self.status == ("ok", "ok") and abs(self.again - self.stored) <= limit
        )

    def __str__(self) -> str:
        verdict = "identical" if self.identical else "within seed noise" if self.agrees else "OTHER"
        values = f"{self.stored:.4f}, again {self.again:.4f}"
        if self.status != ("ok", "ok"):
            values += f" (status {self.status[0]}, again {self.status[1]})"
        return f"{verdict}: {self.key.dataset}, seed {self.key.seed}: {values}; {self.key[1]}"


def retrain(store: Store, n: int, *, seed: int = 0, device: str = "cpu") -> Iterator[Retrained]:
    """Train ``n`` runs of a store again, drawn by ``seed``; each is yielded when it is done.

    All that is needed is in the store: architectures, seeds and the recipes' settings.
    Identical curves are to be expected on the same kind of machine with the same versions.

    Raises
    ------
    InputError
        if the store has not so many runs, was imported, or was trained on other data than its
        datasets have here.
    DataUnavailableError
        if a dataset can not be reached.
    """
    if store.importer is not None:
        raise InputError(
            f"Store {store.name!r} was imported, and nothing says how to train its runs; expected "
            "one that `nassim generate` made."
        )
    index = store.index()
    if not 1 <= n <= len(index):
        raise InputError(
            f"{n} runs of store {store.name!r} shall be trained again; expected 1 to {len(index)}."
        )
    place = choose_device(device)
    recorded = {dataset.name: dataset.sha256 for dataset in store.datasets}
    keys = index.keys()
    for row in np.sort(np.random.default_rng(seed).choice(len(keys), n, replace=False)):
        key = keys[row]
        wanted = Wanted(
            get_space(key.space).parse(key.architecture),
            key.dataset,
            _recipe(key.recipe, store.recipes[key.recipe]),
            key.seed,
        )
        data = load_dataset(key.dataset)
        if data.record.sha256 != recorded[key.dataset]:
            raise InputError(
                f"Dataset {key.dataset!r} has SHA-256 {data.record.sha256[:12]} here, and had "
                f"{recorded[key.dataset][:12]} when store {store.name!r} was trained; expected "
                "the same. Take the version of nassim that is recorded in its runs."
            )
        yield _compare(store, key, train_one(wanted, place, data))


def _recipe(identity: str, settings: dict[str, Any]) -> Recipe:
    recipe = Recipe(identity.rpartition("-")[0], **settings)
    if recipe.id != identity:
        raise InputError(
            f"The settings of recipe {identity!r} make {recipe.id!r} here; take the version of "
            "nassim that is recorded in its runs."
        )
    return recipe


def _compare(store: Store, key: RunKey, again: Run) -> Retrained:
    column = store.metric.column("valid")
    index = store.index(dataset=key.dataset, space=key.space, recipe=key.recipe)
    curves = store.curves(column, dataset=key.dataset, space=key.space, recipe=key.recipe)
    row = index.keys().index(key)
    old, new = curves[row, : index.epochs[row]], again.scores["valid"]
    ok = index.status == "ok"
    return Retrained(
        key=key,
        status=(str(index.status[row]), again.status),
        stored=float(old[-1]) if len(old) else math.nan,
        again=float(new[-1]) if len(new) else math.nan,
        difference=_largest_difference(old, new),
        noise=_noise(index.architecture[ok], curves[ok, -1]),
    )


def _largest_difference(old: FloatArray, new: FloatArray) -> float:
    if len(old) != len(new) or not np.array_equal(np.isnan(old), np.isnan(new)):
        return math.nan
    return float(np.abs(np.nan_to_num(old) - np.nan_to_num(new)).max(initial=0.0))


def _noise(architectures: np.ndarray, results: FloatArray) -> float:
    names, member = np.unique(architectures.astype(str), return_inverse=True)
    return pooled_deviation(repeats(results.astype(np.float64), member, len(names)))
