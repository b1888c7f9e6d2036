"""Encoder, predictor, decoder: the network of NAO (Luo et al. 2018), which XferNAS shares.

An architecture is a string of decisions. An LSTM reads it step by step, a step being the decisions
that belong together, such as (input, operation) in the NASNet space. Its states, each of length 1,
are ``H`` (n, steps, hidden); their mean, again of length 1, is the code ``h`` (n, hidden). The
predictor reads h, and the decoder (an LSTM that starts from h and attends to H) writes the
string again. Whatever is written is legal, because only legal decisions have a probability.

How to read this file: strings; the network; its training.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from nassim.errors import InputError
from nassim.networks.initialise import draw_uniform
from nassim.optimizers.base import decisions_of
from nassim.records import Architecture, FloatArray, IntArray
from nassim.spaces.base import Space

__all__ = ["EncoderPredictorDecoder", "Evaluations", "Strings", "train"]

# Spaces whose steps all mean the same, with the decisions of a step: an operation is then read
# alike wherever it stands. In any other space each decision is a step with a meaning of its own.
ALIKE = {"nasnet": 2, "nasbench201": 1, "nasbench201_3nodes": 1}
PREDICTOR_WIDTH = 64  # hidden units of the predictor, and of the residual
DATASET_WIDTH = 8  # of a dataset's embedding
LEARNING_RATE = 1e-2
WEIGHT_DECAY = 1e-4
CLIP_NORM = 5.0
BATCH = 100  # evaluations in a training step: of the target, and as many of the sources


@dataclass(frozen=True)
class Strings:
    """How the decisions of a space become numbers, and which numbers are legal where.

    ``offsets`` (steps, width) is added to the decisions of each step; ``legal`` has, for each of
    the ``width`` places in a step, the tokens that may stand there, (steps, tokens).

    >>> from nassim.spaces import get_space
    >>> strings = Strings.of(get_space("nasnet"))
    >>> strings.offsets.shape, [place.shape for place in strings.legal]
    ((20, 2), [(20, 6), (20, 5)])
    >>> strings.legal[0][0]  # the first block has two inputs to choose from
    array([ True,  True, False, False, False, False])
    >>> [place.shape for place in Strings.of(get_space("feedforward")).legal]
    [(9, 27)]
    """

    space: Space
    offsets: NDArray[np.int64]
    legal: tuple[NDArray[np.bool_], ...]

    @classmethod
    def of(cls, space: Space) -> Strings:
        """The strings of a space.

        Raises
        ------
        InputError
            if its architectures have no decisions.
        """
        if not space.n_choices:
            raise InputError(
                f"Architectures of space {space.name!r} have no decisions to read and write; this "
                "method needs a search space such as 'nasnet'. Take 'random', or a store of such a "
                "space."
            )
        choices = np.array(space.n_choices).reshape(-1, ALIKE.get(space.name, 1))
        offsets = np.zeros_like(choices)
        if space.name not in ALIKE:
            offsets[1:] = choices.cumsum(axis=0)[:-1]
        places = zip(offsets.T[..., None], choices.T[..., None], strict=True)
        legal = tuple(
            (first <= tokens) & (tokens < first + number)
            for first, number in places
            for tokens in [np.arange((first + number).max())]
        )
        return cls(space, offsets, legal)

    def encode(self, architectures: Sequence[Architecture]) -> Tensor:
        """Tokens, (architectures, steps, width)."""
        decisions = decisions_of(architectures).reshape(-1, *self.offsets.shape)
        return torch.from_numpy(decisions + self.offsets)

    def decisions(self, tokens: Tensor) -> IntArray:
        """The inverse: decision tuples, (architectures, decisions)."""
        decisions: IntArray = (tokens.numpy() - self.offsets).reshape(len(tokens), -1)
        return decisions


@dataclass(frozen=True, eq=False)
class Evaluations:
    """What is trained on: ``tokens`` (n, steps, width), ``targets`` (n,) in [0, 1], and the
    number of the dataset of each, (n,): 0 is the target, 1 the first source."""

    tokens: Tensor
    targets: Tensor
    datasets: Tensor

    @classmethod
    def of(cls, tokens: Tensor, targets: FloatArray, dataset: int = 0) -> Evaluations:
        """Of one dataset."""
        datasets = torch.full((len(tokens),), dataset)
        return cls(tokens, torch.from_numpy(targets).float(), datasets)

    @classmethod
    def joined(cls, parts: Sequence[Evaluations]) -> Evaluations:
        """Of several datasets, one after the other."""
        return cls(
            torch.cat([part.tokens for part in parts]),
            torch.cat([part.targets for part in parts]),
            torch.cat([part.datasets for part in parts]),
        )

    def draw(self, count: int, rng: np.random.Generator) -> Evaluations:
        """All, or ``count`` of them without replacement where there are more."""
        if len(self.targets) <= count:
            return self
        rows = torch.from_numpy(rng.choice(len(self.targets), count, replace=False))
        return Evaluations(self.tokens[rows], self.targets[rows], self.datasets[rows])


# -- the network ---------------------------------------------------------------------------------


class EncoderPredictorDecoder(nn.Module):
    """The network; its parameters are float32 and drawn from ``rng``; nothing is global.

    With ``n_sources`` the prediction for a dataset is ``sigmoid(g(h) + r(h, e))``, where e is the
    dataset's embedding: the universal function g and the dataset's residual r of XferNAS. Without,
    it is ``sigmoid(g(h))``, and no parameter of r exists.
    """

    def __init__(
        self, strings: Strings, hidden: int, rng: np.random.Generator, n_sources: int = 0
    ) -> None:
        super().__init__()
        self.strings = strings
        self.n_sources = n_sources
        sizes = [place.shape[1] for place in strings.legal]
        token_width = max(1, hidden // len(sizes))
        word_width = token_width * len(sizes)
        self.legal = [torch.from_numpy(place) for place in strings.legal]
        # Built without memory, then drawn: PyTorch's own initialisation is one global generator.
        with torch.device("meta"):
            self.tokens = nn.ModuleList(nn.Embedding(size, token_width) for size in sizes)
            self.positions = nn.Embedding(len(strings.offsets), word_width)
            self.encoder = nn.LSTM(word_width, hidden, batch_first=True)
            self.predictor = _mlp(hidden)
            self.decoder = nn.LSTM(word_width, hidden, batch_first=True)
            self.attention = nn.Linear(2 * hidden, hidden)
            self.written = nn.ModuleList(nn.Linear(hidden, size) for size in sizes)
            if n_sources:
                self.datasets = nn.Embedding(n_sources + 1, DATASET_WIDTH)
                self.residual_mlp = _mlp(hidden + DATASET_WIDTH)
        self.to_empty(device="cpu").float()
        draw_uniform(self, rng)
        if n_sources:  # no residual anywhere before training, and none of the target's
            with torch.no_grad():
                self.residual_mlp[-1].weight.zero_()  # type: ignore[operator]
                self.datasets.weight[0] = 0.0

    def encode(self, tokens: Tensor) -> Tensor:
        """H (n, steps, hidden) of tokens (n, steps, width)."""
        states, _ = self.encoder(self._read(tokens) + self.positions.weight)
        return functional.normalize(states, dim=2)

    def code(self, states: Tensor) -> Tensor:
        """h (n, hidden) of H."""
        return functional.normalize(states.mean(dim=1), dim=1)

    def score(self, code: Tensor, datasets: Tensor | None = None) -> Tensor:
        """The logit of the prediction, (n,), for codes on these datasets; the target if None."""
        score: Tensor = self.predictor(code)[:, 0]
        return score if not self.n_sources else score + self.residual(code, datasets)

    def residual(self, code: Tensor, datasets: Tensor | None = None) -> Tensor:
        """r(h, e) = m([h, e]) - m([h, 0]), (n,): of a dataset whose e is 0 there is none."""
        if datasets is None:
            datasets = torch.zeros(len(code), dtype=torch.int64)
        e = self.datasets(datasets)
        known = self.residual_mlp(torch.cat([code, e], 1))
        unknown = self.residual_mlp(torch.cat([code, torch.zeros_like(e)], 1))
        residual: Tensor = (known - unknown)[:, 0]
        return residual

    def climb(self, tokens: Tensor, step: float) -> Tensor:
        """H' of some architectures: H, and a step along the gradient of the target's prediction.

        The prediction is of an *accuracy*, so it is climbed, where that of an error is descended.
        """
        with torch.enable_grad():
            states = self.encode(tokens).detach().requires_grad_()
            predicted = torch.sigmoid(self.score(self.code(states)))
            (gradient,) = torch.autograd.grad(predicted.sum(), states)
        return functional.normalize(states.detach() + step * gradient, dim=2)

    def log_likelihoods(self, states: Tensor, tokens: Tensor) -> list[Tensor]:
        """For each place of a step, log p (n, steps, tokens) of what stands there, given the steps
        before it."""
        read = self._read(tokens)
        before = torch.cat([torch.zeros_like(read[:, :1]), read[:, :-1]], 1)
        return self._write(states, before, self._start(states))[0]

    def decode(self, states: Tensor) -> Tensor:
        """Tokens (n, steps, width), the most probable of each step after another."""
        state = self._start(states)
        before = states.new_zeros(len(states), 1, self.decoder.input_size)
        steps = []
        for step in range(states.shape[1]):
            written, state = self._write(states, before, state, step)
            tokens = torch.stack([place[:, 0].argmax(dim=1) for place in written], 1)
            steps.append(tokens)
            before = self._read(tokens[:, None])
        return torch.stack(steps, 1)

    def _read(self, tokens: Tensor) -> Tensor:
        return torch.cat([embed(tokens[..., k]) for k, embed in enumerate(self.tokens)], 2)

    def _start(self, states: Tensor) -> tuple[Tensor, Tensor]:
        code = self.code(states)[None]
        return code, code

    def _write(
        self, states: Tensor, before: Tensor, state: tuple[Tensor, Tensor], step: int | None = None
    ) -> tuple[list[Tensor], tuple[Tensor, Tensor]]:
        """Log p of the tokens of all steps, or of one; and the decoder's state after it."""
        rows = slice(None) if step is None else slice(step, step + 1)
        query, state = self.decoder(before + self.positions.weight[rows], state)
        # States are of length 1: unscaled, the attention could not single out a step.
        likeness = math.sqrt(states.shape[2]) * query @ states.transpose(1, 2)
        context = torch.softmax(likeness, dim=2) @ states
        attended = torch.tanh(self.attention(torch.cat([context, query], 2)))
        return [
            place(attended).masked_fill(~legal[rows], -math.inf).log_softmax(dim=2)
            for place, legal in zip(self.written, self.legal, strict=True)
        ], state


def _mlp(width: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Linear(width, PREDICTOR_WIDTH), nn.ReLU(), nn.Linear(PREDICTOR_WIDTH, 1)
    )


# -- its training --------------------------------------------------------------------------------


@torch.enable_grad()
def train(
    network: EncoderPredictorDecoder,
    *evaluations: Evaluations,
    steps: int,
    alpha: float,
    penalty: float = 0.0,
    rng: np.random.Generator,
) -> None:
    """Go on training: L = alpha * squared error of predictions + (1 - alpha) * negative
    log-likelihood of the strings + penalty * mean squared residual, each a mean over the batch.

    Each step sees up to ``BATCH`` of each of ``evaluations``, such as the target's and those of all
    sources. The learning rate falls to 0 along half a cosine.
    """
    optimizer = torch.optim.Adam(
        network.parameters(), lr=LEARNING_RATE, weight_decay=WEIGHT_DECAY, foreach=True
    )
    for step in range(steps):
        batch = Evaluations.joined([part.draw(BATCH, rng) for part in evaluations])
        tokens = batch.tokens
        states = network.encode(tokens)
        code = network.code(states)
        score = network.score(code, batch.datasets)
        loss = alpha * (torch.sigmoid(score) - batch.targets).square().mean()
        if network.n_sources:
            residual = network.residual(code, batch.datasets)
            loss = loss + penalty * residual.square().mean()
        if alpha < 1:
            likelihoods = network.log_likelihoods(states, tokens)
            loss = (
                loss
                + (1 - alpha)
                * torch.stack(
                    [
                        functional.nll_loss(likelihood.flatten(0, 1), tokens[..., k].flatten())
                        for k, likelihood in enumerate(likelihoods)
                    ]
                ).mean()
            )
        for group in optimizer.param_groups:
            group["lr"] = LEARNING_RATE * (1 + math.cos(math.pi * step / steps)) / 2
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(network.parameters(), CLIP_NORM)
        optimizer.step()
