"""XferNAS: transfer neural architecture search (Wistuba, ECML PKDD 2020, arXiv 1907.08307).

An optimizer is changed as little as possible so that it learns from other datasets. Its model of
one dataset becomes a universal function, which all datasets share, and a residual of each:

    prediction for dataset i:  f_i(h) = g(h) + r(h, e_i),   e_i the embedding of the dataset
    L = alpha * (f_i - target)² + (1 - alpha) * -log p(string | H) + penalty * r²

summed over the evaluations of all datasets. The search starts with what is best by g, so it needs
no random start; with results of the target its own residual grows. The optimizer is NAO
(:mod:`nassim.optimizers.nao`), whose encoder and decoder have nothing to do with the dataset.

The body of the paper was not at hand, and no code is known: sizes, alpha, how accuracies are
normalised and how g and r are told apart are ours. ``docs/methods/xfernas.md`` lists it all; first:

- r(h, e) = m([h, e]) - m([h, 0]), the last layer of m starts at 0, and so does the target's
  embedding: before the first result f = g exactly;
- accuracies are standardised within each dataset, because raw ones differ more between datasets
  than between architectures;
- each time the target has new results, training goes on for a few steps from the network as it is,
  on a batch of the sources and all results of the target.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
import torch
from torch import Tensor

from nassim.errors import InputError
from nassim.networks.threads import one_thread
from nassim.optimizers.base import Candidates, Search, check_space
from nassim.optimizers.epd import EncoderPredictorDecoder, Evaluations, Strings, train
from nassim.optimizers.nao import NAO, LatentSearch, Normalisation, normalised
from nassim.options import check_count, check_number
from nassim.records import Sources
from nassim.spaces import get_space

__all__ = ["XferNAS"]


class XferNAS(NAO):
    """NAO with a predictor that has learned from the other datasets.

    Without sources it is NAO with the same options.

    Parameters
    ----------
    source_steps
        Training steps on the sources.
    residual
        Whether datasets have a residual; without, the universal function is all there is.
    penalty
        Weight of the mean squared residual in the loss.
    initial, refit_every, steps, refit_steps, propose, top, step_size, normalise, alpha, hidden
        As of NAO. ``initial`` and ``steps`` count only without sources. ``normalise`` is done
        within each dataset.

    Raises
    ------
    InputError
        if an option is out of its range.
    """

    uses_sources = True
    quick_options: ClassVar[Mapping[str, object]] = {**NAO.quick_options, "source_steps": 2}

    def __init__(
        self,
        source_steps: int = 400,
        residual: bool = True,
        penalty: float = 1e-2,
        initial: int = 10,
        refit_every: int = 3,
        steps: int = 60,
        refit_steps: int = 15,
        propose: Literal["gradient", "rank"] = "gradient",
        top: int = 5,
        step_size: float = 10.0,
        normalise: Normalisation = "zscore",
        alpha: float = 0.8,
        hidden: int = 16,
    ) -> None:
        super().__init__(
            initial,
            refit_every,
            steps,
            refit_steps,
            propose,
            top,
            step_size,
            normalise,
            alpha,
            hidden,
        )
        self.source_steps = check_count("source_steps", source_steps)
        self.residual = residual
        self.penalty = check_number("penalty", penalty)
        self._fitted: _Fitted | None = None

    def fit(self, sources: Sources, seed: int) -> None:
        """Train encoder, decoder, universal function and residuals on the source datasets.

        Raises
        ------
        InputError
            if the sources are of several spaces, or of one without decisions.
        """
        self._fitted = None
        tasks = [task for task in sources.tasks if task.architectures]
        if not tasks:
            return
        spaces = sorted({a.space for task in tasks for a in task.architectures})
        if len(spaces) > 1:
            raise InputError(
                f"Source architectures are of spaces {', '.join(spaces)}; expected one space. "
                "Restrict the store to one with the option space."
            )
        strings = Strings.of(get_space(spaces[0]))
        parts = [
            Evaluations.of(
                strings.encode(task.architectures),
                normalised(task.values, self.normalise),
                dataset,
            )
            for dataset, task in enumerate(tasks, start=1)
        ]
        evaluations = Evaluations.joined(parts)
        rng = np.random.default_rng(seed)
        n_sources = len(tasks) if self.residual else 0
        network = EncoderPredictorDecoder(strings, self.hidden, rng, n_sources)
        with one_thread():
            train(
                network,
                evaluations,
                steps=self.source_steps,
                alpha=self.alpha,
                penalty=self.penalty,
                rng=rng,
            )
            with torch.no_grad():
                universal = network.score(network.code(network.encode(evaluations.tokens)))
        ranked = evaluations.tokens[universal.argsort(descending=True, stable=True)]
        first = np.unique(strings.decisions(ranked), axis=0, return_index=True)[1]
        starts = ranked[torch.from_numpy(np.sort(first)[: self.top])]
        self._fitted = _Fitted(network, evaluations, starts)

    def begin(self, candidates: Candidates, rng: np.random.Generator) -> Search:
        if self._fitted is None:
            return super().begin(candidates, rng)
        fitted = self._fitted
        check_space(candidates, fitted.network.strings.space.name)
        network = copy.deepcopy(fitted.network)
        return LatentSearch(self, candidates, network, rng, fitted.sources, fitted.starts)


@dataclass(frozen=True, eq=False)
class _Fitted:
    """What searches start from, and must not change."""

    network: EncoderPredictorDecoder
    sources: Evaluations
    starts: Tensor  # the strings that the universal function likes best, (top, steps, width)
