"""REINFORCE: a recurrent controller that is trained by policy gradient.

Zoph & Le, "Neural architecture search with reinforcement learning", ICLR 2017, arXiv 1611.01578;
Zoph et al., "Learning transferable architectures", CVPR 2018, arXiv 1707.07012 (NASNet), with PPO.

Where it differs. The bodies of the papers were not at hand; the papers' values are from memory:

- the exact pool policy of ``controller.py`` (ours), where the papers train whatever was sampled;
- a step before each proposal, on the 8 newest runs, with PPO's clipped ratio of probabilities
  (papers: after 20 new ones). With a budget of 33 theirs would be one step;
- Adam 0.02 (NASNet: 3.5e-4, for 20,000 architectures), 32 units (100), entropy 1e-3 (1e-5),
  decay of the baseline 0.9 (0.95).

The advantage is the reward minus its moving average; the reward is the validation value itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import numpy as np

from nassim.optimizers.base import Candidates, Optimizer, Search, choices_of
from nassim.optimizers.controller import Controller, Learning, PolicySearch
from nassim.options import check_count

__all__ = ["Reinforce"]


class Reinforce(Optimizer):
    """Policy gradient with a recurrent controller; learns from what it is told, and nothing else.

    Parameters
    ----------
    learning_rate, decay, entropy, batch, clip
        See :class:`nassim.optimizers.controller.Learning`. ``batch=1`` is plain REINFORCE, one
        step a run.
    width
        Units of the controller's LSTM.

    Raises
    ------
    InputError
        if an option is out of its range.

    >>> from nassim.spaces import get_space
    >>> every = Candidates(list(get_space("nasbench201_3nodes").every()))
    >>> search = Reinforce().begin(every, np.random.default_rng(0))
    >>> asked = search.ask(3)
    >>> search.tell(asked[0], 1, 0.9)
    >>> len(set(asked + search.ask(122)))
    125
    """

    quick_options: ClassVar[Mapping[str, object]] = {"width": 4, "batch": 2}
    normalise: ClassVar[bool] = False  # rewards
    tasks: ClassVar[int] = 0  # of which the controller has an embedding

    def __init__(
        self,
        learning_rate: float = 0.02,
        decay: float = 0.9,
        entropy: float = 1e-3,
        batch: int = 8,
        clip: float = 0.2,
        width: int = 32,
    ) -> None:
        self.learning = Learning(
            learning_rate, decay, entropy, batch, clip, normalise=self.normalise
        )
        self.width = check_count("width", width)

    def begin(self, candidates: Candidates, rng: np.random.Generator) -> Search:
        controller = Controller(choices_of(candidates), self.tasks, self.width, rng)
        return PolicySearch(candidates, rng, controller, 0, self.learning)
