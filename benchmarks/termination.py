"""Where does the early-termination study spend its time?

    python benchmarks/termination.py --store images --target digits

runs each method of the default study on one target, all orders and one fit, and prints the
processor seconds of it, and what the whole study takes by that: all targets of the store, three
fits of each method that learns. Methods that share a fit are one line.
"""

from __future__ import annotations

import argparse
import importlib
import time

from nassim.loading import parse_specifications
from nassim.store import Store, find_store
from nassim.studies.fitting import build_terminator
from nassim.studies.folds import FoldPlan, load_fold, target_names
from nassim.studies.termination import (
    TerminationPlan,
    default_methods,
    fit_groups,
    run_termination,
)
from nassim.terminators import TERMINATORS

GOAL = 1200  # processor seconds: ten minutes of two cores
IMPORTED = ("torch._dynamo", "sklearn.svm", "scipy.optimize", "scipy.special")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--store", default="images")
    parser.add_argument("--pool", default=FoldPlan.pool)
    parser.add_argument("--target", help="the first by default")
    parser.add_argument("--methods", help="those of the default study by default")
    parser.add_argument("--orders", type=int, default=TerminationPlan.orders)
    options = parser.parse_args()
    store = Store.open(find_store(options.store))
    folds = FoldPlan(str(store.path), store.sha, pool=options.pool)
    names = target_names(store)
    target = options.target or names[0]
    fold = load_fold(folds, target)
    for module in IMPORTED:  # once a process, so that no method pays for it
        importlib.import_module(module)
    print(
        f"{store.name}, target {target}, pool {options.pool}: {len(fold.table.architectures)} "
        f"candidates, {len(fold.table.lengths)} runs of {fold.table.max_epochs} epochs; "
        f"{options.orders} orders\n"
    )
    print(f"{'processor seconds':50} one target, one fit   {len(names)} targets")
    total = 0.0
    methods = options.methods or default_methods(folds, [target])[0]
    for group in fit_groups(parse_specifications(methods, TERMINATORS, "terminator")):
        text = ",".join(spec.text for spec in group)
        plan = TerminationPlan(text, orders=options.orders, model_seeds=1)
        started = time.process_time()
        run_termination(plan, folds, [target])
        seconds = time.process_time() - started
        learns = build_terminator(group[0]).uses_sources
        study = seconds * len(names) * (TerminationPlan.model_seeds if learns else 1)
        total += study
        print(f"{text:50} {seconds:19.2f} {study:11.0f}", flush=True)
    print(f"{'all':50} {'':19} {total:11.0f}   goal {GOAL}")


if __name__ == "__main__":
    main()
