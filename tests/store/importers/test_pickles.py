import collections
import os
import pickle

import numpy as np
import pytest

from nassim.errors import InputError
from nassim.store.importers.pickles import unpickle


@pytest.mark.parametrize("protocol", [3, 4])  # those of the known files
def test_plain_values_come_back(protocol):
    content = {
        "a": [1, 2.5, "x", None, True],
        ("b", 3): collections.OrderedDict(x=np.float64(0.25)),
        "set": {1, 2},
        "array": np.arange(3.0),
    }
    found = unpickle(pickle.dumps(content, protocol), "x.pkl")
    assert found.keys() == content.keys()
    assert found["b", 3]["x"] == 0.25
    assert isinstance(found["b", 3], collections.OrderedDict)
    np.testing.assert_array_equal(found["array"], content["array"])


class Evil:
    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


@pytest.mark.parametrize(
    ("function", "name"),
    [(os.system, "system"), (eval, "builtins.eval"), (np.load, "numpy"), (getattr, "getattr")],
)
def test_anything_else_is_refused_by_name_and_not_run(tmp_path, function, name):
    with pytest.raises(InputError, match=rf"(?s)evil.pkl names .*{name}.*not run"):
        unpickle(pickle.dumps(Evil(function, "touch it")), "evil.pkl")


def test_truncated_and_junk():
    good = pickle.dumps({"a": [np.float64(1.0)]})
    for content in (b"", good[:-5], b"junk", bytes(range(256))):
        with pytest.raises(InputError, match=r"x\.pkl cannot be read as a pickle"):
            unpickle(content, "x.pkl")
