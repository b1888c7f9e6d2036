"""One training of a one-shot method, from a seed to scores: all that a study asks of torch."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
import torch
from torch import Tensor, nn

from nassim.datasets import ImageData
from nassim.errors import InputError
from nassim.generator.executors import choose_device
from nassim.generator.recipe import Recipe
from nassim.oneshot.base import OneShot, Point, Trained, check_space
from nassim.oneshot.batchnorm import BatchNormMode
from nassim.oneshot.data import search_data
from nassim.oneshot.memory import WatchedJournal, state_bytes
from nassim.oneshot.scoring import Scores
from nassim.oneshot.supernet import build_supernet
from nassim.records import Architecture, Landmarks
from nassim.spaces.base import Space

__all__ = ["CHECKPOINTS", "OneShotRun", "run_one_shot", "run_one_shot_in_modes"]

CHECKPOINTS = (0.75, 0.9)  # of a training, where scores are compared with those at its end


@dataclass(frozen=True, eq=False)
class OneShotRun:
    """What came of one training.

    - ``scores``: of all architectures, after the last of ``steps``.
    - ``checkpoints``: a step and the scores of the watched architectures then.
    - ``pick``: what the method would train; it may be none of the architectures.
    - ``costs``: ``images`` that went forward and back, ``scoring_images`` that went forward alone,
      ``train_seconds`` and ``score_seconds``; ``peak_saved_bytes`` and ``mean_saved_bytes`` for
      backward, of each seventh step (:mod:`nassim.oneshot.memory`), and ``state_bytes`` of all
      that was learned, statistics included.
    - ``chance``: the accuracy of always naming the most frequent class.
    """

    scores: Scores
    steps: int
    checkpoints: tuple[tuple[int, Scores], ...]
    pick: Architecture
    trace: tuple[Point, ...]
    costs: dict[str, float]
    chance: float


def run_one_shot(
    method: OneShot,
    space: Space,
    images: ImageData,
    recipe: Recipe,
    architectures: Sequence[Architecture],
    watched: Sequence[Architecture],
    *,
    landmarks: Landmarks | None = None,
    mode: BatchNormMode = "recal",
    seed: int = 0,
    device: str = "cpu",
) -> OneShotRun:
    """:func:`run_one_shot_in_modes` with one mode."""
    (run,) = run_one_shot_in_modes(
        method,
        space,
        images,
        recipe,
        architectures,
        watched,
        landmarks=landmarks,
        modes=(mode,),
        seed=seed,
        device=device,
    )
    return run


def run_one_shot_in_modes(
    method: OneShot,
    space: Space,
    images: ImageData,
    recipe: Recipe,
    architectures: Sequence[Architecture],
    watched: Sequence[Architecture],
    *,
    landmarks: Landmarks | None = None,
    modes: Sequence[BatchNormMode],
    seed: int = 0,
    device: str = "cpu",
) -> tuple[OneShotRun, ...]:
    """Train a supernet under the sizes of a recipe, and score architectures with it.

    It is trained once, whatever the number of modes; there is a run for each of them.

    Parameters
    ----------
    method, space, images, recipe
        What is trained, and on what; ``recipe`` is that of the stand-alone networks.
    architectures, watched
        Scored at the end, and at each of :data:`CHECKPOINTS`, where any are watched.
    landmarks
        Full trainings that the method is told of, as many as it asks for. None of them should be
        among ``architectures``.
    modes
        Of the batch norms while architectures are scored.
    seed
        Of weights, of the split of the training images, and of the training. On one thread and one
        kind of machine it decides every number but the seconds.

    Raises
    ------
    InputError
        if the space has no supernet, or one that the method cannot train; if there are more or
        fewer landmarks than the method asks for.
    """
    check_space(method, space)
    landmarks = landmarks or Landmarks()
    if len(landmarks) != method.landmarks:
        raise InputError(
            f"{len(landmarks)} landmarks are given; expected {method.landmarks}, as many as "
            f"{type(method).__name__} asks for."
        )
    place = choose_device(device)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # the same numbers whatever the machine, and processes do not compete
    try:
        data = search_data(
            images,
            recipe,
            architecture_share=method.architecture_share,
            landmarks=landmarks,
            seed=seed,
            device=place,
        )
        supernet = build_supernet(
            space,
            channels=recipe.channels,
            cells=recipe.cells,
            skeleton=recipe.skeleton,
            classes=data.classes,
            inputs=images.record.shape[-1],
            affine=method.affine,
            generator=torch.Generator().manual_seed(seed),
        ).to(place)
        counter = _ImageCounter(supernet.stem)
        checkpoints: dict[BatchNormMode, list[tuple[int, Scores]]] = {mode: [] for mode in modes}
        scored = dict.fromkeys(modes, 0)  # images
        pauses = 0.0

        def at_checkpoint(step: int, trained: Trained) -> None:
            nonlocal pauses
            paused = time.perf_counter()
            for mode in modes:
                before = counter.scored
                checkpoints[mode].append((step, trained.score(watched, data, mode)))
                scored[mode] += counter.scored - before
            pauses += time.perf_counter() - paused

        journal = WatchedJournal(CHECKPOINTS if watched else (), at_checkpoint)
        began = time.perf_counter()
        with journal:
            trained = method.train(supernet, data, np.random.default_rng(seed), journal)
        costs = {
            "images": float(counter.trained),
            "train_seconds": time.perf_counter() - began - pauses,
            "peak_saved_bytes": float(max(journal.peaks)),
            "mean_saved_bytes": float(np.mean(journal.peaks)),
            "state_bytes": float(state_bytes(trained)),
        }
        of_training = counter.scored - sum(scored.values())  # of every mode, whichever is asked for
        runs = []
        for mode in modes:
            before, began = counter.scored, time.perf_counter()
            scores = trained.score(architectures, data, mode)
            pick = trained.pick(architectures, scores)
            seconds = time.perf_counter() - began
            images_scored = of_training + scored[mode] + counter.scored - before
            more = {"scoring_images": float(images_scored), "score_seconds": seconds}
            runs.append(
                OneShotRun(
                    scores,
                    journal.step,
                    tuple(checkpoints[mode]),
                    pick,
                    tuple(journal.points),
                    costs | more,
                    data.majority,
                )
            )
    finally:
        torch.set_num_threads(threads)
    return tuple(runs)


class _ImageCounter:
    """Counts images that pass a layer, those that are learned from apart from the others.

    What a copy of the layer sees is counted here too: a method may train copies of its supernet.
    """

    def __init__(self, layer: nn.Module) -> None:
        self.trained = self.scored = 0
        layer.register_forward_pre_hook(self._count)

    def _count(self, _layer: nn.Module, inputs: tuple[Tensor]) -> None:
        if torch.is_grad_enabled():
            self.trained += len(inputs[0])
        else:
            self.scored += len(inputs[0])

    def __deepcopy__(self, _memo: dict[int, object]) -> Self:
        return self
