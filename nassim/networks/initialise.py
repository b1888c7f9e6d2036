"""Initial weights, drawn from a generator that is passed in."""

from __future__ import annotations

import torch
from torch import nn

from nassim.networks.dropout import Dropout

__all__ = ["initialise"]


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
