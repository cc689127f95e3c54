"""Finished shards as files of other people's formats; docs/exports.md has the list."""
