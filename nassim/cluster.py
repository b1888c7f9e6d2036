"""Ray: joining a cluster that runs, or starting one on this machine. Ray is an extra.

Generators and studies share this. Ray is imported when it is asked for, never before.
"""

from __future__ import annotations

import contextlib
import logging
import os
import socket
import sys
import tempfile
import threading
import warnings
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, TextIO, TypeVar, cast

from nassim.errors import InputError, MissingDependencyError, NassimError

__all__ = ["LOCAL", "QUIET", "each_on", "joined"]

_Item = TypeVar("_Item")
_Answer = TypeVar("_Answer")

LOCAL = "local"  # the address that starts a Ray of one's own
RUNNING = "auto"  # the address of the Ray that runs on this machine

_SECONDS = 5  # to answer a connection
QUIET = {
    "RAY_USAGE_STATS_ENABLED": "0",  # nobody is told
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",  # the coming default; else a warning
}


@contextlib.contextmanager
def joined(address: str) -> Iterator[Any]:
    """Join the Ray cluster at ``address`` and leave it at the end; the value is the module ``ray``.

    Parameters
    ----------
    address
        ``HOST:PORT`` of a cluster's head, ``auto`` (the one that runs on this machine, or that
        $RAY_ADDRESS names), or ``local``: one is started here, and ended at the end. Where the
        calling program has joined a cluster already, that one is used, and not left.

    Raises
    ------
    MissingDependencyError
        if Ray is not installed.
    InputError
        if the address is none.
    NassimError
        if nobody answers there, which takes seconds, or what happens in the cluster is an error
        of Ray's.
    """
    for name, value in QUIET.items():
        os.environ.setdefault(name, value)
    try:
        import ray
    except ImportError as error:
        raise MissingDependencyError(
            "Ray is not installed and --ray needs it; run `pip install nassim[ray]`."
        ) from error
    ours = not ray.is_initialized()
    try:
        if ours and address == LOCAL:
            _init(ray, address, include_dashboard=False)
        elif ours:
            _init(ray, _answering(address))
        with contextlib.redirect_stdout(cast(TextIO, _WithoutRay(sys.stdout))):
            yield ray
    except ray.exceptions.RayError as error:
        raise NassimError(
            f"Ray at {address!r} failed: {_one_line(error)} What was finished is kept; run the "
            "same command to go on."
        ) from error
    finally:
        if ours:
            ray.shutdown()


def each_on(
    address: str, function: Callable[[_Item], _Answer], items: Iterable[_Item]
) -> Iterator[_Answer]:
    """``function`` of each item, computed on the Ray cluster at ``address``, as they end.

    A core each. What is lost with a process or a node, Ray computes again. (joblib's Ray backend
    gives nothing before the last one has ended, and gives up with the first loss.)

    Errors as those of ``joined``, and whatever ``function`` raises.
    """
    with joined(address) as ray:
        task = ray.remote(num_cpus=1)(function)
        pending = [task.remote(item) for item in items]
        while pending:
            ended, pending = ray.wait(pending)
            yield from ray.get(ended)


def _init(ray: Any, address: str, **options: Any) -> None:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of Ray about itself
            ray.init(address, log_to_driver=False, logging_level=logging.ERROR, **options)
    except Exception as error:  # a bare one where a start takes too long
        raise NassimError(
            f"Ray cannot be {'started' if address == LOCAL else 'joined'} at {address!r}: "
            f"{_one_line(error)} Is it another version of Ray or Python, or a busy machine?"
        ) from error


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:300]


class _WithoutRay:
    """A stream that passes on what is written, except by Ray, which tells of each lost process."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        if threading.current_thread().name.startswith("ray_"):
            return len(text)
        return self._stream.write(text)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def _answering(address: str) -> str:
    """``HOST:PORT`` of a cluster at which somebody answers: Ray itself would try for minutes."""
    found = _running() if address == RUNNING else address
    host, _, port = found.rpartition(":")
    if not host or not port.isdigit() or "/" in host:
        raise InputError(
            f"The Ray address is {found!r}; expected HOST:PORT, {RUNNING!r} or {LOCAL!r}."
        )
    try:
        socket.create_connection((host.strip("[]"), int(port)), _SECONDS).close()
    except (OSError, OverflowError) as error:
        raise NassimError(
            f"No Ray answers at {found!r} ({error}); check the address that 'ray start --head' "
            f"printed, or give {LOCAL!r} to start one here."
        ) from error
    return found


def _running() -> str:
    """What 'auto' stands for, where Ray's own tools look for it too."""
    if address := os.environ.get("RAY_ADDRESS"):
        return address
    folder = Path(os.environ.get("RAY_TMPDIR") or tempfile.gettempdir())
    try:
        return (folder / "ray" / "ray_current_cluster").read_text().strip()
    except OSError as error:
        raise NassimError(
            "No Ray runs on this machine; start one with 'ray start --head', or give its "
            f"HOST:PORT, or {LOCAL!r} to start one for this command."
        ) from error
