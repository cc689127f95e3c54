"""Everything that an evaluation adds up, image by image: scores, what is missing, the worst."""

import heapq
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from seg_assets.evaluation.label_set import LabelSums
from seg_assets.evaluation.mask_set import MaskSums
from seg_assets.metrics.instance_matches import InstanceMatches
from seg_assets.metrics.semantic import SemanticScores, semantic_scores

NO_TRUTH, NO_PREDICTION = "no ground truth", "no prediction"
NO_LABELS = "no labels of "
"""Begins the reason of an image that was compared, though not with the label set that follows."""
WORST = 12
EXAMPLES = 5
JOINED_AT_ONCE = 256
"""Images whose instances become one: with 133 classes each image alone has 4 kB of counts."""


@dataclass(frozen=True)
class RatedImage:
    """How one image fared.

    Attributes:
        shard: that holds it; "" outside shards.
        image_id: of the image.
        accuracy: share of its pixels with a true label that are right.
        miou: over the classes that occur in it.
        method: the label set that this is said of: the first one that has the image.
    """

    shard: str
    image_id: str
    accuracy: float
    miou: float
    method: str


@dataclass(frozen=True)
class Missing:
    """Images that could not be compared, for one reason.

    Attributes:
        count: how many.
        examples: the first of them, with what is wrong where that is known.
    """

    count: int = 0
    examples: tuple[str, ...] = ()

    def more(self, example: str) -> "Missing":
        """With one image more."""
        return Missing(self.count + 1, (*self.examples, example)[:EXAMPLES])


class Tally:
    """Adds up images, of a folder or of many shards; scores divide once at the end.

    Args:
        methods: in which order they are reported; others follow as they are seen. Without it the
            order would be that of whichever image comes first, which may lack some.

    Attributes:
        images: images that were compared.
        images_of: of these, the images of each method.
        missing: by reason, the images that were not: NO_TRUTH, NO_PREDICTION, "unknown ids", "other
            size", "unreadable truth", or the stage that failed; and NO_LABELS with a method, for
            images that only others were compared on.
        unreachable: by method, ids of the classes that it cannot name, see `cannot_name`.
    """

    def __init__(self, methods: Sequence[str] = ()) -> None:
        self.images = 0
        self.images_of: dict[str, int] = {}
        self.missing: dict[str, Missing] = {}
        self.unreachable: dict[str, frozenset[int]] = {}
        self._methods = dict.fromkeys(methods)
        self._sums: dict[str, LabelSums] = {}
        self._instances: dict[str, list[InstanceMatches]] = {}
        self._recent: dict[str, list[InstanceMatches]] = {}
        self._masks: MaskSums | None = None
        self._worst: list[tuple[float, str, str, RatedImage]] = []  # a heap, the best of them first

    def add(
        self,
        shard: str,
        image_id: str,
        label_sets: Mapping[str, LabelSums],
        masks: MaskSums | None = None,
    ) -> None:
        """Count one image.

        Args:
            shard: that holds it; "" outside shards.
            image_id: of the image.
            label_sets: by method; the first one that is there decides about the worst images.
            masks: None where the image's masks were not compared.
        """
        self.images += 1
        for method, sums in label_sets.items():
            self._methods.setdefault(method)
            self.images_of[method] = self.images_of.get(method, 0) + 1
            # instances are put side by side: many at once
            if sums.instances is not None:
                self._keep(method, sums.instances)
            light = replace(sums, instances=None)
            known = self._sums.get(method)
            self._sums[method] = light if known is None else LabelSums.join([known, light])
        if masks is not None:
            self._masks = masks if self._masks is None else MaskSums.join([self._masks, masks])
        for method in self._methods:
            if method in label_sets:
                scores = semantic_scores(label_sets[method].confusion)
                self._rate(shard, image_id, method, scores)
                break

    def cannot_name(self, method: str, classes: Iterable[int]) -> None:
        """Note classes of the comparison that a method's own classes do not lead to."""
        self.unreachable[method] = self.unreachable.get(method, frozenset()).union(classes)

    def miss(self, reason: str, example: str) -> None:
        """Count one image that could not be compared."""
        self.missing[reason] = self.missing.get(reason, Missing()).more(example)

    @property
    def label_sets(self) -> dict[str, LabelSums]:
        """The sums per method, in order; put together anew at each call."""
        found = {}
        for method, sums in self._ordered():
            parts = [*self._instances.get(method, ()), *self._recent.get(method, ())]
            classes = len(sums.confusion.table)
            joined = InstanceMatches.join(parts, classes) if parts else None
            found[method] = replace(sums, instances=joined)
        return found

    @property
    def masks(self) -> MaskSums | None:
        """The sums of the masks; None without any."""
        return self._masks

    @property
    def worst(self) -> list[RatedImage]:
        """The images of which the first method labels the fewest pixels right, worst first."""
        return sorted((entry[-1] for entry in self._worst), key=_badness)

    def scores(self) -> dict[str, SemanticScores]:
        """The semantic scores per method; {} without any image."""
        return {method: semantic_scores(sums.confusion) for method, sums in self._ordered()}

    def _keep(self, method: str, matches: InstanceMatches) -> None:
        """Keep what grows with the predicted objects; the counts per class are folded in time."""
        recent = self._recent.setdefault(method, [])
        recent.append(matches)
        if len(recent) == JOINED_AT_ONCE:
            joined = InstanceMatches.join(recent, len(matches.objects))
            self._instances.setdefault(method, []).append(joined)
            recent.clear()

    def _ordered(self) -> Iterator[tuple[str, LabelSums]]:
        for method in self._methods:
            if method in self._sums:
                yield method, self._sums[method]

    def _rate(self, shard: str, image_id: str, method: str, scores: SemanticScores) -> None:
        if math.isnan(scores.aacc):
            return  # no pixel has a true label
        rated = RatedImage(shard, image_id, scores.aacc, scores.miou, method)
        entry = (-scores.aacc, shard, image_id, rated)
        if len(self._worst) < WORST:
            heapq.heappush(self._worst, entry)
        else:
            heapq.heappushpop(self._worst, entry)


def _badness(image: RatedImage) -> tuple[float, str, str]:
    return image.accuracy, image.shard, image.image_id
