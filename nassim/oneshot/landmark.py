"""Landmark regularisation: a few known full trainings bend the ranking of a supernet.

Yu, Ranftl & Salzmann, "Landmark Regularization: Ranking Guided Super-Net Training in Neural
Architecture Search", CVPR 2021. To SPOS's loss a step adds a term for one random pair of
landmarks, of which i was better than j after full training:

    L = L_SPOS + lambda(t) * max(0, L(i; w) - L(j; w))

The body of the paper was not at hand: its values are those of the authors' public code.

- What is known: mean *validation* accuracy; the paper's landmarks are ranked by the benchmark's.
  Landmarks are judged nowhere, and a ridge regression on the same ones is the bar.
- Landmarks: the paper has about 30; here 12, of 60 functions (ours). ``landmarks=0`` is SPOS.
- lambda: 0 in a warm-up, then up to ``weight`` along half a cosine. The code has 10, and tried 1 to
  100; 10 here too. Its warm-up is not known to us; 20% of the steps here (ours).
- Images of a pair: those of the step. The code may also take validation images.
- Batch norm: statistics are tracked here, and collected anew to score (code: not tracked).
- Pairs are drawn from a generator of their own, so that all else is drawn as in SPOS.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import ClassVar

import numpy as np
import torch.nn.functional as F
from torch import Tensor

from nassim.errors import InputError
from nassim.oneshot.base import Journal, OneShot, Trained, cosine, positive, weight_optimizer
from nassim.oneshot.data import SearchData
from nassim.oneshot.mixture import share
from nassim.oneshot.spos import check_law, sampler
from nassim.oneshot.supernet import Supernet
from nassim.records import Architecture, Landmarks

__all__ = ["Landmark", "ordered_pairs", "rank_loss"]

_NOTE_EVERY = 50  # steps


class Landmark(OneShot):
    """SPOS, and a loss where two known architectures are in the wrong order (landmark)."""

    edgewise: ClassVar[bool] = False
    quick_options: ClassVar[Mapping[str, object]] = {
        "steps": 8,
        "batch_size": 16,
        "landmarks": 3,
    }

    def __init__(
        self,
        landmarks: int = 12,
        weight: float = 10.0,
        warmup: float = 0.2,
        law: str = "classes",
        steps: int = 1500,
        learning_rate: float = 0.1,
        batch_size: int = 64,
    ) -> None:
        if not isinstance(landmarks, int) or landmarks < 0 or landmarks == 1:
            raise InputError(
                f"landmarks is {landmarks!r}; expected 0, which is SPOS, or 2 or more."
            )
        if not isinstance(weight, int | float) or not weight >= 0:
            raise InputError(f"weight is {weight!r}; expected a number, 0 or more.")
        share("warmup", warmup)
        check_law(law)
        positive(steps=steps, learning_rate=learning_rate, batch_size=batch_size)
        self.landmarks = landmarks
        self.weight = weight
        self.warmup = warmup
        self.law = law
        self.steps = steps
        self.learning_rate = learning_rate
        self.batch_size = batch_size

    def train(
        self, supernet: Supernet, data: SearchData, rng: np.random.Generator, journal: Journal
    ) -> Trained:
        (of_pairs,) = rng.spawn(1)  # which draws nothing from ``rng``
        pairs = ordered_pairs(data.landmarks)
        draw = sampler(supernet.space, self.law)
        optimizer = weight_optimizer(supernet, data.recipe, self.learning_rate)
        trained = Trained(supernet)
        supernet.train()
        batches = data.weight_batches(self.batch_size, rng)
        for step in range(1, self.steps + 1):
            optimizer.param_groups[0]["lr"] = cosine(self.learning_rate, step - 1, self.steps)
            architecture = draw(rng)
            x, y = next(batches)
            loss = F.cross_entropy(supernet(x, architecture.decisions), y)
            total, weight = loss, self._weight(step)
            if weight > 0 and pairs:
                better, worse = (
                    F.cross_entropy(supernet(x, one.decisions), y)
                    for one in pairs[int(of_pairs.integers(len(pairs)))]
                )
                total = loss + weight * rank_loss(better, worse)
                if step % _NOTE_EVERY == 0:
                    journal.note(step, "rank_loss", float(rank_loss(better, worse).detach()))
                    journal.note(step, "loss_of_better", float(better.detach()))
                    journal.note(step, "loss_of_worse", float(worse.detach()))
            optimizer.zero_grad(set_to_none=True)  # an operation not used must have none at all
            total.backward()
            optimizer.step()
            if step % _NOTE_EVERY == 0:
                journal.note(step, "train_loss", float(loss.detach()))
            journal.finished(step, self.steps, trained)
        return trained

    def _weight(self, step: int) -> float:
        """lambda in a step (from 1): 0 in the warm-up, ``weight`` in the last step."""
        rest = round(self.warmup * self.steps)
        if step <= rest:
            return 0.0
        return 0.5 * self.weight * (1 - math.cos(math.pi * (step - rest) / (self.steps - rest)))


def rank_loss(better: Tensor, worse: Tensor) -> Tensor:
    """What the loss of the better one is above that of the worse; 0 in the right order.

    >>> low, high = Tensor([0.5]), Tensor([0.75])
    >>> rank_loss(low, high), rank_loss(high, low)
    (tensor([0.]), tensor([0.2500]))
    """
    return F.relu(better - worse)


def ordered_pairs(landmarks: Landmarks) -> list[tuple[Architecture, Architecture]]:
    """All pairs (better, worse); equal ones make none.

    Raises
    ------
    InputError
        if there are landmarks, and all are equal: they order nothing.
    """
    ranked = zip(landmarks.values.tolist(), landmarks.architectures, strict=True)
    known = sorted(ranked, key=lambda one: -one[0])
    pairs = [
        (better, worse)
        for k, (high, better) in enumerate(known)
        for low, worse in known[k + 1 :]
        if high > low
    ]
    if known and not pairs:
        raise InputError(
            f"All {len(known)} landmarks have the accuracy {known[0][0]}; expected some that "
            "differ. Ask for more landmarks."
        )
    return pairs
