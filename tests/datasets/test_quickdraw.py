from __future__ import annotations

import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest

from nassim.datasets import load_dataset, quickdraw
from nassim.errors import DataUnavailableError


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder that is served where the drawings are looked for."""
    folder = tmp_path / "served"
    folder.mkdir()
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=folder)) as http:
        thread = threading.Thread(target=http.serve_forever)
        thread.start()
        monkeypatch.setattr(quickdraw, "URL", f"http://127.0.0.1:{http.server_port}")
        yield folder
        http.shutdown()
        thread.join()


def drawings(n: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (n, 784)).astype(np.uint8)


def test_the_first_drawings_of_each_class(server: Path, tmp_path: Path) -> None:
    for seed, name in enumerate(quickdraw.CLASSES):
        np.save(server / f"{name}.npy", drawings(700, seed))
    cache = tmp_path / "cache"
    data = load_dataset("quickdraw", cache)
    record = data.record
    assert (record.n_train, record.n_valid, record.n_test) == (1000, 1000, 4000)
    assert (record.shape, record.classes) == ((28, 28, 1), 10)
    first = {x.tobytes() for x in drawings(quickdraw.PER_CLASS, seed=3)}
    cats = data.x_train[data.y_train == quickdraw.CLASSES.index("cat")]
    assert len(cats) > 50
    assert {x.tobytes() for x in cats} <= first
    for file in server.iterdir():
        file.unlink()
    assert load_dataset("quickdraw", cache).record == record  # from the cache
    assert [file.name for file in cache.iterdir()] == ["quickdraw-10x620.npz"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "404"),
        (b"<html>moved</html>", "could not be read"),
        (drawings(3), r"shape \(3, 784\); expected 620"),
        (drawings(700)[:, :700], r"shape \(700, 700\)"),
        (drawings(700).astype(np.int16), "int16"),
    ],
)
def test_other_files_are_refused_and_nothing_is_kept(
    content: np.ndarray | bytes | None, message: str, server: Path, tmp_path: Path
) -> None:
    file = server / f"{quickdraw.CLASSES[0]}.npy"
    if isinstance(content, bytes):
        file.write_bytes(content)
    elif content is not None:
        np.save(file, content)
    with pytest.raises(DataUnavailableError, match=message) as caught:
        load_dataset("quickdraw", tmp_path / "cache")
    text = str(caught.value)
    assert f"{quickdraw.URL}/airplane.npy" in text
    assert str(tmp_path / "cache") in text
    assert "\n" not in text
    assert not (tmp_path / "cache").exists()


def test_a_file_that_ends_early(server: Path, tmp_path: Path) -> None:
    file = server / "airplane.npy"
    np.save(file, drawings(700))
    file.write_bytes(file.read_bytes()[:5000])
    with pytest.raises(DataUnavailableError, match="ended after 4872 bytes"):
        load_dataset("quickdraw", tmp_path / "cache")
