"""Every method of the tables keeps the contract of its kind; see ``nassim.checks``."""

from __future__ import annotations

import pytest

from nassim.checks.optimizers import check_optimizer
from nassim.checks.terminators import check_terminator
from nassim.optimizers import OPTIMIZERS
from nassim.terminators import TERMINATORS

CHEAP = {"lcranknet": "lcranknet:steps=5"}  # learns just enough to be deterministic
VARIANTS = (
    "lcranknet:steps=5:at_zero=true:fusion=concat",
    "asha:variant=promotion:eta=2",
    "hyperband:rounding=ceil",
    "last_value:statistic=best:epochs=every:delta=0.5",
    "median:variant=syne_tune:grace_epochs=1",
    "successive_halving:eta=2:min_epochs=2:n=9",
)


@pytest.mark.parametrize("specification", [*(CHEAP.get(n, n) for n in TERMINATORS), *VARIANTS])
def test_a_terminator_keeps_its_contract(specification: str) -> None:
    assert "check_unpaid_values" in check_terminator(specification)


@pytest.mark.parametrize("specification", [CHEAP.get(name, name) for name in OPTIMIZERS])
def test_an_optimizer_keeps_its_contract(specification: str) -> None:
    assert "check_untold_values" in check_optimizer(specification)
