"""What a one-shot method may see: two parts of the training images, and a fixed scoring set.

Stand-alone *test* accuracy is what scores are judged by, so there is no test image in here. A
method that asks for ``landmarks`` is told the *validation* accuracy of some full trainings, and
these architectures are judged nowhere.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from nassim.datasets import ImageData
from nassim.errors import InputError
from nassim.generator.images import DeviceImages, to_device
from nassim.generator.recipe import Recipe
from nassim.records import Landmarks

__all__ = ["SearchData", "search_data"]

CALIBRATION_IMAGES = 1000


@dataclass(frozen=True, eq=False)
class SearchData:
    """Images of one dataset, prepared as its stand-alone networks saw them.

    - ``weights``: what weights are trained on (``train_w``).
    - ``architecture``: what everything else is trained on (``train_a``: mixtures, controllers,
      rewards); disjoint from ``weights``, empty where a method has no need of it.
    - ``scoring_x`` (n, channels, height, width), ``scoring_y`` (n,): the validation images that
      every architecture is scored on.
    - ``calibration`` (m, channels, height, width): augmented images of ``weights`` that batch-norm
      statistics are collected on, the same for every architecture.
    - ``landmarks``: full trainings that the method asked for; none by default.
    """

    recipe: Recipe
    weights: DeviceImages
    architecture: DeviceImages
    scoring_x: Tensor
    scoring_y: Tensor
    calibration: Tensor
    majority: float  # the share of the most frequent class in the scoring set
    landmarks: Landmarks = field(default_factory=Landmarks)

    @property
    def classes(self) -> int:
        return self.weights.classes

    def weight_batches(
        self, batch_size: int, rng: np.random.Generator
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """Augmented batches of ``weights`` without end, epoch after epoch."""
        return _batches(self.weights, self.recipe, batch_size, rng)

    def architecture_batches(
        self, batch_size: int, rng: np.random.Generator
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """Augmented batches of ``architecture`` without end, epoch after epoch."""
        return _batches(self.architecture, self.recipe, batch_size, rng)


def search_data(
    data: ImageData,
    recipe: Recipe,
    *,
    architecture_share: float = 0.0,
    landmarks: Landmarks | None = None,
    seed: int = 0,
    device: str = "cpu",
) -> SearchData:
    """Split the training images by ``seed``; the validation images are the scoring set.

    Parameters
    ----------
    data, recipe
        As the stand-alone networks were trained. The test images are dropped first of all.
    architecture_share
        The share of the training images, in [0, 1), that goes to ``architecture``.
    landmarks
        Full trainings that the method is told of.
    """
    if not 0 <= architecture_share < 1:
        raise InputError(
            f"architecture_share is {architecture_share}; expected a share from 0 to below 1."
        )
    sightless = dataclasses.replace(data, x_test=data.x_valid, y_test=data.y_valid)
    images = to_device(sightless, recipe, torch.device(device))
    images = dataclasses.replace(images, x_test=images.x_test[:0], y_test=images.y_test[:0])
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(images.y_train))
    cut = round(architecture_share * len(order))
    weights, architecture = (_subset(images, np.sort(part)) for part in (order[cut:], order[:cut]))
    pairs = dataclasses.replace(recipe, batch_size=2)  # an epoch of all images but an odd one
    scoring_x, scoring_y = images.valid
    return SearchData(
        recipe=recipe,
        weights=weights,
        architecture=architecture,
        scoring_x=scoring_x,
        scoring_y=scoring_y,
        calibration=weights.epoch(pairs, rng)[0][:CALIBRATION_IMAGES],
        majority=data.record.majority,
        landmarks=landmarks or Landmarks(),
    )


def _subset(images: DeviceImages, rows: np.ndarray) -> DeviceImages:
    """Some training images; the scoring set is not among what a part holds."""
    index = torch.from_numpy(rows).to(images.padded.device)
    return dataclasses.replace(
        images,
        padded=images.padded[index],
        y_train=images.y_train[index],
        x_valid=images.x_valid[:0],
        y_valid=images.y_valid[:0],
    )


def _batches(
    images: DeviceImages, recipe: Recipe, batch_size: int, rng: np.random.Generator
) -> Iterator[tuple[Tensor, Tensor]]:
    if not 2 <= batch_size <= len(images.y_train):
        raise InputError(
            f"A batch of {batch_size} was asked for; expected 2 to {len(images.y_train)}, the "
            "number of images in this part of the training set."
        )
    recipe = dataclasses.replace(recipe, batch_size=batch_size)
    while True:
        x, y = images.epoch(recipe, rng)
        yield from zip(torch.split(x, batch_size), torch.split(y, batch_size), strict=True)
