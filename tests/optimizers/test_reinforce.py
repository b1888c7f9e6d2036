"""REINFORCE, as a whole; its controller has tests of its own."""

from __future__ import annotations

import numpy as np
import pytest

from nassim.errors import InputError
from nassim.optimizers.base import Candidates
from nassim.optimizers.random_search import RandomSearch
from nassim.optimizers.reinforce import Reinforce
from nassim.spaces import get_space

EVERY = list(get_space("nasbench201_3nodes").every())
# each edge has its good operation; the best architecture is (3, 1, 4)
VALUES = np.array([sum(a.decisions[k] == op for k, op in enumerate((3, 1, 4))) for a in EVERY]) / 3


def mean_value(optimizer: RandomSearch | Reinforce, seed: int, scale: float = 1.0) -> float:
    """Of the 20 candidates that were proposed after the first 20."""
    policy = optimizer.begin(Candidates(EVERY), np.random.default_rng(seed))
    order = []
    for _ in range(40):
        (asked,) = policy.ask(1)
        policy.tell(asked, 1, scale * float(VALUES[asked]))
        order.append(asked)
    return float(VALUES[order[20:]].mean())


def test_it_finds_better_ones_than_chance_and_not_without_reward() -> None:
    learned = np.mean([mean_value(Reinforce(width=8), seed) for seed in range(4)])
    chance = np.mean([mean_value(RandomSearch(), seed) for seed in range(4)])
    nothing = np.mean([mean_value(Reinforce(width=8), seed, scale=0.0) for seed in range(4)])
    assert learned > chance + 0.08
    assert nothing < chance + 0.08


@pytest.mark.parametrize(
    "options", [{"learning_rate": 0}, {"decay": 1.5}, {"batch": 0}, {"width": 0}, {"entropy": -1}]
)
def test_options_out_of_range_are_refused(options: dict[str, float]) -> None:
    with pytest.raises(InputError, match=f"{next(iter(options))} is"):
        Reinforce(**options)  # type: ignore[arg-type]
