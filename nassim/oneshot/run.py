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
from nassim.generator.executors import choose_device
from nassim.generator.recipe import Recipe
from nassim.oneshot.base import Journal, OneShot, Point, Trained, check_space
from nassim.oneshot.batchnorm import BatchNormMode
from nassim.oneshot.data import search_data
from nassim.oneshot.scoring import Scores
from nassim.oneshot.supernet import build_supernet
from nassim.records import Architecture
from nassim.spaces.base import Space

__all__ = ["CHECKPOINTS", "OneShotRun", "run_one_shot"]

CHECKPOINTS = (0.75, 0.9)  # of a training, where scores are compared with those at its end


@dataclass(frozen=True, eq=False)
class OneShotRun:
    """What came of one training.

    - ``scores``: of all architectures, after the last of ``steps``.
    - ``checkpoints``: a step and the scores of the watched architectures then.
    - ``pick``: what the method would train; it may be none of the architectures.
    - ``costs``: ``images`` that went forward and back, ``scoring_images`` that went forward alone,
      ``train_seconds`` and ``score_seconds``.
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
    mode: BatchNormMode = "recal",
    seed: int = 0,
    device: str = "cpu",
) -> OneShotRun:
    """Train a supernet under the sizes of a recipe, and score architectures with it.

    Parameters
    ----------
    method, space, images, recipe
        What is trained, and on what; ``recipe`` is that of the stand-alone networks.
    architectures, watched
        Scored at the end, and at each of :data:`CHECKPOINTS`, where any are watched.
    mode
        Of the batch norms while architectures are scored.
    seed
        Of weights, of the split of the training images, and of the training. On one thread and one
        kind of machine it decides every number but the seconds.

    Raises
    ------
    InputError
        if the space has no supernet, or one that the method cannot train.
    """
    check_space(method, space)
    place = choose_device(device)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # the same numbers whatever the machine, and processes do not compete
    try:
        data = search_data(
            images,
            recipe,
            architecture_share=method.architecture_share,
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
        checkpoints: list[tuple[int, Scores]] = []
        pauses = 0.0

        def at_checkpoint(step: int, trained: Trained) -> None:
            nonlocal pauses
            paused = time.perf_counter()
            checkpoints.append((step, trained.score(watched, data, mode)))
            pauses += time.perf_counter() - paused

        journal = Journal(CHECKPOINTS if watched else (), at_checkpoint)
        began = time.perf_counter()
        trained = method.train(supernet, data, np.random.default_rng(seed), journal)
        ended = time.perf_counter()
        scores = trained.score(architectures, data, mode)
        pick = trained.pick(architectures, scores)
        scored = time.perf_counter()
    finally:
        torch.set_num_threads(threads)
    return OneShotRun(
        scores,
        journal.step,
        tuple(checkpoints),
        pick,
        tuple(journal.points),
        {
            "images": float(counter.trained),
            "scoring_images": float(counter.scored),
            "train_seconds": ended - began - pauses,
            "score_seconds": scored - ended,
        },
        data.majority,
    )


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
