from __future__ import annotations

import os
import socket
import sys
import threading
import types
from collections.abc import Iterator
from pathlib import Path

import pytest

from nassim.cluster import each_on, joined
from nassim.errors import InputError, MissingDependencyError, NassimError


class RayError(Exception):
    pass


@pytest.fixture
def ray(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> types.SimpleNamespace:
    """As much of Ray as joining takes; ``calls`` is what was asked of it."""
    calls: list[object] = []

    def init(address: str, **options: object) -> None:
        calls.append(("init", address))
        fake.options = options

    fake = types.SimpleNamespace(
        calls=calls,
        init=init,
        shutdown=lambda: calls.append("shutdown"),
        is_initialized=lambda: False,
        exceptions=types.SimpleNamespace(RayError=RayError),
    )
    monkeypatch.setitem(sys.modules, "ray", fake)
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    monkeypatch.setenv("RAY_TMPDIR", str(tmp_path))
    return fake


@pytest.fixture
def head() -> Iterator[str]:
    """An address at which somebody answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"127.0.0.1:{server.getsockname()[1]}"


def test_a_cluster_is_joined_and_left(ray: types.SimpleNamespace, head: str) -> None:
    with joined(head) as module:
        assert module is ray
        assert ray.calls == [("init", head)]
    assert ray.calls == [("init", head), "shutdown"]


def test_one_is_started_here_without_a_dashboard_and_tells_nobody(
    ray: types.SimpleNamespace,
) -> None:
    with joined("local"):
        pass
    assert ray.calls == [("init", "local"), "shutdown"]
    assert ray.options["include_dashboard"] is False
    assert os.environ["RAY_USAGE_STATS_ENABLED"] == "0"


def test_a_cluster_that_the_caller_has_joined_is_used_and_not_left(
    ray: types.SimpleNamespace,
) -> None:
    ray.is_initialized = lambda: True
    with joined("10.255.255.1:1"):
        pass
    assert ray.calls == []


def test_auto_is_the_address_that_ray_wrote_down(
    ray: types.SimpleNamespace, head: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(NassimError, match=r"No Ray runs on this machine; .*'ray start --head'"):
        joined("auto").__enter__()
    (tmp_path / "ray").mkdir()
    (tmp_path / "ray" / "ray_current_cluster").write_text(f"{head}\n")
    with joined("auto"):
        pass
    monkeypatch.setenv("RAY_ADDRESS", "127.0.0.1:1")
    with pytest.raises(NassimError, match=r"answers at '127\.0\.0\.1:1'"):
        joined("auto").__enter__()


@pytest.mark.parametrize("address", ["127.0.0.1:1", "no.such.host.invalid:6379", "127.0.0.1:99999"])
def test_nobody_answers(ray: types.SimpleNamespace, address: str) -> None:
    with pytest.raises(NassimError, match=f"No Ray answers at '{address}'") as caught:
        joined(address).__enter__()
    assert "\n" not in str(caught.value)
    assert ray.calls == ["shutdown"]


@pytest.mark.parametrize("address", ["", "head", "ray://head:10001", ":6379", "head:port"])
def test_what_is_no_address(ray: types.SimpleNamespace, address: str) -> None:
    with pytest.raises(InputError, match="expected HOST:PORT, 'auto' or 'local'"):
        joined(address).__enter__()


def test_errors_of_ray_are_one_line(ray: types.SimpleNamespace, head: str) -> None:
    with pytest.raises(NassimError, match="failed: it broke here What was finished"), joined(head):
        raise RayError("it broke\n  here")
    assert ray.calls[-1] == "shutdown"


def test_a_start_that_takes_too_long(ray: types.SimpleNamespace) -> None:
    def init(address: str, **options: object) -> None:
        raise Exception("timed out")

    ray.init = init
    with pytest.raises(NassimError, match="cannot be started at 'local': timed out"):
        joined("local").__enter__()


def test_each_item_is_answered_as_it_ends(ray: types.SimpleNamespace) -> None:
    ray.remote = lambda **options: lambda f: types.SimpleNamespace(remote=lambda item: f(item))
    ray.wait = lambda pending: (pending[-1:], pending[:-1])
    ray.get = lambda ended: ended
    answers = each_on("local", lambda number: number * number, [1, 2, 3])
    assert ray.calls == []
    assert next(answers) == 9
    assert list(answers) == [4, 1]
    assert ray.calls == [("init", "local"), "shutdown"]


def test_without_ray(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(MissingDependencyError, match=r"pip install nassim\[ray\]"):
        joined("local").__enter__()


def test_what_ray_prints_is_not_shown(
    ray: types.SimpleNamespace, capsys: pytest.CaptureFixture[str]
) -> None:
    with joined("local"):
        thread = threading.Thread(target=print, args=["a worker died"], name="ray_listen_errors")
        thread.start()
        thread.join()
        print("ours")
    assert capsys.readouterr().out == "ours\n"
