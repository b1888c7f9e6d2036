"""Once-for-All: one network is trained, then ever smaller parts of it, taught by the whole.

Cai et al., "Once-for-All: Train One Network and Specialize it for Efficient Deployment", ICLR 2020,
and the authors' public code. Progressive shrinking: the largest network is trained first, and a
copy of it is the teacher of all that follows. Then kernels may be smaller, then stages shorter too,
then blocks narrower too; a step draws so many networks of what is open (1, 2 and 4), adds the
gradients of

    L = CE(labels) + distillation * CE(softmax of the teacher)

and moves once. Depths and expansions open one by one, the largest first. Before narrower blocks
open, the channels within a block are sorted by the magnitudes of the weights that read them. The
side of the images is drawn in every step of every phase.

- Search: picks are the most accurate of all parts that are scored, because a space that has a
  ground truth is small enough to score whole; the paper's predictor and evolution within a budget
  are in :mod:`nassim.oneshot.specialise`.
- Scale: the paper has 120 epochs for kernels and 145 each for depths and expansions; here 300 steps
  for the whole, 150 for kernels, 150 for depths and 300 for expansions (ours, for images of some
  12 pixels), shared out among values as there, 25 to 120 where there are two.
- Learning rates: a cosine in each phase. 0.1 for the whole (ours); 0.03 for all that follows (the
  paper's for kernels; it has 0.0025 and 0.0075 for the others, and more steps).
- Momentum and weight decay are the stand-alone networks' (paper: 0.9, and 3e-5 but for batch norms
  and biases); there is no label smoothing (0.1) and no dropout (0.1).
- ``progressive=false`` trains all parts from the first step, by as many forward passes as in the
  phases after the whole, without a teacher or sorting: what progressive shrinking is compared with.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from typing import ClassVar, NamedTuple, cast

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from nassim.errors import InputError
from nassim.oneshot.base import Journal, OneShot, Trained, cosine, positive, weight_optimizer
from nassim.oneshot.data import SearchData
from nassim.oneshot.supernet import Supernet
from nassim.oneshot.supernet_elastic import ElasticSupernet
from nassim.records import Architecture
from nassim.spaces.elastic import ElasticSpace

__all__ = ["OnceForAll", "Phase", "draw", "phases", "soft_cross_entropy"]

_NOTE_EVERY = 50  # steps
_FIRST, _LAST = 25, 120  # the paper's epochs for all values of a kind but the last, and for that


class Phase(NamedTuple):
    """Steps in which so many networks are drawn, of decisions from ``lowest`` of each kind on."""

    name: str
    steps: int
    networks: int
    lowest: Mapping[str, int]


class OnceForAll(OneShot):
    """The largest network first, then its smaller parts with it as a teacher (Once-for-All)."""

    edgewise: ClassVar[bool] = False
    shrinking: ClassVar[bool] = True
    quick_options: ClassVar[Mapping[str, object]] = {
        "steps": 3,
        "kernel_steps": 2,
        "depth_steps": 2,
        "width_steps": 2,
        "batch_size": 16,
    }

    def __init__(
        self,
        steps: int = 300,
        kernel_steps: int = 150,
        depth_steps: int = 150,
        width_steps: int = 300,
        progressive: bool = True,
        distillation: float = 1.0,
        sort: bool = True,
        learning_rate: float = 0.1,
        shrinking_rate: float = 0.03,
        batch_size: int = 64,
    ) -> None:
        positive(steps=steps, kernel_steps=kernel_steps, depth_steps=depth_steps)
        positive(width_steps=width_steps, batch_size=batch_size)
        positive(learning_rate=learning_rate, shrinking_rate=shrinking_rate)
        if not isinstance(distillation, int | float) or not distillation >= 0:
            raise InputError(f"distillation is {distillation!r}; expected a number, 0 or more.")
        self.steps = steps
        self.kernel_steps = kernel_steps
        self.depth_steps = depth_steps
        self.width_steps = width_steps
        self.progressive = progressive
        self.distillation = distillation
        self.sort = sort
        self.learning_rate = learning_rate
        self.shrinking_rate = shrinking_rate
        self.batch_size = batch_size

    def train(
        self, supernet: Supernet, data: SearchData, rng: np.random.Generator, journal: Journal
    ) -> Trained:
        shared = cast(ElasticSupernet, supernet)
        trained = Trained(shared)
        shared.train()
        batches = data.weight_batches(self.batch_size, rng)
        plan = self._plan(shared.space)
        all_steps = sum(phase.steps for phase in plan)
        step = 0
        teacher: ElasticSupernet | None = None
        for number, phase in enumerate(plan):
            if number == 1 and self.distillation > 0:
                teacher = copy.deepcopy(shared)
            if self.sort and self.progressive and phase.name == "width":
                opened = plan[number - 1].lowest["expansion"]
                shared.sort_channels(shared.space.expansions[opened:])
            rate = self.learning_rate if number == 0 else self.shrinking_rate
            optimizer = weight_optimizer(shared, data.recipe, rate)
            for done in range(phase.steps):
                optimizer.param_groups[0]["lr"] = cosine(rate, done, phase.steps)
                x, y = next(batches)
                optimizer.zero_grad(set_to_none=True)  # what no network runs must have none at all
                losses = []
                for decisions in draw(shared.space, phase, rng):
                    outputs = shared(x, decisions)
                    loss = F.cross_entropy(outputs, y)
                    losses.append(float(loss.detach()))
                    if teacher is not None:
                        soft = _taught(teacher, x, decisions)
                        loss = loss + self.distillation * soft_cross_entropy(outputs, soft)
                    loss.backward()
                optimizer.step()
                step += 1
                if step % _NOTE_EVERY == 0:
                    journal.note(step, "train_loss", float(np.mean(losses)))
                journal.finished(step, all_steps, trained)
            corners = _corners(shared.space)
            accuracies = trained.score(list(corners.values()), data).accuracy
            for name, accuracy in zip(corners, accuracies, strict=True):
                journal.note(step, f"accuracy_{name}", accuracy)
        return trained

    def _plan(self, space: ElasticSpace) -> list[Phase]:
        plan = phases(space, self.steps, self.kernel_steps, self.depth_steps, self.width_steps)
        if self.progressive:
            return plan
        passes = sum(phase.steps * phase.networks for phase in plan)
        last = plan[-1]
        return [Phase("all", round(passes / last.networks), last.networks, last.lowest)]


def phases(
    space: ElasticSpace, steps: int, kernel_steps: int, depth_steps: int, width_steps: int
) -> list[Phase]:
    """What is open when, for so many steps: the whole, kernels, then depths, then expansions.

    >>> from nassim.spaces import get_space
    >>> for phase in phases(get_space("elastic"), 300, 150, 145, 290):
    ...     print(phase.name, phase.steps, phase.networks, dict(phase.lowest))
    whole 300 1 {'resolution': 0, 'kernel': 2, 'depth': 2, 'expansion': 2}
    kernel 150 1 {'resolution': 0, 'kernel': 0, 'depth': 2, 'expansion': 2}
    depth 25 2 {'resolution': 0, 'kernel': 0, 'depth': 1, 'expansion': 2}
    depth 120 2 {'resolution': 0, 'kernel': 0, 'depth': 0, 'expansion': 2}
    width 50 4 {'resolution': 0, 'kernel': 0, 'depth': 0, 'expansion': 1}
    width 240 4 {'resolution': 0, 'kernel': 0, 'depth': 0, 'expansion': 0}
    """
    lowest = {
        "resolution": 0,
        "kernel": len(space.kernels) - 1,
        "depth": len(space.depths) - 1,
        "expansion": len(space.expansions) - 1,
    }
    plan = [Phase("whole", steps, 1, dict(lowest))]
    lowest["kernel"] = 0
    plan.append(Phase("kernel", kernel_steps, 1, dict(lowest)))
    for name, kind, total, networks in (
        ("depth", "depth", depth_steps, 2),
        ("width", "expansion", width_steps, 4),
    ):
        smaller = range(lowest[kind] - 1, -1, -1)
        first = round(total * _FIRST / (_FIRST * (len(smaller) - 1) + _LAST))
        for value in smaller:
            lowest[kind] = value
            some = first if value else total - first * (len(smaller) - 1)
            plan.append(Phase(name, some, networks, dict(lowest)))
    return [phase for phase in plan if phase.steps > 0]


def draw(space: ElasticSpace, phase: Phase, rng: np.random.Generator) -> Iterator[tuple[int, ...]]:
    """The networks of a step, each uniform over the decisions that are open; of one resolution."""
    resolution = int(rng.integers(phase.lowest["resolution"], len(space.resolutions)))
    for _network in range(phase.networks):
        decisions = list(space.largest.decisions)
        decisions[0] = resolution
        for kind in ("depth", "kernel", "expansion"):
            for place in space.places(kind):
                decisions[place] = int(rng.integers(phase.lowest[kind], space.n_choices[place]))
        yield tuple(decisions)


def soft_cross_entropy(outputs: Tensor, target: Tensor) -> Tensor:
    """The mean cross-entropy of scores (n, classes) and shares of classes (n, classes).

    >>> even = torch.full((1, 2), 0.5)
    >>> float(soft_cross_entropy(torch.zeros(1, 2), even))  # the entropy of a fair coin
    0.6931471824645996
    """
    return -(target * F.log_softmax(outputs, dim=1)).sum(dim=1).mean()


@torch.no_grad()
def _taught(teacher: ElasticSupernet, x: Tensor, decisions: tuple[int, ...]) -> Tensor:
    """The teacher's shares of classes, at the resolution that is taught; by batch statistics."""
    largest = (decisions[0], *teacher.space.largest.decisions[1:])
    return F.softmax(teacher(x, largest), dim=1)


def _corners(space: ElasticSpace) -> dict[str, Architecture]:
    """The largest network, it with one kind of decision at its smallest, and the smallest."""
    found = {"largest": space.largest}
    for kind in ("resolution", "kernel", "depth", "expansion"):
        decisions = list(space.largest.decisions)
        for place in space.places(kind):
            decisions[place] = 0
        found[f"least_{kind}"] = space.architecture(tuple(decisions))
    return found | {"smallest": space.smallest}
