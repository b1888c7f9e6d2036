"""Fill a store with training runs: ``nassim generate PLAN.toml``."""

from nassim.generator.executors import Summary, generate, generate_from_file, missing_runs
from nassim.generator.plan import Grid, Plan, Wanted, read_plan, wanted_runs
from nassim.generator.recipe import Recipe

__all__ = [
    "Grid",
    "Plan",
    "Recipe",
    "Summary",
    "Wanted",
    "generate",
    "generate_from_file",
    "missing_runs",
    "read_plan",
    "wanted_runs",
]
