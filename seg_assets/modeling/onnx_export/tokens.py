"""Points and boxes as the decoder graph takes them: one list of coordinates, one of codes.

Nothing here imports torch.
"""

import numpy as np

# SAM's codes, beside 1 for a point on the object and 0 for one beside it.
PADDING, BOX_START, BOX_END = -1, 2, 3


def point_tokens(
    count: int,
    points: np.ndarray | None = None,
    labels: np.ndarray | None = None,
    boxes: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Inputs `point_coords` and `point_labels` of the decoder graph.

    A box is its two corners; points without a box get a padding point, as in SAM's training.

    Args:
        count: Number of objects, B.
        points: x, y in the model's input, (B, P, 2). Points and labels come together.
        labels: 1 on the object, 0 beside it, (B, P).
        boxes: x0, y0, x1, y1 in the model's input, (B, 4).

    Returns:
        (B, T, 2) float32 and (B, T) int64; T is 0 where there are neither points nor boxes.
    """
    places, codes = [np.empty((count, 0, 2))], [np.empty((count, 0))]
    if points is not None and labels is not None:
        places.append(points)
        codes.append(labels)
    if boxes is not None:
        places.append(boxes.reshape(-1, 2, 2))
        codes.append(np.tile([BOX_START, BOX_END], (count, 1)))
    elif points is not None:
        places.append(np.zeros((count, 1, 2)))
        codes.append(np.full((count, 1), PADDING))
    return np.concatenate(places, 1, dtype=np.float32), np.concatenate(codes, 1).astype(np.int64)
