"""What methods share that train all operations at once, each weighted: DARTS and its repairs.

The supernet's weights are trained on one part of the images and the architecture parameters
(alphas) on the other. A method of this family shows its own loop; here are the steps of it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nassim.errors import InputError
from nassim.generator.recipe import Recipe
from nassim.oneshot.base import Journal, OneShot, Trained, positive
from nassim.oneshot.data import SearchData
from nassim.oneshot.mixed import Gates
from nassim.oneshot.scoring import Scores, score_gates
from nassim.oneshot.supernet import Supernet
from nassim.records import Architecture

__all__ = [
    "ALPHA_DECAY",
    "SKIPS",
    "Batch",
    "Mixture",
    "MixtureSearch",
    "alpha_step",
    "mixture_loss",
    "note",
    "note_gap",
    "share",
    "small_alphas",
    "weight_step",
]

SKIPS = ("skip_connect", "skip")  # what spaces call an identity
ALPHA_DECAY = 1e-3  # the weight decay of the alphas
_NOTE_EVERY = 20  # steps
_CLIP = 5.0  # the norm of the gradient of all weights, as DARTS has it

Batch = tuple[Tensor, Tensor]


class Mixture(Trained):
    """A supernet and its alphas (edges, options), which say how much each operation counts.

    ``alive`` (edges, options) is 1, or 0 where an operation was removed for good; what is
    removed has weight 0 and is not run.
    """

    alive: Tensor

    def __init__(self, supernet: Supernet, alphas: Tensor) -> None:
        super().__init__(supernet)
        self.alphas = nn.Parameter(alphas)
        self.register_buffer("alive", torch.ones_like(alphas))

    def gates(self) -> Tensor:
        """The weights of the operations (edges, options); here a softmax per edge."""
        return torch.softmax(self.logits(), dim=1)

    def logits(self) -> Tensor:
        """The alphas, minus infinity where an operation was removed."""
        return self.alphas.masked_fill(self.alive == 0, -torch.inf)

    def architecture_parameters(self) -> list[nn.Parameter]:
        """All that is no weight of the supernet."""
        named = self.named_parameters()
        return [parameter for name, parameter in named if not name.startswith("supernet.")]

    def discretise(self) -> Architecture:
        """What the weights come to, see :meth:`nassim.oneshot.supernet.Supernet.discretise`."""
        return self.supernet.discretise(self.gates().detach())

    def offers(self, *names: str) -> Tensor:
        """Where options of these names are: True in (edges, options)."""
        return self.supernet.offers(*names).to(self.alphas.device)

    def names(self) -> tuple[str, ...]:
        """The options of the edges of the discretised cell."""
        chosen = self.supernet.chosen(self.discretise())
        return tuple(self.supernet.options[edge][option] for edge, option in chosen)

    def skips(self) -> int:
        """How many edges of the discretised cell are identities."""
        return sum(name in SKIPS for name in self.names())

    def alone(self, architecture: Architecture) -> Gates:
        """The gates that an architecture is scored by."""
        return architecture.decisions

    def pick(self, architectures: Sequence[Architecture], scores: Scores) -> Architecture:
        """The discretised one, or one of the same function; else the one of the largest weights.

        ``scores`` are not looked at: these methods decide by what they learned beside the weights.
        """
        chosen = self.discretise()
        for same in ("id", "canonical_id"):
            for architecture in architectures:
                if getattr(architecture, same) == getattr(chosen, same):
                    return architecture
        logs = torch.log(self.gates().detach().double().clamp_min(1e-30)).cpu()
        edges_of = [zip(*self.supernet.chosen(one), strict=True) for one in architectures]
        sums = [float(logs[list(edges), list(options)].sum()) for edges, options in edges_of]
        return architectures[int(np.argmax(sums))]


class MixtureSearch(OneShot):
    """The options of the family, and the optimizers that all of it use.

    Parameters
    ----------
    steps
        In which both weights and alphas move.
    learning_rate
        Of the weights: SGD with the recipe's momentum and weight decay, not Nesterov's, cosine.
    alpha_rate
        Of Adam, betas 0.5 and 0.999, weight decay 0.001, which moves the alphas.
    batch_size
        Of both parts of the images.
    warmup
        The share of the steps, in [0, 1), before the alphas first move.
    """

    architecture_share: ClassVar[float] = 0.5
    affine: ClassVar[bool] = False  # a scale within an operation would undo its weight
    quick_options: ClassVar[Mapping[str, object]] = {"steps": 3, "batch_size": 8}
    betas: ClassVar[tuple[float, float]] = (0.5, 0.999)

    def __init__(
        self,
        steps: int = 600,
        learning_rate: float = 0.025,
        alpha_rate: float = 0.03,
        batch_size: int = 64,
        warmup: float = 0.0,
    ) -> None:
        positive(
            steps=steps, learning_rate=learning_rate, alpha_rate=alpha_rate, batch_size=batch_size
        )
        share("warmup", warmup)
        self.steps = steps
        self.learning_rate = learning_rate
        self.alpha_rate = alpha_rate
        self.batch_size = batch_size
        self.warmup = warmup

    def frozen(self, step: int) -> bool:
        """Whether the alphas rest in this step (from 1)."""
        return step <= round(self.warmup * self.steps)

    def weight_optimizer(
        self, supernet: Supernet, recipe: Recipe, decay: float | None = None
    ) -> torch.optim.SGD:
        """For the weights; ``decay`` instead of the recipe's."""
        return torch.optim.SGD(
            supernet.parameters(),
            self.learning_rate,
            recipe.momentum,
            weight_decay=recipe.weight_decay if decay is None else decay,
        )

    def alpha_optimizer(self, mixture: Mixture) -> torch.optim.Adam:
        """For all that is no weight of the supernet."""
        return torch.optim.Adam(
            mixture.architecture_parameters(), self.alpha_rate, self.betas, weight_decay=ALPHA_DECAY
        )


def share(name: str, value: float) -> None:
    """Refuse (InputError) an option that is not in [0, 1)."""
    if not isinstance(value, int | float) or not 0 <= value < 1:
        raise InputError(f"{name} is {value!r}; expected a share from 0 to below 1.")


def small_alphas(supernet: Supernet, rng: np.random.Generator) -> Tensor:
    """Alphas (edges, options) drawn from a normal of deviation 0.001, as DARTS begins."""
    shape = len(supernet.targets), len(supernet.options[0])
    device = next(supernet.parameters()).device
    return torch.from_numpy(1e-3 * rng.standard_normal(shape)).float().to(device)


def mixture_loss(
    supernet: Supernet,
    gates: Tensor,
    batch: Batch,
    parameters: Mapping[str, Tensor] | None = None,
) -> Tensor:
    """Cross-entropy under statistics of the batch; those that the supernet keeps do not move.

    Parameters
    ----------
    gates
        Weights (edges, options).
    parameters
        Take the place of the supernet's own.
    """
    state = dict(supernet.named_parameters() if parameters is None else parameters)
    state |= {name: buffer.clone() for name, buffer in supernet.named_buffers()}
    x, y = batch
    outputs: Tensor = torch.func.functional_call(supernet, state, (x, gates.unbind()))
    return F.cross_entropy(outputs, y)


def alpha_step(optimizer: torch.optim.Optimizer, loss: Tensor) -> None:
    """Move what the optimizer holds down the gradient of a loss, and nothing else."""
    parameters = optimizer.param_groups[0]["params"]
    for parameter, gradient in zip(
        parameters, torch.autograd.grad(loss, parameters, materialize_grads=True), strict=True
    ):
        parameter.grad = gradient
    optimizer.step()


def weight_step(
    mixture: Mixture,
    optimizer: torch.optim.Optimizer,
    rate: float,
    batch: Batch,
    gates: Tensor | None = None,
) -> float:
    """Move the weights one step under the present gates, or others, and return the loss before."""
    supernet = mixture.supernet
    optimizer.param_groups[0]["lr"] = rate
    optimizer.zero_grad(set_to_none=True)  # an operation that was removed must have none at all
    x, y = batch
    gates = mixture.gates() if gates is None else gates
    loss = F.cross_entropy(supernet(x, gates.detach().unbind()), y)
    loss.backward()
    nn.utils.clip_grad_norm_(supernet.parameters(), _CLIP)
    optimizer.step()
    return float(loss.detach())


def note(journal: Journal, step: int, mixture: Mixture, loss: float) -> None:
    """Now and then: the loss, the skips of the discretised cell, the mean entropy in nats.

    And the edges with noise, in a space that has such.
    """
    if step % _NOTE_EVERY == 0:
        gates = mixture.gates().detach()
        shares = gates / gates.sum(dim=1, keepdim=True)
        journal.note(step, "train_loss", loss)
        journal.note(step, "skips", mixture.skips())
        if mixture.offers("noise").any():
            journal.note(step, "noise_edges", mixture.names().count("noise"))
        journal.note(step, "entropy", float(torch.special.entr(shares).sum(dim=1).mean()))


def note_gap(journal: Journal, mixture: Mixture, data: SearchData) -> None:
    """At the end: what discretising adds to the loss on the scoring set (discretisation gap)."""
    gates = mixture.gates().detach().unbind()
    _, mixed = score_gates(mixture.supernet, gates, data)
    _, alone = score_gates(mixture.supernet, mixture.alone(mixture.discretise()), data)
    journal.note(journal.step, "discretisation_gap", alone - mixed)
