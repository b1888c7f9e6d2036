"""SPOS: a supernet trained by one path at a time, each drawn uniformly.

Guo et al., "Single Path One-Shot Neural Architecture Search with Uniform Sampling", ECCV 2020;
without the evolution, because a space that has a ground truth is small enough to score whole.

- Law: the paper draws uniformly over texts. On a space where many texts compute one function this
  trains the simplest functions most, so the default here is ``classes``: uniform over functions,
  then over the texts of the function (``law="strings"`` is the paper's).
- Scale: the paper has 150,000 steps of 1,024 images, learning rate 0.5 falling linearly; here
  1,500 steps of 64, 0.1 and a cosine (ours, for images of 8x8 pixels). Momentum and weight decay
  are the stand-alone networks' (paper: 0.9 and 4e-5), and there is no label smoothing (0.1).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import ClassVar

import numpy as np
import torch.nn.functional as F

from nassim.errors import InputError
from nassim.oneshot.base import Journal, OneShot, Trained, cosine, positive, weight_optimizer
from nassim.oneshot.data import SearchData
from nassim.oneshot.supernet import Supernet
from nassim.records import Architecture
from nassim.spaces.base import Space

__all__ = ["LAWS", "SPOS", "check_law", "sampler"]

LAWS = ("classes", "strings")


class SPOS(OneShot):
    """One architecture a step, drawn uniformly; what it does not use stays untouched (SPOS)."""

    edgewise: ClassVar[bool] = False
    quick_options: ClassVar[Mapping[str, object]] = {"steps": 12, "batch_size": 16}

    def __init__(
        self,
        law: str = "classes",
        steps: int = 1500,
        learning_rate: float = 0.1,
        batch_size: int = 64,
    ) -> None:
        check_law(law)
        positive(steps=steps, learning_rate=learning_rate, batch_size=batch_size)
        self.law = law
        self.steps = steps
        self.learning_rate = learning_rate
        self.batch_size = batch_size

    def train(
        self, supernet: Supernet, data: SearchData, rng: np.random.Generator, journal: Journal
    ) -> Trained:
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
            optimizer.zero_grad(set_to_none=True)  # an operation not used must have none at all
            loss.backward()
            optimizer.step()
            if step % 50 == 0:
                journal.note(step, "train_loss", float(loss.detach()))
            journal.finished(step, self.steps, trained)
        return trained


def check_law(law: str) -> None:
    """Refuse (InputError) a law of :func:`sampler` that there is not."""
    if law not in LAWS:
        raise InputError(f"law is {law!r}; expected one of {', '.join(LAWS)}.")


def sampler(space: Space, law: str) -> Callable[[np.random.Generator], Architecture]:
    """Draws architectures uniformly over texts, or over classes of equal functions and then texts.

    >>> from nassim.spaces import get_space
    >>> draw = sampler(get_space("nasbench201_3nodes"), "classes")
    >>> draw(np.random.default_rng(0)).id
    '|avg_pool_3x3~0|+|nor_conv_1x1~0|nor_conv_1x1~1|'
    """
    return space.sample if law == "strings" else space.sample_class
