"""Names of models that lead nowhere: what the user reads."""

import sys

import pytest

pytest.importorskip("transformers", minversion="5.0")

from seg_assets.errors import InputError
from seg_assets.labels.segmentors.hugging_face.repository import (
    Repository,
    find_repository,
    repository_config,
)
from seg_assets_tests.labels.segmentors.hugging_face.conftest import COMMIT, REPOSITORY


@pytest.fixture(autouse=True)
def configuration(cached_snapshot):
    (cached_snapshot / "config.json").write_text('{"model_type": "segformer"}')


def test_a_repository_in_the_cache_is_named_by_its_commit():
    found = find_repository(REPOSITORY)
    assert found == Repository(REPOSITORY, COMMIT)
    assert found.identity() == f"me/model@{COMMIT}"
    assert find_repository(f"me/model@{COMMIT}") == found
    assert repository_config(found).model_type == "segformer"


def test_what_the_hub_cannot_give_is_one_sentence():
    with pytest.raises(InputError, match="name a folder that holds the model$") as caught:
        find_repository("me/another")
    assert str(caught.value).startswith("the model me/another cannot be read (")
    assert "\n" not in str(caught.value)


def test_a_revision_that_is_not_there_is_one_sentence():
    with pytest.raises(InputError, match="me/model@v2 cannot be read"):
        find_repository("me/model@v2")


@pytest.mark.parametrize("name", ["/no/such/folder", "./models/mine", "~/nothing", "a/b/c"])
def test_a_folder_that_is_not_there_is_not_looked_for_on_the_hub(name):
    with pytest.raises(InputError, match="there is no folder"):
        find_repository(name)


def test_a_folder_without_a_model_is_named(tmp_path):
    with pytest.raises(InputError, match=r"holds no config\.json"):
        find_repository(str(tmp_path))


@pytest.mark.parametrize(
    "config", ["{", '{"model_type": "nonsense"}', '{"auto_map": {"AutoConfig": "own.Config"}}']
)
def test_a_configuration_that_transformers_does_not_know_is_refused(tmp_path, config):
    (tmp_path / "config.json").write_text(config)
    with pytest.raises(InputError, match="cannot be read"):
        repository_config(find_repository(str(tmp_path)))


def test_without_transformers_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "transformers", None)
    monkeypatch.setitem(sys.modules, "transformers.utils.hub", None)
    with pytest.raises(InputError, match=r"pip install 'seg_assets\[transformers\]'$"):
        find_repository(REPOSITORY)
