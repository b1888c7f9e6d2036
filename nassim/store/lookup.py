"""One column of one dataset in memory: an entry by name or by position, one or many at a time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nassim.errors import InputError

__all__ = ["Lookup"]


class Lookup:
    """What was measured for an architecture after an epoch (counted from 1).

    ``architectures`` and ``seeds`` name the rows of ``values`` ``(runs, max_epochs)``. Where an
    architecture was trained with several seeds, the seed must be named: nothing is averaged or
    chosen silently. NaN is returned where the run had ended or nothing was measured.

    >>> names = np.array(["small", "large", "large"], object)
    >>> values = np.array([[0.5, 0.75], [0.25, 0.5], [0.25, 1.0]], np.float32)
    >>> lookup = Lookup("valid_accuracy", "digits", names, np.array([0, 0, 1]), values)
    >>> lookup("small", 2)
    0.75
    >>> lookup.many(["large", "large"], 2, seeds=[0, 1])
    array([0.5, 1. ], dtype=float32)
    >>> lookup("large", 1)
    Traceback (most recent call last):
    nassim.errors.InputError: Architecture 'large' has several seeds: 0, 1; say which: seed=0.
    """

    __slots__ = (
        "_flat",
        "_starts",
        "_view",
        "_width",
        "architectures",
        "column",
        "dataset",
        "seeds",
        "values",
    )

    def __init__(
        self,
        column: str,
        dataset: str,
        architectures: NDArray[np.object_],
        seeds: NDArray[np.integer],
        values: NDArray[np.float32],
    ) -> None:
        self.column = column
        self.dataset = dataset
        self.architectures = architectures
        self.seeds = seeds
        self.values = values
        self._width = values.shape[1]
        self._flat = np.ascontiguousarray(values).reshape(-1)
        self._view = memoryview(self._flat)  # type: ignore[arg-type]  # an array is a buffer
        # Where a run's epoch 0 would be in the flat view; by architecture where it has one seed.
        starts = (np.arange(len(values)) * self._width - 1).tolist()
        names, numbers = architectures.tolist(), seeds.tolist()
        self._starts: dict[Any, int] = dict(
            zip(zip(names, numbers, strict=True), starts, strict=True)
        )
        single = dict(zip(names, starts, strict=True))
        for name, start in zip(names, starts, strict=True):
            if single.get(name, start) != start:
                del single[name]
        self._starts.update(single)

    def __len__(self) -> int:
        return len(self.values)

    def __call__(self, architecture: str, epoch: int, seed: int | None = None) -> float:
        """The value after an epoch.

        Raises
        ------
        InputError
            if there is no such run, several seeds to choose from, or no such epoch.
        """
        try:
            start = self._starts[architecture if seed is None else (architecture, seed)]
            if 0 < epoch <= self._width:
                return self._view[start + epoch]
        except (KeyError, TypeError):
            pass
        self._explain_run(architecture, seed)
        raise self._no_epoch(epoch)

    def many(
        self, architectures: Sequence[str], epochs: ArrayLike, seeds: ArrayLike | None = None
    ) -> NDArray[np.float32]:
        """The values ``(n,)`` of ``n`` architectures.

        Epochs and seeds are one for each, or one for all.
        """
        names = architectures.tolist() if isinstance(architectures, np.ndarray) else architectures
        keys: Any = names
        if seeds is not None:
            keys = zip(names, np.broadcast_to(seeds, len(names)).tolist(), strict=True)
        try:
            starts = np.fromiter(map(self._starts.__getitem__, keys), np.intp, len(names))
        except (KeyError, TypeError):
            chosen = (
                [None] * len(names)
                if seeds is None
                else np.broadcast_to(seeds, len(names)).tolist()
            )
            for name, seed in zip(names, chosen, strict=True):
                self._explain_run(name, seed)
            raise
        checked = self._checked_epochs(epochs)
        try:
            return self._flat.take(starts + checked)
        except ValueError as error:
            raise _unequal(len(names), checked) from error

    def at(self, rows: ArrayLike, epochs: ArrayLike) -> NDArray[np.float32]:
        """The values ``(n,)`` at row numbers (from 0); epochs are one each, or one for all."""
        numbers = np.asarray(rows)
        if numbers.size and (
            numbers.dtype.kind not in "iu" or numbers.min() < 0 or numbers.max() >= len(self)
        ):
            raise InputError(
                f"Rows {_range(numbers)} were asked for; expected integers from 0 to "
                f"{len(self) - 1}."
            )
        checked = self._checked_epochs(epochs)
        try:
            places: NDArray[np.intp] = numbers.astype(np.intp, copy=False) * self._width
            return self._flat.take(places + (checked - 1))
        except ValueError as error:
            raise _unequal(numbers.size, checked) from error

    def _checked_epochs(self, epochs: ArrayLike) -> NDArray[np.integer]:
        checked = np.asarray(epochs)
        if checked.size and (
            checked.dtype.kind not in "iu" or checked.min() < 1 or checked.max() > self._width
        ):
            raise self._no_epoch(_range(checked))
        return checked.astype(np.intp, copy=False)

    def _no_epoch(self, epoch: object) -> InputError:
        return InputError(
            f"Epoch {epoch} was asked for; expected an integer from 1 to {self._width}, the "
            f"longest run on dataset {self.dataset!r}."
        )

    def _explain_run(self, architecture: object, seed: object) -> None:
        """Raise if these do not name exactly one run."""
        where = f"on dataset {self.dataset!r}"
        matches = np.array([name == architecture for name in self.architectures.tolist()], bool)
        found = self.seeds[matches].tolist()
        known = ", ".join(str(number) for number in found)
        if not found:
            raise InputError(
                f"No architecture {architecture!r} was trained {where}; "
                f"{len(set(self.architectures))} others were, see Lookup.architectures."
            )
        if seed is None and len(found) > 1:
            raise InputError(
                f"Architecture {architecture!r} has several seeds: {known}; "
                f"say which: seed={found[0]}."
            )
        if seed is not None and seed not in found:
            raise InputError(
                f"Architecture {architecture!r} was not trained with seed {seed!r} {where}; seeds "
                f"that exist: {known}."
            )


def _range(values: NDArray[Any]) -> str:
    if values.dtype.kind not in "iuf":
        return f"of kind {values.dtype}"
    return f"{values.min()} to {values.max()} ({values.dtype})"


def _unequal(n: int, epochs: NDArray[Any]) -> InputError:
    return InputError(f"{n} runs but {epochs.shape} epochs were given; expected one each, or one.")
