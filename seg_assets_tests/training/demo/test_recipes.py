"""Both recipes from end to end, one step long."""

from pathlib import Path

import pytest

from seg_assets.modeling.sam import DEMO, build_sam
from seg_assets.modeling.seem.config import SEEM_CONFIGS
from seg_assets.modeling.seem.model import Seem
from seg_assets.modeling.state_file import read_state
from seg_assets.training.demo.recipes import EVALUATION_SEEDS, TRAINING_SEEDS, train_demo


def test_scenes_of_training_evaluation_and_demo_do_not_meet() -> None:
    demo = range(8)
    assert not set(TRAINING_SEEDS) & (set(EVALUATION_SEEDS) | set(demo))
    assert not set(EVALUATION_SEEDS) & set(demo)


@pytest.mark.slow
def test_both_models_are_trained_and_written_as_they_ship(tmp_path: Path) -> None:
    made = train_demo(
        tmp_path,
        length=1e-6,
        training_seeds=range(TRAINING_SEEDS.start, TRAINING_SEEDS.start + 2),
        evaluation_seeds=range(100, 101),
    )
    networks = {"sam": build_sam(DEMO), "seem": Seem(SEEM_CONFIGS["demo"])}
    assert set(made) == set(networks)
    for name, model in made.items():
        assert model.result.step == 1
        assert model.file.path == tmp_path / f"{name}_demo.safetensors"
        networks[name].load_state_dict(read_state(model.file.path, model.file.sha256))
