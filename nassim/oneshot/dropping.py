"""Dropout of single operations of a supernet, while it is trained."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor, nn

from nassim.oneshot.mixed import MixedOp
from nassim.oneshot.supernet import Supernet

__all__ = ["Dropping", "dropping"]


class Dropping:
    """A forward hook that zeroes outputs with probability ``rate``; the rest grow to make up.

    ``whole`` drops all of an image's output (drop-path), otherwise single values (dropout).
    """

    def __init__(self, generator: torch.Generator, *, whole: bool) -> None:
        self.generator = generator
        self.whole = whole
        self.rate = 0.0

    def __call__(self, option: nn.Module, _inputs: tuple[Tensor], y: Tensor) -> Tensor:
        if not option.training or self.rate == 0:
            return y
        shape = (len(y), 1, 1, 1) if self.whole else y.shape
        kept = torch.empty(shape, device=y.device, dtype=y.dtype)
        kept.bernoulli_(1 - self.rate, generator=self.generator)
        return y * kept.div_(1 - self.rate)


@contextmanager
def dropping(
    supernet: Supernet, names: Collection[str], rng: np.random.Generator, *, whole: bool
) -> Iterator[Dropping]:
    """Inside, outputs of the operations of these names are dropped at a ``rate`` that one sets.

    The rate begins at 0. Nothing is dropped in evaluation mode.
    """
    device = next(supernet.parameters()).device
    generator = torch.Generator(device).manual_seed(int(rng.integers(2**31)))
    hook = Dropping(generator, whole=whole)
    handles = [
        option.register_forward_hook(hook)
        for module in supernet.modules()
        if isinstance(module, MixedOp)
        for name, option in module.options.items()
        if name in names
    ]
    try:
        yield hook
    finally:
        for handle in handles:
            handle.remove()
