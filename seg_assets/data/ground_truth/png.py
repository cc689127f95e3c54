"""A folder of PNGs of class ids, named like the images.

<image id>.png      grey or indexed, 8 bits, 255 = no label
"""

from seg_assets.data.ground_truth.label_files import LabelFiles, label_folder, png_files


class PngLabels(LabelFiles):
    """Label files under the relative names of their images; classes only."""

    def list_files(self) -> dict[str, str]:
        """Image id -> URL of the PNG."""
        return png_files(label_folder(self.source, self.storage_options))
