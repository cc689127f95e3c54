import pytest

from seg_assets.errors import InputError
from seg_assets.storage.names import check_name, check_relative_path, schema_of


@pytest.mark.parametrize("name", ["sa_000001", "city-01.b", "0", "a" * 200])
def test_plain_names_pass(name: str) -> None:
    assert check_name(name, "shard") == name


@pytest.mark.parametrize(
    "name", ["", ".", "..", ".hidden", "_hidden", "a/b", "a\\b", "a b", "a" * 201, "a\n", "é"]
)
def test_other_names_are_refused_with_the_name_in_the_message(name: str) -> None:
    with pytest.raises(InputError, match="shard name"):
        check_name(name, "shard")


@pytest.mark.parametrize("path", ["/etc/passwd", "../x", "a/../b", "a//b", "a/.git/b", ""])
def test_paths_cannot_leave_the_store(path: str) -> None:
    with pytest.raises(InputError, match="store path"):
        check_relative_path(path)


def test_an_unknown_asset_is_answered_with_the_known_ones() -> None:
    with pytest.raises(InputError, match=r"unknown asset 'masks'.*sam_masks"):
        schema_of("masks")
