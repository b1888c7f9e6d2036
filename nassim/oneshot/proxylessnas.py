"""ProxylessNAS: weights are trained on one path at a time, the choice of paths on two.

Cai et al., "ProxylessNAS: Direct Neural Architecture Search on Target Task and Hardware",
ICLR 2019, arXiv 1812.00332. A binary gate g of each edge opens one operation, drawn with
p = softmax(alpha). The gradient of alpha goes through the gates as if they were p:

    dL/dalpha_i = sum over j of dL/dg_j  p_j (1[i = j] - p_i),   dL/dg_j = <dL/dy, o_j(x)>.

So that two operations of an edge are in memory and not all, two are drawn with p, p is taken of
the pair alone, one of them is opened by it, and both alphas are moved and then shifted by one
number that leaves the probabilities of all others as they were.

- Scale: the paper's code has 120 epochs after 40 of warm-up, alpha by Adam at 1e-3 with betas
  (0, 0.999); here 1,500 steps, of which 500 are warm-up (uniform paths), and Adam 2e-2 (ours). The
  first beta stays 0, so that what was not drawn does not move.
- An alpha step follows each weight step; in the paper's code, each fifth.
- No latency term: scores are judged by accuracy alone.
- ``none`` is one of the operations, with a gate whose gradient is 0; the paper's code skips the
  update where it is opened.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

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
from nassim.oneshot.mixed import Some
from nassim.oneshot.policy import Categorical, initial_logits
from nassim.oneshot.supernet import Supernet

__all__ = ["ProxylessNAS", "chain_rule", "draw_gates", "draw_pairs", "move_pairs"]


class ProxylessNAS(OneShot):
    """One path trains the weights, a pair of operations an edge the choice (ProxylessNAS)."""

    architecture_share: ClassVar[float] = 0.5
    quick_options: ClassVar[Mapping[str, object]] = {"steps": 6, "warm_up": 2, "batch_size": 16}

    def __init__(
        self,
        steps: int = 1500,
        warm_up: int = 500,
        learning_rate: float = 0.1,
        batch_size: int = 64,
        alpha_rate: float = 2e-2,
    ) -> None:
        positive(steps=steps, learning_rate=learning_rate, batch_size=batch_size)
        positive(alpha_rate=alpha_rate)
        if not 0 <= warm_up <= steps:
            raise InputError(f"warm_up is {warm_up}; expected 0 to {steps}, all of the steps.")
        self.steps = steps
        self.warm_up = warm_up
        self.learning_rate = learning_rate
        self.batch_size = batch_size
        self.alpha_rate = alpha_rate

    def train(
        self, supernet: Supernet, data: SearchData, rng: np.random.Generator, journal: Journal
    ) -> Trained:
        trained = Categorical(supernet, initial_logits(supernet.space, rng))
        optimizer = weight_optimizer(supernet, data.recipe, self.learning_rate)
        adam = torch.optim.Adam([trained.logits], self.alpha_rate, betas=(0.0, 0.999))
        batches = data.weight_batches(self.batch_size, rng)
        alpha_batches = data.architecture_batches(self.batch_size, rng)
        supernet.train()
        for step in range(1, self.steps + 1):
            optimizer.param_groups[0]["lr"] = cosine(self.learning_rate, step - 1, self.steps)
            is_warm_up = step <= self.warm_up
            path = supernet.space.sample(rng).decisions if is_warm_up else trained.draw(rng)
            x, y = next(batches)
            loss = F.cross_entropy(supernet(x, path), y)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()

            if not is_warm_up:
                pairs = draw_pairs(trained.logits.detach(), rng)
                probability = trained.logits.detach().gather(1, pairs).softmax(1)
                open_ = draw_gates(probability, rng).to(x.device, torch.float32).requires_grad_()
                gates = [
                    Some(tuple(pair), gate)
                    for pair, gate in zip(pairs.tolist(), open_, strict=True)
                ]
                x, y = next(alpha_batches)
                with scoring_mode(supernet, "batch", gates, data.calibration):
                    loss = F.cross_entropy(supernet(x, gates), y)
                    # none where nothing but "none" leads to the output
                    (of_gates,) = torch.autograd.grad(loss, [open_], allow_unused=True)
                if of_gates is not None:
                    gradient = chain_rule(of_gates.cpu().double(), probability)
                    move_pairs(trained.logits, pairs, gradient, adam)
            if step % 50 == 0:
                journal.note(
                    step, "train_loss" if is_warm_up else "alpha_loss", float(loss.detach())
                )
                journal.note(step, "policy_entropy", trained.entropy())
            journal.finished(step, self.steps, trained)
        return trained


def draw_pairs(logits: Tensor, rng: np.random.Generator) -> Tensor:
    """Two operations of each edge, (decisions, 2), without replacement, by softmax(logits)."""
    scores = logits + torch.from_numpy(rng.gumbel(size=tuple(logits.shape)))
    return scores.topk(2, dim=1).indices


def draw_gates(probability: Tensor, rng: np.random.Generator) -> Tensor:
    """Gates (decisions, 2): 1 for one operation of each pair, drawn by ``probability``."""
    is_first = torch.from_numpy(rng.random(len(probability))) < probability[:, 0]
    return torch.stack([is_first, ~is_first], dim=1).to(probability)


def chain_rule(of_gates: Tensor, probability: Tensor) -> Tensor:
    """The gradient of alphas (decisions, n) from that of their gates: the softmax's Jacobian.

    >>> half = torch.full((1, 2), 0.5)
    >>> chain_rule(torch.tensor([[1.0, 3.0]]), half)
    tensor([[-0.5000,  0.5000]])
    """
    mean = (probability * of_gates).sum(dim=1, keepdim=True)
    return probability * (of_gates - mean)


def move_pairs(
    logits: Tensor, pairs: Tensor, gradient: Tensor, optimizer: torch.optim.Optimizer
) -> None:
    """A step of the pairs' logits, and the shift that keeps all other probabilities.

    ``logits`` (decisions, choices) are all that ``optimizer`` moves; the others are (decisions, 2).
    """
    before = logits.detach().gather(1, pairs).logsumexp(1, keepdim=True)
    logits.grad = torch.zeros_like(logits).scatter(1, pairs, gradient)
    optimizer.step()
    with torch.no_grad():
        moved = logits.gather(1, pairs)
        logits.scatter_(1, pairs, moved - moved.logsumexp(1, keepdim=True) + before)
