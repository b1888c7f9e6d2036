"""Few-shot: a supernet is split at one decision, and each operation gets weights of its own.

Zhao et al., "Few-shot Neural Architecture Search", ICML 2021, arXiv 2006.06863. After one-shot
training, there is one copy of the supernet for each operation of the split edge, trained further on
the paths that have this operation. An architecture is scored by the copy that contains it.

- Edge: the paper's splits are chosen by hand or at random; here ``edge`` is the first by default.
  In NAS-Bench-101, where vertices have operations, it is the number of a vertex, from 0.
- Copies differ in how well they are trained, so scores of different copies have different offsets.
  They are not corrected, here or in the paper; the mean training loss of each copy is noted.
- Scale: the paper has 600 epochs for the supernet and 300 for each copy of NAS-Bench-201, at 0.025;
  here 1,000 steps at 0.1 and five times 200 at 0.025 (ours).
- Law: uniform over texts, as in the paper, for a function's texts lie in different copies.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import ClassVar, cast

import numpy as np
import torch.nn.functional as F
from torch import nn

from nassim.errors import InputError
from nassim.oneshot.base import (
    Journal,
    OneShot,
    Trained,
    cosine,
    positive,
    weight_optimizer,
)
from nassim.oneshot.batchnorm import BatchNormMode
from nassim.oneshot.data import SearchData
from nassim.oneshot.scoring import Scores, score
from nassim.oneshot.supernet import Supernet
from nassim.records import Architecture

__all__ = ["FewShot", "TrainedFewShot"]


class FewShot(OneShot):
    """After common training, one set of weights for each operation of an edge (few-shot NAS)."""

    edgewise: ClassVar[bool] = False
    quick_options: ClassVar[Mapping[str, object]] = {
        "steps": 3,
        "part_steps": 1,
        "batch_size": 16,
    }

    def __init__(
        self,
        steps: int = 1000,
        part_steps: int = 200,
        edge: int = 0,
        learning_rate: float = 0.1,
        part_rate: float = 0.025,
        batch_size: int = 64,
    ) -> None:
        positive(steps=steps, part_steps=part_steps, batch_size=batch_size)
        positive(learning_rate=learning_rate, part_rate=part_rate)
        self.steps = steps
        self.part_steps = part_steps
        self.edge = edge
        self.learning_rate = learning_rate
        self.part_rate = part_rate
        self.batch_size = batch_size

    def train(
        self, supernet: Supernet, data: SearchData, rng: np.random.Generator, journal: Journal
    ) -> Trained:
        space = supernet.space
        if not 0 <= self.edge < len(supernet.operations):
            raise InputError(f"edge is {self.edge}; expected 0 to {len(supernet.operations) - 1}.")
        decision = supernet.operations[self.edge]
        trained = TrainedFewShot(supernet, decision)
        all_steps = self.steps + self.part_steps * space.n_choices[decision]
        batches = data.weight_batches(self.batch_size, rng)

        optimizer = weight_optimizer(supernet, data.recipe, self.learning_rate)
        supernet.train()
        for step in range(1, self.steps + 1):
            optimizer.param_groups[0]["lr"] = cosine(self.learning_rate, step - 1, self.steps)
            x, y = next(batches)
            loss = F.cross_entropy(supernet(x, space.sample(rng).decisions), y)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
            if step % 50 == 0:
                journal.note(step, "train_loss", float(loss.detach()))
            journal.finished(step, all_steps, trained)

        trained.split()
        step = self.steps
        for option, module in enumerate(trained.parts):
            part = cast(Supernet, module)
            optimizer = weight_optimizer(part, data.recipe, self.part_rate)
            losses = []
            for done in range(self.part_steps):
                optimizer.param_groups[0]["lr"] = cosine(self.part_rate, done, self.part_steps)
                path = list(space.sample(rng).decisions)
                path[decision] = option
                x, y = next(batches)
                loss = F.cross_entropy(part(x, path), y)
                optimizer.zero_grad(set_to_none=True)
                loss.backward()
                optimizer.step()
                losses.append(float(loss.detach()))
                step += 1
                journal.finished(step, all_steps, trained)
            journal.note(step, f"train_loss_{option}", float(np.mean(losses)))
        return trained


class TrainedFewShot(Trained):
    """Scores an architecture by the part that contains it, once there are parts."""

    def __init__(self, supernet: Supernet, decision: int) -> None:
        super().__init__(supernet)
        self.parts = nn.ModuleList()
        self._decision = decision

    def split(self) -> None:
        """A copy of the supernet for each operation of the decision."""
        choices = self.supernet.space.n_choices[self._decision]
        self.parts.extend(copy.deepcopy(self.supernet) for _ in range(choices))

    def score(
        self,
        architectures: Sequence[Architecture],
        data: SearchData,
        mode: BatchNormMode = "recal",
    ) -> Scores:
        """Each architecture by its part's weights."""
        if not len(self.parts):
            return super().score(architectures, data, mode)
        accuracy, loss = np.empty((2, len(architectures)))
        options = np.array(
            [architecture.decisions[self._decision] for architecture in architectures]
        )
        for option, part in enumerate(self.parts):
            rows = np.flatnonzero(options == option).tolist()
            found = score(cast(Supernet, part), [architectures[row] for row in rows], data, mode)
            accuracy[rows], loss[rows] = found
        return Scores(accuracy, loss)
