"""The NAS best practices of Lindauer & Hutter ("Best Practices for Scientific Research on Neural
Architecture Search", JMLR 21(243), 2020), filled in from results.

Fourteen practices, in our words. What the files and their store show is answered, with the
evidence; what only the authors know is left to them. What is not shown is not claimed.

How to read this file: items and their text; what the files show; the answers.
"""

from __future__ import annotations

from collections import Counter
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
from nassim.reports.text import decimals, duration, plural
from nassim.store import Store, find_store
from nassim.studies.oneshot import read_rank
from nassim.studies.results import read_study, study_kind
from nassim.terminators import TERMINATORS

__all__ = ["PRACTICES", "Item", "checklist", "checklist_text"]

Answer = Literal["yes", "partly", "no", "yours"]

PRACTICES = (
    "The code of the training pipeline is released",
    "The code of every method is released",
    "Code is released now, not once it is tidy",
    "All methods are compared on one and the same benchmark",
    "Ablations show what matters in a method",
    "All methods are evaluated by the same protocol",
    "Methods are compared over time, not at one moment only",
    "Random search is compared too",
    "Results are repeated, with other seeds",
    "Tabular or surrogate benchmarks serve where possible",
    "Confounding factors are under control",
    "The tuning of the methods' own hyperparameters is reported",
    "The time of the whole method is reported, from end to end",
    "Every detail of the experiments is reported",
)
MARKS: Mapping[Answer, str] = {"yes": "x", "partly": "~", "no": " ", "yours": "?"}
FEWEST_ORDERS = 3  # below which a comparison counts as not repeated


@dataclass(frozen=True)
class Item:
    """One practice: whether the results keep to it, and what shows it.

    ``answer`` is ``yes``, ``partly``, ``no``, or ``yours`` where no file can tell.
    """

    number: int
    practice: str
    answer: Answer
    evidence: str


def checklist_text(items: Sequence[Item]) -> str:
    """The items as a Markdown list, and how many have which answer.

    >>> print(checklist_text([Item(8, "Random search is compared too", "yes", "As `random`.")]))
    - [x] 8. Random search is compared too. As `random`.
    <BLANKLINE>
    [x] yes: 1; [~] partly: 0; [ ] no: 0; [?] for you to answer: 0
    """
    lines = [
        f"- [{MARKS[item.answer]}] {item.number}. {item.practice}. {item.evidence}"
        for item in items
    ]
    counts = Counter(item.answer for item in items)
    names = {"yours": "for you to answer"}
    summary = "; ".join(
        f"[{mark}] {names.get(answer, answer)}: {counts[answer]}" for answer, mark in MARKS.items()
    )
    return "\n".join([*lines, "", summary])


def checklist(paths: Sequence[str | Path], store: str | Path | None = None) -> tuple[Item, ...]:
    """Fill in the practices from result files of one kind of study.

    ``store`` names the store that they were made on, where its recorded name does not lead to it.

    Raises
    ------
    InputError
        if a file is no results table, or the files are of several kinds of study, or ``store`` is
        not the store that they were made on.
    """
    kinds = {study_kind(path) for path in paths}
    if len(kinds) != 1:
        raise InputError(
            f"The files are of several kinds of study ({', '.join(sorted(map(str, kinds)))}); fill "
            "in a checklist for the files of each kind."
        )
    facts = _rank_facts(paths) if kinds == {"rank"} else _study_facts(paths)
    answers = _answers(facts, _store_of(facts, store))
    return tuple(
        Item(number, practice, *answer)
        for number, (practice, answer) in enumerate(zip(PRACTICES, answers, strict=True), start=1)
    )


# -- what the files show -------------------------------------------------------------------------


@dataclass(frozen=True)
class _Facts:
    """What the answers are made of; ``settings`` are the distinct values of each stamp."""

    kind: str  # of study: termination, search or rank
    settings: Mapping[str, tuple[object, ...]]
    methods: tuple[Specification, ...]
    known: frozenset[str]  # names of methods that come with nassim
    cases: Mapping[str, frozenset[tuple[object, ...]]]  # what each method was run on
    over_time: tuple[Answer, str]
    random: tuple[Answer, str]
    repeats: tuple[Answer, str]
    benchmark: str
    time: tuple[Answer, str]
    learners: tuple[str, ...]
    leaks: tuple[str, ...]


def _study_facts(paths: Sequence[str | Path]) -> _Facts:
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
    return _Facts(
        kind="search" if searches else "termination",
        settings={name: _distinct(row[name] for row in rows) for name in stamps},
        methods=methods,
        known=frozenset(name for table in tables for name in table),
        cases={name: frozenset(each) for name, each in cases.items()},
        over_time=_over_time(rows),
        random=_random(rows, searches),
        repeats=_repeats(rows),
        benchmark=f"Replayed from {', '.join(sources)}.",
        time=_time(rows, timings),
        learners=_distinct_texts(row["method"] for row in rows if row["learns"]),
        leaks=_distinct_texts(row["leakage"] for row in rows if row["leakage"] != "none"),
    )


def _over_time(rows: Sequence[Mapping[str, Any]]) -> tuple[Answer, str]:
    units = _distinct_texts(row["time_unit"] for row in rows)
    said = "Each search keeps its regret over the virtual clock (`trace_cost`, `trace_regret_pp`)"
    if units == ("seconds",):
        return "yes", f"{said}, in measured seconds."
    return "partly", f"{said}, in {' and '.join(units)}: the store has no measured seconds."


def _random(rows: Sequence[Mapping[str, Any]], searches: bool) -> tuple[Answer, str]:
    if not searches:
        return "yes", "Every row has random search at the same cost (`random_regret_pp`)."
    if any(row["optimizer"].partition(":")[0] == "random" for row in rows):
        return "yes", "As `random`, with the same seeds; its expectation is known in closed form."
    return "no", "No method is `random`; add it to --methods."


def _repeats(rows: Sequence[Mapping[str, Any]]) -> tuple[Answer, str]:
    orders = len({row["order_seed"] for row in rows})
    fits = len({row["model_seed"] for row in rows if row["learns"]})
    targets = len({row["target"] for row in rows})
    said = f"{plural(orders, 'order')} of the candidates on {plural(targets, 'target')}"
    said += f", {plural(fits, 'fit')} of what learns; all seeds follow from `seed`."
    if orders < FEWEST_ORDERS:
        return "no", f"{said} Take more --orders."
    if fits == 1:
        return "partly", f"{said} Take more --model-seeds."
    return "yes", said


def _time(
    rows: Sequence[Mapping[str, Any]], timings: Sequence[Mapping[str, Any]]
) -> tuple[Answer, str]:
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


def _rank_facts(paths: Sequence[str | Path]) -> _Facts:
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
    time: tuple[Answer, str] = "no", "The scores came from a file; what they cost is not in it."
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
    return _Facts(
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
        benchmark="Judged by full trainings that a store has recorded.",
        time=time,
        learners=(),
        leaks=(),
    )


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


def _store_of(facts: _Facts, named: str | Path | None) -> Store | None:
    """The store that the results were made on; None if it is not here."""
    (name, *others), (sha, *_) = facts.settings["store"], facts.settings["store_sha"]
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


# -- the answers ---------------------------------------------------------------------------------


def _answers(facts: _Facts, store: Store | None) -> list[tuple[Answer, str]]:
    return [
        _pipeline(facts, store),
        _code(facts),
        ("yours", "The result files belong to it, and the commands that wrote them."),
        _one_benchmark(facts),
        _ablations(facts),
        _protocol(facts),
        facts.over_time,
        facts.random,
        facts.repeats,
        ("yes", facts.benchmark),
        _confounders(facts, store),
        _tuning(facts),
        _end_to_end(facts, store),
        ("yes", f"{_said(facts.settings)}."),
    ]


def _pipeline(facts: _Facts, store: Store | None) -> tuple[Answer, str]:
    if store is None:
        name, sha = facts.settings["store"][0], str(facts.settings["store_sha"][0])[:12]
        return "yours", f"Store {name!r} of sha {sha} is not here; name it with --store."
    if store.importer is not None:
        return "yours", (
            f"Store {store.name!r} was imported ({store.importer.get('format', 'a table')}); the "
            "pipeline is that of its authors: cite them."
        )
    recipes = ", ".join(f"`{name}`" for name in store.recipes)
    kind = "recipe" if len(store.recipes) == 1 else "recipes"
    return "yes", (
        f"`nassim generate` trained all {plural(store.n_runs, 'run')} of store {store.name!r} "
        f"({kind} {recipes}); `nassim verify {store.name} --retrain 5` trains some of them again."
    )


def _code(facts: _Facts) -> tuple[Answer, str]:
    own = [each.name for each in facts.methods if each.name not in facts.known]
    count = len(facts.methods) - len(own)
    versions = ", ".join(map(str, facts.settings["nassim_version"]))
    said = f"{plural(count, 'method')} of nassim {versions}."
    if own:
        return "yours", f"{said} Release {', '.join(f'`{name}`' for name in own)}."
    return "yes", said


def _one_benchmark(facts: _Facts) -> tuple[Answer, str]:
    shas = facts.settings["store_sha"]
    kept = {
        name: values
        for name, values in facts.settings.items()
        if name in ("store", "space", "dataset", "recipe", "pool", "metric")
    }
    if len(shas) > 1 or any(len(values) > 1 for values in kept.values()):
        return "no", f"Several: {_said(kept)}, of {plural(len(shas), 'content')}."
    return "yes", f"One: {_said(kept)}, of sha {str(shas[0])[:12]}."


def _ablations(facts: _Facts) -> tuple[Answer, str]:
    settings = Counter(each.name for each in facts.methods)
    several = [f"`{name}` with {n} settings" for name, n in settings.items() if n > 1]
    for name in ("source_datasets", "source_architectures", "shuffled_sources"):
        if len(facts.settings.get(name, ())) > 1:
            several.append(f"several {name.replace('_', ' ')}")
    if several:
        return "partly", f"{', '.join(several)}. Whether those are what matters is yours to say."
    return "no", "Every method has one setting; add others of it, as in `name:option=value`."


def _protocol(facts: _Facts) -> tuple[Answer, str]:
    every = frozenset[tuple[object, ...]]().union(*facts.cases.values())
    lacking = sorted(name for name, cases in facts.cases.items() if cases != every)
    what = "architectures" if facts.kind == "rank" else "targets and orders"
    if lacking:
        return (
            "no",
            f"Not on the same {what} as the others: {', '.join(f'`{n}`' for n in lacking)}.",
        )
    return "yes", f"All on the same {what}, by one definition of regret, cost and rank."


def _confounders(facts: _Facts, store: Store | None) -> tuple[Answer, str]:
    said = "The methods' own speed does not move the virtual clock. "
    if facts.kind == "rank":
        said = "All methods are judged by the same trainings. "
    if facts.leaks:
        return "no", f"Leakage: the search saw {' and '.join(facts.leaks)} values. {said.strip()}"
    if store is None:
        return "partly", f"{said}The store is not here: on what it was trained is yours to say."
    table = store.table(["hardware", "versions"])
    hardware = [each for each in _distinct_texts(table.column("hardware").to_pylist()) if each]
    versions = [each for each in _distinct_texts(table.column("versions").to_pylist()) if each]
    if not hardware or not versions:
        return "partly", f"{said}The store does not say on what it was trained."
    said += f"Trained on {' / '.join(hardware)} with {' / '.join(versions)}."
    if len(hardware) > 1 or len(versions) > 1:
        return "partly", f"{said} Seconds of one kind and another cannot be compared."
    return "yes", said


def _tuning(facts: _Facts) -> tuple[Answer, str]:
    changed = [f"`{each.text}`" for each in facts.methods if each.options]
    if changed:
        return "yours", (
            f"Not at their defaults: {', '.join(changed)}. Say how these were chosen, on what "
            "data, and what that took."
        )
    return "yours", "All methods are at their defaults. Say so, and whether you tried others."


def _end_to_end(facts: _Facts, store: Store | None) -> tuple[Answer, str]:
    answer, said = facts.time
    if answer == "no" or not facts.learners:
        return answer, said
    learns = ", ".join(f"`{name}`" for name in facts.learners)
    if store is None:
        said += f" What {learns} learn from was paid for before; how much is not shown here."
        return "partly", said
    space = str(facts.settings["space"][0])
    seconds = np.nan_to_num(store.curves("epoch_seconds", space=space)).sum(dtype=np.float64)
    n = len(set(store.index(space=space).dataset))
    said += (
        f" What {learns} learn from was trained before, and is in no cost: "
        f"{duration(float(seconds) * (n - 1) / n)} for a target, if every other dataset is read."
    )
    return answer, said


def _said(settings: Mapping[str, tuple[object, ...]]) -> str:
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
