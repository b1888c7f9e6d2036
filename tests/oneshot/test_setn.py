from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch

from nassim.checks.oneshot import RECIPE, _images
from nassim.errors import InputError
from nassim.oneshot.base import Journal
from nassim.oneshot.data import search_data
from nassim.oneshot.scoring import Scores
from nassim.oneshot.setn import SETN, TrainedSETN
from nassim.oneshot.supernet import Supernet, build_supernet
from nassim.spaces import get_space

SPACE = get_space("nasbench201_3nodes")


def supernet() -> Supernet:
    return build_supernet(SPACE, channels=4, cells=1, classes=3, inputs=1)


def test_the_most_accurate_of_the_most_probable_is_picked() -> None:
    rng = np.random.default_rng(0)
    trained = TrainedSETN(supernet(), rng.normal(size=(3, 5)), best=7)
    every = list(SPACE.every())
    scores = Scores(rng.random(125), rng.random(125))
    pick = trained.pick(every, scores)

    each = trained.logits.detach().log_softmax(1).tolist()
    by_hand = {
        path: sum(row[option] for row, option in zip(each, path, strict=True))
        for path in itertools.product(range(5), repeat=3)
    }
    likely = sorted(by_hand, key=by_hand.__getitem__)[-7:]
    accuracy = {one.decisions: a for one, a in zip(every, scores.accuracy, strict=True)}
    assert pick.decisions == max(likely, key=accuracy.__getitem__)
    assert pick.decisions != max(accuracy, key=accuracy.__getitem__)


def test_alpha_moves_and_has_no_effect_on_the_weights() -> None:
    data = search_data(_images(), RECIPE, architecture_share=0.5)
    slow, fast = (
        SETN(steps=6, batch_size=16, alpha_rate=rate).train(
            supernet(), data, np.random.default_rng(0), Journal()
        )
        for rate in (1e-6, 0.5)
    )
    assert isinstance(slow, TrainedSETN)
    assert isinstance(fast, TrainedSETN)
    assert (fast.logits - slow.logits).abs().min() > 0.01
    other = fast.supernet.state_dict()
    assert all(torch.equal(value, other[k]) for k, value in slow.supernet.state_dict().items())


def test_an_unknown_law_is_refused() -> None:
    with pytest.raises(InputError, match="law is 'fair'; expected one of classes, strings"):
        SETN(law="fair")
