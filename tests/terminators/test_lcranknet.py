"""LCRankNet: known answers, what it must not see, and what it must learn from a planted store."""

from __future__ import annotations

import copy
import dataclasses
import functools
import math
import os
import subprocess
import sys

import numpy as np
import pytest
import torch
from scipy.stats import spearmanr

from nassim.checks.planted import planted_tasks
from nassim.checks.recording import FixedOrder, Recorder
from nassim.checks.worlds import small_world
from nassim.encodings import PADDING, UNKNOWN, TokenEncoder
from nassim.errors import InputError
from nassim.records import (
    ACCURACY,
    Dataset,
    FloatArray,
    Incumbent,
    Metric,
    Prefixes,
    Sources,
    SourceTask,
)
from nassim.simulator import simulate
from nassim.spaces import get_space
from nassim.terminators import lcranknet
from nassim.terminators.base import Estimator
from nassim.terminators.lcranknet import LCRankNet, pair_loss

PERPLEXITY = Metric("perplexity", higher_is_better=False, bounds=(0.0, math.inf))
EPOCHS = 12


@functools.cache
def small() -> tuple[SourceTask, ...]:
    return planted_tasks(n_datasets=3, n=40, epochs=EPOCHS)


@functools.cache
def fitted(steps: int = 25, **options: object) -> LCRankNet:
    """Fitted on all but the last of the small datasets; remembered, so do not change it."""
    estimator = LCRankNet(steps=steps, **options)  # type: ignore[arg-type]
    estimator.fit(Sources(small()[:-1]), seed=0)
    return estimator


def cut(task: SourceTask, epoch: int, rows: slice | list[int] = slice(None)) -> Prefixes:
    chosen = np.arange(len(task.architectures))[rows]
    return Prefixes(
        tuple(task.architectures[i] for i in chosen),
        task.curves[chosen, :epoch],
        task.n_params[chosen],
        task.flops[chosen],
        task.curves.shape[1],
    )


def target(epoch: int, rows: slice | list[int] = slice(None)) -> Prefixes:
    return cut(small()[-1], epoch, rows)


# -- the rule and the loss -----------------------------------------------------------------------


def test_equal_scores_are_a_toss_up() -> None:
    p = LCRankNet().probability(np.array([0.7]), Incumbent(0.9, np.array([0.7])))
    assert p.tolist() == [0.5]


def test_either_of_two_runs_is_better() -> None:
    scores = np.linspace(-60, 60, 31)
    for score in scores:
        ahead = LCRankNet().probability(scores, Incumbent(0.9, np.array([score])))
        behind = [
            LCRankNet().probability(np.array([score]), Incumbent(0.9, np.array([other])))[0]
            for other in scores
        ]
        assert np.allclose(ahead + behind, 1, atol=1e-15)
        assert ((ahead >= 0) & (ahead <= 1)).all()


def test_adding_a_constant_changes_nothing() -> None:
    rng = np.random.default_rng(0)
    scores, values = torch.from_numpy(rng.normal(size=9)), torch.from_numpy(rng.normal(size=9))
    assert pair_loss(scores + 3, values).item() == pytest.approx(pair_loss(scores, values).item())
    estimator, numbers = LCRankNet(), scores.numpy()
    before = estimator.probability(numbers, Incumbent(0.9, numbers[:1]))
    after = estimator.probability(numbers + 3, Incumbent(0.9, numbers[:1] + 3))
    assert np.allclose(before, after)
    assert ((before <= 0.45) == (after <= 0.45)).all()


def test_loss_of_equal_scores_is_ln_2() -> None:
    values = torch.tensor([0.1, 0.5, 0.5, 0.9], dtype=torch.float64)
    assert pair_loss(torch.zeros(4, dtype=torch.float64), values).item() == pytest.approx(0.693147)


def test_loss_of_two_runs_by_hand() -> None:
    scores = torch.tensor([1.0, 0.0], dtype=torch.float64)
    better, worse = torch.tensor([0.9, 0.1]), torch.tensor([0.1, 0.9])
    assert pair_loss(scores, better).item() == pytest.approx(math.log(1 + math.exp(-1)))
    assert pair_loss(scores, worse).item() == pytest.approx(math.log(1 + math.exp(1)))


@pytest.mark.parametrize(("second", "still"), [(0.5, True), (0.4, False)])
def test_a_tie_pulls_equal_scores_nowhere(second: float, still: bool) -> None:
    scores = torch.zeros(2, dtype=torch.float64, requires_grad=True)
    pair_loss(scores, torch.tensor([0.5, second])).backward()
    assert scores.grad is not None
    assert (scores.grad.abs().max().item() < 1e-12) is still


# -- what the scores depend on -------------------------------------------------------------------


@pytest.mark.parametrize("fusion", ["additive", "concat"])
@pytest.mark.parametrize("epoch", [0, 1, 2, 3, 4, 5, EPOCHS - 1])
def test_there_is_a_score_after_any_epoch(fusion: str, epoch: int) -> None:
    scores = fitted(fusion=fusion).estimate(target(epoch))
    assert scores.shape == (40,)
    assert np.isfinite(scores).all()
    assert len(np.unique(scores)) > 20


@pytest.mark.parametrize("epoch", [0, 1, 2, 3, 4, 5])
def test_a_convolution_longer_than_the_curve_is_skipped(epoch: int) -> None:
    prefixes = target(epoch)
    for number, kernel in enumerate(lcranknet.KERNELS):
        estimator = LCRankNet(steps=1)
        estimator.fit(Sources(small()[:-1]), seed=0)
        before = estimator.estimate(prefixes)
        assert estimator._fitted is not None
        with torch.no_grad():
            estimator._fitted[1][0].convolutions[number].weight.add_(1.0)  # type: ignore[operator, union-attr]
        changed = bool((estimator.estimate(prefixes) != before).any())
        assert changed is (kernel <= epoch), f"kernel {kernel} after {epoch} epochs"


@pytest.mark.parametrize("fusion", ["additive", "concat"])
@pytest.mark.parametrize("epoch", [0, 1, 7])
def test_a_run_alone_scores_as_in_a_batch(fusion: str, epoch: int) -> None:
    estimator = fitted(fusion=fusion)
    together = estimator.estimate(target(epoch))
    alone = np.concatenate([estimator.estimate(target(epoch, [k])) for k in range(40)])
    assert alone.tobytes() == together.tobytes()


def test_permuting_runs_permutes_scores() -> None:
    order = np.random.default_rng(0).permutation(40).tolist()
    estimator = fitted()
    assert (estimator.estimate(target(4, order)) == estimator.estimate(target(4))[order]).all()


def test_more_runs_than_are_scored_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    before = fitted().estimate(target(4))
    monkeypatch.setattr(lcranknet, "CHUNK", 7)
    assert (fitted().estimate(target(4)) == before).all()


def test_the_future_changes_nothing() -> None:
    task = small()[-1]
    noise = np.random.default_rng(0).random((40, EPOCHS)).astype(np.float32)
    for epoch in (0, 1, 3, 8):
        scrambled = np.where(np.arange(EPOCHS) < epoch, task.curves, noise)
        other = dataclasses.replace(task, curves=scrambled, values=noise.max(axis=1))
        assert (fitted().estimate(cut(other, epoch)) == fitted().estimate(target(epoch))).all()
    assert (fitted().estimate(cut(other, 12)) != fitted().estimate(target(12))).any()


def test_swapping_the_halves_of_blocks_changes_nothing() -> None:
    prefixes = target(0)
    swapped = tuple(
        get_space("nasnet").architecture(
            tuple(int(d) for d in np.array(a.decisions).reshape(-1, 2, 2)[:, ::-1].ravel())
        )
        for a in prefixes.architectures
    )
    assert swapped != prefixes.architectures
    other = dataclasses.replace(prefixes, architectures=swapped)
    assert (fitted().estimate(other) == fitted().estimate(prefixes)).all()


def test_switches_take_away_what_they_name() -> None:
    prefixes = target(6)
    otherwise_trained = dataclasses.replace(prefixes, curves=prefixes.curves[::-1])
    otherwise_built = dataclasses.replace(
        prefixes, architectures=prefixes.architectures[::-1], n_params=prefixes.n_params[::-1]
    )
    for options, curve_counts, architecture_counts in (
        ({}, True, True),
        ({"curve": False}, False, True),
        ({"architecture": False}, True, False),
    ):
        estimator = fitted(**options)
        before = estimator.estimate(prefixes)
        assert bool((estimator.estimate(otherwise_trained) != before).any()) is curve_counts
        assert bool((estimator.estimate(otherwise_built) != before).any()) is architecture_counts


@pytest.mark.parametrize("fusion", ["additive", "concat"])
def test_a_residual_ranks_by_the_values_where_the_heads_say_nothing(fusion: str) -> None:
    prefixes = target(6)
    with_values, without = (
        copy.deepcopy(fitted(fusion=fusion, residual=residual)) for residual in (True, False)
    )
    for estimator in (with_values, without):
        assert estimator._fitted is not None
        for name, parameter in estimator._fitted[1][0].named_parameters():
            if "head.2" in name:
                parameter.data.zero_()
    assert len(np.unique(without.estimate(prefixes))) == 1
    scores = with_values.estimate(prefixes)
    better = np.triu(
        (prefixes.curves[:, None, -1] > prefixes.curves[None, :, -1])
        & (prefixes.curves.max(axis=1)[:, None] >= prefixes.curves.max(axis=1)[None, :])
    )
    assert better.sum() > 100
    assert (scores[:, None] >= scores[None, :])[better].all()
    before = with_values.estimate(target(0))
    assert len(np.unique(before)) == 1  # there are no values yet


@pytest.mark.parametrize("fusion", ["additive", "concat"])
@pytest.mark.parametrize("dataset_embedding", [True, False])
def test_the_target_s_dataset_embedding_is_never_trained(
    monkeypatch: pytest.MonkeyPatch, fusion: str, dataset_embedding: bool
) -> None:
    gradients = []
    step = torch.optim.AdamW.step

    def watched(self: torch.optim.AdamW) -> None:
        (embedding,) = (
            p for p in self.param_groups[0]["params"] if p.shape == (3, lcranknet.DATASET_WIDTH)
        )
        gradients.append(torch.zeros(3, 4) if embedding.grad is None else embedding.grad.clone())
        step(self)

    monkeypatch.setattr(torch.optim.AdamW, "step", watched)
    estimator = LCRankNet(steps=15, fusion=fusion, dataset_embedding=dataset_embedding)  # type: ignore[arg-type]
    estimator.fit(Sources(small()[:-1]), seed=0)
    seen = torch.stack(gradients).abs().sum(dim=(0, 2))
    assert seen[0] == 0
    assert bool((seen[1:] > 0).all()) is dataset_embedding
    assert estimator._fitted is not None
    assert (estimator._fitted[1][0].datasets.weight[0] == 0).all()


def test_each_length_may_have_a_network_of_its_own() -> None:
    estimator = fitted(steps=3, lengths="each")
    assert estimator._fitted is not None
    inputs, networks = estimator._fitted
    assert list(networks) == [0, 1, 2, 3, 5, 8]  # of curves of 12 epochs, cut before their end
    for epoch, length in ((0, 0), (3, 3), (4, 3), (11, 8)):
        alone = LCRankNet(steps=3)
        alone._fitted = inputs, {0: networks[length]}
        assert (alone.estimate(target(epoch)) == estimator.estimate(target(epoch))).all(), epoch


def test_a_network_of_one_length_learns_from_the_datasets_that_have_it() -> None:
    first, second = small()[:2]
    shorter = dataclasses.replace(second, curves=second.curves[:, :3], lengths=np.full(40, 3))
    estimator = LCRankNet(steps=2, lengths="each", architecture=False)
    estimator.fit(Sources((first, shorter)), seed=0)
    assert estimator._fitted is not None
    sizes = {length: len(net.datasets.weight) - 1 for length, net in estimator._fitted[1].items()}
    assert sizes == {1: 2, 2: 2, 3: 1, 5: 1, 8: 1}
    assert np.isfinite(estimator.estimate(target(EPOCHS))).all()


@pytest.mark.parametrize("token_dropout", [0.0, 0.3])
def test_token_dropout_trains_what_reads_unknown_words(token_dropout: float) -> None:
    """Weight decay shrinks each embedding alike; only a gradient turns it."""
    tokens = [
        embedding.weight[UNKNOWN].detach().numpy()
        for steps in (1, 30)
        for estimator in [fitted(steps=steps, token_dropout=token_dropout)]
        if estimator._fitted is not None
        for embedding in estimator._fitted[1][0].tokens
    ]
    before, after = (
        np.concatenate(tokens[: len(tokens) // 2]),
        np.concatenate(tokens[len(tokens) // 2 :]),
    )
    cosine = before @ after / np.sqrt((before @ before) * (after @ after))
    assert bool(cosine > 1 - 1e-12) is (token_dropout == 0)


def test_a_dropped_token_is_unknown_and_padding_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[torch.Tensor] = []
    forward = lcranknet._Network.architecture

    def watched(
        self: lcranknet._Network, tokens: torch.Tensor, *rest: torch.Tensor | None
    ) -> torch.Tensor:
        seen.append(tokens)
        return forward(self, tokens, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(lcranknet._Network, "architecture", watched)
    sources = Sources(tuple(table_task(name, seed) for seed, name in enumerate("abc")))
    LCRankNet(steps=20, curve=False, token_dropout=0.25).fit(sources, seed=0)
    tokens = torch.stack([part for part in seen if len(part) == 30])
    known = tokens != PADDING
    encoded = TokenEncoder.fit([a for task in sources.tasks for a in task.architectures])
    padding = [(encoded.encode(task.architectures) == PADDING).sum() for task in sources.tasks]
    assert {int(part.eq(PADDING).sum()) for part in seen} <= set(padding)
    assert (tokens[known] == UNKNOWN).double().mean().item() == pytest.approx(0.25, abs=0.02)


# -- the same numbers everywhere -----------------------------------------------------------------


def scores_of(estimator: LCRankNet) -> bytes:
    return b"".join(estimator.estimate(target(epoch)).tobytes() for epoch in (0, 1, 7))


def test_the_same_seed_gives_the_same_scores() -> None:
    again, other = LCRankNet(steps=25), LCRankNet(steps=25)
    again.fit(Sources(small()[:-1]), seed=0)
    other.fit(Sources(small()[:-1]), seed=1)
    assert scores_of(fitted()) == scores_of(again) != scores_of(other)


def test_neither_threads_nor_the_global_generator_matter() -> None:
    threads, state = torch.get_num_threads(), torch.get_rng_state()
    try:
        torch.set_num_threads(2)
        torch.manual_seed(7)
        before = torch.get_rng_state()
        estimator = LCRankNet(steps=25)
        estimator.fit(Sources(small()[:-1]), seed=0)
        scores = scores_of(estimator)
        assert torch.get_num_threads() == 2
        assert (torch.get_rng_state() == before).all()
    finally:
        torch.set_num_threads(threads)
        torch.set_rng_state(state)
    assert scores == scores_of(fitted())


_ELSEWHERE = """
import sys
import numpy as np
import torch
from nassim.checks.planted import planted_tasks
from nassim.records import Prefixes, Sources
from nassim.terminators.lcranknet import LCRankNet

tasks = planted_tasks(n_datasets=3, n=40, epochs=12)
estimator = LCRankNet(steps=60)
estimator.fit(Sources(tasks[:-1]), seed=0)
t = tasks[-1]
scores = [
    estimator.estimate(Prefixes(t.architectures, t.curves[:, :l], t.n_params, t.flops, 12))
    for l in (0, 1, 7)
]
sys.stdout.buffer.write(np.stack(scores).tobytes())
"""


def scores_elsewhere(instructions: str) -> FloatArray:
    """Scores of a process that may use only some of the processor's instructions."""
    environment = {**os.environ, "ATEN_CPU_CAPABILITY": instructions, "OMP_NUM_THREADS": "1"}
    if instructions == "default":
        environment["MKL_CBWR"] = "COMPATIBLE"
    done = subprocess.run(
        [sys.executable, "-c", _ELSEWHERE], env=environment, capture_output=True, check=True
    )
    return np.frombuffer(done.stdout).reshape(3, 40)


@pytest.mark.slow
def test_older_processors_decide_alike() -> None:
    plain, fast = scores_elsewhere("default"), scores_elsewhere("avx2")
    assert np.abs(plain - fast).max() <= 1e-6
    rule = LCRankNet()
    for delta in (0.05, 0.2, 0.45):
        for one, other in zip(plain, fast, strict=True):
            for incumbent in range(40):
                stops = [
                    rule.probability(each, Incumbent(0.9, each[incumbent])) <= delta
                    for each in (one, other)
                ]
                assert (stops[0] == stops[1]).all()


# -- what tables contain and examples do not -----------------------------------------------------


def test_what_was_never_measured_has_no_score() -> None:
    prefixes = target(3)
    curves = prefixes.curves.copy()
    curves[0], curves[1, 1:], curves[2, :2], curves[3] = np.nan, np.nan, -np.inf, -np.inf
    scores = fitted().estimate(dataclasses.replace(prefixes, curves=curves))
    assert np.isnan(scores).tolist() == [True, False, False, True] + [False] * 36
    carried = prefixes.curves.copy()
    carried[1, 1:] = carried[1, 0]
    same = fitted().estimate(dataclasses.replace(prefixes, curves=carried))
    assert scores[1] == same[1]
    p = LCRankNet().probability(scores, Incumbent(0.9, scores[1:2]))
    assert np.isnan(p[0])
    assert not p[0] <= 0.45  # so the run goes on


def test_failed_runs_and_short_curves_are_learned_from() -> None:
    first, second = small()[:2]
    curves, values, lengths = first.curves.copy(), first.values.copy(), first.lengths.copy()
    curves[:5, 4:], lengths[:5], values[:4], values[4] = np.nan, 4, 0.1, -np.inf
    curves[5], lengths[5], values[5] = np.nan, 0, np.nan
    broken = dataclasses.replace(
        first, curves=curves, lengths=lengths, values=values, failed=np.arange(40) < 6
    )
    shorter = dataclasses.replace(
        second, curves=second.curves[:, :3], lengths=np.full(40, 3), flops=second.n_params * 2
    )
    estimator = LCRankNet(steps=10)
    estimator.fit(Sources((broken, shorter)), seed=0)
    for epoch in (0, 3, EPOCHS):  # longer than the second source's curves
        assert np.isfinite(estimator.estimate(target(epoch))).all()


@pytest.mark.parametrize("sign", [1, -1])
def test_a_metric_without_an_upper_bound(sign: int) -> None:
    metric = dataclasses.replace(PERPLEXITY, higher_is_better=sign > 0)
    tasks = [
        dataclasses.replace(t, curves=sign * 10 / t.curves, values=sign * 10 / t.values)
        for t in small()
    ]
    estimator = LCRankNet(steps=10)
    estimator.fit(Sources(tuple(tasks[:-1]), metric), seed=0)
    prefixes = dataclasses.replace(cut(tasks[-1], 5), metric=metric)
    curves = prefixes.curves.copy()
    curves[0, :-1] = -np.inf
    scores = estimator.estimate(dataclasses.replace(prefixes, curves=curves))
    assert np.isfinite(scores).all()
    assert len(np.unique(scores)) > 20


def test_perplexity_is_read_as_the_negative_logarithm() -> None:
    curves = -np.array([[100.0, 10.0, 1.0]])
    read = lcranknet._unbounded(curves, PERPLEXITY)
    assert read[0].tolist() == pytest.approx([-math.log(100), -math.log(10), 0])


def test_accuracy_is_read_as_its_logit() -> None:
    read = lcranknet._unbounded(np.array([[0.5, 0.75, 0.0, 1.0, -np.inf]]), ACCURACY)[0]
    assert read[:2].tolist() == pytest.approx([0, math.log(3)])
    assert read[2] == read[4] == pytest.approx(-read[3])
    error = Metric("error", higher_is_better=False)
    read = lcranknet._unbounded(-np.array([[0.5, 0.25]]), error)[0]
    assert read.tolist() == pytest.approx([0, math.log(3)])


def table_task(name: str, seed: int) -> SourceTask:
    """Architectures that are texts: the wider and the deeper, the better."""
    rng, n = np.random.default_rng(seed), 30
    widths, depths = rng.choice([16, 32, 64, 128], n), rng.integers(1, 6, n)
    texts = [
        "[" + ", ".join([f"C({w},3,1)"] * d + ["SM(10)"]) + f"] lr={rng.uniform(0.001, 0.1):.4f}"
        for w, d in zip(widths, depths, strict=True)
    ]
    values = (0.5 + 0.02 * np.log2(widths) + 0.04 * depths).astype(np.float32)
    return SourceTask(
        Dataset(name, name),
        tuple(get_space("table").parse(text) for text in texts),
        np.zeros(n, np.int64),
        values[:, None] * np.linspace(0.5, 1, 8, dtype=np.float32),
        np.full(n, 8),
        values,
        np.zeros(n, bool),
        np.ones((n, 8), np.float32),
        np.zeros(n, np.int64),
        np.zeros(n, np.int64),
    )


def test_architectures_may_be_texts_of_any_length() -> None:
    sources = tuple(table_task(name, seed) for seed, name in enumerate("abc"))
    estimator = LCRankNet(steps=60)
    estimator.fit(Sources(sources), seed=0)
    unseen = table_task("t", 9)
    scores = estimator.estimate(cut(unseen, 0))
    assert spearmanr(scores, unseen.values)[0] > 0.6


# -- what is refused -----------------------------------------------------------------------------


# -- without transfer ----------------------------------------------------------------------------


def test_without_transfer_it_learns_from_completed_runs_and_again_when_they_double() -> None:
    known: list[int] = []

    class Watched(LCRankNet):
        def trained_on(self, completed: Sources) -> Estimator:
            (task,) = completed.tasks
            assert (task.lengths == 27).all()
            known.append(len(task.values))
            return super().trained_on(completed)

    world = small_world()
    for delta, expected in ((0.0, [4, 8, 16]), (0.48, [4])):
        known.clear()
        estimator = Watched(steps=20, transfer=False, curves=4, delta=delta)
        estimator.fit(world.sources, seed=0)
        recorder, order = Recorder(estimator), FixedOrder(range(24))
        episode = simulate(world.replay(), order, recorder, np.random.default_rng(0))
        stopped = [event.runs[0] for event in recorder.events if event.what == "STOP"]
        assert min(stopped, default=24) >= 4
        assert bool(stopped) is (delta > 0)
        assert episode.completed[:4] == (0, 1, 2, 3)
        assert known[:3] == expected


def test_without_transfer_sources_change_nothing_but_the_seed_does() -> None:
    def scores(sources: Sources, seed: int) -> bytes:
        estimator = LCRankNet(steps=5, transfer=False)
        estimator.fit(sources, seed)
        assert np.isnan(estimator.estimate(target(3))).all()  # nothing was paid for yet
        learned = estimator.trained_on(Sources(small()[-1:]))
        assert np.isnan(estimator.estimate(target(3))).all()  # and it stays as it is
        return learned.estimate(target(3)).tobytes()

    with_sources = scores(Sources(small()[:-1]), 0)
    assert with_sources == scores(Sources(()), 0) != scores(Sources(()), 1)
    assert not LCRankNet(transfer=False).uses_sources
    assert LCRankNet().uses_sources
    assert fitted().trained_on(Sources(small()[-1:])) is fitted()


def test_without_transfer_it_ranks_what_it_did_not_see() -> None:
    task = small()[-1]
    rows = np.arange(40) < 25
    half = dataclasses.replace(
        task,
        architectures=task.architectures[:25],
        **{
            name: getattr(task, name)[rows]
            for name in ("seeds", "curves", "lengths", "values", "failed", "seconds")
        },
        n_params=task.n_params[rows],
        flops=task.flops[rows],
    )
    learned = LCRankNet(steps=60, transfer=False).trained_on(Sources((half,)))
    scores = learned.estimate(target(8, slice(25, None)))
    assert spearmanr(scores, task.values[25:])[0] > 0.5
    other = dataclasses.replace(half, values=-half.values)
    turned = LCRankNet(steps=60, transfer=False).trained_on(Sources((other,)))
    assert spearmanr(turned.estimate(target(8, slice(25, None))), task.values[25:])[0] < 0


def test_without_sources_there_is_nothing_to_learn() -> None:
    with pytest.raises(InputError, match=r"given no source dataset.*at least two datasets"):
        LCRankNet().fit(Sources(()), seed=0)
    with pytest.raises(InputError, match="must be fitted"):
        LCRankNet().estimate(target(0))


def test_another_space_or_metric_is_refused() -> None:
    text = get_space("table").parse("a")
    other = dataclasses.replace(target(0, [0]), architectures=(text,))
    with pytest.raises(InputError, match="space 'table'; expected 'nasnet'"):
        fitted().estimate(other)
    with pytest.raises(InputError, match=r"Curves measure perplexity; .* of accuracy"):
        fitted().estimate(dataclasses.replace(target(0), metric=PERPLEXITY))
    mixed = (*small()[:1], table_task("t", 0))
    with pytest.raises(InputError, match="of spaces nasnet, table; expected one space"):
        LCRankNet().fit(Sources(mixed), seed=0)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"delta": 1.5}, "Option delta is 1.5"),
        ({"alpha": -1}, "Option alpha is -1"),
        ({"steps": 0}, "Option steps is 0"),
        ({"fusion": "late"}, "Option fusion is 'late'; expected 'additive' or 'concat'"),
        ({"loss": "mse"}, "Option loss is 'mse'; expected 'pairwise' or 'pointwise'"),
        ({"architecture": False, "curve": False}, "are both false"),
        ({"lengths": 3}, "Option lengths is 3; expected 'one' or 'each'"),
        ({"lengths": "each", "curve": False}, "leave lengths=each out"),
        ({"residual": True, "curve": False}, "leave residual=true out"),
        ({"token_dropout": 2}, "Option token_dropout is 2"),
        ({"architecture": False, "at_zero": True}, "knows nothing before the first epoch"),
    ],
)
def test_options_out_of_range_are_refused(options: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        LCRankNet(**options)  # type: ignore[arg-type]


# -- what it learns ------------------------------------------------------------------------------


def shuffled(tasks: tuple[SourceTask, ...]) -> tuple[SourceTask, ...]:
    """The negative twin: on every source, qualities belong to other runs."""
    rng = np.random.default_rng(0)
    return tuple(dataclasses.replace(t, values=rng.permutation(t.values)) for t in tasks)


def rank_correlations(
    estimator: LCRankNet, sources: tuple[SourceTask, ...], unseen: SourceTask, epochs: list[int]
) -> list[float]:
    estimator.fit(Sources(sources), seed=0)
    return [float(spearmanr(estimator.estimate(cut(unseen, e)), unseen.values)[0]) for e in epochs]


@pytest.mark.parametrize(("loss", "alpha"), [("pairwise", 1.0), ("pointwise", 0.8)])
def test_it_learns_what_datasets_have_in_common(loss: str, alpha: float) -> None:
    """Two folds and few steps: only what any working version reaches, and a shuffled one not."""
    tasks = planted_tasks(epochs=21)
    found: dict[bool, list[list[float]]] = {True: [], False: []}
    for fold in (0, 1):
        sources = tasks[:fold] + tasks[fold + 1 :]
        for honest in found:
            estimator = LCRankNet(steps=200, loss=loss, alpha=alpha)  # type: ignore[arg-type]
            given = sources if honest else shuffled(sources)
            found[honest].append(rank_correlations(estimator, given, tasks[fold], [0, 20]))
    honest, twin = (np.mean(found[key], axis=0) for key in (True, False))
    assert (honest > [0.2, 0.7]).all(), honest
    assert not (twin > [0.2, 0.7]).any(), twin


@pytest.mark.slow
def test_it_is_as_good_as_measured() -> None:
    """Two folds of each of three planted stores, at the thresholds of the method's card."""
    epochs, found, last = [0, 1, 10], [], []
    for store in range(3):
        tasks = planted_tasks(seed=store)
        for fold, unseen in enumerate(tasks[:2]):
            sources = tasks[:fold] + tasks[fold + 1 :]
            found.append(rank_correlations(LCRankNet(), sources, unseen, epochs))
            ends = [unseen.curves[:, max(epoch - 1, 0)] for epoch in epochs]
            last.append([float(spearmanr(end, unseen.values)[0]) for end in ends])
    zero, one, ten = np.mean(found, axis=0)
    _, last_one, last_ten = np.mean(last, axis=0)
    assert zero >= 0.50
    assert one >= last_one + 0.20
    assert ten >= last_ten - 0.02
