"""Feed-forward networks on features, the space of T-NAML (Wong et al. 2018) in kind.

From the paper: an input embedding that is trained on or frozen, the number of hidden layers and
their size, and further hyperparameters, for texts. The values are ours, for small data and one
processor core, and so is that the embedding is learned from the training features (a truncated
singular value decomposition: LSA for texts, principal components for standardised tables) or
random, where the paper takes embeddings that were trained elsewhere.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from nassim.errors import InputError
from nassim.spaces.base import Space

__all__ = ["FeedforwardSpace", "Settings", "settings"]

EMBEDDINGS = ("none", "svd", "random")
SIZES = (8, 32, 128)  # of the embedding
TRAINING = ("trained", "frozen")
LAYERS = (0, 1, 2, 3)  # hidden ones
WIDTHS = (8, 32, 128)
ACTIVATIONS = ("relu", "tanh", "swish")
NORMALISATIONS = ("plain", "norm")
DROPOUTS = (0.0, 0.2, 0.5)
FACTORS = (0.1, 0.3, 1.0, 3.0)  # times the recipe's learning rate

VALUES: tuple[tuple[object, ...], ...] = (
    *(EMBEDDINGS, SIZES, TRAINING, LAYERS, WIDTHS, ACTIVATIONS, NORMALISATIONS, DROPOUTS, FACTORS),
)
_TEXT = re.compile(r"(\w+):(\w+):(\w+)\|(\w+)x(\w+):(\w+):(\w+):drop([\d.]+)\|lr([\d.]+)")


class Settings(NamedTuple):
    """What the decisions mean; sizes are numbers of units."""

    embedding: str  # none, svd or random
    embedding_size: int
    embedding_training: str  # trained or frozen
    layers: int
    width: int
    activation: str  # relu, tanh or swish
    normalisation: str  # norm: batch normalisation before each activation
    dropout: float  # of the outputs of hidden layers
    learning_rate_factor: float


class FeedforwardSpace(Space):
    """Nine decisions: embedding, its size and training, layers, width, activation and so on.

    The text has three parts: the embedding, the hidden layers, the learning rate's factor.

    >>> space = FeedforwardSpace()
    >>> space.architecture((1, 1, 1, 2, 2, 0, 1, 1, 2)).id
    'svd:32:frozen|2x128:relu:norm:drop0.2|lr1'

    What has no effect (here, the size of no embedding and all about no layers) is the first
    value in the canonical text:

    >>> space.parse("none:32:frozen|0x128:tanh:norm:drop0.5|lr0.3").canonical_id
    'none:8:trained|0x8:relu:plain:drop0|lr0.3'
    """

    name = "feedforward"
    n_choices = tuple(len(values) for values in VALUES)
    input_sizes = ("features",)

    def decisions(self, text: str) -> tuple[int, ...]:
        match = _TEXT.fullmatch(text)
        found = match.groups() if match else ()
        known = [[_word(value) for value in values] for values in VALUES]
        if not found or any(word not in words for word, words in zip(found, known, strict=True)):
            shown = "<embedding>:<size>:<training>|<layers>x<width>:<activation>:<normalisation>"
            raise InputError(
                f"Architecture {text!r} is not of space 'feedforward'; expected "
                f"'{shown}:drop<rate>|lr<factor>', with values in turn one of "
                f"{', '.join('/'.join(words) for words in known)}."
            )
        return tuple(words.index(word) for word, words in zip(found, known, strict=True))

    def format(self, decisions: tuple[int, ...]) -> str:
        words = [_word(value) for value in settings(decisions)]
        return "{}:{}:{}|{}x{}:{}:{}:drop{}|lr{}".format(*words)

    def canonical(self, decisions: tuple[int, ...]) -> str:
        values = list(decisions)
        chosen = settings(decisions)
        if chosen.embedding == "none":
            values[1:3] = 0, 0
        if chosen.layers == 0:
            values[4:8] = 0, 0, 0, 0
        return self.format(tuple(values))


def settings(decisions: tuple[int, ...]) -> Settings:
    """What decisions mean.

    >>> settings((0, 0, 0, 1, 1, 1, 0, 0, 3)).learning_rate_factor
    3.0
    """
    chosen = (values[k] for values, k in zip(VALUES, decisions, strict=True))
    return Settings(*chosen)  # type: ignore[arg-type]  # one value of each kind, in this order


def _word(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)
