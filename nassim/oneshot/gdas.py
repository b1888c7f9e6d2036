"""GDAS: one operation an edge is sampled, and the gradient passes through the sampling.

Dong & Yang, "Searching for a Robust Neural Architecture in Four GPU Hours", CVPR 2019,
arXiv 1910.04465. With Gumbel noise G and a temperature tau,

    h = onehot(argmax(log softmax(alpha) + G)),   soft = softmax((log softmax(alpha) + G) / tau);

forward takes h, backward the gradient of soft. An operation that was not chosen is not run, so its
gate has no gradient of its own: it is moved through the softmax alone. (Code that the authors
released adds the gates of the others as numbers, which gives these the gradient of an output of
ones.)

- Scale: the paper's code has 250 epochs, weights at 0.025 and alpha by Adam at 3e-4; here 1,000
  steps of either kind, 0.1 and 1e-2 (ours). Betas (0.5, 0.999) and decay 1e-3 are the paper's.
- Temperature: from 10 to 0.1, linearly, as in the paper; a step here, there an epoch.
- Batch norms within operations keep scale and shift (the paper's code: none), for one operation
  runs at a time, with weight 1.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

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

__all__ = ["GDAS", "gumbel_gates", "temperature"]


class GDAS(OneShot):
    """One path a step; its choice is learned through a hard Gumbel-softmax (GDAS)."""

    architecture_share: ClassVar[float] = 0.5
    quick_options: ClassVar[Mapping[str, object]] = {"steps": 6, "batch_size": 16}

    def __init__(
        self,
        steps: int = 1000,
        learning_rate: float = 0.1,
        batch_size: int = 64,
        alpha_rate: float = 1e-2,
        hot: float = 10.0,
        cold: float = 0.1,
    ) -> None:
        positive(steps=steps, learning_rate=learning_rate, batch_size=batch_size)
        positive(alpha_rate=alpha_rate, hot=hot, cold=cold)
        self.steps = steps
        self.learning_rate = learning_rate
        self.batch_size = batch_size
        self.alpha_rate = alpha_rate
        self.hot = hot
        self.cold = cold

    def train(
        self, supernet: Supernet, data: SearchData, rng: np.random.Generator, journal: Journal
    ) -> Trained:
        trained = Categorical(supernet, initial_logits(supernet.space, rng))
        optimizer = weight_optimizer(supernet, data.recipe, self.learning_rate)
        adam = torch.optim.Adam(
            [trained.logits], self.alpha_rate, betas=(0.5, 0.999), weight_decay=1e-3
        )
        batches = data.weight_batches(self.batch_size, rng)
        alpha_batches = data.architecture_batches(self.batch_size, rng)
        supernet.train()
        for step in range(1, self.steps + 1):
            optimizer.param_groups[0]["lr"] = cosine(self.learning_rate, step - 1, self.steps)
            x, y = next(batches)
            # h alone matters to the weights, and the Gumbel trick draws from softmax(alpha)
            loss = F.cross_entropy(supernet(x, trained.draw(rng)), y)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()

            x, y = next(alpha_batches)
            tau = temperature(self.hot, self.cold, step, self.steps)
            noise = rng.gumbel(size=tuple(trained.logits.shape))
            gates = list(gumbel_gates(trained.logits, noise, tau).to(x.device, torch.float32))
            with scoring_mode(supernet, "batch", gates, data.calibration):
                loss = F.cross_entropy(supernet(x, gates), y)
                # None where every edge drew "none", and nothing depends on alpha
                (trained.logits.grad,) = torch.autograd.grad(
                    loss, [trained.logits], allow_unused=True
                )
            adam.step()
            if step % 50 == 0:
                journal.note(step, "alpha_loss", float(loss.detach()))
                journal.note(step, "temperature", tau)
                journal.note(step, "policy_entropy", trained.entropy())
            journal.finished(step, self.steps, trained)
        return trained


def temperature(hot: float, cold: float, step: int, steps: int) -> float:
    """It falls linearly: ``hot`` in the first step, ``cold`` in the last.

    >>> [temperature(10.0, 0.1, step, 3) for step in (1, 2, 3)]
    [10.0, 5.05, 0.1]
    """
    done = (step - 1) / max(1, steps - 1)
    return (1 - done) * hot + done * cold


def gumbel_gates(logits: Tensor, noise: FloatArray, tau: float) -> Tensor:
    """Gates (decisions, choices): exactly one-hot, with the gradient of a softmax at ``tau``.

    ``noise`` is standard Gumbel, of the same shape.

    >>> logits = torch.zeros(1, 2, requires_grad=True)
    >>> gates = gumbel_gates(logits, np.array([[1.0, 0.0]]), tau=1.0)
    >>> gates.tolist()
    [[1.0, 0.0]]
    >>> torch.autograd.grad(gates[0, 0], logits)[0]  # p (1 - p) of p = 0.73
    tensor([[ 0.1966, -0.1966]])
    """
    scores = logits.log_softmax(1) + torch.from_numpy(noise)
    soft = (scores / tau).softmax(1)
    hard = F.one_hot(scores.argmax(dim=1), logits.shape[1])
    return hard + (soft - soft.detach())  # in this order the value stays exactly 0 or 1
