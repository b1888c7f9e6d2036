"""A probability for each architecture, learned beside the weights, and what it is good for."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

from nassim.oneshot.base import Trained
from nassim.oneshot.scoring import Scores
from nassim.oneshot.supernet import Supernet
from nassim.records import Architecture, FloatArray
from nassim.spaces.base import Space

__all__ = ["Categorical", "initial_logits", "rescored"]


class Categorical(Trained):
    """p(a) = product over decisions d of softmax(logits[d])[a_d]; picks the most probable.

    Parameters
    ----------
    logits
        (decisions, choices), from which they start. The parameter of that name stays on the CPU
        in float64, wherever the supernet is.
    """

    def __init__(self, supernet: Supernet, logits: FloatArray) -> None:
        super().__init__(supernet)
        self.logits = nn.Parameter(torch.from_numpy(np.array(logits, np.float64)))

    def draw(self, rng: np.random.Generator) -> tuple[int, ...]:
        """Decisions, drawn with these probabilities."""
        logits = self.logits.detach().numpy()
        return tuple(np.argmax(logits + rng.gumbel(size=logits.shape), axis=1).tolist())

    def log_probability(self, architectures: Sequence[Architecture]) -> FloatArray:
        """log p of each architecture, (architectures,)."""
        paths = [architecture.decisions for architecture in architectures]
        total: FloatArray = self.log_pi(paths).detach().numpy()
        return total

    def log_pi(self, paths: Sequence[tuple[int, ...]]) -> Tensor:
        """The same of decisions, (paths,), with a gradient to the logits."""
        each = self.logits.log_softmax(1)
        return each[torch.arange(len(each)), torch.tensor(paths)].sum(dim=1)

    def entropy(self) -> float:
        """The mean over decisions, as a share of the highest possible: 1 while all are equal."""
        each = self.logits.detach().log_softmax(1)
        nats = -(each.exp() * each).sum(dim=1).mean()
        return float(nats) / float(np.log(each.shape[1]))

    def pick(self, architectures: Sequence[Architecture], scores: Scores) -> Architecture:
        """The most probable, whatever its score."""
        return architectures[int(np.argmax(self.log_probability(architectures)))]


def initial_logits(space: Space, rng: np.random.Generator) -> FloatArray:
    """Logits (decisions, choices) that make all nearly equal: 1e-3 times a standard normal."""
    return rng.normal(0, 1e-3, (space.n_decisions, max(space.n_choices)))


def rescored(
    architectures: Sequence[Architecture], log_probability: FloatArray, scores: Scores, best: int
) -> Architecture:
    """Of the ``best`` most probable, the most accurate; of equals, that of the least loss."""
    likely = np.argsort(-log_probability, kind="stable")[:best]
    order = np.lexsort((scores.loss[likely], -scores.accuracy[likely]))
    return architectures[int(likely[order[0]])]
