"""Fill a store with training runs: ``nassim generate PLAN.toml``."""

from nassim.generator.executors import Summary, generate, generate_from_file, missing_runs
from nassim.generator.plan import Grid, Plan, Wanted, read_plan, wanted_runs
from nassim.generator.recipe import Recipe
from nassim.generator.retrain import Retrained, retrain

__all__ = [
    "Grid",
    "Plan",
    "Recipe",
    "Retrained",
    "Summary",
    "Wanted",
    "generate",
    "generate_from_file",
    "missing_runs",
    "read_plan",
    "retrain",
    "wanted_runs",
]
