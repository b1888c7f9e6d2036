"""SDARTS: the weights are trained under alphas that are shaken, so that the loss around is smooth.

Chen & Hsieh, "Stabilizing Differentiable Architecture Search via Perturbation-based
Regularization", ICML 2020. Each step of the weights adds noise in [-epsilon, epsilon] to the
alphas, which themselves move as in DARTS, without noise. The noise is uniform (random smoothing,
SDARTS-RS), or what an attack makes of that (SDARTS-ADV): ``attack`` steps of projected gradient
ascent on the loss of the batch that the weights then learn from.

- epsilon: grows from 0 along a line; to 0.3 at the end (from memory of the paper).
- attack: 7 steps in the authors' code; an attack's step is 2 epsilon / attack long (ours).
- The body of the paper was not at hand; noise is added to the alphas, before their softmax.
- It is drawn from a generator of its own, so that ``epsilon=0`` is :mod:`nassim.oneshot.darts`,
  first order, which is how all else is done.
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
    Batch,
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
from nassim.options import check_count

__all__ = ["SDARTS", "attacked"]


class SDARTS(MixtureSearch):
    """DARTS whose weights are trained under shaken alphas.

    Parameters
    ----------
    epsilon
        The most that an alpha is shaken, at the end of the search.
    attack
        Steps of the attack: 0 is SDARTS-RS, 7 SDARTS-ADV. Each costs a pass of the batch.
    steps, learning_rate, alpha_rate, batch_size, warmup
        As of :class:`nassim.oneshot.darts.DARTS`.

    Raises
    ------
    InputError
        if an option is out of its range.
    """

    edgewise: ClassVar[bool] = False  # edges need not be decisions
    mixing: ClassVar[bool] = True

    def __init__(
        self,
        epsilon: float = 0.3,
        attack: int = 0,
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
        self.attack = check_count("attack", attack, least=0)

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
            reach = self.epsilon * step / self.steps
            noise = torch.from_numpy(reach * of_noise.uniform(-1, 1, logits.shape)).to(logits)
            noise = attacked(noise, reach, self.attack, supernet, logits, batch)
            shaken = torch.softmax(logits + noise, dim=1)
            loss = weight_step(mixture, weights, rate, batch, shaken)
            note(journal, step, mixture, loss)
            journal.finished(step, self.steps, mixture)
        note_gap(journal, mixture, data)
        return mixture


def attacked(
    noise: Tensor, reach: float, steps: int, supernet: Supernet, logits: Tensor, batch: Batch
) -> Tensor:
    """Noise (edges, options) within ``reach`` after steps that raise the loss of the batch."""
    for _ in range(steps):
        here = noise.clone().requires_grad_()
        loss = mixture_loss(supernet, torch.softmax(logits + here, dim=1), batch)
        (slope,) = torch.autograd.grad(loss, here)
        noise = (noise + 2 * reach / steps * slope.sign()).clamp(-reach, reach)
    return noise
