"""DARTS: all operations at once, weighted by a softmax that is learned by gradients.

Liu, Simonyan & Yang, "DARTS: Differentiable Architecture Search", ICLR 2019. In each step the
alphas move first, on images that the weights never see, then the weights. ``order=2`` moves the
alphas by the gradient through one step of the weights, ahead of the one that follows; the product
of a Hessian and a vector within is a central difference.

- Steps: the paper has 50 epochs of CIFAR-10 and Adam's rate 3e-4; here 600 steps and 0.03 (ours:
  so few steps move no alpha at the paper's rate).
- Weights: rate 0.025 falls to 0 (paper: 0.001); weight decay is the recipe's (paper: 3e-4).
- Pooling has no batch norm behind it (paper: it has), so that a single operation is what it is in
  a stand-alone network.
- Discretise: each edge keeps the best operation but ``none``. The paper also keeps two edges a
  node; so does this in space ``darts``, but a cell of NAS-Bench-201 does not ask for it. ``none``
  takes its share of the softmax.
- Warm-up is none (``warmup=0``), as in the paper.
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

__all__ = ["DARTS", "unrolled_gradient"]

_RADIUS = 0.01  # of the central difference, over the norm of the vector


class DARTS(MixtureSearch):
    """Operations weighted by a softmax that is learned beside the weights (DARTS)."""

    edgewise: ClassVar[bool] = False  # edges need not be decisions
    mixing: ClassVar[bool] = True

    def __init__(
        self,
        order: int = 1,
        steps: int = 600,
        learning_rate: float = 0.025,
        alpha_rate: float = 0.03,
        batch_size: int = 64,
        warmup: float = 0.0,
    ) -> None:
        super().__init__(steps, learning_rate, alpha_rate, batch_size, warmup)
        if order not in (1, 2):
            raise InputError(f"order is {order!r}; expected 1 or 2.")
        self.order = order

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
            rate = cosine(self.learning_rate, step - 1, self.steps)
            batch, other = next(batches), next(others)
            if not self.frozen(step) and self.order == 1:
                alpha_step(alphas, mixture_loss(supernet, mixture.gates(), other))
            elif not self.frozen(step):
                mixture.alphas.grad = unrolled_gradient(mixture, weights, rate, batch, other)
                alphas.step()
            loss = weight_step(mixture, weights, rate, batch)
            note(journal, step, mixture, loss)
            journal.finished(step, self.steps, mixture)
        note_gap(journal, mixture, data)
        return mixture


def unrolled_gradient(
    mixture: Mixture, optimizer: torch.optim.SGD, rate: float, batch: Batch, other: Batch
) -> Tensor:
    """Gradient (decisions, operations) of the loss after the step that the weights would take.

    With ``w' = w - rate (momentum m + g + decay w)``, the optimizer's own step, and ``v`` the
    gradient of the loss on ``other`` by ``w'``, it is that loss's gradient by the alphas, less
    ``rate`` times the derivative of the alphas' gradient on ``batch`` along ``v``. Neither weights
    nor statistics move.
    """
    supernet = mixture.supernet
    group = optimizer.param_groups[0]
    here = dict(supernet.named_parameters())

    def alpha_gradient(parameters: dict[str, Tensor]) -> Tensor:
        loss = mixture_loss(supernet, mixture.gates(), batch, parameters)
        return torch.autograd.grad(loss, mixture.alphas)[0]

    loss = mixture_loss(supernet, mixture.gates().detach(), batch)
    ahead = {}
    for (name, w), g in zip(
        here.items(), torch.autograd.grad(loss, list(here.values())), strict=True
    ):
        m = optimizer.state[w].get("momentum_buffer") if w in optimizer.state else None
        move = g + group["weight_decay"] * w
        if m is not None:
            move = move + group["momentum"] * m
        ahead[name] = (w - rate * move).detach().requires_grad_()
    loss = mixture_loss(supernet, mixture.gates(), other, ahead)
    direct, *v = torch.autograd.grad(loss, [mixture.alphas, *ahead.values()])
    radius = _RADIUS / torch.sqrt(sum((part.square().sum() for part in v), loss.new_zeros(())))
    apart = [
        {
            name: (w + sign * radius * d).detach()
            for (name, w), d in zip(here.items(), v, strict=True)
        }
        for sign in (1, -1)
    ]
    ascent = (alpha_gradient(apart[0]) - alpha_gradient(apart[1])) / (2 * radius)
    return direct - rate * ascent
