"""Noise that replaces what comes in (the operation ``noise`` of S4)."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

__all__ = ["Noise"]


class Noise(nn.Module):
    """A standard normal draw of the input's shape; the input is ignored, and gets no gradient.

    Draws are a function of ``seed``, which ``initialise`` sets, and of how often it was called in
    training (``calls``), never of torch's global generator. Both are buffers: a copy draws the
    same, and who puts buffers back, or calls with copies of them, draws the same again. In
    evaluation every batch meets the same draw, so that a score does not depend on earlier ones.

    >>> noise = Noise()
    >>> x = torch.zeros(500, 1, 2, 2)
    >>> first, second = noise(x), noise(x)
    >>> torch.equal(first, second), 0.9 < float(first.std()) < 1.1
    (False, True)
    >>> torch.equal(noise.eval()(x), noise(x))
    True
    """

    seed: Tensor
    calls: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("seed", torch.zeros((), dtype=torch.int64))
        self.register_buffer("calls", torch.zeros((), dtype=torch.int64))

    def forward(self, x: Tensor) -> Tensor:
        call = 0  # in evaluation
        if self.training:
            self.calls.add_(1)
            call = int(self.calls)
        # mixed, so that the second call of one module is not the first of its neighbour
        mixed = np.random.SeedSequence((int(self.seed), call)).generate_state(1, np.uint64)
        generator = torch.Generator(x.device).manual_seed(int(mixed[0]))
        # always contiguous: a generator fills other layouts in another order
        drawn = torch.empty(x.shape, device=x.device, dtype=x.dtype)
        return drawn.normal_(generator=generator)
