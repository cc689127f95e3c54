"""Many pictures in one: contact sheets, pictures side by side, legends."""

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw

from seg_assets.classes.table import ClassTable
from seg_assets.errors import InputError
from seg_assets.viz.text import INK, PAPER, font, text_strip, text_width

GAP = 6  # pixels between pictures


def contact_sheet(
    rows: Sequence[Sequence[np.ndarray]],
    captions: Sequence[str] = (),
    *,
    titles: Sequence[str] = (),
    cell_height: int | None = None,
) -> np.ndarray:
    """Arrange pictures in rows and columns.

    Pictures of a row are brought to the same height, and stand in columns as wide as the widest
    picture of the column.

    Args:
        rows: Rows of (H, W, 3) uint8 RGB images; rows may differ in length and may be empty.
        captions: One line under each row, such as the image id; may be shorter than `rows`.
        titles: One line over each column, such as "image" or "ground truth".
        cell_height: Height of the pictures in pixels; by default that of each row's first picture.

    Returns:
        (H, W, 3) uint8 RGB; a small white picture when there are no images.
    """
    kept = [(index, list(row)) for index, row in enumerate(rows) if len(row)]
    if not kept:
        return np.full((GAP * 4, GAP * 4, 3), 255, np.uint8)
    cells = [
        [_fit_height(image, cell_height or row[0].shape[0]) for image in row] for _, row in kept
    ]
    columns = max(len(row) for row in cells)
    widths = [max(row[c].shape[1] for row in cells if c < len(row)) for c in range(columns)]
    total = sum(widths) + GAP * (columns + 1)
    size = max(11, min(18, total // 40))
    bands: list[np.ndarray] = []
    if titles:
        strips = [
            text_strip(titles[c] if c < len(titles) else "", width + GAP, size=size)
            for c, width in enumerate(widths)
        ]
        band = np.concatenate(strips, axis=1)
        bands.append(_pad_width(band, total, GAP // 2))
    for (index, _), row in zip(kept, cells, strict=True):
        height = row[0].shape[0]
        band = np.full((height + GAP, total, 3), 255, np.uint8)
        left = GAP
        for image, width in zip(row, widths, strict=False):
            start = left + (width - image.shape[1]) // 2
            band[GAP:, start : start + image.shape[1]] = image
            left += width + GAP
        bands.append(band)
        if index < len(captions) and captions[index]:
            bands.append(text_strip(captions[index], total, size=size))
    bands.append(np.full((GAP, total, 3), 255, np.uint8))
    return np.concatenate(bands)


def side_by_side(images: Sequence[np.ndarray], captions: Sequence[str] = ()) -> np.ndarray:
    """Put pictures next to each other, each under its caption.

    Args:
        images: (H, W, 3) uint8 RGB; all are brought to the first one's height.
        captions: One per image, or none.

    Returns:
        (H, W, 3) uint8 RGB.
    """
    return contact_sheet([images], titles=captions)


def legend(
    table: ClassTable,
    ids: Sequence[int] | np.ndarray,
    *,
    shares: Sequence[float] | np.ndarray | None = None,
    columns: int = 1,
    size: int = 14,
) -> np.ndarray:
    """Draw colour, name and, if given, share of pixels for classes.

    Args:
        table: Gives names and colours.
        ids: Class ids to list, in this order; none gives a small white picture.
        shares: Share of pixels, 0..1, of each of them.
        columns: Columns to arrange them in.
        size: Height of the letters in pixels.

    Returns:
        (H, W, 3) uint8 RGB.

    Raises:
        InputError: `shares` and `ids` differ in length.
        UnknownClassError: An id is not in the table.
    """
    listed = [int(class_id) for class_id in ids]
    if shares is not None and len(shares) != len(listed):
        raise InputError(f"A legend got {len(listed)} classes but {len(shares)} shares.")
    if not listed:
        return np.full((size * 2, size * 2, 3), 255, np.uint8)
    names = [table.name_of(class_id) for class_id in listed]
    palette = table.palette()
    percents = [""] * len(listed) if shares is None else [_percent(float(s)) for s in shares]
    box, pad, line = size + 2, size // 2, int(size * 1.6)
    name_width = max(text_width(name, size) for name in names)
    percent_width = max(text_width(percent, size) for percent in percents)
    entry = box + pad + name_width + (pad * 2 + percent_width if shares is not None else 0)
    columns = max(1, min(columns, len(listed)))
    per_column = -(-len(listed) // columns)
    width = columns * entry + (columns - 1) * pad * 4 + 2 * pad
    picture = Image.new("RGB", (width, per_column * line + 2 * pad), PAPER)
    draw = ImageDraw.Draw(picture)
    for place, (class_id, name, percent) in enumerate(zip(listed, names, percents, strict=True)):
        left = pad + (place // per_column) * (entry + pad * 4)
        middle = pad + (place % per_column) * line + line / 2
        color = tuple(palette[class_id].tolist())
        draw.rounded_rectangle(
            (left, middle - box / 2, left + box, middle + box / 2),
            3,
            fill=color,
            outline=(120, 120, 126),
        )
        draw.text((left + box + pad, middle), name, fill=INK, font=font(size), anchor="lm")
        if percent:
            draw.text((left + entry, middle), percent, fill=INK, font=font(size), anchor="rm")
    return np.asarray(picture)


def legend_of(table: ClassTable, label_map: np.ndarray, **options: int) -> np.ndarray:
    """Draw the legend of the classes in a label map, the most frequent first.

    Args:
        table: The map's class table.
        label_map: (H, W) uint8 class ids; 255 is left out.
        options: `columns` and `size` of `legend`.

    Returns:
        (H, W, 3) uint8 RGB.
    """
    counts = np.bincount(label_map.ravel(), minlength=256)
    counts[table.ignore_id] = 0
    ids = np.argsort(-counts, kind="stable")
    ids = ids[counts[ids] > 0]
    return legend(table, ids, shares=counts[ids] / max(label_map.size, 1), **options)


def _percent(share: float) -> str:
    return f"{share:.1%}" if share >= 0.001 or share == 0 else "<0.1%"


def _fit_height(image: np.ndarray, height: int) -> np.ndarray:
    if image.shape[0] == height:
        return image
    width = max(1, round(image.shape[1] * height / image.shape[0]))
    shrinks = height < image.shape[0]
    method = Image.Resampling.BOX if shrinks else Image.Resampling.NEAREST
    return np.asarray(Image.fromarray(image).resize((width, height), method))


def _pad_width(band: np.ndarray, width: int, left: int) -> np.ndarray:
    padded = np.full((band.shape[0], width, 3), 255, np.uint8)
    padded[:, left : left + band.shape[1]] = band[:, : width - left]
    return padded
