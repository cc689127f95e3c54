"""CamVid with 11 classes: the folder with its lists, or a folder of its label files."""

from seg_assets.data.formats.camvid import find_camvid_images, is_camvid
from seg_assets.data.ground_truth.png import PngLabels


class CamvidLabels(PngLabels):
    """Label files as the splits' lists pair them with images, else by name; classes only."""

    unique_names = True

    def list_files(self) -> dict[str, str]:
        """Image id -> URL of the label file."""
        if not self.source.endswith(".txt") and not is_camvid(self.source, self.storage_options):
            return super().list_files()
        splits = find_camvid_images(self.source, self.storage_options)
        return {
            image.image_id: image.label_uri
            for images in splits.values()
            for image in images
            if image.label_uri is not None
        }
