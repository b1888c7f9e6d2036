"""Mixtures that run on a part of the channels, with a part of the weights (PC-DARTS)."""

from __future__ import annotations

from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nassim.networks.nasnet import FactorizedReduction, halved, shifted

__all__ = ["first_channels", "shuffle"]


def first_channels(option: nn.Module, x: Tensor) -> Tensor:
    """An operation on fewer channels than it is made for, with the first of its weights.

    ``x`` is (n, channels, height, width); statistics of these channels alone move. Equal to the
    operation itself where ``x`` has all channels.
    """
    if isinstance(option, nn.Sequential):
        for layer in option:
            x = first_channels(layer, x)
        return x
    if isinstance(option, FactorizedReduction):
        half = x.shape[1] // 2
        even = _convolved(option.even, halved(x), half)
        odd = _convolved(option.odd, halved(shifted(x)), x.shape[1] - half)
        return _normalised(option.norm, torch.cat([even, odd], dim=1))
    if isinstance(option, nn.Conv2d):
        return _convolved(option, x, x.shape[1])
    if isinstance(option, nn.BatchNorm2d):
        return _normalised(option, x)
    return cast(Tensor, option(x))  # what has no weights


def _convolved(conv: nn.Conv2d, x: Tensor, outputs: int) -> Tensor:
    """A dense or a depthwise convolution, to so many channels."""
    assert not isinstance(conv.padding, str)
    n = x.shape[1]
    groups = 1 if conv.groups == 1 else n
    weight = conv.weight[:outputs, : n // groups]
    return F.conv2d(x, weight, None, conv.stride, conv.padding, conv.dilation, groups)


def _normalised(norm: nn.BatchNorm2d, y: Tensor) -> Tensor:
    assert norm.running_mean is not None
    assert norm.running_var is not None
    assert norm.num_batches_tracked is not None
    n = y.shape[1]
    if norm.training:
        with torch.no_grad():
            norm.num_batches_tracked.add_(1)
    # without a momentum the statistics are the plain average over batches, as torch has it
    momentum = norm.momentum or 1 / max(1, int(norm.num_batches_tracked))
    return F.batch_norm(
        y,
        norm.running_mean[:n],
        norm.running_var[:n],
        norm.weight[:n] if norm.affine else None,
        norm.bias[:n] if norm.affine else None,
        norm.training,
        momentum,
        norm.eps,
    )


def shuffle(x: Tensor, groups: int) -> Tensor:
    """Interleave the channels of so many groups, so that the next edge sees some of each.

    >>> shuffle(torch.arange(6).reshape(1, 6, 1, 1), 2).flatten().tolist()
    [0, 3, 1, 4, 2, 5]
    """
    n, channels, height, width = x.shape
    return x.reshape(n, groups, channels // groups, height, width).transpose(1, 2).reshape(x.shape)
