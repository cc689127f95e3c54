"""Label maps from anywhere against ground truth from anywhere, without a store."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from seg_assets.classes.mapping import ClassMap, load_class_map, own_folder
from seg_assets.classes.table import ClassTable, load_class_table
from seg_assets.data.ground_truth.coverage import cover
from seg_assets.data.ground_truth.reader import GroundTruth
from seg_assets.errors import ComparisonError, ImageError, InputError, UnknownClassError
from seg_assets.evaluation.label_set import LabelSet, TruthInClasses, compare_labels
from seg_assets.evaluation.segments import Segments
from seg_assets.evaluation.tally import NO_LABELS, NO_PREDICTION, NO_TRUTH, Tally


@dataclass(frozen=True)
class SourceComparison:
    """Label sets on disk and the truth that they are compared with.

    Attributes:
        truth: the ground truth.
        truth_map: from its classes to those of the comparison.
        predictions: by title, in order; readers of ground truth read label maps of any origin.
        prediction_maps: from their classes to those of the comparison.
        matched: by title, the id of the prediction of each image of the truth.
        images: the truth's images that have at least one prediction, sorted.
    """

    truth: GroundTruth
    truth_map: ClassMap
    predictions: Mapping[str, GroundTruth]
    prediction_maps: Mapping[str, ClassMap]
    matched: Mapping[str, Mapping[str, str]]
    images: tuple[str, ...]

    @classmethod
    def open(
        cls, truth: GroundTruth, predictions: Mapping[str, GroundTruth], classes: str | None = None
    ) -> "SourceComparison":
        """Find out what belongs together.

        Args:
            truth: the ground truth.
            predictions: by title; the first one decides which images are the worst.
            classes: class table in which all meet, a name or the path of a .toml file; None for
                that of the truth.

        Raises:
            InputError: there is no class map to `classes`, two predictions are of one image, or
                nothing is of the same image.
        """
        table = truth.table if classes is None else load_class_table(classes)
        folders = () if classes is None else own_folder(classes)
        matched: dict[str, dict[str, str]] = {}
        for title, prediction in predictions.items():
            ids = prediction.image_ids()
            cover(truth, ids)  # refuses two predictions of one image
            matched[title] = {own: i for i in ids if (own := truth.find(i)) is not None}
        images = sorted({image_id for ids in matched.values() for image_id in ids})
        if not images:
            title, prediction = next(iter(predictions.items()))
            raise InputError(
                f"{title} and the ground truth have no image in common, {_some(prediction)} here "
                f"and {_some(truth)} there: name the label maps like the images of the truth"
            )
        return cls(
            truth,
            load_class_map(truth.table, table, folders=folders),
            predictions,
            {
                title: load_class_map(prediction.table, table, folders=folders)
                for title, prediction in predictions.items()
            },
            matched,
            tuple(images),
        )

    @property
    def table(self) -> ClassTable:
        """The classes of the comparison."""
        return self.truth_map.target

    def compare(
        self,
        *,
        boundaries: bool = True,
        progress: Callable[[Sequence[str]], Iterable[str]] = iter,
    ) -> Tally:
        """Compare all images, one at a time; what cannot be compared is counted.

        Args:
            boundaries: compare the outlines of the classes as well.
            progress: wraps the list of images, to show how far it is.
        """
        tally = Tally(tuple(self.predictions))
        for title, class_map in self.prediction_maps.items():
            tally.cannot_name(title, [item.id for item in class_map.unreachable()])
        for title, prediction in self.predictions.items():
            matched = self.matched[title].values()
            for image_id in sorted(set(prediction.image_ids()) - set(matched)):
                tally.miss(NO_TRUTH, f"{title}: {image_id}")
        for image_id in sorted(set(self.truth.image_ids()) - set(self.images)):
            tally.miss(NO_PREDICTION, image_id)
        for image_id in progress(self.images):
            try:
                truth = self.read_truth(image_id)
                sums = {
                    title: compare_labels(
                        label_set, truth, boundaries=boundaries, where=f"{image_id} ({title})"
                    )
                    for title, label_set in self.read_predictions(image_id).items()
                }
            except ComparisonError as error:
                tally.miss(error.kind, f"{image_id}: {error}")
            else:
                tally.add("", image_id, sums)
                for title in self.predictions:
                    if title not in sums:
                        tally.miss(f"{NO_LABELS}{title}", image_id)
        return tally

    def read_truth(self, image_id: str) -> TruthInClasses:
        """The truth of an image in the classes of the comparison.

        Raises:
            ComparisonError: it cannot be read, or has ids that are not in its table.
        """
        return TruthInClasses.read(self.truth, image_id, self.truth_map)

    def read_predictions(self, image_id: str) -> dict[str, LabelSet]:
        """What each prediction says about an image of the truth; those without it are left out.

        Raises:
            ComparisonError: one cannot be read, or has ids that are not in its table.
        """
        found = {}
        for title, prediction in self.predictions.items():
            own = self.matched[title].get(image_id)
            if own is None:
                continue
            try:
                read = prediction.read(own)
            except UnknownClassError as error:
                raise ComparisonError("unknown ids", str(error)) from error
            except ImageError as error:
                raise ComparisonError("unreadable prediction", str(error)) from error
            segments = None
            if read.segment_ids is not None:
                segments = Segments(read.segment_ids, read.segment_classes, read.crowds)
            found[title] = LabelSet(read.label_map, self.prediction_maps[title], segments)
        return found


def _some(source: GroundTruth) -> str:
    ids = source.image_ids()
    return f"such as {ids[0]}" if ids else "none"
