"""Each check of one-shot methods rejects its culprit, and lets the honest twin pass."""

from __future__ import annotations

import gc
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from nassim.checks import oneshot as checks
from nassim.checks.oneshot import check_one_shot
from nassim.datasets import ImageData
from nassim.errors import ContractError, LeakageError, UnknownNameError
from nassim.oneshot.base import Journal, Trained
from nassim.oneshot.data import SearchData
from nassim.oneshot.mixed import MixedOp
from nassim.oneshot.scoring import Scores
from nassim.oneshot.spos import SPOS
from nassim.oneshot.supernet import Supernet
from nassim.oneshot.supernet101 import SharedCell
from nassim.oneshot.supernet_cells import PathCell
from nassim.oneshot.supernet_elastic import SharedBlock
from nassim.records import Architecture
from nassim.studies.truth import Truth


class Short(SPOS):
    """The honest twin."""

    def __init__(self) -> None:
        super().__init__(steps=6, batch_size=8)

    def train(
        self, supernet: Supernet, data: SearchData, rng: np.random.Generator, journal: Journal
    ) -> Trained:
        return super().train(supernet, data, rng, journal)


class Scaled(Short):
    """Its supernet weighs operations even where one is chosen."""

    def train(self, supernet: Supernet, *rest: Any) -> Trained:
        for module in supernet.modules():
            if isinstance(module, (MixedOp, PathCell, SharedBlock, SharedCell)):
                module.register_forward_hook(lambda _m, _x, y: y if y is None else 0.5 * y)
        return super().train(supernet, *rest)


class Decays(Short):
    """Zero gradients instead of none: weight decay and momentum go on."""

    def train(self, supernet: Supernet, *rest: Any) -> Trained:
        for parameter in supernet.parameters():
            parameter.register_hook(lambda gradient: gradient)
        forward = supernet.forward

        def all_of_it(x: Tensor, gates: Sequence[int]) -> Tensor:
            nothing = sum((p.sum() * 0 for p in supernet.parameters()), x.new_zeros(()))
            return forward(x, gates) + nothing

        supernet.forward = all_of_it  # type: ignore[method-assign]
        trained = super().train(supernet, *rest)
        supernet.forward = forward  # type: ignore[method-assign]
        return trained


class Unseeded(Short):
    def train(self, supernet: Supernet, data: SearchData, rng: Any, journal: Journal) -> Trained:
        return super().train(supernet, data, np.random.default_rng(), journal)


class Global(Short):
    def train(self, supernet: Supernet, data: SearchData, rng: Any, journal: Journal) -> Trained:
        seed = int(torch.randint(9, ()))
        return super().train(supernet, data, np.random.default_rng(seed), journal)


class ReadsTests(Short):
    """Finds test images in memory, and seeds itself by them."""

    def train(self, supernet: Supernet, data: SearchData, rng: Any, journal: Journal) -> Trained:
        found = [thing for thing in gc.get_objects() if type(thing) is ImageData]
        seed = int(1e3 * sum(abs(float(images.x_test.sum())) for images in found))
        return super().train(supernet, data, np.random.default_rng(seed), journal)


class LearnsScoringSet(Short):
    def train(self, supernet: Supernet, data: SearchData, rng: Any, journal: Journal) -> Trained:
        trained = super().train(supernet, data, rng, journal)
        with torch.no_grad():
            supernet.head.bias.add_(data.scoring_x.mean())
        return trained


class ReadsTruths(Short):
    """Finds full trainings in memory, and seeds itself by what they came to."""

    def train(self, supernet: Supernet, data: SearchData, rng: Any, journal: Journal) -> Trained:
        found = [thing for thing in gc.get_objects() if type(thing) is Truth]
        seed = int(1e3 * sum(float(np.nansum(self.of(truth))) for truth in found))
        return super().train(supernet, data, np.random.default_rng(seed), journal)

    def of(self, truth: Truth) -> Any:
        return truth.valid


class ReadsTestValues(ReadsTruths):
    """Looks for those of its landmarks alone, but at test values."""

    landmarks = 3

    def of(self, truth: Truth) -> Any:
        told = truth.landmarks(self.landmarks, checks.LANDMARK_SEED).architectures
        return truth.test[[architecture in told for architecture in truth.architectures]]


class Told(Short):
    """Another honest twin: what it learns depends on what it asked to be told."""

    landmarks = 3

    def train(self, supernet: Supernet, data: SearchData, rng: Any, journal: Journal) -> Trained:
        assert len(data.landmarks) == 3
        seed = int(1e3 * data.landmarks.values.sum())
        return super().train(supernet, data, np.random.default_rng(seed + rng.integers(9)), journal)


class Notes(Short):
    """One more honest twin: it notes what the scoring set is like, and does not learn from it."""

    def train(self, supernet: Supernet, data: SearchData, rng: Any, journal: Journal) -> Trained:
        journal.note(0, "scoring mean", self.of(data))
        return super().train(supernet, data, rng, journal)

    def of(self, data: SearchData) -> float:
        return float(data.scoring_x.mean())


class NotesChance(Notes):
    """What it notes differs from time to time, and nothing else does."""

    def of(self, data: SearchData) -> float:
        return float(np.random.default_rng().random())


class Drifts(Trained):
    """Scores in training mode, and keeps what that does to the statistics."""

    def score(self, architectures: Sequence[Architecture], data: SearchData, *rest: Any) -> Scores:
        self.supernet.train()
        with torch.no_grad():
            self.supernet(data.scoring_x, architectures[0].decisions)
        return super().score(architectures, data, "running")


class Remembers(Trained):
    """What it learned is a plain attribute."""

    def __init__(self, supernet: Supernet, bonus: float) -> None:
        super().__init__(supernet)
        self.bonus = bonus

    def score(self, architectures: Sequence[Architecture], data: SearchData, *rest: Any) -> Scores:
        scores = super().score(architectures, data, *rest)
        return Scores(scores.accuracy + self.bonus, scores.loss)


class Strays(Trained):
    def pick(self, architectures: Sequence[Architecture], scores: Scores) -> Architecture:
        return self.supernet.space.sample(np.random.default_rng(3))


class Other(Short):
    """Answers another kind of ``Trained``."""

    def __init__(self, kind: Callable[[Supernet, np.random.Generator], Trained]) -> None:
        super().__init__()
        self.kind = kind

    def train(self, supernet: Supernet, data: SearchData, rng: Any, journal: Journal) -> Trained:
        super().train(supernet, data, rng, journal)
        return self.kind(supernet, rng)


class Skips(Short):
    """Speaks of every second step."""

    def train(self, supernet: Supernet, data: SearchData, rng: Any, journal: Any) -> Trained:
        class Half:
            def finished(self, step: int, steps: int, trained: Trained) -> None:
                if step % 2:
                    journal.finished(step, steps, trained)

            def note(self, *point: Any) -> None:
                journal.note(*point)

        return super().train(supernet, data, rng, Half())  # type: ignore[arg-type]


class Moody(Short):
    """Goes on in whatever mode a checkpoint left it, and with whatever it left in a buffer."""

    def train(self, supernet: Supernet, data: SearchData, rng: Any, journal: Any) -> Trained:
        scored = []
        supernet.stem.register_forward_hook(lambda m, x, y: scored.append(len(y)))
        trained = super().train(supernet, data, rng, journal)
        with torch.no_grad():
            supernet.head.bias.add_(len(scored))
        return trained


class Changes(Short):
    def train(self, *arguments: Any) -> Trained:
        self.trained = super().train(*arguments)
        return self.trained


def remembers(supernet: Supernet, rng: np.random.Generator) -> Trained:
    return Remembers(supernet, float(rng.random()))


CULPRITS: dict[str, tuple[Callable[[], Any], type[ContractError]]] = {
    "check_standalone": (Scaled, ContractError),
    "check_inactive": (Decays, ContractError),
    "check_same_seed": (Unseeded, ContractError),
    "check_global_chance": (Global, ContractError),
    "check_unseen_images": (ReadsTests, LeakageError),
    "check_untold_truths": (ReadsTruths, LeakageError),
    "check_score_order": (lambda: Other(lambda supernet, rng: Drifts(supernet)), ContractError),
    "check_state": (lambda: Other(remembers), ContractError),
    "check_pick": (lambda: Other(lambda supernet, rng: Strays(supernet)), ContractError),
    "check_checkpoints": (Skips, ContractError),
    "check_unchanged": (Changes, ContractError),
}


def test_every_check_has_a_culprit() -> None:
    assert list(CULPRITS) == [check.__name__ for check in checks._CHECKS]


@pytest.mark.parametrize("space", checks.SPACES)
@pytest.mark.parametrize("name", CULPRITS)
def test_a_check_rejects_its_culprit(name: str, space: str) -> None:
    culprit, error = CULPRITS[name]
    with pytest.raises(error):
        getattr(checks, name)(culprit, space)


@pytest.mark.parametrize(
    ("check", "culprit"),
    [
        ("check_unseen_images", LearnsScoringSet),
        ("check_untold_truths", ReadsTestValues),
        ("check_checkpoints", Moody),
        ("check_same_seed", NotesChance),
    ],
)
def test_a_check_rejects_another_culprit(check: str, culprit: Callable[[], Any]) -> None:
    with pytest.raises(ContractError):
        getattr(checks, check)(culprit)


@pytest.mark.parametrize("name", CULPRITS)
def test_all_checks_together_reject_a_culprit(name: str) -> None:
    culprit, error = CULPRITS[name]
    with pytest.raises(error):
        check_one_shot(culprit)


@pytest.mark.parametrize("culprit", [LearnsScoringSet, ReadsTestValues, Moody, NotesChance])
def test_all_checks_together_reject_another_culprit(culprit: Callable[[], Any]) -> None:
    with pytest.raises(ContractError):
        check_one_shot(culprit)


@pytest.mark.parametrize(("honest", "trainings"), [(Short, 4), (Told, 4), (Notes, 5)])
def test_an_honest_twin_passes(
    honest: Callable[[], Any], trainings: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    trained: list[str] = []
    train = checks._train

    def counted(factory: Any, space: str, **how: Any) -> Any:
        trained.append(space)
        return train(factory, space, **how)

    monkeypatch.setattr(checks, "_train", counted)
    assert check_one_shot(honest) == tuple(CULPRITS)
    # what moves nothing is changed in one training: only notes may need another to compare with
    assert trained == [space for space in checks.SPACES for _ in range(trainings)]


def test_a_method_that_no_space_serves_is_refused() -> None:
    """Its checks would be none, and it would pass them all."""

    class Nowhere(Short):
        edgewise = True
        shrinking = True

    with pytest.raises(ContractError, match="Nowhere runs in none of the spaces"):
        check_one_shot(Nowhere)


def test_what_is_no_method_is_refused() -> None:
    with pytest.raises(ContractError, match="subclass of"):
        check_one_shot(nn.Module)  # type: ignore[arg-type]
    with pytest.raises(UnknownNameError, match="one-shot method"):
        check_one_shot("sposs")
