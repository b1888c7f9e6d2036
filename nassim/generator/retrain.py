"""Train some of a store's runs once more, and see whether the same curves come out."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from nassim.datasets import load_dataset
from nassim.errors import InputError
from nassim.generator.executors import choose_device
from nassim.generator.recipe import Recipe
from nassim.records import Dataset, Run, RunKey
from nassim.spaces import get_space
from nassim.store import Store

__all__ = ["Retrained", "retrain"]

SEED_DEVIATIONS = 4.0  # of the difference of two seeds, beyond which a run is another run


@dataclass(frozen=True)
class Retrained:
    """A stored run beside the same run trained again; validation values of the last epoch.

    ``difference`` is the largest one between the two validation curves, NaN where their lengths
    differ. ``noise`` is the standard deviation over seeds on that dataset (NaN where no
    architecture has two seeds).
    """

    key: RunKey
    stored: float
    again: float
    difference: float
    noise: float
    status: tuple[str, str]

    @property
    def identical(self) -> bool:
        """Whether the validation curves are the same numbers."""
        return self.difference == 0 and self.status[0] == self.status[1]

    @property
    def agrees(self) -> bool:
        """Identical, or as near at the end as runs of one architecture are with other seeds."""
        if self.identical:
            return True
        limit = SEED_DEVIATIONS * math.sqrt(2) * self.noise
        return self.status == ("ok", "ok") and abs(self.again - self.stored) <= limit

    def __str__(self) -> str:
        verdict = "identical" if self.identical else "within seed noise" if self.agrees else "FAULT"
        statuses = "" if self.status == ("ok", "ok") else f", {' then '.join(self.status)}"
        return (
            f"{self.key.dataset}, seed {self.key.seed}: {self.stored:.4f}, again {self.again:.4f}"
            f"{statuses}: {verdict}  {self.key.architecture}"
        )


def retrain(store: Store, n: int, *, seed: int = 0, device: str = "cpu") -> Iterator[Retrained]:
    """Train ``n`` runs of a store again, drawn by ``seed``, each yielded when it is done.

    All that is needed is in the store: architectures, seeds, and the recipe's settings.

    Raises
    ------
    InputError
        if the store was imported, or was trained on other images than the dataset has here.
    DataUnavailableError
        if a dataset can not be reached.
    """
    from nassim.generator.train import train

    if store.importer is not None:
        raise InputError(f"Store {store.name!r} was imported; only what nassim trained can be.")
    keys = store.index().keys()
    if n < 1 or n > len(keys):
        raise InputError(f"{n} runs shall be trained again; expected 1 to {len(keys)}.")
    place = choose_device(device)
    rows = np.random.default_rng(seed).choice(len(keys), n, replace=False)
    known = {dataset.name: dataset for dataset in store.datasets}
    for row in np.sort(rows):
        key = keys[row]
        recipe = _recipe(key.recipe, store.recipes[key.recipe])
        data = load_dataset(key.dataset)
        _check_same(known[key.dataset], data.record)
        again = train(get_space(key.space).parse(key.architecture), data, recipe, key.seed, place)
        yield _compare(store, key, again)


def _recipe(identity: str, settings: dict[str, Any]) -> Recipe:
    recipe = Recipe(identity.rpartition("-")[0], **settings)
    if recipe.id != identity:
        raise InputError(
            f"The settings of recipe {identity!r} give {recipe.id!r} in this version of nassim; "
            "train with the version that is recorded in the runs."
        )
    return recipe


def _check_same(stored: Dataset, here: Dataset) -> None:
    if stored.sha256 != here.sha256:
        raise InputError(
            f"Dataset {stored.name!r} is another one here (SHA-256 {here.sha256[:12]}) than in the "
            f"store ({stored.sha256[:12]}); expected the same images in the same splits."
        )


def _compare(store: Store, key: RunKey, again: Run) -> Retrained:
    index = store.index(dataset=key.dataset, space=key.space, recipe=key.recipe)
    curves = store.curves(
        store.metric.column("valid"), dataset=key.dataset, space=key.space, recipe=key.recipe
    )
    row = index.keys().index(key)
    new, length = again.scores["valid"], int(index.epochs[row])
    old = curves[row, :length]
    same_length = len(new) == length > 0
    gaps = np.where(np.isnan(old) & np.isnan(new), 0, np.abs(old - new)) if same_length else []
    return Retrained(
        key=key,
        stored=float(old[-1]) if length else math.nan,
        again=float(new[-1]) if len(new) else math.nan,
        difference=float(np.max(gaps)) if same_length else 0.0 if length == len(new) else math.nan,
        noise=_seed_noise(index.architecture[index.status == "ok"], curves[index.status == "ok"]),
        status=(str(index.status[row]), again.status),
    )


def _seed_noise(architectures: np.ndarray, curves: np.ndarray) -> float:
    """The pooled deviation over seeds of final values; NaN where each has one seed."""
    finals = curves[:, -1].astype(np.float64)
    _, member = np.unique(architectures.astype(str), return_inverse=True)
    known = np.isfinite(finals)
    finals, member = finals[known], member[known]
    counts = np.bincount(member)
    means = np.bincount(member, finals) / np.maximum(counts, 1)
    freedom = int(np.maximum(counts - 1, 0).sum())
    return math.sqrt(((finals - means[member]) ** 2).sum() / freedom) if freedom else math.nan
