"""Do the scores of a one-shot method rank architectures as full training does?

The ground truth is a store's test accuracies of all (or many) architectures of a space, with
several seeds. Predictors that cost nothing are judged first: what a method adds is its distance
from those, and what is left to gain its distance from the ceiling that seed noise leaves.

A method may ask for landmarks: full trainings that it is told of. Those of the method that asks for
most are judged by no row, of any method, and a ridge regression on the same ones stands beside it.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import pyarrow as pa

import nassim
from nassim.errors import InputError
from nassim.loading import Specification, build, parse_specifications
from nassim.oneshot import ONE_SHOT
from nassim.records import FloatArray, IntArray, Landmarks
from nassim.spaces import get_space
from nassim.studies.comparing import comparison_rows
from nassim.studies.fitting import each_task, mixed_seed
from nassim.studies.judging import Prediction, judge, random_rows
from nassim.studies.predictors import (
    landmark_prediction,
    live_sizes,
    one_shot_prediction,
    read_scores,
    trivial_predictions,
)
from nassim.studies.results import companion, read_table, to_table, write_table
from nassim.studies.truth import FEWEST_ARCHITECTURES, Truth

if TYPE_CHECKING:
    from nassim.oneshot.base import OneShot
    from nassim.oneshot.batchnorm import BatchNormMode
    from nassim.oneshot.run import OneShotRun

__all__ = [
    "RANK_SCHEMA",
    "SCORES_SCHEMA",
    "TRACES_SCHEMA",
    "RankPlan",
    "RankStudy",
    "build_one_shot",
    "read_rank",
    "run_rank",
]

_STAMP = [
    ("study", pa.string()),  # rank
    ("store", pa.string()),
    ("store_sha", pa.string()),
    ("metric_of_store", pa.string()),
    ("space", pa.string()),
    ("dataset", pa.string()),
    ("recipe", pa.string()),
    ("seed", pa.int64()),
    ("bn_mode", pa.string()),
    ("nassim_version", pa.string()),
]

RANK_SCHEMA = pa.schema(
    [
        *_STAMP,
        ("method", pa.string()),
        ("kind", pa.string()),  # trivial | one-shot | file
        ("metric", pa.string()),
        ("scope", pa.string()),  # classes | architectures | run | run N
        # of a tau_difference: the predictor that the method is compared with; else empty
        ("against", pa.string()),
        ("value", pa.float64()),  # mean over runs
        ("low", pa.float64()),  # 95%, over architectures, trainings and runs
        ("high", pa.float64()),
        ("ceiling", pa.float64()),  # of a perfect predictor, simulated
        ("p", pa.float64()),  # of a tau_difference, two-sided; else NaN
        ("p_holm", pa.float64()),  # over methods with one predictor, or over pairs of methods
        ("measured_ceiling", pa.float64()),  # of one training that predicts the others
        ("n", pa.int32()),  # architectures
        ("seeds", pa.int32()),  # trainings of each
        ("runs", pa.int32()),  # supernets, or scores from a file
        ("note", pa.string()),
    ]
)

SCORES_SCHEMA = pa.schema(
    [
        *_STAMP,
        ("method", pa.string()),
        ("run", pa.int32()),
        ("step", pa.int32()),  # of the training; the last one's scores are judged
        ("last", pa.bool_()),
        ("architecture", pa.string()),
        ("canonical", pa.string()),
        ("accuracy", pa.float64()),  # of a file: its score
        ("loss", pa.float64()),
        ("truth", pa.float64()),  # mean test accuracy over seeds
        ("truth_deviation", pa.float64()),  # standard deviation over seeds
        ("n_params", pa.int64()),  # that are on a path from input to output
    ]
)

TRACES_SCHEMA = pa.schema(
    [
        ("method", pa.string()),
        ("run", pa.int32()),
        ("step", pa.int32()),
        ("name", pa.string()),
        ("value", pa.float64()),
    ]
)

_Row = dict[str, Any]
# Those of nassim.oneshot.batchnorm, which loads torch.
_BN_MODES = ("recal", "batch", "running")
_UNCOMPARED = {"against": "", "p": math.nan, "p_holm": math.nan}


@dataclass(frozen=True)
class RankPlan:
    """What to judge, apart from the ground truth.

    Parameters
    ----------
    methods
        Specifications of one-shot methods, separated by commas; may be empty where ``scores`` is
        given.
    seeds
        Trainings of each method.
    bn_mode
        Statistics of the batch norms while architectures are scored; see
        ``nassim.oneshot.batchnorm``. Of several, separated by commas, each scores the same
        trainings, and is a method of its own: ``spos`` is judged as ``spos:bn_mode=recal`` and so
        on.
    scores
        A Parquet or CSV file with columns ``architecture``, ``score`` (higher is better) and
        perhaps ``seed``, to be judged too.
    draws
        Of the bootstrap.
    sample
        Functions that are judged at most; of more, so many are drawn by ``seed``.
    checkpoints
        Whether scores are also taken during a training; without them nothing is known of how
        stable they are, and a third of the scoring is left.
    """

    methods: str = "spos"
    seeds: int = 3
    bn_mode: str = "recal"
    scores: str | None = None
    draws: int = 1000
    sample: int = 500
    seed: int = 0
    device: str = "cpu"
    checkpoints: bool = True

    def __post_init__(self) -> None:
        for name, least in (("seeds", 1), ("draws", 1), ("sample", FEWEST_ARCHITECTURES)):
            if getattr(self, name) < least:
                raise InputError(f"{name} is {getattr(self, name)}; expected {least} or more.")
        if self.seed < 0:
            raise InputError(f"seed is {self.seed}; expected 0 or more.")
        modes = self.bn_modes
        if not set(modes) <= set(_BN_MODES) or len(set(modes)) < len(modes):
            raise InputError(
                f"bn_mode is {self.bn_mode!r}; expected one of {', '.join(_BN_MODES)}, or several "
                "of them, separated by commas."
            )
        if not self.methods.strip() and self.scores is None:
            raise InputError("There is nothing to judge; expected methods, or a file of scores.")

    @property
    def bn_modes(self) -> tuple[BatchNormMode, ...]:
        """The modes that ``bn_mode`` names."""
        return cast("tuple[BatchNormMode, ...]", tuple(self.bn_mode.split(",")))


@dataclass(frozen=True, eq=False)
class RankStudy:
    """A finished study: report, scores and traces."""

    report: pa.Table
    scores: pa.Table
    traces: pa.Table

    def write(self, path: str | Path) -> list[Path]:
        """Write the three files beside each other and return their paths."""
        return [
            write_table(self.scores, companion(path, "scores")),
            write_table(self.traces, companion(path, "traces")),
            write_table(self.report, path),
        ]


def read_rank(path: str | Path) -> RankStudy:
    """Read the three files of a study.

    Raises
    ------
    InputError
        if a file is missing, is no Parquet, or is no such table.
    """
    return RankStudy(
        read_table(path, RANK_SCHEMA),
        read_table(companion(path, "scores"), SCORES_SCHEMA),
        read_table(companion(path, "traces"), TRACES_SCHEMA),
    )


@dataclass(frozen=True)
class _Task:
    """One training of one method: what one process does at a time."""

    truth: Truth
    plan: RankPlan
    specification: Specification
    landmarks: Landmarks
    run: int


@dataclass(frozen=True, eq=False)
class _Judging:
    """One predictor that is to be judged: what one process does at a time."""

    prediction: Prediction
    truth: Truth
    live_params: IntArray
    draws: int
    seed: int


def run_rank(
    plan: RankPlan,
    truth: Truth,
    *,
    workers: int = 1,
    progress: Callable[[int, int, str], None] | None = None,
) -> RankStudy:
    """Judge trivial predictors, a file of scores, and one-shot methods.

    The report and the scores do not depend on ``workers``; what is measured in seconds does.

    Raises
    ------
    InputError
        if a method is unknown or asks for too many landmarks, its supernet has no such space, or
        the file is not what is expected.
    DataUnavailableError
        if the dataset's images can not be reached.
    """
    specifications = (
        parse_specifications(plan.methods, ONE_SHOT, "one-shot method")
        if plan.methods.strip()
        else []
    )
    asked = {}
    for specification in specifications:  # before the work: what is wrong shows now
        built = build_one_shot(specification)
        _check_space(built, truth)
        asked[specification] = built.landmarks
    if specifications:
        truth.trained_by()  # refuses what no supernet can be trained like
    landmarks = truth.landmarks(max(asked.values(), default=0), plan.seed)
    whole, truth = truth, truth.without(landmarks).sample(plan.sample, plan.seed)
    sizes = live_sizes(truth)
    params = sizes["live_params"]
    from_file = [] if plan.scores is None else [read_scores(plan.scores, truth, whole)]
    tasks = [
        _Task(truth, plan, spec, landmarks.first(asked[spec]), run)
        for spec in specifications
        for run in range(plan.seeds)
    ]
    trained: dict[tuple[str, int], OneShotRun] = {}
    for done, (task, answers) in enumerate(each_task(_train, tasks, workers), start=1):
        for mode, answer in zip(plan.bn_modes, answers, strict=True):
            trained[_named(task.specification, mode, plan), task.run] = answer
        if progress is not None:
            progress(done, len(tasks), f"{task.specification.text} run {task.run}")
    one_shot = [
        one_shot_prediction(
            _named(spec, mode, plan),
            [trained[_named(spec, mode, plan), run] for run in range(plan.seeds)],
            truth,
            landmarks.first(asked[spec]),
        )
        for spec in specifications
        for mode in plan.bn_modes
    ]
    predictions = [
        *trivial_predictions(truth, sizes, [one.numbers["images"][0] for one in one_shot]),
        *(
            landmark_prediction(landmarks.first(count), truth)
            for count in sorted({*asked.values()} - {0})
        ),
        *from_file,
        *one_shot,
    ]
    stamp = {
        "study": "rank",
        "store": truth.store,
        "store_sha": truth.store_sha,
        "metric_of_store": truth.metric,
        "space": truth.space,
        "dataset": truth.dataset.name,
        "recipe": truth.recipe,
        "seed": plan.seed,
        "bn_mode": plan.bn_mode,
        "nassim_version": nassim.__version__,
    }
    judgings = [_Judging(one, truth, params, plan.draws, plan.seed) for one in predictions]
    judged = {task.prediction.method: rows for task, rows in each_task(_judge, judgings, workers)}
    report = random_rows(truth)
    for prediction in predictions:
        report += judged[prediction.method]
    report += comparison_rows(predictions, truth, draws=plan.draws, seed=plan.seed)
    scores = [
        row for one in from_file for row in _score_rows(one.method, one.scores, truth, params)
    ]
    for (method, run), answer in trained.items():
        scores += _trained_rows(method, run, answer, truth, params)
    traces = [
        {"method": method, "run": run} | point._asdict()
        for (method, run), answer in trained.items()
        for point in answer.trace
    ]
    order = {text: k for k, text in enumerate([one.method for one in predictions])}

    def place(row: _Row) -> tuple[int, int]:
        return order[row["method"]], row["run"]

    return RankStudy(
        to_table([_UNCOMPARED | row | stamp for row in report], RANK_SCHEMA),
        to_table([row | stamp for row in sorted(scores, key=place)], SCORES_SCHEMA),
        to_table(sorted(traces, key=place), TRACES_SCHEMA),
    )


def build_one_shot(specification: Specification) -> OneShot:
    """The one-shot method of a specification.

    Raises
    ------
    InputError
        if an option is unknown or refused, or the class is no one-shot method.
    """
    from nassim.oneshot.base import OneShot

    method = build(specification, "one-shot method")
    if not isinstance(method, OneShot):
        raise InputError(
            f"{specification.path!r} is a {type(method).__name__}; expected a subclass of "
            "nassim.oneshot.base.OneShot."
        )
    return method


# --- one-shot methods -------------------------------------------------------------------------


def _check_space(method: OneShot, truth: Truth) -> None:
    from nassim.oneshot.base import check_space

    check_space(method, get_space(truth.space))


def _named(specification: Specification, mode: BatchNormMode, plan: RankPlan) -> str:
    """What a method is called in the report."""
    text = specification.text
    return text if len(plan.bn_modes) == 1 else f"{text}:bn_mode={mode}"


def _judge(task: _Judging) -> list[_Row]:
    return judge(task.prediction, task.truth, task.live_params, draws=task.draws, seed=task.seed)


def _train(task: _Task) -> tuple[OneShotRun, ...]:
    from nassim.datasets import FeatureData, load_dataset
    from nassim.oneshot.run import run_one_shot_in_modes

    truth, plan = task.truth, task.plan
    data = load_dataset(truth.dataset.name)
    if isinstance(data, FeatureData) or data.record.sha256 != truth.dataset.sha256:
        raise InputError(
            f"Dataset {truth.dataset.name!r} is not the images that store {truth.store!r} was "
            "trained on; take the version of nassim that is recorded in its runs."
        )
    one_each = truth.representatives(np.full(len(truth.architectures), plan.checkpoints))
    return run_one_shot_in_modes(
        build_one_shot(task.specification),
        get_space(truth.space),
        data,
        truth.trained_by(),
        truth.architectures,
        [truth.architectures[row] for row in one_each],
        landmarks=task.landmarks,
        modes=plan.bn_modes,
        seed=mixed_seed(plan.seed, task.run, truth.dataset.name),  # the same for every method
        device=plan.device,
    )


# --- rows of scores ---------------------------------------------------------------------------


def _trained_rows(
    method: str, run: int, answer: OneShotRun, truth: Truth, params: IntArray
) -> list[_Row]:
    everything = np.arange(len(truth.architectures))
    one_each = truth.representatives(np.ones(len(everything), bool))
    parts = [(step, one_each, scores) for step, scores in answer.checkpoints]
    parts.append((answer.steps, everything, answer.scores))
    return [
        _score_row(method, run, int(row), truth, params)
        | {
            "step": step,
            "last": rows is everything,
            "accuracy": float(one),
            "loss": float(other),
        }
        for step, rows, scores in parts
        for row, one, other in zip(rows, scores.accuracy, scores.loss, strict=True)
    ]


def _score_rows(method: str, scores: FloatArray, truth: Truth, params: IntArray) -> list[_Row]:
    return [
        _score_row(method, run, int(row), truth, params)
        | {"step": 0, "last": True, "accuracy": float(scores[row, run]), "loss": math.nan}
        for run in range(scores.shape[1])
        for row in np.flatnonzero(np.isfinite(scores[:, run]))
    ]


def _score_row(method: str, run: int, row: int, truth: Truth, params: IntArray) -> _Row:
    values = truth.test[row][np.isfinite(truth.test[row])]
    architecture = truth.architectures[row]
    return {
        "method": method,
        "run": run,
        "architecture": architecture.id,
        "canonical": architecture.canonical_id,
        "truth": float(values.mean()),
        "truth_deviation": float(values.std(ddof=1)) if len(values) > 1 else math.nan,
        "n_params": int(params[row]),
    }
