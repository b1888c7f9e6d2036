"""What every one-shot method must keep to, as code.

``check_one_shot("spos")`` or ``check_one_shot(MyMethod)`` runs all checks and returns their names;
the first that fails raises a :class:`ContractError`, or a :class:`LeakageError` where the method
used what it must not see. A *factory* is anything that makes a method when called without
arguments. Give it options that make it cheap (``quick_options``): it is trained a dozen times.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from nassim.checks.conditions import global_chance
from nassim.datasets import ImageData
from nassim.datasets.base import image_data
from nassim.errors import ContractError, LeakageError
from nassim.generator.recipe import Recipe
from nassim.loading import build, parse_specification
from nassim.oneshot import ONE_SHOT
from nassim.records import Architecture
from nassim.spaces import get_space

if TYPE_CHECKING:
    import torch

    from nassim.oneshot.base import Journal, OneShot, Trained
    from nassim.oneshot.mixed import Gate, MixedOp
    from nassim.oneshot.supernet import Supernet

__all__ = [
    "check_checkpoints",
    "check_global_chance",
    "check_inactive",
    "check_one_shot",
    "check_pick",
    "check_same_seed",
    "check_score_order",
    "check_standalone",
    "check_state",
    "check_unchanged",
    "check_unseen_images",
    "one_shot_factory",
]

Factory = Callable[[], "OneShot"]
SPACE = "nasbench201_3nodes"
# a convolution of each kind, a pooling, skips alone, nothing, and an edge that leads from nothing
DECISIONS = ((3, 2, 4), (2, 1, 3), (4, 4, 1), (1, 1, 1), (0, 0, 0), (0, 3, 2))


def check_one_shot(method: str | Factory) -> tuple[str, ...]:
    """Run all checks of a one-shot method and return their names.

    Parameters
    ----------
    method
        A specification (``"spos:steps=12"``, ``"mymodule:MyMethod"``) or a factory.

    Raises
    ------
    ContractError
        (LeakageError where it used what it must not see) at the first check that fails.
    """
    from nassim.oneshot.base import OneShot

    factory = one_shot_factory(method) if isinstance(method, str) else method
    example = factory()
    if not isinstance(example, OneShot):
        raise ContractError(
            f"{type(example).__name__} is no one-shot method; expected a subclass of "
            "nassim.oneshot.base.OneShot."
        )
    for check in _CHECKS:
        check(factory)
    return tuple(check.__name__ for check in _CHECKS)


def check_standalone(factory: Factory) -> None:
    """After training, the supernet at one architecture is that architecture's own network.

    Outputs and gradients are equal, and what the architecture does not use has no gradient.
    """
    import torch

    trained, _ = _train(factory)
    supernet = trained.supernet.eval()
    x = torch.from_numpy(np.random.default_rng(5).normal(size=(6, 1, 8, 8)).astype(np.float32))
    for architecture in _architectures():
        own = supernet.standalone(architecture)
        supernet.zero_grad(set_to_none=True)
        outputs = supernet(x, architecture.decisions)
        outputs.square().sum().backward()
        own_outputs = own(x)
        own_outputs.square().sum().backward()
        if not torch.equal(outputs, own_outputs):
            raise ContractError(
                f"The supernet that {_name(factory)} trained answers otherwise than the network of "
                f"{architecture.id!r} with the same weights; a gate must choose an operation and "
                "change nothing else."
            )
        names = supernet.shared_names(architecture)
        own_gradients = {names[name]: p.grad for name, p in own.named_parameters() if name in names}
        for name, parameter in supernet.named_parameters():
            if not _same(parameter.grad, own_gradients.get(name)):
                raise ContractError(
                    f"The gradient of {name!r} in the supernet that {_name(factory)} trained is "
                    f"not that of the network of {architecture.id!r}; expected the same, and none "
                    "for what it does not use."
                )


def check_inactive(factory: Factory) -> None:
    """An operation that a step did not run is bit for bit as before it, statistics included.

    Decay would change it, and so would the momentum of an earlier step.
    """
    from nassim.oneshot.mixed import MixedOp

    supernet = _supernet(factory)
    watched = [
        _Watched(name, module)
        for name, module in supernet.named_modules()
        if isinstance(module, MixedOp)
    ]
    leaks: list[str] = []

    def at_step(step: int, _trained: Trained) -> None:
        for each in watched:
            leaks.extend(f"{name} in step {step}" for name in each.moved_unused())

    _train(factory, journal=_every_step(at_step), supernet=supernet)
    if leaks:
        raise ContractError(
            f"{_name(factory)} changed {leaks[0]}, which did not run it; expected no update. Set "
            "gradients to None (not to zero) before each step, so that the optimizer passes it."
        )


def check_same_seed(factory: Factory) -> None:
    """Two trainings with one seed end with the same state and the same notes."""
    (first, one), (second, two) = (_train(factory) for _ in range(2))
    if not _same_state(first, second) or one.points != two.points:
        raise ContractError(
            f"{_name(factory)} ended elsewhere the second time, with the same seed; draw from the "
            "generator that train is given."
        )


def check_global_chance(factory: Factory) -> None:
    """It neither depends on a global random generator nor moves one."""
    results = []
    for seed in (1, 2):
        supernet = _supernet(factory)  # torch's own constructors draw, and initialise overwrites it
        with global_chance(seed) as used:
            results.append(_train(factory, supernet=supernet)[0])
        if used:
            raise ContractError(
                f"{_name(factory)} drew from the global generator of {used[0]}; expected the one "
                "that train is given."
            )
    if not _same_state(*results):
        raise ContractError(
            f"{_name(factory)} ended elsewhere when global generators were seeded anew; draw from "
            "the generator that train is given."
        )


def check_unseen_images(factory: Factory) -> None:
    """Test images and the scoring set move nothing that is learned."""
    states = []
    for split in ("", "test", "valid"):
        images = _images(changed=split)  # the only collection in memory, for who looks there
        states.append(_train(factory, images=images)[0])
    for kind, state in zip(("test images", "the scoring set"), states[1:], strict=True):
        if not _same_state(states[0], state):
            raise LeakageError(
                f"{_name(factory)} learned otherwise when only {kind} changed; expected it to "
                "learn of 'weights' and 'architecture' of its data alone."
            )


def check_score_order(factory: Factory) -> None:
    """A score is the same whatever was scored before, and scoring changes nothing."""
    trained, _ = _train(factory)
    data, architectures = _data(factory), _architectures()
    state = _state(trained)
    forward = trained.score(architectures, data)
    backward = trained.score(architectures[::-1], data)
    for name, one, other in zip(forward._fields, forward, backward, strict=True):
        if one.tolist() != other[::-1].tolist():
            raise ContractError(
                f"{_name(factory)} gave architectures another {name} when they were scored in "
                "another order; expected scores that do not depend on what came before."
            )
    if not _same_values(state, _state(trained)):
        raise ContractError(
            f"Scoring changed the state of what {_name(factory)} trained; expected it to be put "
            "back (see nassim.oneshot.batchnorm)."
        )


def check_state(factory: Factory) -> None:
    """All that was learned is in ``state_dict``: loaded elsewhere, it scores and picks alike."""
    import torch

    trained, _ = _train(factory)
    data, architectures = _data(factory), _architectures()
    other = copy.deepcopy(trained)
    with torch.no_grad():
        for tensor in other.state_dict().values():
            tensor.add_(1)
    other.load_state_dict(trained.state_dict())
    blank, _ = _train(factory, seed=1)  # what is not in the state is of another training
    blank.load_state_dict(trained.state_dict())
    scores = trained.score(architectures, data)
    for copied in (other, blank):
        again = copied.score(architectures, data)
        same = all(a.tolist() == b.tolist() for a, b in zip(scores, again, strict=True))
        if not same or copied.pick(architectures, again) != trained.pick(architectures, scores):
            raise ContractError(
                f"What {_name(factory)} trained scores or picks otherwise after its state_dict was "
                "saved and loaded; keep all that is learned as parameters or buffers."
            )


def check_pick(factory: Factory) -> None:
    """The pick is one of the architectures that it may pick from."""
    trained, _ = _train(factory)
    architectures = _architectures()[:4]
    pick = trained.pick(architectures, trained.score(architectures, _data(factory)))
    if pick not in architectures:
        raise ContractError(
            f"{_name(factory)} picked {pick!r}; expected one of the {len(architectures)} "
            "architectures that were given."
        )


def check_checkpoints(factory: Factory) -> None:
    """``journal.finished`` follows each step, and what is scored there disturbs nothing."""
    steps: list[int] = []

    def at_step(step: int, trained: Trained) -> None:
        steps.append(step)
        trained.score(_architectures()[:2], _data(factory))

    disturbed, _ = _train(factory, journal=_every_step(at_step))
    if not steps or steps != list(range(1, len(steps) + 1)):
        raise ContractError(
            f"{_name(factory)} told the journal of steps {steps[:5]}...; expected 1, 2, 3 and so "
            "on, each with journal.finished."
        )
    undisturbed, _ = _train(factory)
    if not _same_state(disturbed, undisturbed):
        raise ContractError(
            f"{_name(factory)} ended elsewhere when it was scored during training; the loop must "
            "not depend on what happens at a checkpoint."
        )


def check_unchanged(factory: Factory) -> None:
    """Training leaves the method as it was, so that one method can train many supernets."""
    method = factory()
    before = copy.deepcopy(vars(method))
    _train(lambda: method)
    if vars(method) != before:
        raise ContractError(
            f"{type(method).__name__} changed while it trained; keep what is learned in a Trained."
        )


_CHECKS: tuple[Callable[[Factory], None], ...] = (
    check_standalone,
    check_inactive,
    check_same_seed,
    check_global_chance,
    check_unseen_images,
    check_score_order,
    check_state,
    check_pick,
    check_checkpoints,
    check_unchanged,
)


# --- how it is done ----------------------------------------------------------------------------


class _Watched:
    """What of a mixed operation ran since the last look, and what moved without."""

    def __init__(self, name: str, edge: MixedOp) -> None:
        self.name, self.edge = name, edge
        self.used: set[str] = set()
        self.before = _state(edge)
        edge.register_forward_pre_hook(self._note)

    def _note(self, _edge: Any, inputs: tuple[torch.Tensor, Gate]) -> None:
        from nassim.oneshot.mixed import running

        gate = inputs[1]
        if isinstance(gate, int):
            self.used.add(self.edge.names[gate])
        else:
            self.used |= {name for name, _ in running(gate, self.edge.names)}

    def moved_unused(self) -> list[str]:
        import torch

        now = _state(self.edge)
        moved = [
            f"{self.name}.{name}"
            for name, value in now.items()
            if name.split(".")[1] not in self.used and not torch.equal(value, self.before[name])
        ]
        self.before, self.used = now, set()
        return moved


def _every_step(at_step: Callable[[int, Trained], None]) -> Journal:
    from nassim.oneshot.base import Journal

    class EveryStep(Journal):
        def finished(self, step: int, steps: int, trained: Trained) -> None:
            at_step(step, trained)

    return EveryStep()


def one_shot_factory(text: str) -> Factory:
    """What makes the method of a specification."""
    specification = parse_specification(text, ONE_SHOT, "one-shot method")
    return lambda: cast("OneShot", build(specification, "one-shot method"))


def _name(factory: Factory) -> str:
    return type(factory()).__name__


def _architectures() -> list[Architecture]:
    return [get_space(SPACE).architecture(decisions) for decisions in DECISIONS]


def _images(changed: str = "") -> ImageData:
    """Images of three classes, bright in one of three places; a changed split is noise."""
    rng = np.random.default_rng(0)
    parts: list[Any] = []
    for split, n in (("train", 60), ("valid", 40), ("test", 30)):
        labels = np.arange(n) % 3
        images = rng.normal(0, 0.3, (n, 8, 8, 1)).astype(np.float32)
        images[np.arange(n), 2 * labels] += 1
        if split == changed:
            images = np.random.default_rng(9).normal(size=images.shape).astype(np.float32)
        parts += [images, labels]
    return image_data("patches", "made", "made up", "none", tuple(parts))


RECIPE = Recipe("check", epochs=1, batch_size=16, channels=4, shift=1)


def _data(factory: Factory, images: ImageData | None = None) -> Any:
    from nassim.oneshot.data import search_data

    share = factory().architecture_share
    return search_data(images or _images(), RECIPE, architecture_share=share)


def _supernet(factory: Factory, seed: int = 0) -> Supernet:
    import torch

    from nassim.oneshot.supernet import Supernet

    return Supernet(
        get_space(SPACE),
        channels=RECIPE.channels,
        cells=RECIPE.cells,
        classes=3,
        inputs=1,
        affine=factory().affine,
        generator=torch.Generator().manual_seed(seed),
    )


def _train(
    factory: Factory,
    *,
    seed: int = 0,
    images: ImageData | None = None,
    journal: Journal | None = None,
    supernet: Supernet | None = None,
) -> tuple[Trained, Journal]:
    from nassim.oneshot.base import Journal

    supernet = supernet or _supernet(factory, seed)
    journal = journal or Journal()
    rng = np.random.default_rng(seed)
    return factory().train(supernet, _data(factory, images), rng, journal), journal


def _state(module: torch.nn.Module) -> dict[str, torch.Tensor]:
    return {name: tensor.clone() for name, tensor in module.state_dict().items()}


def _same_state(first: Trained, second: Trained) -> bool:
    return _same_values(_state(first), _state(second))


def _same_values(first: dict[str, torch.Tensor], second: dict[str, torch.Tensor]) -> bool:
    return first.keys() == second.keys() and all(_same(first[name], second[name]) for name in first)


def _same(first: torch.Tensor | None, second: torch.Tensor | None) -> bool:
    import torch

    if first is None or second is None:
        return first is second
    return torch.equal(first, second)
