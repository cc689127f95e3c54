"""How pixels are scaled for every network here: SAM and SEEM were trained with the same numbers."""

# ImageNet's statistics, RGB on the 0..255 scale.
PIXEL_MEAN = (123.675, 116.28, 103.53)
PIXEL_STD = (58.395, 57.12, 57.375)
