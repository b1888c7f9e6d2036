"""The table of 200 architectures as nassim takes it, and the methods that are compared on it."""

from __future__ import annotations

import numpy as np
from curves import CANDIDATES, EPOCHS, ETA, make_curves

from nassim.optimizers.random_search import RandomSearch
from nassim.records import Architecture, Dataset
from nassim.simulator import TableSource
from nassim.terminators.asha import ASHA
from nassim.terminators.hyperband import Hyperband
from nassim.terminators.successive_halving import SuccessiveHalving

optimizer = RandomSearch()
halving = SuccessiveHalving(eta=ETA)
hyperband = Hyperband(eta=ETA)
asha = ASHA(eta=ETA)


def table_source() -> TableSource:
    """Candidate i is row i of the curves."""
    curves = make_curves()
    names = [str(run) for run in range(CANDIDATES)]
    return TableSource(
        Dataset("made-up", "made-up"),
        [Architecture("table", (), name, name) for name in names],
        np.arange(CANDIDATES),
        curves.accuracies,
        curves.seconds,
        np.full(CANDIDATES, EPOCHS),
        np.zeros(CANDIDATES, bool),
    )
