"""From a name to an object, importing only what is named.

Each folder of methods has a table of dotted paths, ``{"last_value": "nassim....:LastValue"}``,
so that a help text lists methods without importing one, and torch is loaded only by the method
that needs it. A specification is ``name`` or ``name:option=value:option=value``; a user's own
class is ``module:Class``, again with options behind it.
"""

from __future__ import annotations

import ast
import importlib
import inspect
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from nassim.errors import InputError, unknown_name

__all__ = ["Specification", "build", "load", "parse_specification", "parse_specifications"]

_BETWEEN_SPECIFICATIONS = re.compile(r",(?![^(]*\))")  # a comma, but not one of "epochs=(1, 2)"


@dataclass(frozen=True)
class Specification:
    """A parsed method specification: where the class is, and the options to build it with."""

    text: str
    name: str
    path: str
    options: tuple[tuple[str, Any], ...] = ()


def parse_specification(text: str, known: Mapping[str, str], kind: str) -> Specification:
    """Parse ``name:option=value`` against a table of known names.

    >>> table = {"asha": "nassim.terminators.asha:ASHA"}
    >>> parse_specification("asha:eta=4", table, "terminator").options
    (('eta', 4),)

    Raises
    ------
    UnknownNameError
        if no method of this kind is called so.
    InputError
        if an option is not of the form ``option=value``, or is given twice.
    """
    parts = [part.strip() for part in text.strip().split(":")]
    name, rest = parts[0], parts[1:]
    if name in known:
        path = known[name]
    elif rest and "=" not in rest[0]:  # module:Class
        path = f"{name}:{rest[0]}"
        name, rest = path, rest[1:]
    else:
        raise unknown_name(kind, name, known)
    options: dict[str, Any] = {}
    for part in rest:
        key, equals, value = part.partition("=")
        if not equals or not key.isidentifier():
            raise InputError(
                f"Option {part!r} of {kind} {name!r} cannot be read; "
                f"expected option=value, as in '{name}:eta=3'."
            )
        if key in options:
            raise InputError(f"Option {key!r} of {kind} {name!r} is given twice; give it once.")
        options[key] = _value(value)
    return Specification(text.strip(), name, path, tuple(sorted(options.items())))


def parse_specifications(text: str, known: Mapping[str, str], kind: str) -> list[Specification]:
    """Parse a comma-separated list of specifications; naming the same one twice is an error."""
    parts = _BETWEEN_SPECIFICATIONS.split(text)
    specifications = [parse_specification(part, known, kind) for part in parts if part.strip()]
    if not specifications:
        raise InputError(f"No {kind} is named in {text!r}; expected names separated by commas.")
    seen: dict[object, str] = {}
    for specification in specifications:
        meaning = (specification.path, repr(specification.options))
        if meaning in seen:
            raise InputError(
                f"{kind.capitalize()} {specification.text!r} is named twice (before as "
                f"{seen[meaning]!r}); name it once."
            )
        seen[meaning] = specification.text
    return specifications


def load(path: str) -> Any:
    """The object at ``module:name`` (``module:Class``)."""
    module_name, _, attribute = path.partition(":")
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name is not None and module_name.split(".")[0] == error.name.split(".")[0]:
            raise InputError(
                f"Module {module_name!r} (of {path!r}) cannot be imported; expected a module on "
                "the Python path, as in 'mymodule:MyClass'."
            ) from error
        raise
    try:
        return getattr(module, attribute)
    except AttributeError as error:
        raise InputError(f"Module {module_name!r} has no {attribute!r} (of {path!r}).") from error


def build(specification: Specification, kind: str) -> Any:
    """Build the object of a specification with its options.

    Raises
    ------
    InputError
        if an option is unknown, or its value is refused by the method.
    """
    factory = load(specification.path)
    if not callable(factory):
        raise InputError(f"{specification.path!r} is no class; expected one, as in 'module:Class'.")
    signature = inspect.signature(factory)
    options = dict(specification.options)
    for name in options:
        if name not in signature.parameters:
            accepted = ", ".join(signature.parameters) or "none"
            raise InputError(
                f"{kind.capitalize()} {specification.name!r} has no option {name!r}; "
                f"it takes: {accepted}."
            )
    try:
        signature.bind(**options)
    except TypeError as error:
        raise InputError(
            f"{kind.capitalize()} {specification.name!r} cannot be built: {error}; give it as an "
            "option, as in 'name:option=value'."
        ) from error
    return factory(**options)


def _value(text: str) -> Any:
    """A Python literal where it is one, ``true``/``false``, else the text itself."""
    lowered = text.strip().lower()
    if lowered in ("true", "false"):
        return lowered == "true"
    try:
        value = ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text.strip()
    return tuple(value) if isinstance(value, list) else value  # a specification can be hashed
