"""The best part of a once-for-all network within a budget: a predictor, and evolution on it.

Cai et al., "Once-for-All: Train One Network and Specialize it for Efficient Deployment", ICLR 2020,
and the authors' public code. Some parts are scored with the shared weights, and a small network
learns their accuracy from their decisions. Then evolution looks for the part of the highest
predicted accuracy among those that a budget allows; no image is read for it.

- Inputs of the predictor: the kernel and the expansion of each block as ones among zeros, zeros
  alone where a stage is too shallow for the block; the resolution likewise. Three layers of 400
  with ReLUs; what it predicts is added to the mean accuracy of the parts that it learned from.
- Evolution: 100 parts that the budget allows. In each of 500 generations the best quarter stays
  and has 100 children: half are mutated (each decision drawn anew with probability 0.1, the
  resolution with 0.5), half crossed (each decision that of one of two parents). A child beyond the
  budget is drawn again, parents and all.
- Ours: the predictor's training (Adam, 1e-3, batches of 32, 300 passes), as the paper's is not
  known. The paper learns from 16,000 parts, of a space of 2e19.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from nassim.errors import InputError
from nassim.options import check_count, check_number, check_share
from nassim.records import Architecture, FloatArray
from nassim.spaces.elastic import ElasticSpace

__all__ = ["AccuracyPredictor", "Found", "evolve", "one_hot"]

_TRIES = 10_000  # draws in vain, after which a budget counts as too small


def one_hot(space: ElasticSpace, architectures: Sequence[Architecture]) -> FloatArray:
    """Architectures as ones and zeros (architectures, inputs); a block that is not there is zeros.

    >>> from nassim.spaces import get_space
    >>> space = get_space("elastic_tiny")
    >>> one_hot(space, [space.parse("1|k3e2|k5e1,k5e1")]).astype(int).tolist()
    [[0, 1, 1, 0, 0, 1, 0, 0, 0, 0, 0, 1, 1, 0, 0, 1, 1, 0]]
    """
    rows = []
    for architecture in architectures:
        resolution, stages = space.cut(architecture.decisions)
        row = [float(resolution == value) for value in space.resolutions]
        for blocks in stages:
            for number in range(space.max_depth):
                kernel, expansion = blocks[number] if number < len(blocks) else (0, 0)
                row += [float(kernel == value) for value in space.kernels]
                row += [float(expansion == value) for value in space.expansions]
        rows.append(row)
    return np.array(rows)


class AccuracyPredictor:
    """Accuracy from decisions, learned from parts that were scored.

    Parameters
    ----------
    architectures, accuracies
        The parts, and their accuracies (architectures,).
    passes
        Over them.
    seed
        Of the first weights, and of the order in which parts are read.

    Raises
    ------
    InputError
        if there are not as many accuracies as parts, if one is not finite, or if there are fewer
        than two parts.
    """

    def __init__(
        self,
        space: ElasticSpace,
        architectures: Sequence[Architecture],
        accuracies: FloatArray,
        *,
        passes: int = 300,
        width: int = 400,
        layers: int = 3,
        batch_size: int = 32,
        learning_rate: float = 1e-3,
        seed: int = 0,
    ) -> None:
        for name, count in (("passes", passes), ("width", width), ("layers", layers)):
            check_count(name, count)
        check_count("batch_size", batch_size)
        check_number("learning_rate", learning_rate, above=0)
        if np.shape(accuracies) != (len(architectures),) or len(architectures) < 2:
            raise InputError(
                f"{len(architectures)} parts and accuracies of shape {np.shape(accuracies)} are "
                "given; expected an accuracy of each part, and two parts or more."
            )
        if not np.isfinite(accuracies).all():
            raise InputError("An accuracy to learn from is not finite; leave that part out.")
        self._space = space
        self._mean = float(np.mean(accuracies))
        x = torch.from_numpy(one_hot(space, architectures)).float()
        y = torch.from_numpy(np.asarray(accuracies, np.float64) - self._mean).float()
        self._network = _network(x.shape[1], width, layers, seed)
        self._fit(x, y, passes, batch_size, learning_rate, np.random.default_rng(seed))

    def __call__(self, architectures: Sequence[Architecture]) -> FloatArray:
        """Predicted accuracies (architectures,)."""
        with torch.inference_mode():
            above = self._network(torch.from_numpy(one_hot(self._space, architectures)).float())
        accuracies: FloatArray = self._mean + above.flatten().double().numpy()
        return accuracies

    def _fit(
        self,
        x: Tensor,
        y: Tensor,
        passes: int,
        batch_size: int,
        learning_rate: float,
        rng: np.random.Generator,
    ) -> None:
        optimizer = torch.optim.Adam(self._network.parameters(), learning_rate)
        for _pass in range(passes):
            order = torch.from_numpy(rng.permutation(len(y)))
            for rows in torch.split(order, batch_size):
                optimizer.zero_grad(set_to_none=True)
                loss = (self._network(x[rows]).flatten() - y[rows]).square().mean()
                loss.backward()
                optimizer.step()


def _network(inputs: int, width: int, layers: int, seed: int) -> nn.Sequential:
    """A perceptron with weights drawn by a seed of its own (He et al. 2015); it begins at zero."""
    generator = torch.Generator().manual_seed(seed)
    sizes = [inputs, *[width] * layers, 1]
    modules: list[nn.Module] = []
    for before, after in itertools.pairwise(sizes):
        layer = nn.utils.skip_init(nn.Linear, before, after)
        with torch.no_grad():
            layer.weight.normal_(0, (2 / before) ** 0.5, generator=generator)
            layer.bias.zero_()
        modules += [layer, nn.ReLU()]
    with torch.no_grad():
        layer.weight.zero_()
    return nn.Sequential(*modules[:-1])


class Found(NamedTuple):
    """What evolution found, its predicted accuracy, and how many parts it asked about."""

    architecture: Architecture
    value: float
    evaluated: int


def evolve(
    space: ElasticSpace,
    value: Callable[[Sequence[Architecture]], FloatArray],
    allowed: Callable[[Architecture], bool],
    rng: np.random.Generator,
    *,
    population: int = 100,
    generations: int = 500,
    parents: float = 0.25,
    mutated: float = 0.5,
    rate: float = 0.1,
    resolution_rate: float = 0.5,
) -> Found:
    """The part of the highest value that evolution finds among those that are allowed.

    Parameters
    ----------
    value
        Of parts: what is to be high, (parts,). It is asked about each part once.
    allowed
        Whether a part is within the budget.
    population, generations, parents, mutated, rate, resolution_rate
        As above: ``parents`` is the share that stays, ``mutated`` that of children which are not
        crossed, ``rate`` the probability that a decision is drawn anew.

    Raises
    ------
    InputError
        if an option is out of its range, or so many draws find nothing that is allowed.
    """
    check_count("population", population, 2)
    check_count("generations", generations)
    for name, share in (("parents", parents), ("mutated", mutated), ("rate", rate)):
        check_share(name, share)
    check_share("resolution_rate", resolution_rate)
    rates = np.full(space.n_decisions, rate)
    rates[list(space.places("resolution"))] = resolution_rate
    known: dict[str, float] = {}

    def drawn(draw: Callable[[], tuple[int, ...]]) -> Architecture:
        for _try in range(_TRIES):
            architecture = space.architecture(draw())
            if allowed(architecture):
                return architecture
        raise InputError(
            f"{_TRIES:,} draws from space {space.name!r} found nothing that is allowed; expected "
            f"a larger budget (the smallest architecture is {space.smallest.id!r})."
        )

    def ranked(alive: Sequence[Architecture]) -> list[Architecture]:
        new = {each.id: each for each in alive if each.id not in known}
        if new:
            found = value(list(new.values()))
            known.update(zip(new, found.tolist(), strict=True))
        different = {each.id: each for each in alive}
        return sorted(different.values(), key=lambda each: (-known[each.id], each.id))

    def mutation() -> tuple[int, ...]:
        (parent,) = _some(best, 1, rng)
        anew = rng.random(space.n_decisions) < rates
        other = rng.integers(space.n_choices)
        return tuple(np.where(anew, other, parent.decisions).tolist())

    def crossing() -> tuple[int, ...]:
        one, other = _some(best, 2, rng)
        first = rng.random(space.n_decisions) < 0.5
        return tuple(np.where(first, one.decisions, other.decisions).tolist())

    best = ranked([drawn(lambda: space.sample(rng).decisions) for _ in range(population)])
    kept = max(1, round(parents * population))
    n_mutated = round(mutated * population)
    for _generation in range(generations):
        best = best[:kept]
        children = [drawn(mutation if k < n_mutated else crossing) for k in range(population)]
        best = ranked([*best, *children])
    return Found(best[0], known[best[0].id], len(known))


def _some(best: Sequence[Architecture], count: int, rng: np.random.Generator) -> list[Architecture]:
    return [best[k] for k in rng.integers(len(best), size=count).tolist()]
