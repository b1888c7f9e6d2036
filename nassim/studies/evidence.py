"""What result files show, for a checklist: settings, methods, repeats, time, uncertainty.

How to read this file: what is gathered; from a comparison of terminators or of optimizers; from a
comparison of one-shot methods; the store that all of them were made on.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow as pa

from nassim.errors import InputError, NassimError
from nassim.loading import Specification, parse_specification
from nassim.oneshot import ONE_SHOT
from nassim.optimizers import OPTIMIZERS
from nassim.ranking.intervals import smallest_sign_test
from nassim.reports.text import decimals, duration, plural
from nassim.store import Store, find_store
from nassim.studies.oneshot import read_rank
from nassim.studies.results import read_study, study_kind
from nassim.terminators import TERMINATORS

__all__ = ["FEWEST_ORDERS", "Answer", "Evidence", "Shown", "evidence_of", "in_words", "store_of"]

Answer = Literal["yes", "partly", "no", "yours"]
Shown = tuple[Answer, str]  # an answer, and what shows it

FEWEST_ORDERS = 3  # below which a comparison counts as not repeated
SIGNIFICANT = 0.05  # a comparison that cannot have such a p has no significance to report


@dataclass(frozen=True)
class Evidence:
    """What the answers are made of; ``settings`` are the distinct values of each stamp."""

    kind: str  # of study: termination, search or rank
    settings: Mapping[str, tuple[object, ...]]
    methods: tuple[Specification, ...]
    known: frozenset[str]  # names of methods that come with nassim
    cases: Mapping[str, frozenset[tuple[object, ...]]]  # what each method was run on
    over_time: Shown
    random: Shown
    repeats: Shown
    uncertainty: Shown
    significance: Shown
    benchmark: Shown
    limit: str  # what ends a search
    time: Shown
    own_seconds: float  # of the methods' own computing, in all; NaN: not known
    learners: tuple[str, ...]
    leaks: tuple[str, ...]


def evidence_of(paths: Sequence[str | Path]) -> Evidence:
    """What result files of one kind of study show.

    Raises
    ------
    InputError
        if a file is no results table or has no rows, or the files are of several kinds of study.
    """
    kinds = {study_kind(path) for path in paths}
    if len(kinds) != 1:
        raise InputError(
            f"The files are of several kinds of study ({', '.join(sorted(map(str, kinds)))}); fill "
            "in a checklist for the files of each kind."
        )
    return _of_rankings(paths) if kinds == {"rank"} else _of_searches(paths)


def in_words(settings: Mapping[str, tuple[object, ...]]) -> str:
    """Settings in words, without those that were not given."""
    parts = []
    for name, values in settings.items():
        shown = [
            str(value)[:12] if name.endswith("sha") else str(value)
            for value in values
            if value is not None and value is not False
        ]
        if shown:
            parts.append(f"{name.replace('_', ' ')} {' / '.join(shown)}")
    return ", ".join(parts)


# -- searches and early termination ----------------------------------------------------------------


def _of_searches(paths: Sequence[str | Path]) -> Evidence:
    """Of files that a comparison of terminators or of optimizers wrote."""
    studies = [read_study(path) for path in paths]
    rows = [row for study in studies for row in study.results.to_pylist()]
    if not rows:
        raise InputError(f"{str(paths[0])!r} has no results; expected at least one search.")
    searches = studies[0].kind == "search"
    names = {row["optimizer"] if searches else row["method"] for row in rows}
    if searches:
        names |= {row["terminator"] for row in rows if row["terminator"] != "never"}
    tables = (OPTIMIZERS, TERMINATORS) if searches else (TERMINATORS,)
    methods = tuple(_specification(name, tables) for name in sorted(names))
    cases: dict[str, set[tuple[object, ...]]] = {}
    for row in rows:
        cases.setdefault(row["method"], set()).add((row["target"], row["order_seed"]))
    stamps = (
        *("store", "store_sha", "space", "metric", "pool", "leave_out", "quality", "runs", "seed"),
        *("source_datasets", "source_architectures", "shuffled_sources", "workers", "accounting"),
        *(("budget",) if searches else ()),
        "nassim_version",
    )
    sources = _distinct_texts(
        "a table"
        if row["source"] == "tabular"
        else f"a surrogate (held out: R2 {decimals(row['surrogate_r2'])}, "
        f"tau {decimals(row['surrogate_tau'])})"
        for row in rows
    )
    timings = pa.concat_tables([study.timings for study in studies]).to_pylist()
    targets = len({row["target"] for row in rows})
    return Evidence(
        kind="search" if searches else "termination",
        settings={name: _distinct(row[name] for row in rows) for name in stamps},
        methods=methods,
        known=frozenset(name for table in tables for name in table),
        cases={name: frozenset(each) for name, each in cases.items()},
        over_time=_over_time(rows),
        random=_random(rows, searches),
        repeats=_repeats(rows),
        uncertainty=_uncertainty(targets),
        significance=_significance(targets),
        benchmark=("yes", f"Replayed from {', '.join(sources)}."),
        limit=_limit(rows, searches),
        time=_time(rows, timings),
        own_seconds=sum(row["fit_seconds"] + row["search_seconds"] for row in timings),
        learners=_distinct_texts(row["method"] for row in rows if row["learns"]),
        leaks=_distinct_texts(row["leakage"] for row in rows if row["leakage"] != "none"),
    )


def _over_time(rows: Sequence[Mapping[str, Any]]) -> Shown:
    units = _distinct_texts(row["time_unit"] for row in rows)
    kept = "Each search keeps its regret over the virtual clock (`trace_cost`, `trace_regret_pp`)"
    if units == ("seconds",):
        return "yes", f"{kept}, in measured seconds."
    return "partly", f"{kept}, in {' and '.join(units)}: the store has no measured seconds."


def _limit(rows: Sequence[Mapping[str, Any]], searches: bool) -> str:
    if not searches:
        return "A search ends when every candidate is trained or stopped; there is no other limit."
    budgets = " / ".join(str(each) for each in _distinct(row["budget"] for row in rows))
    return f"A search ends after {budgets} evaluations; why so many is yours to say."


def _random(rows: Sequence[Mapping[str, Any]], searches: bool) -> Shown:
    if not searches:
        return "yes", "Every row has random search at the same cost (`random_regret_pp`)."
    if any(row["optimizer"].partition(":")[0] == "random" for row in rows):
        return "yes", "As `random`, with the same seeds; its expectation is known in closed form."
    return "no", "No method is `random`; add it to --methods."


def _repeats(rows: Sequence[Mapping[str, Any]]) -> Shown:
    orders = len({row["order_seed"] for row in rows})
    fits = len({row["model_seed"] for row in rows if row["learns"]})
    targets = len({row["target"] for row in rows})
    run = f"{plural(orders, 'order')} of the candidates on {plural(targets, 'target')}"
    run += f", {plural(fits, 'fit')} of what learns; all seeds follow from `seed`."
    if orders < FEWEST_ORDERS:
        return "no", f"{run} Take more --orders."
    if fits == 1:
        return "partly", f"{run} Take more --model-seeds."
    return "yes", run


def _uncertainty(targets: int) -> Shown:
    if targets == 1:
        return "partly", "One target: intervals say nothing of how a method does on another one."
    return "yes", "Each mean has a bootstrap interval, over targets first and seeds within them."


def _significance(targets: int) -> Shown:
    least = (
        f"on {plural(targets, 'target')} its p cannot be below {smallest_sign_test(targets):.2g}"
    )
    if smallest_sign_test(targets) > SIGNIFICANT:
        return "no", f"Methods are compared by a sign test over targets; {least}: claim none."
    return (
        "yes",
        f"Methods are compared by a sign test over targets, with Holm's correction; {least}.",
    )


def _time(rows: Sequence[Mapping[str, Any]], timings: Sequence[Mapping[str, Any]]) -> Shown:
    if {row["time_unit"] for row in rows} != {"seconds"}:
        return "no", "The store has no measured seconds; costs are counted in epochs."
    clock: dict[str, list[float]] = {}
    own: dict[str, list[float]] = {}
    for row in rows:
        clock.setdefault(row["method"], []).append(row["simulated_seconds"])
    for row in timings:
        own.setdefault(row["method"], []).append(row["fit_seconds"] + row["search_seconds"])
    mean = {name: float(np.mean(values)) for name, values in clock.items()}
    slowest = max(own, key=lambda name: float(np.mean(own[name])))
    fastest, longest = min(mean, key=mean.__getitem__), max(mean, key=mean.__getitem__)
    return "yes", (
        f"A search takes {duration(mean[fastest])} (`{fastest}`) to {duration(mean[longest])} "
        f"(`{longest}`) of recorded training on the virtual clock, in which the pick is trained to "
        f"its end; the methods' own computing is recorded beside it, up to "
        f"{duration(float(np.mean(own[slowest])))} a target and fit (`{slowest}`)."
    )


# -- one-shot methods ---------------------------------------------------------------------------


def _of_rankings(paths: Sequence[str | Path]) -> Evidence:
    """Of files that a comparison of one-shot methods wrote."""
    rows = [row for path in paths for row in read_rank(path).report.to_pylist()]
    if not rows:
        raise InputError(f"{str(paths[0])!r} has no results; expected at least one method.")
    judged = [row for row in rows if row["kind"] != "trivial"]
    methods = tuple(
        _specification(name, (ONE_SHOT,))
        for name in _distinct_texts(row["method"] for row in judged)
    )
    cases: dict[str, set[tuple[object, ...]]] = {}
    for row in rows:
        if row["metric"] == "tau":
            cases.setdefault(row["method"], set()).add((row["store_sha"], row["dataset"], row["n"]))
    stamps = (
        *("store", "store_sha", "space", "dataset", "recipe", "metric_of_store", "seed", "bn_mode"),
        "nassim_version",
    )
    supernets = min((row["runs"] for row in judged), default=0)
    trainings = min(row["seeds"] for row in rows)
    repeats = (
        f"{plural(supernets, 'run')} of each method, {plural(trainings, 'full training')} of each "
        "architecture; intervals are over both, and over architectures."
    )
    seconds = {row["method"]: row["value"] for row in rows if row["metric"] == "train_seconds"}
    time: Shown = "no", "The scores came from a file; what they cost is not in it."
    if seconds:
        fastest, longest = (
            min(seconds, key=seconds.__getitem__),
            max(seconds, key=seconds.__getitem__),
        )
        time = (
            "partly",
            (
                f"A supernet is trained in {duration(seconds[fastest])} (`{fastest}`) to "
                f"{duration(seconds[longest])} (`{longest}`) of real time, and scored in "
                "`score_seconds`; the full training of a pick is in the store, not in these."
            ),
        )
    return Evidence(
        kind="rank",
        settings={name: _distinct(row[name] for row in rows) for name in stamps},
        methods=methods,
        known=frozenset(ONE_SHOT),
        cases={name: frozenset(each) for name, each in cases.items()},
        over_time=(
            "partly",
            "Scores of several moments of a training are kept (`stability`); methods are compared "
            "at its end.",
        ),
        random=("yes", "As `random`, beside other predictors that cost nothing."),
        repeats=(("yes" if supernets >= FEWEST_ORDERS else "no"), repeats),
        uncertainty=(
            "yes",
            "Each tau has a bootstrap interval over architectures, supernets and full trainings, "
            "and stands beside its noise ceiling.",
        ),
        significance=(
            "yes",
            "Each method is compared with the predictors that cost nothing (p-values with Holm's "
            "correction), within one dataset: nothing is said of others.",
        ),
        benchmark=("yes", "Judged by full trainings that a store has recorded."),
        limit="A supernet is trained for the steps that its method is given.",
        time=time,
        own_seconds=_own_seconds(rows),
        learners=(),
        leaks=(),
    )


def _own_seconds(rows: Sequence[Mapping[str, Any]]) -> float:
    """Of all supernets: rows hold the mean of a method's runs.

    One that is scored under several batch-norm modes is a method in each, and trained once.
    """
    seconds: dict[object, float] = {}
    for row in rows:
        if row["metric"] in ("train_seconds", "score_seconds"):
            trained = row["method"].partition(":bn_mode=")[0]
            method = trained if row["metric"] == "train_seconds" else row["method"]
            key = (row["store_sha"], row["dataset"], row["recipe"], row["metric"], method)
            seconds[key] = row["value"] * row["runs"]
    return sum(seconds.values()) if seconds else float("nan")


# -- what both have, and their store ---------------------------------------------------------------


def _specification(text: str, tables: Sequence[Mapping[str, str]]) -> Specification:
    """A method by its text; one that is no longer known, or a row of a file, is its own name."""
    for table in tables:
        try:
            return parse_specification(text, table, "method")
        except NassimError:
            continue
    return Specification(text, text, text)


def _distinct(values: Iterable[object]) -> tuple[object, ...]:
    return tuple(sorted(set(values), key=repr))


def _distinct_texts(values: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted(set(values)))


def store_of(evidence: Evidence, named: str | Path | None) -> Store | None:
    """The store that the results were made on; None if it is not here.

    Raises
    ------
    InputError
        if ``named`` has other content than the results say.
    """
    (name, *others), (sha, *_) = evidence.settings["store"], evidence.settings["store_sha"]
    if named is not None:
        store = Store.open(find_store(named))
        if store.sha != sha or others:
            raise InputError(
                f"Store {str(named)!r} has sha {store.sha[:12]}; the results were made on "
                f"{name!r}, sha {str(sha)[:12]}. Name the store of that content, or leave --store "
                "out."
            )
        return store
    try:
        store = Store.open(find_store(str(name)))
    except NassimError:
        return None
    return store if store.sha == sha and not others else None
