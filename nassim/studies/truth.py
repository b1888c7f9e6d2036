"""The ground truth of a ranking: all stand-alone trainings of a space on one dataset."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

import numpy as np

from nassim.errors import InputError, unknown_name
from nassim.generator.recipe import Recipe
from nassim.ranking.seeds import counts, means
from nassim.records import Architecture, Dataset, FloatArray, IntArray, Landmarks
from nassim.spaces import get_space
from nassim.store import Store

__all__ = ["FEWEST_ARCHITECTURES", "FEWEST_SEEDS", "Truth", "load_truth"]

FEWEST_SEEDS = 2  # below which there is no ceiling, and no tau without one
FEWEST_ARCHITECTURES = 5


@dataclass(frozen=True, eq=False)
class Truth:
    """What N architectures are worth, measured with S seeds each.

    - ``test`` (N, S): test accuracy after the last epoch, higher is better whatever the metric;
      NaN where a seed is missing or a run failed. It is what scores are judged by.
    - ``valid`` (N, S, epochs): validation curves, of which short trainings are cut.
    - ``classes`` (N,): the number of each architecture's class of equal functions.
    - ``n_params``, ``flops`` (N,): as the store has them.
    """

    store: str
    store_sha: str
    metric: str
    space: str
    dataset: Dataset
    recipe: str
    settings: dict[str, Any]  # of the recipe
    architectures: tuple[Architecture, ...]
    classes: IntArray
    test: FloatArray
    valid: FloatArray
    n_params: IntArray
    flops: IntArray

    @property
    def images_per_epoch(self) -> int:
        """Images that one training sees in an epoch."""
        n_train = self.dataset.n_train
        return min(n_train, self.settings.get("n_train") or n_train)

    def representatives(self, known: np.ndarray) -> IntArray:
        """The first of each class among the architectures that are ``known`` (N,), ascending."""
        rows = np.flatnonzero(known)
        return np.sort(rows[np.unique(self.classes[rows], return_index=True)[1]])

    def trained_by(self) -> Recipe:
        """The recipe of the full trainings.

        Raises
        ------
        InputError
            if they were imported, and nothing says how they were trained.
        """
        if "channels" not in self.settings:
            raise InputError(
                f"Store {self.store!r} was imported, and nothing says how its networks are "
                "trained; expected one that 'nassim generate' made. Judge a file with --scores."
            )
        return Recipe(self.recipe.rpartition("-")[0], **self.settings)

    def sample(self, most: int, seed: int) -> Truth:
        """All of it, or so many of its classes, drawn by ``seed``, with one architecture each."""
        one_each = self.representatives(np.ones(len(self.architectures), bool))
        if len(one_each) <= most:
            return self
        rng = np.random.default_rng(seed)
        return self.select(np.sort(rng.choice(one_each, most, replace=False)))

    def landmarks(self, count: int, seed: int) -> Landmarks:
        """So many architectures, of one function each, with their mean validation accuracies.

        ``seed`` decides which, whatever they are worth; fewer are the first of more.

        Raises
        ------
        InputError
            if too few are left to be judged.
        """
        last = self.valid[:, :, -1]
        one_each = self.representatives(counts(last) > 0)
        if count > max(0, len(one_each) - FEWEST_ARCHITECTURES):
            raise InputError(
                f"{count} landmarks were asked for, of {len(one_each)} different functions; "
                f"{FEWEST_ARCHITECTURES} or more must be left to be judged. Ask for fewer."
            )
        rows = np.random.default_rng(seed).permutation(one_each)[:count]
        architectures = tuple(self.architectures[row] for row in rows.tolist())
        return Landmarks(architectures, means(last[rows]))

    def without(self, landmarks: Landmarks) -> Truth:
        """All of it but the landmarks, and what is the same function as one of them."""
        known = {architecture.id for architecture in landmarks.architectures}
        told = np.array([architecture.id in known for architecture in self.architectures])
        return self.select(np.flatnonzero(~np.isin(self.classes, self.classes[told])))

    def select(self, rows: IntArray) -> Truth:
        """The truth of these architectures alone, in this order."""
        names = ("classes", "test", "valid", "n_params", "flops")
        arrays = {name: getattr(self, name)[rows] for name in names}
        chosen = tuple(self.architectures[row] for row in rows)
        return dataclasses.replace(self, architectures=chosen, **arrays)


def load_truth(store: Store, space: str, dataset: str, recipe: str | None = None) -> Truth:
    """Read it from a store.

    Options of the space leave out what it does not hold: ``nasbench101:vertices=4`` are the cells
    of four vertices.

    Raises
    ------
    UnknownNameError
        if the store has no such space, dataset or recipe.
    InputError
        if there are several recipes and none is chosen, no test values, one seed alone, or too few
        architectures.
    """
    known_space = get_space(space)
    index = store.index(space=known_space.name, dataset=dataset)
    found = sorted(set(index.recipe.tolist()))
    if recipe is None:
        if len(found) != 1:
            raise InputError(
                f"Store {store.name!r} has {len(found)} recipes of space {space!r} on {dataset!r} "
                f"({', '.join(found) or 'none'}); choose one with --recipe."
            )
        recipe = found[0]
    elif recipe not in found:
        raise unknown_name("recipe", recipe, found)
    of = {"space": known_space.name, "dataset": dataset, "recipe": recipe}
    index = store.index(**of)
    texts, first, member = np.unique(index.architecture, return_index=True, return_inverse=True)
    seeds, column = np.unique(index.seed, return_inverse=True)
    sign, ok = store.metric.sign, index.status == "ok"
    tested = sign * store.curves(store.metric.column("test"), **of).astype(np.float64)
    curves = sign * store.curves(store.metric.column("valid"), **of).astype(np.float64)
    last = tested[np.arange(len(index)), np.maximum(index.epochs - 1, 0)]
    test = np.full((len(texts), len(seeds)), np.nan)
    valid = np.full((*test.shape, curves.shape[1]), np.nan)
    test[member[ok], column[ok]] = last[ok]
    valid[member[ok], column[ok]] = curves[ok]
    if not np.isfinite(test).any():
        raise InputError(
            f"Store {store.name!r} has no test values on {dataset!r}; scores are judged by the "
            "test accuracy of full trainings. Take another store or dataset."
        )
    architectures = [known_space.parse(text) for text in texts.tolist()]
    held = np.array([known_space.holds(one) for one in architectures])
    known = np.isfinite(test).any(axis=1) & held
    if known.sum() < FEWEST_ARCHITECTURES:
        raise InputError(
            f"Store {store.name!r} has {known.sum()} architectures of space {space!r} on "
            f"{dataset!r}; expected {FEWEST_ARCHITECTURES} or more to rank."
        )
    if counts(test[known]).max() < FEWEST_SEEDS:
        raise InputError(
            f"Store {store.name!r} has one seed of each architecture on {dataset!r}; expected "
            f"{FEWEST_SEEDS} or more, without which nothing says how high a correlation can be."
        )
    canonical = np.where(index.canonical_id == "", index.architecture, index.canonical_id)[first]
    truth = Truth(
        store=store.name,
        store_sha=store.sha,
        metric=store.metric.name,
        space=space,
        dataset=next(each for each in store.datasets if each.name == dataset),
        recipe=recipe,
        settings=dict(store.recipes[recipe]),
        architectures=tuple(architectures),
        classes=np.unique(canonical, return_inverse=True)[1],
        test=test,
        valid=valid,
        n_params=index.n_params[first],
        flops=index.flops[first],
    )
    return truth.select(np.flatnonzero(known))
