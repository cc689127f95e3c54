"""Label sets against ground truth: from one image to a report over all shards."""
