"""The mask models of transformers, each against its own network asked without our frames."""

import numpy as np
import pytest
import torch

import seg_assets.modeling.torchvision_cpu  # noqa: F401

pytest.importorskip("transformers", minversion="5.0")

from torch.nn import functional

from seg_assets.modeling.mask_models.frame import MaskFrame
from seg_assets.modeling.mask_models.hugging_face.load import TRANSFORMERS_CONFIGS
from seg_assets.modeling.mask_models.protocol import MaskModel

TINY = ("sam_hq_tiny", "sam2_tiny", "sam3_tracker_tiny")
OBJECTS = 3


@pytest.fixture(scope="module", params=TINY)
def model(request):
    return seeded(request.param)


@pytest.fixture(scope="module")
def photo():
    """A wide image of large coloured squares, (60, 90, 3) uint8."""
    cells = np.random.default_rng(0).integers(0, 256, (6, 9, 3), dtype=np.uint8)
    return np.kron(cells, np.ones((10, 10, 1), np.uint8))


def seeded(config):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = TRANSFORMERS_CONFIGS[config].from_config(config)
    # Zero in a fresh network, so a wrong place would not be seen.
    for name, parameter in model.named_parameters():
        if name.endswith("no_memory_embedding"):
            torch.nn.init.normal_(parameter, generator=torch.Generator().manual_seed(1))
    return model.requires_grad_(False)


def prompts_of(model, kind):
    """Prompts of three objects in the model's input."""
    generator = torch.Generator().manual_seed(3)
    corners = torch.rand(OBJECTS, 2, 2, generator=generator).sort(1).values * model.square
    prompts = {
        "points": torch.rand(OBJECTS, 2, 2, generator=generator) * model.square,
        "labels": torch.tensor([[1, 0], [1, 1], [0, 1]], dtype=torch.int32),
        "boxes": corners.flatten(1),
        "mask_logits": torch.randn(OBJECTS, *model.logits_size, generator=generator),
    }
    wanted = {"points": ("points", "labels"), "box": ("boxes",), "mask": ("mask_logits",)}
    names = [name for part in kind.split("+") for name in wanted[part]]
    return {name: prompts[name] for name in names}


# --- decoding ------------------------------------------------------------------------------------


KINDS = ["points", "box", "mask", "points+box", "points+mask", "box+mask", "points+box+mask"]
NAMES = {"points": "input_points", "labels": "input_labels", "boxes": "input_boxes"}


@pytest.mark.parametrize("multimask", [True, False], ids=["candidates", "single"])
@pytest.mark.parametrize("kind", KINDS)
def test_masks_are_those_of_the_network_asked_directly(model, photo, kind, multimask):
    prompts = prompts_of(model, kind)
    (embedding,) = model.embed([photo])
    logits, ious = model.decode(embedding, **prompts, multimask=multimask)

    candidates = model.candidates if multimask else 1
    assert logits.shape == (OBJECTS, candidates, *model.logits_size)
    assert ious.shape == (OBJECTS, candidates)
    assert logits.dtype == ious.dtype == torch.float32
    images = OBJECTS if "mask" in kind else 1  # a mask prompt belongs to an image, not to an object
    asked = {
        NAMES[key]: value.view(images, OBJECTS // images, *value.shape[1:])
        for key, value in prompts.items()
        if key in NAMES
    }
    if "mask" in kind:
        asked["input_masks"] = prompts["mask_logits"][:, None]
    with torch.no_grad():
        expected = model.network(
            pixel_values=model.prepare(photo)[0].expand(images, -1, -1, -1),
            **asked,
            multimask_output=multimask,
        )
    expected_logits = expected.pred_masks.view(logits.shape)
    torch.testing.assert_close(logits, expected_logits, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(ious, expected.iou_scores.view(ious.shape), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_objects_decoded_together_are_as_those_decoded_alone(model, photo, kind):
    prompts = prompts_of(model, kind)
    (embedding,) = model.embed([photo])
    logits, ious = model.decode(embedding, **prompts, multimask=True)
    for i in range(OBJECTS):
        alone = {key: value[i : i + 1] for key, value in prompts.items()}
        own_logits, own_ious = model.decode(embedding, **alone, multimask=True)
        # Logits reach 10, and another order of sums changes their last digits.
        torch.testing.assert_close(logits[i], own_logits[0], atol=1e-4, rtol=1e-4)
        torch.testing.assert_close(ious[i], own_ious[0], atol=1e-4, rtol=1e-4)


def test_prompts_matter(model, photo):
    (embedding,) = model.embed([photo])
    logits, _ = model.decode(embedding, **prompts_of(model, "points"), multimask=True)
    assert not torch.allclose(logits[0], logits[1], atol=1e-2)
    assert not torch.allclose(logits[:, 0], logits[:, 1], atol=1e-2)


def test_images_embedded_together_are_as_those_embedded_alone(model, photo):
    images = [photo, photo[:30], photo[:, :20]]
    together = model.embed(images)
    for image, embedding in zip(images, together, strict=True):
        (alone,) = model.embed([image])
        assert embedding.frame == alone.frame
        for part, expected in zip(embedding.features, alone.features, strict=True):
            torch.testing.assert_close(part, expected, atol=1e-5, rtol=1e-5)


def test_no_images_make_no_embeddings(model):
    assert model.embed([]) == []


def test_under_autocast_prompts_are_still_decoded_in_float32(model, photo):
    prompts = prompts_of(model, "points")
    (embedding,) = model.embed([photo])
    expected, _ = model.decode(embedding, **prompts, multimask=True)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        (rough,) = model.embed([photo])
        logits, _ = model.decode(embedding, **prompts, multimask=True)
    torch.testing.assert_close(logits, expected)
    assert {part.dtype for part in rough.features} == {torch.float32}


def test_each_is_a_mask_model(model):
    protocol: MaskModel = model
    assert protocol.mask_threshold == 0
    assert protocol.candidates == 3
    assert protocol.device == torch.device("cpu")


def test_sam3_adds_what_means_no_memory_to_the_map_that_the_decoder_reads(photo):
    # As in Meta's image predictor; on the neck's fourth map it would be lost.
    tracker = seeded("sam3_tracker_tiny")
    (with_it,) = tracker.embed([photo])
    added = tracker.network.no_memory_embedding.clone()
    tracker.network.no_memory_embedding.zero_()
    (without,) = tracker.embed([photo])
    assert added.abs().max() > 0.1
    difference = with_it.features[-1] - without.features[-1]
    torch.testing.assert_close(difference, added.view(1, -1, 1, 1).expand_as(difference))


# --- single points -------------------------------------------------------------------------------


@pytest.mark.parametrize("points_per_batch", [1, 3, 7, 100, None])
def test_points_give_the_wanted_candidates_in_order(model, photo, points_per_batch):
    (embedding,) = model.embed([photo])
    points = torch.rand(7, 2, generator=torch.Generator().manual_seed(5)) * model.square
    labels = torch.ones(7, 1, dtype=torch.int32)
    logits, ious = model.decode(embedding, points=points[:, None], labels=labels, multimask=True)
    ranked = ious.flatten().sort().values
    threshold = ranked[9:11].mean()  # between two scores, where last digits do not matter
    wanted = ious > threshold

    found = list(model.decode_points(embedding, points, lambda s: s > threshold, points_per_batch))
    close = {"atol": 1e-4, "rtol": 1e-4}
    torch.testing.assert_close(torch.cat([f.logits for f in found]), logits[wanted], **close)
    torch.testing.assert_close(torch.cat([f.predicted_ious for f in found]), ious[wanted], **close)
    assert torch.cat([f.points for f in found]).tolist() == wanted.nonzero()[:, 0].tolist()
    assert all(f.points.dtype == torch.int64 for f in found)


def test_points_without_a_wanted_mask_give_nothing(model, photo):
    (embedding,) = model.embed([photo])
    points = torch.rand(5, 2) * model.square
    assert list(model.decode_points(embedding, points, lambda s: s > 1e9)) == []
    assert list(model.decode_points(embedding, points[:0], lambda s: s > 0)) == []


# --- pixels and frames against transformers' processors -------------------------------------------


def processor_of(model):
    """transformers' own processor, for this network's size."""
    import transformers as hf

    def there(*names):  # newest name first
        return next(getattr(hf, name) for name in names if hasattr(hf, name))

    square = {"height": model.square, "width": model.square}
    kind = type(model.network).__name__
    if kind == "SamHQModel":
        pixels = there("SamImageProcessorPil", "SamImageProcessor")
        longest = {"longest_edge": model.square}
        return hf.SamHQProcessor(image_processor=pixels(size=longest, pad_size=square))
    if kind == "Sam2Model":
        pixels = there("Sam2ImageProcessor", "Sam2ImageProcessorFast")
        return hf.Sam2Processor(image_processor=pixels(size=square))
    pixels = there("Sam3ImageProcessor", "Sam3ImageProcessorFast")
    return hf.Sam3TrackerProcessor(image_processor=pixels(size=square))


@pytest.fixture
def published_scale(model):
    """Mean and deviation of the family's manifest entry."""
    if type(model.network).__name__ == "Sam3TrackerModel":
        model.scale_pixels((127.5,) * 3, (127.5,) * 3)
    return model


def noise(rows, columns):
    return np.random.default_rng(1).integers(0, 256, (rows, columns, 3), dtype=np.uint8)


SHAPES = [(60, 90), (200, 130), (128, 128), (37, 301)]


@pytest.mark.parametrize("shape", SHAPES)
def test_pixels_are_those_of_the_processor(published_scale, shape):
    model = published_scale
    pixels, _ = model.prepare(noise(*shape))
    expected = processor_of(model)(images=noise(*shape), return_tensors="pt")["pixel_values"][0]
    # The squeezing ones resize with torchvision, which rounds some bytes otherwise than Pillow.
    step = 1e-5 if model.keeps_aspect else float(1.01 / model.pixel_std.min())
    torch.testing.assert_close(pixels, expected.float(), atol=step, rtol=0)
    assert (pixels - expected).mean().abs() < step / 20


@pytest.mark.parametrize("shape", SHAPES)
def test_prompts_are_scaled_as_by_the_processor(model, shape):
    _, frame = model.prepare(noise(*shape))
    point, box = [11.5, 20.0], [1.0, 2.0, 30.5, 31.0]
    expected = processor_of(model)(
        images=noise(*shape), input_points=[[[point]]], input_boxes=[[box]], return_tensors="pt"
    )
    np.testing.assert_allclose(
        frame.to_input(np.array(point)), expected["input_points"][0, 0, 0], rtol=1e-6
    )
    corners = frame.to_input(np.array(box).reshape(2, 2))
    np.testing.assert_allclose(corners.reshape(4), expected["input_boxes"][0, 0], rtol=1e-6)


@pytest.mark.parametrize("shape", SHAPES)
def test_the_frame_says_how_masks_come_back(model, shape):
    image = noise(*shape)
    (embedding,) = model.embed([image])
    logits, _ = model.decode(embedding, **prompts_of(model, "points"), multimask=True)
    sizes = {"original_sizes": torch.tensor([shape])}
    if embedding.frame.through_square:
        sizes["reshaped_input_sizes"] = torch.tensor([embedding.frame.input_size])
        sizes["pad_size"] = {"height": model.square, "width": model.square}
    processor = processor_of(model)
    (expected,) = processor.post_process_masks([logits], binarize=False, **sizes)
    torch.testing.assert_close(enlarged(embedding.frame, logits), expected, atol=1e-5, rtol=1e-5)
    (masks,) = processor.post_process_masks([logits], **sizes)
    assert torch.equal(enlarged(embedding.frame, logits) > model.mask_threshold, masks)


def enlarged(frame: MaskFrame, logits):
    """Logits at the image's size, by the words of `MaskFrame`."""
    if frame.through_square:
        logits = functional.interpolate(logits, (frame.square, frame.square), mode="bilinear")
        logits = logits[..., : frame.input_size[0], : frame.input_size[1]]
    return functional.interpolate(logits, frame.image_size, mode="bilinear")
