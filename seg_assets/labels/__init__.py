"""Regions to classes: SEEM names each SAM region, and its own map fills what no region covers."""
