"""The steps of `pipeline`, streamed over a shard of images from the store into the store."""
