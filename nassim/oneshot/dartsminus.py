"""DARTS-: DARTS with a skip connection beside the operations, which fades away.

Chu et al., "DARTS-: Robustly Stepping out of Performance Collapse Without Indicators", ICLR 2021.
Skip connections win in DARTS also because they help all others to train. Here that help has a
connection of its own, no part of the choice: to the mixture of each edge its input is added, times
beta, which falls from ``auxiliary`` to 0 along a line. A mixture is scored without it.

- beta: the paper starts at 1; so does this.
- It falls with each step (paper: each epoch), and the last step still has a little of it.
- Edges: those of cells whose size stays the same, as in NAS-Bench-201. An input of another size
  than the output, as in reduction cells, could not be added to it (paper: a factorised reduction).
- What is searched, and how, is :mod:`nassim.oneshot.darts`, first order; ``auxiliary=0`` is that.
"""

from __future__ import annotations

import numpy as np

from nassim.errors import InputError
from nassim.oneshot.auxiliary import auxiliary
from nassim.oneshot.base import Journal, Trained, cosine
from nassim.oneshot.data import SearchData
from nassim.oneshot.mixture import (
    Mixture,
    MixtureSearch,
    alpha_step,
    mixture_loss,
    note,
    note_gap,
    small_alphas,
    weight_step,
)
from nassim.oneshot.supernet import Supernet

__all__ = ["DARTSMinus"]


class DARTSMinus(MixtureSearch):
    """DARTS with a skip connection on each edge that fades away (DARTS-)."""

    def __init__(
        self,
        auxiliary: float = 1.0,
        steps: int = 600,
        learning_rate: float = 0.025,
        alpha_rate: float = 0.03,
        batch_size: int = 64,
        warmup: float = 0.0,
    ) -> None:
        super().__init__(steps, learning_rate, alpha_rate, batch_size, warmup)
        if not isinstance(auxiliary, int | float) or not auxiliary >= 0:
            raise InputError(f"auxiliary is {auxiliary!r}; expected a number, 0 or more.")
        self.auxiliary = auxiliary

    def train(
        self, supernet: Supernet, data: SearchData, rng: np.random.Generator, journal: Journal
    ) -> Trained:
        mixture = Mixture(supernet, small_alphas(supernet, rng))
        weights = self.weight_optimizer(supernet, data.recipe)
        alphas = self.alpha_optimizer(mixture)
        supernet.train()
        batches = data.weight_batches(self.batch_size, rng)
        others = data.architecture_batches(self.batch_size, rng)
        with auxiliary(supernet) as beside:
            for step in range(1, self.steps + 1):
                beside.weight = self.auxiliary * (1 - (step - 1) / self.steps)
                batch, other = next(batches), next(others)
                if not self.frozen(step):
                    alpha_step(alphas, mixture_loss(supernet, mixture.gates(), other))
                rate = cosine(self.learning_rate, step - 1, self.steps)
                loss = weight_step(mixture, weights, rate, batch)
                note(journal, step, mixture, loss)
                journal.finished(step, self.steps, mixture)
        note_gap(journal, mixture, data)
        return mixture
