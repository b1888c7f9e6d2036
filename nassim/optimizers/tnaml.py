"""NAML and T-NAML: a controller for many tasks, and its transfer to a new one.

Wong, Houlsby, Lu & Gesmundo, "Transfer learning with Neural AutoML", NeurIPS 2018,
arXiv 1803.02780.

A recurrent controller proposes architectures for several tasks at once. What it proposes depends
on the embedding of a task, which is learned with it. Tasks differ in how hard they are, so rewards
are normalised for each task: A = (R - b_t) / s_t, with moving means and deviations. To search a
new task, all weights of the trained controller are kept, a new task embedding is drawn, and
training goes on with rewards of the new task alone. NAML is the same controller without the past.

Where it differs. The body of the paper was not at hand (abstract, reviews and summaries were),
and no official code is known; what is not known is ours:

- the exact pool policy of ``controller.py``, where the paper trains whatever was sampled;
- the source tasks are replayed: the controller draws from recorded runs, and a draw costs nothing;
- sizes, learning rates, entropy and the number of steps; PPO's clipped ratio on the target (the
  paper's kind of policy gradient is not known).

``docs/methods/tnaml.md`` lists every difference.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from nassim.errors import InputError
from nassim.networks.threads import one_thread
from nassim.optimizers.base import (
    Candidates,
    Search,
    check_space,
    decisions_of,
    failed_as_worst,
)
from nassim.optimizers.controller import (
    CLIP_NORM,
    SCORE_DIGITS,
    Controller,
    PolicySearch,
    moving_statistics,
)
from nassim.optimizers.reinforce import Reinforce
from nassim.options import check_count, check_number
from nassim.records import Sources, SourceTask
from nassim.spaces import get_space

__all__ = ["NAML", "TNAML"]

SOURCE_POOL = 32  # runs of a source that are drawn from in a training step
SOURCE_BATCH = 8  # draws of a training step
SOURCE_RATE = 3e-3  # of Adam
SOURCE_DECAY = 0.9  # of the moving mean and deviation of a source's rewards, a step
SOURCE_MEMORY = 400  # newest rewards of which they are made; older ones weigh less than 1%


class NAML(Reinforce):
    """Neural AutoML: the controller learns a task from nothing; options as of :class:`Reinforce`.

    >>> from nassim.spaces import get_space
    >>> every = Candidates(list(get_space("nasbench201_3nodes").every()))
    >>> search = NAML().begin(every, np.random.default_rng(0))
    >>> asked = search.ask(3)
    >>> search.tell(asked[0], 1, 0.9)
    >>> len(set(asked + search.ask(122)))
    125
    """

    normalise: ClassVar[bool] = True
    tasks: ClassVar[int] = 1


class TNAML(NAML):
    """Transfer Neural AutoML: the controller of the other datasets learns one task more.

    Parameters
    ----------
    learning_rate, decay, entropy, batch, clip, width
        As of :class:`NAML`; the learning rate is that of the target.
    source_entropy
        Weight of the policy's entropy while it is trained on the sources. Advantages have
        deviation 1, so the best policy has log p = A / weight + constant: a small weight makes it
        draw the best source architectures alone.
    steps
        Training steps on the sources, each on one of them.

    Raises
    ------
    InputError
        if an option is out of its range.
    """

    uses_sources = True
    quick_options: ClassVar[Mapping[str, object]] = {**NAML.quick_options, "steps": 5}

    def __init__(
        self,
        learning_rate: float = 0.02,
        decay: float = 0.9,
        entropy: float = 1e-3,
        batch: int = 8,
        clip: float = 0.2,
        width: int = 32,
        source_entropy: float = 0.3,
        steps: int = 1000,
    ) -> None:
        super().__init__(learning_rate, decay, entropy, batch, clip, width)
        self.source_entropy = check_number("source_entropy", source_entropy)
        self.steps = check_count("steps", steps, least=0)
        self._fitted: tuple[Controller, str] | None = None  # and the space

    def fit(self, sources: Sources, seed: int) -> None:
        """Train the controller on the source datasets; same seed and sources, same controller.

        Raises
        ------
        InputError
            if there is no source dataset with two runs, or sources are of several spaces.
        """
        spaces = sorted({a.space for task in sources.tasks for a in task.architectures})
        if len(spaces) > 1:
            raise InputError(
                f"Source architectures are of spaces {', '.join(spaces)}; expected one space. "
                "Restrict the store to one with the option space."
            )
        tasks = [_Task.of(task) for task in sources.tasks if len(task.architectures) > 1]
        if not tasks:
            raise InputError(
                "T-NAML was given no source dataset with two runs or more; it learns from other "
                "datasets. Use a store with at least two datasets, or naml, which does not."
            )
        rng = np.random.default_rng(seed)
        n_choices = get_space(spaces[0]).n_choices
        controller = Controller(n_choices, len(tasks), self.width, rng)
        with one_thread():
            self._train(controller, tasks, rng)
        self._fitted = controller, spaces[0]

    def begin(self, candidates: Candidates, rng: np.random.Generator) -> Search:
        if self._fitted is None:
            raise InputError("T-NAML must be fitted on source datasets before it can search.")
        controller, space = self._fitted
        check_space(candidates, space)
        transferred = controller.with_new_task(rng)
        return PolicySearch(candidates, rng, transferred, controller.n_tasks, self.learning)

    def _train(self, controller: Controller, tasks: list[_Task], rng: np.random.Generator) -> None:
        adam = torch.optim.Adam(controller.parameters(), lr=SOURCE_RATE)
        for _ in range(self.steps):
            number = int(rng.integers(len(tasks)))
            task = tasks[number]
            pool = rng.permutation(len(task.values))[:SOURCE_POOL]
            log_pool = controller(task.decisions[pool], number).log_softmax(0)
            scores = log_pool.detach().numpy().round(SCORE_DIGITS)
            drawn = (scores + rng.gumbel(size=(SOURCE_BATCH, len(pool)))).argmax(axis=1)
            advantages = task.advantages(task.values[pool][drawn])
            loss = -(torch.from_numpy(advantages) * log_pool[drawn]).mean()
            entropy = -(log_pool.exp() * log_pool).sum()
            adam.zero_grad()
            (loss - self.source_entropy * entropy).backward()
            nn.utils.clip_grad_norm_(controller.parameters(), CLIP_NORM)
            adam.step()


@dataclass(eq=False)
class _Task:
    """A source that is replayed; ``rewards`` are those of its newest draws."""

    decisions: Tensor  # (runs, decisions)
    values: NDArray[np.float64]  # (runs,); a run without a finite quality is its worst
    rewards: NDArray[np.float64]

    @classmethod
    def of(cls, task: SourceTask) -> _Task:
        decisions = torch.from_numpy(decisions_of(task.architectures))
        return cls(decisions, failed_as_worst(task.values), np.zeros(0))

    def advantages(self, rewards: NDArray[np.float64]) -> NDArray[np.float64]:
        """Of new rewards (n,), with this task's moving mean and deviation."""
        self.rewards = np.concatenate([self.rewards, rewards])[-SOURCE_MEMORY:]
        mean, deviation = moving_statistics(self.rewards, SOURCE_DECAY ** (1 / SOURCE_BATCH))
        if deviation <= 1e-9 * float(np.abs(self.rewards).max()):
            return np.zeros(len(rewards))
        return (rewards - mean) / deviation
