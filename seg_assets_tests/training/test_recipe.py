from typing import Any

import pytest

from seg_assets.errors import InputError
from seg_assets.training.config import TrainConfig
from seg_assets.training.recipe import Recipe, sam_recipe, seem_recipe
from seg_assets.training.registry import TASKS
from seg_assets.training.sam.params import BoxJob, PointJob
from seg_assets.training.sam.presets import SAM_PRESETS
from seg_assets.training.seem.params import SeemTaskParams

SAM: dict[str, Any] = {"train": {"format": "coco", "path": "instances.json"}}
SEEM: dict[str, Any] = {"train": {"kind": "camvid", "folder": "CamVid"}}


def test_no_name_means_a_value_of_the_loop_and_of_a_task() -> None:
    """Overrides find their owner by the name alone."""
    for params in (BoxJob, PointJob, SeemTaskParams):
        assert not TrainConfig.model_fields.keys() & params.model_fields.keys()


@pytest.mark.parametrize("preset", SAM_PRESETS)
def test_a_preset_decides_what_is_not_given(preset: str) -> None:
    recipe = sam_recipe(SAM, preset=preset)
    wanted = SAM_PRESETS[preset]
    assert recipe.task == wanted.task
    assert recipe.config == TrainConfig.model_validate(wanted.train)
    assert recipe.params == type(recipe.params).model_validate({**SAM, **wanted.params})


def test_a_task_without_a_preset_has_its_own_defaults() -> None:
    recipe = sam_recipe(SAM, task="sam_point")
    assert isinstance(recipe.params, PointJob)
    assert recipe.params.num_iter == "auto"
    assert recipe.config.lr == SAM_PRESETS["sa1b_point"].train["lr"]


def test_given_values_lie_over_the_preset_and_overrides_over_those() -> None:
    recipe = sam_recipe(
        {**SAM, "objects_per_image": 7, "noise": {"max_pixels": 3}},
        {"lr": 0.5, "batch_size": 3},
        ["lr", "0.25", "noise.max_pixels=5", "precision=fp32"],
        preset="flare_box",
    )
    assert isinstance(recipe.params, BoxJob)
    assert recipe.params.objects_per_image == 7
    assert (recipe.params.noise.kind, recipe.params.noise.max_pixels) == ("outward", 5)
    assert (recipe.config.lr, recipe.config.batch_size) == (0.25, 3)
    assert (recipe.config.precision, recipe.config.epochs) == ("fp32", 20)


@pytest.mark.parametrize("given", [({"steps": 9}, []), ({}, ["steps=9"]), ({}, ["steps", "9"])])
def test_a_length_that_is_given_replaces_the_recipe_s(given: tuple[Any, list[str]]) -> None:
    config, overrides = given
    for recipe in (
        sam_recipe(SAM, config, overrides),
        seem_recipe(SEEM, config, overrides),
    ):
        assert (recipe.config.steps, recipe.config.epochs) == (9, None)


def test_the_tutorial_s_length_is_seem_s_default() -> None:
    recipe = seem_recipe(SEEM)
    assert (recipe.config.epochs, recipe.config.lr, recipe.config.batch_size) == (30, 1e-4, 4)


def test_every_recipe_is_a_job_that_the_process_can_read_back(tmp_path: Any) -> None:
    for recipe in (sam_recipe(SAM), sam_recipe(SAM, task="sam_point"), seem_recipe(SEEM)):
        assert isinstance(recipe, Recipe)
        job = recipe.job(tmp_path)
        assert job.task in TASKS
        read = type(job).model_validate_json(job.model_dump_json())
        assert type(recipe.params).model_validate(read.params) == recipe.params
        assert read.config == recipe.config


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: sam_recipe(SAM, overrides=["batchsize=2"]), "did you mean batch_size"),
        (lambda: seem_recipe(SEEM, overrides=["image_siz=2"]), "did you mean image_size"),
        (lambda: seem_recipe(SEEM, overrides=["zzzz=2"]), "choose of steps, epochs"),
        (lambda: seem_recipe(SEEM, overrides=["lr=fast"]), "lr=fast: "),
        (lambda: seem_recipe(SEEM, overrides=["lr"]), "the setting 'lr' has no value"),
        (lambda: seem_recipe({}), "parameters, train: field required"),
        (lambda: seem_recipe({**SEEM, "speed": 1}), "parameters, speed: there is no such setting"),
        (lambda: seem_recipe(SEEM, {"lr": -1}), "training, lr: input should be greater than 0"),
        (lambda: sam_recipe(SAM, preset="x"), "no recipe for SAM is called 'x'"),
        (lambda: sam_recipe(SAM, task="x"), "'x' is no training task for SAM"),
        (lambda: sam_recipe(SAM, task="sam_box", preset="coco_box"), "not both"),
        (
            lambda: sam_recipe({**SAM, "num_iter": 3}, preset="coco_box"),
            "num_iter: there is no such setting",
        ),
    ],
)
def test_what_is_wrong_is_said_in_one_sentence(call: Any, message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        call()
    assert "\n" not in str(caught.value)
