"""Masks as on a GPU, several images at a time and side by side: the same as one by one on a CPU."""

import gc
import threading
import weakref
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from seg_assets.data.sources import find_shards
from seg_assets.masks import crop_search
from seg_assets.masks.crops import plan_crops
from seg_assets.masks.generator import MaskGenerator
from seg_assets.masks.params import MaskParams
from seg_assets.modeling.mask_models.load import load_mask_model
from seg_assets.stages.raw_images import record_raw_images
from seg_assets.stages.sam_masks import IMAGES_TOGETHER, generate_sam_masks
from seg_assets.storage.store import Store
from seg_assets_tests.stages.conftest import MANIFEST

SOON = 60  # seconds after which a test gives up waiting; none waits that long when all is well
SIZES = [(80 + 7 * i % 30, 60 + 11 * i) for i in range(11)]
PARAMS = MaskParams(
    points_per_side=3,
    points_per_batch=3,
    pred_iou_thresh=0.0,
    stability_score_thresh=0.2,
    stability_score_offset=0.1,
    box_nms_thresh=0.9,
    crop_n_layers=1,
    crop_nms_thresh=0.9,
    min_mask_region_area=9,
)


@pytest.fixture(autouse=True)
def _model_that_finds_many_masks(tmp_path, monkeypatch):
    folder = tmp_path / "models"
    folder.mkdir()
    (folder / "manifest.toml").write_text(MANIFEST.replace("seed = 0", "seed = 20"))
    monkeypatch.setenv("SEG_MODELS_DIR", str(folder))


class _Elsewhere(str):
    """The CPU, for tensors; for whoever asks for its type, another device."""

    type = "elsewhere"


class _ModelElsewhere:
    """A mask model that says it runs on another device than the CPU."""

    def __init__(self, model: Any) -> None:
        self._model = model
        self.device = _Elsewhere("cpu")
        self.batches: list[int] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._model, name)

    def embed(self, images: list[np.ndarray]) -> Any:
        self.batches.append(len(images))
        return self._model.embed(images)


def _generator(params: MaskParams = PARAMS) -> tuple[MaskGenerator, _ModelElsewhere]:
    model: Any = _ModelElsewhere(load_mask_model("sam_tiny").model)
    return MaskGenerator.from_params(model, params), model


def _images() -> list[np.ndarray]:
    """Eleven soft patterns, each of another size."""
    random = np.random.default_rng(0)
    images = []
    for height, width in SIZES:
        colours = Image.fromarray(random.integers(0, 256, (5, 7, 3), dtype=np.uint8))
        images.append(np.array(colours.resize((width, height), Image.Resampling.BICUBIC)))
    return images


# --- the generator -----------------------------------------------------------------------------


def test_masks_traced_in_other_threads_are_the_same_and_in_the_same_order():
    images = _images()[:5]
    ordinary = MaskGenerator.from_params(load_mask_model("sam_tiny").model, PARAMS)
    expected = [ordinary.find(image) for image in images]
    generator, model = _generator()
    for _ in range(3):
        found = [generator.select(findings) for findings in generator.search(images)]
        assert found == expected
    views = sum(len(plan_crops(*size, 1, PARAMS.crop_overlap_ratio)) for size in SIZES[:5])
    assert model.batches == 3 * ([4] * (views // 4) + [views % 4] * (views % 4 > 0))
    assert generator.find(images[3]) == expected[3]
    assert all(len(records) > 3 for records in expected)


def test_the_order_of_masks_does_not_depend_on_which_is_traced_first(monkeypatch):
    """The first batch's masks are traced last."""
    generator, _ = _generator(PARAMS.model_copy(update={"crop_n_layers": 0}))
    image = _images()[0]
    expected = generator.find(image)
    generator._search._threads = ThreadPoolExecutor(3)
    trace, lock = crop_search.trace_masks, threading.Lock()
    turns = [threading.Event(), threading.Event()]  # of the second batch and of the third
    begun = []

    def trace_late(*arguments):
        with lock:
            begun.append(arguments)
            turn = len(begun)
        if turn <= 2:
            assert turns[turn - 1].wait(SOON)
        masks = trace(*arguments)
        if 1 < turn <= 3:
            turns[turn - 2].set()
        return masks

    monkeypatch.setattr(crop_search, "trace_masks", trace_late)
    assert generator.find(image) == expected
    assert len(begun) == 3


def test_searching_ends_before_the_masks_are_traced(monkeypatch):
    generator, _ = _generator()
    may_trace, trace = threading.Event(), crop_search.trace_masks

    def trace_later(*arguments):
        assert may_trace.wait(SOON)
        return trace(*arguments)

    monkeypatch.setattr(crop_search, "trace_masks", trace_later)
    findings = generator.search(_images()[:2])
    may_trace.set()
    assert all(generator.select(found) for found in findings)


def test_few_batches_wait_to_be_traced(monkeypatch):
    """Their logits lie in the GPU's memory."""
    generator, _ = _generator(PARAMS.model_copy(update={"points_per_batch": 1}))
    monkeypatch.setattr(crop_search, "_BATCHES_AHEAD", 2)
    decode, trace = generator.model.decode_points, crop_search.trace_masks
    waiting, most, two_wait = 0, 0, threading.Event()

    def decode_and_count(*arguments):
        nonlocal waiting, most
        for found in decode(*arguments):
            waiting += 1
            most = max(most, waiting)
            if most > 1:
                two_wait.set()
            yield found

    def trace_and_count(*arguments):
        nonlocal waiting
        assert two_wait.wait(SOON)
        masks = trace(*arguments)
        waiting -= 1
        return masks

    monkeypatch.setattr(generator.model, "decode_points", decode_and_count)
    monkeypatch.setattr(crop_search, "trace_masks", trace_and_count)
    generator._search._threads = ThreadPoolExecutor(1)
    assert generator.find(_images()[0])
    assert 2 <= most <= 3


def test_an_error_in_tracing_comes_out_where_the_masks_are_asked_for(monkeypatch):
    generator, _ = _generator()
    images, trace = _images()[:3], crop_search.trace_masks
    expected = [generator.find(image) for image in images]

    def break_the_second(logits, frame, canvas, *others):
        if (canvas.height, canvas.width) == SIZES[1]:
            raise RuntimeError("no such kernel")
        return trace(logits, frame, canvas, *others)

    monkeypatch.setattr(crop_search, "trace_masks", break_the_second)
    first, second, third = generator.search(images)
    with pytest.raises(RuntimeError, match="no such kernel"):
        generator.select(second)
    assert [generator.select(first), generator.select(third)] == [expected[0], expected[2]]


def test_logits_are_let_go_once_their_masks_are_traced(monkeypatch):
    """Findings wait in memory while other images are searched; a crop's logits are megabytes."""
    generator, _ = _generator()
    seen, trace = [], crop_search.trace_masks

    def note(logits, *others):
        seen.append(weakref.ref(logits))
        return trace(logits, *others)

    monkeypatch.setattr(crop_search, "trace_masks", note)
    findings = generator.search(_images()[:2])
    for found in findings:
        for finish in found:
            finish()
    gc.collect()
    assert len(seen) > 10
    assert not [reference for reference in seen if reference() is not None]


# --- the stage ---------------------------------------------------------------------------------


def _registered(store: Store, folder: Path) -> str:
    """The shard of the eleven images."""
    folder.mkdir(exist_ok=True)
    for i, image in enumerate(_images()):
        Image.fromarray(image).save(folder / f"picture_{i:03d}.png")
    (shard,) = find_shards(folder, prefix="pictures")
    record_raw_images(store, shard)
    return shard.name


def _rows(store: Store, shard: str) -> dict[str, Any]:
    reader = store.open_shard("sam_masks", shard)
    return {image_id: reader.rows(image_id) for image_id in reader.image_ids}


@pytest.fixture
def pretend(monkeypatch):
    """Let the stage believe from here on that its model is on another device."""

    def load(name: str, params: MaskParams, device: str) -> MaskGenerator:
        assert (name, device) == ("sam_tiny", "cpu")
        return _generator(params)[0]

    return lambda: monkeypatch.setattr("seg_assets.masks.generator.load_mask_generator", load)


def test_several_images_overlapping_give_the_rows_of_one_by_one(tmp_path, monkeypatch, pretend):
    sizes, threads = [], set()
    search, select = MaskGenerator.search, MaskGenerator.select

    def count(self, images):
        sizes.append(len(images))
        return search(self, images)

    def note(self, findings):
        threads.add(threading.current_thread())
        return select(self, findings)

    monkeypatch.setattr(MaskGenerator, "search", count)
    monkeypatch.setattr(MaskGenerator, "select", note)

    calm, busy = Store(tmp_path / "calm"), Store(tmp_path / "busy")
    shard = _registered(calm, tmp_path / "pictures")
    generate_sam_masks(calm, shard, sam="sam_tiny", params=PARAMS)
    assert sizes == [1] * 11
    assert threads == {threading.main_thread()}
    sizes.clear()
    threads.clear()

    pretend()
    _registered(busy, tmp_path / "pictures")
    report = generate_sam_masks(busy, shard, sam="sam_tiny", params=PARAMS)
    assert sizes == [IMAGES_TOGETHER, IMAGES_TOGETHER, 3]
    assert len(threads) == 1
    assert threading.main_thread() not in threads
    assert (report.images, report.failed) == (11, 0)
    assert set(report.seconds_per_step) == {"load model", "read", "masks", "select"}
    expected = _rows(calm, shard)
    assert list(_rows(busy, shard).items()) == list(expected.items())
    assert all(len(rows) > 3 for rows in expected.values())


def test_images_that_fail_in_any_step_fail_alone_and_only_they_are_done_again(
    tmp_path, monkeypatch, pretend
):
    """One is damaged, one breaks the model, one the tracing of its masks."""
    store, folder = Store(tmp_path / "store"), tmp_path / "pictures"
    shard = _registered(store, folder)
    pretend()
    generate_sam_masks(store, shard, sam="sam_tiny", params=PARAMS)
    expected = _rows(store, shard)
    names = list(expected)

    damaged = folder / f"{names[1]}.png"
    whole = damaged.read_bytes()
    damaged.write_bytes(whole[: len(whole) // 2])
    embed, trace = _ModelElsewhere.embed, crop_search.trace_masks

    def embed_all_but_one(self, images):
        if SIZES[5] in [image.shape[:2] for image in images]:
            raise RuntimeError("out of memory")
        return embed(self, images)

    def trace_all_but_one(logits, frame, canvas, *others):
        if (canvas.height, canvas.width) == SIZES[9]:
            raise RuntimeError("no such kernel")
        return trace(logits, frame, canvas, *others)

    with monkeypatch.context() as patch:
        patch.setattr(_ModelElsewhere, "embed", embed_all_but_one)
        patch.setattr(crop_search, "trace_masks", trace_all_but_one)
        report = generate_sam_masks(store, shard, sam="sam_tiny", params=PARAMS, recompute=True)
    assert (report.images, report.failed) == (8, 3)
    failed = store.open_shard("sam_masks", shard).failed
    assert failed.keys() == {names[1], names[5], names[9]}
    assert failed[names[5]] == ("sam_masks", "RuntimeError: out of memory")
    assert failed[names[9]] == ("sam_masks", "RuntimeError: no such kernel")
    good = {name: rows for name, rows in expected.items() if name not in failed}
    assert _rows(store, shard) == good

    damaged.write_bytes(whole)
    assert generate_sam_masks(store, shard, sam="sam_tiny", params=PARAMS).failed == 0
    assert _rows(store, shard) == expected
