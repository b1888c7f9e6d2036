from __future__ import annotations

import numpy as np
import pytest

from nassim.errors import InputError, UnknownNameError
from nassim.spaces import SPACES, get_space


def test_any_text_is_an_architecture() -> None:
    architecture = get_space("table").parse("[C(64,5,1), GAP(10)]")
    assert architecture.id == architecture.canonical_id == "[C(64,5,1), GAP(10)]"
    assert (architecture.space, architecture.decisions) == ("table", ())


def test_but_not_an_empty_one() -> None:
    with pytest.raises(InputError, match="text is empty; expected a name"):
        get_space("table").parse("")


def test_there_is_nothing_to_sample_from() -> None:
    with pytest.raises(InputError, match="Space 'table' has no decisions"):
        get_space("table").sample(np.random.default_rng(0))
    with pytest.raises(InputError, match="take architectures from a store"):
        get_space("table").canonical(())
    with pytest.raises(InputError, match="take architectures from a store"):
        list(get_space("table").every())


def test_an_unknown_space_is_refused() -> None:
    with pytest.raises(UnknownNameError, match="Did you mean 'nasnet'"):
        get_space("nasnett")


@pytest.mark.parametrize("name", SPACES)
def test_a_space_is_called_what_the_table_says(name: str) -> None:
    assert get_space(name).name == name
