"""ASAP: a softmax that is annealed, and operations that are removed as they fall behind.

Noy et al., "ASAP: Architecture Search, Anneal and Prune", AISTATS 2020. The softmax has a
temperature that falls from 1.6 exponentially. Once it is below 1, the alphas move, and an operation
whose weight is below 0.4 over the number of an edge's living operations is removed for good, so
that steps get cheaper and nothing is left to discretise.

- Schedule: the temperature is 0.05 after 60% of the steps (ours; a public implementation has 0.95
  an epoch). Then each edge keeps its best operation (ours), because alphas that are close never
  fall behind; the weights train on.
- Steps: 600, the alphas' rate 0.03 (ours, as for the other methods here).
- ``none`` is removed before the first step (ours), because it is no choice in the end.
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
    small_alphas,
    weight_step,
)
from nassim.oneshot.supernet import Supernet

__all__ = ["ASAP", "AnnealedMixture"]

_FIRST, _GRACE, _LAST = 1.6, 1.0, 0.05  # temperatures


class ASAP(MixtureSearch):
    """An annealed softmax whose weakest operations are removed on the way (ASAP)."""

    edgewise: ClassVar[bool] = False  # edges need not be decisions
    mixing: ClassVar[bool] = True

    def __init__(
        self,
        threshold: float = 0.4,
        annealed: float = 0.6,
        steps: int = 600,
        learning_rate: float = 0.025,
        alpha_rate: float = 0.03,
        batch_size: int = 64,
    ) -> None:
        super().__init__(steps, learning_rate, alpha_rate, batch_size)
        for name, value in (("threshold", threshold), ("annealed", annealed)):
            if not isinstance(value, int | float) or not 0 < value <= 1:
                raise InputError(f"{name} is {value!r}; expected a share above 0, 1 at most.")
        self.threshold = threshold
        self.annealed = annealed

    def train(
        self, supernet: Supernet, data: SearchData, rng: np.random.Generator, journal: Journal
    ) -> Trained:
        mixture = AnnealedMixture(supernet, small_alphas(supernet, rng))
        weights = self.weight_optimizer(supernet, data.recipe)
        alphas = self.alpha_optimizer(mixture)
        supernet.train()
        batches = data.weight_batches(self.batch_size, rng)
        others = data.architecture_batches(self.batch_size, rng)
        for step in range(1, self.steps + 1):
            done = min(1.0, step / (self.annealed * self.steps))
            mixture.temperature.fill_(_FIRST * (_LAST / _FIRST) ** done)
            if mixture.temperature < _GRACE and not mixture.decided():
                alpha_step(alphas, mixture_loss(supernet, mixture.gates(), next(others)))
                mixture.prune(self.threshold if done < 1 else None)
            rate = cosine(self.learning_rate, step - 1, self.steps)
            loss = weight_step(mixture, weights, rate, next(batches))
            note(journal, step, mixture, loss)
            journal.note(step, "operations", float(mixture.alive.sum()))
            journal.finished(step, self.steps, mixture)
        note_gap(journal, mixture, data)
        return mixture


class AnnealedMixture(Mixture):
    """A softmax of alphas over a temperature, among the operations that are left."""

    temperature: Tensor

    def __init__(self, supernet: Supernet, alphas: Tensor) -> None:
        super().__init__(supernet, alphas)
        self.alive[self.offers("none")] = 0
        self.register_buffer("temperature", torch.tensor(_FIRST, device=alphas.device))

    def gates(self) -> Tensor:
        return torch.softmax(self.logits() / self.temperature, dim=1)

    def decided(self) -> bool:
        """Whether each edge has one operation left."""
        return bool((self.alive.sum(dim=1) == 1).all())

    def prune(self, threshold: float | None) -> None:
        """Remove what has less than the threshold over the living of its edge; the best stays.

        Without a threshold the best alone stays.
        """
        gates = self.gates().detach()
        best = torch.zeros_like(gates).scatter_(1, gates.argmax(dim=1, keepdim=True), 1.0)
        if threshold is None:
            self.alive.copy_(best)
            return
        passed = gates >= threshold / self.alive.sum(dim=1, keepdim=True)
        self.alive.mul_(torch.maximum(passed.float(), best))
