"""Who says what class each pixel of an image has: models and maps on disk behind one protocol."""
