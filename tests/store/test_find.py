import pytest

import nassim.store.find as find
from nassim.errors import StoreError, UnknownNameError
from nassim.store import Store, find_store, known_stores


@pytest.fixture
def shelf(tmp_path, monkeypatch):
    """A data folder with one store and one other folder; nassim's own data left out."""
    monkeypatch.setattr(find, "__file__", str(tmp_path / "site" / "nassim" / "store" / "find.py"))
    monkeypatch.setenv("NASSIM_DATA", str(tmp_path / "shelf"))
    monkeypatch.chdir(tmp_path)
    Store.create(tmp_path / "shelf" / "mine")
    (tmp_path / "shelf" / "other").mkdir()
    return tmp_path


def test_known_stores_are_the_folders_with_a_manifest(shelf):
    assert known_stores() == {"mine": shelf / "shelf" / "mine"}
    assert find_store("mine") == shelf / "shelf" / "mine"


def test_bundled_stores_of_a_checkout_and_of_an_installed_package(shelf, monkeypatch):
    Store.create(shelf / "site" / "data" / "images")
    Store.create(shelf / "site" / "nassim" / "data" / "more")
    assert sorted(known_stores()) == ["images", "mine", "more"]
    monkeypatch.delenv("NASSIM_DATA")
    assert sorted(known_stores()) == ["images", "more"]


def test_a_folder_of_ones_own_goes_before_a_bundled_store(shelf):
    Store.create(shelf / "site" / "data" / "mine")
    assert find_store("mine") == shelf / "shelf" / "mine"
    Store.create(shelf / "mine")
    assert find_store("mine").resolve() == shelf / "mine"


def test_a_path_is_itself(shelf):
    path = shelf / "shelf" / "mine"
    assert find_store(path) == find_store(str(path)) == path


def test_a_path_without_a_store(shelf):
    for name in ("shelf/other", "shelf/missing", str(shelf), "shelf"):
        with pytest.raises(StoreError, match=r"No store is at .*known: mine\."):
            find_store(name)


@pytest.mark.parametrize("name", ["mime", "", "a\0b", "x" * 5000])
def test_an_unknown_name(shelf, name):
    with pytest.raises(UnknownNameError if name else StoreError, match="mine"):
        find_store(name)
