"""Parametric families of learning curves, and how one of them is fitted to the start of a run.

The eleven of Domhan, Springenberg and Hutter (IJCAI 2015), for accuracies in [0, 1] after epoch
x = 1, 2, ...; the default values are those of the authors' code, where fits start. LCDB's mmf4 and
wbl4 are ``mmf`` and ``janoschek`` in other parameters.

Powers are written as exponentials of logarithms: what is NaN is outside of the family's domain,
(kappa x)^delta with kappa < 0 for one, and a fit or a sampler refuses it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from nassim.errors import InputError
from nassim.records import FloatArray, Metric

__all__ = ["FAMILIES", "Family", "accuracy_scale", "fit_family"]

Parameter = FloatArray | float

_WALL = 1e3  # a residual outside of the domain: far worse than any other, so the fit turns back


@dataclass(frozen=True)
class Family:
    """One family: y = ``function(x, *parameters)``, which broadcasts.

    >>> FAMILIES["pow3"](np.array([1.0, 4.0]), (0.9, 0.6, 0.5))
    array([0.3, 0.6])
    """

    name: str
    parameters: tuple[str, ...]
    defaults: tuple[float, ...]
    function: Callable[..., FloatArray]

    def __call__(self, x: FloatArray, parameters: Iterable[Parameter]) -> FloatArray:
        return self.function(x, *parameters)


def _vap(x: FloatArray, a: Parameter, b: Parameter, c: Parameter) -> FloatArray:
    """Vapour pressure."""
    y: FloatArray = np.exp(a + b / x + c * np.log(x))
    return y


def _pow3(x: FloatArray, c: Parameter, a: Parameter, alpha: Parameter) -> FloatArray:
    """c - a x^-alpha"""
    y: FloatArray = c - a * np.exp(-alpha * np.log(x))
    return y


def _loglog_linear(x: FloatArray, a: Parameter, b: Parameter) -> FloatArray:
    """ln(a ln x + b)"""
    y: FloatArray = np.log(a * np.log(x) + b)
    return y


def _hill3(x: FloatArray, theta: Parameter, eta: Parameter, kappa: Parameter) -> FloatArray:
    """theta x^eta / (kappa^eta + x^eta)"""
    y: FloatArray = theta / (1 + np.exp(eta * (np.log(kappa) - np.log(x))))
    return y


def _log_power(x: FloatArray, a: Parameter, b: Parameter, c: Parameter) -> FloatArray:
    """a / (1 + (x / e^b)^c)"""
    y: FloatArray = a / (1 + np.exp(c * (np.log(x) - b)))
    return y


def _pow4(x: FloatArray, c: Parameter, a: Parameter, b: Parameter, alpha: Parameter) -> FloatArray:
    """c - (a x + b)^-alpha"""
    y: FloatArray = c - np.exp(-alpha * np.log(a * x + b))
    return y


def _mmf(
    x: FloatArray, alpha: Parameter, beta: Parameter, kappa: Parameter, delta: Parameter
) -> FloatArray:
    """Morgan-Mercer-Flodin: alpha - (alpha - beta) / (1 + (kappa x)^delta)"""
    power = np.exp(delta * (np.log(kappa) + np.log(x)))
    y: FloatArray = alpha - (alpha - beta) / (1 + power)
    return y


def _exp4(x: FloatArray, c: Parameter, a: Parameter, b: Parameter, alpha: Parameter) -> FloatArray:
    """c - exp(-a x^alpha + b)"""
    y: FloatArray = c - np.exp(b - a * np.exp(alpha * np.log(x)))
    return y


def _janoschek(
    x: FloatArray, alpha: Parameter, beta: Parameter, kappa: Parameter, delta: Parameter
) -> FloatArray:
    """alpha - (alpha - beta) exp(-kappa x^delta)"""
    y: FloatArray = alpha - (alpha - beta) * np.exp(-kappa * np.exp(delta * np.log(x)))
    return y


def _weibull(
    x: FloatArray, alpha: Parameter, beta: Parameter, kappa: Parameter, delta: Parameter
) -> FloatArray:
    """alpha - (alpha - beta) exp(-(kappa x)^delta)"""
    power = np.exp(delta * (np.log(kappa) + np.log(x)))
    y: FloatArray = alpha - (alpha - beta) * np.exp(-power)
    return y


def _ilog2(x: FloatArray, c: Parameter, a: Parameter) -> FloatArray:
    """c - a / ln(1 + x)"""
    y: FloatArray = c - a / np.log1p(x)
    return y


_GROWTH = ("alpha", "beta", "kappa", "delta")  # end, beginning, rate, shape
FAMILIES: dict[str, Family] = {
    family.name: family
    for family in (
        Family("vap", ("a", "b", "c"), (-0.622028, -0.470050, 0.042322), _vap),
        Family("pow3", ("c", "a", "alpha"), (0.84, 0.52, 0.01), _pow3),
        Family("loglog_linear", ("a", "b"), (1.0, 1.0), _loglog_linear),
        Family("hill3", ("theta", "eta", "kappa"), (0.772320, 0.586449, 2.460843), _hill3),
        Family("log_power", ("a", "b", "c"), (0.77, 2.98, -0.51), _log_power),
        Family("pow4", ("c", "a", "b", "alpha"), (0.8, 200.0, 0.0, 0.1), _pow4),
        Family("mmf", _GROWTH, (0.7, 0.1, 0.01, 5.0), _mmf),
        Family("exp4", ("c", "a", "b", "alpha"), (0.7, 0.8, -0.8, 0.3), _exp4),
        Family("janoschek", _GROWTH, (0.73, 0.07, 0.355, 0.46), _janoschek),
        Family("weibull", _GROWTH, (0.7, 0.1, 0.01, 1.0), _weibull),
        Family("ilog2", ("c", "a"), (0.78, 0.43), _ilog2),
    )
}


def fit_family(
    family: Family,
    x: FloatArray,
    y: FloatArray,
    weights: FloatArray | None = None,
    starts: Sequence[Sequence[float]] | None = None,
) -> FloatArray | None:
    """Parameters of least squares (Levenberg-Marquardt), the best of all starts, (parameters,).

    ``x``, ``y`` and ``weights`` (of the squared residuals) are (epochs,); ``starts`` are the
    family's default values if none are given. None if there are fewer epochs than parameters, or
    no start leads to a finite curve. A fit that reached its limit of evaluations counts.

    >>> x = np.arange(1.0, 31)
    >>> y = FAMILIES["pow3"](x, (0.9, 0.6, 0.5))
    >>> fit_family(FAMILIES["pow3"], x, y).round(6).tolist()
    [0.9, 0.6, 0.5]
    """
    from scipy.optimize import leastsq

    if len(x) < len(family.parameters):
        return None
    roots = np.ones(len(x)) if weights is None else np.sqrt(weights)

    def residuals(parameters: FloatArray) -> FloatArray:
        errors = roots * (family.function(x, *parameters.tolist()) - y)
        walled: FloatArray = np.where(np.abs(errors) < _WALL, errors, _WALL)  # NaN too
        return walled

    found, least = None, _WALL  # of the squares; a curve with one point outside has more
    with np.errstate(all="ignore"):
        for start in [family.defaults] if starts is None else starts:
            parameters, *_ = leastsq(residuals, start, full_output=True)
            squares = float((residuals(parameters) ** 2).sum())
            if squares < least:
                found, least = parameters, squares
    return found


def accuracy_scale(metric: Metric, method: str) -> tuple[float, float]:
    """(low, width) such that (value - low) / width is in [0, 1], higher is better.

    Raises
    ------
    InputError
        if the metric has no bounds on both sides: these families are for accuracies.

    >>> accuracy_scale(Metric("error", higher_is_better=False, bounds=(0.0, 100.0)), "Domhan")
    (-100.0, 100.0)
    """
    low, high = metric.bounds
    if not (math.isfinite(low) and math.isfinite(high)):
        raise InputError(
            f"Curves measure {metric.name}, whose bounds are {metric.bounds}; {method} fits curves "
            "of accuracy and expects two finite bounds. Use last_value or lcranknet."
        )
    return min(metric.sign * low, metric.sign * high), high - low
