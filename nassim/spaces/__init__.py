"""What can be searched. A space is one file and one line in ``SPACES``; no PyTorch here."""

from __future__ import annotations

from typing import cast

from nassim.loading import build, parse_specification
from nassim.spaces.base import Space

__all__ = ["SPACES", "Space", "get_space"]

SPACES: dict[str, str] = {
    "feedforward": "nassim.spaces.feedforward:FeedforwardSpace",
    "nasbench201": "nassim.spaces.nasbench201:NASBench201Space",
    "nasnet": "nassim.spaces.nasnet:NASNetSpace",
    "table": "nassim.spaces.table:TableSpace",
}


def get_space(name: str) -> Space:
    """The space of this name.

    >>> get_space("nasbench201").n_decisions
    6
    """
    return cast(Space, build(parse_specification(name, SPACES, "space"), "space"))
