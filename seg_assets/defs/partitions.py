"""A partition is a shard: one batch of images, 10 to 30 minutes of work on one device."""

import dagster as dg

shards = dg.DynamicPartitionsDefinition(name="shards")
