"""Every error that nassim raises on purpose.

::

    NassimError                 exit code 1: the work failed
    ├── InputError              exit code 2: a value is not what was expected
    │   ├── UnknownNameError    a name that nothing is called by
    │   └── StoreError          a store on disk is not what it should be
    │       └── DuplicateKeyError
    ├── MissingDependencyError  exit code 2: an extra is not installed
    ├── DataUnavailableError    training data could not be reached
    └── ContractError           a method broke the contract of its kind
        └── LeakageError        it used what it must not see

A message names the value, what was expected, and the way out, in one line.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable

__all__ = [
    "ContractError",
    "DataUnavailableError",
    "DuplicateKeyError",
    "InputError",
    "LeakageError",
    "MissingDependencyError",
    "NassimError",
    "StoreError",
    "UnknownNameError",
    "unknown_name",
]


class NassimError(Exception):
    """Base of all errors of this package."""

    exit_code = 1


class InputError(NassimError, ValueError):
    """A value is not what was expected."""

    exit_code = 2


class UnknownNameError(InputError):
    """Nothing is called by this name."""


class StoreError(InputError):
    """A store on disk is not what it should be."""


class DuplicateKeyError(StoreError):
    """Two runs share one key; the message names both."""


class MissingDependencyError(NassimError):
    """An optional package is needed and not installed."""

    exit_code = 2


class DataUnavailableError(NassimError):
    """Training data could not be reached; the message says where it was looked for."""


class ContractError(NassimError):
    """A method broke the contract of its kind."""


class LeakageError(ContractError):
    """A method used what it must not see."""


def unknown_name(kind: str, name: str, known: Iterable[str]) -> UnknownNameError:
    """The error for a name that nothing is called by, with the nearest known one.

    >>> print(unknown_name("optimizer", "evolutoin", ["random", "evolution"]))
    No optimizer is called 'evolutoin'. Did you mean 'evolution'? Known: evolution, random.
    """
    names = sorted(known)
    near = difflib.get_close_matches(name, names, n=1)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    article = f"No {kind} is called {name!r}.{hint}"
    return UnknownNameError(f"{article} Known: {', '.join(names) or 'none'}.")
