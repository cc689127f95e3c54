import pytest

from seg_assets.errors import InputError
from seg_assets.training.config import TrainConfig
from seg_assets.training.sam.params import BoxJob, PointJob
from seg_assets.training.sam.presets import SAM_PRESETS, sam_preset, with_preset
from seg_assets.training.schedule import learning_rate

DATA = {"train": {"format": "scenes", "path": "0:1"}}
JOBS = {"sam_box": BoxJob, "sam_point": PointJob}

# Source: the configurations of mindspore-lab/models, official/cv/segment-anything:
# learning rate, batch, epochs, objects in training and in evaluation.
NUMBERS = {
    "coco_box": (6.4e-5, 16, 8, 20, 40),
    "flare_box": (1.28e-4, 16, 20, 20, 20),
    "sa1b_box": (8e-6, 1, 8, 20, None),
    "sa1b_point": (8e-6, 1, 20, 20, None),
}


def _job(name: str, **changes):
    task = SAM_PRESETS[name].task
    return JOBS[task].model_validate(with_preset({"preset": name, **DATA, **changes}, task))


@pytest.mark.parametrize("name", SAM_PRESETS)
def test_published_numbers(name: str):
    job, config = _job(name), TrainConfig.model_validate(SAM_PRESETS[name].train)
    assert NUMBERS[name] == (
        config.lr,
        config.batch_size,
        config.epochs,
        job.objects_per_image,
        job.eval_objects,
    )
    assert config.weight_decay == 1e-4
    assert config.betas == (0.9, 0.999)
    assert config.seed == 42
    assert config.clip_norm is None
    assert job.trained == ("mask_decoder",)
    assert job.base == "sam_vit_b"


def test_the_recipes_differ_where_they_should():
    coco, flare, points = _job("coco_box"), _job("flare_box"), _job("sa1b_point")
    assert (coco.noise.kind, coco.normalisation) == ("none", "sam")
    assert (flare.noise.kind, flare.noise.max_pixels) == ("outward", 20)
    assert flare.normalisation == "unit"
    assert (points.num_iter, points.mask_only) == (3, ())


def test_f16_the_papers_schedule():
    """250 warm-up steps, a tenth from step 60,000 of 90,000 on, a hundredth from 86,666."""
    config = TrainConfig.model_validate({**SAM_PRESETS["sa1b_box"].train, "lr": 1.0})
    rates = [learning_rate(config, step, 90_000) for step in (1, 250, 251, 59_999, 60_002, 86_670)]
    assert rates == pytest.approx([1 / 250, 1, 1, 1, 0.1, 0.01])


def test_given_values_lie_over_those_of_the_recipe():
    job = _job("flare_box", noise={"max_pixels": 5}, base="sam_demo")
    assert (job.noise.kind, job.noise.max_pixels) == ("outward", 5)
    assert job.base == "sam_demo"
    assert job.normalisation == "unit"
    assert SAM_PRESETS["flare_box"].params["noise"]["max_pixels"] == 20


def test_wrong_recipes_are_named():
    with pytest.raises(InputError, match="choose one of: coco_box, flare_box"):
        sam_preset("coco")
    with pytest.raises(InputError, match="'sa1b_point' belongs to the task sam_point"):
        with_preset({"preset": "sa1b_point"}, "sam_box")
    assert with_preset({"base": "x"}, "sam_box") == {"base": "x"}
