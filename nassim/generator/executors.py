"""Train what a plan names and a store lacks: on this machine's cores, on its GPU, or on Ray."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from threading import Thread

from tqdm import tqdm

from nassim.datasets import Data, load_dataset
from nassim.errors import DuplicateKeyError, InputError, NassimError
from nassim.generator.claims import Claims
from nassim.generator.on_ray import RUNS_PER_GPU, on_ray
from nassim.generator.plan import Plan, Wanted, read_plan, wanted_runs
from nassim.records import ACCURACY, Run, RunKey
from nassim.spaces import get_space
from nassim.store import Store, is_remote

__all__ = [
    "Summary",
    "choose_device",
    "generate",
    "generate_from_file",
    "missing_runs",
    "train_one",
]

APPEND_SECONDS = 2.0  # short runs are gathered this long, so that they share a shard
LOG_SECONDS = 30.0  # between reports where they go to a file, which wants few lines

_Finished = Generator[Run, None, None]  # runs, in the order in which they end
_Execute = Callable[[Iterator[Wanted]], _Finished]


@dataclass(frozen=True)
class Summary:
    """What a call of ``generate`` did."""

    store: Path | str
    wanted: int
    present: int  # of them, in the store before
    trained: int
    failed: int  # of the trained ones, with a status other than ok
    elsewhere: int  # left to another generator, which has them in hand
    interrupted: bool  # by Ctrl-C; what was finished is in the store

    def __str__(self) -> str:
        text = f"{self.trained} runs trained into {self.store}"
        if self.failed:
            text += f" ({self.failed} of them failed and were recorded so)"
        text += f", {self.present} of {self.wanted} were there already"
        if self.elsewhere:
            text += f", {self.elsewhere} are in another generator's hands"
        if self.interrupted:
            text += "; interrupted: run the same command to go on"
        return text + "."


def generate_from_file(
    path: str | Path,
    *,
    workers: int = 0,
    device: str = "auto",
    ray: str | None = None,
    seed: int = 0,
    progress: bool = True,
) -> Summary:
    """Train what the plan at ``path`` names and its store lacks (``nassim generate``).

    ``workers`` is the number of processes (0: one a core, or ``RUNS_PER_GPU`` on a GPU),
    ``device`` is ``auto``, ``cpu``, ``cuda`` or ``cuda:1``, ``ray`` the address of a Ray
    cluster (``nassim.cluster.joined``); ``seed`` is added to each seed of the plan, to train
    all of it once more.
    Machines with several GPUs: one call for each, all on one store (they share the work).

    Raises
    ------
    InputError
        if the plan, the device or the number of workers is not what was expected.
    DataUnavailableError
        if a dataset can not be reached; nothing was trained.
    """
    if seed < 0:
        raise InputError(f"The seed is {seed}; expected 0 or more.")
    plan = read_plan(path)
    grids = [replace(g, seeds=tuple(seed + s for s in g.seeds)) for g in plan.grids]
    plan = replace(plan, grids=tuple(grids))
    return generate(plan, workers=workers, device=device, ray=ray, progress=progress)


def missing_runs(plan: Plan, store: Store) -> list[Wanted]:
    """The wanted runs whose keys the store lacks. A failed run is in the store, so not missing."""
    present = set(store.index().keys())
    return [wanted for wanted in wanted_runs(plan) if wanted.key not in present]


def generate(
    plan: Plan,
    *,
    workers: int = 0,
    device: str = "auto",
    ray: str | None = None,
    progress: bool = True,
) -> Summary:
    """Train the missing runs of a plan; a killed or interrupted call is resumed by another.

    A run is reported (by the progress bar) only after it is durably in the store. Several calls
    may fill one store at a time, unless it is a remote one. Arguments and errors as in
    ``generate_from_file``.
    """
    if workers < 0:
        raise InputError(f"The number of workers is {workers}; expected 1 or more (0: automatic).")
    if ray is None:
        execute = _on_this_machine(workers, device)
    else:
        execute = on_ray(ray, workers, device, _train_in_worker, _dataset)
    wanted = wanted_runs(plan)
    datasets = {name: _dataset(name).record for name in {run.dataset: 0 for run in wanted}}
    recipes = {run.recipe.id: run.recipe.settings for run in wanted}
    for run in wanted:
        record = datasets[run.dataset]
        get_space(run.architecture.space).check_input(record.shape, f"dataset {record.name!r}")
        run.recipe.check_fits(record)
    store = Store.open_or_create(plan.store, ACCURACY)
    store.append([], datasets=list(datasets.values()), recipes=recipes)
    queue = _Queue(wanted, store)
    failed, interrupted = 0, False
    unsaved: list[Run] = []
    saved_at = time.monotonic()
    every = 0.1 if sys.stderr.isatty() else LOG_SECONDS
    with tqdm(total=len(queue.missing), unit="run", disable=not progress, mininterval=every) as bar:

        def save() -> None:
            nonlocal saved_at, failed
            added = queue.append(unsaved)
            failed += sum(run.status != "ok" for run in added)
            bar.update(len(unsaved))  # only now: what is reported is in the store
            unsaved.clear()
            saved_at = time.monotonic()

        try:
            with closing(execute(queue.take())) as finished:
                for result in finished:
                    unsaved.append(result)
                    if time.monotonic() - saved_at >= APPEND_SECONDS:
                        save()
        except KeyboardInterrupt:
            interrupted = True
        finally:
            if unsaved:
                save()
            queue.close()
    store.compact()
    present = len(wanted) - len(queue.missing)
    left = len(missing_runs(plan, store))
    elsewhere = 0 if interrupted else left
    return Summary(plan.store, len(wanted), present, queue.trained, failed, elsewhere, interrupted)


class _Queue:
    """Wanted runs that the store lacks, handed out one by one, and the way back into the store."""

    def __init__(self, wanted: Iterable[Wanted], store: Store) -> None:
        self.store = store
        # a remote folder knows no locks: this is its only generator
        self.claims = None if is_remote(store.path) else Claims(Path(store.path))
        self.present = set(store.index().keys())
        self.missing = [run for run in wanted if run.key not in self.present]
        self.trained = 0

    def take(self) -> Iterator[Wanted]:
        """Runs that no other generator has in hand; those that one has are tried again last."""
        if self.claims is None:
            yield from self.missing
            return
        held: list[Wanted] = []
        for turn in (self.missing, held):
            for run in tuple(turn):
                if not self.claims.claim(run.key):
                    held.append(run)
                elif self._in_store(run.key):
                    self.claims.release(run.key)
                else:
                    yield run

    def append(self, runs: Sequence[Run]) -> Sequence[Run]:
        """Add runs to the store and return them, less those that it has gained meanwhile."""
        try:
            self.store.append(runs)
        except DuplicateKeyError:  # a claim that did not hold, as on some network file systems
            present = set(Store.open(self.store.path).index().keys())
            runs = [run for run in runs if run.key not in present]
            self.store.append(runs)
        self.trained += len(runs)
        self.present.update(run.key for run in runs)
        if self.claims is not None:
            for run in runs:
                self.claims.release(run.key)
        return runs

    def close(self) -> None:
        """Let others have what is still in hand."""
        if self.claims is not None:
            self.claims.close()

    def _in_store(self, key: RunKey) -> bool:
        """Whether a run is in the store by now; reads its keys only if others added any."""
        store = Store.open(self.store.path)
        if store.n_runs != len(self.present):
            self.present = set(store.index().keys())
        return key in self.present


def _on_this_machine(workers: int, device: str) -> _Execute:
    """One run at a time here, or several in processes of their own."""
    device = choose_device(device)
    if workers == 0:
        workers = (os.cpu_count() or 1) if device == "cpu" else RUNS_PER_GPU

    def one_by_one(runs: Iterator[Wanted]) -> _Finished:
        import torch

        threads = torch.get_num_threads()
        try:
            for wanted in runs:
                yield train_one(wanted, device)
        finally:
            torch.set_num_threads(threads)

    def side_by_side(runs: Iterator[Wanted]) -> _Finished:
        from joblib import Parallel, delayed
        from joblib.externals.loky import get_reusable_executor
        from joblib.externals.loky.process_executor import TerminatedWorkerError

        parallel = Parallel(workers, "loky", return_as="generator_unordered", batch_size=1)
        try:
            mine = os.getpid()
            yield from parallel(delayed(_train_in_worker)(wanted, device, mine) for wanted in runs)
        except TerminatedWorkerError as error:
            raise NassimError(
                "A worker process was killed, perhaps for want of memory; what was finished is in "
                "the store. Run the same command with fewer workers to go on."
            ) from error
        except (KeyboardInterrupt, GeneratorExit):
            get_reusable_executor().shutdown(wait=False, kill_workers=True)
            raise

    return one_by_one if workers == 1 else side_by_side


def _train_in_worker(
    wanted: Wanted, device: str, parent: int | None = None, data: Data | None = None
) -> Run:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to handle
    if parent is not None:
        _end_with(parent)
    return train_one(wanted, device, data)


@cache
def _end_with(parent: int) -> None:
    """From now on this process ends when its parent does, however that is killed."""

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(0.5)
        os._exit(1)

    Thread(target=watch, daemon=True).start()


def train_one(wanted: Wanted, device: str, data: Data | None = None) -> Run:
    """Train a run here, on one thread of a CPU or on a GPU."""
    import torch

    from nassim.generator.train import train

    if device == "cpu":
        torch.set_num_threads(1)
    data = data or _dataset(wanted.dataset)
    return train(wanted.architecture, data, wanted.recipe, wanted.seed, device)


@cache
def _dataset(name: str) -> Data:
    """Each process loads a dataset once."""
    return load_dataset(name)


def choose_device(name: str) -> str:
    """A device that is there; ``auto`` prefers a GPU."""
    if name == "cpu":
        return name
    import torch

    if name == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    kind, _, number = name.partition(":")
    if kind != "cuda" or not (number.isdigit() or not number):
        raise InputError(f"Device {name!r} is not known; expected auto, cpu, cuda or cuda:0.")
    if int(number or 0) >= torch.cuda.device_count():
        raise InputError(
            f"Device {name!r} is not there; this machine has {torch.cuda.device_count()} CUDA "
            "devices. Expected auto or cpu."
        )
    return name
