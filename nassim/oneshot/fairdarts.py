"""FairDARTS: operations that do not compete, and a loss that drives each weight to zero or one.

Chu et al., "Fair DARTS: Eliminating Unfair Advantages in Differentiable Architecture Search", ECCV
2020. Weights are sigmoids of the alphas, which begin at zero. The alphas' loss has a term more,
``weight`` times minus the mean of (sigmoid - 0.5) squared; first order.

- Steps: 600, the alphas' rate 0.03 (paper: 50 epochs, 3e-3). Weights begin at 0.025 (paper: 0.005)
  with batches of 64 (paper: 128), as DARTS here. Adam's betas are 0.9 and 0.999, as the paper's.
- Operations: ``none`` is not among the paper's. Here it has an alpha that rests, where it is
  offered.
- Discretise: an edge keeps its best operation if its weight is above ``threshold``, else it is
  ``none``; the paper keeps at most two edges a node. Where no edge of the cell passes, each keeps
  its best (ours), because a cell that computes nothing is no choice. An edge that offers no
  ``none`` keeps its best whatever its weight (ours).
"""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from nassim.errors import InputError
from nassim.oneshot.base import Journal, Trained, cosine
from nassim.oneshot.data import SearchData
from nassim.oneshot.mixture import (
    Mixture,
    MixtureSearch,
    alpha_step,
    mixture_loss,
    note,
    note_gap,
    share,
    small_alphas,
    weight_step,
)
from nassim.oneshot.supernet import Supernet
from nassim.records import Architecture

__all__ = ["FairDARTS", "zero_one_loss"]


class FairDARTS(MixtureSearch):
    """Operations weighted by sigmoids that are driven to zero or one (FairDARTS)."""

    betas: ClassVar[tuple[float, float]] = (0.9, 0.999)

    def __init__(
        self,
        weight: float = 10.0,
        threshold: float = 0.85,
        steps: int = 600,
        learning_rate: float = 0.025,
        alpha_rate: float = 0.03,
        batch_size: int = 64,
        warmup: float = 0.0,
    ) -> None:
        super().__init__(steps, learning_rate, alpha_rate, batch_size, warmup)
        if not isinstance(weight, int | float) or weight < 0:
            raise InputError(f"weight is {weight!r}; expected a number from 0 on.")
        share("threshold", threshold)
        self.weight = weight
        self.threshold = threshold

    def train(
        self, supernet: Supernet, data: SearchData, rng: np.random.Generator, journal: Journal
    ) -> Trained:
        start = torch.zeros_like(small_alphas(supernet, rng))
        mixture = FairMixture(supernet, start, self.threshold)
        weights = self.weight_optimizer(supernet, data.recipe)
        alphas = self.alpha_optimizer(mixture)
        supernet.train()
        batches = data.weight_batches(self.batch_size, rng)
        others = data.architecture_batches(self.batch_size, rng)
        for step in range(1, self.steps + 1):
            if not self.frozen(step):
                gates = mixture.gates()
                loss = mixture_loss(supernet, gates, next(others))
                push = zero_one_loss(gates[mixture.counted()])
                alpha_step(alphas, loss + self.weight * push)
            rate = cosine(self.learning_rate, step - 1, self.steps)
            train_loss = weight_step(mixture, weights, rate, next(batches))
            note(journal, step, mixture, train_loss)
            journal.finished(step, self.steps, mixture)
        note_gap(journal, mixture, data)
        return mixture


class FairMixture(Mixture):
    """Each operation's weight is a sigmoid of its own alpha; ``none`` has none."""

    threshold: Tensor

    def __init__(self, supernet: Supernet, alphas: Tensor, threshold: float) -> None:
        super().__init__(supernet, alphas)
        self.alive[self.offers("none")] = 0
        self.register_buffer("threshold", torch.tensor(threshold))

    def gates(self) -> Tensor:
        return torch.sigmoid(self.logits())

    def counted(self) -> Tensor:
        """Where operations are that the loss drives: all but ``none``."""
        return ~self.offers("none")

    def discretise(self) -> Architecture:
        """The best operation of each edge, or ``none`` where the best is below the threshold."""
        best = super().discretise()
        passed = (self.gates().detach().amax(dim=1) >= self.threshold).tolist()
        if not any(passed):
            return best
        none = self.supernet.offers("none")
        kept = (
            op if ok or not row.any() else int(row.int().argmax())
            for op, ok, row in zip(best.decisions, passed, none, strict=True)
        )
        return self.supernet.space.architecture(tuple(kept))


def zero_one_loss(gates: Tensor) -> Tensor:
    """Minus the mean squared distance of weights from a half.

    >>> float(zero_one_loss(torch.tensor([1.0, 0.5, 0.5, 0.5])))
    -0.0625
    """
    return -(gates - 0.5).square().mean()
