"""A surrogate: what any architecture of a space would have reached, fitted on a table of runs.

A table ends where its architectures end; a surrogate answers for all of the space, so that
generative optimizers can be searched with. What it says of an architecture on a dataset is a mean
(extremely randomised trees on the architecture's decisions, one forest each for the curve's level,
the first principal components of its shape, log seconds, and test less validation), and noise (the
error that the trees made on architectures they were not fitted on, a whole curve at a time). It is
made by :mod:`nassim.simulator.surrogate_fit`, and read and asked here with numpy alone.

Test values live apart: a :class:`SurrogateReplay` holds :class:`Curves`, which have none.
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import io
import json
import math
import zipfile
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

from nassim.encodings.tokens import words
from nassim.errors import ContractError, InputError, unknown_name
from nassim.optimizers.base import Candidates
from nassim.records import Architecture, Dataset, FloatArray, Incumbent, Metric, Prefixes
from nassim.simulator.forest import Forest
from nassim.simulator.sources import Quality, Replay, Replayable, TableSource, entries
from nassim.spaces import Space, get_space
from nassim.terminators.base import Estimator
from nassim.writing import write_whole

__all__ = [
    "About",
    "Curves",
    "Encoder",
    "HeldOut",
    "Surrogate",
    "SurrogateReplay",
    "Surrogates",
    "load",
    "mean_curves",
    "target_value",
    "within_bounds",
]

REFERENCES = 2_000  # architectures whose best is what regret is measured against
_CELLS = {"darts": 2, "nasnet": 2}  # spaces of whole cells, whose tokens are counted in each cell
_BATCH = 256  # architectures at a time: bounds the memory


@dataclass(frozen=True)
class HeldOut:
    """How well a surrogate predicts architectures that it was not fitted on.

    m is the quality of a run, ``tau`` Kendall's tau-b. All but ``tau_other_datasets`` are of
    ``folds``-fold cross-validation over architectures, isomorphic ones kept together.

    ``left_out`` is the share of runs that were not used (failed, shorter than the longest, or
    without values in the first epochs). ``tau_top`` is among the best quarter. ``noise`` is the
    standard deviation of m around its prediction and ``mae`` (epochs,) the mean absolute error of
    the curve, in the metric's unit; ``r2_seconds`` is of log seconds. ``tau_other_datasets`` is
    that of a model of the other datasets' standardised values, which saw nothing of this one.
    NaN where there is nothing to compare.
    """

    architectures: int
    runs: int
    left_out: float
    folds: int
    r2: float
    tau: float
    tau_top: float
    r2_test: float
    tau_test: float
    r2_seconds: float
    noise: float
    tau_other_datasets: float
    mae: tuple[float, ...]


@dataclass(frozen=True)
class About:
    """What the surrogates of a file were fitted on.

    ``recipe`` is empty where the store has one for each dataset; ``time_units`` says of each
    dataset what its seconds are: ``seconds``, or ``epochs`` where none were measured.
    """

    store: str
    store_sha: str
    space: str
    recipe: str
    split: str
    quality: Quality
    time_units: Mapping[str, str]
    seed: int


@dataclass(frozen=True)
class Encoder:
    """Architectures as numbers: their decisions, and how often they mention each token.

    Isomorphic architectures are encoded alike where their canonical text is one of the space.
    ``tokens`` are (part, place in a word, token); part 0 is all of the architecture, parts 1, 2,
    ... its cells. Of whole cells there are only the counts: where a block stands among many says
    little, and trees that are fitted on 72 architectures are led astray by 40 more features.
    """

    space: Space
    tokens: tuple[tuple[int, int, str], ...]

    @classmethod
    def fit(cls, space: Space, architectures: Sequence[Architecture]) -> Encoder:
        """Find the tokens of these architectures.

        Raises
        ------
        InputError
            if the space has no decisions.
        """
        if not space.n_decisions:
            raise InputError(
                f"Space {space.name!r} has no decisions, so there is nothing to predict from; "
                "expected a store of a search space such as 'nasnet'."
            )
        found = {token for one in architectures for token in _tokens(_representative(space, one))}
        return cls(space, tuple(sorted(found)))

    @property
    def n_features(self) -> int:
        return self._n_decisions + len(self.tokens)

    @property
    def _n_decisions(self) -> int:
        return 0 if self.space.name in _CELLS else self.space.n_decisions

    def encode(self, architectures: Sequence[Architecture]) -> NDArray[np.float32]:
        """(architectures, features)."""
        rows = []
        for architecture in architectures:
            representative = _representative(self.space, architecture)
            counts = _tokens(representative)
            decisions = representative.decisions[: self._n_decisions]
            rows.append([*decisions, *(counts[token] for token in self.tokens)])
        return np.array(rows, np.float32).reshape(len(rows), self.n_features)


def _representative(space: Space, architecture: Architecture) -> Architecture:
    """The architecture of the canonical text, where that is a text of the space."""
    text = architecture.canonical_id
    try:
        return dataclasses.replace(architecture, decisions=space.decisions(text), id=text)
    except InputError:
        return architecture


def _tokens(architecture: Architecture) -> Counter[tuple[int, int, str]]:
    found = words(architecture)
    size = len(found) // _CELLS.get(architecture.space, 1)
    counts: Counter[tuple[int, int, str]] = Counter()
    for number, word in enumerate(found):
        for place, token in enumerate(word):
            counts[0, place, token] += 1
            if size < len(found):
                counts[1 + number // size, place, token] += 1
    return counts


@dataclass(frozen=True, eq=False)
class Curves:
    """Validation curves and seconds of one dataset; T epochs, K components, values higher-better.

    Parameters
    ----------
    level, shape, centre, components
        The mean curve is a level (m of the runs), plus ``centre`` (T,), plus a combination of
        ``components`` (K, T) whose K coefficients ``shape`` predicts.
    log_seconds
        Predicts the mean over epochs of log seconds.
    edges
        (bins - 1,) between bins of the mean curve's m, each of which has its own noise.
    noise, noise_log_seconds
        (bins, draws, T) what is added to the mean curve, and to log seconds.
    """

    dataset: Dataset
    metric: Metric
    quality: Quality
    encoder: Encoder
    level: Forest
    shape: Forest
    centre: FloatArray
    components: FloatArray
    log_seconds: Forest
    edges: FloatArray
    noise: FloatArray
    noise_log_seconds: FloatArray

    @property
    def max_epochs(self) -> int:
        return len(self.centre)

    def means(self, architectures: Sequence[Architecture]) -> FloatArray:
        """Curves without noise, (architectures, T)."""
        features = self.encoder.encode(architectures)
        return mean_curves(self.level, self.shape, self.centre, self.components, features)

    def draw(
        self, architectures: Sequence[Architecture], seed: int
    ) -> tuple[FloatArray, FloatArray]:
        """One training each: values and seconds of each epoch, both (architectures, T).

        The same for the same seed, architecture and dataset, whatever is asked beside.
        """
        features = self.encoder.encode(architectures)
        means = mean_curves(self.level, self.shape, self.centre, self.components, features)
        at = self.bins(means), self.chances(architectures, seed)
        seconds = self.log_seconds.predict(features)
        return self.clip(means + self.noise[at]), np.exp(seconds + self.noise_log_seconds[at])

    def expected(self, architectures: Sequence[Architecture]) -> FloatArray:
        """The mean of m over all noise, (architectures,): what many trainings would average."""
        parts = [np.zeros(0)]
        for start in range(0, len(architectures), _BATCH):
            means = self.means(architectures[start : start + _BATCH])
            curves = (
                self.clip(mean + self.noise[at])
                for mean, at in zip(means, self.bins(means), strict=True)
            )
            parts.append(np.array([self.target(each).mean() for each in curves]))
        return np.concatenate(parts)

    def bins(self, means: FloatArray) -> NDArray[np.intp]:
        """The bin of noise of each mean curve, (architectures,)."""
        return np.searchsorted(self.edges, self.target(means), side="right")

    def chances(self, architectures: Sequence[Architecture], seed: int) -> NDArray[np.intp]:
        """Which draw of its bin's noise each training has, (architectures,)."""
        texts = (f"{seed}|{self.dataset.name}|{one.id}" for one in architectures)
        digests = (hashlib.sha256(text.encode()).digest() for text in texts)
        n_draws = self.noise.shape[1]
        return np.array([int.from_bytes(d[:8], "big") % n_draws for d in digests], np.intp)

    def target(self, curves: FloatArray) -> FloatArray:
        """m of curves (runs, T): their best or last value."""
        return target_value(curves, self.quality)

    def clip(self, curves: FloatArray) -> FloatArray:
        """Within the metric's bounds."""
        return within_bounds(curves, self.metric)


def target_value(curves: FloatArray, quality: Quality) -> FloatArray:
    """m of curves without gaps, (runs, T) to (runs,): their best or last value."""
    values: FloatArray = curves.max(axis=-1) if quality == "max" else curves[..., -1]
    return values


def within_bounds(values: FloatArray, metric: Metric) -> FloatArray:
    """Values, higher better, moved to the nearest that the metric can have."""
    low, high = sorted(metric.sign * bound for bound in metric.bounds)
    return np.clip(values, low, high)


def mean_curves(
    level: Forest, shape: Forest, centre: FloatArray, components: FloatArray, features: FloatArray
) -> FloatArray:
    """Mean curves of :class:`Curves`, (rows, T)."""
    means = level.predict(features) + centre
    coefficients = shape.predict(features)
    for k, component in enumerate(components):  # no matrix product: its sums depend on the machine
        means += coefficients[:, [k]] * component
    return means


@dataclass(frozen=True, eq=False)
class Surrogate:
    """One dataset: curves and seconds, and apart from them, test values.

    ``gap`` predicts test value less m, to which ``noise_gap`` (bins, draws) is added; it is None
    where the store has no test values.
    """

    curves: Curves
    gap: Forest | None
    noise_gap: FloatArray
    held_out: HeldOut

    def test(self, architectures: Sequence[Architecture], seed: int) -> FloatArray:
        """Test values of the trainings that :meth:`Curves.draw` draws, (architectures,)."""
        curves = self.curves
        means = curves.means(architectures)
        at = curves.bins(means), curves.chances(architectures, seed)
        reached = curves.target(curves.clip(means + curves.noise[at]))
        test: FloatArray = curves.clip(reached + self._gap(architectures) + self.noise_gap[at])
        return test

    def expected_test(self, architectures: Sequence[Architecture]) -> FloatArray:
        """The mean of the test value over all noise, (architectures,)."""
        return self.curves.clip(self.curves.expected(architectures) + self._gap(architectures))

    def _gap(self, architectures: Sequence[Architecture]) -> FloatArray:
        if self.gap is None:
            return np.full(len(architectures), math.nan)
        return self.gap.predict(self.curves.encoder.encode(architectures))[:, 0]

    @functools.cached_property
    def best_expected(self) -> float:
        """The best expected m among ``REFERENCES`` random architectures, or all of a small space.

        Regret in a search of the whole space is counted from here; it is negative where a search
        finds a better one.
        """
        return float(self.curves.expected(self._references).max())

    @functools.cached_property
    def best_expected_test(self) -> float:
        """The best expected test value among the same architectures."""
        return float(self.expected_test(self._references).max())

    @functools.cached_property
    def _references(self) -> list[Architecture]:
        space = self.curves.encoder.space
        if math.prod(space.n_choices) <= REFERENCES:
            return list(space.every())
        rng = np.random.default_rng(0)  # the same for all searches of the space
        return [space.sample(rng) for _ in range(REFERENCES)]


class SurrogateReplay(Replayable):
    """The runs of one search of the whole space; they become more as the search names them.

    It serves one search: candidates are numbered in the order in which that search names them.
    """

    def __init__(self, curves: Curves, seed: int) -> None:
        self.dataset = curves.dataset
        self.metric = curves.metric
        self.max_epochs = self.shortest = curves.max_epochs
        self._curves = curves
        self._seed = seed
        self._candidates = Candidates(space=curves.encoder.space)
        self._searched = False
        self._estimates: WeakKeyDictionary[Estimator, dict[int, FloatArray]] = WeakKeyDictionary()
        epochs = self.max_epochs
        self.values_array = np.zeros((0, epochs))
        self.standing_array = np.zeros((0, epochs))
        self.cumulative_array = np.zeros((0, epochs + 1))
        self.qualities_array = np.zeros(0)
        self._renumber()

    def candidates(self) -> Candidates:
        if self._searched:
            raise ContractError(
                "These runs of a surrogate belong to another search; make new ones with "
                "Surrogates.replay."
            )
        self._searched = True
        return self._candidates

    @property
    def architectures(self) -> tuple[Architecture, ...]:
        return self._candidates.architectures[: len(self.lengths)]

    def grow(self) -> None:
        known = len(self.lengths)
        if len(self._candidates) == known:
            return
        named = self._candidates.architectures[known:]
        curves, seconds = self._curves.draw(named, self._seed)
        n = len(named)
        new = Replay(
            TableSource(
                self.dataset,
                named,
                np.arange(n),
                self.metric.sign * curves,
                seconds,
                np.full(n, self.max_epochs),
                np.zeros(n, bool),
                metric=self.metric,
                quality=self._curves.quality,
            )
        )
        self.values_array = np.concatenate([self.values_array, new.values_array])
        self.standing_array = np.concatenate([self.standing_array, new.standing_array])
        self.cumulative_array = np.concatenate([self.cumulative_array, new.cumulative_array])
        self.qualities_array = np.concatenate([self.qualities_array, new.qualities_array])
        self._renumber()

    def _renumber(self) -> None:
        n = len(self.qualities_array)
        if n:
            self.values = entries(self.values_array)
            self.standing = entries(self.standing_array)
            self.cumulative = entries(self.cumulative_array)
        self.qualities = self.qualities_array.tolist()
        self.lengths_array = np.full(n, self.max_epochs)
        self.lengths = self.lengths_array.tolist()
        self.completes_array = np.ones(n, bool)
        self.completes = self.completes_array.tolist()
        self.n_params = self.flops = np.zeros(n, np.int64)  # not known without building a network

    def probabilities(self, estimator: Estimator, epoch: int, incumbent: int) -> list[float]:
        """p(better than the incumbent) of every candidate so far after ``epoch`` epochs.

        What an estimator said of a run is remembered; only new runs are estimated.
        """
        remembered = self._estimates.setdefault(estimator.source, {})
        known = remembered.get(epoch)
        start = 0 if known is None else len(known)
        n = len(self.lengths)
        if start < n:
            prefixes = Prefixes(
                self.architectures[start:],
                self.values_array[start:, :epoch],
                self.n_params[start:],
                self.flops[start:],
                self.max_epochs,
                self.metric,
            )
            new = np.asarray(estimator.estimate(prefixes), np.float64)
            if new.ndim not in (1, 2) or len(new) != n - start:
                raise ContractError(
                    f"{type(estimator).__name__}.estimate returned shape {new.shape} for "
                    f"{n - start} runs; expected ({n - start},) or ({n - start}, k)."
                )
            new = new.reshape(n - start, -1)
            known = remembered[epoch] = new if known is None else np.concatenate([known, new])
        assert known is not None
        reference = Incumbent(self.qualities[incumbent], known[incumbent])
        answer: list[float] = estimator.probability(known, reference).tolist()
        return answer


# --- files ----------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Surrogates:
    """The surrogates of all datasets of a store, in one file."""

    about: About
    surrogates: Mapping[str, Surrogate]

    @property
    def datasets(self) -> tuple[str, ...]:
        """Names of its datasets."""
        return tuple(self.surrogates)

    @property
    def metric(self) -> Metric:
        """What its values are; those of curves are turned so that higher is better."""
        return next(iter(self.surrogates.values())).curves.metric

    def __getitem__(self, dataset: str) -> Surrogate:
        if dataset not in self.surrogates:
            raise unknown_name("dataset of this surrogate", dataset, self.surrogates)
        return self.surrogates[dataset]

    def replay(self, dataset: str, seed: int) -> SurrogateReplay:
        """What one search on a dataset replays; the seed is of the trainings' noise."""
        return SurrogateReplay(self[dataset].curves, seed)

    def held_out(self, dataset: str) -> HeldOut:
        """How good a dataset's surrogate is; to be told beside every result."""
        return self[dataset].held_out

    def save(self, path: str | Path) -> None:
        """Write an ``.npz`` file of plain arrays, the same bytes for the same surrogates.

        The file appears whole or not at all; what was there before stays until then.

        Raises
        ------
        InputError
            if it cannot be written.
        """
        arrays: dict[str, Any] = {}
        described = []
        for number, surrogate in enumerate(self.surrogates.values()):
            arrays |= {f"{number}.{name}": part for name, part in _arrays(surrogate).items()}
            described.append(
                {
                    "dataset": dataclasses.asdict(surrogate.curves.dataset),
                    "held_out": dataclasses.asdict(surrogate.held_out),
                }
            )
        first = next(iter(self.surrogates.values()))
        text = json.dumps(
            {
                "about": dataclasses.asdict(self.about),
                "metric": dataclasses.asdict(self.metric),
                "tokens": first.curves.encoder.tokens,
                "surrogates": described,
            }
        )
        arrays["description"] = np.frombuffer(text.encode(), np.uint8)
        arrays["sha256"] = np.frombuffer(_digest(arrays), np.uint8)
        buffer = io.BytesIO()
        np.savez_compressed(buffer, **arrays)
        try:
            write_whole(Path(path), buffer.getbuffer())
        except OSError as error:
            raise InputError(
                f"The surrogate cannot be written to {str(path)!r} ({error.strerror}); "
                "name another place with --out."
            ) from error

    @classmethod
    def load(cls, path: str | Path) -> Surrogates:
        """Read what :meth:`save` wrote; no code is run that the file holds.

        Raises
        ------
        InputError
            if the file is not there, is no surrogate, or is damaged.
        """
        try:
            contents = io.BytesIO(Path(path).read_bytes())
            with np.load(contents, allow_pickle=False) as file:
                arrays = {name: file[name] for name in file.files}
            if arrays.pop("sha256").tobytes() != _digest(arrays):
                raise InputError("its contents are not what was written")
            return cls._read(arrays)
        except (OSError, EOFError, LookupError, TypeError, ValueError, zipfile.BadZipFile) as error:
            raise InputError(
                f"{str(path)!r} is no surrogate that can be read ({error}); make one with "
                "'nassim surrogate STORE --out FILE'."
            ) from error

    @classmethod
    def _read(cls, arrays: Mapping[str, Any]) -> Surrogates:
        described = json.loads(arrays["description"].tobytes())
        about = About(**described["about"])
        metric = Metric(**described["metric"] | {"bounds": tuple(described["metric"]["bounds"])})
        tokens = tuple((part, place, token) for part, place, token in described["tokens"])
        encoder = Encoder(get_space(about.space), tokens)
        surrogates = {}
        for number, each in enumerate(described["surrogates"]):
            dataset = Dataset(**each["dataset"] | {"shape": tuple(each["dataset"]["shape"])})
            held_out = HeldOut(**each["held_out"] | {"mae": tuple(each["held_out"]["mae"])})
            prefix = f"{number}."
            own = {
                name.removeprefix(prefix): array
                for name, array in arrays.items()
                if name.startswith(prefix)
            }

            def forest(name: str, own: Mapping[str, Any] = own) -> Forest:
                start = f"{name}/"
                parts = {k.removeprefix(start): a for k, a in own.items() if k.startswith(start)}
                return Forest.from_arrays(parts, encoder.n_features)

            curves = Curves(
                dataset,
                metric,
                about.quality,
                encoder,
                forest("level"),
                forest("shape"),
                own["centre"],
                own["components"],
                forest("log_seconds"),
                own["edges"],
                own["noise"],
                own["noise_log_seconds"],
            )
            gap = forest("gap") if "gap/roots" in own else None
            surrogates[dataset.name] = Surrogate(curves, gap, own["noise_gap"], held_out)
        return cls(about, surrogates)


def load(path: str | Path) -> Surrogates:
    """Read a file of surrogates; see :meth:`Surrogates.load`."""
    return Surrogates.load(path)


def _arrays(surrogate: Surrogate) -> dict[str, FloatArray]:
    """All that was fitted, by name."""
    curves = surrogate.curves
    names = ("centre", "components", "edges", "noise", "noise_log_seconds")
    arrays: dict[str, FloatArray] = {name: getattr(curves, name) for name in names}
    arrays["noise_gap"] = surrogate.noise_gap
    forests = {
        "level": curves.level,
        "shape": curves.shape,
        "log_seconds": curves.log_seconds,
        "gap": surrogate.gap,
    }
    for name, forest in forests.items():
        if forest is not None:
            arrays |= {f"{name}/{part}": array for part, array in forest.arrays().items()}
    return arrays


def _digest(arrays: Mapping[str, Any]) -> bytes:
    digest = hashlib.sha256()
    for name in sorted(arrays):
        array = np.ascontiguousarray(arrays[name])
        digest.update(f"{name} {array.dtype.str} {array.shape}".encode())
        digest.update(array.tobytes())
    return digest.digest()
