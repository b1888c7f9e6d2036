"""Every method of the tables keeps the contract of its kind; see ``nassim.checks``."""

from __future__ import annotations

import time
from collections.abc import Mapping

import pytest
import torch

from nassim.checks.oneshot import check_one_shot, check_pick, one_shot_factory, spaces_of
from nassim.checks.optimizers import check_optimizer
from nassim.checks.terminators import check_terminator
from nassim.loading import load
from nassim.oneshot import ONE_SHOT
from nassim.optimizers import OPTIMIZERS
from nassim.terminators import TERMINATORS

VARIANTS = (
    "lcranknet:steps=5:at_zero=true:fusion=concat",
    "lcranknet:steps=2:transfer=false:curves=6",
    "asha:variant=promotion:eta=2",
    "baker:train_on=target:curves=6:epochs=(1,4,9)",
    "chandrashekaran:train_on=sources",
    "hyperband:rounding=ceil",
    "last_value:statistic=best:epochs=every:delta=0.5",
    "median:variant=syne_tune:grace_epochs=1",
    "rush:eta=2:best=3",
    "successive_halving:eta=2:min_epochs=2:n=9",
)
ONE_SHOT_VARIANTS = (
    "darts:order=2:steps=2:batch_size=8",
    "robustdarts:drop_path=0.3:steps=3:batch_size=8",
    "sdarts:attack=2:steps=2:batch_size=8",
    "spos:law=strings:steps=8:batch_size=16",
)
OPTIMIZER_VARIANTS = (
    "bounding_box:best=3",
    "copula:update=true",
    "nearest_dataset:evaluations=1",
    "ridge:update=true:normalise=rank",
)


def quick(table: Mapping[str, str]) -> list[str]:
    """A specification of each method, with the options that make it cheap."""
    return [
        ":".join(
            [name, *(f"{option}={value}" for option, value in load(path).quick_options.items())]
        )
        for name, path in table.items()
    ]


@pytest.mark.parametrize("specification", [*quick(TERMINATORS), *VARIANTS])
def test_a_terminator_keeps_its_contract(specification: str) -> None:
    assert "check_unpaid_values" in check_terminator(specification)


@pytest.mark.parametrize("specification", [*quick(OPTIMIZERS), *OPTIMIZER_VARIANTS])
def test_an_optimizer_keeps_its_contract(specification: str) -> None:
    assert "check_untold_values" in check_optimizer(specification)


@pytest.mark.parametrize("specification", quick(ONE_SHOT))
def test_a_one_shot_method_has_a_quick_form(specification: str) -> None:
    """Options so small that all contracts of all methods can be checked each time."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    factory = one_shot_factory(specification)
    space = spaces_of(factory())[0]

    def seconds() -> float:
        began = time.process_time()
        check_pick(factory, space)  # trains once
        return time.process_time() - began

    try:
        # the first time may be that of imports
        assert seconds() < 2 or seconds() < 2
    finally:
        torch.set_num_threads(threads)


@pytest.mark.parametrize("specification", [*quick(ONE_SHOT), *ONE_SHOT_VARIANTS])
def test_a_one_shot_method_keeps_its_contract(specification: str) -> None:
    assert "check_inactive" in check_one_shot(specification)
