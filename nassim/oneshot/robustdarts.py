"""RobustDARTS: end the search when the loss bends sharply in the alphas, or regularise the weights.

Zela et al., "Understanding and Robustifying Differentiable Architecture Search", ICLR 2020. The
largest eigenvalue of the Hessian of the architecture images' loss by the alphas is followed; when
its running mean has grown from that of ``back`` values ago by more than 1/``ratio``, the search
ends with the alphas of then (DARTS-ES). ``decay_factor`` is R-DARTS (L2), ``drop_path`` its other
form; ``ratio=0`` never stops. DARTS-ADA, which goes on with more decay, is left out.

- Eigenvalue: by power iteration, to a hundredth or 20 products (the paper solves a dense matrix),
  on one batch that stays the same; the alphas' decay of 0.001 is added, as in the paper's code.
- When: every 20 of 600 steps and from the sixth value on (paper: every 2 of 50 epochs, from epoch
  10). Running mean of 5, 4 values back and ratio 0.75 are the paper's.
- Weights keep the state of the end, alphas that of ``back`` values before.
- Drop-path grows from 0 to its rate over all steps, on all operations but skips, as in the paper;
  there it comes with cutout, which here is the recipe's.
- What is searched is :mod:`nassim.oneshot.darts`, first order.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from nassim.oneshot.base import Journal, Trained, cosine, positive
from nassim.oneshot.data import SearchData
from nassim.oneshot.dropping import dropping
from nassim.oneshot.mixture import (
    ALPHA_DECAY,
    SKIPS,
    Batch,
    Mixture,
    MixtureSearch,
    alpha_step,
    mixture_loss,
    note,
    note_gap,
    share,
    small_alphas,
    weight_step,
)
from nassim.oneshot.supernet import Supernet

__all__ = ["RobustDARTS", "has_grown", "hessian_eigenvalue", "largest_eigenvalue"]

_WINDOW, _BACK, _FIRST = 5, 4, 5  # values: of a running mean, to look back, before the first look


class RobustDARTS(MixtureSearch):
    """DARTS that ends when the loss bends sharply, or with more regularisation (RobustDARTS)."""

    edgewise: ClassVar[bool] = False  # edges need not be decisions
    mixing: ClassVar[bool] = True

    quick_options: ClassVar[Mapping[str, object]] = {"steps": 3, "batch_size": 8, "every": 3}

    def __init__(
        self,
        ratio: float = 0.75,
        decay_factor: float = 1.0,
        drop_path: float = 0.0,
        every: int = 20,
        steps: int = 600,
        learning_rate: float = 0.025,
        alpha_rate: float = 0.03,
        batch_size: int = 64,
        warmup: float = 0.0,
    ) -> None:
        super().__init__(steps, learning_rate, alpha_rate, batch_size, warmup)
        share("ratio", ratio)
        share("drop_path", drop_path)
        positive(decay_factor=decay_factor, every=every)
        self.ratio = ratio
        self.decay_factor = decay_factor
        self.drop_path = drop_path
        self.every = every

    def train(
        self, supernet: Supernet, data: SearchData, rng: np.random.Generator, journal: Journal
    ) -> Trained:
        mixture = Mixture(supernet, small_alphas(supernet, rng))
        decay = self.decay_factor * data.recipe.weight_decay
        weights = self.weight_optimizer(supernet, data.recipe, decay)
        alphas = self.alpha_optimizer(mixture)
        supernet.train()
        batches = data.weight_batches(self.batch_size, rng)
        others = data.architecture_batches(self.batch_size, rng)
        judged, start = next(others), small_alphas(supernet, rng)
        values: list[float] = []
        past: list[Tensor] = []
        dropped = {name for options in supernet.options for name in options} - {"none", *SKIPS}
        with dropping(supernet, dropped, rng, whole=True) as drop:
            for step in range(1, self.steps + 1):
                drop.rate = self.drop_path * (step - 1) / self.steps
                if not self.frozen(step):
                    alpha_step(alphas, mixture_loss(supernet, mixture.gates(), next(others)))
                rate = cosine(self.learning_rate, step - 1, self.steps)
                loss = weight_step(mixture, weights, rate, next(batches))
                note(journal, step, mixture, loss)
                journal.finished(step, self.steps, mixture)
                if step % self.every == 0:
                    drop.rate = 0.0
                    values.append(hessian_eigenvalue(mixture, judged, start))
                    past.append(mixture.alphas.detach().clone())
                    journal.note(step, "hessian_eigenvalue", values[-1])
                    if has_grown(values, self.ratio):
                        journal.note(step, "stopped", values[-1])
                        with torch.no_grad():
                            mixture.alphas.copy_(past[-1 - _BACK])
                        break
        note_gap(journal, mixture, data)
        return mixture


def has_grown(values: Sequence[float], ratio: float) -> bool:
    """Whether the running mean is so much larger than four values ago that the search must end.

    >>> has_grown([1, 1, 1, 1, 1, 1, 1, 1, 2.6], 0.75)
    False
    >>> has_grown([1, 1, 1, 1, 1, 1, 1, 1, 2.7], 0.75)
    True
    """
    if len(values) <= _FIRST:
        return False
    before, now = (
        float(np.mean(values[max(0, end - _WINDOW) : end]))
        for end in (len(values) - _BACK, len(values))
    )
    return before < ratio * now


def hessian_eigenvalue(mixture: Mixture, batch: Batch, start: Tensor) -> float:
    """Largest eigenvalue of the Hessian of a batch's loss by the alphas, with their decay added."""
    loss = mixture_loss(mixture.supernet, mixture.gates(), batch)
    (gradient,) = torch.autograd.grad(loss, mixture.alphas, create_graph=True)

    def product(vector: Tensor) -> Tensor:
        return torch.autograd.grad(gradient, mixture.alphas, vector, retain_graph=True)[0]

    return largest_eigenvalue(product, start) + ALPHA_DECAY


def largest_eigenvalue(
    product: Callable[[Tensor], Tensor],
    start: Tensor,
    tolerance: float = 0.01,
    products: int = 20,
) -> float:
    """The largest eigenvalue (by value, not by size) of a symmetric matrix, by power iteration.

    Parameters
    ----------
    product
        The matrix times a vector, which may have any shape.
    start
        A vector that is not orthogonal to the eigenvector.
    tolerance, products
        It ends when the value changes by less than this share of it, or after so many products.
    """

    def dominant(shift: float) -> float:
        vector, value = start / start.norm(), 0.0
        for _ in range(products):
            moved = product(vector) + shift * vector
            before, value = value, float((vector * moved).sum())
            size = float(moved.norm())
            if size == 0 or abs(value - before) <= tolerance * abs(value):
                break
            vector = moved / size
        return value

    value = dominant(0.0)
    if value >= 0:
        return value
    return dominant(-value) + value  # the largest in size is negative: shift all above zero
