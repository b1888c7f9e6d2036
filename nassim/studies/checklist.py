"""Checklists of the field, filled in from results: what the files and their store show is answered,
with the evidence; what only the authors know is left to them. What is not shown is not claimed.

- ``nas``: the fourteen practices of Lindauer & Hutter, "Best Practices for Scientific Research on
  Neural Architecture Search", JMLR 21(243), 2020.
- ``automl``: the submission checklist of the AutoML Conference, by the numbers of 2025.

All in our words. How to read this file: items and their text; answers to both; the lists.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from nassim.errors import InputError
from nassim.reports.text import duration, plural
from nassim.store import Store
from nassim.studies.evidence import Answer, Evidence, Shown, evidence_of, in_words, store_of

__all__ = ["LISTS", "Item", "Practice", "checklist", "checklist_text"]

MARKS: Mapping[Answer, str] = {"yes": "x", "partly": "~", "no": " ", "yours": "?"}


@dataclass(frozen=True)
class Practice:
    """One item of a list, and how it is answered."""

    number: str
    text: str
    answer: Callable[[Evidence, Store | None], Shown]


@dataclass(frozen=True)
class Item:
    """One practice: whether the results keep to it, and what shows it.

    ``answer`` is ``yes``, ``partly``, ``no``, or ``yours`` where no file can tell.
    """

    number: str
    practice: str
    answer: Answer
    evidence: str


def checklist_text(items: Sequence[Item]) -> str:
    """The items as a Markdown list, and how many have which answer.

    >>> print(checklist_text([Item("8", "Random search is compared too", "yes", "As `random`.")]))
    - [x] 8. Random search is compared too. As `random`.
    <BLANKLINE>
    [x] yes: 1; [~] partly: 0; [ ] no: 0; [?] for you to answer: 0
    """
    lines = [
        f"- [{MARKS[item.answer]}] {item.number}. {item.practice}. {item.evidence}".rstrip()
        for item in items
    ]
    counts = Counter(item.answer for item in items)
    names = {"yours": "for you to answer"}
    summary = "; ".join(
        f"[{mark}] {names.get(answer, answer)}: {counts[answer]}" for answer, mark in MARKS.items()
    )
    return "\n".join([*lines, "", summary])


def checklist(
    paths: Sequence[str | Path], store: str | Path | None = None, practices: str = "nas"
) -> tuple[Item, ...]:
    """Fill in a list from result files of one kind of study.

    ``store`` names the store that they were made on, where its recorded name does not lead to it;
    ``practices`` is one of ``LISTS``.

    Raises
    ------
    InputError
        if a file is no results table, or the files are of several kinds of study, or ``store`` is
        not the store that they were made on, or there is no such list.
    """
    if practices not in LISTS:
        raise InputError(f"There is no checklist {practices!r}; expected {' or '.join(LISTS)}.")
    shown = evidence_of(paths)
    found = store_of(shown, store)
    return tuple(
        Item(each.number, each.text, *each.answer(shown, found)) for each in LISTS[practices]
    )


# -- answers to both lists -------------------------------------------------------------------------


def _pipeline(shown: Evidence, store: Store | None) -> Shown:
    if store is None:
        name, sha = shown.settings["store"][0], str(shown.settings["store_sha"][0])[:12]
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


def _code(shown: Evidence, store: Store | None) -> Shown:
    own = [each.name for each in shown.methods if each.name not in shown.known]
    count = len(shown.methods) - len(own)
    versions = ", ".join(map(str, shown.settings["nassim_version"]))
    said = f"{plural(count, 'method')} of nassim {versions}."
    if own:
        return "yours", f"{said} Release {', '.join(f'`{name}`' for name in own)}."
    return "yes", said


def _one_benchmark(shown: Evidence, store: Store | None) -> Shown:
    shas = shown.settings["store_sha"]
    kept = {
        name: values
        for name, values in shown.settings.items()
        if name in ("store", "space", "dataset", "recipe", "pool", "metric")
    }
    if len(shas) > 1 or any(len(values) > 1 for values in kept.values()):
        return "no", f"Several: {in_words(kept)}, of {plural(len(shas), 'content')}."
    return "yes", f"One: {in_words(kept)}, of sha {str(shas[0])[:12]}."


def _ablations(shown: Evidence, store: Store | None) -> Shown:
    settings = Counter(each.name for each in shown.methods)
    several = [f"`{name}` with {n} settings" for name, n in settings.items() if n > 1]
    for name in ("source_datasets", "source_architectures", "shuffled_sources"):
        if len(shown.settings.get(name, ())) > 1:
            several.append(f"several {name.replace('_', ' ')}")
    if several:
        return "partly", f"{', '.join(several)}. Whether those are what matters is yours to say."
    return "no", "Every method has one setting; add others of it, as in `name:option=value`."


def _protocol(shown: Evidence, store: Store | None) -> Shown:
    every = frozenset[tuple[object, ...]]().union(*shown.cases.values())
    lacking = sorted(name for name, cases in shown.cases.items() if cases != every)
    what = "architectures" if shown.kind == "rank" else "targets and orders"
    if lacking:
        return (
            "no",
            f"Not on the same {what} as the others: {', '.join(f'`{n}`' for n in lacking)}.",
        )
    return "yes", f"All on the same {what}, by one definition of regret, cost and rank."


def _confounders(shown: Evidence, store: Store | None) -> Shown:
    said = "The methods' own speed does not move the virtual clock. "
    if shown.kind == "rank":
        said = "All methods are judged by the same trainings. "
    if shown.leaks:
        return "no", f"Leakage: the search saw {' and '.join(shown.leaks)} values. {said.strip()}"
    if store is None:
        return "partly", f"{said}The store is not here: on what it was trained is yours to say."
    hardware, versions = _recorded(store, "hardware"), _recorded(store, "versions")
    if not hardware or not versions:
        return "partly", f"{said}The store does not say on what it was trained."
    said += f"Trained on {' / '.join(hardware)} with {' / '.join(versions)}."
    if len(hardware) > 1 or len(versions) > 1:
        return "partly", f"{said} Seconds of one kind and another cannot be compared."
    return "yes", said


def _recorded(store: Store, column: str) -> list[str]:
    """What a store says of its runs in one column of texts, each once."""
    return sorted(set(store.table([column]).column(column).to_pylist()) - {None, ""})


def _tuning(shown: Evidence, store: Store | None) -> Shown:
    changed = [f"`{each.text}`" for each in shown.methods if each.options]
    if changed:
        return "yours", (
            f"Not at their defaults: {', '.join(changed)}. Say how these were chosen, on what "
            "data, and what that took."
        )
    return "yours", "All methods are at their defaults. Say so, and whether you tried others."


def _end_to_end(shown: Evidence, store: Store | None) -> Shown:
    answer, said = shown.time
    if answer == "no" or not shown.learners:
        return answer, said
    learns = ", ".join(f"`{name}`" for name in shown.learners)
    if store is None:
        said += f" What {learns} learn from was paid for before; how much is not shown here."
        return "partly", said
    space = str(shown.settings["space"][0])
    seconds = np.nan_to_num(store.curves("epoch_seconds", space=space)).sum(dtype=np.float64)
    n = len(set(store.index(space=space).dataset))
    said += (
        f" What {learns} learn from was trained before, and is in no cost: "
        f"{duration(float(seconds) * (n - 1) / n)} for a target, if every other dataset is read."
    )
    return answer, said


def _details(shown: Evidence, store: Store | None) -> Shown:
    return "yes", f"{in_words(shown.settings)}."


# -- answers to the conference's list --------------------------------------------------------------

WORST_FIRST: Sequence[Answer] = ("no", "yours", "partly", "yes")


def _both(first: Shown, second: Shown) -> Shown:
    """Two questions in one item: the worse answer, and what shows either."""
    return min(first[0], second[0], key=WORST_FIRST.index), f"{first[1]} {second[1]}"


def _scope(shown: Evidence, store: Store | None) -> Shown:
    on = {
        name: values
        for name, values in shown.settings.items()
        if name in ("store", "space", "dataset", "metric")
    }
    return "yours", f"All results are of {in_words(on)}: what holds elsewhere is not shown."


def _evaluation(shown: Evidence, store: Store | None) -> Shown:
    if store is None:
        return _both(
            _tuning(shown, store),
            ("partly", "The store is not here: splits, recipes and preparation are in it."),
        )
    hashed = sum(bool(each.sha256) for each in store.datasets)
    kept = f"Splits ({hashed} of {plural(len(store.datasets), 'dataset')} with a hash of them)"
    kept += f" and {plural(len(store.recipes), 'recipe')} are in store {store.name!r}."
    answer: Answer = "yes" if hashed == len(store.datasets) and store.recipes else "partly"
    return _both(_tuning(shown, store), (answer, kept))


def _duration(shown: Evidence, store: Store | None) -> Shown:
    return _both(shown.over_time, ("partly", shown.limit))


def _compute(shown: Evidence, store: Store | None) -> Shown:
    own = "The methods' own computing is not in these files."
    if np.isfinite(shown.own_seconds):
        took = duration(shown.own_seconds)
        own = f"The methods' own computing took {took} in all; on what machine is yours to say."
    if store is None:
        return "partly", f"{own} The store is not here: what its training took is not shown."
    seconds = float(np.nansum(store.curves("epoch_seconds"), dtype=np.float64))
    hardware = _recorded(store, "hardware")
    if not seconds or not hardware:
        return "partly", f"{own} The store does not say how long it was trained, or on what."
    return "partly", f"Training the store took {duration(seconds)} on {' / '.join(hardware)}. {own}"


def _instructions(shown: Evidence, store: Store | None) -> Shown:
    seeds = " / ".join(str(seed) for seed in shown.settings["seed"])
    rest: Shown = "partly", f"Seed {seeds}. The commands are yours to add."
    return _both(_both(_pipeline(shown, store), _code(shown, store)), rest)


def _assets(shown: Evidence, store: Store | None) -> Shown:
    if store is None:
        return "yours", "The store is not here; it names its datasets and their sources."
    sources = [
        f"{each.name} ({each.source})" if each.source else each.name for each in store.datasets
    ]
    return "yours", f"Datasets: {', '.join(sources)}. Papers of methods are named in their pages."


def _consent(shown: Evidence, store: Store | None) -> Shown:
    if store is None:
        return "yours", "The store is not here; it names the licences of its datasets."
    licences = Counter(each.licence or "not known" for each in store.datasets)
    listed = "; ".join(f"{name} ({n})" for name, n in licences.items())
    return "yours", f"Licences of the datasets: {listed}."


def _yours(evidence: str = "") -> Callable[[Evidence, Store | None], Shown]:
    """An item that no file can answer."""
    return lambda shown, store: ("yours", evidence)


# -- the lists ------------------------------------------------------------------------------------

NOBODY = "These results have no participants."
NO_THEORY = "These results are measured."

LISTS: Mapping[str, tuple[Practice, ...]] = {
    "nas": (
        Practice("1", "The code of the training pipeline is released", _pipeline),
        Practice("2", "The code of every method is released", _code),
        Practice(
            "3",
            "Code is released now, not once it is tidy",
            _yours("The result files belong to it, and the commands that wrote them."),
        ),
        Practice("4", "All methods are compared on one and the same benchmark", _one_benchmark),
        Practice("5", "Ablations show what matters in a method", _ablations),
        Practice("6", "All methods are evaluated by the same protocol", _protocol),
        Practice(
            "7",
            "Methods are compared over time, not at one moment only",
            lambda shown, _: shown.over_time,
        ),
        Practice("8", "Random search is compared too", lambda shown, _: shown.random),
        Practice("9", "Results are repeated, with other seeds", lambda shown, _: shown.repeats),
        Practice(
            "10",
            "Tabular or surrogate benchmarks serve where possible",
            lambda shown, _: shown.benchmark,
        ),
        Practice("11", "Confounding factors are under control", _confounders),
        Practice("12", "The tuning of the methods' own hyperparameters is reported", _tuning),
        Practice("13", "The time of the whole method is reported, from end to end", _end_to_end),
        Practice("14", "Every detail of the experiments is reported", _details),
    ),
    "automl": (
        Practice("1a", "The claims are those that the results support", _yours()),
        Practice("1b", "Limitations are described", _scope),
        Practice("1c", "Possible harm to society is discussed", _yours()),
        Practice("1d", "The ethics guidelines are read and kept", _yours()),
        Practice(
            "2a",
            "All methods are evaluated by the same protocol",
            lambda shown, store: _both(_one_benchmark(shown, store), _protocol(shown, store)),
        ),
        Practice("2b", "Every detail of the evaluation is given", _evaluation),
        Practice(
            "2c", "Experiments are repeated, with other seeds", lambda shown, _: shown.repeats
        ),
        Practice(
            "2d", "The uncertainty of results is reported", lambda shown, _: shown.uncertainty
        ),
        Practice("2e", "Statistical significance is reported", lambda shown, _: shown.significance),
        Practice(
            "2f",
            "Tabular or surrogate benchmarks serve for studies in depth",
            lambda shown, _: shown.benchmark,
        ),
        Practice(
            "2g", "Methods are compared over time, and the longest time is justified", _duration
        ),
        Practice("2h", "The compute and the kind of machine are reported", _compute),
        Practice("2i", "Ablations show what the parts of a method do", _ablations),
        Practice("3a", "Code, data, requirements, seeds and commands are given", _instructions),
        Practice(
            "3b", "A small example repeats some of it", _yours("A few --targets and --methods do.")
        ),
        Practice("3c", "Others can run the code and understand it", _yours()),
        Practice(
            "3d", "The raw results are given", _yours("These files are; they hold every search.")
        ),
        Practice(
            "3e",
            "What makes figures and tables of raw results is given",
            _yours("`nassim report` draws its own from these files."),
        ),
        Practice("4a", "The makers of what was used are cited", _assets),
        Practice("4b", "Consent of those whose data are used is discussed", _consent),
        Practice("4c", "Personal or offensive content of data is discussed", _yours()),
        Practice("5a", "The licence of what is new is given", _yours()),
        Practice("5b", "What is new is given, or where it is", _yours()),
        Practice("6a", "Instructions to participants are given in full", _yours(NOBODY)),
        Practice("6b", "Risks to participants and approvals are described", _yours(NOBODY)),
        Practice("6c", "What participants were paid is given", _yours(NOBODY)),
        Practice("7a", "All assumptions of theoretical results are stated", _yours(NO_THEORY)),
        Practice("7b", "Proofs of theoretical results are complete", _yours(NO_THEORY)),
    ),
}
