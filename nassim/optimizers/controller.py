"""The controller of REINFORCE, NAML and T-NAML: a policy over decisions, and its search.

The policy is an LSTM that makes one decision after the other (Zoph & Le 2017, arXiv 1611.01578),
told which task it works on (Wong et al. 2018, arXiv 1803.02780):

    log pi(a | t) = sum over k of log softmax(W_k LSTM(a_1 .. a_{k-1}, e_t) + v_k)[a_k]

*The exact pool policy (ours).* In a table, what a controller samples is hardly ever there. So the
policy is conditioned on the candidates C that are left: p(a) = pi(a) / (sum of pi over C), for
which the log-probability of each is computed by teacher forcing. Nothing is projected, what was
proposed has probability 0, and the gradient of log p is exact. Without a table, decisions are
sampled one after the other, and what was proposed before is drawn anew.

How to read this file: the network; the advantages; the search.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from nassim.errors import InputError
from nassim.networks.threads import one_thread
from nassim.optimizers.base import Candidates, Remaining, decisions_of, failed_as_worst
from nassim.options import check_count, check_number, check_share
from nassim.records import IntArray
from nassim.spaces.base import Space

__all__ = [
    "Controller",
    "Learning",
    "PolicySearch",
    "moving_statistics",
    "policy_loss",
]

TOKEN_WIDTH = 16  # of a decision's embedding
TASK_WIDTH = 8  # of a task's embedding
INIT_BOUND = 0.1  # all weights start uniform in [-0.1, 0.1]
CLIP_NORM = 5.0  # of the gradient
SCORE_DIGITS = 6  # log-probabilities are rounded, so that last bits change no proposal
PATIENCE = 1_000  # draws in a row that are illegal or were proposed: the policy has collapsed
CHUNK = 512  # architectures that are read at a time where no gradient is needed

Float64 = NDArray[np.float64]


# -- the network ---------------------------------------------------------------------------------


class Controller(nn.Module):
    """The policy. All parameters are float64 and drawn from ``rng``; nothing is global.

    Parameters
    ----------
    n_choices
        Values of each decision, as a space has them.
    n_tasks
        Tasks that have an embedding; 0: it is not told of tasks.
    width
        Units of the LSTM.

    >>> controller = Controller((3, 2), n_tasks=1, width=4, rng=np.random.default_rng(0))
    >>> every = torch.tensor([[a, b] for a in range(3) for b in range(2)])
    >>> round(controller(every, task=0).exp().sum().item(), 12)
    1.0
    """

    def __init__(
        self, n_choices: Sequence[int], n_tasks: int, width: int, rng: np.random.Generator
    ) -> None:
        super().__init__()
        self.n_tasks = n_tasks
        task_width = TASK_WIDTH if n_tasks else 0
        # Built without memory, then drawn: PyTorch's own initialisation is one global generator.
        with torch.device("meta"):
            self.tokens = nn.Embedding(1 + sum(n_choices), TOKEN_WIDTH)  # token 0: the start
            self.tasks = nn.Embedding(n_tasks, TASK_WIDTH) if n_tasks else None
            self.lstm = nn.LSTM(TOKEN_WIDTH + task_width, width, batch_first=True)
            self.weight = nn.Parameter(torch.empty(len(n_choices), max(n_choices), width))
            self.bias = nn.Parameter(torch.empty(len(n_choices), max(n_choices)))
        self.to_empty(device="cpu").double()
        choices = torch.tensor(n_choices)
        self.legal = torch.arange(max(n_choices)) < choices[:, None]  # (decisions, values)
        self.offsets = choices.cumsum(0) - choices + 1  # (decisions,), the token of value 0
        with torch.no_grad():
            for parameter in self.parameters():
                parameter.copy_(torch.from_numpy(_uniform(rng, tuple(parameter.shape))))

    def forward(self, decisions: Tensor, task: int = 0) -> Tensor:
        """log pi of decisions (n, decisions), by teacher forcing: (n,)."""
        tokens = decisions[:, :-1] + self.offsets[:-1]
        inputs = torch.cat([torch.zeros_like(decisions[:, :1]), tokens], 1)
        states, _ = self.lstm(self._read(inputs, task))
        logits = torch.einsum("ndw,dcw->ndc", states, self.weight) + self.bias
        each = logits.masked_fill(~self.legal, -torch.inf).log_softmax(2)
        chosen: Tensor = each.gather(2, decisions[:, :, None]).sum(dim=(1, 2))
        return chosen

    @torch.no_grad()
    def sample(self, rng: np.random.Generator, task: int = 0) -> tuple[tuple[int, ...], float]:
        """Decisions, drawn one after the other, and their log pi."""
        token = torch.zeros(1, 1, dtype=torch.long)
        state: tuple[Tensor, Tensor] | None = None
        decisions: list[int] = []
        log_probability = 0.0
        for place, legal in enumerate(self.legal.sum(dim=1).tolist()):
            hidden, state = self.lstm(self._read(token, task), state)
            logits = self.weight[place, :legal] @ hidden[0, 0] + self.bias[place, :legal]
            each = logits.log_softmax(0).numpy()
            choice = int(np.argmax(each.round(SCORE_DIGITS) + rng.gumbel(size=legal)))
            decisions.append(choice)
            log_probability += float(each[choice])
            token = (self.offsets[place] + choice).reshape(1, 1)
        return tuple(decisions), log_probability

    def with_new_task(self, rng: np.random.Generator) -> Self:
        """A copy that knows one task more, the last one, whose embedding is drawn anew."""
        other = copy.deepcopy(self)
        if other.tasks is not None:
            drawn = torch.from_numpy(_uniform(rng, (1, TASK_WIDTH)))
            weight = torch.cat([other.tasks.weight.detach(), drawn])
            other.n_tasks += 1
            other.tasks = nn.Embedding(len(weight), TASK_WIDTH, _weight=weight)
        return other

    def _read(self, tokens: Tensor, task: int) -> Tensor:
        """(n, steps, width of a step): the decision before, and the task."""
        read: Tensor = self.tokens(tokens)
        if self.tasks is None:
            return read
        embedding = self.tasks(torch.tensor(task)).expand(*read.shape[:2], -1)
        return torch.cat([read, embedding], 2)


def _uniform(rng: np.random.Generator, shape: tuple[int, ...]) -> Float64:
    return rng.uniform(-INIT_BOUND, INIT_BOUND, shape)


# -- the advantages ------------------------------------------------------------------------------


def moving_statistics(rewards: Float64, decay: float) -> tuple[float, float]:
    """Exponential moving mean and deviation of rewards (n,), the newest last, bias-corrected.

    After one reward, the mean is that reward:

    >>> moving_statistics(np.array([0.5]), decay=0.9)
    (0.5, 0.0)
    >>> moving_statistics(np.array([0.0, 1.0]), decay=0.5)  # weights 1/3 and 2/3
    (0.6666666666666666, 0.4714045207910317)
    """
    weights = decay ** np.arange(len(rewards))[::-1]
    weights = weights / weights.sum()
    mean = float(weights @ rewards)
    return mean, float(np.sqrt(weights @ (rewards - mean) ** 2))


def policy_loss(log_probability: Tensor, before: Tensor, advantages: Tensor, clip: float) -> Tensor:
    """PPO's loss of some proposals (n,): minus the mean of min(r A, clip(r) A), r = p / p before.

    Where a proposal was made with the present policy r is 1, and the gradient is REINFORCE's,
    that of -A log p:

    >>> log_p = torch.tensor([-1.0, -2.0], requires_grad=True)
    >>> policy_loss(log_p, log_p.detach(), torch.tensor([3.0, -1.0]), clip=0.2).backward()
    >>> log_p.grad
    tensor([-1.5000,  0.5000])
    """
    ratio = (log_probability - before).exp()
    clipped = ratio.clamp(1 - clip, 1 + clip)
    return -torch.minimum(ratio * advantages, clipped * advantages).mean()


# -- the search ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Learning:
    """How a search trains its controller.

    Parameters
    ----------
    learning_rate
        Of Adam.
    decay
        Of the moving average of rewards, which is the baseline.
    entropy
        Weight of the policy's entropy (over the candidates that are left).
    batch
        Newest runs that a step learns from.
    clip
        Of the ratio of probabilities.
    normalise
        Whether advantages are divided by the rewards' moving deviation.

    Raises
    ------
    InputError
        if one is out of its range.
    """

    learning_rate: float
    decay: float
    entropy: float
    batch: int
    clip: float
    normalise: bool

    def __post_init__(self) -> None:
        check_number("learning_rate", self.learning_rate, above=0)
        check_share("decay", self.decay)
        check_number("entropy", self.entropy)
        check_count("batch", self.batch)
        check_number("clip", self.clip, above=0, most=1)

    def advantages(self, rewards: Float64) -> Float64:
        """Of rewards (n,), the newest last: above the moving average, by its deviation.

        What failed (-inf) is as bad as the worst that was measured; if nothing was, or all
        rewards are equal, advantages are 0.
        """
        if not np.isfinite(rewards).any():
            return np.zeros(len(rewards))
        rewards = failed_as_worst(rewards)
        mean, deviation = moving_statistics(rewards, self.decay)
        if deviation <= 1e-9 * float(np.abs(rewards).max()):  # rounding, and no difference
            return np.zeros(len(rewards))
        return (rewards - mean) / (deviation if self.normalise else 1.0)


@dataclass(frozen=True, eq=False)
class _Proposal:
    decisions: tuple[int, ...]
    left: IntArray | None  # candidates among which it was drawn, itself included; None: the space
    log_probability: float  # with which it was drawn


class PolicySearch:
    """Draws candidates from a controller's policy and takes a gradient step before each ask.

    ``controller`` is trained in place: hand it a copy. ``notes`` has the number of steps and the
    last policy's entropy as a share of the highest possible (a table only).
    """

    listens = True

    def __init__(
        self,
        candidates: Candidates,
        rng: np.random.Generator,
        controller: Controller,
        task: int,
        learning: Learning,
    ) -> None:
        self.controller = controller
        self.notes: dict[str, float] = {"policy_steps": 0.0}
        self._candidates = candidates
        self._remaining = Remaining(candidates)
        self._rng = rng
        self._task = task
        self._learning = learning
        self._adam = torch.optim.Adam(controller.parameters(), lr=learning.learning_rate)
        self._proposals: dict[int, _Proposal] = {}  # in the order in which they were made
        self._rewards: dict[int, float] = {}
        self._is_news = False
        self._table: Tensor | None = None
        if candidates.space is None and len(candidates):
            self._table = torch.from_numpy(decisions_of(candidates.architectures))

    def ask(self, count: int) -> list[int]:
        with one_thread():
            if self._is_news:
                self._learn()
            if self._candidates.space is not None:
                return self._sample(self._candidates.space, count)
            return self._draw(count)

    def tell(self, run: int, epoch: int, value: float) -> None:
        self._rewards[run] = value
        self._is_news = True

    def _draw(self, count: int) -> list[int]:
        """Without replacement from the pool policy: its highest scores plus Gumbel noise."""
        left = self._remaining.numbers
        if self._table is None or not len(left) or count < 1:
            return []
        with torch.inference_mode():
            parts = torch.split(self._table[left], CHUNK)
            scores = torch.cat([self.controller(part, self._task) for part in parts]).numpy()
        log_pool = (scores - np.logaddexp.reduce(scores)).round(SCORE_DIGITS)
        if len(left) > 1:
            entropy = -float(np.exp(log_pool) @ log_pool)
            self.notes["policy_entropy"] = entropy / float(np.log(len(left)))
        order = np.argsort(-(log_pool + self._rng.gumbel(size=len(left))), kind="stable")[:count]
        asked: list[int] = left[order].tolist()
        for number, place in zip(asked, order.tolist(), strict=True):
            pool = self._remaining.numbers
            log_sum = np.logaddexp.reduce(scores[np.isin(left, pool)])
            decisions = self._candidates[number].decisions
            self._proposals[number] = _Proposal(decisions, pool, float(scores[place] - log_sum))
            self._remaining.take(number)
        return asked

    def _sample(self, space: Space, count: int) -> list[int]:
        """Decision by decision; what was proposed before, or is illegal, is drawn anew."""
        asked: list[int] = []
        misses = 0
        while len(asked) < count and misses < PATIENCE:
            decisions, log_probability = self.controller.sample(self._rng, self._task)
            try:
                found = self._remaining.nearest(space.architecture(decisions))
            except InputError:  # such as too many edges
                found = None
            if found is None:
                misses += 1
                continue
            number, _ = found
            self._remaining.take(number)
            self._proposals[number] = _Proposal(decisions, None, log_probability)
            asked.append(number)
            misses = 0
        return asked

    def _learn(self) -> None:
        """One step on the newest runs, with what they are worth by now."""
        self._is_news = False
        told = [number for number in self._proposals if number in self._rewards]
        rewards = np.array([self._rewards[number] for number in told])
        newest = slice(-self._learning.batch, None)
        advantages = self._learning.advantages(rewards)[newest]
        if not advantages.any():
            return
        proposals = [self._proposals[number] for number in told[newest]]
        log_probability, entropy = self._log_probability(told[newest], proposals)
        before = torch.tensor([proposal.log_probability for proposal in proposals]).double()
        loss = policy_loss(
            log_probability, before, torch.from_numpy(advantages), self._learning.clip
        )
        self._adam.zero_grad()
        (loss - self._learning.entropy * entropy).backward()
        nn.utils.clip_grad_norm_(self.controller.parameters(), CLIP_NORM)
        self._adam.step()
        self.notes["policy_steps"] += 1

    def _log_probability(
        self, numbers: Sequence[int], proposals: Sequence[_Proposal]
    ) -> tuple[Tensor, Tensor]:
        """Of each proposal (n,) under the present policy, and the entropy of that policy.

        Without a table, the entropy is a term whose gradient is an estimate of the entropy's.
        """
        if self._table is None:
            made = torch.tensor([proposal.decisions for proposal in proposals])
            scores = self.controller(made, self._task)
            return scores, -(scores.detach() * scores).mean()
        scores = self.controller(self._table, self._task)
        left = torch.zeros(len(proposals), len(scores), dtype=torch.bool)
        for row, proposal in enumerate(proposals):
            left[row, proposal.left] = True
        pools = scores.expand_as(left).masked_fill(~left, -torch.inf).log_softmax(1)
        log_pool = scores[self._remaining.numbers].log_softmax(0)
        entropy = -(log_pool.exp() * log_pool).sum()
        return pools[torch.arange(len(numbers)), torch.tensor(numbers)], entropy
