"""NAO with shared weights: paths of a pool are trained, and gradients in a latent space renew it.

Luo et al., "Neural Architecture Optimization", NeurIPS 2018, arXiv 1808.07233. A step trains a path
of the pool. After each round the pool is scored with the shared weights on images that no weight is
trained on; encoder, predictor and decoder learn from that; from the best of the pool, codes go
along the gradient of the predicted accuracy; what is decoded there and is new takes the place of
the worst. They are those of :mod:`nassim.optimizers.epd`, and of ``nassim search --methods nao``.

The body of the paper was not at hand: its values are those of the authors' public code.

- Pool: the code has 600 random architectures, follows the gradient from the best 100 and replaces
  the worst 300; here 24, 4 and 12 (ours: the same shares, for spaces of some hundred). In a cell
  of three edges fewer than 12 new ones are decoded, most often 1 to 7, and so many are replaced.
- Rounds: 5 of 30 epochs each; here 5 of 300 steps (ours).
- Law of the first pool: uniform over texts; here over functions, then texts (``law="strings"`` is
  the paper's), as for :mod:`nassim.oneshot.spos`.
- Step along the gradient: 1, 2, ... up to 50; here 10, 20, ... up to 200, as the optimizer has it.
- Encoder, predictor and decoder: 1,000 epochs a round, layers of 96; here 200 steps, from the
  weights so far, layers of 16 (ours).
- Images for the pool's scores: a tenth of the training images; here half, for our datasets have a
  few hundred. The pool of a round is scored on 4 batches (ours), under the statistics of a batch.
- Pick: the code trains the best 5 for a short time; here it takes, of the 5 in the last pool that
  the predictor finds best, the one of the best score with shared weights.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from typing import ClassVar

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from nassim.errors import InputError
from nassim.oneshot.base import (
    Journal,
    OneShot,
    Trained,
    cosine,
    positive,
    weight_optimizer,
)
from nassim.oneshot.batchnorm import scoring_mode
from nassim.oneshot.data import SearchData
from nassim.oneshot.policy import rescored
from nassim.oneshot.scoring import Scores
from nassim.oneshot.spos import check_law, sampler
from nassim.oneshot.supernet import Supernet
from nassim.optimizers.epd import EncoderPredictorDecoder, Evaluations, Strings
from nassim.optimizers.epd import train as fit
from nassim.optimizers.nao import normalised
from nassim.ranking.correlation import discordant_share
from nassim.records import Architecture, FloatArray

__all__ = ["NAO", "TrainedNAO"]

MAX_MULTIPLE = 20  # steps along the gradient are tried up to so many times the first one
PATIENCE = 1000  # draws in a row that are in the pool already: the space has no more
SCORING_BATCHES = 4  # that a pool is scored on


class NAO(OneShot):
    """A pool of paths that gradients in a latent space renew, by shared weights (NAO).

    Parameters
    ----------
    law
        Of the first pool: ``"classes"`` or ``"strings"``.
    round_steps
        Steps after which the pool is scored and renewed.
    pool, renewed
        Architectures in it, and how many of the worst a round replaces at most.
    top
        The best of the pool, from which the gradient is followed.
    step_size
        The first step along it; 2, 3, ... times it follow while there are too few new ones.
    fit_steps
        Training steps of encoder, predictor and decoder in each round.
    alpha, hidden
        The weight of the predictor's loss in theirs, and the width of their layers.
    best
        How many of the last pool are scored again for the pick.
    """

    architecture_share: ClassVar[float] = 0.5
    edgewise: ClassVar[bool] = False
    quick_options: ClassVar[Mapping[str, object]] = {
        "steps": 6,
        "round_steps": 3,
        "pool": 6,
        "renewed": 2,
        "top": 2,
        "fit_steps": 2,
        "batch_size": 10,
    }

    def __init__(
        self,
        law: str = "classes",
        steps: int = 1500,
        learning_rate: float = 0.1,
        batch_size: int = 64,
        round_steps: int = 300,
        pool: int = 24,
        renewed: int = 12,
        top: int = 4,
        step_size: float = 10.0,
        fit_steps: int = 200,
        alpha: float = 0.8,
        hidden: int = 16,
        best: int = 5,
    ) -> None:
        check_law(law)
        positive(steps=steps, learning_rate=learning_rate, batch_size=batch_size)
        positive(round_steps=round_steps, pool=pool, renewed=renewed, top=top)
        positive(step_size=step_size, fit_steps=fit_steps, alpha=alpha, hidden=hidden, best=best)
        for name, value, most, what in (
            ("round_steps", round_steps, steps, "steps, or nothing is learned of the pool"),
            ("renewed", renewed, pool - 1, "what leaves the best of the pool"),
            ("top", top, pool, "pool"),
            ("alpha", alpha, 1, "a share"),
        ):
            if value > most:
                raise InputError(f"{name} is {value!r}; expected {most} at most ({what}).")
        self.law = law
        self.steps = steps
        self.learning_rate = learning_rate
        self.batch_size = batch_size
        self.round_steps = round_steps
        self.pool = pool
        self.renewed = renewed
        self.top = top
        self.step_size = step_size
        self.fit_steps = fit_steps
        self.alpha = alpha
        self.hidden = hidden
        self.best = best

    def train(
        self, supernet: Supernet, data: SearchData, rng: np.random.Generator, journal: Journal
    ) -> Trained:
        network = EncoderPredictorDecoder(Strings.of(supernet.space), self.hidden, rng)
        pool = self._first_pool(supernet, rng)
        trained = TrainedNAO(supernet, network, pool, self.best)
        seen = {architecture.id for architecture in pool}
        predicted: dict[str, float] = {}  # of what is new in the pool
        optimizer = weight_optimizer(supernet, data.recipe, self.learning_rate)
        batches = data.weight_batches(self.batch_size, rng)
        others = data.architecture_batches(self.batch_size, rng)

        supernet.train()
        for step in range(1, self.steps + 1):
            optimizer.param_groups[0]["lr"] = cosine(self.learning_rate, step - 1, self.steps)
            path = pool[int(rng.integers(len(pool)))].decisions
            x, y = next(batches)
            loss = F.cross_entropy(supernet(x, path), y)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
            if step % self.round_steps == 0:  # the weights rest
                accuracies = _accuracies(supernet, pool, others, data.calibration)
                _note_pairs(journal, step, pool, accuracies, predicted)
                tokens = network.strings.encode(pool)
                fit(
                    network,
                    Evaluations.of(tokens, normalised(accuracies, "minmax")),
                    steps=self.fit_steps,
                    alpha=self.alpha,
                    rng=rng,
                )
                order = np.argsort(-accuracies, kind="stable").tolist()
                new, multiple = self._climb(network, tokens[order[: self.top]], seen)
                pool = [pool[k] for k in order[: len(pool) - len(new)]] + new
                trained.keep(pool)
                predicted = dict(zip([a.id for a in new], trained.predict(new), strict=True))
                journal.note(step, "train_loss", float(loss.detach()))
                journal.note(step, "pool_accuracy", float(accuracies.mean()))
                journal.note(step, "renewed", len(new))
                journal.note(step, "steps_along_gradient", multiple)
            journal.finished(step, self.steps, trained)
        return trained

    def _first_pool(self, supernet: Supernet, rng: np.random.Generator) -> list[Architecture]:
        """Different architectures, drawn by the law."""
        draw = sampler(supernet.space, self.law)
        pool: dict[str, Architecture] = {}
        in_vain = 0
        while len(pool) < self.pool:
            architecture = draw(rng)
            in_vain = in_vain + 1 if architecture.id in pool else 0
            if in_vain == PATIENCE:
                raise InputError(
                    f"pool is {self.pool}, but {PATIENCE} draws found no more than {len(pool)} "
                    f"architectures of space {supernet.space.name!r}; take a smaller pool."
                )
            pool[architecture.id] = architecture
        return list(pool.values())

    def _climb(
        self, network: EncoderPredictorDecoder, best: Tensor, seen: set[str]
    ) -> tuple[list[Architecture], int]:
        """What is decoded behind steps along the gradient and was in no pool (it is added to
        ``seen``), and the number of steps that were tried."""
        space, new = network.strings.space, list[Architecture]()
        for multiple in range(1, MAX_MULTIPLE + 1):
            with torch.no_grad():
                tokens = network.decode(network.climb(best, self.step_size * multiple))
            for row in network.strings.decisions(tokens).tolist():
                with contextlib.suppress(InputError):  # not every row is an architecture everywhere
                    architecture = space.architecture(tuple(row))
                    if architecture.id not in seen and space.holds(architecture):
                        seen.add(architecture.id)
                        new.append(architecture)
                if len(new) == self.renewed:
                    return new, multiple
        return new, MAX_MULTIPLE


class TrainedNAO(Trained):
    """A supernet, what predicts from codes, and the last pool, (architectures, decisions)."""

    pool: Tensor

    def __init__(
        self,
        supernet: Supernet,
        network: EncoderPredictorDecoder,
        pool: Sequence[Architecture],
        best: int,
    ) -> None:
        super().__init__(supernet)
        self.network = network
        self.register_buffer("pool", torch.tensor([one.decisions for one in pool]))
        self._best = best

    def keep(self, pool: Sequence[Architecture]) -> None:
        """Another pool of the same size."""
        self.pool.copy_(torch.tensor([one.decisions for one in pool]))

    @torch.no_grad()
    def predict(self, architectures: Sequence[Architecture]) -> FloatArray:
        """The predictor's logits, (architectures,), higher is better."""
        if not architectures:
            return np.empty(0)
        network = self.network
        states = network.encode(network.strings.encode(architectures))
        logits: FloatArray = network.score(network.code(states)).numpy()
        return logits

    def pick(self, architectures: Sequence[Architecture], scores: Scores) -> Architecture:
        """Of the pool's (or of the same functions), the best of those that the predictor likes
        best; where none of the pool is among ``architectures``, of all of them."""
        same = {one.canonical_id: k for k, one in reversed([*enumerate(architectures)])}
        same |= {one.id: k for k, one in enumerate(architectures)}
        pool = [self.supernet.space.architecture(tuple(row)) for row in self.pool.tolist()]
        found = {same.get(one.id, same.get(one.canonical_id, -1)) for one in pool} - {-1}
        rows = sorted(found) or [*range(len(architectures))]
        some = [architectures[row] for row in rows]
        theirs = Scores(scores.accuracy[rows], scores.loss[rows])
        return rescored(some, self.predict(some), theirs, self._best)


def _accuracies(
    supernet: Supernet,
    pool: Sequence[Architecture],
    batches: Iterator[tuple[Tensor, Tensor]],
    calibration: Tensor,
) -> FloatArray:
    """Shares of images that each of the pool has right, all on the same ones; (pool,)."""
    parts = [next(batches) for _ in range(SCORING_BATCHES)]
    accuracies = []
    for architecture in pool:
        path = architecture.decisions
        with torch.no_grad(), scoring_mode(supernet, "batch", path, calibration):
            right = [(supernet(x, path).argmax(dim=1) == y).float().mean() for x, y in parts]
        accuracies.append(float(torch.stack(right).mean()))
    return np.array(accuracies)


def _note_pairs(
    journal: Journal,
    step: int,
    pool: Sequence[Architecture],
    accuracies: FloatArray,
    predicted: Mapping[str, float],
) -> None:
    """The share of pairs of new architectures that were predicted in the order of their scores."""
    rows = [k for k, one in enumerate(pool) if one.id in predicted]
    if len(rows) > 1:
        wrong = discordant_share([predicted[pool[k].id] for k in rows], accuracies[rows])
        if np.isfinite(wrong):  # some are tied on neither side
            journal.note(step, "pairs_in_order", 1 - wrong)
