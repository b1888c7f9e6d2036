"""Features as tensors that stay on the device; an epoch is a shuffled copy."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from nassim.datasets import FeatureData
from nassim.generator.recipe import Recipe

__all__ = ["DeviceFeatures", "to_device"]


@dataclass(frozen=True, eq=False)
class DeviceFeatures:
    """Features (n, features) of one dataset under one recipe, brought to one scale."""

    x_train: Tensor
    y_train: Tensor
    x_valid: Tensor
    y_valid: Tensor
    x_test: Tensor
    y_test: Tensor
    shape: tuple[int]
    classes: int

    @property
    def valid(self) -> tuple[Tensor, Tensor]:
        """Validation inputs (n, features) and labels."""
        return self.x_valid, self.y_valid

    @property
    def test(self) -> tuple[Tensor, Tensor]:
        """Test inputs (n, features) and labels."""
        return self.x_test, self.y_test

    def epoch(self, recipe: Recipe, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
        """An epoch's training features (n, features), shuffled, and their labels.

        What is left over by the batch size is left out.
        """
        n = len(self.y_train) // recipe.batch_size * recipe.batch_size
        order = rng.permutation(len(self.y_train))[:n]
        index = torch.from_numpy(order).to(self.x_train.device)
        return self.x_train[index], self.y_train[index]


def to_device(data: FeatureData, recipe: Recipe, device: torch.device) -> DeviceFeatures:
    """Cap, scale by what the training features say (see ``FeatureData``), and upload.

    Raises
    ------
    InputError
        if there are fewer training rows than a batch needs, or the recipe is one for images.
    """
    recipe.check_fits(data.record)
    parts: list[Tensor] = []
    for features, labels, cap in (
        (data.x_train, data.y_train, recipe.n_train),
        (data.x_valid, data.y_valid, recipe.n_valid),
        (data.x_test, data.y_test, recipe.n_test),
    ):
        n = cap or len(features)
        parts += [torch.from_numpy(features[:n].copy()), torch.from_numpy(labels[:n].copy())]
    x_train = parts[0]
    if data.by_column:
        mean = x_train.mean(dim=0)
        scale = x_train.std(dim=0).clamp_min(1e-6)
    else:
        mean = torch.zeros(())
        scale = x_train.square().mean().sqrt()
    for k in (0, 2, 4):
        parts[k] = (parts[k] - mean) / scale
    x_train, y_train, x_valid, y_valid, x_test, y_test = (part.to(device) for part in parts)
    return DeviceFeatures(
        *(x_train, y_train, x_valid, y_valid, x_test, y_test),
        shape=(int(x_train.shape[1]),),
        classes=data.record.classes,
    )
