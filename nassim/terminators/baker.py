"""A sequence of regressors (Baker et al. 2018, "Accelerating Neural Architecture Search using
Performance Prediction", arXiv 1705.10823).

For each decision epoch t a support vector regressor predicts how good a run will be, from its
values until t, their first and second differences, and the size of its architecture. Its error is
taken to be Gaussian, with the deviation that cross-validation finds on the runs it learned from:
p(m > m_max) = Phi((prediction - m_max) / deviation). A run is stopped if p <= delta.

The body of the paper was not at hand. ``docs/methods/baker.md`` lists every difference.

How to read this file: the estimator; what it turns into numbers; one regressor.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np

from nassim.encodings import words
from nassim.errors import InputError
from nassim.options import check_count
from nassim.records import Architecture, FloatArray, IntArray, Metric, Prefixes, Sources, SourceTask
from nassim.terminators.base import Estimator, Judge, TargetJudge, View

__all__ = ["Baker", "curve_features"]

C_AND_GAMMA = (1e-5, 10.0)  # between which both are drawn, their logarithms uniformly
FOLDS = 3  # of cross-validation where there is one dataset; else each dataset is a fold
MIN_RUNS = 6  # to learn from; with fewer an epoch has no regressor
CLIP = 5.0  # standardised inputs are cut here: what no source came near says no more than that
DIGITS = 6  # of a standardised prediction, so that other processors' last bits change no decision


class Baker(Estimator):
    """Stop a run if its regressor says that it will not beat the incumbent.

    Parameters
    ----------
    delta
        Stop if p(better than the incumbent) <= delta; 1 - delta is the paper's Delta.
    epochs
        ``"sparse"``, ``"every"``, or a tuple of epochs (see ``Estimator``).
    train_on
        ``"sources"``: learn from the other datasets. ``"target"``: learn from the first completed
        runs of the target itself, which are trained fully and paid for.
    curves
        With ``train_on="target"``, how many.
    draws
        With ``train_on="sources"``, settings of the regressors (C, gamma, nu) that are tried by
        cross-validation among the sources. On the target, the settings are fixed.
    rows
        Runs of the sources from which each regressor learns, at the most (ours): a regressor's
        time grows with their square. They are drawn, as many of each source.

    ``reasons`` says of each epoch that has no regressor why; a run goes on there.

    Raises
    ------
    InputError
        if an option is out of its range.
    """

    uses_sources = True
    quick_options: ClassVar[Mapping[str, object]] = {"draws": 2}
    rule_options = frozenset({"delta"})  # each decision epoch has a regressor of its own

    def __init__(
        self,
        delta: float = 0.05,
        epochs: str | int | tuple[int, ...] = "sparse",
        train_on: Literal["sources", "target"] = "sources",
        curves: int = 20,
        draws: int = 20,
        rows: int = 400,
    ) -> None:
        super().__init__(delta, epochs)
        if train_on not in ("sources", "target"):
            raise InputError(f"Option train_on is {train_on!r}; expected 'sources' or 'target'.")
        self.train_on = train_on
        self.uses_sources = train_on == "sources"
        self.curves = check_count("curves", curves, least=MIN_RUNS)
        self.draws = check_count("draws", draws)
        self.rows = check_count("rows", rows, least=MIN_RUNS)
        self.reasons: dict[int, str] = {}
        self._metric: Metric | None = None
        self._regressors: dict[int, _Regressor] = {}

    def fit(self, sources: Sources, seed: int) -> None:
        """Fit a regressor for each decision epoch; does nothing if it is trained on the target.

        Raises
        ------
        InputError
            if there is no source dataset.
        """
        if self.train_on == "target":
            return
        if not sources.tasks:
            raise InputError(
                "Baker was given no source dataset. Use a store with at least two datasets, or "
                "train_on=target."
            )
        rng = np.random.default_rng(seed)
        settings = [_Setting(), *(_Setting.drawn(rng) for _ in range(self.draws - 1))]
        self._learn(sources, settings, rng)

    def judge(self, view: View) -> Judge:
        if self.train_on == "sources":
            return super().judge(view)
        return TargetJudge(view, self.trained_on, self.curves, again=False)

    def estimate(self, prefixes: Prefixes) -> FloatArray:
        """Mean and deviation of the quality of each run, (runs, 2); NaN where nothing was
        measured, or this epoch has no regressor."""
        if self._metric is None and self.train_on == "sources":
            raise InputError("Baker must be fitted on source datasets before it can estimate.")
        if self._metric not in (None, prefixes.metric):
            raise InputError(
                f"Curves measure {prefixes.metric.name}; Baker was fitted on other curves. "
                "Expected sources and target of one store."
            )
        estimates = np.full((len(prefixes), 2), np.nan)
        regressor = self._regressors.get(prefixes.epoch)
        measured = np.isfinite(prefixes.curves).all(axis=1)
        if regressor is not None and measured.any():
            sizes = _sizes(prefixes.architectures, prefixes.n_params, prefixes.flops)
            estimates[measured, 0] = regressor.predict(prefixes.curves[measured], sizes[measured])
            estimates[measured, 1] = regressor.deviation
        return estimates

    def trained_on(self, completed: Sources) -> Baker:
        if self.train_on == "sources":
            return self
        twin = Baker(self.delta, self.epochs, "target", self.curves)
        twin._learn(completed, [_Setting()])
        return twin

    def _learn(
        self,
        sources: Sources,
        settings: Sequence[_Setting],
        rng: np.random.Generator | None = None,
    ) -> None:
        """With ``rng``, from at most ``rows`` runs, which are drawn; else from all."""
        self._metric = sources.metric
        self._regressors, self.reasons = {}, {}
        every = [_Rows.of(task, number) for number, task in enumerate(sources.tasks)]
        longest = max(task.curves.shape[1] for task in sources.tasks)
        for epoch in self.decision_epochs(longest + 1):
            rows = _Rows.until(every, epoch)
            if rng is not None and len(rows) > self.rows:
                rows = rows.drawn(self.rows, rng)
            if len(rows) < MIN_RUNS:
                self.reasons[epoch] = (
                    f"{len(rows)} runs have values until epoch {epoch}; expected at least "
                    f"{MIN_RUNS} to learn from"
                )
                continue
            try:
                self._regressors[epoch] = _Regressor.fit(rows, settings)
            except (ValueError, FloatingPointError) as error:  # what scikit-learn refuses
                self.reasons[epoch] = str(error)


# -- what is turned into numbers -----------------------------------------------------------------


def curve_features(curves: FloatArray) -> FloatArray:
    """Values, first and second differences of (runs, t): (runs, t + (t - 1) + (t - 2)).

    >>> curve_features(np.array([[0.1, 0.3, 0.4]])).round(3)
    array([[ 0.1,  0.3,  0.4,  0.2,  0.1, -0.1]])
    """
    orders = range(min(3, curves.shape[1]))
    return np.concatenate([np.diff(curves, n=order, axis=1) for order in orders], axis=1)


def _sizes(
    architectures: Sequence[Architecture], n_params: IntArray, flops: IntArray
) -> FloatArray:
    """(runs, 3) logarithms of parameters, multiply-adds and words; NaN if unknown."""
    lengths = np.array([len(words(architecture)) for architecture in architectures])
    counts = np.stack([n_params, flops, lengths], axis=1).astype(np.float64)
    logarithms: FloatArray = np.log(np.where(counts > 0, counts, np.nan))
    return logarithms


@dataclass(frozen=True, eq=False)
class _Rows:
    """Runs that were measured until an epoch, and what became of them.

    ``curves`` (runs, epoch), ``sizes`` (runs, 3), ``values`` (runs,); ``fold`` (runs,) says which
    are left out together in cross-validation.
    """

    curves: FloatArray
    sizes: FloatArray
    values: FloatArray
    fold: IntArray

    @classmethod
    def of(cls, task: SourceTask, number: int) -> _Rows:
        """All runs of a dataset, whose fold is its number."""
        return cls(
            np.asarray(task.curves, np.float64),
            _sizes(task.architectures, task.n_params, task.flops),
            task.values,
            np.full(len(task.values), number),
        )

    @classmethod
    def until(cls, every: Sequence[_Rows], epoch: int) -> _Rows:
        """The runs of all datasets that were measured until ``epoch``, cut there."""
        cut = []
        for rows in every:
            curves = rows.curves[:, :epoch]
            known = np.isfinite(curves).all(axis=1) & np.isfinite(rows.values)
            if curves.shape[1] == epoch:
                cut.append(_Rows(curves, rows.sizes, rows.values, rows.fold)[known])
        arrays = zip(*((r.curves, r.sizes, r.values, r.fold) for r in cut), strict=True)
        return cls(*(np.concatenate(parts) for parts in arrays))

    def drawn(self, most: int, rng: np.random.Generator) -> _Rows:
        """So many of them, about as many of each fold, in their order."""
        shuffled = rng.permutation(len(self))
        folds = self.fold[shuffled]
        turn = np.zeros(len(self), np.intp)  # the first of each fold, then the second, ...
        for fold in np.unique(folds):
            turn[folds == fold] = np.arange((folds == fold).sum())
        return self[np.sort(shuffled[np.argsort(turn, kind="stable")[:most]])]

    def __getitem__(self, chosen: np.ndarray) -> _Rows:
        return _Rows(
            self.curves[chosen], self.sizes[chosen], self.values[chosen], self.fold[chosen]
        )

    def __len__(self) -> int:
        return len(self.values)


# -- one regressor -------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Setting:
    """Of a support vector regressor: C, nu, and gamma times the number of inputs."""

    c: float = 1.0
    nu: float = 0.5
    gamma: float | None = None  # 1 / number of inputs

    @classmethod
    def drawn(cls, rng: np.random.Generator) -> _Setting:
        low, high = np.log(C_AND_GAMMA)
        c, gamma = np.exp(rng.uniform(low, high, 2)).tolist()
        return cls(c, 1.0 - float(rng.random()), gamma)  # nu in (0, 1]


@dataclass(frozen=True, eq=False)
class _Regressor:
    """Predicts the quality of runs after one epoch.

    What it learns is the gain from the last value to the quality: a dataset's level cancels out.
    """

    inputs: _Scale
    gains: _Scale
    machine: Any
    deviation: float

    @classmethod
    def fit(cls, rows: _Rows, settings: Sequence[_Setting]) -> _Regressor:
        """With the setting whose predictions of runs that were left out are best."""
        if len(np.unique(rows.fold)) < 2:  # one dataset: its architectures are dealt out
            rows = dataclasses.replace(rows, fold=np.arange(len(rows)) % FOLDS)
        errors = [_left_out_errors(rows, setting) for setting in settings]
        best = int(np.argmin([np.mean(error**2) for error in errors]))
        inputs, gains, machine = _fit(rows, settings[best])
        return cls(inputs, gains, machine, float(np.sqrt(np.mean(errors[best] ** 2))))

    def predict(self, curves: FloatArray, sizes: FloatArray) -> FloatArray:
        """The quality of runs whose values until now are ``curves``, (runs,)."""
        gains = self.machine.predict(self.inputs.standard(_inputs(curves, sizes)))
        return curves[:, -1] + self.gains.original(np.round(gains, DIGITS))


def _left_out_errors(rows: _Rows, setting: _Setting) -> FloatArray:
    """Quality minus prediction, (runs,), each run predicted without its fold."""
    errors = np.empty(len(rows))
    for fold in np.unique(rows.fold):
        left_out = rows.fold == fold
        regressor = _Regressor(*_fit(rows[~left_out], setting), deviation=np.nan)
        alone = rows[left_out]
        errors[left_out] = alone.values - regressor.predict(alone.curves, alone.sizes)
    return errors


def _fit(rows: _Rows, setting: _Setting) -> tuple[_Scale, _Scale, Any]:
    from sklearn.svm import NuSVR

    given, gained = _inputs(rows.curves, rows.sizes), rows.values - rows.curves[:, -1]
    inputs, gains = _Scale.of(given), _Scale.of(gained)
    gamma = 1 / given.shape[1] if setting.gamma is None else setting.gamma
    machine = NuSVR(C=setting.c, nu=setting.nu, gamma=gamma, cache_size=50)
    machine.random_state = 0  # unused, but else one would be drawn from the global generator
    machine.fit(inputs.standard(given), gains.standard(gained))
    return inputs, gains, machine


def _inputs(curves: FloatArray, sizes: FloatArray) -> FloatArray:
    return np.concatenate([curve_features(curves), sizes], axis=1)


@dataclass(frozen=True, eq=False)
class _Scale:
    """Mean and deviation of each column."""

    mean: FloatArray
    deviation: FloatArray

    @classmethod
    def of(cls, values: FloatArray) -> _Scale:
        """Of what is known; 0 and 1 for a column that is unknown or constant."""
        known = np.isfinite(values)
        count = np.maximum(known.sum(axis=0), 1)
        mean = np.where(known, values, 0.0).sum(axis=0) / count
        deviation = np.sqrt((np.where(known, values - mean, 0.0) ** 2).sum(axis=0) / count)
        small = 1e-9 * (1 + np.abs(mean))
        return cls(mean, np.where(deviation > small, deviation, 1.0))

    def standard(self, values: FloatArray) -> FloatArray:
        """Standardised and cut; the mean where unknown."""
        standard = ((values - self.mean) / self.deviation).clip(-CLIP, CLIP)
        return np.where(np.isnan(standard), 0.0, standard)

    def original(self, standard: FloatArray) -> FloatArray:
        """What was standardised, again."""
        values: FloatArray = self.mean + self.deviation * standard
        return values
