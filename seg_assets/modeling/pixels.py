"""How pixels are scaled for every network here: SAM and SEEM were trained with the same numbers."""

# ImageNet's statistics, RGB on the 0..255 scale.
PIXEL_MEAN = (123.675, 116.28, 103.53)
PIXEL_STD = (58.395, 57.12, 57.375)


def scaled_size(rows: int, columns: int, longest: int) -> tuple[int, int]:
    """Rows and columns of an image whose longest side is scaled to `longest` pixels; at least 1."""
    scale = longest / max(rows, columns)
    return max(int(rows * scale + 0.5), 1), max(int(columns * scale + 0.5), 1)
