"""From the name of a segmentor to the segmentor."""

import re
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from seg_assets.classes.table import load_class_table
from seg_assets.errors import InputError
from seg_assets.labels.segmentors.label_maps import label_maps_digest
from seg_assets.labels.segmentors.load import load_segmentor, segmentor_classes, segmentor_identity
from seg_assets.labels.ssa_params import SsaParams
from seg_assets.modeling.identity import checkpoint_identity
from seg_assets.modeling.manifest import entry

PLAIN = SsaParams()


@pytest.fixture
def maps(tmp_path) -> str:
    Image.fromarray(np.array([[3, 255]], np.uint8)).save(tmp_path / "a.png")
    return str(tmp_path)


def test_label_maps_by_folder_and_table(maps):
    spec = f"maps:{maps}:camvid11"
    found = load_segmentor(spec, PLAIN).segment("a", np.zeros((1, 2, 3), np.uint8))
    assert found.label_map.tolist() == [[3, 255]]
    assert segmentor_classes(spec, PLAIN) is load_class_table("camvid11")
    assert segmentor_identity(spec) == label_maps_digest(maps)


def test_the_colon_of_a_url_belongs_to_the_folder():
    table = segmentor_classes("maps:s3://bucket/maps:ade150", PLAIN)
    assert table is load_class_table("ade150")


@pytest.mark.parametrize("spec", ["maps:/data/maps", "maps:s3://bucket/maps", "maps::ade150"])
def test_label_maps_without_a_table_are_refused(spec):
    with pytest.raises(InputError, match="lack their class table"):
        segmentor_classes(spec, PLAIN)


def test_a_folder_of_label_maps_that_is_not_there_is_refused_before_any_image(tmp_path):
    with pytest.raises(InputError, match="no folder of label maps"):
        load_segmentor(f"maps:{tmp_path}/no:camvid11", PLAIN)


def test_the_chains_own_seem_has_to_be_named_outside_the_chain():
    with pytest.raises(InputError, match="where no chain has stored its maps: write seem:NAME"):
        load_segmentor(PLAIN.segmentor, PLAIN)


def test_a_forgotten_table_is_shown_where_it_belongs():
    with pytest.raises(InputError, match="write maps:/data/maps:ade150, say"):
        segmentor_classes("maps:/data/maps:", PLAIN)


@pytest.mark.parametrize("spec", ["seem", "segformer", "hf:", "onnx:model", ""])
@pytest.mark.parametrize("call", [load_segmentor, segmentor_classes])
def test_an_unknown_kind_is_refused(spec, call):
    with pytest.raises(InputError, match=re.escape(f"the segmentor {spec!r} is not known")):
        call(spec, PLAIN)


def test_what_gives_no_logits_cannot_vote_by_them(maps):
    params = SsaParams(rule="mean_logits")
    for spec in (f"maps:{maps}:camvid11", "seem:seem_demo"):
        with pytest.raises(InputError, match="gives labels without logits"):
            load_segmentor(spec, params)


def test_a_seem_of_the_manifest():
    spec = "seem:seem_demo"
    segmentor = load_segmentor(spec, PLAIN)
    image = np.random.default_rng(0).integers(0, 256, (60, 90, 3), dtype=np.uint8)
    found = segmentor.segment("a", image)
    assert found.label_map.shape == (60, 90)
    segmentor.classes.check(found.label_map)
    assert segmentor.classes == segmentor_classes(spec, PLAIN)
    assert segmentor_identity(spec) == checkpoint_identity(entry("seem_demo"))


def test_a_seem_that_the_manifest_lacks_is_refused():
    for call in (load_segmentor, segmentor_classes):
        with pytest.raises(InputError, match="no_such"):
            call("seem:no_such", PLAIN)


def test_nothing_heavy_is_imported_before_it_is_needed():
    code = (
        "import sys; import seg_assets.labels.segmentors.load; "
        "sys.exit(bool({'torch', 'transformers'} & set(sys.modules)))"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
