"""NAO: neural architecture optimization (Luo et al., NeurIPS 2018, arXiv 1808.07233).

An encoder turns architectures into continuous codes, a predictor reads their accuracy from the
code, a decoder turns codes into architectures again; the three are trained together on what has
been evaluated. From the best architectures so far, the code takes a step along the gradient of the
predicted accuracy, and what is decoded there is evaluated next. Then all starts over.

    H = states of the encoder, each of length 1;  h = mean of H, of length 1;  y = predictor(h)
    L = alpha * (y - accuracy, scaled to [0, 1])² + (1 - alpha) * -log p(string | H)
    H' = H + step * dy/dH, each state of length 1 again;  proposal = decoder(H')

The body of the paper was not at hand: its figures are those of the authors' public code. Where
this differs from it (``docs/methods/nao.md`` has both values of all of it):

- it is written for some tens of evaluations, not for rounds of 300 after 600 to 1,000: a random
  start of 10, training anew every 3 results, from the weights so far, small layers, few steps;
- on a table most decoded architectures do not exist, so the nearest candidate is proposed;
- a state of the decoder writes a whole step (input and operation), not one token; steps have an
  embedding of their position; the attention is scaled.

How to read this file: the optimizer and its options; a search.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from typing import ClassVar, Literal

import numpy as np
import torch
from torch import Tensor

from nassim.errors import InputError
from nassim.networks.threads import one_thread
from nassim.optimizers.base import (
    Candidates,
    Optimizer,
    Remaining,
    Search,
    failed_as_worst,
    space_of,
)
from nassim.optimizers.epd import EncoderPredictorDecoder, Evaluations, Strings, train
from nassim.options import check_count, check_number, check_share
from nassim.ranking.correlation import ranks
from nassim.records import Architecture, FloatArray, IntArray

__all__ = ["NAO", "LatentSearch", "Normalisation", "normalised"]

Normalisation = Literal["minmax", "zscore", "rank"]
NORMALISATIONS = ("minmax", "zscore", "rank")

MAX_MULTIPLE = 20  # steps are tried up to so many times the first one
DRAWN = 200  # architectures that propose=rank draws from a space without a table
MUTANTS = 20  # of each of the best architectures, beside them
DIGITS = 6  # distances are rounded, so that last bits make no difference between equal ones
PATIENCE = 1_000  # draws in a row that were proposed before: the space is all but exhausted


class NAO(Optimizer):
    """Climb the predicted accuracy in the latent space of an autoencoder of architectures.

    Parameters
    ----------
    initial
        Random architectures before the network is trained for the first time.
    refit_every
        Results after which the network is trained anew.
    steps, refit_steps
        Training steps of the first training, and of each later one, which goes on from there.
    propose
        ``"gradient"`` (the paper's), or ``"rank"``: what the predictor likes best, of all
        candidates of a table, else of a random sample and of mutants of the best so far.
    top
        The best architectures so far, from which the gradient is followed.
    step_size
        The first step along the gradient; 2, 3, ... times it follow once all of ``top`` took it.
    normalise
        How accuracies become targets, over all evaluations so far: ``"minmax"`` (the paper's),
        ``"zscore"`` or ``"rank"``; see :func:`normalised`.
    alpha
        Weight of the predictor's loss; 1 - alpha goes to reconstructing the strings.
    hidden
        Width of the encoder's and the decoder's states.

    Raises
    ------
    InputError
        if an option is out of its range.
    """

    penalty = 0.0  # of residuals, which NAO has none of
    quick_options: ClassVar[Mapping[str, object]] = {
        "steps": 2,
        "refit_steps": 1,
        "refit_every": 8,
        "hidden": 4,
    }

    def __init__(
        self,
        initial: int = 10,
        refit_every: int = 3,
        steps: int = 60,
        refit_steps: int = 15,
        propose: Literal["gradient", "rank"] = "gradient",
        top: int = 5,
        step_size: float = 10.0,
        normalise: Normalisation = "minmax",
        alpha: float = 0.8,
        hidden: int = 16,
    ) -> None:
        if propose not in ("gradient", "rank"):
            raise InputError(f"Option propose is {propose!r}; expected 'gradient' or 'rank'.")
        if normalise not in NORMALISATIONS:
            raise InputError(
                f"Option normalise is {normalise!r}; expected one of {', '.join(NORMALISATIONS)}."
            )
        self.initial = check_count("initial", initial)
        self.refit_every = check_count("refit_every", refit_every)
        self.steps = check_count("steps", steps)
        self.refit_steps = check_count("refit_steps", refit_steps)
        self.propose = propose
        self.top = check_count("top", top)
        self.step_size = check_number("step_size", step_size, above=0)
        self.normalise = normalise
        self.alpha = check_share("alpha", alpha)
        self.hidden = check_count("hidden", hidden)

    def begin(self, candidates: Candidates, rng: np.random.Generator) -> Search:
        strings = Strings.of(space_of(candidates))
        network = EncoderPredictorDecoder(strings, self.hidden, rng)
        return LatentSearch(self, candidates, network, rng)


def normalised(values: FloatArray, how: Normalisation) -> FloatArray:
    """Targets in [0, 1], (n,), of what runs are worth; what failed (not finite) is their worst.

    ``"minmax"``: 0 is the worst and 1 the best. ``"zscore"``: the sigmoid of the standard score,
    so that the predictor's logit is the standard score. ``"rank"``: the share that is worse, with
    half of those that are equal. None of them changes when all values are scaled or shifted.

    >>> values = np.array([0.5, 0.7, 0.6, -np.inf])
    >>> normalised(values, "minmax").round(3).tolist()
    [0.0, 1.0, 0.5, 0.0]
    >>> normalised(values, "zscore").round(3).tolist()
    [0.288, 0.819, 0.575, 0.288]
    >>> normalised(values, "rank").tolist()
    [0.25, 0.875, 0.625, 0.25]
    """
    values = failed_as_worst(values)
    low, high = values.min(), values.max()
    if high == low:
        return np.full(len(values), 0.5)
    shares: FloatArray
    if how == "minmax":
        shares = (values - low) / (high - low)
    elif how == "zscore":
        shares = 1 / (1 + np.exp(-(values - values.mean()) / values.std()))
    else:
        shares = (ranks(values) - 0.5) / len(values)
    return shares


class LatentSearch:
    """A search of NAO, or of XferNAS.

    XferNAS hands a network that was trained on ``sources``, which it goes on seeing, and ``starts``
    (n, steps, width), the strings that this network likes best among them. Then there is no random
    start, and until there are ``top`` results the gradient is followed from ``starts`` too.

    On a table, ``notes`` has the mean cosine distance from the codes that were aimed at to those
    of the candidates that were proposed in their place.
    """

    listens = True

    def __init__(
        self,
        options: NAO,
        candidates: Candidates,
        network: EncoderPredictorDecoder,
        rng: np.random.Generator,
        sources: Evaluations | None = None,
        starts: Tensor | None = None,
    ) -> None:
        self.notes: dict[str, float] = {}
        self._options = options
        self._candidates = candidates
        self._network = network
        self._rng = rng
        self._sources = sources
        self._starts = starts
        self._remaining = Remaining(candidates)
        self._asked: set[int] = set()
        self._told: dict[int, float] = {}
        self._news: set[int] = set()  # runs that the network has not seen, or not as they are now
        self._is_trained = sources is not None
        # What the network, as it was last trained, leads to:
        self._aims: list[Tensor | Architecture] | None = None  # None: it was not asked yet
        self._multiple = 0  # of the step along the gradient that led to them
        self._pool = network.strings.encode(candidates.architectures) if self._on_table else None
        self._codes = self._scores = np.empty(0)  # of a table's candidates
        self._distances: list[float] = []

    def ask(self, count: int) -> list[int]:
        asked: list[int] = []
        with one_thread(), torch.no_grad():
            while len(asked) < count and (number := self._next()) is not None:
                self._remaining.take(number)
                self._asked.add(number)
                asked.append(number)
        return asked

    def tell(self, run: int, epoch: int, value: float) -> None:
        self._told[run] = value
        self._news.add(run)

    def predict(self, architectures: Sequence[Architecture]) -> FloatArray:
        """Scores, (architectures,), after learning from all that was told; higher is better.

        They are on the scale of the normalised values, not in the metric's unit.

        Raises
        ------
        InputError
            if nothing was learned yet, from sources or from the target.
        """
        with one_thread(), torch.no_grad():
            if self._news:
                self._learn()
                self._aims = None
            if not self._is_trained:
                raise InputError("NAO predicts nothing before it was told of an evaluation.")
            network = self._network
            scores = network.score(
                network.code(network.encode(network.strings.encode(architectures)))
            )
        return np.asarray(scores.numpy(), np.float64)

    @property
    def _on_table(self) -> bool:
        return self._candidates.space is None

    def _next(self) -> int | None:
        options = self._options
        if self._sources is None and (len(self._asked) < options.initial or not self._told):
            return self._random()
        if self._aims is None or len(self._news) >= options.refit_every:
            if self._news:
                self._learn()
            self._look()
        number = self._propose()
        return self._random() if number is None else number

    def _random(self) -> int | None:
        space = self._candidates.space
        if space is None:
            left = self._remaining.numbers
            return int(self._rng.choice(left)) if len(left) else None
        for _ in range(PATIENCE):
            number = self._new(space.sample(self._rng))
            if number is not None:
                return number
        return None

    def _learn(self) -> None:
        """Train the network on all that was told, and on the sources."""
        options, told = self._options, self._told
        own = Evaluations.of(
            self._network.strings.encode([self._candidates[run] for run in told]),
            normalised(np.array(list(told.values())), options.normalise),
        )
        train(
            self._network,
            own,
            *([] if self._sources is None else [self._sources]),
            steps=options.refit_steps if self._is_trained else options.steps,
            alpha=options.alpha,
            penalty=options.penalty,
            rng=self._rng,
        )
        self._is_trained = True
        self._news = set()

    def _look(self) -> None:
        """Read the candidates with the network as it is now."""
        network = self._network
        self._multiple = 0
        self._aims = []
        if self._pool is not None:
            code = network.code(network.encode(self._pool))
            self._codes, self._scores = code.numpy(), network.score(code).numpy()
        if self._options.propose == "rank":
            self._aims = list(self._ranked())

    def _propose(self) -> int | None:
        """The first aim that leads to a new candidate; None if none does."""
        assert self._aims is not None
        while True:
            while self._aims:
                aim = self._aims.pop(0)
                number = self._nearest(aim) if isinstance(aim, Tensor) else self._new(aim)
                if number is not None:
                    return number
            if self._options.propose == "rank" or self._multiple == MAX_MULTIPLE:
                return None
            self._multiple += 1
            self._aims = self._climbed(self._options.step_size * self._multiple)

    def _new(self, architecture: Architecture) -> int | None:
        """The number of an architecture that was not proposed before."""
        number = self._candidates.number(architecture)
        return None if number in self._asked else number

    def _nearest(self, code: Tensor) -> int | None:
        """The candidate that is left with the nearest code; among equals that of the higher
        prediction."""
        left = self._remaining.numbers
        if not len(left):
            return None
        distances = np.round(1 - self._codes[left] @ code.numpy(), DIGITS)
        nearest = np.lexsort((-self._scores[left], distances))[0]
        self._distances.append(float(distances[nearest]))
        self.notes["projection_distance"] = float(np.mean(self._distances))
        return int(left[nearest])

    def _best(self) -> Tensor:
        """The best architectures so far, (up to ``top``, steps, width)."""
        strings, told = self._network.strings, self._told
        best = sorted(told, key=lambda run: -told[run])[: self._options.top]
        tokens = [] if self._starts is None else [self._starts]
        if best:
            tokens.insert(0, strings.encode([self._candidates[run] for run in best]))
        return torch.cat(tokens)[: self._options.top]

    def _climbed(self, step: float) -> list[Tensor | Architecture]:
        """Where a step along the gradient leads from each of the best: codes on a table, else
        what is decoded there."""
        network = self._network
        states = network.climb(self._best(), step)
        if self._on_table:
            return list(network.code(states))
        return list(self._legal(network.strings.decisions(network.decode(states))))

    def _ranked(self) -> list[Architecture]:
        """The candidates of a table, else a random sample and mutants of the best, by their
        prediction, the highest first."""
        space, rng, network = self._candidates.space, self._rng, self._network
        if space is None:
            architectures: Sequence[Architecture] = self._candidates.architectures
            scores = self._scores
        else:
            choices = np.array(space.n_choices)
            mutants = network.strings.decisions(self._best()).repeat(MUTANTS, axis=0)
            rows, places = np.arange(len(mutants)), rng.integers(len(choices), size=len(mutants))
            shift = rng.integers(1, choices[places])  # never 0, so the decision changes
            mutants[rows, places] = (mutants[rows, places] + shift) % choices[places]
            architectures = [*(space.sample(rng) for _ in range(DRAWN)), *self._legal(mutants)]
            tokens = network.strings.encode(architectures)
            scores = network.score(network.code(network.encode(tokens))).numpy()
        return [architectures[k] for k in np.argsort(-scores, kind="stable")]

    def _legal(self, decisions: IntArray) -> list[Architecture]:
        """The architectures of decision tuples; those without one (cells of NAS-Bench-101 whose
        output cannot be reached) are left out."""
        found = []
        for row in decisions.tolist():
            with contextlib.suppress(InputError):
                found.append(self._network.strings.space.architecture(tuple(row)))
        return found
