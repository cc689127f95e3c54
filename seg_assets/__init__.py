"""Turn a heap of images into semantic label maps: SAM masks, SEEM names, Dagster assets."""

__version__ = "0.1.0"
