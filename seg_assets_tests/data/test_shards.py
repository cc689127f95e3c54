import json
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seg_assets.data.shards import (
    ImageRef,
    Shard,
    balanced_slices,
    list_shards,
    load_shard,
    plan_shards,
    register_shards,
    remove_shard,
    shard_name,
)
from seg_assets.errors import InputError, StoreError
from seg_assets.storage.store import Store
from seg_assets_tests.data.conftest import S3Server


def references(*image_ids: str) -> list[ImageRef]:
    return [ImageRef(image_id, f"/photos/{image_id}.jpg") for image_id in image_ids]


def shard(name: str, *image_ids: str, label_format: str | None = None) -> Shard:
    return Shard(name, tuple(references(*image_ids)), label_format)


def ids(shards: list[Shard]) -> dict[str, list[str]]:
    return {s.name: [image.image_id for image in s.images] for s in shards}


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


def test_slices_equal_the_golden_splits(shared_dir: Path) -> None:
    golden = json.loads((shared_dir / "golden/pipeline/splits.json").read_text())["samseem"]
    for case, expected in golden.items():
        length, count = (int(number) for number in case.split(","))
        assert [list(range(*bounds)) for bounds in balanced_slices(length, count)] == expected


def test_images_are_cut_into_as_few_balanced_shards_as_possible() -> None:
    planned = plan_shards(references(*"gbdacfe"), 3, "letters")
    assert ids(planned) == {
        "letters_0000": ["a", "b"],
        "letters_0001": ["c", "d"],
        "letters_0002": ["e", "f", "g"],
    }


def test_without_a_size_there_is_one_shard_of_that_name() -> None:
    assert ids(plan_shards(references("b", "a"), None, "sa_000001")) == {"sa_000001": ["a", "b"]}


def test_without_images_there_are_no_shards() -> None:
    assert plan_shards([], 5, "none") == []


@given(
    count=st.integers(1, 200),
    shard_size=st.integers(1, 60),
    order=st.randoms(use_true_random=False),
)
def test_shards_hold_every_image_once_in_order_and_differ_by_one(
    count: int, shard_size: int, order
) -> None:
    images = references(*(f"{number:03d}" for number in range(count)))
    shuffled = list(images)
    order.shuffle(shuffled)
    planned = plan_shards(shuffled, shard_size, "x")
    assert [image for s in planned for image in s.images] == images
    sizes = [len(s.images) for s in planned]
    assert max(sizes) <= shard_size
    assert max(sizes) - min(sizes) <= 1
    assert len(planned) == -(-count // shard_size)
    assert [s.name for s in planned] == sorted(s.name for s in planned)


def test_shard_size_below_one_is_refused() -> None:
    with pytest.raises(InputError, match=r"^the shard size is 0: give at least 1$"):
        plan_shards(references("a"), 0, "x")


@pytest.mark.parametrize("image_id", ["", "/a", "a/../b", "..", "./a", "a//b", "a/", "a\0b"])
def test_image_ids_that_are_no_relative_paths_are_refused(image_id: str) -> None:
    with pytest.raises(InputError, match=r"^u gives the image id .* rename the image$"):
        ImageRef(image_id, "u")


@pytest.mark.parametrize("name", ["", "a/b", "..", ".a", "a b", "é"])
def test_names_that_could_not_be_folders_are_refused(name: str) -> None:
    with pytest.raises(InputError, match="shard name"):
        shard(name, "a")


def test_two_images_with_one_id_are_refused() -> None:
    with pytest.raises(InputError) as caught:
        Shard("x", (ImageRef("a", "/1/a.jpg"), ImageRef("a", "/2/a.jpg")))
    assert str(caught.value) == (
        "the shard x has two images a, /1/a.jpg and /2/a.jpg: rename one of them"
    )


def test_a_shard_without_images_is_refused() -> None:
    with pytest.raises(InputError, match=r"^the shard x has no images: give it at least one$"):
        Shard("x", ())


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("photos", "photos"),
        ("My Photos (2)", "My_Photos_2"),
        ("a/b.c", "a_b_c"),
        ("фото", "images"),
    ],
)
def test_any_text_gives_a_shard_name(text: str, expected: str) -> None:
    assert shard_name(text) == expected


def test_a_registered_shard_comes_back_whole(store: Store) -> None:
    images = (
        ImageRef("a/b", "/photos/a/b.jpg", label_uri="/labels/a/b.png"),
        ImageRef("sa_1", "s3://bucket/sa_000001.tar", 1536, 99),
    )
    written = Shard("mixed", images, "png:ade150", "/labels")
    assert register_shards(store, [written]) == ["mixed"]
    assert load_shard(store, "mixed") == written
    table = pq.read_table(Path(store.root) / "shards/mixed.parquet")
    assert table.column_names == ["image_id", "uri", "offset", "size", "label_uri"]


def test_registering_gives_the_same_bytes_every_time(tmp_path: Path) -> None:
    for folder in ("one", "two"):
        register_shards(Store(tmp_path / folder), [shard("x", "a", "b", label_format="camvid")])
    first, second = (tmp_path / f / "shards/x.parquet" for f in ("one", "two"))
    assert first.read_bytes() == second.read_bytes()


def test_registering_again_writes_nothing(store: Store) -> None:
    register_shards(store, [shard("x", "a"), shard("y", "b")])
    path = Path(store.root) / "shards/x.parquet"
    before = path.stat().st_mtime_ns
    assert register_shards(store, [shard("x", "a"), shard("z", "c")]) == ["z"]
    assert path.stat().st_mtime_ns == before
    assert list_shards(store) == ["x", "y", "z"]


def test_a_changed_shard_is_refused_before_anything_is_written(store: Store) -> None:
    register_shards(store, [shard("x", "a")])
    with pytest.raises(InputError) as caught:
        register_shards(store, [shard("new", "a"), shard("x", "a", "b")])
    assert str(caught.value) == (
        "registered with other images already: x; choose another prefix, remove them first or "
        "replace them (`seg-assets shards add --replace`)"
    )
    assert list_shards(store) == ["x"]
    assert load_shard(store, "x") == shard("x", "a")


def test_a_changed_shard_replaces_the_old_one_on_demand(store: Store) -> None:
    register_shards(store, [shard("x", "a")])
    assert register_shards(store, [shard("x", "a", label_format="camvid")], replace=True) == ["x"]
    assert load_shard(store, "x").label_format == "camvid"


def test_where_the_labels_lie_may_be_added_but_not_changed(store: Store) -> None:
    images = tuple(references("a"))
    older = Shard("x", images, "camvid")
    register_shards(store, [older])
    here, there = (Shard("x", images, "camvid", source) for source in ("/here", "/there"))
    assert register_shards(store, [here]) == ["x"]
    assert load_shard(store, "x") == here
    for other in (there, older):
        with pytest.raises(InputError, match="registered with other images already: x"):
            register_shards(store, [other])
    assert load_shard(store, "x") == here


def test_two_shards_of_one_name_are_refused(store: Store) -> None:
    with pytest.raises(InputError, match=r"^two shards are named x: give each a name of its own$"):
        register_shards(store, [shard("x", "a"), shard("x", "b")])
    assert list_shards(store) == []


def test_an_empty_store_has_no_shards(store: Store) -> None:
    assert list_shards(store) == []
    with pytest.raises(InputError) as caught:
        load_shard(store, "x")
    assert str(caught.value) == (
        f"no shard x is registered in {store.root}: none is registered yet, add some with "
        "`seg-assets shards add`"
    )


def test_an_unknown_shard_names_similar_ones(store: Store) -> None:
    register_shards(store, [shard("camvid_val_0000", "a"), shard("photos_0000", "a")])
    with pytest.raises(InputError, match=r"did you mean camvid_val_0000\?$"):
        load_shard(store, "camvid_val_000")
    with pytest.raises(InputError, match=r"registered are camvid_val_0000, photos_0000$"):
        remove_shard(store, "qqq")
    with pytest.raises(InputError, match="shard name"):
        load_shard(store, "../x")


def test_a_removed_shard_is_gone(store: Store) -> None:
    register_shards(store, [shard("x", "a"), shard("y", "a")])
    remove_shard(store, "x")
    assert list_shards(store) == ["y"]


@pytest.mark.parametrize("content", [b"", b"PAR1 is not enough", "other columns"])
def test_a_damaged_definition_is_a_store_error(
    store: Store, tmp_path: Path, content: bytes | str
) -> None:
    register_shards(store, [shard("x", "a")])
    path = Path(store.root) / "shards/x.parquet"
    if isinstance(content, str):
        pq.write_table(pq.read_table(path).select(["uri"]), path)
    else:
        path.write_bytes(content)
    with pytest.raises(StoreError, match=r"^the definition of shard x in .*x\.parquet is damaged"):
        load_shard(store, "x")


def test_a_definition_is_read_in_the_caller_s_thread(store: Store) -> None:
    """Threads that Arrow starts for Python's bytes may abort a process that then ends."""
    register_shards(store, [shard("x", "a")])
    code = (
        "import psutil, sys\n"
        "from seg_assets.data.shards import load_shard\n"
        "from seg_assets.storage.store import Store\n"
        "threads = psutil.Process().num_threads()\n"
        f"load_shard(Store({store.root!r}), 'x')\n"
        "sys.exit(psutil.Process().num_threads() - threads)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_shards_are_kept_in_s3(s3_server: S3Server) -> None:
    store = Store("s3://bucket/store", s3_server.storage_options)
    register_shards(store, [shard("x", "a"), shard("y", "b")])
    assert list_shards(store) == ["x", "y"]
    assert load_shard(store, "y") == shard("y", "b")
    remove_shard(store, "x")
    assert list_shards(store) == ["y"]
