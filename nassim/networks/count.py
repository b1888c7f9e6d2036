"""How large a network is."""

from __future__ import annotations

import torch
from torch import nn

__all__ = ["count_multiply_adds", "count_parameters"]


def count_parameters(network: nn.Module) -> int:
    """The number of trained weights.

    >>> count_parameters(nn.Linear(3, 2))
    8
    """
    return sum(weights.numel() for weights in network.parameters() if weights.requires_grad)


def count_multiply_adds(network: nn.Module, input_shape: tuple[int, ...]) -> int:
    """Multiply-adds of convolutions and linear layers for one input.

    ``input_shape`` is (height, width, channels) of an image, or (features,).

    Additions, poolings and normalisations are not counted, as is usual.

    >>> count_multiply_adds(nn.Conv2d(1, 2, 3, padding=1), (4, 4, 1))
    288
    """
    counted = []

    def count(module: nn.Module, inputs: tuple[torch.Tensor, ...], output: torch.Tensor) -> None:
        if isinstance(module, nn.Conv2d):
            counted.append(output[0].numel() * module.weight[0].numel())
        else:
            counted.append(inputs[0].shape[-1] * output.shape[-1])

    layers = [m for m in network.modules() if isinstance(m, nn.Conv2d | nn.Linear)]
    hooks = [layer.register_forward_hook(count) for layer in layers]
    *places, channels = input_shape
    was_training = network.training
    network.eval()
    try:
        with torch.no_grad():
            device = next(network.parameters()).device
            network(torch.zeros(1, channels, *places, device=device))
    finally:
        network.train(was_training)
        for hook in hooks:
            hook.remove()
    return sum(counted)
