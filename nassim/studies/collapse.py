"""Does DARTS collapse where an operation without weights is offered, and what avoids it?

Each method searches small spaces in which one operation, a skip connection or noise, is known to
win for the wrong reason. What a search picks is then trained alone, several times, beside the cell
of convolutions alone, the cell of that operation alone, and random cells, so that one sees whether
the choice was wrong.

A search *collapsed* if its pick has the operation on at least four fifths of the edges that offer
it: 5 of 6, or 4 of 5 in S1. The 5 of 6 are those of an earlier probe; the rule was laid down before
the study was run.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

import nassim
from nassim.datasets import ImageData, load_dataset
from nassim.datasets.base import image_data
from nassim.errors import InputError
from nassim.generator.recipe import Recipe
from nassim.loading import Specification, parse_specifications
from nassim.oneshot import ONE_SHOT
from nassim.records import Architecture
from nassim.spaces import get_space
from nassim.spaces.nasbench201 import NASBench201Space
from nassim.spaces.restricted import most_convolutions
from nassim.studies.fitting import each_task, mixed_seed
from nassim.studies.oneshot import build_one_shot
from nassim.studies.results import to_table

if TYPE_CHECKING:
    from nassim.oneshot.base import Point

__all__ = [
    "COLLAPSED",
    "COLLAPSE_SCHEMA",
    "COLLAPSE_TRACES_SCHEMA",
    "CollapsePlan",
    "culprit",
    "has_collapsed",
    "run_collapse",
]

COLLAPSED = 0.8  # of the edges that offer the operation
METHODS = "darts,darts:order=2,robustdarts:every=12,fairdarts,pcdarts,pdarts,dartsplus,asap,dartspt"
CONVOLUTIONS, RANDOM = "all convolutions", "random cell"
LIMITED = "darts, 2 skips at most"  # P-DARTS's limit alone, on what darts learned

COLLAPSE_SCHEMA = pa.schema(
    [
        ("study", pa.string()),  # collapse
        ("space", pa.string()),
        ("dataset", pa.string()),
        ("dataset_sha256", pa.string()),  # with its noise
        ("images", pa.int32()),  # training images, a half of them for the alphas
        ("noise", pa.float64()),
        ("steps", pa.int32()),
        ("channels", pa.int32()),
        ("recipe", pa.string()),  # of the stand-alone trainings
        ("seed", pa.int64()),
        ("nassim_version", pa.string()),
        ("method", pa.string()),
        ("searches", pa.bool_()),  # False: a cell to compare with
        ("run", pa.int32()),
        ("steps_done", pa.int32()),  # 0 where nothing was searched
        ("pick", pa.string()),
        ("canonical", pa.string()),
        ("culprit", pa.string()),  # skip_connect | noise
        ("culprits", pa.int32()),  # edges of the pick that have it
        ("offered", pa.int32()),  # edges that offer it
        ("collapsed", pa.bool_()),
        ("chance", pa.float64()),  # the share of the space's cells that count as collapsed
        ("valid", pa.float64()),  # accuracy alone, mean over trainings
        ("test", pa.float64()),
        ("test_deviation", pa.float64()),  # over trainings; NaN for one
        ("trainings", pa.int32()),
        ("regret_pp", pa.float64()),  # test, against the trained cell of the best valid
    ]
)

COLLAPSE_TRACES_SCHEMA = pa.schema(
    [
        ("space", pa.string()),
        ("method", pa.string()),
        ("run", pa.int32()),
        ("step", pa.int32()),
        ("name", pa.string()),
        ("value", pa.float64()),
    ]
)

_Row = dict[str, Any]


@dataclass(frozen=True)
class CollapsePlan:
    """What to search and to train.

    Parameters
    ----------
    spaces, methods
        Names of spaces, and specifications of methods that train a mixture, separated by commas. A
        method that does not say how many ``steps`` gets those below.
    dataset, resolution
        Images, averaged down to so many pixels a side.
    images
        Training images, the first of the dataset's; 0: all. A half of them moves the alphas.
    noise
        Standard deviation of what is added to each pixel, once, of an image with values in [0, 1].
        The cell must matter: of 0, 0.1, 0.2 and 0.35, the last makes skips alone as good as
        convolutions alone, and at the others convolutions are better by 3 points or so.
    channels
        Of the first stage, in supernets and stand-alone networks.
    steps, every
        Of a search; after each so many the traces are noted. (``robustdarts`` of the default has an
        eigenvalue every 12 steps, the paper's 25 in a search.)
    seeds
        Searches of each method.
    trainings
        Of each distinct cell alone, for as many steps as a search has.
    random
        Cells of each space that are drawn to compare with.
    seed
        All chance of the study comes from here.
    """

    spaces: str = "s1_tiny,s2_tiny,s3_tiny,s4_tiny"
    methods: str = METHODS
    dataset: str = "mnist"
    resolution: int = 8
    images: int = 256
    noise: float = 0.2
    channels: int = 8
    steps: int = 300
    every: int = 30
    seeds: int = 5
    trainings: int = 3
    random: int = 5
    seed: int = 0

    def __post_init__(self) -> None:
        least = {"resolution": 1, "images": 0, "channels": 1, "noise": 0, "seed": 0, "random": 0}
        for name in ("steps", "every", "seeds", "trainings"):
            least[name] = 1
        for name, value in least.items():
            if getattr(self, name) < value:
                raise InputError(f"{name} is {getattr(self, name)}; expected {value} or more.")
        if 0 < self.images < 2 * _BATCH:
            raise InputError(
                f"images is {self.images}; expected {2 * _BATCH} or more, two batches, or 0 for "
                "all."
            )

    def recipe(self, n_train: int) -> Recipe:
        """How cells are trained alone, and what supernets have of it."""
        return Recipe(
            "collapse",
            epochs=max(1, round(self.steps * _BATCH / n_train)),
            batch_size=_BATCH,
            channels=self.channels,
            shift=1,
            valid_every=10_000,  # the last epoch alone
        )


_BATCH = 64


@dataclass(frozen=True)
class _Search:
    plan: CollapsePlan
    space: str
    method: Specification
    run: int


@dataclass(frozen=True)
class _Found:
    """What a search came to: cells by the name they are listed under, and the trace."""

    picks: tuple[tuple[str, Architecture], ...]
    steps: int
    trace: tuple[Point, ...]


@dataclass(frozen=True)
class _Training:
    plan: CollapsePlan
    cell: Architecture
    run: int


def run_collapse(
    plan: CollapsePlan,
    *,
    workers: int = 1,
    progress: Callable[[int, int, str], None] | None = None,
) -> tuple[pa.Table, pa.Table]:
    """Results of :data:`COLLAPSE_SCHEMA` and traces of :data:`COLLAPSE_TRACES_SCHEMA`.

    Both are the same whatever ``workers`` is.

    Raises
    ------
    InputError
        if a space or method is unknown, a space has nothing to collapse to, or a method trains no
        mixture.
    """
    spaces = [_space(name.strip()) for name in plan.spaces.split(",")]
    methods = [_with_steps(spec, plan.steps) for spec in _parse(plan.methods)]
    data = _images(plan)
    searches = [
        _Search(plan, space.name, method, run)
        for space in spaces
        for method in methods
        for run in range(plan.seeds)
    ]
    found: dict[_Search, _Found] = {}
    for done, (task, answer) in enumerate(each_task(_search, searches, workers), start=1):
        found[task] = answer
        if progress is not None:
            progress(done, len(searches), f"{task.space} {task.method.text} run {task.run}")
    picked = [
        (space.name, method, task.run, found[task].steps, cell)
        for space in spaces
        for task in searches
        if task.space == space.name
        for method, cell in found[task].picks
    ]
    picked += [one for space in spaces for one in _references(space, plan)]
    cells: dict[str, Architecture] = {}  # one of each function, whatever the order of the searches
    for cell in sorted((one[-1] for one in picked), key=lambda cell: (cell.space, cell.decisions)):
        cells.setdefault(f"{cell.space} {cell.canonical_id}", cell)
    trainings = [
        _Training(plan, cell, run) for cell in cells.values() for run in range(plan.trainings)
    ]
    accuracies: dict[_Training, tuple[float, float]] = {}
    for done, (training, pair) in enumerate(each_task(_train, trainings, workers), start=1):
        accuracies[training] = pair
        if progress is not None:
            progress(done, len(trainings), f"{training.cell.space} {training.cell.id}")
    alone = {
        key: np.array([accuracies[_Training(plan, cell, run)] for run in range(plan.trainings)])
        for key, cell in cells.items()
    }
    stamp = {
        "study": "collapse",
        "dataset": plan.dataset,
        "dataset_sha256": data.record.sha256,
        "images": len(data.y_train),
        "noise": plan.noise,
        "steps": plan.steps,
        "channels": plan.channels,
        "recipe": plan.recipe(len(data.y_train)).id,
        "trainings": plan.trainings,
        "seed": plan.seed,
        "nassim_version": nassim.__version__,
    }
    rows = []
    for space in spaces:
        here = {key: values for key, values in alone.items() if key.startswith(f"{space.name} ")}
        best = max(here.values(), key=lambda values: float(values[:, 0].mean()))[:, 1].mean()
        chance = np.mean([has_collapsed(space, cell.decisions) for cell in space.every()])
        for _, method, run, steps, cell in (one for one in picked if one[0] == space.name):
            valid, test = here[f"{space.name} {cell.canonical_id}"].T
            deviation = float(test.std(ddof=1)) if len(test) > 1 else float("nan")
            rows.append(
                {
                    "space": space.name,
                    "method": method,
                    "searches": steps > 0,
                    "run": run,
                    "steps_done": steps,
                    "pick": cell.id,
                    "canonical": cell.canonical_id,
                    "culprit": culprit(space),
                    "culprits": space.names(cell.decisions).count(culprit(space)),
                    "offered": int(space.offers(culprit(space)).sum()),
                    "collapsed": has_collapsed(space, cell.decisions),
                    "chance": float(chance),
                    "valid": float(valid.mean()),
                    "test": float(test.mean()),
                    "test_deviation": deviation,
                    "regret_pp": 100 * float(best - test.mean()),
                }
                | stamp
            )
    traces = [
        {"space": task.space, "method": task.method.text, "run": task.run} | point._asdict()
        for task in searches
        for point in found[task].trace
    ]
    return to_table(rows, COLLAPSE_SCHEMA), to_table(traces, COLLAPSE_TRACES_SCHEMA)


def culprit(space: NASBench201Space) -> str:
    """The operation that a search collapses to.

    >>> culprit(_space("s2_tiny")), culprit(_space("s4_tiny"))
    ('skip_connect', 'noise')
    """
    return "noise" if space.offers("noise").any() else "skip_connect"


def has_collapsed(space: NASBench201Space, decisions: Sequence[int]) -> bool:
    """Whether a cell has the culprit on at least four fifths of the edges that offer it.

    >>> [has_collapsed(_space("s2_tiny"), (0,) * n + (1,) * (6 - n)) for n in (4, 5)]
    [False, True]
    """
    count = space.names(decisions).count(culprit(space))
    return bool(count >= COLLAPSED * space.offers(culprit(space)).sum())


# --- what there is to do ------------------------------------------------------------------------


def _space(name: str) -> NASBench201Space:
    space = get_space(name)
    if not isinstance(space, NASBench201Space):
        raise InputError(
            f"There is no supernet of mixtures for space {name!r}; expected spaces as s2_tiny."
        )
    return space


def _parse(methods: str) -> list[Specification]:
    specifications = parse_specifications(methods, ONE_SHOT, "one-shot method")
    from nassim.oneshot.mixture import MixtureSearch

    for specification in specifications:
        if not isinstance(build_one_shot(specification), MixtureSearch):
            raise InputError(
                f"{specification.text!r} trains no mixture of operations; expected methods as "
                "darts, robustdarts or asap."
            )
    return specifications


def _with_steps(specification: Specification, steps: int) -> Specification:
    options = {"steps": steps, **dict(specification.options)}
    return dataclasses.replace(specification, options=tuple(sorted(options.items())))


@lru_cache(maxsize=2)
def _images(plan: CollapsePlan) -> ImageData:
    """Small images with values in [0, 1] and noise on them, cut to so many for training."""
    data = load_dataset(plan.dataset)
    if not isinstance(data, ImageData):
        raise InputError(f"Dataset {plan.dataset!r} has no images; expected one as mnist.")
    import torch

    from nassim.generator.images import average_down

    rng = np.random.default_rng([plan.seed, 4])
    highest = float(data.x_train.max())
    parts: list[Any] = []
    for split in ("train", "valid", "test"):
        whole = torch.from_numpy(np.ascontiguousarray(getattr(data, f"x_{split}"))).float()
        x = average_down(whole, plan.resolution).numpy() / highest
        x = (x + plan.noise * rng.standard_normal(x.shape)).astype(np.float32)
        n = plan.images if split == "train" and plan.images else len(x)
        if n > len(x):
            raise InputError(
                f"images is {n}; dataset {plan.dataset!r} has {len(x)} for training. Ask for "
                "fewer, or for all with 0."
            )
        parts += [x[:n], getattr(data, f"y_{split}")[:n]]
    record = data.record
    return image_data(record.name, record.group, record.source, record.licence, tuple(parts))


def _references(
    space: NASBench201Space, plan: CollapsePlan
) -> list[tuple[str, str, int, int, Architecture]]:
    """Cells to compare with, as (space, name, run, steps, cell)."""
    convolutions = most_convolutions(space)
    bad = space.offers(culprit(space))
    all_bad = tuple(
        int(row.argmax()) if row.any() else op for row, op in zip(bad, convolutions, strict=True)
    )
    rng = np.random.default_rng(mixed_seed(plan.seed, 5, space.name))
    drawn = [(RANDOM, run, space.sample(rng)) for run in range(plan.random)]
    fixed = [
        (CONVOLUTIONS, 0, space.architecture(convolutions)),
        (f"all {culprit(space)}", 0, space.architecture(all_bad)),
    ]
    return [(space.name, name, run, 0, cell) for name, run, cell in [*fixed, *drawn]]


# --- what one process does ----------------------------------------------------------------------


def _search(task: _Search) -> _Found:
    import torch

    from nassim.oneshot.base import Journal, Trained
    from nassim.oneshot.data import SearchData, search_data
    from nassim.oneshot.mixture import Mixture, note_gap, small_alphas
    from nassim.oneshot.pdarts import CappedMixture
    from nassim.oneshot.robustdarts import hessian_eigenvalue
    from nassim.oneshot.supernet import Supernet, build_supernet

    plan, space = task.plan, _space(task.space)
    images = _images(plan)
    recipe = plan.recipe(len(images.y_train))
    method = build_one_shot(task.method)
    seed = mixed_seed(plan.seed, task.run, task.space)  # the same for every method

    class Watched(Journal):
        """Notes what the method does not, and disturbs nothing: its chance is its own."""

        def __init__(self, data: SearchData, supernet: Supernet) -> None:
            super().__init__()
            self.data = data
            rng = np.random.default_rng([seed, 1])
            self.judged = next(data.architecture_batches(_BATCH, rng))
            self.start = small_alphas(supernet, rng)

        def finished(self, step: int, steps: int, trained: Trained) -> None:
            super().finished(step, steps, trained)
            if step % plan.every == 0 and isinstance(trained, Mixture):
                self.look(trained)

        def look(self, mixture: Mixture) -> None:
            eigenvalue = hessian_eigenvalue(mixture, self.judged, self.start)
            self.note(self.step, "eigenvalue", eigenvalue)
            self.note(self.step, "culprits", mixture.names().count(culprit(space)))
            note_gap(self, mixture, self.data)

    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # the same numbers whatever the machine
    try:
        data = search_data(images, recipe, architecture_share=method.architecture_share, seed=seed)
        supernet = build_supernet(
            space,
            channels=recipe.channels,
            cells=recipe.cells,
            classes=data.classes,
            inputs=images.record.shape[-1],
            affine=method.affine,
            generator=torch.Generator().manual_seed(seed),
        )
        journal = Watched(data, supernet)
        trained = method.train(supernet, data, np.random.default_rng(seed), journal)
        assert isinstance(trained, Mixture)
    finally:
        torch.set_num_threads(threads)
    picks = [(task.method.text, trained.discretise())]
    if task.method.text == "darts" and culprit(space) == "skip_connect":
        limited = CappedMixture(supernet, trained.alphas.detach(), 2)
        picks.append((LIMITED, limited.discretise()))
    last = {(point.step, point.name): point for point in journal.points}
    return _Found(tuple(picks), journal.step, tuple(last.values()))


def _train(task: _Training) -> tuple[float, float]:
    """Validation and test accuracy of a cell alone, after its last epoch."""
    import torch

    from nassim.generator.train import train

    images = _images(task.plan)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        run = train(task.cell, images, task.plan.recipe(len(images.y_train)), seed=task.run)
    finally:
        torch.set_num_threads(threads)
    if run.status != "ok":
        raise InputError(
            f"{task.cell.id!r} could not be trained alone ({run.status}: {run.reason}); take more "
            "images, or another dataset."
        )
    return float(run.scores["valid"][-1]), float(run.scores["test"][-1])
