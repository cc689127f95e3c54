"""Whether shards that are read together were made from one another."""

from seg_assets.errors import StoreError
from seg_assets.storage.reader import ShardReader


def upstream(*readers: ShardReader) -> dict[str, str]:
    """Digests of the shards that are read together, by asset.

    Raises:
        StoreError: one of them was made from another generation of one of the others: its rows
            would be taken for something that they do not describe.
    """
    digests = {reader.manifest.asset: reader.manifest.digest for reader in readers}
    for reader in readers:
        asset, shard = reader.manifest.asset, reader.manifest.shard
        for source, digest in reader.manifest.provenance.get("upstream", {}).items():
            if digests.get(source, digest) != digest:
                raise StoreError(
                    f"{asset} of shard {shard} was made from other {source} than those that are "
                    f"there now: materialise {asset} again"
                )
    return digests
