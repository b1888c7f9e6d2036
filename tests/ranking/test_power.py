import math

import numpy as np
import pytest
import scipy.stats

from nassim.errors import InputError
from nassim.ranking.power import (
    POWER,
    detectable_gap,
    examples_needed,
    repetitions_needed,
    resolvable_gap,
    runs_needed,
)

STUDIES = 4000
ERROR = 3 * math.sqrt(POWER * (1 - POWER) / STUDIES)


@pytest.mark.parametrize("gap", [0.4, 1.0])
def test_so_many_repetitions_have_the_power_that_they_were_chosen_for(gap):
    n = int(repetitions_needed(0.8, gap))
    differences = np.random.default_rng(0).normal(gap, 0.8, (STUDIES, n))
    seen = np.mean(scipy.stats.ttest_1samp(differences, 0, axis=1).pvalue < 0.05)
    assert POWER - ERROR < seen < POWER + ERROR + 0.05  # whole numbers round up


def test_so_many_runs_of_each_architecture_have_the_power():
    n = int(runs_needed(0.02, 0.02))
    left, right = np.random.default_rng(0).normal(0, 0.02, (2, STUDIES, n))
    seen = np.mean(scipy.stats.ttest_ind(left, right + 0.02, axis=1).pvalue < 0.05)
    assert POWER - ERROR < seen < POWER + ERROR + 0.03


def test_the_gap_that_examples_show_is_seen_in_that_many():
    gap = resolvable_gap(0.8, 2000)
    rng = np.random.default_rng(0)
    middle = 0.8
    a, b = (rng.binomial(2000, middle + way * gap / 2, 20_000) / 2000 for way in (1, -1))
    apart = (a - b) / np.sqrt((a * (1 - a) + b * (1 - b)) / 2000)
    assert np.mean(np.abs(apart) > 1.96) == pytest.approx(POWER, abs=0.015)
    assert examples_needed(0.8, gap) == pytest.approx(2000, abs=1)


def test_the_two_directions_agree():
    for n in (5, 20, 300):
        assert repetitions_needed(0.7, detectable_gap(0.7, n) * (1 + 1e-9)) == n
    assert math.isnan(detectable_gap(0.7, 1))


def test_half_the_gap_takes_four_times_as_many():
    assert repetitions_needed(1, 0.05) == pytest.approx(4 * repetitions_needed(1, 0.1), rel=0.01)


def test_without_noise_two_are_enough_and_what_is_unknown_stays_unknown():
    assert repetitions_needed(0.0, 0.1) == 2
    assert repetitions_needed(1.0, 1e-300) == math.inf
    for size in (repetitions_needed, runs_needed, examples_needed):
        assert math.isnan(size(math.nan, 0.1))
    assert math.isnan(resolvable_gap(math.nan, 100))
    assert math.isnan(resolvable_gap(0.5, 0))


@pytest.mark.parametrize(
    ("change", "message"),
    [({"gap": 0.0}, "gap is 0"), ({"gap": math.nan}, "gap is nan"), ({"power": 80}, "power is 80"),
     ({"level": 0}, "level is 0")],
)  # fmt: skip
def test_odd_questions_are_refused(change, message):
    with pytest.raises(InputError, match=message):
        repetitions_needed(**({"deviation": 1.0, "gap": 0.1} | change))
