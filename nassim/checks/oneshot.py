"""What every one-shot method must keep to, as code.

``check_one_shot("spos")`` or ``check_one_shot(MyMethod)`` runs all checks and returns their names;
the first that fails raises a :class:`ContractError`, or a :class:`LeakageError` where the method
used what it must not see. A *factory* is anything that makes a method when called without
arguments. Give it options that make it cheap (``quick_options``): it is trained four times in each
of :data:`SPACES` that it can be trained in; more often where a check fails, to say which.
"""

from __future__ import annotations

import copy
import functools
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from nassim.checks.conditions import global_chance
from nassim.datasets import ImageData
from nassim.datasets.base import image_data
from nassim.errors import ContractError, LeakageError
from nassim.generator.recipe import Recipe
from nassim.loading import build, parse_specification
from nassim.oneshot import ONE_SHOT
from nassim.records import Architecture, Dataset, Landmarks
from nassim.spaces import get_space
from nassim.studies.truth import Truth

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
    "check_untold_truths",
    "one_shot_factory",
    "spaces_of",
]

Factory = Callable[[], "OneShot"]
# of each space: operations of each kind, what has no weights, and what is left empty or out
SPACES: dict[str, tuple[str, ...]] = {
    "nasbench201_3nodes": (
        "|nor_conv_3x3~0|+|nor_conv_1x1~0|avg_pool_3x3~1|",
        "|nor_conv_1x1~0|+|skip_connect~0|nor_conv_3x3~1|",
        "|avg_pool_3x3~0|+|avg_pool_3x3~0|skip_connect~1|",
        "|skip_connect~0|+|skip_connect~0|skip_connect~1|",
        "|none~0|+|none~0|none~1|",
        "|none~0|+|nor_conv_3x3~0|nor_conv_1x1~1|",
    ),
    "nasbench101:vertices=4": (
        "conv3x3(0)|conv1x1(0,1)|output(0,2)",
        "conv1x1(0)|max3x3(0)|output(1,2)",
        "max3x3(0)|max3x3(0,1)|output(0,1,2)",
        "conv3x3(0)|conv3x3(1)|output(2)",
        "max3x3(0)|output(1)",
        "output(0)",
    ),
    "nasnet": (
        "0sep3+1sep3|2sep5+0skip|3avg3+2max3|1skip+4sep3|5sep5+0sep5"
        "||1sep5+0sep3|0skip+1skip|2sep3+3max3|4skip+2sep5|0avg3+5sep3",
        "0sep3+0sep3|1sep5+1sep5|0skip+0skip|2skip+2skip|1max3+1avg3"
        "||0skip+0skip|2sep3+2sep3|1sep5+1sep5|0sep3+0sep3|3skip+3skip",
        "0max3+1avg3|2max3+2avg3|3max3+3avg3|4max3+4avg3|5max3+5avg3"
        "||0max3+1avg3|2max3+2avg3|3max3+3avg3|4max3+4avg3|5max3+5avg3",
        "0skip+1skip|0skip+1skip|0skip+1skip|0skip+1skip|0skip+1skip"
        "||0skip+1skip|0skip+1skip|0skip+1skip|0skip+1skip|0skip+1skip",
        "0sep3+1skip|0sep3+1skip|2sep3+1skip|2sep3+1skip|2sep3+1skip"
        "||0sep5+0skip|1sep5+1max3|2sep5+1skip|3sep5+1skip|4sep5+1skip",
        "0sep3+0sep3|2sep3+2sep3|3sep3+3sep3|4sep3+4sep3|5sep3+5sep3"
        "||1sep5+1sep5|2sep5+2sep5|3sep5+3sep5|4sep5+4sep5|5sep5+5sep5",
    ),
    "darts": (
        "0sep3+1sep5|1dil3+2dil5|0skip+3max3|2avg3+4sep3"
        "||0skip+1sep3|0sep5+1dil3|1dil5+3skip|0max3+4avg3",
        "0dil5+1dil3|0sep5+2sep5|1skip+2skip|3sep3+4dil3"
        "||0dil3+1dil5|0sep3+2sep5|1skip+2dil3|3sep3+4skip",
        "0max3+1avg3|0max3+1avg3|0max3+1avg3|0max3+1avg3"
        "||0max3+1avg3|0max3+1avg3|0max3+1avg3|0max3+1avg3",
        "0skip+1skip|0skip+1skip|0skip+2skip|2skip+3skip"
        "||0skip+1skip|0skip+2skip|0skip+3skip|0skip+4skip",
        "0sep3+1sep3|0sep3+1sep3|0skip+1sep3|0skip+2dil3"
        "||0max3+1max3|1max3+2skip|0max3+2skip|1max3+2skip",
        "0sep5+1sep5|1sep5+2sep5|2sep5+3sep5|3sep5+4sep5"
        "||0sep3+1sep3|1sep3+2sep3|2sep3+3sep3|3sep3+4sep3",
    ),
    "elastic_tiny": (
        "1|k5e2,k5e2|k5e2,k5e2",
        "2/3|k3e1|k3e1",
        "1|k3e1,k3e1|k3e1,k3e1",
        "2/3|k5e1,k3e2|k3e2",
        "1|k3e2|k5e1,k3e1",
        "2/3|k3e2|k5e2,k5e1",
    ),
}
SPACE = next(iter(SPACES))


def check_one_shot(method: str | Factory) -> tuple[str, ...]:
    """Run all checks of a one-shot method, in each space, and return their names.

    What must move nothing is changed in one training, all at once. Where that ends as the plain
    training did, the checks that change one thing each pass; where not, they are run, to say which.
    Notes on the scoring images differ when these are changed: then notes are compared alone.

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
    for space in spaces_of(example):
        passed = _passed_at_once(factory, space)
        for check in _CHECKS:
            if check not in passed:
                check(factory, space)
    return tuple(check.__name__ for check in _CHECKS)


def spaces_of(method: OneShot) -> list[str]:
    """Those of :data:`SPACES` that a method can be trained in.

    >>> from nassim.oneshot.ofa import OnceForAll
    >>> spaces_of(OnceForAll())
    ['elastic_tiny']

    Raises
    ------
    ContractError
        if there are none: nothing would be checked.
    """
    from nassim.oneshot.base import serves
    from nassim.oneshot.supernet import supernet_of

    found = [space for space in SPACES if serves(supernet_of(get_space(space)), method)]
    if not found:
        raise ContractError(
            f"{type(method).__name__} runs in none of the spaces that methods are checked "
            f"in, {', '.join(map(repr, SPACES))}; expected one at least."
        )
    return found


def check_standalone(factory: Factory, space: str = SPACE) -> None:
    """After training, the supernet at one architecture is that architecture's own network.

    Outputs and gradients are equal, and what the architecture does not use has no gradient.
    """
    import torch

    trained, _ = _plain(factory, space)
    supernet = trained.supernet.eval()
    shared = dict(supernet.named_parameters())
    x = torch.from_numpy(np.random.default_rng(5).normal(size=(6, 1, 8, 8)).astype(np.float32))
    for architecture in _architectures(space):
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
        gradients = {name: parameter.grad for name, parameter in shared.items()}
        names = supernet.shared_names(architecture)
        for name, parameter in own.named_parameters():
            if name not in names:
                continue
            found = [gradients.pop(part) for part in names[name]]
            parts = [shared[part] for part in names[name]]
            expected: Sequence[torch.Tensor | None] = [None] * len(parts)
            if parameter.grad is not None:
                made = supernet.own(parts, parameter.shape)
                expected = torch.autograd.grad(made, parts, parameter.grad)
            if not all(map(_same, found, expected)):
                raise ContractError(
                    f"The gradient of {', '.join(names[name])} in the supernet that "
                    f"{_name(factory)} trained is not that of {name!r} in the network of "
                    f"{architecture.id!r}; expected the same."
                )
        unused = [name for name, gradient in gradients.items() if gradient is not None]
        if unused:
            raise ContractError(
                f"{unused[0]!r} in the supernet that {_name(factory)} trained has a gradient of "
                f"{architecture.id!r}, which does not use it; expected none."
            )


def check_inactive(factory: Factory, space: str = SPACE) -> None:
    """An operation that a step did not run is bit for bit as before it, statistics included.

    Decay would change it, and so would the momentum of an earlier step.
    """
    supernet = _supernet(factory, space)
    watched = _watched(supernet)
    leaks: list[str] = []

    def at_step(step: int, _trained: Trained) -> None:
        for each in watched:
            leaks.extend(f"{name} in step {step}" for name in each.moved_unused())

    _train(factory, space, journal=_every_step(at_step), supernet=supernet)
    if leaks:
        raise ContractError(
            f"{_name(factory)} changed {leaks[0]}, which did not run it; expected no update. Set "
            "gradients to None (not to zero) before each step, so that the optimizer passes it."
        )


def check_same_seed(factory: Factory, space: str = SPACE) -> None:
    """Two trainings with one seed end with the same state and the same notes."""
    (first, one), (second, two) = _plain(factory, space), _train(factory, space)
    if not _same_state(first, second) or one.points != two.points:
        raise ContractError(
            f"{_name(factory)} ended elsewhere the second time, with the same seed; draw from the "
            "generator that train is given."
        )


def check_global_chance(factory: Factory, space: str = SPACE) -> None:
    """It neither depends on a global random generator nor moves one."""
    supernet = _supernet(factory, space)  # torch's own constructors draw; initialise overwrites it
    with global_chance(1) as used:
        trained, _ = _train(factory, space, supernet=supernet)
    if used:
        raise ContractError(
            f"{_name(factory)} drew from the global generator of {used[0]}; expected the one that "
            "train is given."
        )
    if not _same_state(trained, _plain(factory, space)[0]):
        raise ContractError(
            f"{_name(factory)} ended elsewhere when global generators were seeded anew; draw from "
            "the generator that train is given."
        )


def check_unseen_images(factory: Factory, space: str = SPACE) -> None:
    """Test images and the scoring set move nothing that is learned."""
    plain, _ = _plain(factory, space)
    for kind, split in (("test images", "test"), ("the scoring set", "valid")):
        images = _images(changed=[split])  # the only collection in memory, for who looks there
        if not _same_state(plain, _train(factory, space, images=images)[0]):
            raise LeakageError(
                f"{_name(factory)} learned otherwise when only {kind} changed; expected it to "
                "learn of 'weights' and 'architecture' of its data alone."
            )


def check_untold_truths(factory: Factory, space: str = SPACE) -> None:
    """Full trainings that it was not told of move neither what it learns nor what it says.

    Nor do test values: landmarks are known by their validation values alone.
    """
    count = factory().landmarks
    truth = _truth(space, scrambled=True, told=count)  # the only one in memory, for who looks there
    told, _ = _train(factory, space, landmarks=truth.landmarks(count, LANDMARK_SEED))

    said = _said(told, factory, space)
    del truth
    plain, _ = _plain(factory, space)
    if not _same_state(told, plain) or said != _said(plain, factory, space):
        raise LeakageError(
            f"{_name(factory)} learned or answered otherwise when only full trainings changed that "
            "it was not told of; expected it to know 'landmarks' of its data alone."
        )


def check_score_order(factory: Factory, space: str = SPACE) -> None:
    """A score is the same whatever was scored before, and scoring changes nothing."""
    trained, _ = _plain(factory, space)
    data, architectures = _data(factory, space), _architectures(space)
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


def check_state(factory: Factory, space: str = SPACE) -> None:
    """All that was learned is in ``state_dict``: loaded elsewhere, it scores and picks alike."""
    import torch

    trained, _ = _plain(factory, space)
    data, architectures = _data(factory, space), _architectures(space)
    other = copy.deepcopy(trained)
    with torch.no_grad():
        for tensor in other.state_dict().values():
            tensor.add_(1)
    other.load_state_dict(trained.state_dict())
    blank, _ = _train(factory, space, seed=1)  # what is not in the state is of another training
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


def check_pick(factory: Factory, space: str = SPACE) -> None:
    """The pick is one of the architectures that it may pick from."""
    trained, _ = _plain(factory, space)
    architectures = _architectures(space)[:4]
    pick = trained.pick(architectures, trained.score(architectures, _data(factory, space)))
    if pick not in architectures:
        raise ContractError(
            f"{_name(factory)} picked {pick!r}; expected one of the {len(architectures)} "
            "architectures that were given."
        )


def check_checkpoints(factory: Factory, space: str = SPACE) -> None:
    """``journal.finished`` follows each step, and what is scored there disturbs nothing."""
    steps, journal = _scored_each_step(factory, space)
    disturbed, _ = _train(factory, space, journal=journal)
    if not _are_all(steps):
        raise ContractError(
            f"{_name(factory)} told the journal of steps {steps[:5]}...; expected 1, 2, 3 and so "
            "on, each with journal.finished."
        )
    undisturbed, _ = _plain(factory, space)
    if not _same_state(disturbed, undisturbed):
        raise ContractError(
            f"{_name(factory)} ended elsewhere when it was scored during training; the loop must "
            "not depend on what happens at a checkpoint."
        )


def check_unchanged(factory: Factory, space: str = SPACE) -> None:
    """Training leaves the method as it was, so that one method can train many supernets."""
    method = factory()
    before = copy.deepcopy(vars(method))
    _train(lambda: method, space)
    if vars(method) != before:
        raise ContractError(
            f"{type(method).__name__} changed while it trained; keep what is learned in a Trained."
        )


_CHECKS: tuple[Callable[[Factory, str], None], ...] = (
    check_standalone,
    check_inactive,
    check_same_seed,
    check_global_chance,
    check_unseen_images,
    check_untold_truths,
    check_score_order,
    check_state,
    check_pick,
    check_checkpoints,
    check_unchanged,
)


# each says that one change moves nothing
_MOVE_NOTHING = (
    check_same_seed,
    check_global_chance,
    check_unseen_images,
    check_untold_truths,
    check_checkpoints,
    check_unchanged,
)


# --- how it is done ----------------------------------------------------------------------------


def _passed_at_once(factory: Factory, space: str) -> tuple[Callable[[Factory, str], None], ...]:
    """The checks that one training shows to pass, in which all is changed that must move nothing.

    All of ``_MOVE_NOTHING`` or none; but for the one that compares notes, where only these differ:
    they may tell of images that were changed.
    """
    method = factory()
    before = copy.deepcopy(vars(method))
    supernet = _supernet(factory, space)
    truth = _truth(space, scrambled=True, told=method.landmarks)
    steps, scored = _scored_each_step(factory, space)
    with global_chance(1) as used:
        trained, journal = _train(
            lambda: method,
            space,
            images=_images(changed=("test", "valid")),
            landmarks=truth.landmarks(method.landmarks, LANDMARK_SEED),
            journal=scored,
            supernet=supernet,
        )
    said = _said(trained, factory, space)
    del truth
    plain, plain_journal = _plain(factory, space)
    if (
        used
        or vars(method) != before
        or not _are_all(steps)
        or not _same_state(trained, plain)
        or said != _said(plain, factory, space)
    ):
        return ()
    if journal.points != plain_journal.points:
        return tuple(check for check in _MOVE_NOTHING if check is not check_same_seed)
    return _MOVE_NOTHING


def _said(trained: Trained, factory: Factory, space: str) -> list[Any]:
    """Its scores and its pick."""
    architectures = _architectures(space)
    scores = trained.score(architectures, _data(factory, space))
    return [*map(np.ndarray.tolist, scores), trained.pick(architectures, scores)]


class _Watched:
    """What of a module ran since the last look, and what moved without.

    ``uses`` says which names of its ``state_dict`` the gates run that it is called with.
    """

    def __init__(self, name: str, module: torch.nn.Module, uses: Callable[[Any], set[str]]) -> None:
        self.name, self.module, self.uses = name, module, uses
        self.used: set[str] = set()
        self.before = _state(module)
        module.register_forward_pre_hook(self._note)

    def _note(self, _module: Any, inputs: tuple[torch.Tensor, Any]) -> None:
        self.used |= self.uses(inputs[1])

    def moved_unused(self) -> list[str]:
        import torch

        now = _state(self.module)
        moved = [
            f"{self.name}.{name}"
            for name, value in now.items()
            if name not in self.used and not torch.equal(value, self.before[name])
        ]
        self.before, self.used = now, set()
        return moved


def _watched(supernet: Supernet) -> list[_Watched]:
    """Its edges; or all of it, where it runs whole architectures alone."""
    from nassim.oneshot.mixed import MixedOp

    def of_an_edge(edge: MixedOp) -> Callable[[Gate], set[str]]:
        def uses(gate: Gate) -> set[str]:
            if isinstance(gate, int):
                run = {edge.names[gate]}
            else:
                run = {name for name, _ in edge.running(gate)}
            return {name for name in edge.state_dict() if name.split(".")[1] in run}

        return uses

    def of_all(gates: Sequence[int]) -> set[str]:
        names = supernet.shared_names(supernet.space.architecture(tuple(gates)))
        return {name for parts in names.values() for name in parts}

    edges = [
        _Watched(name, module, of_an_edge(module))
        for name, module in supernet.named_modules()
        if isinstance(module, MixedOp)
    ]
    return edges or [_Watched("supernet", supernet, of_all)]


def _every_step(at_step: Callable[[int, Trained], None]) -> Journal:
    from nassim.oneshot.base import Journal

    class EveryStep(Journal):
        def finished(self, step: int, steps: int, trained: Trained) -> None:
            at_step(step, trained)

    return EveryStep()


def _scored_each_step(factory: Factory, space: str) -> tuple[list[int], Journal]:
    """A journal that scores after each step, and the steps that it will have been told of."""
    steps: list[int] = []

    def at_step(step: int, trained: Trained) -> None:
        steps.append(step)
        trained.score(_architectures(space)[:2], _data(factory, space))

    return steps, _every_step(at_step)


def _are_all(steps: list[int]) -> bool:
    """1, 2, 3 and so on, and not none."""
    return len(steps) > 0 and steps == list(range(1, len(steps) + 1))


def one_shot_factory(text: str) -> Factory:
    """What makes the method of a specification."""
    specification = parse_specification(text, ONE_SHOT, "one-shot method")
    return lambda: cast("OneShot", build(specification, "one-shot method"))


def _name(factory: Factory) -> str:
    return type(factory()).__name__


def _architectures(space: str) -> list[Architecture]:
    return [get_space(space).parse(text) for text in SPACES[space]]


def _images(changed: Sequence[str] = ()) -> ImageData:
    """Images of three classes, bright in one of three places; changed splits are noise."""
    rng = np.random.default_rng(0)
    parts: list[Any] = []
    for split, n in (("train", 60), ("valid", 40), ("test", 30)):
        labels = np.arange(n) % 3
        images = rng.normal(0, 0.3, (n, 8, 8, 1)).astype(np.float32)
        images[np.arange(n), 2 * labels] += 1
        if split in changed:
            images = np.random.default_rng(9).normal(size=images.shape).astype(np.float32)
        parts += [images, labels]
    return image_data("patches", "made", "made up", "none", tuple(parts))


def _truth(space: str, scrambled: bool = False, told: int = 0) -> Truth:
    """Made-up full trainings of some architectures.

    Where they are scrambled, all are others but validation values of the ``told`` landmarks.
    """
    rng = np.random.default_rng(0)
    some = (*_architectures(space), *(get_space(space).sample(rng) for _ in range(20)))
    architectures = tuple({one.id: one for one in some}.values())
    n = len(architectures)
    classes = np.unique([one.canonical_id for one in architectures], return_inverse=True)[1]
    valid, test = rng.random((2, n, 3))
    if scrambled:
        known = set(_landmarks(space, told).architectures)
        kept = np.array([one in known for one in architectures])
        valid = np.where(kept[:, None], valid, rng.random((n, 3)))
        test = rng.random((n, 3))
    sizes = np.ones(n, np.int64)
    return Truth(
        store="made up",
        store_sha="",
        metric="accuracy",
        space=space,
        dataset=Dataset("patches", "made"),
        recipe="check-0",
        settings={},
        architectures=architectures,
        classes=classes,
        test=test,
        valid=valid[:, :, None],
        n_params=sizes,
        flops=sizes,
    )


@functools.cache
def _landmarks(space: str, count: int) -> Landmarks:
    return _truth(space).landmarks(count, LANDMARK_SEED)


RECIPE = Recipe("check", epochs=1, batch_size=16, channels=4, shift=1)
LANDMARK_SEED = 0


def _data(
    factory: Factory,
    space: str,
    images: ImageData | None = None,
    landmarks: Landmarks | None = None,
) -> Any:
    from nassim.oneshot.data import search_data

    method = factory()
    if landmarks is None:
        landmarks = _landmarks(space, method.landmarks)
    share = method.architecture_share
    return search_data(images or _images(), RECIPE, architecture_share=share, landmarks=landmarks)


def _supernet(factory: Factory, space: str, seed: int = 0) -> Supernet:
    import torch

    from nassim.oneshot.supernet import build_supernet

    known = get_space(space)
    return build_supernet(
        known,
        skeleton="RN" if known.has_skeleton else "",  # one cell of each kind
        channels=RECIPE.channels,
        cells=RECIPE.cells,
        classes=3,
        inputs=1,
        affine=factory().affine,
        generator=torch.Generator().manual_seed(seed),
    )


def _train(
    factory: Factory,
    space: str,
    *,
    seed: int = 0,
    images: ImageData | None = None,
    landmarks: Landmarks | None = None,
    journal: Journal | None = None,
    supernet: Supernet | None = None,
) -> tuple[Trained, Journal]:
    from nassim.oneshot.base import Journal

    supernet = supernet or _supernet(factory, space, seed)
    journal = journal or Journal()
    rng = np.random.default_rng(seed)
    data = _data(factory, space, images, landmarks)
    return factory().train(supernet, data, rng, journal), journal


def _plain(factory: Factory, space: str) -> tuple[Trained, Journal]:
    """Trained as it comes, to compare with; once for all checks, and a copy for each."""
    return copy.deepcopy(_trained_once(factory, space))


@functools.lru_cache(maxsize=1)
def _trained_once(factory: Factory, space: str) -> tuple[Trained, Journal]:
    return _train(factory, space)


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
