"""Path dropout: all operations run at once, and learn to do without each other.

Bender et al., "Understanding and Simplifying One-Shot Architecture Search", ICML 2018. Of the k
operations of an edge each is dropped with probability r^(1/k), so that all vanish with
probability r, whatever k is. r rises linearly from 0. Each part of a batch has a mask and
batch-norm statistics of its own. An architecture is scored by dropping all but its operations.

- Blocks: what the paper drops are the inputs and operations of a block; here the operations of an
  edge other than ``none``, for an edge without any is ``none``.
- A mask that leaves no path from a cell's input to its output is drawn anew, so r is a little less
  than said (ours): such a cell teaches nothing. An operation ``noise`` is no path.
- Decay: an operation that no part of the batch kept is not decayed, as in the paper.
- Scale: the paper has batches of 1,024 in parts of 32; here 64 in parts of 16, 400 steps, r up to
  0.1 (ours; the paper tries several).
- Operations are added as they are: there is no normalisation after a pooling or an identity, where
  the paper's cells have one before each convolution.
"""

from __future__ import annotations

from collections.abc import Mapping
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
from nassim.oneshot.data import SearchData
from nassim.oneshot.supernet import Supernet
from nassim.records import FloatArray
from nassim.spaces.nasbench201 import EDGES, NASBench201Space, live_edges

__all__ = ["Bender", "draw_mask", "ramp"]


class Bender(OneShot):
    """All operations are trained together under path dropout, scored one by one (Bender et al.)."""

    quick_options: ClassVar[Mapping[str, object]] = {
        "steps": 4,
        "batch_size": 16,
        "part_size": 8,
    }

    def __init__(
        self,
        steps: int = 400,
        learning_rate: float = 0.1,
        batch_size: int = 64,
        part_size: int = 16,
        rate: float = 0.1,
    ) -> None:
        positive(steps=steps, learning_rate=learning_rate, batch_size=batch_size)
        if not 2 <= part_size <= batch_size or batch_size % part_size:
            raise InputError(
                f"part_size is {part_size}; expected 2 or more that divides {batch_size}, the "
                "images of a batch."
            )
        if not 0 <= rate < 1:
            raise InputError(f"rate is {rate}; expected a probability from 0 to below 1.")
        self.steps = steps
        self.learning_rate = learning_rate
        self.batch_size = batch_size
        self.part_size = part_size
        self.rate = rate

    def train(
        self, supernet: Supernet, data: SearchData, rng: np.random.Generator, journal: Journal
    ) -> Trained:
        trained = Trained(supernet)
        space = supernet.space
        assert isinstance(space, NASBench201Space)  # no other has edges that are all decisions
        optimizer = weight_optimizer(supernet, data.recipe, self.learning_rate)
        batches = data.weight_batches(self.batch_size, rng)
        supernet.train()
        for step in range(1, self.steps + 1):
            optimizer.param_groups[0]["lr"] = cosine(self.learning_rate, step - 1, self.steps)
            rate = ramp(self.rate, step, self.steps)
            x, y = next(batches)
            optimizer.zero_grad(set_to_none=True)
            losses = []
            parts = (torch.split(part, self.part_size) for part in (x, y))
            for part_x, part_y in zip(*parts, strict=True):
                mask = draw_mask(space, rate, rng)
                gates = list(torch.from_numpy(mask).to(x))
                loss = F.cross_entropy(supernet(part_x, gates), part_y)
                (loss * len(part_y) / len(y)).backward()
                losses.append(float(loss.detach()))
            optimizer.step()
            if step % 20 == 0:
                journal.note(step, "train_loss", float(np.mean(losses)))
                journal.note(step, "dropout_rate", rate)
            journal.finished(step, self.steps, trained)
        return trained


def ramp(rate: float, step: int, steps: int) -> float:
    """The probability that an edge loses all: 0 in the first step, ``rate`` in the last.

    >>> [ramp(0.1, step, 3) for step in (1, 2, 3)]
    [0.0, 0.05, 0.1]
    """
    return rate * (step - 1) / max(1, steps - 1)


def draw_mask(space: NASBench201Space, rate: float, rng: np.random.Generator) -> FloatArray:
    """1 for each operation that stays, (decisions, choices); ``none`` is always 0.

    >>> from nassim.spaces import get_space
    >>> draw_mask(get_space("nasbench201_3nodes"), 0.0, np.random.default_rng(0))[0].tolist()
    [0.0, 1.0, 1.0, 1.0, 1.0]
    """
    none, noise = space.offers("none"), space.offers("noise")
    dropped = np.array([[rate ** (1 / kinds)] for kinds in (~none).sum(axis=1).tolist()])
    while True:
        keep = (rng.random(none.shape) >= dropped) & ~none
        leads = keep & ~noise
        names = ["skip_connect" if row.any() else "none" for row in leads]
        if any(live_edges(names, EDGES[: space.n_decisions])):
            mask: FloatArray = keep.astype(np.float64)
            return mask
