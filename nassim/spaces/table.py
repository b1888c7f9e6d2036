"""A bare list of candidates, as an imported table has them: any text is an architecture."""

from __future__ import annotations

from nassim.errors import InputError
from nassim.records import Architecture
from nassim.spaces.base import Space

__all__ = ["TableSpace"]


class TableSpace(Space):
    """No decisions, no sampling: what a candidate is stays in its text.

    >>> TableSpace().parse("[C(64,5,1), GAP(10), SM(10)]").decisions
    ()
    """

    name = "table"
    n_choices = ()

    def parse(self, text: str) -> Architecture:
        if not text:
            raise InputError("An architecture's text is empty; expected a name.")
        return Architecture(self.name, (), text, text)

    def decisions(self, text: str) -> tuple[int, ...]:
        return ()

    def format(self, decisions: tuple[int, ...]) -> str:
        raise InputError("Space 'table' has no decisions; take architectures from a store.")

    def canonical(self, decisions: tuple[int, ...]) -> str:
        raise InputError("Space 'table' has no decisions; take architectures from a store.")
