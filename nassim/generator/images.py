"""Images as tensors that stay on the device, and augmentation of a whole epoch at once."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from nassim.datasets import ImageData
from nassim.generator.recipe import Recipe

__all__ = ["DeviceImages", "average_down", "to_device"]


@dataclass(frozen=True, eq=False)
class DeviceImages:
    """Normalised images of one dataset under one recipe; height, width and channels last.

    ``padded`` are the training images with ``recipe.shift`` zeros (the mean) around them.
    """

    padded: Tensor
    y_train: Tensor
    x_valid: Tensor
    y_valid: Tensor
    x_test: Tensor
    y_test: Tensor
    shape: tuple[int, int, int]
    classes: int
    may_flip: bool = True

    @property
    def valid(self) -> tuple[Tensor, Tensor]:
        """Validation inputs (n, channels, height, width) and labels."""
        return self.x_valid.permute(0, 3, 1, 2), self.y_valid

    @property
    def test(self) -> tuple[Tensor, Tensor]:
        """Test inputs (n, channels, height, width) and labels."""
        return self.x_test.permute(0, 3, 1, 2), self.y_test

    def epoch(self, recipe: Recipe, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
        """An epoch's training images (n, channels, height, width), channels last, and their labels.

        Shuffled, shifted, flipped and cut out by one gather: all random numbers are drawn here, so
        batches are only slices. What is left over by the batch size is left out.
        """
        n = len(self.y_train) // recipe.batch_size * recipe.batch_size
        height, width, _ = self.shape
        order = rng.permutation(len(self.y_train))[:n]
        rows = rng.integers(0, 2 * recipe.shift + 1, n)[:, None] + np.arange(height)
        columns = rng.integers(0, 2 * recipe.shift + 1, n)[:, None] + np.arange(width)
        if recipe.flip and self.may_flip:
            flipped = rng.random(n) < 0.5
            columns[flipped] = columns[flipped, ::-1]
        device = self.padded.device
        index = torch.from_numpy(order).to(device)
        x = self.padded[
            index[:, None, None],
            torch.from_numpy(rows).to(device)[:, :, None],
            torch.from_numpy(columns).to(device)[:, None, :],
        ]
        if recipe.cutout:
            kept = np.ones((n, height, width), bool)
            top = rng.integers(0, height, n)[:, None] - recipe.cutout // 2
            left = rng.integers(0, width, n)[:, None] - recipe.cutout // 2
            inside = [
                (np.arange(size) >= start) & (np.arange(size) < start + recipe.cutout)
                for size, start in ((height, top), (width, left))
            ]
            kept &= ~(inside[0][:, :, None] & inside[1][:, None, :])
            x = x * torch.from_numpy(kept).to(device)[..., None]
        return x.permute(0, 3, 1, 2), self.y_train[index]


def to_device(data: ImageData, recipe: Recipe, device: torch.device) -> DeviceImages:
    """Cap, average down, normalise by the training images' mean and deviation, and upload.

    Raises
    ------
    InputError
        if there are fewer training images than a batch needs.
    """
    recipe.check_fits(data.record)
    parts: list[Tensor] = []
    for images, labels, cap in (
        (data.x_train, data.y_train, recipe.n_train),
        (data.x_valid, data.y_valid, recipe.n_valid),
        (data.x_test, data.y_test, recipe.n_test),
    ):
        n = cap or len(images)
        x = torch.from_numpy(np.ascontiguousarray(images[:n])).float()
        parts += [average_down(x, recipe.resolution), torch.from_numpy(labels[:n].copy())]
    x_train = parts[0]
    mean = x_train.mean(dim=(0, 1, 2))
    deviation = x_train.std(dim=(0, 1, 2)).clamp_min(1e-6)
    for k in (0, 2, 4):
        parts[k] = (parts[k] - mean) / deviation
    margin = (0, 0, *(recipe.shift,) * 4)
    parts[0] = F.pad(parts[0], margin)
    _, height, width, channels = x_train.shape
    padded, y_train, x_valid, y_valid, x_test, y_test = (part.to(device) for part in parts)
    return DeviceImages(
        *(padded, y_train, x_valid, y_valid, x_test, y_test),
        shape=(height, width, channels),
        classes=data.record.classes,
        may_flip=data.may_flip,
    )


def average_down(x: Tensor, resolution: int) -> Tensor:
    """Images (n, height, width, channels) of at most ``resolution`` pixels a side (0: as they are).

    >>> average_down(torch.arange(4.0).reshape(1, 2, 2, 1), 1).flatten().tolist()
    [1.5]
    """
    height, width = x.shape[1:3]
    if resolution == 0 or max(height, width) <= resolution:
        return x
    size = (min(height, resolution), min(width, resolution))
    return F.adaptive_avg_pool2d(x.permute(0, 3, 1, 2), size).permute(0, 2, 3, 1).contiguous()
