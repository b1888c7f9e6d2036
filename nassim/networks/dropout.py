"""Dropout (Srivastava et al. 2014) that draws from a generator of its own, not torch's global."""

from __future__ import annotations

import torch
from torch import Tensor, nn

__all__ = ["Dropout"]


class Dropout(nn.Module):
    """In training each value is zero with probability ``rate``, and the rest grow to make up.

    ``seed`` decides which; ``initialise`` sets it.

    >>> dropped = Dropout(0.5)(torch.ones(1000))
    >>> dropped.unique(), 400 < int((dropped == 0).sum()) < 600
    (tensor([0., 2.]), True)
    """

    def __init__(self, rate: float) -> None:
        super().__init__()
        self.rate = rate
        self.seed = 0
        self.generator: torch.Generator | None = None

    def forward(self, x: Tensor) -> Tensor:
        if not self.training or self.rate == 0:
            return x
        if self.generator is None:  # only now, as it belongs to a device
            self.generator = torch.Generator(x.device).manual_seed(self.seed)
        kept = torch.empty_like(x).bernoulli_(1 - self.rate, generator=self.generator)
        return x * kept.div_(1 - self.rate)
