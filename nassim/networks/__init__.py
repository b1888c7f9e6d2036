"""From an architecture to a PyTorch module. A space's networks are one file and one line."""

from __future__ import annotations

from typing import Any, cast

import torch
from torch import nn

from nassim.errors import InputError, unknown_name
from nassim.loading import load
from nassim.networks.count import count_multiply_adds, count_parameters
from nassim.networks.initialise import initialise
from nassim.records import Architecture
from nassim.spaces import get_space

__all__ = [
    "NETWORKS",
    "build_network",
    "count_multiply_adds",
    "count_parameters",
]

NETWORKS: dict[str, str] = {
    "darts": "nassim.networks.darts:DARTSNetwork",
    "elastic": "nassim.networks.elastic:ElasticNetwork",
    "elastic_tiny": "nassim.networks.elastic:ElasticNetwork",
    "feedforward": "nassim.networks.feedforward:FeedforwardNetwork",
    "nasbench101": "nassim.networks.nasbench101:NASBench101Network",
    "nasbench201": "nassim.networks.nasbench201:NASBench201Network",
    "nasbench201_3nodes": "nassim.networks.nasbench201:NASBench201Network",
    "nasnet": "nassim.networks.nasnet:NASNetNetwork",
    "s1_tiny": "nassim.networks.nasbench201:NASBench201Network",
    "s1_tiny_3nodes": "nassim.networks.nasbench201:NASBench201Network",
    "s2_tiny": "nassim.networks.nasbench201:NASBench201Network",
    "s2_tiny_3nodes": "nassim.networks.nasbench201:NASBench201Network",
    "s3_tiny": "nassim.networks.nasbench201:NASBench201Network",
    "s3_tiny_3nodes": "nassim.networks.nasbench201:NASBench201Network",
    "s4_tiny": "nassim.networks.nasbench201:NASBench201Network",
    "s4_tiny_3nodes": "nassim.networks.nasbench201:NASBench201Network",
}


def build_network(
    architecture: Architecture,
    *,
    channels: int,
    cells: int,
    classes: int,
    input_shape: tuple[int, ...],
    skeleton: str = "",
    generator: torch.Generator | None = None,
) -> nn.Module:
    """The network of an architecture: inputs to scores (n, classes).

    Inputs are images (n, channels, height, width) or features (n, features); ``input_shape`` is
    (height, width, channels) or (features,), as in a dataset's record. ``channels`` is the width
    of the first stage, ``cells`` the number of normal cells a stage; both are for images only.
    ``skeleton`` is for spaces ``nasnet`` and ``darts`` (see ``StackedCells``; empty: its own).
    Weights are drawn from ``generator`` (seed 0 where none is given), never from torch's global
    one. A network may have a method ``fit_embedding``, to be called with the training features
    (n, features) before training, and a ``learning_rate_factor``.

    >>> from nassim.spaces import get_space
    >>> conv = get_space("nasbench201").architecture((3, 0, 0, 0, 0, 0))
    >>> network = build_network(conv, channels=4, cells=1, classes=10, input_shape=(8, 8, 1))
    >>> network(torch.zeros(2, 1, 8, 8)).shape
    torch.Size([2, 10])

    Raises
    ------
    UnknownNameError
        if the architecture's space has no networks.
    InputError
        if a number is below 1, or the space has no networks for such inputs or with skeletons.
    """
    if architecture.space not in NETWORKS:
        raise unknown_name("space with networks", architecture.space, NETWORKS)
    space = get_space(architecture.space)
    space.check_input(input_shape)
    numbers = {"channels": channels, "cells": cells, "classes": classes}
    sizes = zip(space.input_sizes, input_shape, strict=True)
    numbers |= {f"input {name}": size for name, size in sizes}
    for name, value in numbers.items():
        if value < 1:
            raise InputError(f"A network cannot have {name} {value}; expected 1 or more.")
    if skeleton and not space.has_skeleton:
        raise InputError(
            f"Networks of space {architecture.space!r} have one skeleton; {skeleton!r} was given. "
            "Leave it out, or take space 'nasnet' or 'darts'."
        )
    cls = load(NETWORKS[architecture.space])
    sizes_and_order: dict[str, Any] = {"channels": channels, "cells": cells, "classes": classes}
    if skeleton:
        sizes_and_order["skeleton"] = skeleton
    network = cast(nn.Module, cls(architecture, inputs=input_shape[-1], **sizes_and_order))
    if generator is None:
        generator = torch.Generator().manual_seed(0)
    initialise(network, generator)
    return network
