"""ENAS: an LSTM proposes paths, and learns from the accuracy they have with shared weights.

Pham et al., "Efficient Neural Architecture Search via Parameter Sharing", ICML 2018,
arXiv 1802.03268. Weights are trained on paths that the controller draws; now and then weights rest,
and the controller is improved by REINFORCE on images that no weight is trained on.

The policy is :class:`nassim.optimizers.controller.Controller`, which REINFORCE has too.

- Logits: the paper bounds them, as 2.5 tanh(logit / 5); here they are as they are.
- LSTM: the paper has 100 units (its code 64); here 16, for 3 or 6 decisions.
- Entropy bonus: the paper's code adds the entropy of each decision to the reward, weight 1e-4; here
  -log pi of what was drawn, whose expectation that is, weight 1e-4.
- Schedule: the paper has 150 epochs, each followed by 30 controller steps of 10 samples; here
  1,500 steps, after each 50 ten of 5 samples. Adam 3.5e-3 is the paper's; at 1e-2 the policy is
  down to a single path before the weights are trained.
- Baseline: starts at the first reward (paper's code: 0), decay 0.95 (0.99), for we have 1,500
  rewards.
- Images for rewards: the paper has a tenth of the training images; here half, for our
  datasets have a few hundred.
- Pick: the paper takes the best of samples of the controller; here the best of the 10 that the
  controller finds most probable, so that it draws nothing.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
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
from nassim.oneshot.policy import rescored
from nassim.oneshot.scoring import Scores
from nassim.oneshot.supernet import Supernet
from nassim.optimizers.controller import Controller
from nassim.records import Architecture

__all__ = ["ENAS", "Reinforce"]


class ENAS(OneShot):
    """Paths are drawn by an LSTM that learns from their accuracy, by REINFORCE (ENAS)."""

    architecture_share: ClassVar[float] = 0.5
    edgewise: ClassVar[bool] = False
    drawing: ClassVar[bool] = True
    quick_options: ClassVar[Mapping[str, object]] = {
        "steps": 8,
        "round_steps": 4,
        "controller_steps": 2,
        "samples": 2,
        "batch_size": 16,
    }

    def __init__(
        self,
        steps: int = 1500,
        learning_rate: float = 0.1,
        batch_size: int = 64,
        round_steps: int = 50,
        controller_steps: int = 10,
        samples: int = 5,
        controller_rate: float = 3.5e-3,
        entropy: float = 1e-4,
        units: int = 16,
        best: int = 10,
    ) -> None:
        positive(steps=steps, learning_rate=learning_rate, batch_size=batch_size)
        positive(round_steps=round_steps, controller_steps=controller_steps, samples=samples)
        positive(controller_rate=controller_rate, entropy=entropy, units=units, best=best)
        self.steps = steps
        self.learning_rate = learning_rate
        self.batch_size = batch_size
        self.round_steps = round_steps
        self.controller_steps = controller_steps
        self.samples = samples
        self.controller_rate = controller_rate
        self.entropy = entropy
        self.units = units
        self.best = best

    def train(
        self, supernet: Supernet, data: SearchData, rng: np.random.Generator, journal: Journal
    ) -> Trained:
        controller = Controller(supernet.space.n_choices, n_tasks=0, width=self.units, rng=rng)
        trained = _TrainedENAS(supernet, controller, self.best)
        optimizer = weight_optimizer(supernet, data.recipe, self.learning_rate)
        reinforce = Reinforce(controller, self.controller_rate, self.entropy)
        batches = data.weight_batches(self.batch_size, rng)
        reward_batches = data.architecture_batches(self.batch_size, rng)

        highest = sum(math.log(choices) for choices in supernet.space.n_choices)  # entropy, nats

        def reward(path: tuple[int, ...]) -> float:
            x, y = next(reward_batches)
            with torch.no_grad(), scoring_mode(supernet, "batch", path, data.calibration):
                return float((supernet(x, path).argmax(dim=1) == y).float().mean())

        supernet.train()
        for step in range(1, self.steps + 1):
            optimizer.param_groups[0]["lr"] = cosine(self.learning_rate, step - 1, self.steps)
            path, _ = controller.sample(rng)
            x, y = next(batches)
            loss = F.cross_entropy(supernet(x, path), y)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
            if step % self.round_steps == 0:  # the weights rest
                rewards = [
                    reinforce.step(reward, self.samples, rng) for _ in range(self.controller_steps)
                ]
                journal.note(step, "train_loss", float(loss.detach()))
                journal.note(step, "reward", float(np.mean(rewards)))
                journal.note(step, "policy_entropy", reinforce.sampled_entropy / highest)
            journal.finished(step, self.steps, trained)
        return trained


class Reinforce:
    """Improves a controller: the mean of (R - b) grad log pi over samples, b a moving average."""

    decay: ClassVar[float] = 0.95  # of the baseline

    def __init__(self, controller: Controller, learning_rate: float, entropy: float) -> None:
        self.sampled_entropy = 0.0  # -log pi of the last step's samples, their mean in nats
        self._controller = controller
        self._adam = torch.optim.Adam(controller.parameters(), learning_rate)
        self._entropy = entropy
        self._baseline: float | None = None

    def step(
        self, reward: Callable[[tuple[int, ...]], float], samples: int, rng: np.random.Generator
    ) -> float:
        """One step on so many samples; answers the mean of what ``reward`` said of them."""
        drawn = [self._controller.sample(rng) for _ in range(samples)]
        plain = [reward(path) for path, _ in drawn]
        advantages = []
        for value, (_, log_probability) in zip(plain, drawn, strict=True):
            # the bonus is a number: its own gradient is no part of the policy's
            total = value - self._entropy * log_probability
            before = total if self._baseline is None else self._baseline
            advantages.append(total - before)
            self._baseline = self.decay * before + (1 - self.decay) * total
        log_pi = self._controller(torch.tensor([path for path, _ in drawn]))
        loss = -(torch.tensor(advantages, dtype=log_pi.dtype) * log_pi).mean()
        self._adam.zero_grad()
        loss.backward()
        self._adam.step()
        self.sampled_entropy = -float(log_pi.detach().mean())
        return float(np.mean(plain))


class _TrainedENAS(Trained):
    def __init__(self, supernet: Supernet, controller: Controller, best: int) -> None:
        super().__init__(supernet)
        self.controller = controller
        self._best = best

    @torch.no_grad()
    def pick(self, architectures: Sequence[Architecture], scores: Scores) -> Architecture:
        """The most accurate of those that the controller finds most probable."""
        paths = torch.tensor([architecture.decisions for architecture in architectures])
        return rescored(architectures, self.controller(paths).numpy(), scores, self._best)
