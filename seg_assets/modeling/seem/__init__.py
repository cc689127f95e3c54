"""SEEM: one image pass, then any number of mask, text and reference-image prompts."""
