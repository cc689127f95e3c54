"""S33: dotted settings as text, typed by the field they are for."""

import pytest
from pydantic import BaseModel, ConfigDict, Field

from seg_assets.errors import InputError
from seg_assets.training.config import TrainConfig
from seg_assets.training.overrides import apply_overrides, pairs


class Losses(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    dice: float = Field(default=1.0, ge=0)
    names: tuple[str, ...] = ("mask", "dice")
    title: str = "plain"


class Job(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    config: TrainConfig = TrainConfig(steps=10)
    losses: Losses = Losses()
    task: dict[str, int | float | str | bool | None | list[int]] = {
        "side": 256,
        "on": True,
        "table": None,
        "scales": [1, 2],
    }


@pytest.mark.parametrize(
    ("overrides", "name", "value"),
    [
        (["evaluate_at_start", "True"], "evaluate_at_start", True),
        (["evaluate_at_start=true"], "evaluate_at_start", True),
        (["evaluate_at_start", "False"], "evaluate_at_start", False),
        (["lr", "1e-3"], "lr", 0.001),
        (["steps=20"], "steps", 20),
        (["clip_norm=none"], "clip_norm", None),
        (["precision=bf16"], "precision", "bf16"),
        (["milestones", "[0.5, 0.75]"], "milestones", (0.5, 0.75)),
        (["milestones=0.5,0.75"], "milestones", (0.5, 0.75)),
        (["milestones=(10, 20)"], "milestones", (10.0, 20.0)),
        (["milestones=100"], "milestones", (100.0,)),
        (["milestones.1=0.99"], "milestones", (0.88889, 0.99)),
        (["betas=0.9,0.98"], "betas", (0.9, 0.98)),
        (["trackers=tensorboard"], "trackers", ("tensorboard",)),
        (["trackers=[]"], "trackers", ()),
        (["lr=1", "lr=2"], "lr", 2.0),
    ],
)
def test_the_field_decides_the_type(overrides: list[str], name: str, value: object) -> None:
    changed = apply_overrides(TrainConfig(steps=10), overrides)
    found = getattr(changed, name)
    assert found == value
    assert type(found) is type(value)


def test_dots_lead_into_models_and_tables() -> None:
    job = apply_overrides(
        Job(),
        ["config.lr=0.5", "losses.dice", "2", "losses.names.0=focal", "losses.title=10",
         "task.side=512", "task.on=false", "task.table=voc", "task.scales.1=4"],
    )  # fmt: skip
    assert job.config.lr == 0.5
    assert job.losses == Losses(dice=2.0, names=("focal", "dice"), title="10")
    assert job.task == {"side": 512, "on": False, "table": "voc", "scales": [1, 4]}


def test_values_that_must_change_together_may() -> None:
    changed = apply_overrides(TrainConfig(steps=10), ["steps=none", "epochs=2"])
    assert (changed.steps, changed.epochs) == (None, 2.0)


def test_nothing_to_change_changes_nothing() -> None:
    assert apply_overrides(Job(), []) == Job()


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["config.lrr=1"], r"no setting 'config\.lrr'; did you mean lr\?"),
        (["confg.lr=1"], r"no setting 'confg'; did you mean config\?"),
        (["config.weight_dekay=1"], r"did you mean weight_decay"),
        (["losses.zzz=1"], "choose one of: dice, names, title"),
        (["task.syde=3"], r"did you mean side\?"),
        (["losses.names.2=x"], r"no setting 'losses\.names\.2'; choose one of: 0, 1"),
        (["config.lr.x=1"], r"no setting 'config\.lr\.x': 'config\.lr' has no parts"),
        (["config.lr"], r"'config\.lr' has no value: write config\.lr=VALUE"),
        (["config.lr=fast"], r"config\.lr=fast: input should be a valid number"),
        (["config.lr=-1"], r"config\.lr: input should be greater than 0|config\.lr=-1"),
        (["config.steps=1.5"], r"config\.steps=1\.5: input should be a valid integer"),
        (["config.precision=fp8"], "should be 'fp32', 'bf16' or 'fp16'"),
        (["config.evaluate_at_start=maybe"], "valid boolean"),
        (["config.trackers=mlflow"], "should be 'wandb' or 'tensorboard'"),
        (["config.epochs=2"], "give either steps or epochs"),
    ],
)
def test_what_is_wrong_is_said(overrides: list[str], message: str) -> None:
    with pytest.raises(InputError, match=message):
        apply_overrides(Job(), overrides)


def test_both_forms_may_be_mixed() -> None:
    found = pairs(["A.B", "1", "c=2=3", "D", "x=y"])
    assert found == [("A.B", "1"), ("c", "2=3"), ("D", "x=y")]
