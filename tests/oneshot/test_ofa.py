from __future__ import annotations

import itertools
from collections import Counter

import numpy as np
import pytest
import torch

from nassim.checks.oneshot import RECIPE, _images
from nassim.errors import InputError
from nassim.oneshot.base import Journal, Point, Trained, check_space
from nassim.oneshot.data import SearchData, search_data
from nassim.oneshot.ofa import OnceForAll, Phase, draw, phases, soft_cross_entropy
from nassim.oneshot.spos import SPOS
from nassim.oneshot.supernet import build_supernet
from nassim.oneshot.supernet_elastic import ElasticSupernet
from nassim.spaces import get_space
from nassim.spaces.elastic import ElasticSpace, ElasticTinySpace

TINY = ElasticTinySpace()
QUICK = {"steps": 4, "kernel_steps": 3, "depth_steps": 3, "width_steps": 2, "batch_size": 16}
WHOLE_FIRST = 4  # the steps of the first phase of QUICK


@pytest.fixture(scope="module")
def data() -> SearchData:
    return search_data(_images(), RECIPE)


def supernet() -> ElasticSupernet:
    built = build_supernet(TINY, channels=4, cells=1, classes=3, inputs=1)
    assert isinstance(built, ElasticSupernet)
    return built


class Watched(Journal):
    """Calls a function after each step; of a supernet, which decisions it was run with."""

    def __init__(self, watched: ElasticSupernet) -> None:
        super().__init__()
        self.run: list[list[tuple[int, ...]]] = [[]]
        self.states: list[dict[str, torch.Tensor]] = []
        watched.register_forward_pre_hook(self._note)

    def _note(self, module: torch.nn.Module, inputs: tuple[torch.Tensor, tuple[int, ...]]) -> None:
        if torch.is_grad_enabled():
            self.run[-1].append(TINY.architecture(tuple(inputs[1])).decisions)

    def finished(self, step: int, steps: int, trained: Trained) -> None:
        super().finished(step, steps, trained)
        state = trained.supernet.state_dict()
        self.states.append({name: values.clone() for name, values in state.items()})
        self.run.append([])


def trained_with(data: SearchData, **options: object) -> tuple[Watched, list[Point]]:
    net = supernet()
    journal = Watched(net)
    method = OnceForAll(**(QUICK | options))  # type: ignore[arg-type]  # options of all types
    method.train(net, data, np.random.default_rng(0), journal)
    return journal, journal.points


def test_what_is_open_is_drawn_and_nothing_else(data: SearchData) -> None:
    journal, _ = trained_with(data, kernel_steps=8, depth_steps=8, width_steps=8)
    runs = journal.run[:-1]
    bounds = {"whole": (0, 4), "kernel": (4, 12), "depth": (12, 20), "width": (20, 28)}
    kinds = ("kernel", "depth", "expansion")
    for number, (name, (start, end)) in enumerate(bounds.items()):
        steps = runs[start:end]
        assert [len(step) for step in steps] == [(1, 1, 2, 4)[number]] * (end - start)
        for step in steps:
            assert len({decisions[0] for decisions in step}) == 1
        cuts = [TINY.cut(decisions) for step in steps for decisions in step]
        blocks = [block for cut in cuts for stage in cut.stages for block in stage]
        found = {
            "kernel": {block.kernel for block in blocks},
            "depth": {len(stage) for cut in cuts for stage in cut.stages},
            "expansion": {block.expansion for block in blocks},
        }
        values = {"kernel": {3, 5}, "depth": {1, 2}, "expansion": {1, 2}}
        for position, kind in enumerate(kinds):
            opened = number > position
            assert found[kind] == (values[kind] if opened else {max(values[kind])}), (name, kind)
    assert {decisions[0] for step in runs for decisions in step} == {0, 1}


def test_draws_are_uniform_over_what_is_open() -> None:
    space = get_space("elastic")
    assert isinstance(space, ElasticSpace)
    lowest = {"resolution": 1, "kernel": 0, "depth": 1, "expansion": 2}
    phase, rng = Phase("some", 1, 3, lowest), np.random.default_rng(0)
    drawn = [decisions for _ in range(300) for decisions in draw(space, phase, rng)]
    for kind, low in lowest.items():
        place = space.places(kind)[-1]
        counts = Counter(decisions[place] for decisions in drawn)
        values = range(low, space.n_choices[place])
        assert set(counts) == set(values)
        share = 1 / len(values)
        steps = 300 if kind == "resolution" else 900  # networks of a step share theirs
        for value in values:
            spread = np.sqrt(share * (1 - share) / steps)
            assert abs(counts[value] / 900 - share) <= 4 * spread


def test_every_value_opens_after_the_larger_one() -> None:
    space = get_space("elastic")
    assert isinstance(space, ElasticSpace)
    plan = phases(space, 10, 10, 29, 58)
    assert [phase.name for phase in plan] == ["whole", "kernel", *["depth"] * 2, *["width"] * 2]
    assert sum(phase.steps for phase in plan) == 10 + 10 + 29 + 58
    for before, after in itertools.pairwise(plan):
        assert all(after.lowest[kind] <= before.lowest[kind] for kind in before.lowest)
    assert set(plan[-1].lowest.values()) == {0}


def test_a_part_that_is_too_short_for_a_phase_of_its_own_has_none() -> None:
    space = get_space("elastic")
    assert isinstance(space, ElasticSpace)
    plan = phases(space, 1, 1, 1, 1)
    assert [phase.steps for phase in plan] == [1, 1, 1, 1]
    assert set(plan[-1].lowest.values()) == {0}


def test_the_teacher_is_the_whole_as_it_was_and_teaches_from_the_second_phase(
    data: SearchData,
) -> None:
    taught, _ = trained_with(data)
    alone, _ = trained_with(data, distillation=0.0)
    for step, (one, other) in enumerate(zip(taught.states, alone.states, strict=True), start=1):
        same = all(torch.equal(one[name], other[name]) for name in one)
        assert same == (step <= WHOLE_FIRST)


def test_the_loss_of_being_taught_is_least_where_the_teacher_is_repeated() -> None:
    scores, other = torch.randn(2, 6, 4, generator=torch.Generator().manual_seed(0))
    target = torch.softmax(scores, dim=1)
    entropy = -(target * target.log()).sum(dim=1).mean()
    torch.testing.assert_close(soft_cross_entropy(scores, target), entropy)
    assert soft_cross_entropy(other, target) > entropy
    labels = torch.tensor([0, 1, 2, 3, 0, 1])
    hard = torch.nn.functional.one_hot(labels, 4).float()
    torch.testing.assert_close(
        soft_cross_entropy(other, hard), torch.nn.functional.cross_entropy(other, labels)
    )


def test_gradients_of_a_step_are_added(data: SearchData) -> None:
    """With one step a phase, plain SGD's moves show what was added."""
    plain = RECIPE.__class__(
        "plain", epochs=1, batch_size=16, channels=4, momentum=0.0, nesterov=False, weight_decay=0.0
    )
    images = search_data(_images(), plain)
    net = supernet()
    journal = Watched(net)
    options = {"steps": 1, "kernel_steps": 1, "depth_steps": 1, "width_steps": 1}
    method = OnceForAll(**options, distillation=0.0, sort=False, batch_size=16)
    method.train(net, images, np.random.default_rng(0), journal)
    again, rng = supernet().train(), np.random.default_rng(0)
    batches = images.weight_batches(16, rng)
    for step, phase in enumerate(phases(TINY, 1, 1, 1, 1)):
        x, y = next(batches)
        losses = [
            torch.nn.functional.cross_entropy(again(x, decisions), y)
            for decisions in draw(TINY, phase, rng)
        ]
        again.zero_grad(set_to_none=True)
        torch.stack(losses).sum().backward()
        rate = method.learning_rate if step == 0 else method.shrinking_rate
        with torch.no_grad():
            for weights in again.parameters():
                if weights.grad is not None:
                    weights -= rate * weights.grad
        for name, weights in again.named_parameters():
            torch.testing.assert_close(journal.states[step][name], weights.detach())


def test_channels_are_sorted_before_blocks_may_be_narrower(data: SearchData) -> None:
    """All is the same until then; then the network is another, and so are its parts."""
    (one, _), (other, _) = trained_with(data), trained_with(data, sort=False)
    equal = [
        all(torch.equal(a[name], b[name]) for name in a)
        for a, b in zip(one.states, other.states, strict=True)
    ]
    assert equal == [True] * 10 + [False] * 2


def test_matrices_begin_as_identities_and_decay_to_them(data: SearchData) -> None:
    journal, _ = trained_with(data)
    name = "stages.0.0.matrices.3"
    assert not journal.states[WHOLE_FIRST - 1][name].any()  # no smaller kernel was run
    assert journal.states[-1][name].any()


def test_without_shrinking_all_parts_are_open_at_once_for_as_many_passes(data: SearchData) -> None:
    shrinking, _ = trained_with(data)
    flat, _ = trained_with(data, progressive=False)
    passes = [sum(map(len, journal.run)) for journal in (shrinking, flat)]
    assert passes[0] == 4 + 3 + 2 * 3 + 4 * 2
    assert abs(passes[0] - passes[1]) <= 2  # up to a step of four
    assert {len(step) for step in flat.run[:-1]} == {4}


def test_corners_are_noted_after_each_phase(data: SearchData) -> None:
    _, points = trained_with(data)
    steps = [point.step for point in points if point.name == "accuracy_largest"]
    assert steps == [4, 7, 10, 12]
    names = {point.name for point in points if point.name.startswith("accuracy_")}
    assert names == {
        *("accuracy_largest", "accuracy_least_resolution", "accuracy_least_kernel"),
        *("accuracy_least_depth", "accuracy_least_expansion", "accuracy_smallest"),
    }
    assert all(0 <= point.value <= 1 for point in points if point.name in names)


def test_parts_learn_from_the_images() -> None:
    data = search_data(_images(), RECIPE)
    net = supernet()
    method = OnceForAll(steps=60, kernel_steps=20, depth_steps=20, width_steps=20, batch_size=16)
    trained = method.train(net, data, np.random.default_rng(0), Journal())
    accuracy = trained.score([TINY.largest, TINY.smallest], data).accuracy
    assert (accuracy > 0.6).all()  # chance is a third


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"width_steps": 0}, "width_steps is 0; expected a number above 0"),
        ({"shrinking_rate": -1}, "shrinking_rate is -1"),
        ({"distillation": -0.5}, r"distillation is -0.5; expected a number, 0 or more"),
        ({"distillation": float("nan")}, "distillation is nan"),
        ({"distillation": "much"}, "distillation is 'much'"),
    ],
)
def test_bad_options_are_refused(options: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        OnceForAll(**options)  # type: ignore[arg-type]  # bad ones


def test_it_is_refused_where_architectures_are_no_parts_of_one() -> None:
    check_space(OnceForAll(), TINY)
    check_space(SPOS(), TINY)
    with pytest.raises(InputError, match=r"OnceForAll .* cut out of it, .* expected one of .*spos"):
        check_space(OnceForAll(), get_space("nasbench201_3nodes"))
