"""Nested LCRankNet: which form the sources choose, and that it then is that form."""

from __future__ import annotations

import dataclasses
import functools

import numpy as np
import pytest

from nassim.checks.planted import planted_tasks
from nassim.errors import InputError
from nassim.records import FloatArray, Incumbent, Prefixes, Sources, SourceTask
from nassim.terminators.lcranknet import LCRankNet
from nassim.terminators.lcranknet_nested import FORMS, NestedLCRankNet

STEPS = 40


@functools.cache
def planted(rho: float) -> tuple[SourceTask, ...]:
    """Four datasets; architectures are worth the same on all of them (1), or nothing known (0)."""
    return planted_tasks(n_datasets=4, n=60, epochs=12, rho=rho, noise=0.0)


@functools.cache
def fitted(rho: float) -> NestedLCRankNet:
    """Fitted on all but the last of them; remembered, so do not change it."""
    estimator = NestedLCRankNet(steps=STEPS, left_out=2)
    estimator.fit(Sources(planted(rho)[:-1]), seed=0)
    return estimator


def cut(task: SourceTask, epoch: int) -> Prefixes:
    return Prefixes(
        task.architectures, task.curves[:, :epoch], task.n_params, task.flops, task.curves.shape[1]
    )


def test_what_holds_elsewhere_is_read_and_what_does_not_is_not() -> None:
    reads = {
        rho: [FORMS[form].get("architecture", True) for form in fitted(rho).chosen.values()]
        for rho in (0.0, 1.0)
    }
    assert reads[1.0][:4] == [True] * 4  # after 0, 1, 2, 3 epochs; later the curve says all
    assert reads[0.0] == [True] + [False] * 5  # before the first there is nothing else to read


def test_it_scores_as_the_form_that_was_chosen() -> None:
    nested = fitted(0.0)
    for epoch in (0, 4, 9):
        length = max(length for length in nested.chosen if length <= epoch)
        form = LCRankNet(steps=STEPS, **FORMS[nested.chosen[length]])
        form.fit(Sources(planted(0.0)[:-1]), seed=0)
        prefixes = cut(planted(0.0)[-1], epoch)
        scores = nested.estimate(prefixes)
        np.testing.assert_array_equal(scores, form.estimate(prefixes))
        incumbent = Incumbent(0.9, scores[:1])
        expected: FloatArray = form.probability(scores, incumbent)
        np.testing.assert_array_equal(nested.probability(scores, incumbent), expected)


def test_datasets_that_are_not_left_out_are_learned_from() -> None:
    """All of them are: what is left out to choose is not left out afterwards."""
    changed = dataclasses.replace(planted(1.0)[0], values=-planted(1.0)[0].values)
    other = NestedLCRankNet(steps=STEPS, left_out=2)
    other.fit(Sources((changed, *planted(1.0)[1:-1])), seed=0)
    prefixes = cut(planted(1.0)[-1], 3)
    assert (other.estimate(prefixes) != fitted(1.0).estimate(prefixes)).any()


def test_one_source_cannot_be_left_out() -> None:
    with pytest.raises(InputError, match=r"1 source dataset\(s\).* at least three datasets"):
        NestedLCRankNet().fit(Sources(planted(1.0)[:1]), seed=0)
    with pytest.raises(InputError, match="must be fitted"):
        NestedLCRankNet().estimate(cut(planted(1.0)[0], 1))
    with pytest.raises(InputError, match="left_out is 0"):
        NestedLCRankNet(left_out=0)
