"""What the studies of terminators share: building methods, their seeds, and doing many fits."""

from __future__ import annotations

import functools
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import nassim
from nassim.cluster import each_on
from nassim.errors import InputError
from nassim.loading import Specification, build, parse_specifications
from nassim.store import Store
from nassim.studies.folds import LEAKAGE, Fold, FoldPlan, load_fold, target_names
from nassim.terminators import TERMINATORS
from nassim.terminators.base import Estimator, Terminator

__all__ = [
    "Fit",
    "build_estimator",
    "build_terminator",
    "each_fit",
    "each_task",
    "mixed_seed",
    "stamp_of",
]

_Row = dict[str, Any]

_Task = TypeVar("_Task")
_Answer = TypeVar("_Answer")


def build_terminator(specification: Specification) -> Terminator:
    """The terminator of a specification.

    Raises
    ------
    InputError
        if an option is unknown or refused, or the class is no terminator.
    """
    terminator = build(specification, "terminator")
    if not isinstance(terminator, Terminator):
        raise InputError(
            f"{specification.path!r} is a {type(terminator).__name__}; expected a subclass of "
            "nassim.terminators.base.Terminator (Estimator, Rule)."
        )
    return terminator


def build_estimator(specification: Specification) -> Estimator:
    """The estimator of a specification; a schedule or another rule is refused.

    Raises
    ------
    InputError
        as :func:`build_terminator`, and if the method says nothing about how good a run will be.
    """
    terminator = build_terminator(specification)
    if not isinstance(terminator, Estimator):
        raise InputError(
            f"{specification.text!r} does not say how good a run will be; expected estimators, as "
            "last_value or lcranknet."
        )
    return terminator


@dataclass(frozen=True)
class Fit:
    """One fit of an estimator: what one process does at a time. ``plan`` is the study's."""

    folds: FoldPlan
    plan: Any  # with methods, model_seeds and seed
    target: str
    specification: Specification
    model_seed: int

    def fitted(self, fold: Fold) -> Estimator:
        """The estimator, fitted on the sources of the target's fold."""
        estimator = build_estimator(self.specification)
        estimator.fit(fold.sources, mixed_seed(self.plan.seed, self.model_seed, self.target))
        return estimator


def each_fit(
    study: str,
    rows_of: Callable[[Fit], list[_Row]],
    plan: Any,
    folds: FoldPlan,
    targets: Sequence[str] | None,
    workers: int,
    progress: Callable[[int, int, str], None] | None,
) -> list[_Row]:
    """The rows of a study of estimators, by target, method and model seed, and where they are from.

    ``rows_of`` is called with each fit, in whatever process; it must be a function of a module.

    Raises
    ------
    InputError
        if a method or target is unknown, a method is no estimator, or it cannot learn because no
        source is left.
    """
    store = Store.open(folds.store)
    specifications = parse_specifications(plan.methods, TERMINATORS, "terminator")
    learns = [build_estimator(spec).uses_sources for spec in specifications]
    names = target_names(store) if targets is None else list(targets)
    for name in names:
        load_fold(folds, name)  # before the work: what is wrong shows now
    fits = [
        Fit(folds, plan, name, spec, model_seed)
        for name in names
        for spec, fitted in zip(specifications, learns, strict=True)
        for model_seed in range(plan.model_seeds if fitted else 1)
    ]
    stamp = stamp_of(study, store, folds, plan.seed)
    answers: dict[Fit, list[_Row]] = {}
    for done, (fit, rows) in enumerate(each_task(rows_of, fits, workers), start=1):
        answers[fit] = rows
        if progress is not None:
            progress(done, len(fits), f"{fit.target} {fit.specification.text}")
    return [row | stamp for fit in fits for row in answers[fit]]


def stamp_of(study: str, store: Store, folds: FoldPlan, seed: int) -> dict[str, Any]:
    """Where the rows of a study come from: the same columns in all of them."""
    return {
        "study": study,
        "store": store.name,
        "store_sha": folds.store_sha,
        "metric": store.metric.name,
        "pool": folds.pool,
        "leave_out": folds.leave_out,
        "quality": folds.quality,
        "source_datasets": folds.source_datasets,
        "source_architectures": folds.source_architectures,
        "shuffled_sources": folds.shuffled_sources,
        "leakage": LEAKAGE[folds.split],
        "seed": seed,
        "nassim_version": nassim.__version__,
    }


def each_task(
    run: Callable[[_Task], _Answer], queue: Sequence[_Task], workers: int, ray: str | None = None
) -> Iterator[tuple[_Task, _Answer]]:
    """Each task with its answer, in whatever order they finish; see ``run_termination``."""
    run_named = functools.partial(_with_task, run)
    if ray is not None:
        yield from each_on(ray, run_named, queue)
    elif workers == 1:
        yield from map(run_named, queue)
    else:
        from joblib import Parallel, delayed
        from joblib.externals.loky import get_reusable_executor

        parallel = Parallel(n_jobs=workers, return_as="generator_unordered")
        yield from parallel(delayed(run_named)(task) for task in queue)
        # Idle processes would end by themselves after five minutes; work that is handed out at just
        # that moment was seen to wait for ever.
        get_reusable_executor().shutdown(wait=True)


def _with_task(run: Callable[[_Task], _Answer], task: _Task) -> tuple[_Task, _Answer]:
    return task, run(task)


def mixed_seed(*parts: int | str) -> int:
    """One number from several, the same on every machine.

    >>> mixed_seed(0, 1, "digits") == mixed_seed(0, 1, "digits") != mixed_seed(0, 2, "digits")
    True
    """
    return zlib.crc32(":".join(map(str, parts)).encode())
