import numpy as np
import pytest
import torch
from PIL import Image
from torch.nn import functional as F

from seg_assets.classes.table import ClassTable, SemanticClass
from seg_assets.errors import InputError
from seg_assets.labels import seem_labeler
from seg_assets.labels.fusion import paint_labels
from seg_assets.labels.logit_factors import LogitFactors
from seg_assets.labels.params import LabelParams
from seg_assets.labels.prompts import RegionPrompt
from seg_assets.labels.seem_labeler import SeemLabeler, load_seem_labeler, resize_image
from seg_assets.masks.region_map import RegionMap
from seg_assets.modeling.seem.config import DEMO
from seg_assets.modeling.seem.model import Seem
from seg_assets_tests.modeling.seem.golden import Golden, load_small

HEIGHT, WIDTH = 90, 120


@pytest.fixture(scope="module")
def model() -> Seem:
    """The demo architecture with random weights: every region gets its own answer."""
    with torch.random.fork_rng():
        torch.manual_seed(3)
        model = Seem(DEMO)
        for name, weight in model.named_parameters():
            if "query_feat" in name or "query_embed" in name:
                torch.nn.init.normal_(weight)
    return model.eval().requires_grad_(False)


@pytest.fixture(scope="module")
def text_table() -> torch.Tensor:
    generator = torch.Generator().manual_seed(4)
    return F.normalize(torch.randn(134, DEMO.hidden, generator=generator), dim=-1)


@pytest.fixture(scope="module")
def image() -> np.ndarray:
    rows, columns = np.mgrid[:HEIGHT, :WIDTH]
    noise = np.random.default_rng(0).integers(0, 60, (HEIGHT, WIDTH, 3))
    waves = np.stack([np.sin(rows / 9), np.cos(columns / 7), np.sin((rows + columns) / 11)], -1)
    return (waves * 90 + 100 + noise).clip(0, 255).astype(np.uint8)


@pytest.fixture(scope="module")
def region_map() -> RegionMap:
    """Regions from one pixel to a quarter of the image; ids 3 and 7 have vanished."""
    ids = np.zeros((HEIGHT, WIDTH), np.int32)
    ids[:45, :60] = 1
    ids[50:53, 10:90] = 2
    ids[60, 60] = 4
    ids[70:, 100:] = 5
    ids[60:64, 5:9] = 6
    ids[75:90, 20:50] = 8
    ids[10:30, 80:110] = 9
    return RegionMap(ids, np.arange(9))


def close(found, expected) -> None:
    """Equal labels; probabilities but for the rounding of differently grouped float32 sums."""
    assert len(found) == len(expected)
    for one, other in zip(found, expected, strict=True):
        for name in ("region_id", "mask_id", "area", "source_id", "class_id", "fallback"):
            assert getattr(one, name) == getattr(other, name)
        assert one.vote_share == other.vote_share
        assert one.score == pytest.approx(other.score, rel=1e-4)


def test_reading_an_image_gives_maps_of_its_size(model, text_table, image):
    seem_image = SeemLabeler(model, text_table).read(image)
    assert seem_image.source_map.shape == (HEIGHT, WIDTH)
    assert seem_image.source_map.max() < 133
    np.testing.assert_array_equal(
        seem_image.label_map,
        SeemLabeler(model, text_table).class_map.lut[seem_image.source_map],
    )


def test_the_map_can_be_rebuilt_from_the_stored_row(model, text_table, image):
    seem_image = SeemLabeler(model, text_table).read(image)
    restored = LogitFactors.from_row(seem_image.factors.to_row("a"))
    np.testing.assert_array_equal(restored.argmax(), seem_image.source_map)


def test_the_same_input_gives_the_same_result(model, text_table, image, region_map):
    for params in (LabelParams(), LabelParams(points="random", seed=7)):
        results = []
        for _ in range(2):
            labeler = SeemLabeler(model, text_table, params)
            seem_image = labeler.read(image)
            labels = labeler.label_regions(seem_image, region_map)
            results.append((seem_image.factors.to_row("a"), labels))
        assert results[0] == results[1]


@pytest.mark.parametrize(
    "params",
    [
        LabelParams(),
        LabelParams(points="random", seed=3),
        LabelParams(max_side=60),
        LabelParams(short_side=128),
    ],
    ids=["native", "random points", "half size", "enlarged"],
)
def test_regions_together_equal_one_at_a_time(model, text_table, image, region_map, params):
    labeler = SeemLabeler(model, text_table, params)
    seem_image = labeler.read(image)
    assert seem_image.source_map.shape == (HEIGHT, WIDTH)
    together = labeler.label_regions(seem_image, region_map)
    assert [label.region_id for label in together] == [1, 2, 4, 5, 6, 8, 9]
    assert len({label.score for label in together}) == len(together)
    alone = []
    for label in together:
        only = RegionMap(
            np.where(region_map.ids == label.region_id, region_map.ids, 0), region_map.mask_ids
        )
        alone += labeler.label_regions(seem_image, only)
    close(together, alone)
    for size in (1, 2, 3):
        smaller = params.model_copy(update={"prompts_per_batch": size})
        close(
            SeemLabeler(model, text_table, smaller).label_regions(seem_image, region_map), together
        )


def test_more_regions_than_are_asked_at_once_all_get_answers(
    model, text_table, image, region_map, monkeypatch
):
    labeler = SeemLabeler(model, text_table)
    seem_image = labeler.read(image)
    together = labeler.label_regions(seem_image, region_map)
    monkeypatch.setattr(seem_labeler, "REGIONS_AT_ONCE", 3)
    close(labeler.label_regions(seem_image, region_map), together)


def test_ties_of_a_region_are_decided_by_the_scores_inside_it(
    model, text_table, image, region_map, monkeypatch
):
    labeler, asked = SeemLabeler(model, text_table), []
    seem_image = labeler.read(image)
    monkeypatch.setattr(seem_labeler, "fuse_answers", lambda *given: asked.append(given[-1]))
    labeler.label_regions(seem_image, region_map)
    expected = seem_image.factors.region_scores(region_map.ids == 9)
    np.testing.assert_array_equal(asked[0](9), expected)


def test_labels_paint_a_map_of_the_image(model, text_table, image, region_map):
    labeler = SeemLabeler(model, text_table)
    seem_image = labeler.read(image)
    labels = labeler.label_regions(seem_image, region_map)
    painted = paint_labels(region_map, labels, seem_image.label_map)
    assert painted.shape == (HEIGHT, WIDTH)
    uncovered = region_map.ids == 0
    np.testing.assert_array_equal(painted[uncovered], seem_image.label_map[uncovered])


def test_an_image_without_regions_keeps_seems_map(model, text_table, image):
    labeler = SeemLabeler(model, text_table)
    seem_image = labeler.read(image)
    nothing = RegionMap(np.zeros((HEIGHT, WIDTH), np.int32), np.zeros(0, np.int64))
    labels = labeler.label_regions(seem_image, nothing)
    assert labels == []
    painted = paint_labels(nothing, labels, seem_image.label_map)
    np.testing.assert_array_equal(painted, seem_image.label_map)


@pytest.mark.parametrize(("height", "width"), [(1, 1), (1, 70), (33, 31), (64, 32)])
def test_images_of_any_size_are_read(model, text_table, height, width):
    labeler = SeemLabeler(model, text_table)
    seem_image = labeler.read(np.full((height, width, 3), 128, np.uint8))
    whole = RegionMap(np.ones((height, width), np.int32), np.zeros(1, np.int64))
    (label,) = labeler.label_regions(seem_image, whole)
    assert seem_image.label_map.shape == (height, width)
    assert label.area == height * width


def test_prompts_ask_what_read_masks_asks(model, text_table, image, region_map):
    """Points straight from a region's box equal those that the model reads off a full-size mask."""
    labeler = SeemLabeler(model, text_table)
    features = labeler.read(image).features
    masks = np.stack([region_map.ids == region_id for region_id in (1, 2, 9)])
    prompts = [RegionPrompt(i, *np.nonzero(mask)) for i, mask in enumerate(masks)]
    points = labeler.prompt_points(features, prompts)
    with torch.inference_mode():
        own = model.predictor.region_prompt(features, points)
        expected = model.read_masks(features, torch.from_numpy(masks))
    assert torch.equal(own.query, expected.query)
    for ours, theirs in zip(own.tokens + own.valid, expected.tokens + expected.valid, strict=True):
        assert torch.equal(ours, theirs)


def test_grouped_scoring_sums_before_it_chooses(model, text_table, image, region_map):
    """The pixel map is the best of the 28 sums, the region's answer too; both rebuilt in NumPy."""
    params = LabelParams(scoring="group", top_k=134, score_tolerance=0)
    labeler = SeemLabeler(model, text_table, params)
    seem_image = labeler.read(image)
    single = SeemLabeler(model, text_table, LabelParams(score_tolerance=0)).read(image)
    np.testing.assert_array_equal(seem_image.source_map, single.source_map)
    lut = labeler.class_map.lut
    scores, sums = seem_image.factors.scores().astype(np.float64), np.zeros((28, HEIGHT, WIDTH))
    for source in range(133):
        sums[lut[source]] += scores[source]
    first, second = np.sort(sums, axis=0)[[-1, -2]]
    certain = first - second > 1e-5
    assert certain.mean() > 0.9
    np.testing.assert_array_equal(seem_image.label_map[certain], sums.argmax(axis=0)[certain])
    for label in labeler.label_regions(seem_image, region_map):
        groups = np.zeros(29)
        for proposal in label.proposals:
            groups[28 if proposal.source_id == 133 else lut[proposal.source_id]] += proposal.score
        best = int(groups.argmax())
        assert label.fallback == (best == 28)
        if not label.fallback:
            assert label.class_id == best
            members = [p for p in label.proposals if lut[p.source_id] == best]
            assert label.source_id == members[0].source_id
        assert label.score == pytest.approx(groups[best])
        assert label.margin == pytest.approx(groups[best] - np.sort(groups)[-2])


def test_half_precision_changes_scores_a_little(model, text_table, image, region_map):
    """bfloat16 keeps 8 bits; on random weights scores of up to 1 move by some hundredths."""
    exact, half = (
        SeemLabeler(model, text_table, LabelParams(precision=precision, score_tolerance=0))
        for precision in ("float32", "bfloat16")
    )
    one, other = exact.read(image), half.read(image)
    difference = np.abs(one.factors.scores() - other.factors.scores()).max()
    assert 0 < difference < 0.1 * one.factors.scores().max()
    first, second = exact.label_regions(one, region_map), half.label_regions(other, region_map)
    assert [label.region_id for label in first] == [label.region_id for label in second]
    for label, rough in zip(first, second, strict=True):
        assert label.score == pytest.approx(rough.score, abs=0.1)
    assert one.features.mask_features.dtype == torch.float32


def test_pavement_can_become_sidewalk(model, text_table):
    labeler = SeemLabeler(model, text_table, LabelParams(pavement_to_sidewalk=True))
    pavement = labeler.class_map.source.id_of("pavement-merged")
    assert labeler.class_map.target.name_of(labeler.class_map.lut[pavement]) == "sidewalk"


@pytest.mark.parametrize(
    "wrong", [np.zeros((4, 4), np.uint8), np.zeros((4, 4, 3)), np.zeros((0, 4, 3), np.uint8)]
)
def test_what_is_not_an_rgb_image_is_refused(model, text_table, wrong):
    with pytest.raises(InputError, match="RGB"):
        SeemLabeler(model, text_table).read(wrong)


def test_regions_of_another_image_are_refused(model, text_table, image):
    labeler = SeemLabeler(model, text_table)
    other = RegionMap(np.ones((WIDTH, HEIGHT), np.int32), np.zeros(1, np.int64))
    with pytest.raises(InputError, match="this image"):
        labeler.label_regions(labeler.read(image), other)


def test_regions_without_a_mask_are_refused(model, text_table, image, region_map):
    """Tables of votes are as long as the largest id: one wild id would take all memory."""
    labeler = SeemLabeler(model, text_table)
    ids = region_map.ids.copy()
    ids[0, 0] = 2**31 - 1
    with pytest.raises(InputError, match="region 2147483647 but names the masks of 9 regions"):
        labeler.label_regions(labeler.read(image), RegionMap(ids, region_map.mask_ids))


def test_a_labeler_takes_the_classes_of_its_models_entry(monkeypatch, tmp_path):
    monkeypatch.setenv("SEG_MODELS_DIR", str(tmp_path))
    (tmp_path / "manifest.toml").write_text(
        """
        [street]
        title = "tuned"
        kind = "seem"
        config = "demo"
        seed = 0
        classes = "camvid11"
        licence = "Apache-2.0"
        input_size = 256
        input_side = "short"
        mean = [123.675, 116.28, 103.53]
        std = [58.395, 57.12, 57.375]
        """
    )
    labeler = load_seem_labeler("street")
    assert labeler.text_table.shape == (12, DEMO.hidden)
    assert labeler.class_map.source.name == "camvid11"
    assert labeler.class_map.target.name == "base28"
    params = LabelParams(semantic_classes="source")
    assert load_seem_labeler("street", params).class_map.target.name == "camvid11"


def test_a_labeler_is_loaded_by_the_models_name(monkeypatch, text_table):
    monkeypatch.setattr(seem_labeler, "load_text_table", lambda loaded: text_table)
    with pytest.raises(InputError, match="no_such_model"):
        load_seem_labeler("no_such_model")
    labeler = load_seem_labeler("seem_demo", LabelParams(max_side=64))
    assert labeler.params.max_side == 64
    assert labeler.model.config == DEMO


def test_resizing_to_the_same_size_changes_nothing(image):
    assert resize_image(image, (HEIGHT, WIDTH)) is image


def test_resizing_is_bicubic_as_in_seems_demo(image):
    expected = Image.fromarray(image).resize((60, 45), Image.Resampling.BICUBIC)
    np.testing.assert_array_equal(resize_image(image, (45, 60)), np.asarray(expected))


def own_table(count: int, name: str = "own") -> ClassTable:
    """A table of your own, which no class map knows."""
    classes = tuple(SemanticClass(i, f"class {i}", (i, 0, 0)) for i in range(count))
    return ClassTable(name, "classes without a map", classes)


def test_the_models_own_classes_decide_ids_maps_and_widths(model, image, region_map):
    """Three classes that no map leads from: the semantic maps are in these three."""
    generator = torch.Generator().manual_seed(4)
    texts = F.normalize(torch.randn(4, DEMO.hidden, generator=generator), dim=-1)
    params = LabelParams(top_k=100)
    labeler = SeemLabeler(model, texts, params, classes=own_table(3))
    seem_image = labeler.read(image)
    assert seem_image.factors.class_logits.shape[1] == 4
    assert seem_image.source_map.max() < 3
    np.testing.assert_array_equal(seem_image.label_map, seem_image.source_map)
    labels = labeler.label_regions(seem_image, region_map)
    for label in labels:
        assert sorted(p.source_id for p in label.proposals) == [0, 1, 2, 3]
        assert label.fallback == (label.source_id == 3)
        assert label.class_id < 3


def test_texts_of_another_table_are_refused(model, text_table):
    with pytest.raises(InputError, match="'camvid11' has 11 classes but 134 texts were given"):
        SeemLabeler(model, text_table, classes="camvid11")


@pytest.fixture(scope="module")
def golden(shared_dir) -> Golden:
    return load_small(shared_dir / "golden/seem/golden_small")


def test_the_class_of_a_stroke_is_upstreams(golden):
    """Reference: golden_small, whose small stroke has fewer points than the model takes."""
    labeler = SeemLabeler(golden.model, golden.table, classes=own_table(7))
    with torch.inference_mode():
        features = golden.model.encode_image(golden.tensors["in/image"])
    rows, columns = np.nonzero(golden.tensors["in/stroke_small"].numpy())
    answer = labeler.ask(features, [RegionPrompt(5, rows, columns)])[5]
    query = int(golden.tensors["stroke_small/matched_query"])
    logits = golden.tensors["stroke_small/pred_logits"][0, query]
    assert answer.proposals[0].source_id == int(golden.tensors["stroke_small/pred_class"])
    expected = logits.softmax(-1).sort(descending=True)
    assert [proposal.source_id for proposal in answer.proposals] == expected.indices[:3].tolist()
    scores = [proposal.score for proposal in answer.proposals]
    np.testing.assert_allclose(scores, expected.values[:3].numpy(), atol=1e-5)


def test_reading_an_image_gives_upstreams_scores(golden):
    """Reference: golden_small; tolerance: the factors are stored as float16."""
    params = LabelParams(score_tolerance=0)
    labeler = SeemLabeler(golden.model, golden.table, params, classes=own_table(7))
    seem_image = labeler.read(golden.tensors["in/image"].permute(1, 2, 0).numpy())
    expected = golden.tensors["eval/sem_seg"].numpy()
    np.testing.assert_allclose(seem_image.factors.scores(), expected, atol=2e-3)
