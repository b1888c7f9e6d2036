"""ASHA with mfhpo-simulator, which brings the event simulation and lets the user write the method.

A worker that has told its result asks next, so ASHA (stopping) is an ask-and-tell optimizer that
hands the surviving run back. Its clock adds the method's own real time to the recorded seconds.
Its fastest settings: no tracking of configurations, no ``expensive_sampler``; and each job brings
its own seconds, as ``continual_max_fidel`` charges a third rung for epochs of the first.
"""

from __future__ import annotations

import atexit
import itertools
import shutil
import tempfile
import warnings
from bisect import insort
from typing import Any

from benchmark_simulator import AbstractAskTellOptimizer, ObjectiveFuncWrapper

FOREVER = 1e9  # seconds that a worker takes for nothing, once the candidates have run out
_FOLDER = tempfile.mkdtemp(prefix="nassim-speed-mfhpo-")  # it writes each search's results to files
_SEARCHES = itertools.count()
atexit.register(shutil.rmtree, _FOLDER, ignore_errors=True)


class _Asha(AbstractAskTellOptimizer):
    def __init__(self, order: list[int], epochs: list[int], eta: float) -> None:
        self._waiting = list(reversed(order))
        self._epochs = epochs
        self._eta = eta
        self._seen: dict[int, list[float]] = {epoch: [] for epoch in epochs[:-1]}
        self._goes_on: tuple[int, int] | None = None  # run, rung
        self.trained: dict[int, int] = {}

    def ask(self) -> tuple[dict[str, Any], dict[str, int | float], None]:
        if self._goes_on is not None:
            (run, rung), self._goes_on = self._goes_on, None
        elif self._waiting:
            run, rung = self._waiting.pop(), 0
        else:
            run, rung = -1, 0
        return {"run": run, "rung": rung}, {"epoch": self._epochs[rung]}, None

    def tell(
        self,
        eval_config: dict[str, Any],
        results: dict[str, float],
        *,
        fidels: dict[str, int | float] | None = None,
        config_id: int | None = None,
    ) -> None:
        run, rung = eval_config["run"], eval_config["rung"]
        if run < 0:
            return
        epoch = self._epochs[rung]
        self.trained[run] = epoch
        seen = self._seen.get(epoch)
        if seen is None:
            return
        value = -results["loss"]
        insort(seen, value)
        others = len(seen) - 1
        place = others - others / self._eta
        below = int(place)
        cutoff = seen[below]
        if below + 1 < len(seen):
            cutoff += (seen[below + 1] - cutoff) * (place - below)
        if value >= cutoff:
            self._goes_on = run, rung + 1


def asha(
    values: list[list[float]],
    cumulative: list[list[float]],
    order: list[int],
    epochs: list[int],
    *,
    workers: int,
    eta: float = 3,
) -> list[int]:
    """One search; epochs of each candidate. ``cumulative`` starts with 0 at epoch 0."""

    def train(
        eval_config: dict[str, Any], fidels: dict[str, int], seed: int | None
    ) -> dict[str, float]:
        run, rung = eval_config["run"], eval_config["rung"]
        if run < 0:
            return {"loss": 0.0, "runtime": FOREVER}
        epoch, before = epochs[rung], epochs[rung - 1] if rung else 0
        spent = cumulative[run]
        return {"loss": -values[run][epoch - 1], "runtime": spent[epoch] - spent[before]}

    optimizer = _Asha(order, epochs, eta)
    enough = 10 * len(order) * len(epochs)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        simulator = ObjectiveFuncWrapper(
            train,
            ask_and_tell=True,
            save_dir_name=str(next(_SEARCHES)),
            tmp_dir=_FOLDER,
            n_workers=workers,
            n_evals=enough,
            n_actual_evals_in_opt=enough + workers,
            fidel_keys=["epoch"],
            obj_keys=["loss"],
            max_total_eval_time=FOREVER / 2,
            config_tracking=False,
        )
        simulator.simulate(optimizer)
    return [optimizer.trained.get(run, 0) for run in range(len(values))]
