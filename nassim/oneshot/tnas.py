"""T-NAS: meta-learn the weights of a supernet together with its architecture, for few-shot tasks.

Lian, Zheng, Xu, Lu, Lin, Zhao, Huang & Gao, "Towards fast adaptation of neural architectures with
meta learning", ICLR 2020. It is MAML (Finn, Abbeel & Levine, ICML 2017, arXiv 1703.03400) on both
the weights w and the architecture parameters theta of a mixed network. On a task i,

    (w_i, theta_i) = (w, theta) - rates * gradients of L_i(support; w, theta), repeated
    (w, theta)    <- Adam by the gradient of the mean of L_i(query; w_i, theta_i)

where the second line's gradient goes through the first. On a new task, (w, theta) are adapted to
the support, and theta_i is decoded: each edge keeps its operation of greatest weight.

Where it differs. This is a tiny version, for images of 8x8 or 12x12 pixels: one kind of cell of
three nodes instead of DARTS cells; normalisation within an image instead of batch statistics, so
that answers to a query do not depend on the other queries; SiLU instead of ReLU, whose second
derivatives can be checked; accuracy is that of the adapted *mixed* network, where the paper trains
each decoded network anew. A cell that is fixed beforehand is trained by ``cell=``.
``docs/methods/tnas.md`` lists all differences, with both values.

How to read this file: options and result; tasks; the network; learning.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from nassim.datasets import ImageData
from nassim.errors import InputError
from nassim.ranking.intervals import Interval, bootstrap_interval
from nassim.records import FloatArray
from nassim.spaces.nasbench201 import EDGES, OPERATIONS

__all__ = [
    "ClassPool",
    "Episodes",
    "FewShotResult",
    "Supernet",
    "TNASOptions",
    "adapted",
    "class_pools",
    "draw_episodes",
    "query_loss",
    "task_loss",
    "train_tnas",
]

CELL_EDGES = EDGES[:3]  # 0 to 1, 0 to 2, 1 to 2
CANDIDATES = OPERATIONS[1:]  # no "none": to a softmax, it is the same as smaller other weights
KERNELS = {"nor_conv_1x1": 1, "nor_conv_3x3": 3}
CELLS = 2  # one behind the other, of the same theta; the image is halved after each
TEST_BATCH = 25  # tasks that are adapted to together

Cell = tuple[str, ...]  # an operation for each edge
Weights = dict[str, Tensor]


@dataclass(frozen=True)
class TNASOptions:
    """Options of :func:`train_tnas`.

    Parameters
    ----------
    ways, shots, queries
        Classes of a task; images of each class to adapt to, and to judge by.
    cell
        ``"learned"``: theta is meta-learned and adapted. Else theta is frozen, which is MAML:
        ``"mixed"`` keeps all operations of each edge at even weights, a tuple of three names
        keeps one for each of the edges 0 to 1, 0 to 2 and 1 to 2.
    inner
        ``"simultaneous"`` (the published code): each inner step moves w and theta by the
        gradients at one point. ``"alternate"`` (the paper's text): theta's gradient is taken
        after the step of w.
    first_order
        Treat inner gradients as constants (the published code does): cheaper.
    inner_steps, test_steps
        Inner steps in meta-training, and on a new task.
    inner_rate_w, inner_rate_theta, outer_rate_w, outer_rate_theta, theta_decay
        Of gradient descent within a task, and of Adam across tasks.
    meta_batch, steps
        Tasks of an outer step, and outer steps.
    channels
        Of every node.

    Raises
    ------
    InputError
        if an option is out of its range.
    """

    ways: int = 5
    shots: int = 1
    queries: int = 15
    cell: Literal["learned", "mixed"] | Cell = "learned"
    inner: Literal["simultaneous", "alternate"] = "simultaneous"
    first_order: bool = False
    inner_steps: int = 5
    test_steps: int = 10
    inner_rate_w: float = 0.1
    inner_rate_theta: float = 0.1
    outer_rate_w: float = 1e-3
    outer_rate_theta: float = 1e-3
    theta_decay: float = 1e-3
    meta_batch: int = 4
    steps: int = 600
    channels: int = 8

    def __post_init__(self) -> None:
        if self.inner not in ("simultaneous", "alternate"):
            raise InputError(
                f"Option inner is {self.inner!r}; expected 'simultaneous' or 'alternate'."
            )
        if self.cell not in ("learned", "mixed") and not (
            len(self.cell) == len(CELL_EDGES) and set(self.cell) <= set(CANDIDATES)
        ):
            raise InputError(
                f"Option cell is {self.cell!r}; expected 'learned', 'mixed', or a tuple of "
                f"{len(CELL_EDGES)} operations of {', '.join(CANDIDATES)}."
            )
        for name, least in (("ways", 2), ("shots", 1), ("queries", 1), ("meta_batch", 1)):
            if getattr(self, name) < least:
                raise InputError(f"{name} is {getattr(self, name)}; expected {least} or more.")


@dataclass(frozen=True, eq=False)
class FewShotResult:
    """What was learned, and how well it adapts to tasks of classes that it never saw.

    ``accuracy`` (tasks,) is the share of right answers to each meta-test task's queries;
    ``cells`` holds the decoded cell of each; ``cell`` is that of the meta-learned ``theta``
    (edges, operations); ``losses`` (outer steps,) are query losses of meta-training.
    """

    options: TNASOptions
    accuracy: FloatArray
    cells: tuple[Cell, ...]
    cell: Cell
    theta: FloatArray
    losses: FloatArray

    @property
    def mean(self) -> float:
        """Mean accuracy over the tasks."""
        return float(self.accuracy.mean())

    @property
    def interval(self) -> Interval:
        """95% bootstrap interval of the mean over tasks, for this one meta-training."""
        return bootstrap_interval([self.accuracy])


# -- tasks ---------------------------------------------------------------------------------------


class ClassPool(NamedTuple):
    """Images of some classes: for each label, (n, inputs, size, size) in float32."""

    labels: tuple[int, ...]
    images: tuple[Tensor, ...]


class Episodes(NamedTuple):
    """Tasks: images (tasks, n, inputs, size, size); labels (tasks, n) from 0 to ways - 1."""

    support_x: Tensor
    support_y: Tensor
    query_x: Tensor
    query_y: Tensor


def class_pools(
    data: ImageData, test_classes: int, rng: np.random.Generator, size: int = 8
) -> tuple[ClassPool, ClassPool]:
    """Classes for meta-training and ``test_classes`` others for the meta-test, drawn by ``rng``.

    The former's images are of the training and validation splits, the latter's of the test
    split, so whatever the dataset keeps apart (fonts, say) stays apart. All are brought to
    ``size`` x ``size`` pixels by averages, and to mean 0 and deviation 1 over the former.

    Raises
    ------
    InputError
        if ``size`` is not a multiple of 4, or fewer than 2 classes are left on a side.
    """
    if size % 4 or size < 4:
        raise InputError(f"size is {size}; expected a multiple of 4, as images are halved twice.")
    classes = rng.permutation(data.record.classes).tolist()
    if not 2 <= test_classes <= len(classes) - 2:
        raise InputError(
            f"{test_classes} of {data.record.name}'s {len(classes)} classes were asked for the "
            "meta-test; expected at least 2 there and 2 left to train."
        )
    x = _small(np.concatenate([data.x_train, data.x_valid]), size)
    y = np.concatenate([data.y_train, data.y_valid])
    train = _pool(x, y, classes[test_classes:])
    test = _pool(_small(data.x_test, size), data.y_test, classes[:test_classes])
    seen = torch.cat(train.images)
    mean, deviation = seen.mean(), seen.std()
    train, test = (
        ClassPool(pool.labels, tuple((images - mean) / deviation for images in pool.images))
        for pool in (train, test)
    )
    return train, test


def _small(x: np.ndarray, size: int) -> Tensor:
    images = torch.from_numpy(x.astype(np.float32)).permute(0, 3, 1, 2)
    return F.adaptive_avg_pool2d(images, size)


def _pool(x: Tensor, y: np.ndarray, labels: Sequence[int]) -> ClassPool:
    labels = sorted(labels)
    return ClassPool(
        tuple(labels), tuple(x[torch.from_numpy(np.flatnonzero(y == label))] for label in labels)
    )


def draw_episodes(
    pool: ClassPool, count: int, options: TNASOptions, rng: np.random.Generator
) -> Episodes:
    """Tasks of random classes in random order; no image is in both support and query of a task.

    Raises
    ------
    InputError
        if the pool has too few classes, or a class too few images.
    """
    wanted = options.shots + options.queries
    fewest = min(map(len, pool.images))
    if len(pool.labels) < options.ways or fewest < wanted:
        raise InputError(
            f"A task of {options.ways} classes of {wanted} images was asked of {len(pool.labels)} "
            f"classes of at least {fewest}; lower ways, shots or queries."
        )
    drawn = []
    for _ in range(count):
        for k in rng.permutation(len(pool.labels))[: options.ways].tolist():
            rows = rng.permutation(len(pool.images[k]))[:wanted]
            drawn.append(pool.images[k][torch.from_numpy(rows)])
    x = torch.stack(drawn).reshape(count, options.ways, wanted, *drawn[0].shape[1:])
    y = torch.arange(options.ways)
    return Episodes(
        x[:, :, : options.shots].flatten(1, 2),
        y.repeat_interleave(options.shots).expand(count, -1),
        x[:, :, options.shots :].flatten(1, 2),
        y.repeat_interleave(options.queries).expand(count, -1),
    )


# -- the network, for several tasks at once ------------------------------------------------------


@dataclass(frozen=True)
class Supernet:
    """A network whose weights w and architecture parameters theta are arguments.

    Both have a first axis of tasks. ``choices`` holds, for each edge of the cell, the operations
    that are mixed there by the softmax of its row of theta (tasks, edges, operations); with one
    operation, that is a fixed cell.
    """

    choices: tuple[tuple[str, ...], ...]
    inputs: int
    size: int
    channels: int
    ways: int

    def initial(self, rng: np.random.Generator) -> tuple[Weights, Tensor]:
        """w after He et al. (2015), but a head of zeros, and theta of even mixtures.

        Neither has an axis of tasks.
        """
        width = self.channels
        shapes: dict[str, tuple[int, ...]] = {"stem": (width, self.inputs, 3, 3)}
        for cell in range(CELLS):
            for edge, operations in enumerate(self.choices):
                for name, kernel in KERNELS.items():
                    if name in operations:
                        shapes[f"{cell}.{edge}.{name}"] = (width, width, kernel, kernel)
        w = {}
        for name, shape in shapes.items():
            drawn = rng.standard_normal(shape) * math.sqrt(2 / math.prod(shape[1:]))
            w[name] = torch.from_numpy(drawn).float()
        shape = (self.ways, width * (self.size // 2**CELLS) ** 2)
        w["head"] = torch.zeros(shape)  # so that no class is preferred before a task is seen
        w["bias"] = torch.zeros(self.ways)
        return w, torch.zeros(len(self.choices), len(self.choices[0]))

    def __call__(self, w: Weights, theta: Tensor, x: Tensor) -> Tensor:
        """Scores (tasks, n, ways) of images (tasks, n, inputs, size, size)."""
        mix = theta.softmax(2)
        x = _normal(_convolved(x, w["stem"]))
        for cell in range(CELLS):
            nodes = [x]
            for to in (1, 2):
                terms = [
                    self._edge(w, cell, edge, mix[:, edge], nodes[CELL_EDGES[edge][0]])
                    for edge in range(len(CELL_EDGES))
                    if CELL_EDGES[edge][1] == to
                ]
                nodes.append(_normal(sum(terms[1:], terms[0])))
            x = _pooled(nodes[-1], 2, 2)
        return x.flatten(2) @ w["head"].mT + w["bias"][:, None]

    def _edge(self, w: Weights, cell: int, edge: int, mix: Tensor, x: Tensor) -> Tensor:
        weight = dict(zip(self.choices[edge], mix.T[..., None, None, None, None], strict=True))
        terms = []
        if "skip_connect" in weight:
            terms.append(weight["skip_connect"] * x)
        if "avg_pool_3x3" in weight:
            terms.append(weight["avg_pool_3x3"] * _pooled(x, 3, 1))
        # A sum of convolutions is one, of the sum of their kernels, for a part of the time.
        kernels = [
            weight[name] * F.pad(w[f"{cell}.{edge}.{name}"], [(3 - kernel) // 2] * 4)
            for name, kernel in KERNELS.items()
            if name in weight
        ]
        if kernels:
            terms.append(_convolved(F.silu(x), sum(kernels[1:], kernels[0])))
        total: Tensor = sum(terms[1:], terms[0])
        return total

    def decode(self, theta: Tensor) -> Cell:
        """The operation of greatest weight on each edge of one task's theta (edges, operations);
        among equals, the first."""
        best = theta.argmax(1).tolist()
        return tuple(names[k] for names, k in zip(self.choices, best, strict=True))


def _convolved(x: Tensor, kernel: Tensor) -> Tensor:
    """Images (tasks, n, inputs, size, size) by their task's kernel (tasks, outputs, inputs, 3, 3).

    Tasks are the groups of one convolution.
    """
    tasks = len(x)
    together = x.transpose(0, 1).flatten(1, 2)
    y: Tensor = F.conv2d(together, kernel.flatten(0, 1), padding=1, groups=tasks)
    return y.reshape(len(y), tasks, -1, *y.shape[2:]).transpose(0, 1)


def _pooled(x: Tensor, kernel: int, stride: int) -> Tensor:
    padding = (kernel - stride) // 2
    flat = F.avg_pool2d(x.flatten(0, 1), kernel, stride, padding, count_include_pad=False)
    return flat.reshape(*x.shape[:3], *flat.shape[2:])


def _normal(x: Tensor) -> Tensor:
    """Each image alone, over all its channels.

    Written out: with layer_norm of torch 2.13 the meta-gradient of the alternate order was off by
    up to 2%, as the comparison with finite differences in the tests showed.
    """
    centred = x - x.mean((2, 3, 4), keepdim=True)
    return centred * (centred.square().mean((2, 3, 4), keepdim=True) + 1e-5).rsqrt()


# -- learning ------------------------------------------------------------------------------------


def task_loss(supernet: Supernet, w: Weights, theta: Tensor, x: Tensor, y: Tensor) -> Tensor:
    """Mean cross-entropy of each task, (tasks,)."""
    scores = supernet(w, theta, x).transpose(1, 2)
    return F.cross_entropy(scores, y, reduction="none").mean(1)


def adapted(
    supernet: Supernet,
    w: Weights,
    theta: Tensor,
    x: Tensor,
    y: Tensor,
    options: TNASOptions,
    steps: int,
    *,
    first_order: bool,
) -> tuple[Weights, Tensor]:
    """w and theta of each task after inner steps on its support, with an axis of tasks.

    They are differentiable in ``w`` and ``theta``: wholly, or (``first_order``) as if inner
    gradients were constants. Theta stays as it is if it needs no gradient.
    """
    learns = theta.requires_grad
    w = {name: weight.expand(len(x), *weight.shape) for name, weight in w.items()}
    theta = theta.expand(len(x), *theta.shape)

    def gradients(*of: Tensor) -> tuple[Tensor, ...]:
        loss = task_loss(supernet, w, theta, x, y).sum()  # tasks do not mix
        return torch.autograd.grad(loss, of, create_graph=not first_order)

    together = learns and options.inner == "simultaneous"
    for _ in range(steps):
        found = gradients(*w.values(), *([theta] if together else []))
        w = {
            name: weight - options.inner_rate_w * gradient
            for (name, weight), gradient in zip(w.items(), found, strict=False)
        }
        if learns:
            theta = theta - options.inner_rate_theta * (
                found[-1] if together else gradients(theta)[0]
            )
    return w, theta


def query_loss(
    supernet: Supernet, w: Weights, theta: Tensor, episodes: Episodes, options: TNASOptions
) -> Tensor:
    """The outer loss: cross-entropy on tasks' queries after adaptation to their supports."""
    support = episodes.support_x, episodes.support_y
    w, theta = adapted(
        *(supernet, w, theta, *support, options, options.inner_steps),
        first_order=options.first_order,
    )
    return task_loss(supernet, w, theta, episodes.query_x, episodes.query_y).mean()


def train_tnas(
    train: ClassPool, test: ClassPool, options: TNASOptions, *, test_tasks: int = 300, seed: int = 0
) -> FewShotResult:
    """Meta-train on tasks of ``train``, then adapt to each of ``test_tasks`` tasks of ``test``.

    Same pools, options and seed, same result. Options of learning change no draw of tasks: two
    results of a seed are of the same tasks, pairwise. With ``steps=0``, the untrained start.

    Raises
    ------
    InputError
        if the pools share a class, or are too small for a task.
    """
    shared = set(train.labels) & set(test.labels)
    if shared:
        raise InputError(f"Classes {sorted(shared)} are in both pools; expected disjoint classes.")
    learned = options.cell == "learned"
    choices = (
        (CANDIDATES,) * len(CELL_EDGES)
        if isinstance(options.cell, str)
        else tuple((name,) for name in options.cell)
    )
    inputs, size = train.images[0].shape[1:3]
    supernet = Supernet(choices, inputs, size, options.channels, options.ways)
    chance = [np.random.default_rng([seed, use]) for use in range(3)]
    w, theta = supernet.initial(chance[0])
    for weight in w.values():
        weight.requires_grad_()
    theta.requires_grad_(learned)
    outer = [torch.optim.Adam(w.values(), lr=options.outer_rate_w)]
    if learned:
        rate, decay = options.outer_rate_theta, options.theta_decay
        outer.append(torch.optim.Adam([theta], lr=rate, betas=(0.5, 0.999), weight_decay=decay))
    losses = np.zeros(options.steps)
    for step in range(options.steps):
        episodes = draw_episodes(train, options.meta_batch, options, chance[1])
        loss = query_loss(supernet, w, theta, episodes, options)
        for adam in outer:
            adam.zero_grad()
        loss.backward()
        for adam in outer:
            adam.step()
        losses[step] = loss.item()
    accuracy: list[float] = []
    cells: list[Cell] = []
    while len(accuracy) < test_tasks:
        count = min(TEST_BATCH, test_tasks - len(accuracy))
        episodes = draw_episodes(test, count, options, chance[2])
        support = episodes.support_x, episodes.support_y
        w_i, theta_i = adapted(
            *(supernet, w, theta, *support, options, options.test_steps), first_order=True
        )
        with torch.no_grad():
            answers = supernet(w_i, theta_i, episodes.query_x).argmax(2)
        accuracy += (answers == episodes.query_y).double().mean(1).tolist()
        cells += [supernet.decode(one) for one in theta_i]
    learned_theta = theta.detach()
    return FewShotResult(
        *(options, np.array(accuracy), tuple(cells), supernet.decode(learned_theta)),
        *(learned_theta.numpy().copy(), losses),
    )
