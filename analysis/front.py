"""The cost-regret front over many settings of each method: who is dominated?

    python analysis/front.py --store images

runs the early-termination study with the settings below, writes
analysis/results/images/sweep.parquet, prints every setting with its dominators and draws
docs/figures/images/sweep.png. Without ``--store`` it reads what was written, of every store.
Settings of one estimator share its fit and its estimates, so that a sweep of deltas costs little
more than one. ``--without lcranknet_nested,domhan`` leaves out what takes longest;
``--methods domhan:delta=0.05,... --add`` adds it later to what was written.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import pyarrow as pa
from arguments import figure_of, folds_of, how, results_of, store_name, study_parser, written

from nassim.errors import InputError
from nassim.reports import sweep_figure, sweep_table
from nassim.reports.drawing import save_figure
from nassim.studies.results import Study, read_study
from nassim.studies.termination import TerminationPlan, run_termination

SCHEDULES = ("successive_halving", "asha")  # Hyperband tries all first rungs itself
ETAS = (2, 3, 4, 6)
FIRST_RUNGS = (1, 2, 4)
BESTS = (1, 3)
FREEZE_THAW = ("freeze_thaw", "dyhpo")
BUDGETS = (0.05, 0.1, 0.2, 0.4)
# options of the rule alone, so that all settings of an estimator share one fit
ESTIMATORS = {
    "lcranknet": ("", ":at_zero=true"),
    "lcranknet_nested": ("", ":at_zero=true"),
    "baker": ("",),
    "chandrashekaran": ("",),
    "chandrashekaran:train_on=sources": ("",),
    "parametric": ("",),
    "domhan": ("",),
    "lcnet": ("",),
    "lcpfn": ("",),
}
SHARED = (
    *("store_sha", "space", "metric", "pool", "leave_out", "quality", "runs", "seed"),
    *("source_datasets", "source_architectures", "shuffled_sources", "workers", "accounting"),
    *("target", "order_seed"),
)
DELTAS = (0.05, 0.1, 0.2, 0.3, 0.4, 0.45, 0.49)


def settings(pool: str, without: Sequence[str] = ()) -> str:
    """The specifications of the sweep, but those of some methods; RUSH needs candidates that the
    sources have too.

    Raises
    ------
    InputError
        if a method to leave out is not in the sweep.
    """
    methods = ["never", "median", "last_value", "last_value:statistic=best"]
    methods += [f"hyperband:eta={eta}" for eta in ETAS]
    for name, eta, epochs in itertools.product(SCHEDULES, ETAS, FIRST_RUNGS):
        methods.append(f"{name}:eta={eta}:min_epochs={epochs}")
    if pool != "disjoint":
        methods += [f"rush:eta={eta}:best={best}" for eta, best in itertools.product(ETAS, BESTS)]
    methods += [f"{name}:budget={b}" for name, b in itertools.product(FREEZE_THAW, BUDGETS)]
    for name, rules in ESTIMATORS.items():
        methods += [f"{name}:delta={delta}{rule}" for delta in DELTAS for rule in rules]
    names = [method.partition(":")[0] for method in methods]
    for name in without:
        if name not in names:
            raise InputError(
                f"--without names {name!r}; expected some of {', '.join(dict.fromkeys(names))}."
            )
    return ",".join(m for m, name in zip(methods, names, strict=True) if name not in without)


def joined(first: Study, second: Study) -> Study:
    """Both, which are of the same candidates and orders.

    Raises
    ------
    InputError
        if they are not, or have a method in common.
    """
    if not first.pool.equals(second.pool) or searches(first) != searches(second):
        raise InputError(
            "What was written is of other candidates, sources or orders; give the same options, "
            "or leave --add out to write it anew."
        )
    both = set(first.results["method"].to_pylist()) & set(second.results["method"].to_pylist())
    if both:
        raise InputError(f"{min(both)!r} is in what was written already; leave it out.")
    results = pa.concat_tables([first.results, second.results])
    return Study(results, first.pool, pa.concat_tables([first.timings, second.timings]))


def searches(study: Study) -> set[tuple[object, ...]]:
    """What all methods of a study share: its settings, and each order of each target."""
    rows = study.results.select(SHARED).to_pylist()
    return {tuple(row.values()) for row in rows}


def main() -> None:
    parser = study_parser(__doc__, name="sweep", methods=None)
    parser.add_argument("--orders", type=int, default=TerminationPlan.orders)
    parser.add_argument("--without", default="", help="methods to leave out of the sweep")
    parser.add_argument("--add", action="store_true", help="keep what was written, and add to it")
    options = parser.parse_args()
    if options.methods and options.without:
        parser.error("--without is about the sweep; name what is wanted in --methods alone")
    store = store_name(options)
    if store is not None:
        without = options.without.split(",") if options.without else ()
        methods = options.methods or settings(options.pool, without)
        plan = TerminationPlan(methods, options.orders, options.model_seeds, options.seed)
        study = run_termination(plan, folds_of(options), **how(options))
        if options.add:
            study = joined(read_study(results_of(options, store)), study)
        for path in study.write(results_of(options, store)):
            print(f"wrote {path}")
    for results in written(options, store):
        sweep = sweep_table(read_study(results).results)
        print(sweep.to_text())
        print(f"wrote {save_figure(sweep_figure(sweep), figure_of(results))}")


if __name__ == "__main__":
    main()
