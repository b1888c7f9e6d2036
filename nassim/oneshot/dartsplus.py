"""DARTS+: DARTS that ends when its cell has too many skip connections.

Liang et al., "DARTS+: Improved Differentiable Architecture Search with Early Stopping", 2019. The
search ends at the first step whose discretised cell has ``max_skips``, the paper's first criterion;
its second one (a ranking of operations that no longer changes) is left out.

- Cell: the limit of two skips is that of a cell with eight edges. Cells here have three or six.
- Spaces whose edges have few operations: by chance alone half of the edges of ``s2_tiny`` are
  skips, so its first look may end the search. Where no edge has a skip it never ends early.
- When: after each step (paper: each epoch), and not before the end of a warm-up of 10% of the
  steps (ours: at first the alphas are chance, and chance can have two skips).
- What is searched, and how, is :mod:`nassim.oneshot.darts`, first order.
"""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from nassim.oneshot.base import Journal, Trained, cosine, positive
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

__all__ = ["DARTSPlus"]


class DARTSPlus(MixtureSearch):
    """DARTS that ends when its cell has too many skip connections (DARTS+)."""

    edgewise: ClassVar[bool] = False  # edges need not be decisions
    mixing: ClassVar[bool] = True

    def __init__(
        self,
        max_skips: int = 2,
        steps: int = 600,
        learning_rate: float = 0.025,
        alpha_rate: float = 0.03,
        batch_size: int = 64,
        warmup: float = 0.1,
    ) -> None:
        super().__init__(steps, learning_rate, alpha_rate, batch_size, warmup)
        positive(max_skips=max_skips)
        self.max_skips = max_skips

    def train(
        self, supernet: Supernet, data: SearchData, rng: np.random.Generator, journal: Journal
    ) -> Trained:
        mixture = Mixture(supernet, small_alphas(supernet, rng))
        weights = self.weight_optimizer(supernet, data.recipe)
        alphas = self.alpha_optimizer(mixture)
        supernet.train()
        batches = data.weight_batches(self.batch_size, rng)
        others = data.architecture_batches(self.batch_size, rng)
        for step in range(1, self.steps + 1):
            if not self.frozen(step):
                alpha_step(alphas, mixture_loss(supernet, mixture.gates(), next(others)))
            rate = cosine(self.learning_rate, step - 1, self.steps)
            loss = weight_step(mixture, weights, rate, next(batches))
            note(journal, step, mixture, loss)
            journal.finished(step, self.steps, mixture)
            skips = mixture.skips()
            if not self.frozen(step) and skips >= self.max_skips:
                journal.note(step, "stopped_at_skips", skips)
                break
        note_gap(journal, mixture, data)
        return mixture
