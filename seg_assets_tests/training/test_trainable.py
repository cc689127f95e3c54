import pytest
import torch
from torch import nn
from torch.optim import SGD

from seg_assets.errors import TrainingError
from seg_assets.training.trainable import check_trainable, rest_frozen_parts, train_only


class Adapted(nn.Module):
    """A frozen layer with a dropout of its own and a trained adapter that has one, too."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(2, 2)
        self.drop_path = nn.Dropout(0.5)
        self.adapter = nn.Sequential(nn.Linear(2, 2), nn.Dropout(0.5))


def test_exactly_the_named_parameters_require_gradients() -> None:
    model = Adapted()
    train_only(model, ["adapter.0.weight"])
    assert [n for n, p in model.named_parameters() if p.requires_grad] == ["adapter.0.weight"]


def test_a_name_that_the_model_does_not_have_is_an_error() -> None:
    with pytest.raises(TrainingError, match=r"Adapted has no parameter adapter\.9\.weight"):
        train_only(Adapted(), ["adapter.9.weight"])


def test_training_nothing_is_an_error() -> None:
    with pytest.raises(TrainingError, match="no parameter at all"):
        train_only(Adapted(), [])
    with pytest.raises(TrainingError, match="no parameter at all"):
        check_trainable(Adapted(), set(), [])


def test_recipe_gradients_and_optimizer_agree() -> None:
    model = Adapted()
    names = {"adapter.0.weight", "adapter.0.bias"}
    train_only(model, names)
    check_trainable(model, names, [SGD(model.adapter.parameters())])
    halves = [SGD([p]) for p in model.adapter.parameters()]  # two optimizers share the work
    check_trainable(model, names, halves)


def test_s5_unfrozen_after_the_optimizer_was_built() -> None:
    model = Adapted()
    names = {"adapter.0.weight", "adapter.0.bias"}
    train_only(model, names)
    optimizer = SGD(model.adapter.parameters())
    model.layer.weight.requires_grad_(True)
    with pytest.raises(TrainingError, match=r"does not train it: layer\.weight"):
        check_trainable(model, names, [optimizer])


@pytest.mark.parametrize(
    ("optimized", "listed", "message"),
    [
        (["adapter.0.weight"], ["adapter.0.weight", "adapter.0.bias"], "missing in the optimizer"),
        (["adapter.0.weight", "layer.bias"], ["adapter.0.weight"], "in the optimizer though"),
        (["adapter.0.weight"] * 2, ["adapter.0.weight"], "in two groups"),
        (["adapter.0.weight", "layer.bias"], ["adapter.0.weight", "layer.bias"], "frozen though"),
    ],
)
def test_s5_names_the_difference(optimized: list[str], listed: list[str], message: str) -> None:
    model = Adapted()
    train_only(model, {"adapter.0.weight", "adapter.0.bias"} & set(listed))
    named = dict(model.named_parameters())
    optimizers = [SGD([named[name]]) for name in optimized]
    with pytest.raises(TrainingError, match=message):
        check_trainable(model, set(listed), optimizers)


def test_the_optimizer_of_another_model_is_an_error() -> None:
    model, other = Adapted(), Adapted()
    with pytest.raises(TrainingError, match="not in the model"):
        check_trainable(model, {"layer.bias"}, [SGD(other.parameters())])


def test_s11_frozen_parts_rest() -> None:
    model = nn.ModuleDict({"block": Adapted(), "frozen": nn.Sequential(nn.Linear(2, 2))})
    train_only(model, ["block.adapter.0.weight", "block.adapter.0.bias"])
    model.train()
    rest_frozen_parts(model)
    training = {name for name, module in model.named_modules() if module.training}
    # the adapter and its dropout, and what holds them; not the frozen layer's drop path
    assert training == {"", "block", "block.adapter", "block.adapter.0", "block.adapter.1"}


def test_s11_a_frozen_backbone_gives_equal_features_while_training() -> None:
    model = nn.ModuleDict(
        {"backbone": nn.Sequential(nn.Linear(2, 64), nn.Dropout(0.5)), "head": nn.Linear(64, 1)}
    )
    train_only(model, ["head.weight", "head.bias"])
    model.train()
    rest_frozen_parts(model)
    x = torch.ones(1, 2)
    torch.testing.assert_close(model["backbone"](x), model["backbone"](x), rtol=0, atol=0)
