"""LCRankNet: learning to rank learning curves (Wistuba & Pedapati, ICML 2020, arXiv 2006.03361).

A network scores the beginning of a run, f(architecture, curve so far, dataset), such that
p(run i ends better than run j) = sigmoid(f_i - f_j). It is trained on pairs of complete runs of
the *other* datasets, both cut after the same epoch, and never sees the target (but for the ablation
``transfer=false``). A run is stopped if p(better than the incumbent) <= delta.

The body of the paper was not at hand, and no official code is known: sizes, learning rate, delta
and decision epochs are ours. ``docs/methods/lcranknet.md`` lists every difference.

How to read this file: the estimator; what it turns into numbers; the network; its training.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, Literal

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from nassim.encodings import PADDING, UNKNOWN, TokenEncoder, words
from nassim.errors import InputError
from nassim.networks.initialise import draw_uniform
from nassim.networks.threads import one_thread
from nassim.options import check_count, check_share
from nassim.records import (
    Architecture,
    FloatArray,
    Incumbent,
    IntArray,
    Metric,
    Prefixes,
    Sources,
    SourceTask,
)
from nassim.terminators.base import DECISION_EPOCHS, Estimator, Judge, TargetJudge, View

__all__ = ["LCRankNet", "pair_loss"]

KERNELS = (
    2,
    3,
    4,
    5,
)  # epochs that a convolution looks at; those longer than the curve are skipped
CHANNELS = 16  # of each convolution
TOKEN_WIDTH = 8  # of a token's embedding
STATE_WIDTH = 32  # of the LSTM
DATASET_WIDTH = 4  # of a dataset's embedding
HEAD_WIDTH = 32  # hidden units of each head; twice as many where one head reads everything
LEARNING_RATE = 2e-3
WEIGHT_DECAY = 1e-2
CLIP_NORM = 5.0
BATCH = 96  # runs of a training step; all their pairs are compared
DROPOUT = 0.3  # of the architecture's embedding
DROP_ARCHITECTURE = 0.5  # share of steps with a curve that are trained on the curve alone
DROP_DATASET = 0.3  # share of steps that do not know the dataset, as on the target
LENGTHS = (0, *DECISION_EPOCHS)  # epochs after which curves are cut in training
SCORE_DIGITS = 6  # scores are rounded, so that other processors' last bits change no decision
CHUNK = 512  # runs that are scored at a time


class LCRankNet(Estimator):
    """Stop a run if the pairwise ranking network says that it will not beat the incumbent.

    Parameters
    ----------
    delta
        Stop if p(better than the incumbent) <= delta. 0.45 is ours.
    epochs
        ``"sparse"``, ``"every"``, or a tuple of epochs (see ``Estimator``).
    at_zero
        Whether a run may be refused before its first epoch, from its architecture alone.
    fusion
        ``"additive"`` (ours): one head for the architecture and one for the curve, added with
        weights that depend on the epoch. ``"concat"`` (the paper's): one head reads everything.
    alpha
        Weight of the ranking loss; 1 - alpha goes to reconstructing the architecture's tokens.
    loss
        ``"pairwise"``, or ``"pointwise"``: squared error on the quality, standardised by dataset.
    architecture, curve, dataset_embedding
        Switches for ablations: without one, the network never sees it.
    lengths
        ``"one"`` (ours): one network for curves of any length. ``"each"``: one for each length of
        ``LENGTHS``, each of all ``steps``; a curve is read by that of the longest length which
        it has reached.
    token_dropout
        Share of the words' tokens that are read as unknown in training. Above 0, a token that no
        source has is read by an embedding that was trained.
    residual
        True (ours, off): the last and the best value are added to the score, with weights above 0
        that depend on the epoch; the heads learn what they do not say.
    steps
        Training steps of a network.
    transfer
        False, for an ablation: learn from the completed runs of the target alone, which are
        trained fully and paid for; for the first time from ``curves`` of them, and anew each time
        that they have doubled.
    curves
        With ``transfer=False``, how many.

    Raises
    ------
    InputError
        if an option is out of its range, or there is nothing left for the network to see.
    """

    uses_sources = True
    reads_architectures = True
    quick_options: ClassVar[Mapping[str, object]] = {"steps": 5}

    def __init__(
        self,
        delta: float = 0.45,
        epochs: str | int | tuple[int, ...] = "sparse",
        at_zero: bool = False,
        fusion: Literal["additive", "concat"] = "additive",
        alpha: float = 1.0,
        loss: Literal["pairwise", "pointwise"] = "pairwise",
        architecture: bool = True,
        curve: bool = True,
        dataset_embedding: bool = True,
        lengths: Literal["one", "each"] = "one",
        token_dropout: float = 0.0,
        residual: bool = False,
        steps: int = 1200,
        transfer: bool = True,
        curves: int = 10,
    ) -> None:
        if not (architecture or curve):
            raise InputError("architecture and curve are both false; leave one of them on.")
        if lengths not in ("one", "each"):
            raise InputError(f"Option lengths is {lengths!r}; expected 'one' or 'each'.")
        if lengths == "each" and not curve:
            raise InputError(
                "Without curves, networks for each length are all the same; leave lengths=each out."
            )
        self.from_epoch = 0 if architecture else 1
        super().__init__(delta, epochs, at_zero)
        if fusion not in ("additive", "concat"):
            raise InputError(f"Option fusion is {fusion!r}; expected 'additive' or 'concat'.")
        if loss not in ("pairwise", "pointwise"):
            raise InputError(f"Option loss is {loss!r}; expected 'pairwise' or 'pointwise'.")
        self.fusion = fusion
        self.alpha = check_share("alpha", alpha)
        self.loss = loss
        self.architecture = architecture
        self.curve = curve
        self.dataset_embedding = dataset_embedding
        self.lengths = lengths
        self.token_dropout = check_share("token_dropout", token_dropout)
        if residual and not curve:
            raise InputError("Without curves there is no last value; leave residual=true out.")
        self.residual = residual
        self.steps = check_count("steps", steps)
        self.transfer = self.uses_sources = transfer
        self.curves = check_count("curves", curves, least=2)
        self._seed = 0
        # a network for each length from which on it reads curves, ascending
        self._fitted: tuple[_Inputs, dict[int, _Network]] | None = None

    def fit(self, sources: Sources, seed: int) -> None:
        """Train the network on the source datasets; same seed and sources, same scores. Without
        transfer, only the seed is taken.

        Raises
        ------
        InputError
            if there is no source dataset with two runs, or sources are of several spaces.
        """
        self._seed = seed
        if self.transfer:
            self._train_on(sources)

    def judge(self, view: View) -> Judge:
        if self.transfer:
            return super().judge(view)
        return TargetJudge(view, self.trained_on, self.curves, again=True, growth=2)

    def trained_on(self, completed: Sources) -> Estimator:
        if self.transfer:
            return self
        twin = copy.copy(self)
        twin.dataset_embedding = False  # of the only dataset, which is the target
        twin._train_on(completed)
        return twin

    def _train_on(self, sources: Sources) -> None:
        seed = self._seed
        tasks = [task for task in sources.tasks if len(task.architectures) > 1]
        if not tasks:
            raise InputError(
                "LCRankNet was given no source dataset with two runs or more; it learns from "
                "other datasets. Use a store with at least two datasets, or transfer=false."
            )
        inputs = _Inputs.fit(tasks, sources.metric)
        least = self.from_epoch
        prepared = [_Task.prepare(task, inputs, least) for task in tasks]
        networks = {}
        if self.lengths == "one":
            networks[least] = self._learn(inputs, prepared, np.random.default_rng(seed))
        else:
            for length in sorted({length for task in prepared for length in task.lengths}):
                cut = [replace(t, lengths=(length,)) for t in prepared if length in t.lengths]
                networks[length] = self._learn(inputs, cut, np.random.default_rng([seed, length]))
        self._fitted = inputs, networks

    def _learn(self, inputs: _Inputs, tasks: list[_Task], rng: np.random.Generator) -> _Network:
        network = _Network(self, inputs.encoder.sizes, len(tasks), rng)
        with one_thread():
            _train(self, network, tasks, rng)
        return network

    def estimate(self, prefixes: Prefixes) -> FloatArray:
        """One score a run, (runs,): the higher, the better the run will end. NaN where a run was
        trained but nothing of it was measured."""
        if self._fitted is None and not self.transfer:
            return np.full(len(prefixes), np.nan)  # nothing of the target was completed
        if self._fitted is None:
            raise InputError("LCRankNet must be fitted on source datasets before it can estimate.")
        inputs, networks = self._fitted
        reached = [length for length in networks if length <= prefixes.epoch]
        network = networks[max(reached, default=min(networks))]
        if prefixes.metric != inputs.metric:
            raise InputError(
                f"Curves measure {prefixes.metric.name}; LCRankNet was fitted on curves of "
                f"{inputs.metric.name}. Expected sources and target of one store."
            )
        tokens = torch.from_numpy(inputs.encoder.encode(prefixes.architectures))
        sizes = torch.from_numpy(
            inputs.sizes(prefixes.architectures, prefixes.n_params, prefixes.flops)
        )
        curves = torch.from_numpy(inputs.curves(prefixes.curves))
        scores = np.empty(len(prefixes))
        with one_thread(), torch.inference_mode():
            for at in range(0, len(scores), CHUNK):
                rows = slice(at, at + CHUNK)
                scores[rows] = network(tokens[rows], sizes[rows], curves[rows]).numpy()
        if prefixes.epoch > 0:
            scores[~np.isfinite(prefixes.curves).any(axis=1)] = np.nan
        return np.round(scores, SCORE_DIGITS)

    def probability(self, estimates: FloatArray, incumbent: Incumbent) -> FloatArray:
        """p(m > m_max) = sigmoid(f - f of the incumbent after the same epoch), (runs,).

        >>> import numpy as np
        >>> LCRankNet().probability(np.array([[1.5], [0.5]]), Incumbent(0.9, np.array([0.5])))
        array([0.73105858, 0.5       ])
        """
        difference = estimates.reshape(len(estimates)) - incumbent.estimate.reshape(())
        p: FloatArray = (1 + np.tanh(difference / 2)) / 2  # the sigmoid, which cannot overflow
        return p


# -- what is turned into numbers -----------------------------------------------------------------


@dataclass(frozen=True)
class _Inputs:
    """Turns runs into numbers, with statistics of the sources only."""

    encoder: TokenEncoder
    metric: Metric
    size_mean: FloatArray
    size_deviation: FloatArray
    value_mean: float
    value_deviation: float

    @classmethod
    def fit(cls, tasks: Sequence[SourceTask], metric: Metric) -> _Inputs:
        encoder = TokenEncoder.fit([a for task in tasks for a in task.architectures])
        sizes = np.concatenate(
            [_log_sizes(task.architectures, task.n_params, task.flops) for task in tasks]
        )
        size_mean, size_deviation = _mean_and_deviation(sizes)
        values = np.concatenate([_unbounded(task.curves, metric).ravel() for task in tasks])
        value_mean, value_deviation = _mean_and_deviation(values[:, None])
        return cls(
            encoder,
            metric,
            size_mean,
            size_deviation,
            float(value_mean[0]),
            float(value_deviation[0]),
        )

    def sizes(
        self, architectures: Sequence[Architecture], n_params: IntArray, flops: IntArray
    ) -> FloatArray:
        """(runs, 3) standardised logarithms of parameters, operations and words; 0 if unknown."""
        sizes = _log_sizes(architectures, n_params, flops)
        standard = ((sizes - self.size_mean) / self.size_deviation).clip(-5, 5)
        known: FloatArray = np.where(np.isnan(standard), 0.0, standard)
        return known

    def curves(self, curves: FloatArray) -> FloatArray:
        """(runs, epochs) standardised; what was not measured repeats what was measured before.

        What failed (-inf), or was not measured yet, is as bad as can be.
        """
        values = (_unbounded(curves, self.metric) - self.value_mean) / self.value_deviation
        values = values.clip(-5, 5)  # -inf too; NaN stays
        measured = ~np.isnan(values)
        last = np.maximum.accumulate(np.where(measured, np.arange(values.shape[1]), -1), axis=1)
        carried = np.take_along_axis(values, np.maximum(last, 0), axis=1)
        filled: FloatArray = np.where(last >= 0, carried, -5.0)
        return filled


def _log_sizes(
    architectures: Sequence[Architecture], n_params: IntArray, flops: IntArray
) -> FloatArray:
    lengths = np.array([len(words(architecture)) for architecture in architectures])
    counts = np.stack([n_params, flops, lengths], axis=1).astype(np.float64)
    logarithms: FloatArray = np.log(np.where(counts > 0, counts, np.nan))
    return logarithms


def _unbounded(curves: FloatArray, metric: Metric) -> FloatArray:
    """Higher-is-better values on a scale without bounds: logit between two bounds (accuracy),
    logarithm of the distance to a lower one (perplexity, loss), else unchanged."""
    low, high = metric.bounds
    values = metric.sign * curves.astype(np.float64)
    if math.isfinite(low) and math.isfinite(high):
        share = np.clip((values - low) / (high - low), 1e-4, 1 - 1e-4)
        values = np.log(share / (1 - share))
    elif math.isfinite(low):
        values = np.log(np.maximum(values - low, 1e-4))
    return metric.sign * values


def _mean_and_deviation(values: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Of the finite values of each column; 0 and 1 where a column has none or is constant."""
    finite = np.isfinite(values)
    count = np.maximum(finite.sum(axis=0), 1)
    mean = np.where(finite, values, 0.0).sum(axis=0) / count
    deviation = np.sqrt((np.where(finite, values - mean, 0.0) ** 2).sum(axis=0) / count)
    return mean, np.where(deviation > 1e-9, deviation, 1.0)


# -- the network ---------------------------------------------------------------------------------


class _Network(nn.Module):
    """Scores runs. All parameters are float64 and drawn from ``rng``; nothing is global."""

    def __init__(
        self,
        options: LCRankNet,
        token_sizes: Sequence[int],
        n_datasets: int,
        rng: np.random.Generator,
    ) -> None:
        super().__init__()
        self.additive = options.fusion == "additive"
        self.sees_architecture = options.architecture
        self.sees_curve = options.curve
        self.sees_dataset = options.dataset_embedding
        self.residual = options.residual
        word_width = TOKEN_WIDTH * len(token_sizes)
        self.architecture_width = STATE_WIDTH + 3
        curve_width = CHANNELS * len(KERNELS) + 3 + DATASET_WIDTH
        # Built without memory, then drawn: PyTorch's own initialisation is one global generator.
        with torch.device("meta"):
            self.tokens = nn.ModuleList(nn.Embedding(size, TOKEN_WIDTH) for size in token_sizes)
            self.encoder = nn.LSTM(word_width, STATE_WIDTH, batch_first=True)
            self.convolutions = nn.ModuleList(nn.Linear(kernel, CHANNELS) for kernel in KERNELS)
            # Number 0 is a dataset that was never seen, as the target is: always zero.
            self.datasets = nn.Embedding(n_datasets + 1, DATASET_WIDTH, padding_idx=0)
            if self.additive:
                self.architecture_head = _head(self.architecture_width, HEAD_WIDTH)
                self.curve_head = _head(curve_width, HEAD_WIDTH)
                self.weights = nn.Linear(1, 2)
            else:
                self.head = _head(self.architecture_width + curve_width, 2 * HEAD_WIDTH)
            if options.residual:
                self.values = nn.Linear(1, 2)  # weights of the last and the best value
            if options.alpha < 1:
                self.decoder = nn.LSTM(word_width, STATE_WIDTH, batch_first=True)
                self.decoded = nn.ModuleList(nn.Linear(STATE_WIDTH, size) for size in token_sizes)
        self.to_empty(device="cpu").double()
        draw_uniform(self, rng)
        with torch.no_grad():
            self.datasets.weight[0] = 0.0

    def forward(
        self,
        tokens: Tensor,
        sizes: Tensor,
        curves: Tensor,
        dataset: int = 0,
        drop_architecture: bool = False,
        dropout: Tensor | None = None,
    ) -> Tensor:
        """Scores (runs,) of tokens (runs, steps, width), sizes (runs, 3), curves (runs, epochs)."""
        if not self.sees_curve:
            curves = curves[:, :0]
        epoch = curves.shape[1]
        see_architecture = self.sees_architecture and not drop_architecture
        score = curves.new_zeros(len(curves))
        if self.residual and epoch > 0:
            weights = functional.softplus(self.values(curves.new_full((1,), _scale(epoch))))
            score = weights[0] * curves[:, -1] + weights[1] * curves.amax(dim=1)
        if not self.additive:
            unseen = curves.new_zeros(len(curves), self.architecture_width)
            seen = self.architecture(tokens, sizes, dropout) if see_architecture else unseen
            both: Tensor = self.head(torch.cat([seen, self.curve(curves, dataset)], 1))[:, 0]
            return score + both
        weights = functional.softplus(self.weights(curves.new_full((1,), _scale(epoch))) + 0.5)
        if see_architecture:
            seen = self.architecture(tokens, sizes, dropout)
            score = score + weights[0] * self.architecture_head(seen)[:, 0]
        if epoch > 0:
            score = score + weights[1] * self.curve_head(self.curve(curves, dataset))[:, 0]
        return score

    def architecture(self, tokens: Tensor, sizes: Tensor, dropout: Tensor | None) -> Tensor:
        """The mean LSTM state over the words, and the sizes."""
        states, _ = self.encoder(self.embed(tokens))
        there = (tokens[:, :, :1] != PADDING).double()
        state = (states * there).sum(dim=1) / there.sum(dim=1)
        return torch.cat([state if dropout is None else state * dropout, sizes], 1)

    def embed(self, tokens: Tensor) -> Tensor:
        """(runs, steps, width of a word): the embeddings of a word's tokens, side by side."""
        return torch.cat([embed(tokens[:, :, k]) for k, embed in enumerate(self.tokens)], 2)

    def curve(self, curves: Tensor, dataset: int) -> Tensor:
        """The highest answer of each convolution over time, the last and the best value, the
        epoch and the dataset; zeros for a convolution that is longer than the curve."""
        n, epoch = curves.shape
        features = []
        for kernel, convolution in zip(KERNELS, self.convolutions, strict=True):
            if kernel > epoch:
                features.append(curves.new_zeros(n, CHANNELS))
            else:
                answers = convolution(curves.unfold(1, kernel, 1))  # (runs, windows, channels)
                features.append(functional.relu(answers).amax(dim=1))
        if epoch > 0:
            features.append(torch.stack([curves[:, -1], curves.amax(dim=1)], 1))
        else:
            features.append(curves.new_zeros(n, 2))
        features.append(curves.new_full((n, 1), _scale(epoch)))
        known = torch.tensor(dataset if self.sees_dataset else 0)
        features.append(self.datasets(known).expand(n, -1))
        return torch.cat(features, 1)

    def reconstruction_loss(self, tokens: Tensor) -> Tensor:
        """Mean negative log-likelihood of the words, each from the words before it and the mean
        LSTM state; the sum over the places of a word."""
        read = self.embed(tokens)
        states, _ = self.encoder(read)
        there = (tokens[:, :, :1] != PADDING).double()
        start = ((states * there).sum(dim=1) / there.sum(dim=1))[None]
        before = torch.cat([torch.zeros_like(read[:, :1]), read[:, :-1]], 1)
        decoded, _ = self.decoder(before, (start, torch.zeros_like(start)))
        losses = [
            functional.cross_entropy(
                place(decoded).flatten(0, 1), tokens[:, :, k].flatten(), ignore_index=PADDING
            )
            for k, place in enumerate(self.decoded)
        ]
        return torch.stack(losses).sum()


def _scale(epoch: int) -> float:
    """The epoch as the network reads it: 0 to about 2.5, any length allowed."""
    return math.log1p(epoch) / 2


def _head(width: int, hidden: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(width, hidden), nn.ReLU(), nn.Linear(hidden, 1))


# -- its training --------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class _Task:
    """A source dataset as the network sees it; a run without a finite quality is its worst."""

    tokens: Tensor
    sizes: Tensor
    curves: Tensor
    values: Tensor
    lengths: tuple[int, ...]  # epochs after which its curves may be cut

    @classmethod
    def prepare(cls, task: SourceTask, inputs: _Inputs, least: int) -> _Task:
        """``least`` is the shortest length from which the network can say anything."""
        n_epochs = task.curves.shape[1]
        values = task.values.astype(np.float64)
        finite = np.isfinite(values)
        values[~finite] = values[finite].min() if finite.any() else 0.0
        return cls(
            torch.from_numpy(inputs.encoder.encode(task.architectures)),
            torch.from_numpy(inputs.sizes(task.architectures, task.n_params, task.flops)),
            torch.from_numpy(inputs.curves(task.curves)),
            torch.from_numpy(values),
            tuple(length for length in LENGTHS if least <= length < n_epochs) or (n_epochs,),
        )


def _train(
    options: LCRankNet, network: _Network, tasks: Sequence[_Task], rng: np.random.Generator
) -> None:
    """Each step: one dataset, one epoch after which curves are cut, and all pairs of some runs."""
    weights = list(network.parameters())
    optimizer = torch.optim.AdamW(weights, weight_decay=WEIGHT_DECAY, fused=True)
    for step in range(options.steps):
        number = int(rng.integers(len(tasks)))
        task = tasks[number]
        length = task.lengths[int(rng.integers(len(task.lengths)))]
        rows = torch.from_numpy(rng.permutation(len(task.values))[:BATCH])
        drop_architecture = options.curve and length > 0 and rng.random() < DROP_ARCHITECTURE
        unknown = rng.random() < DROP_DATASET
        kept = rng.random((len(rows), STATE_WIDTH)) >= DROPOUT
        tokens = task.tokens[rows]
        if options.token_dropout > 0:
            hidden = torch.from_numpy(rng.random(tuple(tokens.shape)) < options.token_dropout)
            tokens = tokens.where(~hidden | (tokens == PADDING), UNKNOWN)
        scores = network(
            tokens,
            task.sizes[rows],
            task.curves[rows, :length],
            0 if unknown else number + 1,
            drop_architecture,
            torch.from_numpy(kept / (1 - DROPOUT)),
        )
        values = task.values[rows]
        if options.loss == "pairwise":
            loss = pair_loss(scores, values)
        else:
            loss = ((scores - _standard(task.values)[rows]) ** 2).mean()
        if options.alpha < 1:
            reconstruction = network.reconstruction_loss(task.tokens[rows])
            loss = options.alpha * loss + (1 - options.alpha) * reconstruction
        for group in optimizer.param_groups:
            group["lr"] = LEARNING_RATE * (1 + math.cos(math.pi * step / options.steps)) / 2
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(weights, CLIP_NORM)
        optimizer.step()


def pair_loss(scores: Tensor, values: Tensor) -> Tensor:
    """Mean cross-entropy of sigmoid(f_i - f_j) against "i is better than j", over all pairs.

    A tie counts one half, so equal scores are best for equal values.

    >>> pair_loss(torch.zeros(3), torch.tensor([0.1, 0.2, 0.3]))  # ln 2
    tensor(0.6931)
    """
    difference = scores[:, None] - scores[None, :]
    better = (torch.sign(values[:, None] - values[None, :]) + 1) / 2  # a tie: 1/2
    each = functional.softplus(difference) - better * difference
    n = len(scores)
    return (each.sum() - each.diagonal().sum()) / (n * (n - 1))


def _standard(values: Tensor) -> Tensor:
    return (values - values.mean()) / values.std().clamp(min=1e-9)
