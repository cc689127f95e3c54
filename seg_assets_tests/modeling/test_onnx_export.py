"""The exported graphs against the model in torch; rows X1 and X2 of the table of features.

`sam_demo` is trained and has everything but relative positions and windows that need padding, for
which the encoder of TINY stands, in another opset. Differences are absolute, of float32.
"""

import sys
from dataclasses import replace
from itertools import product
from pathlib import Path

import numpy as np
import pytest
import torch

from seg_assets.errors import CheckpointError, InputError, StoreError
from seg_assets.modeling.checkpoints import LoadedModel
from seg_assets.modeling.manifest import entry
from seg_assets.modeling.onnx_export import check, export
from seg_assets.modeling.onnx_export.check import LIMIT, GraphCheck, SamReference
from seg_assets.modeling.onnx_export.export import export_sam
from seg_assets.modeling.onnx_export.extra import require
from seg_assets.modeling.onnx_export.metadata import GRAPH_KINDS, GraphMetadata
from seg_assets.modeling.onnx_export.session import OnnxGraph, open_graph
from seg_assets.modeling.onnx_export.tokens import point_tokens
from seg_assets.modeling.sam import TINY, build_sam, load_sam
from seg_assets_tests.modeling.onnx_files import NEEDS, demo_files

# isort: split
from segment_anything.modeling import Sam

for package in NEEDS:
    pytest.importorskip(package)

TINY_OPSET = 20


@pytest.fixture(scope="module")
def demo() -> Sam:
    return load_sam("sam_demo").model


@pytest.fixture(scope="module")
def graphs() -> dict[str, OnnxGraph]:
    folder = demo_files().folder
    return {kind: open_graph(folder / f"sam_demo_{kind}.onnx", kind) for kind in GRAPH_KINDS}


@pytest.fixture(scope="module")
def features(demo) -> torch.Tensor:
    with torch.inference_mode():
        return demo.image_encoder(_images(1, 192))


@pytest.fixture(scope="module")
def tiny() -> LoadedModel[Sam]:
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(2)
        sam = build_sam(replace(TINY, spread_start=False)).requires_grad_(False)
        for parameter in sam.image_encoder.parameters():  # relative positions start as zeros
            if not parameter.any():
                parameter.normal_(0, 0.1)
    return LoadedModel(sam, replace(entry("sam_demo"), name="tiny"), "a" * 64, trained=False)


@pytest.fixture(scope="module")
def traced(tiny):
    """The encoder of TINY, before it is written."""
    return export.trace(tiny, "encoder", TINY_OPSET)


def _images(count: int, side: int) -> torch.Tensor:
    return torch.from_numpy(
        np.random.default_rng(count).normal(size=(count, 3, side, side)).astype(np.float32)
    )


@pytest.mark.parametrize("count", [1, 2, 3])
def test_the_encoder_takes_any_number_of_images(demo, graphs, count):
    """X1; 1e-6 measured."""
    with torch.inference_mode():
        expected = demo.image_encoder(_images(count, 192)).numpy()
    (found,) = graphs["encoder"].run(image=_images(count, 192).numpy())
    assert (found.shape, found.dtype) == ((count, 128, 12, 12), np.float32)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    ("points", "has_box", "has_mask"),
    [kinds for kinds in product((0, 1, 4), (False, True), (False, True)) if any(kinds)],
)
@pytest.mark.parametrize("count", [1, 2, 17])
def test_the_decoder_takes_all_kinds_of_prompt(
    demo, graphs, features, count, points, has_box, has_mask
):
    """X1; 6e-5 measured, of logits up to 95."""
    rng = np.random.default_rng(points)
    places = rng.uniform(0, 192, (count, points, 2)).astype(np.float32) if points else None
    labels = rng.integers(0, 2, (count, points)) if points else None
    boxes = rng.uniform(0, 192, (count, 4)).astype(np.float32) if has_box else None
    masks = rng.normal(0, 8, (count, 1, 48, 48)).astype(np.float32)
    with torch.inference_mode():
        sparse, dense = demo.prompt_encoder(
            points=(torch.tensor(places), torch.tensor(labels)) if points else None,
            boxes=torch.tensor(boxes) if has_box else None,
            masks=torch.tensor(masks) if has_mask else None,
        )
        several, single = (
            demo.mask_decoder(
                features, demo.prompt_encoder.get_dense_pe(), sparse, dense, multimask
            )
            for multimask in (True, False)
        )
    coordinates, codes = point_tokens(count, places, labels, boxes)
    logits, ious = graphs["decoder"].run(
        image_embeddings=features.numpy(),
        point_coords=coordinates,
        point_labels=codes,
        mask_input=masks,
        has_mask_input=np.array([has_mask], np.float32),
    )
    assert (logits.shape, ious.shape) == ((count, 4, 48, 48), (count, 4))
    for found, one, three in ((logits, single[0], several[0]), (ious, single[1], several[1])):
        np.testing.assert_allclose(found, torch.cat([one, three], 1).numpy(), rtol=0, atol=LIMIT)


def test_padding_points_and_missing_masks_count_for_nothing(graphs, features):
    """A padding point has no place, and without the flag mask logits are not looked at."""
    rng = np.random.default_rng(0)
    given = {
        "image_embeddings": features.numpy(),
        "point_coords": np.array([[[50, 60], [0, 0]]], np.float32),
        "point_labels": np.array([[1, -1]]),
        "mask_input": np.zeros((1, 1, 48, 48), np.float32),
        "has_mask_input": np.zeros(1, np.float32),
    }
    elsewhere = given | {
        "point_coords": np.array([[[50, 60], [99, 7]]], np.float32),
        "mask_input": rng.normal(0, 8, (1, 1, 48, 48)).astype(np.float32),
    }
    for found, again in zip(
        graphs["decoder"].run(**given), graphs["decoder"].run(**elsewhere), strict=True
    ):
        np.testing.assert_array_equal(found, again)


@pytest.mark.parametrize("count", [1, 2, 5])
def test_the_box_graph_takes_an_image_and_boxes(demo, graphs, count):
    """X2 with one box; more are an addition. 2e-5 measured."""
    image, rng = _images(1, 192), np.random.default_rng(1)
    boxes = (np.array([10, 20, 90, 120]) + rng.uniform(0, 70, (count, 4))).astype(np.float32)
    logits, ious = graphs["box"].run(image=image.numpy(), boxes=boxes[None])
    assert (logits.shape, ious.shape) == ((1, count, 192, 192), (1, count))
    with torch.inference_mode():
        sparse, dense = demo.prompt_encoder(points=None, boxes=torch.from_numpy(boxes), masks=None)
        low, expected_ious = demo.mask_decoder(
            demo.image_encoder(image), demo.prompt_encoder.get_dense_pe(), sparse, dense, False
        )
        expected = demo.postprocess_masks(low, (192, 192), (192, 192))
    np.testing.assert_allclose(logits[0], expected[:, 0].numpy(), rtol=0, atol=LIMIT)
    np.testing.assert_allclose(ious[0], expected_ious[:, 0].numpy(), rtol=0, atol=1e-5)


def test_the_shapes_that_may_change_have_names(graphs):
    shapes = {
        kind: {found.name: found.shape for found in graph.session.get_inputs()}
        | {found.name: found.shape for found in graph.session.get_outputs()}
        for kind, graph in graphs.items()
    }
    assert shapes == {
        "encoder": {"image": ["images", 3, 192, 192], "image_embeddings": ["images", 128, 12, 12]},
        "decoder": {
            "image_embeddings": [1, 128, 12, 12],
            "point_coords": ["objects", "points", 2],
            "point_labels": ["objects", "points"],
            "mask_input": ["objects", 1, 48, 48],
            "has_mask_input": [1],
            "low_res_masks": ["objects", 4, 48, 48],
            "iou_predictions": ["objects", 4],
        },
        "box": {
            "image": [1, 3, 192, 192],
            "boxes": [1, "objects", 4],
            "logits": [1, "objects", 192, 192],
            "iou_predictions": [1, "objects"],
        },
    }


def test_the_metadata_says_what_the_graph_is_and_how_pixels_are_scaled(graphs):
    shipped = entry("sam_demo")
    for kind, graph in graphs.items():
        assert graph.metadata == GraphMetadata(
            graph=kind,
            model="sam_demo",
            checkpoint_sha256=shipped.sha256,
            trained=True,
            licence="Apache-2.0",
            version="0.1.0",
            image_size=192,
            mean=shipped.mean,
            std=shipped.std,
            mask_threshold=0.0,
        )
        properties = graph.session.get_modelmeta().custom_metadata_map
        assert "the graph does none of this" in properties["pixels"]


@pytest.mark.parametrize("kind", GRAPH_KINDS)
def test_the_files_are_valid_and_hold_no_paths_of_this_machine(kind):
    onnx = pytest.importorskip("onnx")
    path = demo_files().folder / f"sam_demo_{kind}.onnx"
    onnx.checker.check_model(path, full_check=True)
    content = path.read_bytes()
    assert b".py" not in content
    assert str(Path(torch.__file__).parents[1]).encode() not in content


@pytest.mark.parametrize("embed_up_to", [export.EMBED_UP_TO, 1000], ids=["inside", "beside"])
def test_relative_positions_padded_windows_and_another_opset(tiny, traced, tmp_path, embed_up_to):
    """X1 for the other kind of encoder, with its weights in the file and beside it."""
    name = export.write(traced, tmp_path / "tiny_encoder.onnx", embed_up_to)
    written = {path.name: path.stat().st_size for path in tmp_path.iterdir()}
    weights = sum(parameter.numel() * 4 for parameter in tiny.model.image_encoder.parameters())
    if name is None:
        assert list(written) == ["tiny_encoder.onnx"]
        assert written["tiny_encoder.onnx"] > weights
    else:
        assert set(written) == {"tiny_encoder.onnx", name}
        assert written[name] > 0.9 * weights
    graph = open_graph(tmp_path / "tiny_encoder.onnx", "encoder")
    assert not graph.metadata.trained
    with torch.inference_mode():
        expected = tiny.model.image_encoder(_images(2, 128)).numpy()
    (found,) = graph.run(image=_images(2, 128).numpy())
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5)  # 2e-6 measured


@pytest.fixture
def quick(traced, monkeypatch):
    """No tracing: every graph is the encoder of TINY."""
    monkeypatch.setattr(export, "trace", lambda *_: traced)


def _export(tiny, folder: Path, **options):
    return list(export_sam(tiny, folder, ["encoder"], **options))


@pytest.mark.usefixtures("quick")
def test_a_second_export_leaves_no_weights_of_the_first(tiny, traced, tmp_path):
    (first,) = _export(tiny, tmp_path, check=False, embed_up_to=0)
    assert first.data is not None
    assert first.bytes == first.path.stat().st_size + first.data.stat().st_size
    stranger = tmp_path / "tiny_encoder-notes.data"
    stranger.touch()
    bias = next(
        value for name, value in traced.graph.initializers.items() if name.endswith("proj.bias")
    )
    old, bias.const_value = bias.const_value, _plus_one(bias.const_value)
    (second,) = _export(tiny, tmp_path, check=False, embed_up_to=0)
    bias.const_value = old
    assert second.data not in (None, first.data)
    assert sorted(tmp_path.iterdir()) == sorted([second.path, second.data, stranger])
    (third,) = _export(tiny, tmp_path, check=False)
    assert third.data is None
    assert sorted(tmp_path.iterdir()) == sorted([third.path, stranger])


def _plus_one(tensor):
    onnx_ir = pytest.importorskip("onnx_ir")
    return onnx_ir.tensor(tensor.numpy() + 1, name=tensor.name)


@pytest.mark.usefixtures("quick")
def test_a_graph_that_differs_is_not_put_in_place(tiny, tmp_path, monkeypatch):
    (good,) = _export(tiny, tmp_path)
    content = good.path.read_bytes()
    assert good.check is not None
    assert good.check.largest_difference < 1e-5
    monkeypatch.setattr(check, "LIMIT", 0.0)
    with pytest.raises(
        CheckpointError, match=r"the encoder graph of tiny differs .* was not put in place"
    ):
        _export(tiny, tmp_path)
    assert list(tmp_path.iterdir()) == [good.path]  # nor is anything left lying about
    assert good.path.read_bytes() == content


def test_numbers_that_are_none_do_not_pass(traced, tmp_path, monkeypatch):
    path = tmp_path / "tiny_encoder.onnx"
    export.write(traced, path, export.EMBED_UP_TO)
    broken = build_sam(TINY)
    broken.image_encoder.patch_embed.proj.bias.data.fill_(torch.nan)
    with pytest.raises(CheckpointError, match="differs from torch by nan"):
        SamReference(broken).check(path, "encoder")
    outcomes = [GraphCheck(1e-6, 1.0, 1.0), GraphCheck(float("nan"), 1.0, 1.0)]
    reference = SamReference(broken)
    monkeypatch.setattr(reference, "_encoder", lambda _: iter(outcomes))
    with pytest.raises(CheckpointError, match="differs from torch by nan"):
        reference.check(path, "encoder")


@pytest.mark.usefixtures("quick")
def test_a_write_that_stops_leaves_nothing(tiny, tmp_path, monkeypatch):
    def stop(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(export, "write", stop)
    with pytest.raises(KeyboardInterrupt):
        _export(tiny, tmp_path / "new", check=False)
    assert list((tmp_path / "new").iterdir()) == []


@pytest.mark.usefixtures("quick")
def test_a_file_in_the_folder_s_place_is_one_sentence(tiny, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(StoreError, match="a file stands where a folder should be"):
        _export(tiny, tmp_path / "file", check=False)


def test_an_unknown_opset_is_refused(tiny, tmp_path):
    with pytest.raises(InputError, match="the opset is 17: choose one from 18 to 23"):
        _export(tiny, tmp_path, opset=17)


@pytest.mark.parametrize(
    ("package", "purpose"),
    [("onnxscript", "exporting to ONNX"), ("onnxruntime", "running ONNX graphs")],
)
def test_a_missing_package_is_one_sentence(tiny, tmp_path, monkeypatch, package, purpose):
    monkeypatch.setitem(sys.modules, package, None)
    expected = rf"{purpose} needs {package}, which is not installed: .*seg_assets\[onnx\]"
    with pytest.raises(InputError, match=expected):
        require(package)
    with pytest.raises(InputError, match=expected):
        _export(tiny, tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("kind", "content", "message"),
    [
        ("encoder", None, "is not there: write it with `seg-assets models export"),
        ("encoder", b"no graph", "onnxruntime cannot open .*: export it again"),
    ],
)
def test_files_that_cannot_be_opened(tmp_path, kind, content, message):
    path = tmp_path / "sam_encoder.onnx"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InputError, match=message):
        open_graph(path, kind)


def test_a_graph_of_another_kind_or_origin_is_refused(traced, tmp_path):
    path = tmp_path / "tiny_encoder.onnx"
    export.write(traced, path, export.EMBED_UP_TO)
    with pytest.raises(InputError, match="is the encoder graph: give the decoder graph"):
        open_graph(path, "decoder")
    with pytest.raises(InputError, match="has no TpuExecutionProvider: choose one of .*CPUExec"):
        open_graph(path, "encoder", providers=["TpuExecutionProvider"])
    with pytest.raises(InputError, match="is no graph of `seg-assets models export`: its metadata"):
        GraphMetadata.from_properties({"graph": "encoder"}, path)
    with pytest.raises(InputError, match="is no graph of"):
        GraphMetadata.from_properties({"graph": "whole"}, path)


def test_points_and_boxes_become_tokens():
    points, labels = np.array([[[1, 2], [3, 4]]]), np.array([[1, 0]])
    boxes = np.array([[5, 6, 7, 8]])
    table = [
        (point_tokens(1, points, labels), [[1, 2], [3, 4], [0, 0]], [1, 0, -1]),
        (point_tokens(1, boxes=boxes), [[5, 6], [7, 8]], [2, 3]),
        (
            point_tokens(1, points, labels, boxes),
            [[1, 2], [3, 4], [5, 6], [7, 8]],
            [1, 0, 2, 3],
        ),
        (point_tokens(1), [], []),
    ]
    for (coordinates, codes), expected, expected_codes in table:
        assert (coordinates.dtype, codes.dtype) == (np.float32, np.int64)
        assert coordinates.tolist() == [expected]
        assert codes.tolist() == [expected_codes]
