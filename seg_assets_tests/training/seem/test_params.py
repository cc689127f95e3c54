"""Parameters: upstream's switches (S6), sizes (S10), number of classes (S15)."""

import subprocess
import sys

import pytest
from pydantic import ValidationError

from seg_assets.errors import InputError
from seg_assets.training.seem.params import SeemTaskParams

SCENES = {"train": {"kind": "scenes"}}
UPSTREAM = {"geometry": "upstream"}


def read(**values: object) -> SeemTaskParams:
    return SeemTaskParams.model_validate(SCENES | values)


@pytest.mark.parametrize(
    ("backbone", "decoder", "strategy"),
    [
        (False, True, "adapter_head"),
        (True, True, "adapter_both"),
        (False, False, "whole_head"),
        (True, False, "adapter_backbone_whole_head"),
    ],
)
def test_upstreams_two_switches_name_a_strategy_s6(
    backbone: bool, decoder: bool, strategy: str
) -> None:
    found = read(backbone_fine_tune=backbone, decoder_fine_tune=decoder)
    assert found.strategy == strategy
    assert found.flags == {"backbone_fine_tune": backbone, "decoder_fine_tune": decoder}
    adapters = found.used_adapters
    places = (adapters.backbone, adapters.decoder) if adapters else (False, False)
    assert places == (backbone, decoder)


def test_one_switch_leaves_the_other_off_s6() -> None:
    assert read(decoder_fine_tune=True).strategy == "adapter_head"


def test_switches_and_strategy_must_agree_s6() -> None:
    assert read(strategy="whole_head", backbone_fine_tune=False).strategy == "whole_head"
    with pytest.raises(ValidationError, match="contradicts"):
        read(strategy="lora", backbone_fine_tune=True)
    with pytest.raises(ValidationError, match="true or false"):
        read(backbone_fine_tune="both")


@pytest.mark.parametrize("strategy", ["lora", "everything"])
def test_other_strategies_have_no_switches_s6(strategy: str) -> None:
    assert read(strategy=strategy).flags is None
    assert read(strategy=strategy).used_adapters is None


@pytest.mark.parametrize("size", [256, 288, 320, 1024])
def test_sizes_that_are_taken_s10(size: int) -> None:
    assert read(image_size=size).image_size == size


@pytest.mark.parametrize("size", [240, 96, 300, 1100])
def test_sizes_that_are_refused_s10(size: int) -> None:
    with pytest.raises(ValidationError, match="image_size"):
        read(image_size=size)


def test_upstreams_backbone_adapters_want_multiples_of_64_s10() -> None:
    for size in (256, 320, 1024):
        assert read(image_size=size, strategy="adapter_both", adapters=UPSTREAM)
    with pytest.raises(ValidationError, match="multiple of 64 with upstream's backbone adapters"):
        read(image_size=288, strategy="adapter_both", adapters=UPSTREAM)
    # head adapters alone do not care
    assert read(image_size=288, strategy="adapter_head", adapters=UPSTREAM)


def test_small_images_are_allowed_when_asked_for_s10() -> None:
    assert read(image_size=96, small_images=True).image_size == 96


@pytest.mark.parametrize("stated", [10, 12])
def test_a_wrong_number_of_classes_names_both_s15(stated: int) -> None:
    with pytest.raises(InputError, match=rf"num_classes is {stated} .* has 11"):
        read(num_classes=stated).check_classes(11)
    read(num_classes=11).check_classes(11)
    read().check_classes(11)


def test_wiring_demo_takes_one_prompt_per_image() -> None:
    with pytest.raises(ValidationError, match="one per image"):
        read(candidates=2)
    assert read(candidates=2, wiring="v1").candidates == 2


def test_reading_parameters_does_not_import_torch() -> None:
    code = "import sys, seg_assets.training.seem.params; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
