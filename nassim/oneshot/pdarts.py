"""P-DARTS: three stages, each with fewer operations and more dropout on skip connections.

Chen et al., "Progressive Differentiable Architecture Search: Bridging the Depth Gap Between Search
and Evaluation", ICCV 2019. After a stage each edge loses its operations of least weight; alphas
begin anew. Skips are dropped out at a rate that begins higher in each stage (0, 0.4, 0.7) and
falls within it. Of the final cell's skips, at most ``max_skips`` stay.

- Operations of an edge: 5, 3 and 2 (paper: 8, 5 and 3). ``none`` is the first to go before the
  last stage, as in the paper. Where an edge offers fewer, it loses fewer.
- Depth: the same in all stages (paper: 5, 11 and 17 cells), because it is one supernet that is
  scored in the end. For the same reason weights go on (paper: they begin anew), and the depth gap
  is not what this file is about.
- Steps: 600 for all stages, alphas resting in the first 40% of each (paper: 25 epochs a stage, 10
  of them). The alphas' rate is 0.03 (paper: 6e-4).
- Limit: 2 skips, the paper's for a cell of eight edges; cells here have three or six.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from nassim.oneshot.base import Journal, Trained, cosine, positive
from nassim.oneshot.data import SearchData
from nassim.oneshot.dropping import dropping
from nassim.oneshot.mixture import (
    SKIPS,
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
from nassim.records import Architecture

__all__ = ["PDARTS", "eliminate", "skip_dropout"]

STAGES = ((5, 0.0), (3, 0.4), (2, 0.7))  # operations of an edge, and the first rate of dropout


class PDARTS(MixtureSearch):
    """DARTS in stages of fewer operations, with dropout on skip connections (P-DARTS)."""

    def __init__(
        self,
        max_skips: int = 2,
        steps: int = 600,
        learning_rate: float = 0.025,
        alpha_rate: float = 0.03,
        batch_size: int = 64,
        warmup: float = 0.4,
    ) -> None:
        super().__init__(steps, learning_rate, alpha_rate, batch_size, warmup)
        positive(max_skips=max_skips)
        self.max_skips = max_skips

    def train(
        self, supernet: Supernet, data: SearchData, rng: np.random.Generator, journal: Journal
    ) -> Trained:
        mixture = CappedMixture(supernet, small_alphas(supernet, rng), self.max_skips)
        weights = self.weight_optimizer(supernet, data.recipe)
        alphas = self.alpha_optimizer(mixture)
        supernet.train()
        batches = data.weight_batches(self.batch_size, rng)
        others = data.architecture_batches(self.batch_size, rng)
        stage = 0
        with dropping(supernet, ["skip_connect"], rng, whole=False) as drop:
            for step in range(1, self.steps + 1):
                now, done = divmod(len(STAGES) * (step - 1) / self.steps, 1)
                if now > stage:
                    stage = int(now)
                    eliminate(mixture, STAGES[stage][0], none=stage == len(STAGES) - 1)
                    with torch.no_grad():
                        mixture.alphas.copy_(small_alphas(supernet, rng))
                    alphas = self.alpha_optimizer(mixture)
                    journal.note(step, "operations", float(mixture.alive.sum()))
                drop.rate = skip_dropout(STAGES[stage][1], done, self.warmup)
                if done >= self.warmup:
                    alpha_step(alphas, mixture_loss(supernet, mixture.gates(), next(others)))
                rate = cosine(self.learning_rate, step - 1, self.steps)
                loss = weight_step(mixture, weights, rate, next(batches))
                note(journal, step, mixture, loss)
                journal.finished(step, self.steps, mixture)
        note_gap(journal, mixture, data)
        return mixture


class CappedMixture(Mixture):
    """Of which the discretised cell has so many skips at most."""

    max_skips: Tensor

    def __init__(self, supernet: Supernet, alphas: Tensor, max_skips: int) -> None:
        super().__init__(supernet, alphas)
        self.register_buffer("max_skips", torch.tensor(max_skips))

    def discretise(self) -> Architecture:
        """The best of each edge; the weakest skips above the limit give way to the next best."""
        gates = self.gates().detach().clone()
        gates[self.offers("none")] = -1
        skip = self.offers(*SKIPS)
        weight, best = gates.max(dim=1)
        skips = skip.gather(1, best[:, None]).flatten().nonzero().flatten()
        weakest = skips[weight[skips].argsort()]
        surplus = max(0, len(skips) - int(self.max_skips))
        capped = torch.zeros_like(skip)
        capped[weakest[:surplus]] = skip[weakest[:surplus]]
        gates[capped] = -1
        return self.supernet.space.architecture(tuple(gates.argmax(dim=1).tolist()))


def eliminate(mixture: Mixture, keep: int, *, none: bool) -> None:
    """Leave so many operations alive on each edge, those of most weight; ``none`` goes first."""
    order = mixture.gates().detach().clone()
    order[mixture.alive == 0] = -2
    if none:
        order[mixture.offers("none")] = -1
    gone = order.argsort(dim=1, descending=True)[:, keep:]
    mixture.alive.scatter_(1, gone, 0.0)


def skip_dropout(first: float, done: float, warmup: float) -> float:
    """The rate of dropout when a share of a stage is done.

    It falls by a line while the alphas rest; then it begins anew, and falls as an exponential by a
    fifth in each twenty-fifth of the stage (the paper's epoch).

    >>> [round(skip_dropout(0.4, done, 0.4), 3) for done in (0, 0.2, 0.4, 0.44)]
    [0.4, 0.32, 0.4, 0.327]
    """
    if done < warmup:
        return first * (1 - done)
    return first * math.exp(-0.2 * 25 * (done - warmup))
