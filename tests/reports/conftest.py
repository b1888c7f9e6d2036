"""Made-up studies, small enough to work out by hand, and what holds for every page."""

from __future__ import annotations

import re
from html.parser import HTMLParser

import numpy as np
import pytest

from nassim.studies.results import (
    POOL_SCHEMA,
    RESULTS_SCHEMA,
    TIMINGS_SCHEMA,
    Study,
    to_table,
)

EPOCHS = 6


def make_study(
    methods=("never", "last_value", "fancy:option=1"),
    targets=("blue", "green", "red"),
    orders=4,
    model_seeds=1,
    candidates=10,
    seed=0,
    skip=(),
    **stamp,
):
    """Method number k costs 1 / 3**k and picks candidate k, give or take the order.

    Candidate c of a pool is worth best - c / 100 and costs (1 + c) hours; ``skip`` holds
    (method, target) pairs that were not run; ``stamp`` overrides columns of every row.
    """
    rng = np.random.default_rng(seed)
    scale = 100.0 if stamp.get("metric", "accuracy") == "accuracy" else 1.0
    quality = 0.9 - 0.01 * np.arange(candidates)
    full = 3600.0 * (1.0 + np.arange(candidates))
    regret = scale * (quality.max() - quality)
    results, timings, pool = [], [], []
    for t, target in enumerate(targets):
        for c in range(candidates):
            pool.append(
                {
                    "target": target,
                    "candidate": c,
                    "architecture": f"{target}-{c}",
                    "quality": quality[c],
                    "full_seconds": full[c],
                    "n_params": 0,
                    "valid": (quality[c] * np.linspace(0.5, 1, EPOCHS)).tolist(),
                }
            )
        for k, method in enumerate(methods):
            if (method, target) in skip:
                continue
            for model in range(model_seeds if method.startswith("fancy") else 1):
                timings.append(
                    {
                        "target": target,
                        "method": method,
                        "model_seed": model,
                        "fit_seconds": 1.0 + model,
                        "search_seconds": 0.5,
                    }
                )
                for order in range(orders):
                    pick = min(candidates - 1, k + (t + order + model) % 2 if k else 0)
                    cost = 3.0**-k * (1 + 0.01 * rng.normal()) if k else 1.0
                    trained = np.minimum(EPOCHS, np.where(np.arange(candidates) <= pick, 6, 2))
                    results.append(
                        {
                            "study": "termination",
                            "store": "toy",
                            "store_sha": "abc",
                            "space": "table",
                            "metric": "accuracy",
                            "pool": "disjoint",
                            "leave_out": "dataset",
                            "source_datasets": None,
                            "source_architectures": None,
                            "shuffled_sources": False,
                            "quality": "max",
                            "runs": "drawn",
                            "seed": 0,
                            "target": target,
                            "method": method,
                            "order_seed": order,
                            "model_seed": model,
                            "optimizer": "random",
                            "options": "{}",
                            "learns": method.startswith("fancy"),
                            "workers": 1,
                            "accounting": "continue",
                            "candidates": candidates,
                            "regret_valid_pp": regret[pick],
                            "regret_test_pp": regret[pick] + 0.1,
                            "random_regret_pp": regret[min(candidates - 1, 2 * k)],
                            "cost_fraction": cost,
                            "time_unit": "seconds",
                            "simulated_seconds": cost * full.sum(),
                            "full_seconds": full.sum(),
                            "epochs_charged": int(trained.sum()),
                            "started": candidates,
                            "evaluations": int((trained == EPOCHS).sum()),
                            "killed_best": bool(pick),
                            "pick": f"{target}-{pick}",
                            "leakage": "none",
                            "source": "tabular",
                            "nassim_version": "1.0",
                            "trace_cost": [0.3 * cost, cost],
                            "trace_regret_pp": [
                                regret[min(candidates - 1, pick + 3)],
                                regret[pick],
                            ],
                            "epochs_trained": trained.tolist(),
                        }
                        | stamp
                    )
    return Study(
        to_table(results, RESULTS_SCHEMA),
        to_table(pool, POOL_SCHEMA),
        to_table(timings, TIMINGS_SCHEMA),
    )


@pytest.fixture
def study_of():
    """A function that makes a study up."""
    return make_study


@pytest.fixture
def study():
    return make_study()


VOID = {"meta", "wbr", "br", "path", "use", "image", "circle", "line"}


class Checker(HTMLParser):
    """Every element is closed, every id is unique, every reference inside is answered."""

    def __init__(self):
        super().__init__()
        self.open, self.ids, self.references, self.tags = [], [], set(), set()

    def handle_starttag(self, tag, attributes):
        self.handle_startendtag(tag, attributes)
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.tags.add(tag)
        for name, value in attributes:
            if name == "id":
                self.ids.append(value)
            self.references |= {*re.findall(r"url\(#([^)]*)\)", value or "")}
            if name == "href":
                assert value.startswith("#")
                self.references.add(value[1:])

    def handle_endtag(self, tag):
        if tag not in VOID:
            assert self.open.pop() == tag


@pytest.fixture
def checked():
    """A function that holds a page to what is true of all pages."""

    def check(page):
        checker = Checker()
        checker.feed(page)
        assert checker.open == []
        assert len(checker.ids) == len({*checker.ids})
        assert checker.references
        assert checker.references <= {*checker.ids}
        assert not checker.tags & {"script", "link", "img", "iframe"}
        assert "http" not in page
        assert 'name="viewport"' in page

    return check
