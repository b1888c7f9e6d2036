"""What the studies of terminators share: building methods, their seeds, and doing many fits."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

from nassim.cluster import each_on
from nassim.errors import InputError
from nassim.loading import Specification, build
from nassim.terminators.base import Estimator, Terminator

__all__ = ["build_estimator", "build_terminator", "each_task", "mixed_seed"]

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


def each_task(
    run: Callable[[_Task], _Answer], queue: Sequence[_Task], workers: int, ray: str | None = None
) -> Iterator[_Answer]:
    """The answers to all tasks, in whatever order they finish; see ``run_termination``."""
    if ray is not None:
        yield from each_on(ray, run, queue)
    elif workers == 1:
        yield from map(run, queue)
    else:
        from joblib import Parallel, delayed

        parallel = Parallel(n_jobs=workers, return_as="generator_unordered")
        yield from parallel(delayed(run)(task) for task in queue)


def mixed_seed(*parts: int | str) -> int:
    """One number from several, the same on every machine.

    >>> mixed_seed(0, 1, "digits") == mixed_seed(0, 1, "digits") != mixed_seed(0, 2, "digits")
    True
    """
    return zlib.crc32(":".join(map(str, parts)).encode())
