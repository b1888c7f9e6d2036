"""The contract of a one-shot method.

A method is its options. ``train`` trains a supernet and whatever else it learns, and answers a
:class:`Trained`: a module whose parameters and buffers are all that was learned, so that its
``state_dict`` can be kept. That scores architectures and picks one. Real seconds, gradients and
all, are what a one-shot method costs; nothing here is simulated.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import ClassVar, NamedTuple

import numpy as np
import torch
from torch import nn

from nassim.errors import InputError
from nassim.generator.recipe import Recipe
from nassim.loading import load
from nassim.oneshot import ONE_SHOT
from nassim.oneshot.batchnorm import BatchNormMode
from nassim.oneshot.data import SearchData
from nassim.oneshot.scoring import Scores, score
from nassim.oneshot.supernet import Supernet, supernet_of
from nassim.records import Architecture
from nassim.spaces.base import Space

__all__ = [
    "Journal",
    "OneShot",
    "Point",
    "Trained",
    "check_space",
    "cosine",
    "positive",
    "serves",
    "weight_optimizer",
]


class Point(NamedTuple):
    """One entry of a trace: what a method noted of its training after so many steps."""

    step: int
    name: str
    value: float


class Journal:
    """What happened during one training: notes, and a call at each checkpoint.

    ``at_checkpoint(step, trained)`` is called after the steps that are these shares of all.
    """

    def __init__(
        self,
        checkpoints: Sequence[float] = (),
        at_checkpoint: Callable[[int, Trained], None] | None = None,
    ) -> None:
        self.points: list[Point] = []
        self.step = 0  # the last that is done
        self._shares = tuple(checkpoints)
        self._at_checkpoint = at_checkpoint

    def note(self, step: int, name: str, value: float) -> None:
        """Write down a number of the training."""
        self.points.append(Point(step, name, float(value)))

    def finished(self, step: int, steps: int, trained: Trained) -> None:
        """Step ``step`` of ``steps`` (from 1) is done; a method says so after each."""
        self.step = step
        due = step in {max(1, round(share * steps)) for share in self._shares}
        if due and self._at_checkpoint is not None:
            self._at_checkpoint(step, trained)


class Trained(nn.Module):
    """A trained supernet. A method that learned more keeps it here as parameters or buffers."""

    def __init__(self, supernet: Supernet) -> None:
        super().__init__()
        self.supernet = supernet

    def score(
        self,
        architectures: Sequence[Architecture],
        data: SearchData,
        mode: BatchNormMode = "recal",
    ) -> Scores:
        """Each architecture by the supernet's weights; the same whatever was scored before."""
        return score(self.supernet, architectures, data, mode)

    def pick(self, architectures: Sequence[Architecture], scores: Scores) -> Architecture:
        """What the method would train: here the most accurate, of equals the one of least loss."""
        order = np.lexsort((scores.loss, -scores.accuracy))
        return architectures[int(order[0])]


class OneShot(ABC):
    """Trains a supernet. All options are arguments of the constructor."""

    # the share of the training images that updates of weights must leave to other updates
    architecture_share: ClassVar[float] = 0.0
    affine: ClassVar[bool] = True  # of the batch norms within operations
    # it weighs or draws the operations of each decision by themselves; without that, it runs whole
    # architectures alone, and every supernet will do (see ``Supernet.edgewise``)
    edgewise: ClassVar[bool] = True
    drawing: ClassVar[bool] = False  # it draws each decision by itself (``Supernet.drawable``)
    mixing: ClassVar[bool] = False  # it weighs all options of each edge (``Supernet.mixable``)
    shrinking: ClassVar[bool] = False  # it cuts networks out of one (``Supernet.shrinkable``)
    # full trainings that it asks to be told of (``landmarks`` of its data), an option of the method
    landmarks: int = 0
    # options that make it cheap enough to be checked each time the tests run
    quick_options: ClassVar[Mapping[str, object]] = {}

    @abstractmethod
    def train(
        self,
        supernet: Supernet,
        data: SearchData,
        rng: np.random.Generator,
        journal: Journal,
    ) -> Trained:
        """Train ``supernet`` in place. Chance comes from ``rng`` alone.

        Must not change the method itself, and calls ``journal.finished`` after each step.
        """


def serves(supernet: type[Supernet], method: OneShot | type[OneShot]) -> bool:
    """Whether a supernet can be trained by a method."""
    return (
        supernet.edgewise >= method.edgewise
        and supernet.drawable >= method.drawing
        and supernet.mixable >= method.mixing
        and supernet.shrinkable >= method.shrinking
    )


def check_space(method: OneShot, space: Space) -> None:
    """Refuse (InputError) a space without a supernet, or with one that the method cannot train."""
    supernet = supernet_of(space)
    if serves(supernet, method):
        return
    if method.edgewise:
        problem = (
            "weighs or draws the operations of each decision by themselves, and the supernet of "
            f"space {space.name!r} has decisions that are no operations"
        )
    elif method.shrinking:
        problem = (
            "trains a network and then parts that are cut out of it, and architectures of space "
            f"{space.name!r} are no parts of one"
        )
    elif method.drawing:
        problem = (
            "draws each decision by itself, and not any decisions together are an architecture of "
            f"space {space.name!r}"
        )
    else:
        problem = (
            f"weighs all operations at once, and the supernet of space {space.name!r} runs whole "
            "architectures alone"
        )
    able = [name for name, path in ONE_SHOT.items() if serves(supernet, load(path))]
    raise InputError(
        f"One-shot method {type(method).__name__} {problem}; expected one of {', '.join(able)}, or "
        "another space."
    )


def cosine(rate: float, done: int, steps: int) -> float:
    """A learning rate that falls from ``rate`` to zero along half a cosine.

    >>> cosine(0.1, 0, 10), round(cosine(0.1, 5, 10), 3)
    (0.1, 0.05)
    """
    return 0.5 * rate * (1 + math.cos(math.pi * done / steps))


def positive(**options: float) -> None:
    """Refuse (InputError) an option that is not above 0."""
    for name, value in options.items():
        if not isinstance(value, int | float) or not value > 0:
            raise InputError(f"{name} is {value!r}; expected a number above 0.")


def weight_optimizer(
    supernet: Supernet, recipe: Recipe, learning_rate: float
) -> torch.optim.Optimizer:
    """The recipe's SGD for the supernet's weights, and for nothing else that is learned.

    Call its ``zero_grad(set_to_none=True)`` before each step: what a step did not run must have no
    gradient at all, or it is decayed, and moved by an old momentum.
    """
    return torch.optim.SGD(
        supernet.parameters(),
        learning_rate,
        recipe.momentum,
        weight_decay=recipe.weight_decay,
        nesterov=recipe.nesterov,
    )
