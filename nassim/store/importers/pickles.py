"""Other people's pickles, read without running anything: plain containers and numpy values only."""

from __future__ import annotations

import collections
import io
import pickle
from typing import Any

import numpy as np

from nassim.errors import InputError
from nassim.store.importers.base import one_line

__all__ = ["unpickle"]

# The functions by which numpy rebuilds its values moved between its versions; we take ours.
_ALLOWED: dict[tuple[str, str], Any] = {
    ("builtins", "set"): set,
    ("builtins", "frozenset"): frozenset,
    ("collections", "OrderedDict"): collections.OrderedDict,
    ("numpy", "dtype"): np.dtype,
    ("numpy", "ndarray"): np.ndarray,
}
for _module in ("numpy.core.multiarray", "numpy._core.multiarray"):
    _ALLOWED[_module, "scalar"] = np.float64(0.0).__reduce__()[0]
    _ALLOWED[_module, "_reconstruct"] = np.zeros(0).__reduce__()[0]


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        try:
            return _ALLOWED[module, name]
        except KeyError:
            raise InputError(
                f"names {module}.{name}, which is not run; expected plain containers, numbers, "
                "texts and numpy arrays only"
            ) from None


def unpickle(content: bytes, name: str) -> Any:
    """The object in a pickle. ``name`` is the file's, for the message.

    >>> unpickle(pickle.dumps({"a": [1, np.float64(2.0)]}), "a.pkl")
    {'a': [1, np.float64(2.0)]}
    >>> unpickle(pickle.dumps(print), "evil.pkl")  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    nassim.errors.InputError: Pickle evil.pkl names builtins.print, which is not run; ...

    Raises
    ------
    InputError
        if it is no pickle, is truncated, or names any other class or function.
    """
    try:
        return _Unpickler(io.BytesIO(content)).load()
    except InputError as error:
        raise InputError(
            f"Pickle {name} {error}; take the file from its original source."
        ) from None
    except Exception as error:  # damaged bytes raise anything at all
        raise InputError(
            f"{name} cannot be read as a pickle ({one_line(error)}); expected the original file: "
            "fetch it again."
        ) from error
