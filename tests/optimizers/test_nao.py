"""NAO: its network, its targets, and what a search does with them."""

from __future__ import annotations

import functools
import math

import numpy as np
import pytest
import torch

from nassim.checks.planted import planted_tasks
from nassim.errors import InputError
from nassim.optimizers.base import Candidates
from nassim.optimizers.epd import EncoderPredictorDecoder, Evaluations, Strings, train
from nassim.optimizers.nao import NAO, LatentSearch, normalised
from nassim.records import FloatArray, SourceTask
from nassim.spaces import get_space
from nassim.spaces.base import Space

LEGAL_SPACES = ("nasnet", "nasbench201", "nasbench201_3nodes", "feedforward")
QUICK = {"steps": 15, "refit_steps": 3, "refit_every": 4, "hidden": 8}


@functools.cache
def task(seed: int = 0) -> SourceTask:
    return planted_tasks(n_datasets=1, n=200, epochs=2, seed=seed)[0]


@functools.cache
def trained(
    n: int = 100, steps: int = 100, hidden: int = 16, seed: int = 0, shuffled: bool = False
) -> EncoderPredictorDecoder:
    """Trained on the first ``n`` of a planted dataset; remembered, so do not change it."""
    rng = np.random.default_rng(seed)
    values = task(seed).values[:n]
    if shuffled:
        values = rng.permutation(values)
    strings = Strings.of(get_space("nasnet"))
    network = EncoderPredictorDecoder(strings, hidden, rng)
    tokens = strings.encode(task(seed).architectures[:n])
    own = Evaluations.of(tokens, normalised(values, "minmax"))
    train(network, own, steps=steps, alpha=0.8, rng=rng)
    return network.requires_grad_(False)


def scores(network: EncoderPredictorDecoder, tokens: torch.Tensor) -> FloatArray:
    found: FloatArray = network.score(network.code(network.encode(tokens))).numpy()
    return found


def begun(candidates: Candidates, seed: int = 0, **options: object) -> LatentSearch:
    search = NAO(**{**QUICK, **options}).begin(candidates, np.random.default_rng(seed))  # type: ignore[arg-type]
    assert isinstance(search, LatentSearch)
    return search


def searched(values: FloatArray, count: int = 30, seed: int = 0, **options: object) -> list[int]:
    """The candidates of a search on the planted table, which is told these values."""
    search = begun(Candidates(task().architectures), seed, **options)
    asked = []
    for _ in range(count):
        (candidate,) = search.ask(1)
        search.tell(candidate, 2, float(values[candidate]))
        asked.append(candidate)
    return asked


# -- strings and the decoder ---------------------------------------------------------------------


@pytest.mark.parametrize("name", [*LEGAL_SPACES, "nasbench101"])
def test_strings_can_be_read_back(name: str) -> None:
    space, rng = get_space(name), np.random.default_rng(0)
    drawn = [space.sample(rng) for _ in range(50)]
    strings = Strings.of(space)
    tokens = strings.encode(drawn)
    assert [tuple(row) for row in strings.decisions(tokens).tolist()] == [
        a.decisions for a in drawn
    ]
    for k, legal in enumerate(strings.legal):
        assert legal[np.arange(len(legal)), tokens[..., k].numpy()].all()
    assert sum(int(legal.sum()) for legal in strings.legal) == sum(space.n_choices)


def test_names_without_decisions_are_refused() -> None:
    names = Candidates([get_space("table").parse(name) for name in "ab"])
    with pytest.raises(InputError, match="space 'table' have no decisions"):
        begun(names)


def test_the_autoencoder_reconstructs_fifty_strings_exactly() -> None:
    tokens = Strings.of(get_space("nasnet")).encode(task().architectures[:50])
    network = trained(n=50, steps=160, hidden=32)
    assert (network.decode(network.encode(tokens)) == tokens).all()
    untrained = trained(n=50, steps=0, hidden=32)
    assert (untrained.decode(untrained.encode(tokens)) != tokens).any()


def test_the_decoder_writes_as_likely_as_it_says() -> None:
    """Step by step it decodes what the whole string's likelihoods say is best."""
    network = trained()
    states = network.encode(network.strings.encode(task().architectures[100:120]))
    written = network.decode(states)
    likelihoods = network.log_likelihoods(states, written)
    best = torch.stack([place.argmax(dim=2) for place in likelihoods], 2)
    assert (best == written).all()
    assert [float(place.exp().sum(dim=2).mean()) for place in likelihoods] == pytest.approx([1, 1])


@pytest.mark.parametrize("name", LEGAL_SPACES)
@pytest.mark.parametrize("step", [0.0, 1.0, 1e6])
def test_decoded_strings_are_legal(name: str, step: float) -> None:
    """Of a network that has learned nothing, which knows no better."""
    space, rng = get_space(name), np.random.default_rng(0)
    network = EncoderPredictorDecoder(Strings.of(space), 8, rng)
    tokens = network.strings.encode([space.sample(rng) for _ in range(50)])
    with torch.no_grad():
        decoded = network.strings.decisions(network.decode(network.climb(tokens, step)))
    architectures = [space.architecture(tuple(row)) for row in decoded.tolist()]  # raises if not
    assert len({a.id for a in architectures}) > 1


# -- the predictor and the step ------------------------------------------------------------------


def test_a_small_step_raises_the_prediction() -> None:
    for seed in range(2):
        network = trained(seed=seed)
        tokens = network.strings.encode(task(seed).architectures)
        before = scores(network, tokens)
        after = network.score(network.code(network.climb(tokens, 0.1))).numpy()
        assert (after > before).mean() >= 0.95
        down = network.score(network.code(network.climb(tokens, -0.1))).numpy()
        assert (down > before).mean() <= 0.05


def held_out_pairwise_accuracy(seed: int, shuffled: bool) -> float:
    network, values = trained(seed=seed, shuffled=shuffled), task(seed).values[100:]
    found = scores(network, network.strings.encode(task(seed).architectures[100:]))
    better = values[:, None] > values[None, :]
    return float((found[:, None] > found[None, :])[better].mean())


def test_it_predicts_architectures_that_it_has_not_seen() -> None:
    honest, twin = (
        np.mean([held_out_pairwise_accuracy(seed, shuffled) for seed in range(3)])
        for shuffled in (False, True)
    )
    assert honest >= 0.65
    assert not twin >= 0.65


# -- targets -------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["minmax", "zscore", "rank"])
def test_targets_do_not_depend_on_the_scale(how: str) -> None:
    values = np.random.default_rng(0).random(20)
    values[3] = -math.inf
    targets = normalised(values, how)  # type: ignore[arg-type]
    assert normalised(100 * values - 7, how) == pytest.approx(targets)  # type: ignore[arg-type]
    assert ((targets >= 0) & (targets <= 1)).all()
    order = np.argsort(values)
    assert (np.diff(targets[order]) >= 0).all()
    assert targets[order[0]] == targets[order[1]]  # what failed is the worst that did not


def test_equal_values_are_all_the_same() -> None:
    for values in (np.full(3, 0.7), np.full(2, -math.inf), np.array([0.5])):
        assert set(normalised(values, "zscore").tolist()) == {0.5}


# -- the search ----------------------------------------------------------------------------------


@pytest.mark.parametrize("propose", ["gradient", "rank"])
def test_it_proposes_what_is_better(propose: str) -> None:
    """Better than random if it is told the truth, and worse if it is told the opposite."""
    values = task().values
    told = {
        sign: [
            np.mean(values[searched(sign * values, 40, seed, propose=propose, steps=40)[10:]])
            for seed in range(2)
        ]
        for sign in (1.0, -1.0)
    }
    spread = values.std()
    assert np.mean(told[1.0]) > values.mean() + 0.15 * spread
    assert np.mean(told[-1.0]) < values.mean()


def test_a_later_report_replaces_an_earlier_one() -> None:
    values = task().values
    plain = begun(Candidates(task().architectures))
    noisy = begun(Candidates(task().architectures))
    for k in range(25):
        (one,), (other,) = plain.ask(1), noisy.ask(1)
        assert one == other, k
        noisy.tell(other, 1, (7 * k % 5) / 5)
        noisy.tell(other, 2, float(values[other]))
        plain.tell(one, 2, float(values[one]))


def test_failed_runs_count_as_the_worst() -> None:
    """Until the network is trained for the second time, when there may be another worst one."""
    values = task().values
    first = searched(values, 13)
    failed = np.where(values < np.median(values[first[:10]]), -math.inf, values)
    told = failed[first[:10]]
    known = np.where(np.isinf(failed), told[np.isfinite(told)].min(), values)
    assert searched(failed, 13) == searched(known, 13) != first


def test_before_anything_is_told_it_draws() -> None:
    search = begun(Candidates(task().architectures))
    assert sorted(search.ask(500)) == list(range(200))
    assert search.ask(1) == []
    assert search.listens


def test_all_candidates_of_a_table_are_proposed_in_the_end() -> None:
    few = Candidates(task().architectures[:30])
    for propose in ("gradient", "rank"):
        search = begun(few, propose=propose)
        asked: list[int] = []
        while answer := search.ask(4):
            asked += answer
            for candidate in answer:
                search.tell(candidate, 2, float(task().values[candidate]))
        assert sorted(asked) == list(range(30))


def test_the_nearest_candidate_and_among_equals_the_better() -> None:
    search = begun(Candidates(task().architectures[:4]))
    search._codes = np.array([[1.0, 0.0], [0.6, 0.8], [0.8, 0.6], [0.6, 0.8 + 1e-9]], np.float32)
    search._scores = np.array([0.0, 1.0, 5.0, 2.0], np.float32)
    aim = torch.tensor([0.6, 0.8])
    assert search._nearest(aim) == 3
    search._remaining.take(3)
    assert search._nearest(aim) == 1
    search._remaining.take(1)
    assert search._nearest(aim) == 2
    assert search.notes["projection_distance"] == pytest.approx(0.04 / 3, abs=1e-6)


def test_ranking_the_pool_proposes_the_highest_prediction() -> None:
    search = begun(Candidates(task().architectures), propose="rank", initial=5)
    for candidate in search.ask(5):
        search.tell(candidate, 2, float(task().values[candidate]))
    proposed = search.ask(3)
    left = [k for k in range(200) if k not in search._asked]
    assert np.diff(search._scores[proposed]).max() <= 0
    assert search._scores[proposed].min() >= search._scores[left].max()
    assert search.notes == {}  # nothing was led anywhere


class Counted:
    """What an architecture is worth: its share of decisions that are 0."""

    def __init__(self, space: Space) -> None:
        self.candidates = Candidates(space=space)

    def __call__(self, number: int) -> float:
        return float(np.mean(np.array(self.candidates[number].decisions) == 0))


@pytest.mark.parametrize("name", [*LEGAL_SPACES, "nasbench101"])
@pytest.mark.parametrize("propose", ["gradient", "rank"])
def test_without_a_table_it_writes_its_own(name: str, propose: str) -> None:
    worth = Counted(get_space(name))
    search = begun(worth.candidates, propose=propose, initial=6)
    asked: list[int] = []
    for _ in range(16):
        (number,) = search.ask(1)
        search.tell(number, 2, worth(number))
        asked.append(number)
    assert len(set(asked)) == 16
    assert len({worth.candidates[number].id for number in asked}) == 16


def test_without_a_table_it_finds_what_is_better() -> None:
    worth = Counted(get_space("nasbench201"))
    search = begun(worth.candidates, initial=20, steps=100, hidden=16)
    found = []
    for _ in range(40):
        (number,) = search.ask(1)
        search.tell(number, 2, worth(number))
        found.append(worth(number))
    assert np.mean(found[20:]) > np.mean(found[:20]) + 0.1


def test_a_space_that_is_used_up() -> None:
    worth = Counted(get_space("nasbench201_3nodes"))
    search = begun(worth.candidates, initial=5, refit_every=50)
    search.tell(*search.ask(1), 2, 0.5)
    assert len(search.ask(200)) == 124  # of 125


def test_neither_threads_nor_the_global_generator_matter() -> None:
    threads, state = torch.get_num_threads(), torch.get_rng_state()
    before = searched(task().values, 14)
    try:
        torch.set_num_threads(2)
        torch.manual_seed(7)
        moved = torch.get_rng_state()
        after = searched(task().values, 14)
        assert torch.get_num_threads() == 2
        assert (torch.get_rng_state() == moved).all()
    finally:
        torch.set_num_threads(threads)
        torch.set_rng_state(state)
    assert before == after
    assert searched(task().values, 14, seed=1) != after


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"initial": 0}, "Option initial is 0; expected a whole number, 1 or more"),
        ({"hidden": 2.5}, "Option hidden is 2.5"),
        ({"propose": "best"}, "Option propose is 'best'; expected 'gradient' or 'rank'"),
        ({"normalise": "raw"}, "Option normalise is 'raw'; expected one of minmax, zscore, rank"),
        ({"step_size": 0}, "Option step_size is 0; expected a number above 0"),
        ({"alpha": 2}, "Option alpha is 2; expected a number from 0 to 1"),
    ],
)
def test_options_out_of_range_are_refused(options: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        NAO(**options)  # type: ignore[arg-type]
