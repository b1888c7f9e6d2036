"""Initial weights, drawn from a generator that is passed in."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import nn

from nassim.networks.dropout import Dropout
from nassim.networks.noise import Noise

__all__ = ["draw_uniform", "initialise"]


def initialise(network: nn.Module, generator: torch.Generator) -> None:
    """He et al. (2015) for convolutions, a small uniform for linear layers, in place."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu", generator=generator)
        elif isinstance(module, nn.Linear):
            bound = module.in_features**-0.5
            nn.init.uniform_(module.weight, -bound, bound, generator=generator)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
        elif isinstance(module, Dropout):
            module.seed = int(torch.randint(2**62, (), generator=generator))
        elif isinstance(module, Noise):
            module.seed.fill_(int(torch.randint(2**62, (), generator=generator)))


@torch.no_grad()
def draw_uniform(network: nn.Module, rng: np.random.Generator) -> None:
    """Weights of n inputs uniform within 1 / sqrt(n), biases 0, in place.

    For the small networks that methods learn with: they have one generator, and it is NumPy's.
    """
    for parameter in network.parameters():
        bound = 1 / math.sqrt(parameter.shape[-1]) if parameter.ndim > 1 else 0.0
        drawn = rng.uniform(-bound, bound, tuple(parameter.shape))
        parameter.copy_(torch.from_numpy(drawn))
