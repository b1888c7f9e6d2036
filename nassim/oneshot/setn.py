"""SETN: weights by uniform paths; beside them a sampler learns which paths are worth scoring.

Dong & Yang, "One-Shot Neural Architecture Search via Self-Evaluated Template Network", ICCV 2019,
arXiv 1910.05733. Weights never see alpha. Alpha is trained on held-out images through the mixture
of all operations, weighted by softmax(alpha). The K most probable architectures are scored by the
shared weights, and the best is picked.

- Law of the paths: the paper's is ``strings``; the default here is SPOS's ``classes``, so that the
  two differ in the pick alone.
- Scale: the paper's code has 250 epochs and alpha by Adam at 3e-4; here 1,000 steps of weights at
  0.1, and as many of alpha at 1e-2 (ours). Betas (0.5, 0.999) and decay 1e-3 are the paper's.
- K: the paper's code has 100 of 15,625; here 10. With all of a space, the pick is SPOS's.
- Scores: all on the same images (the paper's code: one batch for each).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

import numpy as np
import torch
import torch.nn.functional as F

from nassim.oneshot.base import (
    Journal,
    OneShot,
    Trained,
    cosine,
    positive,
    weight_optimizer,
)
from nassim.oneshot.batchnorm import scoring_mode
from nassim.oneshot.data import SearchData
from nassim.oneshot.policy import Categorical, initial_logits, rescored
from nassim.oneshot.scoring import Scores
from nassim.oneshot.spos import check_law, sampler
from nassim.oneshot.supernet import Supernet
from nassim.records import Architecture, FloatArray

__all__ = ["SETN"]


class SETN(OneShot):
    """Uniform paths for the weights, a learned sampler for what is scored (SETN)."""

    architecture_share: ClassVar[float] = 0.5
    quick_options: ClassVar[Mapping[str, object]] = {"steps": 5, "batch_size": 16, "best": 3}

    def __init__(
        self,
        law: str = "classes",
        steps: int = 1000,
        learning_rate: float = 0.1,
        batch_size: int = 64,
        alpha_rate: float = 1e-2,
        best: int = 10,
    ) -> None:
        check_law(law)
        positive(steps=steps, learning_rate=learning_rate, batch_size=batch_size)
        positive(alpha_rate=alpha_rate, best=best)
        self.law = law
        self.steps = steps
        self.learning_rate = learning_rate
        self.batch_size = batch_size
        self.alpha_rate = alpha_rate
        self.best = best

    def train(
        self, supernet: Supernet, data: SearchData, rng: np.random.Generator, journal: Journal
    ) -> Trained:
        trained = TrainedSETN(supernet, initial_logits(supernet.space, rng), self.best)
        optimizer = weight_optimizer(supernet, data.recipe, self.learning_rate)
        adam = torch.optim.Adam(
            [trained.logits], self.alpha_rate, betas=(0.5, 0.999), weight_decay=1e-3
        )
        draw = sampler(supernet.space, self.law)
        batches = data.weight_batches(self.batch_size, rng)
        alpha_batches = data.architecture_batches(self.batch_size, rng)
        supernet.train()
        for step in range(1, self.steps + 1):
            optimizer.param_groups[0]["lr"] = cosine(self.learning_rate, step - 1, self.steps)
            x, y = next(batches)
            loss = F.cross_entropy(supernet(x, draw(rng).decisions), y)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()

            x, y = next(alpha_batches)
            gates = list(trained.logits.softmax(1).to(x.device, torch.float32))
            with scoring_mode(supernet, "batch", gates, data.calibration):
                loss = F.cross_entropy(supernet(x, gates), y)
                (trained.logits.grad,) = torch.autograd.grad(loss, [trained.logits])
            adam.step()
            if step % 50 == 0:
                journal.note(step, "alpha_loss", float(loss.detach()))
                journal.note(step, "policy_entropy", trained.entropy())
            journal.finished(step, self.steps, trained)
        return trained


class TrainedSETN(Categorical):
    """Picks the most accurate of the most probable."""

    def __init__(self, supernet: Supernet, logits: FloatArray, best: int) -> None:
        super().__init__(supernet, logits)
        self._best = best

    def pick(self, architectures: Sequence[Architecture], scores: Scores) -> Architecture:
        """The most accurate of the ``best`` most probable."""
        return rescored(architectures, self.log_probability(architectures), scores, self._best)
