"""Which parameters are trained: the recipe's list, the gradients and the optimizer must agree."""

from collections.abc import Iterable, Mapping, Sequence

from torch import Tensor, nn
from torch.optim import Optimizer

from seg_assets.errors import TrainingError

_NAMED = 3


def named_parameters(model: nn.Module) -> dict[str, nn.Parameter]:
    """The model's parameters by name; a shared one has its first name only."""
    return dict(model.named_parameters())


def train_only(model: nn.Module, names: Iterable[str]) -> None:
    """Let exactly the named parameters require gradients.

    Raises:
        TrainingError: The model has no parameter of such a name, or none is named.
    """
    wanted = set(names)
    parameters = named_parameters(model)
    if unknown := wanted - parameters.keys():
        raise TrainingError(
            f"{type(model).__name__} has no parameter {_some(unknown)}, so it cannot be trained: "
            "correct the recipe's list"
        )
    if not wanted:
        raise TrainingError("the recipe trains no parameter at all: name one at least")
    for name, parameter in parameters.items():
        parameter.requires_grad_(name in wanted)


def check_trainable(model: nn.Module, listed: set[str], optimizers: Sequence[Optimizer]) -> None:
    """Refuse to train if recipe, gradients and optimizer differ, or a parameter is in two groups.

    Args:
        model: The model.
        listed: Names that the recipe says it trains.
        optimizers: What is going to change the parameters.

    Raises:
        TrainingError: Names the parameters that make the difference.
    """
    if not listed:
        raise TrainingError("the recipe trains no parameter at all: name one at least")
    parameters = named_parameters(model)
    requiring = {name for name, parameter in parameters.items() if parameter.requires_grad}
    optimized = optimized_names(parameters, optimizers)
    if twice := {name for name in optimized if optimized.count(name) > 1}:
        raise TrainingError(f"{_some(twice)}: in two groups of the optimizer; leave it in one")
    differences = [
        f"{what} {_some(names)}"
        for what, names in (
            ("frozen though the recipe trains it:", listed - requiring),
            ("requires a gradient though the recipe does not train it:", requiring - listed),
            ("missing in the optimizer:", listed - set(optimized)),
            ("in the optimizer though the recipe does not train it:", set(optimized) - listed),
        )
        if names
    ]
    if differences:
        raise TrainingError(
            f"what would be trained is not what the recipe lists; {'; '.join(differences)}; "
            "decide what is trained first and build the optimizer after that"
        )


def optimized_names(parameters: Mapping[str, Tensor], optimizers: Sequence[Optimizer]) -> list[str]:
    """Names of the optimizers' parameters, in the order of their groups.

    Raises:
        TrainingError: An optimizer holds a parameter that is not the model's.
    """
    names = {id(parameter): name for name, parameter in parameters.items()}
    held = [
        parameter
        for optimizer in optimizers
        for group in optimizer.param_groups
        for parameter in group["params"]
    ]
    if strangers := [tuple(parameter.shape) for parameter in held if id(parameter) not in names]:
        raise TrainingError(
            f"the optimizer holds {len(strangers)} parameters that are not in the model (shapes "
            f"{strangers[:_NAMED]}): build it from the model that is trained"
        )
    return [names[id(parameter)] for parameter in held]


def rest_frozen_parts(model: nn.Module) -> None:
    """Put what is frozen into eval mode, so that its dropout and statistics rest.

    A module with parameters rests if all of them are frozen. One without (dropout, drop path) rests
    if any parameter of the part it belongs to is frozen: the dropout of a frozen layer that has got
    adapters is off, that inside an adapter is on.
    """
    _rest(model, all_trained=True)


def _rest(module: nn.Module, *, all_trained: bool) -> None:
    requiring = [parameter.requires_grad for parameter in module.parameters()]
    if requiring:
        all_trained = all(requiring)
    if not (any(requiring) if requiring else all_trained):
        module.training = False
    for child in module.children():
        _rest(child, all_trained=all_trained)


def _some(names: Iterable[str]) -> str:
    ordered = sorted(names)
    more = len(ordered) - _NAMED
    return ", ".join(ordered[:_NAMED]) + (f" and {more} more" if more > 0 else "")
