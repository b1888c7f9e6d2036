from __future__ import annotations

import dataclasses

import pytest

from nassim.errors import InputError
from nassim.generator import Recipe
from nassim.records import Dataset


def test_id_is_the_name_and_a_hash_of_all_settings() -> None:
    recipe = Recipe("quick", epochs=3)
    assert recipe.id == "quick-" + recipe.id.split("-")[1]
    changes: dict[type, object] = {int: 7, float: 0.25, bool: True}
    ids = {recipe.id}
    fields = [f for f in dataclasses.fields(Recipe) if f.name not in ("name", "nesterov")]
    named = {"schedule": "step", "optimizer": "adamw", "skeleton": "RN"}
    for field in fields:
        value = named.get(field.name) or changes[type(getattr(recipe, field.name))]
        ids.add(dataclasses.replace(recipe, **{field.name: value}).id)
    ids.add(dataclasses.replace(recipe, nesterov=False).id)
    assert len(ids) == len(fields) + 2


def test_the_bundled_recipes_id_never_changes() -> None:
    # what has been trained is found by this id
    recipe = Recipe("tiny", epochs=25, batch_size=80, resolution=8, shift=1)
    assert recipe.id == "tiny-9ebe0948"


def test_one_and_one_point_zero_are_one_recipe() -> None:
    assert Recipe("a", learning_rate=1).id == Recipe("a", learning_rate=1.0).id


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"epochs": 0}, "'epochs' is 0; expected 1 or more"),
        ({"epochs": 2.0}, "'epochs' is 2.0; expected a whole number"),
        ({"epochs": True}, "'epochs' is True; expected a whole number"),
        ({"learning_rate": "high"}, "'learning_rate' is 'high'; expected a number"),
        ({"learning_rate": float("nan")}, "'learning_rate' is nan"),
        ({"learning_rate": -0.1}, "'learning_rate' is -0.1; expected 0.0 or more"),
        ({"batch_size": 1}, "'batch_size' is 1; expected 2 or more"),
        ({"schedule": "cosin"}, "expected one of cosine, constant, step"),
        ({"optimizer": "adam"}, "expected one of sgd, adamw"),
        ({"skeleton": "RnR"}, "'skeleton' is 'RnR'; expected letters N"),
        ({"flip": 1}, "'flip' is 1; expected true or false"),
        ({"momentum": 1.0}, "below 1"),
        ({"momentum": 0.0}, "expected a momentum above 0"),
        ({"name": "a-b"}, "'name' is 'a-b'; expected letters"),
        ({"name": ""}, "'name' is ''; expected letters"),
    ],
)
def test_refused(changes: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        Recipe(**({"name": "a"} | changes))


def test_a_dataset_smaller_than_a_batch() -> None:
    recipe = Recipe("a", batch_size=64)
    recipe.check_fits(Dataset("large", "g", n_train=64))
    with pytest.raises(InputError, match="63 inputs of dataset 'small'; expected 64"):
        recipe.check_fits(Dataset("small", "g", n_train=63))
    with pytest.raises(InputError, match="10 inputs of dataset 'large'"):
        dataclasses.replace(recipe, n_train=10).check_fits(Dataset("large", "g", n_train=64))
