"""FairNAS: each step trains every operation of every decision once, by as many paths.

Chu et al., "FairNAS: Rethinking Evaluation Fairness of Weight Sharing Neural Architecture Search",
ICCV 2021. A step draws a permutation of the operations for each edge; path k takes the k-th of
each. Gradients are added over the paths, and the optimizer moves once.

- Edges: where they are decisions too (NAS-Bench-101), a step draws an architecture uniformly over
  texts and exchanges its operations alone, so the paths of a step share their edges. Operations of
  a vertex are trained equally often; edges are not, for not all of them fit into one cell (ours;
  the paper's space has no edges to choose).
- Loss: the paper adds the paths' gradients; so does this.
- Scale: 300 steps of five paths, as many images as SPOS has (ours).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import numpy as np
import torch.nn.functional as F

from nassim.oneshot.base import Journal, OneShot, Trained, cosine, positive, weight_optimizer
from nassim.oneshot.data import SearchData
from nassim.oneshot.supernet import Supernet

__all__ = ["FairNAS"]


class FairNAS(OneShot):
    """Each step runs as many paths as there are operations, each operation once (FairNAS)."""

    edgewise: ClassVar[bool] = False
    quick_options: ClassVar[Mapping[str, object]] = {"steps": 4, "batch_size": 16}

    def __init__(self, steps: int = 300, learning_rate: float = 0.1, batch_size: int = 64) -> None:
        positive(steps=steps, learning_rate=learning_rate, batch_size=batch_size)
        self.steps = steps
        self.learning_rate = learning_rate
        self.batch_size = batch_size

    def train(
        self, supernet: Supernet, data: SearchData, rng: np.random.Generator, journal: Journal
    ) -> Trained:
        optimizer = weight_optimizer(supernet, data.recipe, self.learning_rate)
        trained = Trained(supernet)
        supernet.train()
        batches = data.weight_batches(self.batch_size, rng)
        for step in range(1, self.steps + 1):
            optimizer.param_groups[0]["lr"] = cosine(self.learning_rate, step - 1, self.steps)
            optimizer.zero_grad(set_to_none=True)
            x, y = next(batches)
            losses = []
            for path in _paths(supernet, rng):
                loss = F.cross_entropy(supernet(x, path), y)
                loss.backward()
                losses.append(float(loss.detach()))
            optimizer.step()
            if step % 10 == 0:
                journal.note(step, "train_loss", float(np.mean(losses)))
            journal.finished(step, self.steps, trained)
        return trained


def _paths(supernet: Supernet, rng: np.random.Generator) -> list[tuple[int, ...]]:
    """As many paths as there are operations, which must be equally many for each decision."""
    space = supernet.space
    rest = (0,) * space.n_decisions if supernet.edgewise else space.sample(rng).decisions
    columns = [rng.permutation(space.n_choices[k]).tolist() for k in supernet.operations]
    paths = []
    for chosen in zip(*columns, strict=True):
        path = list(rest)
        for k, operation in zip(supernet.operations, chosen, strict=True):
            path[k] = operation
        paths.append(tuple(path))
    return paths
