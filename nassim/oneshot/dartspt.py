"""DARTS-PT: keep the operation whose removal hurts the mixture most, edge after edge.

Wang et al., "Rethinking Architecture Selection in Differentiable NAS", ICLR 2021. A mixture is
trained as DARTS trains it, or with alphas that never move (``blank``). Then, in random order, each
edge is decided: every operation is taken out in turn, without making up for its weight, the one
that is missed most stays alone, and the weights are tuned.

- Judged by: the loss on up to 500 architecture images (paper: accuracy on all), because few images
  tie; batch statistics, as in the paper's code.
- Tuning: 5% of the steps after each edge, at a tenth of the rate, weights alone (paper: 5 of 100
  epochs).
- Steps: 600 before the first edge, the alphas' rate 0.03 (paper: 100 epochs, 3e-4).
- ``none`` is no candidate: nothing misses it. Cells of NAS-Bench-201 need no choice of edges.
"""

from __future__ import annotations

import numpy as np
import torch

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

__all__ = ["DARTSPT", "most_missed"]

_JUDGED, _TUNED = 500, 0.05  # images, and the share of the steps


class DARTSPT(MixtureSearch):
    """DARTS whose edges keep the operation that is missed most (DARTS-PT)."""

    def __init__(
        self,
        blank: bool = False,
        steps: int = 600,
        learning_rate: float = 0.025,
        alpha_rate: float = 0.03,
        batch_size: int = 64,
        warmup: float = 0.0,
    ) -> None:
        super().__init__(steps, learning_rate, alpha_rate, batch_size, warmup)
        self.blank = bool(blank)

    def train(
        self, supernet: Supernet, data: SearchData, rng: np.random.Generator, journal: Journal
    ) -> Trained:
        mixture = Mixture(supernet, small_alphas(supernet, rng))
        weights = self.weight_optimizer(supernet, data.recipe)
        alphas = self.alpha_optimizer(mixture)
        supernet.train()
        batches = data.weight_batches(self.batch_size, rng)
        others = data.architecture_batches(self.batch_size, rng)
        tuned = max(1, round(_TUNED * self.steps))
        edges = rng.permutation(supernet.space.n_decisions).tolist()
        total = self.steps + tuned * len(edges)
        for step in range(1, self.steps + 1):
            if not self.blank and not self.frozen(step):
                alpha_step(alphas, mixture_loss(supernet, mixture.gates(), next(others)))
            rate = cosine(self.learning_rate, step - 1, self.steps)
            loss = weight_step(mixture, weights, rate, next(batches))
            note(journal, step, mixture, loss)
            journal.finished(step, total, mixture)
        n = min(_JUDGED, len(data.architecture.y_train))
        judged = next(data.architecture_batches(n, rng))
        weights = self.weight_optimizer(supernet, data.recipe)  # without the old momentum
        for place, edge in enumerate(edges):
            kept = most_missed(mixture, edge, judged)
            weighs_most = kept == mixture.discretise().decisions[edge]
            mixture.alive[edge] = 0
            mixture.alive[edge, kept] = 1
            first = self.steps + place * tuned + 1
            journal.note(first, "keeps_what_weighs_most", weighs_most)
            for step in range(first, first + tuned):
                loss = weight_step(mixture, weights, self.learning_rate / 10, next(batches))
                note(journal, step, mixture, loss)
                journal.finished(step, total, mixture)
        note_gap(journal, mixture, data)
        return mixture


def most_missed(mixture: Mixture, edge: int, batch: Batch) -> int:
    """The operation of an edge, other than ``none``, without which the loss is largest."""
    gates = mixture.gates().detach()
    losses = []
    for operation in range(gates.shape[1]):
        without = gates.clone()
        without[edge, operation] = 0
        with torch.no_grad():
            losses.append(float(mixture_loss(mixture.supernet, without, batch)))
    missed = np.where(mixture.supernet.offers("none")[edge].numpy(), -np.inf, losses)
    return int(np.argmax(missed))
