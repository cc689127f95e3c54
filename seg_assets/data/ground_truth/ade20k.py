"""ADE20K's scene parsing benchmark: a grey PNG per image, 1..150, 0 = no label.

annotations/<split>/ADE_val_00000001.png beside images/<split>/ADE_val_00000001.jpg
"""

from seg_assets.data.ground_truth.png import PngLabels


class Ade20kLabels(PngLabels):
    """Label files under their images' names, whatever folder those lie in; classes only."""

    unique_names = True
