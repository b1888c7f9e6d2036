"""What can be searched. A space is one file and one line in ``SPACES``; no PyTorch here."""

from __future__ import annotations

from typing import cast

from nassim.loading import build, parse_specification
from nassim.spaces.base import Space

__all__ = ["SPACES", "Space", "get_space"]

SPACES: dict[str, str] = {
    "darts": "nassim.spaces.darts:DARTSSpace",
    "elastic": "nassim.spaces.elastic:ElasticSpace",
    "elastic_tiny": "nassim.spaces.elastic:ElasticTinySpace",
    "feedforward": "nassim.spaces.feedforward:FeedforwardSpace",
    "nasbench101": "nassim.spaces.nasbench101:NASBench101Space",
    "nasbench201": "nassim.spaces.nasbench201:NASBench201Space",
    "nasbench201_3nodes": "nassim.spaces.nasbench201:NASBench201ThreeNodeSpace",
    "nasnet": "nassim.spaces.nasnet:NASNetSpace",
    "s1_tiny": "nassim.spaces.restricted:S1Space",
    "s1_tiny_3nodes": "nassim.spaces.restricted:S1ThreeNodeSpace",
    "s2_tiny": "nassim.spaces.restricted:S2Space",
    "s2_tiny_3nodes": "nassim.spaces.restricted:S2ThreeNodeSpace",
    "s3_tiny": "nassim.spaces.restricted:S3Space",
    "s3_tiny_3nodes": "nassim.spaces.restricted:S3ThreeNodeSpace",
    "s4_tiny": "nassim.spaces.restricted:S4Space",
    "s4_tiny_3nodes": "nassim.spaces.restricted:S4ThreeNodeSpace",
    "table": "nassim.spaces.table:TableSpace",
}


def get_space(name: str) -> Space:
    """The space of this name, with options behind it where it has some.

    >>> get_space("nasbench201").n_decisions
    6
    >>> import numpy as np
    >>> get_space("nasbench101:vertices=3").sample(np.random.default_rng(0)).id
    'conv3x3(0)|output(0,1)'
    """
    return cast(Space, build(parse_specification(name, SPACES, "space"), "space"))
