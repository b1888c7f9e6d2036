"""Which statistics batch norms use while an architecture is scored: the first cause of wrong ranks.

Running statistics were collected while other architectures ran, so they fit none. ``recal``
collects them anew for the one that is scored, on training images; ``batch`` takes those of the
images that are scored; ``running`` takes them as training left them, which is right only where
all operations always ran.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal, get_args

import torch
from torch import Tensor, nn

from nassim.errors import InputError
from nassim.oneshot.mixed import Gates
from nassim.oneshot.supernet import Supernet

__all__ = ["BN_MODES", "BatchNormMode", "scoring_mode"]

BatchNormMode = Literal["recal", "batch", "running"]
BN_MODES: tuple[BatchNormMode, ...] = get_args(BatchNormMode)
_BATCH = 200  # images that statistics are averaged over at a time


@contextmanager
def scoring_mode(
    supernet: Supernet, mode: BatchNormMode, gates: Gates, calibration: Tensor
) -> Iterator[None]:
    """Score inside; afterwards the supernet is as it was, statistics and modes included.

    Parameters
    ----------
    supernet, gates
        What is scored.
    mode
        See the module.
    calibration
        Training images (n, channels, height, width) that ``recal`` collects statistics on: the
        average over batches of 200.

    Raises
    ------
    InputError
        if there is no such mode.
    """
    if mode not in BN_MODES:
        raise InputError(f"bn_mode is {mode!r}; expected one of {', '.join(BN_MODES)}.")
    norms = [module for module in supernet.modules() if isinstance(module, nn.BatchNorm2d)]
    buffers = dict(supernet.named_buffers())
    kept = {name: buffer.clone() for name, buffer in buffers.items()}
    momenta = [norm.momentum for norm in norms]
    was_training = supernet.training
    supernet.eval()
    try:
        if mode != "running":
            for norm in norms:
                norm.train()
        if mode == "recal":
            for norm in norms:
                norm.reset_running_stats()
                norm.momentum = None  # the plain average over batches
            with torch.no_grad():
                for batch in torch.split(calibration, _BATCH):
                    supernet(batch, gates)
            supernet.eval()
        yield
    finally:
        supernet.train(was_training)
        for norm, momentum in zip(norms, momenta, strict=True):
            norm.momentum = momentum
        with torch.no_grad():
            for name, buffer in buffers.items():
                buffer.copy_(kept[name])
