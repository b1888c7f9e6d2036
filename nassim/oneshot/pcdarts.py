"""PC-DARTS: a mixture on a part of the channels, and edges that are weighted too.

Xu et al., "PC-DARTS: Partial Channel Connections for Memory-Efficient Architecture Search", ICLR
2020. The first of ``parts`` parts of the channels goes through the operations and the rest passes
by; then channels are shuffled. A second softmax, over the edges into a node, weighs the edges.

- Memory: an edge keeps 1/``parts`` of the activations, so the paper's batch is four times DARTS's;
  the default here is DARTS's. ``parts`` is 2 here (ours: cells are narrow), 4 in the paper.
- Steps: 600, the alphas' rate 0.03 (paper: 50 epochs, 6e-4), and the alphas rest in the first 30%
  of the steps, as in the paper (15 of 50 epochs). The weights' rate begins at 0.1, as there.
- Scores: an operation has weights of a stand-alone network's width, and only the first part of
  them is trained. So an architecture is scored with partial channels too, not as it would stand
  alone.
- Discretise: each edge keeps the best operation but ``none``. The paper keeps two edges a node by
  the product of both weights; in NAS-Bench-201 the edges' weights decide nothing in the end.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nassim.errors import InputError
from nassim.oneshot.base import Journal, Trained, cosine
from nassim.oneshot.batchnorm import BatchNormMode
from nassim.oneshot.data import SearchData
from nassim.oneshot.mixed import Gates, MixedOp
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
from nassim.oneshot.scoring import Scores, score_gates
from nassim.oneshot.supernet import Supernet
from nassim.records import Architecture
from nassim.spaces.nasbench201 import EDGES

__all__ = ["PCDARTS"]


class PCDARTS(MixtureSearch):
    """DARTS on a part of the channels, with a weight for each edge (PC-DARTS)."""

    def __init__(
        self,
        parts: int = 2,
        steps: int = 600,
        learning_rate: float = 0.1,
        alpha_rate: float = 0.03,
        batch_size: int = 64,
        warmup: float = 0.3,
    ) -> None:
        super().__init__(steps, learning_rate, alpha_rate, batch_size, warmup)
        if not isinstance(parts, int) or parts < 1:
            raise InputError(f"parts is {parts!r}; expected a whole number above 0.")
        self.parts = parts

    def train(
        self, supernet: Supernet, data: SearchData, rng: np.random.Generator, journal: Journal
    ) -> Trained:
        use_parts(supernet, self.parts)
        mixture = PartialMixture(
            supernet, small_alphas(supernet, rng), small_alphas(supernet, rng)[:, 0]
        )
        weights = self.weight_optimizer(supernet, data.recipe)
        alphas = self.alpha_optimizer(mixture)
        supernet.train()
        batches = data.weight_batches(self.batch_size, rng)
        others = data.architecture_batches(self.batch_size, rng)
        for step in range(1, self.steps + 1):
            if not self.frozen(step):
                alpha_step(alphas, mixture_loss(supernet, mixture.gates(), next(others)))
            rate = cosine(self.learning_rate, step - 1, self.steps)
            loss = weight_step(mixture, weights, rate, next(batches))
            note(journal, step, mixture, loss)
            journal.finished(step, self.steps, mixture)
        note_gap(journal, mixture, data)
        return mixture


class PartialMixture(Mixture):
    """``edges`` (decisions,) become weights that sum to 1 over the edges into a node."""

    def __init__(self, supernet: Supernet, alphas: Tensor, edges: Tensor) -> None:
        super().__init__(supernet, alphas)
        self.edges = nn.Parameter(edges)

    def gates(self) -> Tensor:
        into: dict[int, list[int]] = {}
        for edge, (_, to) in enumerate(EDGES[: len(self.edges)]):
            into.setdefault(to, []).append(edge)  # edges are in the order of their targets
        weights = torch.cat([torch.softmax(self.edges[edges], dim=0) for edges in into.values()])
        return weights[:, None] * super().gates()

    def alone(self, architecture: Architecture) -> Gates:
        """As weights, so that it runs on the first channels, as in the training."""
        decisions = torch.tensor(architecture.decisions, device=self.alphas.device)
        return F.one_hot(decisions, self.alphas.shape[1]).float().unbind()

    def score(
        self,
        architectures: Sequence[Architecture],
        data: SearchData,
        mode: BatchNormMode = "recal",
    ) -> Scores:
        """Each architecture with partial channels, the only ones that are trained."""
        pairs = [score_gates(self.supernet, self.alone(one), data, mode) for one in architectures]
        accuracy, loss = np.array(pairs, np.float64).reshape(-1, 2).T
        return Scores(accuracy, loss)


def use_parts(supernet: Supernet, parts: int) -> None:
    """Let mixtures run on the first of so many parts of the channels, from now on."""
    width = supernet.sizes["channels"]
    if width % parts:
        raise InputError(
            f"parts is {parts}; expected a divisor of the supernet's {width} channels."
        )
    for module in supernet.modules():
        if isinstance(module, MixedOp):
            module.parts = parts
