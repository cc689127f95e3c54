"""What chance decides about a training image: how it is cut, and what is asked about it."""

import numpy as np

from seg_assets.classes.table import ClassTable
from seg_assets.modeling.seem.class_table import clean_name, prompt_templates
from seg_assets.training.seem.batch import SeemItem
from seg_assets.training.seem.params import SeemTaskParams
from seg_assets.training.seem.samples import SegmentationSample
from seg_assets.training.seem.strokes import draw_prompt
from seg_assets.training.seem.transforms import augment

SEEDS = 1 << 20  # sums of seeds over a step stay exact in a float


def make_item(
    sample: SegmentationSample, table: ClassTable, params: SeemTaskParams, rng: np.random.Generator
) -> SeemItem:
    """Augment a sample, draw prompts on its segments and choose texts.

    Args:
        sample: as the source gave it.
        table: its classes.
        params: of the training.
        rng: the only source of chance.
    """
    seen = augment(sample, params.image_size, params.augmentation, rng).without_small()
    seed = int(rng.integers(SEEDS))
    prompted = np.zeros(0, np.int64)
    if params.spatial and len(seen.masks):
        number = min(params.candidates, len(seen.masks))
        prompted = rng.choice(len(seen.masks), number, replace=False).astype(np.int64)
    shapes = params.prompt_shapes
    drawn = [draw_prompt(seen.masks[i], shapes[rng.integers(len(shapes))], rng) for i in prompted]
    texts, meant = choose_texts(seen, table, params.texts_per_image, rng)
    if not params.grounding:
        texts, meant = (), meant[:0]
    return SeemItem(
        image=seen.image,
        masks=seen.masks,
        class_ids=seen.class_ids,
        prompts=np.array(drawn, bool).reshape(-1, *seen.image.shape[:2]),
        prompted=prompted,
        texts=texts,
        text_masks=meant,
        free_text=bool(len(seen.sentences)),
        seed=seed,
    )


def choose_texts(
    sample: SegmentationSample, table: ClassTable, most: int, rng: np.random.Generator
) -> tuple[tuple[str, ...], np.ndarray]:
    """Texts that mean something in the image.

    Sentences where there are any: of up to `most` parts, one each, in small letters. Otherwise the
    names of up to `most` classes in a random sentence; each of their segments is a text of its own,
    so that one text may mean several segments.

    Returns:
        T texts, and what they mean (T, H, W) bool.
    """
    number = int(rng.integers(1, most, endpoint=True))
    if sample.sentences:
        parts = rng.permutation(len(sample.sentences))[:number]
        chosen = [sample.sentences[i][rng.integers(len(sample.sentences[i]))] for i in parts]
        return tuple(text.lower() for text in chosen), sample.referred[parts]
    classes = rng.permutation(np.unique(sample.class_ids))[:number]
    texts: list[str] = []
    segments: list[int] = []
    for class_id in classes:
        template = prompt_templates()[rng.integers(len(prompt_templates()))]
        members = (sample.class_ids == class_id).nonzero()[0].tolist()
        texts += [template.replace("{}", clean_name(table.names[class_id]))] * len(members)
        segments += members
    return tuple(texts), sample.masks[np.array(segments, np.int64)]
