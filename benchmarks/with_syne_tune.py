"""ASHA with Syne Tune's simulator backend, which also serves as its halving and Hyperband.

Its clock moves in steps of the tuner's sleep (5 s unless told otherwise) and by its own real time.
"""

from __future__ import annotations

import contextlib
import io
import itertools
import logging
import os
import tempfile
import warnings
from collections.abc import Sequence

import numpy as np
import pandas as pd
from curves import Curves

os.environ.setdefault("SYNETUNE_FOLDER", tempfile.mkdtemp(prefix="nassim-speed-syne-tune-"))
with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
    warnings.simplefilter("ignore")
    from syne_tune import StoppingCriterion, Tuner
    from syne_tune.backend.simulator_backend.simulator_callback import SimulatorCallback
    from syne_tune.blackbox_repository.blackbox_tabular import BlackboxTabular
    from syne_tune.blackbox_repository.simulated_tabular_backend import UserBlackboxBackend
    from syne_tune.config_space import choice, randint
    from syne_tune.optimizer.baselines import ASHA

logging.disable(logging.WARNING)


def blackbox(curves: Curves, epochs: Sequence[int]) -> BlackboxTabular:
    """The table, with results at these epochs."""
    n, last = curves.accuracies.shape
    at = np.asarray(epochs) - 1
    elapsed = np.cumsum(curves.seconds, axis=1)
    objectives = np.stack([curves.accuracies[:, at], elapsed[:, at]], axis=-1)[:, None]
    return BlackboxTabular(
        hyperparameters=pd.DataFrame([_configuration(run) for run in range(n)]),
        configuration_space={"tens": randint(0, (n - 1) // 10), "ones": randint(0, 9)},
        fidelity_space={"epoch": randint(1, last)},
        objectives_evaluations=objectives,
        fidelity_values=np.asarray(epochs),
        objectives_names=["accuracy", "elapsed"],
    )


def _configuration(run: int) -> dict[str, int]:
    """Two parameters, because its table cannot be asked for a single one with pandas 3."""
    return {"tens": run // 10, "ones": run % 10}


def asha(
    table: BlackboxTabular,
    order: list[int],
    max_epochs: int,
    *,
    workers: int = 1,
    brackets: int = 1,
    eta: int = 3,
) -> tuple[list[int], float]:
    """One tuning: epochs of each candidate, and the second at which it ended."""
    scheduler = ASHA(
        table.configuration_space,
        metric="accuracy",
        time_attr="epoch",
        max_t=max_epochs,
        do_minimize=False,
        grace_period=1,
        reduction_factor=eta,
        brackets=brackets,
        random_seed=0,
        points_to_evaluate=[_configuration(run) for run in order],
    )
    tuner = Tuner(
        trial_backend=UserBlackboxBackend(table, elapsed_time_attr="elapsed", seed=0),
        scheduler=scheduler,
        stop_criterion=StoppingCriterion(max_num_trials_started=len(order)),
        n_workers=workers,
        sleep_time=0,
        results_update_interval=1e9,
        print_update_interval=1e9,
        wait_trial_completion_when_stopping=True,
        callbacks=[SimulatorCallback()],
        tuner_name="speed",
        save_tuner=False,
    )
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        tuner.run()
    trained = [0] * len(table.hyperparameters)
    for row in tuner.tuning_status.trial_rows.values():
        trained[10 * row["tens"] + row["ones"]] = int(row["epoch"])
    return trained, float(tuner.trial_backend.time_keeper.time())


def large_arrays() -> tuple[pd.DataFrame, np.ndarray]:
    """46,875 runs x 200 epochs: the six operations of NAS-Bench-201, and the dataset."""
    operations = ["none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3"]
    rows = list(itertools.product(*[operations] * 6, ["cifar10", "cifar100", "imagenet16"]))
    names = [*(f"operation{i}" for i in range(6)), "dataset"]
    objectives = np.random.default_rng(0).random((len(rows), 1, 200, 1), np.float32)
    return pd.DataFrame(rows, columns=names), objectives


def large_blackbox(hyperparameters: pd.DataFrame, objectives: np.ndarray) -> BlackboxTabular:
    """Its table of these arrays."""
    return BlackboxTabular(
        hyperparameters=hyperparameters,
        configuration_space={
            name: choice(sorted(set(hyperparameters[name]))) for name in hyperparameters.columns
        },
        fidelity_space={"epoch": randint(1, objectives.shape[2])},
        objectives_evaluations=objectives,
        objectives_names=["accuracy"],
    )
