"""One column of one dataset in memory: an entry by name or by position, one or many at a time; and
the values that curves end with."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from operator import itemgetter
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nassim.errors import InputError

__all__ = ["Lookup", "at_end"]


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
        "_by_name",
        "_by_seed",
        "_flat",
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
        self.values = np.ascontiguousarray(values)
        self._width = values.shape[1]
        self._flat = self.values.reshape(-1)
        # Indexing a memoryview gives a Python float twice as fast as indexing an array.
        self._view = memoryview(self._flat)  # type: ignore[arg-type]  # an array is a buffer
        self._by_name = self._starts_of_single_runs()
        self._by_seed: dict[tuple[str, int], int] | None = None  # made when a seed is first named

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
            if seed is None:
                start = self._by_name[architecture]
            else:
                start = (self._by_seed or self._starts())[architecture, seed]
            if 0 < epoch <= self._width:
                return self._view[start + epoch]
        except (KeyError, TypeError):
            pass
        raise self._fault(architecture, seed) or self._no_epoch(epoch)

    def many(
        self, architectures: Sequence[str], epochs: ArrayLike, seeds: ArrayLike | None = None
    ) -> NDArray[np.float32]:
        """The values ``(n,)`` of ``n`` architectures.

        Epochs and seeds are one for each, or one for all.
        """
        names = architectures.tolist() if isinstance(architectures, np.ndarray) else architectures
        checked = self._checked_epochs(epochs, len(names))
        known: Mapping[Any, int] = self._by_name
        keys: Sequence[Any] = names
        if seeds is not None:
            known = self._by_seed or self._starts()
            chosen = np.asarray(seeds)
            _check_count("seeds", chosen, len(names))
            keys = list(zip(names, np.broadcast_to(chosen, len(names)).tolist(), strict=True))
        try:
            starts = np.fromiter(_all_of(known, keys), np.intp, len(names))
        except (KeyError, TypeError):
            pairs = zip(names, itertools.repeat(None)) if seeds is None else keys
            faults = (self._fault(*pair) for pair in pairs)
            raise next(fault for fault in faults if fault is not None) from None
        return self._flat.take(starts + checked)

    def at(self, rows: ArrayLike, epochs: ArrayLike) -> NDArray[np.float32]:
        """The values ``(n,)`` at row numbers (from 0); epochs are one for each, or one for all."""
        numbers = np.asarray(rows)
        if numbers.size and (
            numbers.dtype.kind not in "iu" or numbers.min() < 0 or numbers.max() >= len(self)
        ):
            raise InputError(
                f"Rows {_range(numbers)} were asked for; expected integers from 0 to "
                f"{len(self) - 1}."
            )
        checked = self._checked_epochs(epochs, numbers.size)
        found: NDArray[np.float32] = self.values[numbers.astype(np.intp, copy=False), checked - 1]
        return found

    def _starts(self) -> dict[tuple[str, int], int]:
        """Where each run's epoch 0 would be in the flat view."""
        keys = zip(self.architectures.tolist(), self.seeds.tolist(), strict=True)
        self._by_seed = {key: row * self._width - 1 for row, key in enumerate(keys)}
        return self._by_seed

    def _starts_of_single_runs(self) -> dict[str, int]:
        """The same, by the name of each architecture that was trained once."""
        starts: dict[str, int] = {}
        repeated: set[str] = set()
        for row, name in enumerate(self.architectures.tolist()):
            if starts.setdefault(name, row * self._width - 1) != row * self._width - 1:
                repeated.add(name)
        for name in repeated:
            del starts[name]
        return starts

    def _checked_epochs(self, epochs: ArrayLike, n: int) -> NDArray[np.integer]:
        checked = np.asarray(epochs)
        _check_count("epochs", checked, n)
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

    def _fault(self, architecture: object, seed: object = None) -> InputError | None:
        """What is wrong with these as the name of one run, if anything."""
        where = f"on dataset {self.dataset!r}"
        named = [
            row for row, name in enumerate(self.architectures.tolist()) if name == architecture
        ]
        found = self.seeds[named].tolist()
        known = ", ".join(str(number) for number in found)
        if not found:
            return InputError(
                f"No architecture {architecture!r} was trained {where}; "
                f"{len(set(self.architectures))} others were, see Lookup.architectures."
            )
        if seed is None and len(found) > 1:
            return InputError(
                f"Architecture {architecture!r} has several seeds: {known}; "
                f"say which: seed={found[0]}."
            )
        if seed is not None and seed not in found:
            return InputError(
                f"Architecture {architecture!r} was not trained with seed {seed!r} {where}; seeds "
                f"that exist: {known}."
            )
        return None


def _all_of(known: Mapping[Any, int], keys: Sequence[Any]) -> Sequence[int]:
    """What is known of each key; twice as fast as a loop that asks one by one."""
    if len(keys) < 2:  # itemgetter would not answer with a tuple
        return [known[key] for key in keys]
    found: tuple[int, ...] = itemgetter(*keys)(known)
    return found


def _check_count(what: str, values: NDArray[Any], n: int) -> None:
    if values.ndim and values.shape != (n,):
        raise InputError(f"{n} runs but {what} {values.shape} were given; expected {n} or one.")


def _range(values: NDArray[Any]) -> str:
    if values.dtype.kind not in "iuf":
        return f"of kind {values.dtype}"
    return f"{values.min()} to {values.max()} ({values.dtype})"


def at_end(curves: NDArray[np.float32], epochs: NDArray[np.integer]) -> NDArray[np.float32]:
    """The value after each run's last epoch, (runs,); NaN of a run without epochs.

    >>> at_end(np.array([[0.1, 0.2], [0.3, np.nan]], np.float32), np.array([2, 1])).tolist()
    [0.20000000298023224, 0.30000001192092896]
    """
    padded = np.column_stack([np.full(len(curves), np.nan, np.float32), curves])
    ends: NDArray[np.float32] = padded[np.arange(len(curves)), epochs]
    return ends
