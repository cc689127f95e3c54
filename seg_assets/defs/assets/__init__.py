"""The assets, one file per group, in graph order."""
