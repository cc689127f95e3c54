"""Models of transformers as segmentors, against transformers' own way from picture to label map."""

import shutil
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("transformers", minversion="5.0")

import seg_assets.modeling.torchvision_cpu  # noqa: F401

# isort: split
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

from seg_assets.errors import CheckpointError, InputError
from seg_assets.labels.segmentors.hugging_face.load import load_hugging_face_segmentor
from seg_assets.labels.segmentors.load import load_segmentor, segmentor_classes, segmentor_identity
from seg_assets.labels.ssa_params import SsaParams
from seg_assets_tests.labels.segmentors.hugging_face.conftest import COMMIT, REPOSITORY
from seg_assets_tests.labels.segmentors.hugging_face.tiny_models import MODELS, SIDE, save_model

# transformers warns of a backbone that its own default for MaskFormer is built of
pytestmark = pytest.mark.filterwarnings("ignore:Backbone")

HEIGHT, WIDTH = 70, 110
CUTS_THE_CENTRE = "mobilenet_v2"


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """Folders of the models, each written at its first use."""
    root, written = tmp_path_factory.mktemp("models"), {}

    def folder(name: str) -> Path:
        if name not in written:
            written[name] = save_model(name, root / name)
        return written[name]

    return folder


@pytest.fixture(scope="module")
def image() -> np.ndarray:
    """Noise over a gradient: its channels differ, so that their order matters."""
    noise = np.random.default_rng(0).integers(0, 120, (HEIGHT, WIDTH, 3))
    ramp = np.linspace(0, 130, WIDTH)[None, :, None] * [1.0, 0.5, 0.1]
    return (noise + ramp).astype(np.uint8)


def transformers_map(folder: Path, image: np.ndarray) -> np.ndarray:
    """The label map as transformers' documentation makes it."""
    import transformers as hf

    config = hf.AutoConfig.from_pretrained(folder)
    if "former" in config.model_type and config.model_type != "segformer":
        network = hf.AutoModelForUniversalSegmentation.from_pretrained(folder)
    else:
        network = hf.AutoModelForSemanticSegmentation.from_pretrained(folder)
    processor = hf.AutoImageProcessor.from_pretrained(folder)
    tasks = {}
    if config.model_type == "oneformer":
        tokenizer = hf.AutoTokenizer.from_pretrained(folder)
        processor = hf.OneFormerProcessor(processor, tokenizer, task_seq_length=config.task_seq_len)
        tasks = {"task_inputs": ["semantic"]}
    inputs = processor(images=Image.fromarray(image), return_tensors="pt", **tasks)
    with torch.inference_mode():
        output = network.eval()(**inputs)
    processor = getattr(processor, "image_processor", processor)
    (found,) = processor.post_process_semantic_segmentation(output, target_sizes=[image.shape[:2]])
    return found.numpy()


@pytest.mark.parametrize("name", sorted(set(MODELS) - {CUTS_THE_CENTRE}))
def test_label_maps_are_those_of_transformers_itself(saved, image, name):
    folder = saved(name)
    segmentor = load_hugging_face_segmentor(str(folder), keep_aspect=False)
    found = segmentor.segment("a", image)
    expected = transformers_map(folder, image)
    assert len(np.unique(expected)) > 1
    np.testing.assert_array_equal(found.label_map, expected)
    assert found.label_map.dtype == np.uint8


@pytest.mark.parametrize("name", sorted(MODELS))
def test_logits_scaled_to_the_image_give_the_label_map(saved, image, name):
    found = load_hugging_face_segmentor(str(saved(name))).segment("a", image)
    assert found.logits is not None
    assert found.logits.dtype == np.float32
    scaled = torch.nn.functional.interpolate(
        torch.from_numpy(found.logits)[None], (HEIGHT, WIDTH), mode="bilinear"
    )
    np.testing.assert_array_equal(found.label_map, scaled[0].argmax(0).numpy())


@pytest.mark.parametrize("name", ["segformer", "upernet"])
def test_a_fixed_size_gives_way_to_the_aspect_ratio_of_the_image(saved, image, name):
    def shape(keep_aspect):
        segmentor = load_hugging_face_segmentor(str(saved(name)), keep_aspect=keep_aspect)
        rows, columns = segmentor.segment("a", image).logits.shape[1:]
        return columns / rows

    assert shape(False) == 1.0
    assert shape(True) == 1.5  # 70 x 110 at a short side of 64 is 64 x 96 in multiples of 32


def test_a_processor_that_keeps_the_aspect_ratio_is_left_alone(saved, image):
    maps = [
        load_hugging_face_segmentor(str(saved("maskformer")), keep_aspect=keep).segment("a", image)
        for keep in (True, False)
    ]
    np.testing.assert_array_equal(maps[0].logits, maps[1].logits)


def test_a_processor_that_cuts_the_centre_out_sees_the_whole_image(saved, image):
    segmentor = load_hugging_face_segmentor(str(saved(CUTS_THE_CENTRE)))
    before = segmentor.segment("a", image).logits
    other = image.copy()
    other[:, :10] = 255 - other[:, :10]  # these columns would be cut off
    assert not np.array_equal(segmentor.segment("a", other).logits, before)


def test_align_corners_is_upstreams_way_of_scaling(saved, image):
    folder = str(saved("segformer"))
    ours = load_hugging_face_segmentor(folder, align_corners=True).segment("a", image)
    plain = load_hugging_face_segmentor(folder).segment("a", image)
    np.testing.assert_array_equal(ours.logits, plain.logits)
    scaled = torch.nn.functional.interpolate(
        torch.from_numpy(ours.logits)[None], (HEIGHT, WIDTH), mode="bilinear", align_corners=True
    )
    np.testing.assert_array_equal(ours.label_map, scaled[0].argmax(0).numpy())
    assert (ours.label_map != plain.label_map).any()


def test_colours_are_read_as_rgb(saved, image):
    segmentor = load_hugging_face_segmentor(str(saved("segformer")))
    there, back = (segmentor.segment("a", i).logits for i in (image, image[..., ::-1].copy()))
    assert np.abs(there - back).max() > 1e-3


def test_a_tiny_image_is_no_guess_at_which_axis_is_colour(saved):
    segmentor = load_hugging_face_segmentor(str(saved("segformer")))
    assert segmentor.segment("a", np.zeros((3, 3, 3), np.uint8)).label_map.shape == (3, 3)


@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
def test_half_precision_changes_scores_a_little(saved, image, precision):
    folder = str(saved("segformer"))
    full = load_hugging_face_segmentor(folder).segment("a", image).logits
    half = load_hugging_face_segmentor(folder, precision=precision).segment("a", image).logits
    assert half.dtype == np.float32
    assert 0 < np.abs(half - full).max() < 0.05 * np.abs(full).max() + 0.05


def test_an_array_that_is_no_image_is_refused(saved):
    segmentor = load_hugging_face_segmentor(str(saved("segformer")))
    with pytest.raises(InputError, match="RGB"):
        segmentor.segment("a", np.zeros((4, 4), np.uint8))


def test_classes_and_identity_need_no_weights(saved, tmp_path):
    folder = shutil.copytree(saved("segformer"), tmp_path / "seg former")
    spec = f"hf:{folder}"
    before = segmentor_identity(spec)
    table = segmentor_classes(spec, SsaParams())
    assert table == load_segmentor(spec, SsaParams()).classes
    assert (table.name, table.names) == ("seg_former", ("road", "sky", "car"))
    (folder / "README.md").write_text("words")
    assert segmentor_identity(spec) == before
    with (folder / "model.safetensors").open("ab") as file:
        file.write(b"\0")
    assert segmentor_identity(spec) != before
    (folder / "model.safetensors").unlink()
    assert segmentor_classes(spec, SsaParams()) == table


def test_a_repository_of_the_hub_is_that_of_its_folder(saved, image, cached_snapshot):
    folder = shutil.copytree(saved("segformer"), cached_snapshot, dirs_exist_ok=True)
    spec = f"hf:{REPOSITORY}"
    found = load_segmentor(spec, SsaParams())
    expected = load_segmentor(f"hf:{folder}", SsaParams()).segment("a", image)
    np.testing.assert_array_equal(found.segment("a", image).logits, expected.logits)
    assert found.classes.name == "model"
    assert segmentor_identity(spec) == f"{REPOSITORY}@{COMMIT}"


def test_a_backbone_without_its_head_is_refused(saved, tmp_path):
    folder = shutil.copytree(saved("segformer"), tmp_path / "backbone")
    weights = load_file(folder / "model.safetensors")
    kept = {key: value for key, value in weights.items() if "decode_head" not in key}
    save_file(kept, folder / "model.safetensors", {"format": "pt"})
    with pytest.raises(CheckpointError, match=r"lack \d+ keys .* decode_head\S+ first"):
        load_hugging_face_segmentor(str(folder))


def test_weights_of_another_shape_are_refused(saved, tmp_path):
    folder = shutil.copytree(saved("segformer"), tmp_path / "other")
    weights = load_file(folder / "model.safetensors")
    weights["decode_head.classifier.weight"] = torch.zeros(5, 16, 1, 1)
    save_file(weights, folder / "model.safetensors", {"format": "pt"})
    with pytest.raises(CheckpointError, match="do not fit their configuration"):
        load_hugging_face_segmentor(str(folder))


def test_a_damaged_file_of_weights_is_refused(saved, tmp_path):
    folder = shutil.copytree(saved("segformer"), tmp_path / "damaged")
    (folder / "model.safetensors").write_bytes(b"\x10\0\0\0\0\0\0\0no weights")
    with pytest.raises(CheckpointError, match="damaged"):
        load_hugging_face_segmentor(str(folder))


def test_a_model_for_something_else_is_refused(tmp_path):
    import transformers as hf

    hf.ViTConfig().save_pretrained(tmp_path)
    with pytest.raises(InputError, match="is a vit model, which gives no semantic map"):
        load_hugging_face_segmentor(str(tmp_path))


def test_a_device_that_is_not_there_is_named(saved):
    with pytest.raises(InputError, match="device 'cuda:99'"):
        load_hugging_face_segmentor(str(saved("segformer")), "cuda:99")


def test_the_longer_side_follows_the_image(saved):
    segmentor = load_hugging_face_segmentor(str(saved("segformer")))
    shape = segmentor.segment("a", np.zeros((60, 240, 3), np.uint8)).logits.shape
    assert shape == (3, SIDE // 4, SIDE)
