from __future__ import annotations

import math
import sys

import pytest

from nassim.errors import InputError
from nassim.spaces import SPACES, get_space
from nassim.spaces.configspace import architecture_of, configuration_space


@pytest.mark.parametrize("name", [name for name in SPACES if name != "table"])
def test_every_sample_of_the_export_is_an_architecture(name: str) -> None:
    space = get_space(name)
    exported = configuration_space(space, seed=0)
    assert len(exported) == space.n_decisions
    found = []
    for configuration in exported.sample_configuration(150):
        try:
            found.append(architecture_of(space, configuration))
        except InputError:
            assert name == "nasbench101"  # more than nine edges
    if name == "nasbench101":
        assert found
        return
    cells = math.prod(space.n_choices)
    assert len({architecture.decisions for architecture in found}) > min(20, cells - 2)
    for position, choices in enumerate(space.n_choices):
        values = {architecture.decisions[position] for architecture in found}
        assert values <= set(range(choices))
        assert len(values) > 1 or choices == 1


def test_a_missing_decision_is_named() -> None:
    with pytest.raises(InputError, match="decision_02"):
        architecture_of(get_space("nasbench201_3nodes"), {"decision_00": 0, "decision_01": 0})


def test_a_bare_list_has_no_export() -> None:
    with pytest.raises(InputError, match="bare list"):
        configuration_space(get_space("table"))


def test_without_the_package_the_way_out_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ConfigSpace", None)
    with pytest.raises(InputError, match=r"nassim\[configspace\]"):
        configuration_space(get_space("nasnet"))
