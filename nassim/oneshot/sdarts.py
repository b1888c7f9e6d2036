"""SDARTS: the weights are trained under alphas that are shaken, so that the loss around is smooth.

Chen & Hsieh, "Stabilizing Differentiable Architecture Search via Perturbation-based
Regularization", ICML 2020; its random smoothing (SDARTS-RS). Each step of the weights adds uniform
noise in [-epsilon, epsilon] to the alphas, which themselves move as in DARTS, without noise. The
paper's other variant, noise that an attack finds (SDARTS-ADV), is left out.

- epsilon: grows from 0 along a line; to 0.3 at the end (from memory of the paper).
- The body of the paper was not at hand; noise is added to the alphas, before their softmax.
- It is drawn from a generator of its own, so that ``epsilon=0`` is :mod:`nassim.oneshot.darts`,
  first order, which is how all else is done.
"""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import torch

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

__all__ = ["SDARTS"]


class SDARTS(MixtureSearch):
    """DARTS whose weights are trained under shaken alphas (SDARTS-RS)."""

    edgewise: ClassVar[bool] = False  # edges need not be decisions
    mixing: ClassVar[bool] = True

    def __init__(
        self,
        epsilon: float = 0.3,
        steps: int = 600,
        learning_rate: float = 0.025,
        alpha_rate: float = 0.03,
        batch_size: int = 64,
        warmup: float = 0.0,
    ) -> None:
        super().__init__(steps, learning_rate, alpha_rate, batch_size, warmup)
        if not isinstance(epsilon, int | float) or not epsilon >= 0:
            raise InputError(f"epsilon is {epsilon!r}; expected a number, 0 or more.")
        self.epsilon = epsilon

    def train(
        self, supernet: Supernet, data: SearchData, rng: np.random.Generator, journal: Journal
    ) -> Trained:
        (of_noise,) = rng.spawn(1)  # which draws nothing from ``rng``
        mixture = Mixture(supernet, small_alphas(supernet, rng))
        weights = self.weight_optimizer(supernet, data.recipe)
        alphas = self.alpha_optimizer(mixture)
        supernet.train()
        batches = data.weight_batches(self.batch_size, rng)
        others = data.architecture_batches(self.batch_size, rng)
        for step in range(1, self.steps + 1):
            batch, other = next(batches), next(others)
            if not self.frozen(step):
                alpha_step(alphas, mixture_loss(supernet, mixture.gates(), other))
            rate = cosine(self.learning_rate, step - 1, self.steps)
            logits = mixture.logits().detach()
            noise = self.epsilon * step / self.steps * of_noise.uniform(-1, 1, logits.shape)
            shaken = torch.softmax(logits + torch.from_numpy(noise).to(logits), dim=1)
            loss = weight_step(mixture, weights, rate, batch, shaken)
            note(journal, step, mixture, loss)
            journal.finished(step, self.steps, mixture)
        note_gap(journal, mixture, data)
        return mixture
