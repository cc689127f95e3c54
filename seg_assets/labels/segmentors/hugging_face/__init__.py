"""Semantic segmentation models of Hugging Face's transformers, from the hub or a folder."""
