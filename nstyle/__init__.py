"""Paint one picture in the style of another: a faithful PyTorch port of MXNet's neural-style example."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nstyle.batch.local import Outcome, stylize_many
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
    from nstyle.film.run import FilmResult, stylize_film
    from nstyle.losses.objective import Evaluation, Objective, Style
    from nstyle.networks.model import Model, ModelOptions
    from nstyle.networks.vgg19 import VGG19
    from nstyle.networks.weights import load_vgg19
    from nstyle.optim.descent import Step, descend
    from nstyle.painter.run import estimate, run, stylize
    from nstyle.painter.train import Trained
    from nstyle.painter.train_painter import train_painter
    from nstyle.painter.training import TrainingStep
    from nstyle.painting.estimate import Estimate
    from nstyle.painting.result import Result
    from nstyle.painting.steps import PaintingStep
    from nstyle.settings.config import Config

__version__ = "0.1.0"

__all__ = [
    "VGG19",
    "ClusterError",
    "Config",
    "DeviceError",
    "DivergenceError",
    "Estimate",
    "Evaluation",
    "FilmResult",
    "ImageError",
    "Model",
    "ModelOptions",
    "NStyleError",
    "Objective",
    "OptionError",
    "Outcome",
    "OutputError",
    "PaintingStep",
    "RecipeError",
    "Result",
    "Step",
    "Style",
    "Trained",
    "TrainingStep",
    "WeightsError",
    "descend",
    "estimate",
    "load_vgg19",
    "run",
    "stylize",
    "stylize_film",
    "stylize_many",
    "train_painter",
]

# Each is imported on first use: torch takes a second, and the commands must first be ready for Ctrl-C.
_LATE = {
    "ClusterError": "errors",
    "DeviceError": "errors",
    "DivergenceError": "errors",
    "ImageError": "errors",
    "NStyleError": "errors",
    "OptionError": "errors",
    "OutputError": "errors",
    "RecipeError": "errors",
    "WeightsError": "errors",
    "Config": "settings.config",
    "Outcome": "batch.local",
    "stylize_many": "batch.local",
    "FilmResult": "film.run",
    "stylize_film": "film.run",
    "Step": "optim.descent",
    "descend": "optim.descent",
    "Model": "networks.model",
    "ModelOptions": "networks.model",
    "Evaluation": "losses.objective",
    "Objective": "losses.objective",
    "Style": "losses.objective",
    "Estimate": "painting.estimate",
    "estimate": "painter.run",
    "PaintingStep": "painting.steps",
    "Result": "painting.result",
    "Trained": "painter.train",
    "TrainingStep": "painter.training",
    "run": "painter.run",
    "stylize": "painter.run",
    "train_painter": "painter.train_painter",
    "VGG19": "networks.vgg19",
    "load_vgg19": "networks.weights",
}


def __getattr__(name: str) -> Any:
    """Import a public name on first use (PEP 562)."""
    if name not in _LATE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"nstyle.{_LATE[name]}"), name)


def __dir__() -> list[str]:
    """List the public names."""
    return [*__all__, "__version__"]
