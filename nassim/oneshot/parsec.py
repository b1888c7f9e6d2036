"""PARSEC: a distribution over paths, moved to those that explain held-out images best.

Casale et al., "Probabilistic Neural Architecture Search", 2019, arXiv 1902.05116. Of the marginal
likelihood, log E p(y | x, v, a) over a drawn with pi, K sampled paths estimate both gradients:

    omega_k = p(held-out | v, a_k) / sum over j of p(held-out | v, a_j),
    pi:  sum of omega_k grad log pi(a_k),      weights v:  sum of omega_k grad log p(y | x, v, a_k).

It needs the memory of one path.

- Tempering: a batch's likelihood is a product over its B images, so that 0.1 nats an image are a
  ratio of 600 at B = 64, and one path takes all. Here omega is proportional to
  exp(-B^tempering loss) with tempering 0.5 (ours); ``tempering=1`` is the paper's. The effective
  number of samples is noted.
- Scale (ours, the paper's figures were not at hand): 4 samples, 400 steps, Adam 1e-2 for pi.
- Pick: the mode of pi, as in the paper.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

import numpy as np
import torch
import torch.nn.functional as F

from nassim.errors import InputError
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
from nassim.oneshot.policy import Categorical, initial_logits
from nassim.oneshot.supernet import Supernet
from nassim.records import FloatArray

__all__ = ["PARSEC", "improve", "posterior"]


class PARSEC(OneShot):
    """Sampled paths are weighted by the likelihood of held-out images (PARSEC)."""

    architecture_share: ClassVar[float] = 0.5
    quick_options: ClassVar[Mapping[str, object]] = {"steps": 4, "batch_size": 16, "samples": 2}

    def __init__(
        self,
        steps: int = 400,
        learning_rate: float = 0.1,
        batch_size: int = 64,
        samples: int = 4,
        policy_rate: float = 1e-2,
        tempering: float = 0.5,
    ) -> None:
        positive(steps=steps, learning_rate=learning_rate, batch_size=batch_size)
        positive(policy_rate=policy_rate, tempering=tempering)
        if samples < 2:
            raise InputError(
                f"samples is {samples}; expected 2 or more, for one path alone has weight 1 "
                "however bad it is."
            )
        self.steps = steps
        self.learning_rate = learning_rate
        self.batch_size = batch_size
        self.samples = samples
        self.policy_rate = policy_rate
        self.tempering = tempering

    def train(
        self, supernet: Supernet, data: SearchData, rng: np.random.Generator, journal: Journal
    ) -> Trained:
        trained = Categorical(supernet, initial_logits(supernet.space, rng))
        optimizer = weight_optimizer(supernet, data.recipe, self.learning_rate)
        adam = torch.optim.Adam([trained.logits], self.policy_rate)
        batches = data.weight_batches(self.batch_size, rng)
        held_out = data.architecture_batches(self.batch_size, rng)
        supernet.train()
        for step in range(1, self.steps + 1):
            optimizer.param_groups[0]["lr"] = cosine(self.learning_rate, step - 1, self.steps)
            paths = [trained.draw(rng) for _ in range(self.samples)]
            x, y = next(held_out)
            losses = []
            for path in paths:
                with torch.no_grad(), scoring_mode(supernet, "batch", path, data.calibration):
                    losses.append(float(F.cross_entropy(supernet(x, path), y)))
            omega = posterior(losses, len(y), self.tempering)

            x, y = next(batches)
            optimizer.zero_grad(set_to_none=True)
            for path, weight in zip(paths, omega.tolist(), strict=True):
                loss = F.cross_entropy(supernet(x, path), y)
                (weight * loss).backward()
            optimizer.step()
            improve(trained, adam, paths, omega)
            if step % 20 == 0:
                journal.note(step, "held_out_loss", float(omega @ losses))
                journal.note(step, "effective_samples", float(1 / (omega @ omega)))
                journal.note(step, "policy_entropy", trained.entropy())
            journal.finished(step, self.steps, trained)
        return trained


def posterior(losses: Sequence[float], images: int, tempering: float) -> FloatArray:
    """Weights (paths,) of paths with these mean losses over so many images; they add up to 1.

    >>> posterior([1.0, 1.1], images=64, tempering=1.0).round(3).tolist()  # a winner takes all
    [0.998, 0.002]
    >>> posterior([1.0, 1.1], images=64, tempering=0.5).round(3).tolist()
    [0.69, 0.31]
    """
    log_likelihood = -(float(images) ** tempering) * np.array(losses)
    weights: FloatArray = np.exp(log_likelihood - np.logaddexp.reduce(log_likelihood))
    return weights


def improve(
    policy: Categorical,
    optimizer: torch.optim.Optimizer,
    paths: Sequence[tuple[int, ...]],
    omega: FloatArray,
) -> None:
    """One step along the sum of omega grad log pi."""
    optimizer.zero_grad()
    loss = -(torch.from_numpy(omega) * policy.log_pi(paths)).sum()
    loss.backward()
    optimizer.step()
