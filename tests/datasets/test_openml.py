from __future__ import annotations

import io
import json
import re
from pathlib import Path
from typing import Any
from urllib.error import URLError

import numpy as np
import pytest
from sklearn.datasets import _openml

from nassim.datasets import DATASETS, ImageData, load_dataset, openml
from nassim.errors import DataUnavailableError

N, N_FIRST, SHAPE, CLASSES = 40, 30, (4, 4, 3), 3


class Answer(io.BytesIO):
    def info(self) -> dict[str, str]:
        return {}


def serve(monkeypatch: pytest.MonkeyPatch, pixels: np.ndarray, labels: list[str]) -> list[str]:
    """Answer as OpenML does, and remember what was asked for."""
    import hashlib

    columns = [f"a{k}" for k in range(pixels.shape[1])]
    header = "".join(f"@ATTRIBUTE {name} REAL\n" for name in columns)
    kinds = sorted(set(labels))
    lines = (f"{','.join(map(str, x))},{y}\n" for x, y in zip(pixels.tolist(), labels, strict=True))
    arff = f"@RELATION r\n{header}@ATTRIBUTE class {{{','.join(kinds)}}}\n@DATA\n{''.join(lines)}"
    no = dict.fromkeys(("is_ignore", "is_row_identifier"), "false") | {
        "number_of_missing_values": "0"
    }
    features: list[dict[str, Any]] = [
        {"index": str(k), "name": name, "data_type": "numeric", "is_target": "false", **no}
        for k, name in enumerate(columns)
    ]
    features.append(
        {"index": str(len(columns)), "name": "class", "data_type": "nominal"}
        | {"nominal_value": kinds, "is_target": "true", **no}
    )
    description = {
        "id": "1", "name": "r", "version": "1", "format": "ARFF", "status": "active",
        "file_id": "5", "default_target_attribute": "class", "description": "",
        "url": "https://www.openml.org/data/v1/download/5/r.arff",
        "md5_checksum": hashlib.md5(arff.encode()).hexdigest(),
    }  # fmt: skip
    answers = {
        "json/data/features/": json.dumps({"data_features": {"feature": features}}),
        "json/data/qualities/": json.dumps({"data_qualities": {"quality": []}}),
        "json/data/": json.dumps({"data_set_description": description}),
        "download/": arff,
    }
    asked: list[str] = []

    def answer(request: Any, *_: Any, **__: Any) -> Answer:
        url = request if isinstance(request, str) else request.full_url
        asked.append(url)
        return Answer(next(text for key, text in answers.items() if key in url).encode())

    monkeypatch.setattr(_openml, "urlopen", answer)
    return asked


@pytest.fixture
def pixels(monkeypatch: pytest.MonkeyPatch) -> np.ndarray:
    """Rows of 48 whole numbers, of which the last 10 test and 6 of the others validate."""
    monkeypatch.setattr(openml, "N_VALID", 6)
    return np.random.default_rng(0).integers(0, 256, (N, 48))


@pytest.mark.parametrize("labels", ["{}", "'{}'"])
@pytest.mark.parametrize("planes", [False, True])
def test_what_openml_sends_becomes_images(
    planes: bool, labels: str, pixels: np.ndarray, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    y = np.arange(N) % CLASSES
    asked = serve(monkeypatch, pixels, [labels.format(k + 9) for k in y])  # 9, 10, 11
    source = openml._Source(1, N, N_FIRST, SHAPE, CLASSES, planes)
    data = openml._dataset("some", "group", source, tmp_path)
    assert data.may_flip
    assert (data.record.n_train, data.record.n_valid, data.record.n_test) == (24, 6, 10)
    assert data.record.shape == SHAPE
    assert data.x_train.dtype == np.uint8
    assert data.y_test.tolist() == y[N_FIRST:].tolist()
    first = data.x_test[0]
    index = np.ravel_multi_index((2, 1, 3), (3, 4, 4)) if planes else (1 * 4 + 3) * 3 + 2
    assert first[1, 3, 2] == pixels[N_FIRST, index]
    together = np.concatenate([data.x_train, data.x_valid, data.x_test]).reshape(N, -1)
    assert sorted(together.sum(axis=1)) == sorted(pixels.sum(axis=1))

    before = len(asked)
    again = openml._dataset("some", "group", source, tmp_path)
    assert again.record == data.record
    assert len(asked) == before  # what is kept needs no network


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"n": N + 1}, r"shape \(40, 48\); expected \(41, 48\)"),
        ({"shape": (4, 4, 1)}, r"expected \(40, 16\)"),
        ({"classes": 4}, "40 labels of 3 classes; expected 4"),
    ],
)
def test_other_data_than_expected_are_refused_and_not_kept(
    change: dict[str, Any],
    message: str,
    pixels: np.ndarray,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    serve(monkeypatch, pixels, [str(k % CLASSES) for k in range(N)])
    known = {"n": N, "n_first": N_FIRST, "shape": SHAPE, "classes": CLASSES} | change
    with pytest.raises(DataUnavailableError, match=message):
        openml._dataset("some", "group", openml._Source(1, **known), tmp_path)
    assert not list(tmp_path.glob("*.npz"))


@pytest.mark.parametrize("odd", [-1, 256, 0.5])
def test_pixels_are_whole_numbers_of_a_byte(
    odd: float, pixels: np.ndarray, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pixels = pixels.astype(float)
    pixels[3, 3] = odd
    serve(monkeypatch, pixels, [str(k % CLASSES) for k in range(N)])
    with pytest.raises(DataUnavailableError, match="no whole numbers from 0 to 255"):
        openml._dataset("s", "g", openml._Source(1, N, N_FIRST, SHAPE, CLASSES), tmp_path)


def test_house_numbers_are_not_mirrored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    arrays = {"x": np.zeros((99_289, 1, 1, 1), np.uint8), "y": np.arange(99_289) % 10}
    monkeypatch.setattr(openml, "kept", lambda file, make: arrays)
    data = load_dataset("svhn", tmp_path)
    assert isinstance(data, ImageData)
    assert not data.may_flip
    assert (data.record.n_train, data.record.n_test) == (63_257, 26_032)


NAMES = sorted(name for name, path in DATASETS.items() if path.startswith("nassim.datasets.openml"))


@pytest.mark.parametrize("name", NAMES)
def test_where_there_is_no_network_the_message_says_what_to_do(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unreachable(*_: Any, **__: Any) -> None:
        raise URLError("no route to host")

    monkeypatch.setattr(_openml, "urlopen", unreachable)
    monkeypatch.setattr(_openml.time, "sleep", lambda seconds: None)
    with pytest.raises(DataUnavailableError) as caught:
        load_dataset(name, tmp_path)
    text = str(caught.value)
    assert re.search(r"www\.openml\.org/d/(40927|41983|40996|41081) ", text)
    for part in (name, "no route to host", str(tmp_path), "$NASSIM_CACHE", ".npz"):
        assert part in text
    assert "\n" not in text
