import tempfile
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import pytest

from seg_assets.errors import StoreError
from seg_assets.storage.object_files import ObjectFiles
from seg_assets.storage.schema import SCHEMAS
from seg_assets.storage.store import Store
from seg_assets_tests.storage.examples import ASSET, SHARD, write


def test_a_missing_bucket_is_one_sentence(s3: dict[str, Any]) -> None:
    store = Store("s3://no-such-bucket/data", s3)
    assert store.shards(ASSET) == []
    with pytest.raises(
        StoreError, match=r"cannot write s3://no-such-bucket/data/.*bucket does not exist"
    ):
        write(store)


def test_wrong_credentials_are_one_sentence(s3: dict[str, Any]) -> None:
    store = Store("s3://bucket/data", s3 | {"secret": "wrong"})
    with pytest.raises(StoreError, match="s3://bucket/data"):
        store.open_shard(ASSET, SHARD)
    with pytest.raises(StoreError, match="s3://bucket/data"):
        write(store)


def test_an_endpoint_that_is_down_is_one_sentence() -> None:
    options = {
        "endpoint_url": "http://127.0.0.1:1",
        "key": "k",
        "secret": "s",
        "config_kwargs": {"retries": {"max_attempts": 0}, "connect_timeout": 1},
    }
    with (
        mock.patch("s3fs.core.S3FileSystem.retries", 1),
        pytest.raises(StoreError, match="s3://bucket/data.*127.0.0.1:1.*check the URL"),
    ):
        Store("s3://bucket/data", options).is_complete(ASSET, SHARD)


def test_an_unknown_protocol_is_one_sentence() -> None:
    with pytest.raises(StoreError, match="cannot open nosuch://bucket"):
        Store("nosuch://bucket").shards(ASSET)


def test_credentials_may_come_from_the_environment(
    s3: dict[str, Any], s3_store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(s3_store)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", s3["key"])
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", s3["secret"])
    monkeypatch.setenv("AWS_ENDPOINT_URL", s3["endpoint_url"])
    monkeypatch.setenv("AWS_REQUEST_CHECKSUM_CALCULATION", "when_required")
    monkeypatch.setenv("AWS_RESPONSE_CHECKSUM_VALIDATION", "when_required")
    assert Store(s3_store.root).shards(ASSET) == [SHARD]


def test_large_parts_go_up_in_pieces_and_come_back(s3_store: Store) -> None:
    data = np.random.default_rng(0).bytes(20 * 2**20)  # more than two pieces of 8 MB
    sizes = dict.fromkeys(SCHEMAS["seem_logits"].names[1:10], 1)
    with s3_store.write_shard("seem_logits", SHARD, ["a"], {}) as writer:
        writer.add("a", [{**sizes, "class_logits": b"", "mask_logits": data}])
    assert s3_store.open_shard("seem_logits", SHARD).rows("a")[0]["mask_logits"] == data


def test_an_upload_that_breaks_off_leaves_no_object(
    s3_store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    files = s3_store._files
    assert isinstance(files, ObjectFiles)
    with (
        mock.patch.object(files.filesystem, "put_file", side_effect=OSError("connection lost")),
        pytest.raises(StoreError, match="cannot write s3://.*part-00000.*: connection lost"),
    ):
        write(s3_store)
    assert s3_store.shards(ASSET) == []
    assert s3_store.list_files(f"{ASSET}/{SHARD}") == []
    assert list(tmp_path.iterdir()) == []
    assert write(s3_store) == 10
