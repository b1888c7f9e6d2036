from __future__ import annotations

import math

import numpy as np
import pytest

from nassim.errors import InputError
from nassim.records import ACCURACY, Metric
from nassim.terminators.families import FAMILIES, accuracy_scale, fit_family

# at the default values, by the formulas of the paper: y(1) and y(10), worked out in plain Python
BY_HAND = {
    "vap": (math.exp(-0.622028 - 0.47005), math.exp(-0.622028 - 0.047005) * 10**0.042322),
    "pow3": (0.84 - 0.52, 0.84 - 0.52 * 10**-0.01),
    "loglog_linear": (0.0, math.log(math.log(10) + 1)),
    "hill3": (
        0.77232 / (2.460843**0.586449 + 1),
        0.77232 * 10**0.586449 / (2.460843**0.586449 + 10**0.586449),
    ),
    "log_power": (
        0.77 / (1 + math.exp(2.98) ** 0.51),
        0.77 / (1 + (10 / math.exp(2.98)) ** -0.51),
    ),
    "pow4": (0.8 - 200**-0.1, 0.8 - 2000**-0.1),
    "mmf": (0.7 - 0.6 / (1 + 0.01**5), 0.7 - 0.6 / (1 + 0.1**5)),
    "exp4": (0.7 - math.exp(-1.6), 0.7 - math.exp(-0.8 * 10**0.3 - 0.8)),
    "janoschek": (0.73 - 0.66 * math.exp(-0.355), 0.73 - 0.66 * math.exp(-0.355 * 10**0.46)),
    "weibull": (0.7 - 0.6 * math.exp(-0.01), 0.7 - 0.6 * math.exp(-0.1)),
    "ilog2": (0.78 - 0.43 / math.log(2), 0.78 - 0.43 / math.log(11)),
}
ENDS = {  # where a curve ends after ever so many epochs, if it does
    "pow3": ("c", {"alpha": 0.5}),
    "hill3": ("theta", {}),
    "log_power": ("a", {}),
    "pow4": ("c", {"alpha": 1.0}),
    "mmf": ("alpha", {}),
    "exp4": ("c", {}),
    "janoschek": ("alpha", {}),
    "weibull": ("alpha", {}),
}
X = np.arange(1.0, 31.0)


def test_all_eleven_are_there() -> None:
    assert set(FAMILIES) == set(BY_HAND)
    assert sum(len(family.parameters) for family in FAMILIES.values()) == 36


@pytest.mark.parametrize("name", FAMILIES)
def test_default_values_give_what_was_worked_out_by_hand(name: str) -> None:
    family = FAMILIES[name]
    assert len(family.defaults) == len(family.parameters)
    y = family(np.array([1.0, 10.0]), family.defaults)
    np.testing.assert_allclose(y, BY_HAND[name], rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("name", FAMILIES)
def test_default_curves_rise_and_keep_the_prior_whatever_the_last_epoch(name: str) -> None:
    y = FAMILIES[name](np.arange(1.0, 1001.0), FAMILIES[name].defaults)
    assert (np.diff(y) > 0).all()
    assert (y[1:] > 0).all()
    assert (y < 3).all()


@pytest.mark.parametrize("name", ENDS)
def test_a_saturating_family_ends_where_its_parameter_says(name: str) -> None:
    family = FAMILIES[name]
    end, changed = ENDS[name]
    values = dict(zip(family.parameters, family.defaults, strict=True)) | changed
    assert family(np.array([1e30]), values.values())[0] == pytest.approx(values[end], abs=1e-6)


@pytest.mark.parametrize("name", ["hill3", "mmf", "weibull"])
def test_outside_of_its_domain_a_family_is_no_number(name: str) -> None:
    family = FAMILIES[name]
    values = [
        -value if parameter == "kappa" else value
        for parameter, value in zip(family.parameters, family.defaults, strict=True)
    ]
    with np.errstate(invalid="ignore"):
        assert np.isnan(family(X, values)).all()


@pytest.mark.parametrize("name", sorted(set(FAMILIES) - {"mmf"}))
def test_a_fit_finds_the_curve_it_is_given(name: str) -> None:
    family = FAMILIES[name]
    wanted = np.array(family.defaults) * np.linspace(0.9, 1.1, len(family.defaults))
    found = fit_family(family, X, family(X, wanted))
    assert found is not None
    later = np.array([50.0, 100.0])
    np.testing.assert_allclose(family(later, found), family(later, wanted), atol=1e-5)


def test_a_fit_of_mmf_finds_a_curve_whose_bend_was_seen() -> None:
    wanted = (0.9, 0.1, 0.1, 2.0)
    found = fit_family(FAMILIES["mmf"], X, FAMILIES["mmf"](X, wanted), starts=[(0.7, 0.1, 0.2, 1)])
    np.testing.assert_allclose(found, wanted, rtol=1e-6)


def test_weights_draw_a_fit_towards_what_they_weigh() -> None:
    family, y = FAMILIES["ilog2"], np.where(X > 20, 0.9, 0.3)
    even, late = fit_family(family, X, y), fit_family(family, X, y, np.where(X > 20, 10.0, 1.0))
    assert even is not None
    assert late is not None
    assert abs(family(X, late)[-1] - 0.9) < abs(family(X, even)[-1] - 0.9)


def test_the_best_of_several_starts_counts() -> None:
    family = FAMILIES["mmf"]
    y = family(X, (0.9, 0.1, 0.1, 2.0))
    poor, good = (0.7, 0.1, 1e-9, 5.0), (0.8, 0.2, 0.2, 1.5)
    for starts in ([poor, good], [good, poor]):
        np.testing.assert_allclose(
            fit_family(family, X, y, starts=starts), (0.9, 0.1, 0.1, 2.0), rtol=1e-5
        )


def test_there_is_no_fit_of_fewer_epochs_than_parameters() -> None:
    assert fit_family(FAMILIES["pow4"], X[:3], X[:3] / 10) is None
    assert fit_family(FAMILIES["pow4"], X[:4], X[:4] / 10) is not None


def test_there_is_no_fit_where_no_start_is_inside_the_domain() -> None:
    assert fit_family(FAMILIES["mmf"], X, X / 30, starts=[(0.7, 0.1, -1.0, 5.0)]) is None


def test_values_are_brought_to_accuracies() -> None:
    assert accuracy_scale(ACCURACY, "It") == (0.0, 1.0)
    low, width = accuracy_scale(Metric("error", False, (0.0, 1.0)), "It")
    assert ((-0.25) - low) / width == 0.75  # an error of a quarter; signs are changed upstream


@pytest.mark.parametrize("bounds", [(0.0, math.inf), (-math.inf, 1.0)])
def test_a_metric_without_bounds_is_refused(bounds: tuple[float, float]) -> None:
    with pytest.raises(
        InputError, match=r"measure loss, whose bounds are .* It fits curves of acc"
    ):
        accuracy_scale(Metric("loss", False, bounds), "It")
