"""nstyle paints one picture in the style of another: MXNet's neural-style example, faithfully, in PyTorch."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from nstyle.config import Config
from nstyle.errors import (
    ClusterError,
    DeviceError,
    DivergenceError,
    ImageError,
    NStyleError,
    OptionError,
    OutputError,
    RecipeError,
    WeightsError,
)

if TYPE_CHECKING:
    from nstyle.batch import Outcome, stylize_many
    from nstyle.descent import Step, descend
    from nstyle.models import Model, ModelOptions
    from nstyle.objective import Evaluation, Objective, Style
    from nstyle.pipeline import Result, run, stylize
    from nstyle.vgg19 import VGG19
    from nstyle.weights import load_vgg19

__version__ = "0.1.0"

__all__ = [
    "VGG19",
    "ClusterError",
    "Config",
    "DeviceError",
    "DivergenceError",
    "Evaluation",
    "ImageError",
    "Model",
    "ModelOptions",
    "NStyleError",
    "Objective",
    "OptionError",
    "Outcome",
    "OutputError",
    "RecipeError",
    "Result",
    "Step",
    "Style",
    "WeightsError",
    "descend",
    "load_vgg19",
    "run",
    "stylize",
    "stylize_many",
]

# These bring in torch, which takes a second: they are imported when they are first asked for.
_LATE = {
    "Outcome": "batch",
    "stylize_many": "batch",
    "Step": "descent",
    "descend": "descent",
    "Model": "models",
    "ModelOptions": "models",
    "Evaluation": "objective",
    "Objective": "objective",
    "Style": "objective",
    "Result": "pipeline",
    "run": "pipeline",
    "stylize": "pipeline",
    "VGG19": "vgg19",
    "load_vgg19": "weights",
}


def __getattr__(name: str) -> Any:
    """Import a public name late (PEP 562)."""
    if name not in _LATE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"nstyle.{_LATE[name]}"), name)


def __dir__() -> list[str]:
    """List the public names."""
    return [*__all__, "__version__"]
