import re

import pytest

from seg_assets.errors import InputError
from seg_assets.modeling import manifest as manifest_module
from seg_assets.modeling.manifest import (
    base_of,
    entry,
    manifest,
    models_dir,
    shipped_dir,
    weights_path,
)
from seg_assets.modeling.mask_models.hugging_face.load import TRANSFORMERS_CONFIGS
from seg_assets.modeling.weights_file import sha256_of
from seg_assets_tests.conftest import REPOSITORY

OWN = """
[mine]
title = "my fine-tuned SAM"
kind = "sam"
config = "vit_b"
file = "weights/mine.safetensors"
licence = "Apache-2.0"
input_size = 1024
input_side = "long"
mean = [1, 2, 3]
std = [4, 5, 6]
"""


@pytest.fixture
def own_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("SEG_MODELS_DIR", str(tmp_path))
    return tmp_path


def test_the_official_checkpoints_are_known_by_name():
    assert list(manifest())[:4] == ["sam_vit_b", "sam_vit_l", "sam_vit_h", "seem_focall_v1"]


def test_the_demo_models_ship_and_are_small():
    shipped = [manifest()[name] for name in ("sam_demo", "seem_demo")]
    for found in shipped:
        path = weights_path(found)
        assert path.parent == shipped_dir() / "demo"
        assert (sha256_of(path), path.stat().st_size) == (found.sha256, found.bytes)
    assert sum(found.bytes for found in shipped) <= 12_000_000


def test_sizes_and_hashes_are_the_public_ones(shared_dir):
    text = (shared_dir / "specs" / "checkpoints.md").read_text()
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in text.splitlines()]
    facts = {row[0]: row[1:] for row in rows if len(row) == 5}
    for found in manifest().values():
        if found.url is None or found.config in TRANSFORMERS_CONFIGS:  # these have their own test
            continue
        url, size, sha256, licence = facts[found.name]
        assert (found.url, found.licence) == (url, licence)
        if found.sha256 is not None:
            assert found.sha256 == sha256
            assert found.bytes == int(size.replace(",", ""))
        else:
            assert not re.fullmatch(r"[0-9a-f]{64}", sha256)


def test_every_entry_has_a_card():
    for name in manifest():
        assert (shipped_dir() / "cards" / f"{name}.md").is_file()


def test_an_unknown_name_lists_the_known_ones():
    with pytest.raises(InputError, match="no model is called 'sam'; choose one of: sam_vit_b, sam"):
        entry("sam")


def test_a_model_of_the_other_kind_lists_those_of_the_wanted_kind():
    with pytest.raises(InputError, match="'sam_vit_b' is no seem model; .*: seem_focall_v1, seem"):
        entry("sam_vit_b", kind="seem")


def test_downloads_keep_the_name_that_their_publisher_gave(own_folder):
    assert weights_path(entry("sam_vit_b")) == own_folder / "weights" / "sam_vit_b_01ec64.pth"


def test_an_own_folder_may_add_models_of_its_own(own_folder):
    (own_folder / "manifest.toml").write_text(OWN)
    assert entry("mine", kind="sam").mean == (1, 2, 3)
    assert weights_path(entry("mine")) == own_folder / "weights" / "mine.safetensors"
    assert "sam_vit_h" in manifest()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (('kind = "sam"', 'kind = "sma"'), r"model 'mine', kind: "),
        (("mean = [1, 2, 3]", "mean = [1, 2]"), r"model 'mine', mean.2: "),
        (("mean = [1, 2, 3]", ""), r"model 'mine', mean: "),
        (("mean =", "maen ="), r"model 'mine', "),
        (('file = "weights/mine.safetensors"', ""), "needs one of url, file or seed"),
        (("file =", 'base = "sam_vit_b"\nseed = 1\nfile ='), "has a base, under which no seed can"),
        (("file =", "adapters = {}\nfile ="), "has adapters, which only a seem model can carry"),
        (("file =", "adapters = {geometry = 1}\nfile ="), "model 'mine', adapters.geometry: "),
        (("[mine]", "mine = 1"), r"must be a \[table\]|cannot be read"),
        (("[mine]", "[mine"), "cannot be read"),
    ],
)
def test_a_wrong_manifest_names_the_file_and_the_field(own_folder, change, message):
    path = own_folder / "manifest.toml"
    path.write_text(OWN.replace(*change))
    with pytest.raises(InputError, match=message) as raised:
        manifest()
    assert str(path) in str(raised.value)


def test_a_manifest_that_changes_is_read_again(own_folder):
    path = own_folder / "manifest.toml"
    path.write_text(OWN)
    assert entry("mine").config == "vit_b"
    path.write_text(OWN.replace("vit_b", "vit_large"))
    assert entry("mine").config == "vit_large"


def test_a_wheel_ships_the_manifest_and_downloads_to_the_cache(tmp_path, monkeypatch):
    package = tmp_path / "site-packages" / "seg_assets"
    monkeypatch.setattr(manifest_module, "_PACKAGE", package)
    monkeypatch.delenv("SEG_MODELS_DIR", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    assert shipped_dir() == package / "_models"
    assert models_dir() == tmp_path / "cache" / "seg_assets" / "models"


def test_weights_that_ship_are_found_whatever_the_folder(own_folder, tmp_path, monkeypatch):
    shipped = tmp_path / "shipped"
    (shipped / "demo").mkdir(parents=True)
    monkeypatch.setattr(manifest_module, "shipped_dir", lambda: shipped)
    (shipped / "manifest.toml").write_text(OWN.replace("weights/mine", "demo/mine"))
    mine = entry("mine")
    assert weights_path(mine) == own_folder / "demo" / "mine.safetensors"
    (shipped / "demo" / "mine.safetensors").write_bytes(b"x")
    assert weights_path(mine) == shipped / "demo" / "mine.safetensors"


# --- fine-tuned entries ------------------------------------------------------------------------

TUNED = OWN.replace('"sam"', '"seem"').replace('"vit_b"', '"focal_l"') + "\n".join(
    ('base = "seem_focall_v1"', 'classes = "rooms.toml"', "[mine.adapters]", 'geometry = "compact"')
)


def test_a_seem_names_the_classes_of_coco_unless_it_says_otherwise():
    assert entry("seem_focall_v1").classes == "coco133"
    assert entry("seem_demo").adapters is None


def test_the_fine_tuned_entry_of_the_page_is_one(own_folder):
    page = (REPOSITORY / "models" / "README.md").read_text(encoding="utf-8")
    (example,) = re.findall(r"```toml\n(.*?)```", page, re.DOTALL)
    (own_folder / "manifest.toml").write_text(example)
    found = entry("my_seem", kind="seem")
    assert base_of(found) == entry("seem_focall_v1")
    assert found.classes == str(own_folder / "roofs.toml")
    assert found.adapters is not None
    assert (found.adapters.backbone, found.adapters.decoder) == (False, True)


def test_a_table_lies_beside_the_manifest_that_names_it(own_folder):
    (own_folder / "manifest.toml").write_text(TUNED)
    assert entry("mine").classes == str(own_folder / "rooms.toml")
    (own_folder / "manifest.toml").write_text(TUNED.replace("rooms.toml", "/far/rooms.toml"))
    assert entry("mine").classes == "/far/rooms.toml"
    (own_folder / "manifest.toml").write_text(TUNED.replace("rooms.toml", "camvid11"))
    assert entry("mine").classes == "camvid11"


def test_the_weights_below_are_those_of_another_entry(own_folder):
    (own_folder / "manifest.toml").write_text(TUNED)
    adapters = entry("mine").adapters
    assert adapters is not None
    assert adapters.geometry == "compact"
    assert base_of(entry("mine")) == entry("seem_focall_v1")
    assert base_of(entry("seem_focall_v1")) is None


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (('base = "seem_focall_v1"', 'base = "nix"'), "no model is called 'nix'"),
        (('base = "seem_focall_v1"', 'base = "sam_vit_b"'), "'sam_vit_b' is no seem model"),
        (('base = "seem_focall_v1"', 'base = "mine"'), "cannot lie on mine, which is no plain"),
        (('"focal_l"', '"demo"'), "has the configuration 'demo' and its base .* 'focal_l'"),
    ],
)
def test_a_base_is_a_whole_network_of_the_same_kind(own_folder, change, message):
    (own_folder / "manifest.toml").write_text(TUNED.replace(*change))
    with pytest.raises(InputError, match=message):
        base_of(entry("mine"))
