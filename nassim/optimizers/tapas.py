"""TAPAS: train-less accuracy predictor for architecture search (Istrate et al., AAAI 2019).

Three parts (arXiv 1806.00250). *Dataset characterisation*: a number, the DCN, says how hard a
dataset is; it is the accuracy of a few landmark networks. *Lifelong database of experiments*, the
LDE: what was trained on other datasets, of which only those of a similar DCN are used. *Predictor*,
the TAP: two stacked LSTMs read an architecture and are told the DCN, and answer with its accuracy.
Nothing but the landmarks is ever trained on the target. The search is Large-Scale Evolution, with
the predictor in place of training.

The body of the paper was not at hand, and no official code is known: sizes and rates are ours.
``docs/methods/tapas.md`` lists every difference. The largest one: a store has no accuracies of
sub-networks, so the predictor reads the whole architecture once, and does not go from layer to
layer with its own prediction as an input.

How to read this file: the options, and what is learned before a search; a search; the simulated
evolution; landmarks and DCN; the predictor.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from nassim.encodings import PADDING, TokenEncoder
from nassim.errors import InputError
from nassim.networks.initialise import draw_uniform
from nassim.networks.threads import one_thread
from nassim.optimizers.base import Candidates, Optimizer, failed_as_worst, space_of
from nassim.optimizers.proposals import Proposals, mutate
from nassim.options import check_count, check_number
from nassim.records import Architecture, FloatArray, IntArray, Sources, SourceTask
from nassim.spaces.base import Space

__all__ = ["TAPAS", "SimulatedEvolution", "TAPASSearch", "simulate_evolution"]

TOKEN_WIDTH = 8  # of a token's embedding
STATE_WIDTHS = (50, 100)  # of the two LSTMs
HEAD_WIDTH = 32  # hidden units between the second LSTM and the answer
LEARNING_RATE = 5e-3
WEIGHT_DECAY = 1e-2
DROPOUT = 0.3  # of what the second LSTM says
CLIP_NORM = 5.0
BATCH = 64  # experiments of a training step
CLIP_DCN = 3.0  # standard deviations that a DCN is read from the sources' mean, at the most
DIGITS = 6  # of answers, so that other processors' last bits change no decision
CHUNK = 512  # architectures that are scored at a time


class TAPAS(Optimizer):
    """Zero-shot: predict from other datasets and the landmarks' accuracy, evolve on the predictor.

    Parameters
    ----------
    landmarks
        Networks whose mean value on a dataset is its DCN. On the target they are the first
        proposals, and all that is learned of it.
    tolerance
        Keep source datasets whose DCN differs by at most this from the target's, or the nearest
        one if there is none. 0 (ours): keep all.
    targets
        ``"raw"``: the predictor learns values as they are. ``"standardised"``: for each dataset,
        with mean 0 and variance 1.
    steps
        Training steps of a predictor.
    population, generations
        Of the simulated evolution.

    Raises
    ------
    InputError
        if an option is out of its range.
    """

    uses_sources = True
    quick_options: ClassVar[Mapping[str, object]] = {"steps": 2, "generations": 2}

    def __init__(
        self,
        landmarks: int = 3,
        tolerance: float = 0.0,
        targets: Literal["raw", "standardised"] = "standardised",
        steps: int = 300,
        population: int = 100,
        generations: int = 20,
    ) -> None:
        self.landmarks = check_count("landmarks", landmarks)
        self.tolerance = check_number("tolerance", tolerance)
        if targets not in ("raw", "standardised"):
            raise InputError(f"Option targets is {targets!r}; expected 'raw' or 'standardised'.")
        self.targets = targets
        self.steps = check_count("steps", steps)
        self.population = check_count("population", population, least=2)
        self.generations = check_count("generations", generations)
        self._fitted: _Database | None = None

    def fit(self, sources: Sources, seed: int) -> None:
        """Choose the landmarks, characterise the sources, train the predictor on all of them.

        With a tolerance, predictors of fewer sources are trained when the first search needs them,
        and shared with later ones.

        Raises
        ------
        InputError
            if nothing was measured on any source dataset, or sources are of several spaces.
        """
        tasks = [task for task in sources.tasks if np.isfinite(task.values).any()]
        if not tasks:
            raise InputError(
                "TAPAS was given no source dataset on which anything was measured; it predicts "
                "from other datasets only. Use a store with at least two datasets, or 'evolution'."
            )
        self._fitted = _Database(self, tasks, seed)
        if self.tolerance == 0:
            self._fitted.predictor(range(len(tasks)))

    def begin(self, candidates: Candidates, rng: np.random.Generator) -> TAPASSearch:
        """Start a search.

        Raises
        ------
        InputError
            if the optimizer is not fitted, or the candidates are of another space.
        """
        return TAPASSearch(self, self._database(), candidates, rng)

    @property
    def source_dcn(self) -> Mapping[str, float]:
        """The DCN of each source dataset, by its name."""
        database = self._database()
        names = (task.dataset.name for task in database.tasks)
        return dict(zip(names, database.dcn.tolist(), strict=True))

    def predict(self, architectures: Sequence[Architecture], dcn: float) -> FloatArray:
        """Values, (architectures,), on a dataset of this DCN, in the store's metric and higher is
        better."""
        database = self._database()
        return database.predictor(database.kept(dcn)).predict(architectures, dcn)

    def _database(self) -> _Database:
        if self._fitted is None:
            raise InputError("TAPAS must be fitted on source datasets before it can predict.")
        return self._fitted


# -- a search ------------------------------------------------------------------------------------


class TAPASSearch:
    """One search: the landmarks first, then the best prediction that is left.

    In a table all candidates are scored, which is what evolution among them would come to. Without
    a table, evolution is simulated in the space, and what it met is proposed, the best first.
    """

    listens = True
    predicts_values = True  # in the metric's unit

    def __init__(
        self,
        options: TAPAS,
        database: _Database,
        candidates: Candidates,
        rng: np.random.Generator,
    ) -> None:
        self._options = options
        self._database = database
        self._candidates = candidates
        self._rng = rng
        self._proposals = Proposals(candidates, rng)
        self._landmarks, self._distance = database.matched(candidates)
        self._position = 0  # of the next landmark
        self._value: dict[int, float] = {}  # of each landmark that was reported
        self._ranked_for = math.nan  # the DCN that the ranking is made for
        self._ranking: list[int] | list[Architecture] = []  # by its prediction, the best last

    @property
    def dcn(self) -> float:
        """Mean value of the landmarks reported so far; a failed one counts as the worst of them.

        The mean of the sources' as long as nothing was measured.
        """
        values = np.array(list(self._value.values()))
        if not np.isfinite(values).any():
            return float(self._database.dcn.mean())
        return float(failed_as_worst(values).mean())

    @property
    def landmarks(self) -> tuple[int, ...]:
        """Candidates whose values make up the DCN; the first that are proposed."""
        return tuple(self._landmarks)

    @property
    def kept(self) -> tuple[str, ...]:
        """Names of the source datasets that the predictor learned from."""
        tasks = self._database.tasks
        return tuple(tasks[k].dataset.name for k in self._database.kept(self.dcn))

    @property
    def notes(self) -> Mapping[str, float]:
        """The DCN, how many sources were kept, and how far the landmarks were from the sources'
        (the mean share of tokens that differ)."""
        return {
            "dcn": self.dcn,
            "sources_kept": float(len(self.kept)),
            "landmark_distance": self._distance,
        }

    def predict(self, architectures: Sequence[Architecture]) -> FloatArray:
        """Values, (architectures,), on the target as it is characterised so far, in the store's
        metric and higher is better."""
        return self._options.predict(architectures, self.dcn)

    def evolve(self, rng: np.random.Generator) -> SimulatedEvolution:
        """Simulate evolution in the whole space, on the target as it is characterised so far.

        Raises
        ------
        InputError
            if the candidates are bare names, which cannot be mutated.
        """
        return simulate_evolution(
            self.predict,
            space_of(self._candidates),
            rng,
            population=self._options.population,
            generations=self._options.generations,
        )

    def ask(self, count: int) -> list[int]:
        asked = (self._next() for _ in range(count))
        return [number for number in asked if number is not None]

    def tell(self, run: int, epoch: int, value: float) -> None:
        if run in self._landmarks:  # nothing else of the target is learned from
            self._value[run] = value

    def _next(self) -> int | None:
        if self._position < len(self._landmarks):
            number = self._landmarks[self._position]
            self._position += 1
            self._proposals.remaining.take(number)
            return number
        if self._ranked_for != self.dcn:
            self._ranked_for = self.dcn
            self._ranking = self._ranked()
        while self._ranking:
            best = self._ranking.pop()
            if isinstance(best, int):
                self._proposals.remaining.take(best)
                return best
            found = self._proposals.remaining.nearest(best)
            if found is not None:
                self._proposals.remaining.take(found[0])
                return found[0]
        return self._proposals.random()  # all that evolution met was proposed

    def _ranked(self) -> list[int] | list[Architecture]:
        if self._candidates.space is not None:
            met = self.evolve(self._rng)
            order = np.argsort(met.predictions, kind="stable")
            return [met.architectures[k] for k in order.tolist()]
        left = self._proposals.remaining.numbers
        if not len(left):
            return []
        predictions = self.predict([self._candidates[k] for k in left.tolist()])
        ranking: list[int] = left[np.argsort(predictions, kind="stable")].tolist()
        return ranking


# -- simulated evolution -------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class SimulatedEvolution:
    """What a simulated evolution met.

    ``predictions`` (architectures,) are those of ``architectures``, each of which is there once;
    ``best`` and ``mean`` (generations + 1,) are of the population after each generation, the first
    one before all.
    """

    architectures: tuple[Architecture, ...]
    predictions: FloatArray
    best: FloatArray
    mean: FloatArray


def simulate_evolution(
    predict: Callable[[Sequence[Architecture]], FloatArray],
    space: Space,
    rng: np.random.Generator,
    *,
    population: int,
    generations: int,
) -> SimulatedEvolution:
    """Large-Scale Evolution (Real et al. 2017) with a predictor in place of training.

    In a generation, all of the population meet in pairs, drawn at random. Of each pair the worse
    dies, and a mutation of the better takes its place; the children are scored at once.

    >>> from nassim.spaces import get_space
    >>> def operations(architectures):
    ...     return np.array([float(sum(a.decisions)) for a in architectures])
    >>> space, rng = get_space("nasbench201"), np.random.default_rng(0)
    >>> simulate_evolution(operations, space, rng, population=20, generations=5).best
    array([19., 21., 21., 21., 22., 22.])
    """
    alive = [space.sample(rng) for _ in range(population)]
    fitness = np.array(predict(alive))
    met = {a.id: (a, value) for a, value in zip(alive, fitness.tolist(), strict=True)}
    best, mean = [fitness.max()], [fitness.mean()]
    for _ in range(generations):
        pairs = rng.permutation(population)[: population // 2 * 2].reshape(-1, 2)
        order = np.argsort(fitness[pairs], axis=1, kind="stable")
        worse, better = np.take_along_axis(pairs, order, axis=1).T
        children = [mutate(space, alive[parent], rng) for parent in better.tolist()]
        fitness[worse] = predict(children)
        for place, child in zip(worse.tolist(), children, strict=True):
            alive[place] = child
            met[child.id] = (child, float(fitness[place]))
        best.append(fitness.max())
        mean.append(fitness.mean())
    architectures, predictions = zip(*met.values(), strict=True)
    return SimulatedEvolution(architectures, np.array(predictions), np.array(best), np.array(mean))


# -- landmarks, DCN, and the database of experiments ---------------------------------------------


class _Database:
    """The experiments of the sources, their DCN, and the predictors of those of a similar one."""

    def __init__(self, options: TAPAS, tasks: Sequence[SourceTask], seed: int) -> None:
        self.tasks = tuple(tasks)
        self._options = options
        self._seed = seed
        self._encoder = TokenEncoder.fit([a for task in tasks for a in task.architectures])
        self._tokens = [self._encoder.encode(task.architectures) for task in tasks]
        self._values = [failed_as_worst(task.values) for task in tasks]
        self.landmarks = self._choose(np.random.default_rng(seed))
        # (sources,): the mean, over landmarks, of the value of the nearest architecture
        self.dcn: FloatArray = np.array(
            [
                np.mean([self._value_near(k, tokens) for tokens in self._flat(self.landmarks)])
                for k in range(len(tasks))
            ]
        )
        self._predictors: dict[tuple[int, ...], _Predictor] = {}

    def kept(self, dcn: float) -> tuple[int, ...]:
        """Numbers of the sources of a similar DCN, or of the nearest one if none is similar."""
        if self._options.tolerance == 0:
            return tuple(range(len(self.tasks)))
        distance = np.abs(self.dcn - dcn)
        similar = np.flatnonzero(distance <= self._options.tolerance)
        return tuple(similar.tolist()) or (int(distance.argmin()),)

    def predictor(self, kept: Sequence[int]) -> _Predictor:
        """The predictor that learned from some sources; trained once, whichever search is first."""
        key = tuple(kept)
        if key not in self._predictors:
            self._predictors[key] = _Predictor.fit(
                self._encoder,
                [self._tokens[k] for k in key],
                [self._values[k] for k in key],
                self.dcn[list(key)],
                self._options,
                np.random.default_rng([self._seed, *key]),
            )
        return self._predictors[key]

    def matched(self, candidates: Candidates) -> tuple[list[int], float]:
        """The candidates that stand for the landmarks, each once, and their mean distance.

        In a table these are the nearest ones; in a space, the landmarks themselves.
        """
        numbers: list[int] = []
        if candidates.space is not None:
            for landmark in self.landmarks:
                number = candidates.number(landmark)
                assert number is not None  # any architecture has one where there is no table
                numbers.append(number)
            return numbers, 0.0
        table = self._flat(candidates.architectures)
        free = np.ones(len(table), bool)
        distances: list[float] = []
        for tokens in self._flat(self.landmarks)[: len(table)]:
            distance = np.where(free, (table != tokens).mean(axis=1), np.inf)
            numbers.append(int(distance.argmin()))
            distances.append(float(distance.min()))
            free[numbers[-1]] = False
        return numbers, float(np.mean(distances))

    def _choose(self, rng: np.random.Generator) -> list[Architecture]:
        """Those with something like them on every source; at random among equals."""
        known = {a.canonical_id: a for task in self.tasks for a in task.architectures}
        architectures = [list(known.values())[k] for k in rng.permutation(len(known))]
        flat = self._flat(architectures)
        total = np.zeros(len(flat))
        for k in range(len(self.tasks)):
            theirs = self._finite(k)[0]
            total += [(theirs != tokens).mean(axis=1).min() for tokens in flat]
        order = np.argsort(np.round(total, 9), kind="stable")[: self._options.landmarks]
        return [architectures[k] for k in order.tolist()]

    def _value_near(self, task: int, tokens: IntArray) -> float:
        """The mean value of the architectures of a source that are nearest to one."""
        theirs, values = self._finite(task)
        distance = (theirs != tokens).mean(axis=1)
        return float(values[distance == distance.min()].mean())

    def _finite(self, task: int) -> tuple[IntArray, FloatArray]:
        """Tokens (runs, tokens) and values (runs,) of the runs that did not fail."""
        finite = np.isfinite(self.tasks[task].values)
        tokens = self._tokens[task].reshape(len(finite), -1)
        return tokens[finite], self._values[task][finite]

    def _flat(self, architectures: Sequence[Architecture]) -> IntArray:
        return self._encoder.encode(architectures).reshape(len(architectures), -1)


# -- the predictor -------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class _Predictor:
    """A trained network, and what turns its answers into values: offset + spread * answer."""

    encoder: TokenEncoder
    network: _Network
    dcn_mean: float
    dcn_deviation: float
    offset: float  # of raw values; of standardised ones, from the DCN
    spread: float
    standardised: bool

    @classmethod
    def fit(
        cls,
        encoder: TokenEncoder,
        tokens: Sequence[IntArray],
        values: Sequence[FloatArray],
        dcn: FloatArray,
        options: TAPAS,
        rng: np.random.Generator,
    ) -> _Predictor:
        """Train on the experiments of some sources: (experiments, steps, width) tokens,
        (experiments,) values and a DCN each."""
        standardised = options.targets == "standardised"
        means = np.array([each.mean() for each in values])
        if standardised:
            deviations = np.array([_deviation(each) for each in values])
            offset, spread = float((means - dcn).mean()), float(deviations.mean())
            learned = np.concatenate(
                [(v - m) / d for v, m, d in zip(values, means, deviations, strict=True)]
            )
        else:
            pooled = np.concatenate(values)
            offset, spread = float(pooled.mean()), _deviation(pooled)
            learned = (pooled - offset) / spread
        mean, deviation = float(dcn.mean()), _deviation(dcn)
        repeated = np.repeat((dcn - mean) / deviation, [len(each) for each in values])
        with one_thread():
            network = _Network(encoder.sizes, rng)
            _train(
                network,
                torch.from_numpy(np.concatenate(tokens)),
                torch.from_numpy(repeated.clip(-CLIP_DCN, CLIP_DCN)),
                torch.from_numpy(learned),
                options.steps,
                rng,
            )
        return cls(encoder, network, mean, deviation, offset, spread, standardised)

    def predict(self, architectures: Sequence[Architecture], dcn: float) -> FloatArray:
        """Values, (architectures,), on a dataset of this DCN."""
        tokens = torch.from_numpy(self.encoder.encode(architectures))
        scaled = (dcn - self.dcn_mean) / self.dcn_deviation
        told = torch.tensor(scaled, dtype=torch.float64).clamp(-CLIP_DCN, CLIP_DCN)
        with one_thread(), torch.inference_mode():
            answers = [
                self.network(rows, told.expand(len(rows))) for rows in torch.split(tokens, CHUNK)
            ]
        answer = np.round(torch.cat(answers).numpy(), DIGITS)
        values: FloatArray = self.offset + self.spread * answer
        return values + dcn if self.standardised else values


class _Network(nn.Module):
    """Two stacked LSTMs over the words of an architecture, then two layers that see the DCN too.

    All parameters are float64 and drawn from ``rng``; nothing is global.
    """

    def __init__(self, token_sizes: Sequence[int], rng: np.random.Generator) -> None:
        super().__init__()
        first, second = STATE_WIDTHS
        # Built without memory, then drawn: PyTorch's own initialisation is one global generator.
        with torch.device("meta"):
            self.tokens = nn.ModuleList(nn.Embedding(size, TOKEN_WIDTH) for size in token_sizes)
            self.first = nn.LSTM(TOKEN_WIDTH * len(token_sizes), first, batch_first=True)
            self.second = nn.LSTM(first, second, batch_first=True)
            self.hidden = nn.Linear(second + 1, HEAD_WIDTH)
            self.answer = nn.Linear(HEAD_WIDTH, 1)
        self.to_empty(device="cpu").double()
        draw_uniform(self, rng)

    def forward(self, tokens: Tensor, dcn: Tensor, dropout: Tensor | None = None) -> Tensor:
        """Answers (n,) of tokens (n, steps, width) and DCNs (n,)."""
        read = torch.cat([embed(tokens[:, :, k]) for k, embed in enumerate(self.tokens)], 2)
        states, _ = self.second(self.first(read)[0])
        there = (tokens[:, :, :1] != PADDING).double()
        state = (states * there).sum(dim=1) / there.sum(dim=1)
        if dropout is not None:
            state = state * dropout
        hidden = functional.relu(self.hidden(torch.cat([state, dcn[:, None]], 1)))
        answers: Tensor = self.answer(hidden)[:, 0]
        return answers


def _train(
    network: _Network,
    tokens: Tensor,
    dcn: Tensor,
    values: Tensor,
    steps: int,
    rng: np.random.Generator,
) -> None:
    """Least squares, on batches of experiments of all datasets."""
    optimizer = torch.optim.AdamW(network.parameters(), weight_decay=WEIGHT_DECAY)
    for step in range(steps):
        rows = torch.from_numpy(rng.integers(len(values), size=BATCH))
        kept = rng.random((BATCH, STATE_WIDTHS[-1])) >= DROPOUT
        answers = network(tokens[rows], dcn[rows], torch.from_numpy(kept / (1 - DROPOUT)))
        loss = functional.mse_loss(answers, values[rows])
        for group in optimizer.param_groups:
            group["lr"] = LEARNING_RATE * (1 + math.cos(math.pi * step / steps)) / 2
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(network.parameters(), CLIP_NORM)
        optimizer.step()


def _deviation(values: FloatArray) -> float:
    """The standard deviation; 1 where all values are equal."""
    deviation = float(values.std())
    return deviation if deviation > 1e-9 else 1.0
