"""Spaces for optimizers that speak ConfigSpace (``pip install 'nassim[configspace]'``)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from nassim.errors import InputError
from nassim.records import Architecture
from nassim.spaces.base import Space

if TYPE_CHECKING:
    from ConfigSpace import ConfigurationSpace

__all__ = ["architecture_of", "configuration_space"]


def configuration_space(space: Space, *, seed: int | None = None) -> ConfigurationSpace:
    """The space with one categorical hyperparameter a decision, ``decision_00`` and on.

    >>> from nassim.spaces import get_space
    >>> space = get_space("nasbench201_3nodes")
    >>> exported = configuration_space(space, seed=0)
    >>> exported["decision_00"].choices
    (0, 1, 2, 3, 4)
    >>> architecture_of(space, {"decision_00": 3, "decision_01": 1, "decision_02": 0}).decisions
    (3, 1, 0)

    Raises
    ------
    InputError
        if ConfigSpace is not installed, or the space has no decisions.
    """
    try:
        from ConfigSpace import CategoricalHyperparameter, ConfigurationSpace
    except ImportError as error:
        raise InputError(
            "ConfigSpace is not installed; pip install 'nassim[configspace]'."
        ) from error
    if not space.n_choices:
        raise InputError(
            f"Space {space.name!r} is a bare list of candidates without decisions; take another."
        )
    exported = ConfigurationSpace(name=space.name, seed=seed)
    for name, choices in zip(_names(space), space.n_choices, strict=True):
        exported.add(CategoricalHyperparameter(name, list(range(choices))))
    return exported


def architecture_of(space: Space, configuration: Mapping[str, Any]) -> Architecture:
    """The architecture of a configuration of :func:`configuration_space`.

    Raises
    ------
    InputError
        if a decision is missing or out of range, or the space refuses the combination, as
        ``nasbench101`` does with more than nine edges.
    """
    names = _names(space)
    if missing := [name for name in names if name not in configuration]:
        raise InputError(
            f"The configuration has no {missing[0]!r}; expected one of space {space.name!r} with "
            f"{space.n_decisions} decisions."
        )
    return space.architecture(tuple(int(configuration[name]) for name in names))


def _names(space: Space) -> list[str]:
    return [f"decision_{k:02d}" for k in range(space.n_decisions)]
